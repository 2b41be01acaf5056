package platforms_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"payagent/platforms"
)

const (
	wx     = "134567890123456789"
	nines  = "9999999999999999999999999"
	longQR = "https://qr.alipay.com/fkx012345678901234567890"
)

func TestRecognise(t *testing.T) {
	for _, c := range []struct {
		name, text, aim string
		kind            platforms.CodeKind
		channel         platforms.Channel
		sent            string // what would be sent; empty if not payable
	}{
		{"WeChat", wx, "", platforms.KindWeChat, platforms.WeChat, wx},
		{"WeChat 10", "104567890123456789", "", platforms.KindWeChat, platforms.WeChat, "104567890123456789"},
		{"WeChat 15", "154567890123456789", "", platforms.KindWeChat, platforms.WeChat, "154567890123456789"},
		{"WeChat in Code128", wx, "C0", platforms.KindWeChat, platforms.WeChat, wx},
		{"WeChat in QR", wx, "Q1", platforms.KindWeChat, platforms.WeChat, wx},
		{"bracket in symbology", wx, "]Q1", platforms.KindWeChat, platforms.WeChat, wx},
		{"unknown symbology", wx, "X0", platforms.KindWeChat, platforms.WeChat, wx},
		{"WeChat framed by STX ETX", "\x02" + wx + "\x03\r\n", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"WeChat with tab", wx + "\t", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"WeChat with blanks", "  " + wx + " ", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"WeChat with AIM", "]C0" + wx + "\r", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"AIM behind STX", "\x02]Q3" + wx + "\x03", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"WeChat in full-width digits", "１３４５６７８９０１２３４５６７８９", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"half full-width", "１３4567890123456789", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"full-width blank around", "\u3000" + wx + "\u3000", "", platforms.KindWeChat, platforms.WeChat, wx},
		{"17 digits", wx[:17], "", platforms.KindDigits, "", ""},
		{"19 digits", wx + "0", "", platforms.KindDigits, "", ""},
		{"16 with prefix 16", "164567890123456789", "", platforms.KindDigits, "", ""},
		{"09 is nobody's", "094567890123456789", "", platforms.KindDigits, "", ""},
		{"Alipay 25, 16 digits", "2512345678901234", "", platforms.KindAlipay, platforms.Alipay, "2512345678901234"},
		{"Alipay 28, 18 digits", "281234567890123456", "", platforms.KindAlipay, platforms.Alipay, "281234567890123456"},
		{"Alipay 30, 24 digits", "301234567890123456789012", "", platforms.KindAlipay, platforms.Alipay, "301234567890123456789012"},
		{"Alipay, 15 digits", "281234567890123", "", platforms.KindDigits, "", ""},
		{"Alipay, 25 digits", "2812345678901234567890123", "", platforms.KindDigits, "", ""},
		{"24 is not Alipay", "241234567890123456", "", platforms.KindDigits, "", ""},
		{"31 is not Alipay", "311234567890123456", "", platforms.KindDigits, "", ""},
		{"face", "fp0123abcXYZ", "", platforms.KindAlipayFace, platforms.Alipay, "fp0123abcXYZ"},
		{"face in capitals", "FP0123abc", "", platforms.KindJunk, "", ""},
		{"face without code", "fp", "", platforms.KindJunk, "", ""},
		{"face with a hyphen", "fp01-23", "", platforms.KindJunk, "", ""},
		{"face with full-width digits", "fp０１", "", platforms.KindAlipayFace, platforms.Alipay, "fp01"},
		{"UnionPay", "6212345678901234567", "", platforms.KindUnionPay, platforms.UnionPay, "6212345678901234567"},
		{"UnionPay, 18 digits", "621234567890123456", "", platforms.KindDigits, "", ""},
		{"UnionPay, 20 digits", "62123456789012345678", "", platforms.KindDigits, "", ""},
		{"e-CNY", "0112345678901234567", "", platforms.KindECNY, platforms.ECNY, "0112345678901234567"},
		{"e-CNY, 18 digits", "011234567890123456", "", platforms.KindDigits, "", ""},
		{"insurance 424", "4241234567890123456789012345", "", platforms.KindInsurance, "", ""},
		{"insurance, other 28 digits", "9991234567890123456789012345", "", platforms.KindInsurance, "", ""},
		{"27 digits", "424123456789012345678901234", "", platforms.KindDigits, "", ""},
		{"EMV consumer", "hQVDUFYwMWETTwegAAAAVTMhUAhJTlRF", "", platforms.KindEMV, "", ""},
		{"EMV consumer, as far as it is fixed", "hQVDUFYwMQ==", "", platforms.KindEMV, "", ""},
		{"EMV merchant", "00020101021126330016A000000677010112", "", platforms.KindMerchantQR, "", ""},
		{"Alipay merchant QR", longQR, "Q1", platforms.KindMerchantQR, "", ""},
		{"URL in capitals", "HTTPS://QR.95516.COM/00010000/6221", "", platforms.KindMerchantQR, "", ""},
		{"WeChat merchant QR", "wxp://f2f0abcdefghijklmnop", "", platforms.KindMerchantQR, "", ""},
		{"WeChat pay URL", "weixin://wxpay/bizpayurl?pr=abc", "", platforms.KindMerchantQR, "", ""},
		{"EAN-13", "6901234567892", "", platforms.KindProduct, "", ""},
		{"EAN-13, wrong check digit", "6901234567893", "", platforms.KindDigits, "", ""},
		{"EAN-8", "96385074", "", platforms.KindProduct, "", ""},
		{"UPC-A", "036000291452", "", platforms.KindProduct, "", ""},
		{"GTIN-14", "10614141000415", "", platforms.KindProduct, "", ""},
		{"WeChat digits in EAN", wx, "E0", platforms.KindProduct, "", ""},
		{"WeChat digits in DataMatrix", wx, "d1", platforms.KindJunk, "", ""},
		{"WeChat digits in PDF417, AIM in text", "]L0" + wx, "", platforms.KindJunk, "", ""},
		{"AIM in text wins", "]E0" + wx, "Q1", platforms.KindProduct, "", ""},
		{"ID of Beijing, looks like WeChat", "110101199003070118", "", platforms.KindIDCard, "", ""},
		{"ID of Tianjin, looks like WeChat", withCheck("12010119990101003"), "", platforms.KindIDCard, "", ""},
		{"ID, wrong check digit: WeChat", "110101199003070119", "", platforms.KindWeChat, platforms.WeChat, "110101199003070119"},
		{"ID, month 13: WeChat", withCheck("11010119901307011"), "", platforms.KindWeChat, platforms.WeChat, withCheck("11010119901307011")},
		{"ID, 29 February 2000", withCheck("15010120000229001"), "", platforms.KindIDCard, "", ""},
		{"ID, 29 February 1900: WeChat", withCheck("15010119000229001"), "", platforms.KindWeChat, platforms.WeChat, withCheck("15010119000229001")},
		{"ID, 31 April: WeChat", withCheck("15010119900431002"), "", platforms.KindWeChat, platforms.WeChat, withCheck("15010119900431002")},
		{"ID, year 2040: WeChat", withCheck("15010120400101003"), "", platforms.KindWeChat, platforms.WeChat, withCheck("15010120400101003")},
		{"ID with X", "11010519491231002X", "", platforms.KindIDCard, "", ""},
		{"ID with small x", "11010519491231002x", "", platforms.KindIDCard, "", ""},
		{"ID with X, wrong", "11010519491231003X", "", platforms.KindJunk, "", ""},
		{"ID of Sichuan", withCheck("51010119900101001"), "", platforms.KindIDCard, "", ""},
		{"unknown digits", "77123456789012345", "", platforms.KindDigits, "", ""},
		{"one digit", "7", "", platforms.KindDigits, "", ""},
		{"empty", "", "", platforms.KindJunk, "", ""},
		{"only frame", "\x02\x03\r\n", "", platforms.KindJunk, "", ""},
		{"only AIM", "]C0", "", platforms.KindJunk, "", ""},
		{"gap inside", wx[:9] + " " + wx[9:], "", platforms.KindJunk, "", ""},
		{"line break inside", wx[:9] + "\r" + wx[9:], "", platforms.KindJunk, "", ""},
		{"letter inside", "13456789012345678O", "", platforms.KindJunk, "", ""},
		{"Arabic-Indic digits", "١٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٩", "", platforms.KindJunk, "", ""},
		{"minus", "-134567890123456789", "", platforms.KindJunk, "", ""},
		{"broken UTF-8", wx + "\xff", "", platforms.KindJunk, "", ""},
		{"Chinese", "付款码", "", platforms.KindJunk, "", ""},
		{"two codes at once", wx + wx, "", platforms.KindDigits, "", ""},
		{"hospital card", "KH00012345", "", platforms.KindJunk, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := platforms.DefaultRules().Recognise(c.text, c.aim)
			if got.Code.Kind != c.kind || got.Channel != c.channel || got.Payable != (c.sent != "") || got.Code.Reveal() != c.sent {
				t.Errorf("%+v (%q), want %s %s %q", got, got.Code.Reveal(), c.kind, c.channel, c.sent)
			}
		})
	}
}

// withCheck appends the MOD 11-2 check character by the standard's own weights.
func withCheck(seventeen string) string {
	weights := []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(seventeen[i]-'0') * w
	}
	return seventeen + string("10X98765432"[sum%11])
}

func TestIDCheckDigitAgreesWithTheStandardsWeights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := fmt.Sprintf("%06d%04d0101%03d", rapid.OneOf(rapid.IntRange(110000, 159999), rapid.IntRange(310000, 659999)).Draw(t, "region"),
			rapid.IntRange(1900, 2039).Draw(t, "year"), rapid.IntRange(0, 999).Draw(t, "serial"))
		right := withCheck(id)
		for _, c := range "0123456789X" {
			text := id + string(c)
			kind := platforms.DefaultRules().Recognise(text, "").Code.Kind
			if (kind == platforms.KindIDCard) != (text == right) {
				t.Fatalf("%s is %s; the right number is %s", text, kind, right)
			}
		}
	})
}

func TestSwitches(t *testing.T) {
	r := platforms.DefaultRules()
	r.PayUnknownDigits, r.PayIDLike = true, true
	for text, want := range map[string]platforms.Scanned{
		"77123456789012345":            {Code: platforms.AuthCode{Kind: platforms.KindDigits}, Payable: true},
		"110101199003070118":           {Code: platforms.AuthCode{Kind: platforms.KindWeChat}, Channel: platforms.WeChat, Payable: true},
		"6901234567892":                {Code: platforms.AuthCode{Kind: platforms.KindProduct}},
		nines + nines + nines:          {Code: platforms.AuthCode{Kind: platforms.KindDigits}},
		"4241234567890123456789012345": {Code: platforms.AuthCode{Kind: platforms.KindInsurance}},
		"510101199001010016":           {Code: platforms.AuthCode{Kind: platforms.KindIDCard}},
	} {
		if text == "510101199001010016" {
			text = withCheck(text[:17])
		}
		got := r.Recognise(text, "")
		if got.Payable != want.Payable || got.Channel != want.Channel || got.Code.Kind != want.Code.Kind || got.Code.Empty() == want.Payable {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func TestZeroRulesPayNothing(t *testing.T) {
	if got := (platforms.CodeRules{}).Recognise(wx, ""); got.Payable || got.Code.Kind != platforms.KindDigits {
		t.Errorf("%+v", got)
	}
}

func TestTableFromConfiguration(t *testing.T) {
	var r platforms.CodeRules
	text := `{"rules":[{"kind":"wechat","starts":["91","20-22"],"min":18,"max":18,"channel":"wechat","payable":true}]}`
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"914567890123456789": true, "214567890123456789": true, "234567890123456789": false, wx: false} {
		if got := r.Recognise(text, ""); got.Payable != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := platforms.DefaultRules().Validate(); err != nil {
		t.Fatal(err)
	}
	good := platforms.CodeRule{Kind: platforms.KindWeChat, Starts: []string{"10-15"}, Min: 18, Max: 18, Channel: platforms.WeChat, Payable: true}
	for name, change := range map[string]func(*platforms.CodeRule){
		"unknown kind":          func(r *platforms.CodeRule) { r.Kind = "qq" },
		"no length":             func(r *platforms.CodeRule) { r.Min = 0 },
		"max below min":         func(r *platforms.CodeRule) { r.Max = 17 },
		"endless":               func(r *platforms.CodeRule) { r.Max = 1 << 20 },
		"unknown letters":       func(r *platforms.CodeRule) { r.Letters = "any" },
		"payable ID":            func(r *platforms.CodeRule) { r.Kind = platforms.KindIDCard },
		"payable insurance":     func(r *platforms.CodeRule) { r.Kind = platforms.KindInsurance },
		"payable, no channel":   func(r *platforms.CodeRule) { r.Channel = "" },
		"unknown channel":       func(r *platforms.CodeRule) { r.Channel = "qq" },
		"payable, no beginning": func(r *platforms.CodeRule) { r.Starts = nil },
		"empty beginning":       func(r *platforms.CodeRule) { r.Starts = []string{""} },
		"range upside down":     func(r *platforms.CodeRule) { r.Starts = []string{"15-10"} },
		"range of two lengths":  func(r *platforms.CodeRule) { r.Starts = []string{"1-10"} },
		"range of letters":      func(r *platforms.CodeRule) { r.Starts = []string{"aa-bb"} },
		"letters among digits":  func(r *platforms.CodeRule) { r.Starts = []string{"fp"} },
		"beginning too long":    func(r *platforms.CodeRule) { r.Starts = []string{strings.Repeat("1", 19)} },
	} {
		bad := good
		change(&bad)
		err := platforms.CodeRules{Rules: []platforms.CodeRule{good, bad}}.Validate()
		if err == nil || !strings.Contains(err.Error(), "rule 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExplain(t *testing.T) {
	kinds := []platforms.CodeKind{
		platforms.KindWeChat, platforms.KindAlipay, platforms.KindAlipayFace, platforms.KindUnionPay, platforms.KindECNY,
		platforms.KindInsurance, platforms.KindIDCard, platforms.KindMerchantQR, platforms.KindEMV, platforms.KindProduct,
		platforms.KindDigits, platforms.KindJunk,
	}
	seen := map[string]platforms.CodeKind{}
	for _, k := range kinds {
		zh, en := platforms.Explain(k)
		if zh == "" || en == "" || seen[zh] != "" || seen[en] != "" {
			t.Errorf("%s: %q, %q (as for %q)", k, zh, en, seen[zh])
		}
		seen[zh], seen[en] = k, k
		if utf8.RuneCountInString(zh) == len(zh) {
			t.Errorf("%s: %q is not Chinese", k, zh)
		}
	}
	if zh, _ := platforms.Explain(platforms.KindMerchantQR); zh != "请出示付款码，不是收款码。" {
		t.Error(zh)
	}
	zh, en := platforms.ExplainWallet(platforms.WeChat, platforms.Alipay)
	if !strings.Contains(zh, "微信") || !strings.Contains(zh, "支付宝") || !strings.Contains(en, "WeChat") || !strings.Contains(en, "Alipay") {
		t.Errorf("%q, %q", zh, en)
	}
}

func FuzzRecognise(f *testing.F) {
	for _, s := range []string{"", wx, "]C0" + wx, "\x02" + wx + "\x03\r", "１３4567890123456789", longQR, "fp01", "11010519491231002X", "]", "]E", "\xff\xfe"} {
		f.Add(s, "", false)
		f.Add(s, "Q1", true)
	}
	f.Fuzz(func(t *testing.T, text, aim string, all bool) {
		r := platforms.DefaultRules()
		r.PayUnknownDigits, r.PayIDLike = all, all
		got := r.Recognise(text, aim)
		if got.Payable == got.Code.Empty() {
			t.Fatalf("payable %v, text empty %v", got.Payable, got.Code.Empty())
		}
		if got.Code.Kind == "" {
			t.Fatal("no kind")
		}
		if !got.Payable {
			if got.Channel != "" {
				t.Fatalf("not payable, but of %s", got.Channel)
			}
			return
		}
		code := got.Code.Reveal()
		for i := 0; i < len(code); i++ {
			if c := code[i]; !(c >= '0' && c <= '9') && got.Code.Kind != platforms.KindAlipayFace {
				t.Fatalf("a character that no digits-only wallet has would be sent: %q", c)
			}
		}
		if again := r.Recognise(code, aim); !strings.HasPrefix(strings.Trim(text, "\x00\x02\x03\r\n\t \u3000\ufeff"), "]") &&
			(again.Code.Kind != got.Code.Kind || again.Code.Reveal() != code) {
			t.Fatalf("recognised once as %s, again as %s", got.Code.Kind, again.Code.Kind)
		}
	})
}
