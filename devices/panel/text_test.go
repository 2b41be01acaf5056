package panel

import (
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"periph.io/x/devices/v3/ssd1306/image1bit"
)

// spoken are sentences that the agent sends to displays.
const spoken = `支付成功 支付失败 等待用户扫码 用户支付中 撤销中 待核实 已撤销 网络中断 请出示付款码 请刷新付款码 测试 请勿再次支付
网络中断，恢复后继续，请听收费员指引 网络中断，已排队，未发送 请在手机上完成支付 请用手机扫码支付 正在撤销，请勿再次支付
款项状态确认中，请勿再次支付 支付失败，未扣款 支付失败，请关闭当前页面后，重新支付 已撤销，未扣款 已撤销，款项已退回原账户
已撤销，如已扣款将原路退回 支付未成功，未扣款 等待扫码超时，未扣款 排队已过期，未扣款 交易已关闭，如已扣款将原路退回
请出示付款码，不是收款码 这是医保码，请出示付款码 这是身份证号，请出示付款码 这是商品条码，请出示付款码 暂不支持该付款码，请用微信或支付宝
无法识别，请出示付款码 该付款码已使用，请刷新后再扫 付款码已超时，请刷新后再扫 扫到两个付款码，请只出示一个 扫码设备未连接，请稍候
请等待收费员 请咨询收费员 正在处理，请稍候 请联系工作人员 退款处理中，将原路退回 退款成功，将原路退回 退款未成功，请咨询收费员
暂时无法扫码支付 该账单已支付 患者就诊卡号 门诊缴费 住院押金 挂号费 药费 检查费 化验费 处方 医保 自费 收您 共 笔 元角分 零一二三四五六七八九十百千万亿
￥0123456789.-*…：（）《》“”‘’、；！？〓 微信 支付宝 云闪付 银联 数字人民币`

func TestEveryWordHasItsGlyphs(t *testing.T) {
	texts := []string{spoken, elsewhereZH, elsewhereEN, amountZH, amountEN, currency, testZH, string(missing)}
	for _, s := range states {
		l := lookOf(s)
		texts = append(texts, l.title, l.line, l.titleEN, l.lineEN, l.qrTitle, l.qrTitEN, l.warning, l.warnEN)
	}
	for r := rune('!'); r <= '~'; r++ {
		texts = append(texts, string(r))
	}
	for _, text := range texts {
		for _, r := range text {
			if _, _, ok := glyph(r); !ok && r != ' ' && r != '\n' {
				t.Errorf("no glyph for %q in %q", r, text)
			}
		}
	}
	if _, _, ok := glyph('赝'); ok {
		t.Error("the check itself: 赝 is known to be missing from the font")
	}
}

// TestGlyphsOfGB2312 states how far the font goes: all 3755 characters of level
// 1, and all but a known number of the 3008 rarer ones of level 2.
func TestGlyphsOfGB2312(t *testing.T) {
	count := func(from, to byte) (all, none int) {
		for a := from; a <= to; a++ {
			for b := byte(0xA1); b <= 0xFE; b++ {
				s, err := simplifiedchinese.GBK.NewDecoder().String(string([]byte{a, b}))
				r, _ := utf8.DecodeRuneInString(s)
				if err != nil || r < 0x4E00 || r > 0x9FFF {
					continue
				}
				all++
				if _, _, ok := glyph(r); !ok {
					none++
				}
			}
		}
		return all, none
	}
	if all, none := count(0xB0, 0xD7); all != 3755 || none != 0 {
		t.Errorf("level 1: %d of %d lack a glyph", none, all)
	}
	if all, none := count(0xD8, 0xF7); all != 3008 || none > 200 {
		t.Errorf("level 2: %d of %d lack a glyph", none, all)
	} else {
		t.Logf("level 2: %d of %d lack a glyph", none, all)
	}
}

// TestInkStaysInItsRows: lines spaced by inkRows do not touch.
func TestInkStaysInItsRows(t *testing.T) {
	for r := rune(0x20); r < 0xFFFF; r++ {
		c, width, ok := glyph(r)
		if !ok || r >= 0x7F && r < 0x4E00 || r >= 0xA000 {
			continue
		}
		for y := range cellRows {
			for x := range width {
				if (y < inkTop || y >= inkTop+inkRows) && c.inked(x, y) {
					t.Fatalf("%q has ink in row %d", r, y)
				}
			}
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		" 张*丰\t\n门诊 ":             "张*丰 门诊",
		"¥1":                      "￥1",
		"\u202e反\u200b面\u0301":    "反面",
		"李赝\U00020BB7":            "李〓〓",
		"坏\xff字":                  "坏〓字",
		"\x1b[31m红":               "[31m红",
		strings.Repeat("a", 1000): strings.Repeat("a", mostRunes),
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"支付成功", 48, []string{"支付成功"}},
		{"支付成功", 47, []string{"支付", "成功"}},
		{"支付失败，未扣款", 72, []string{"支付失败，", "未扣款"}},
		{"请在手机上完成支付", 72, []string{"请在手机上", "完成支付"}},
		{"一二三四，", 48, []string{"一二三", "四，"}}, // a comma never begins a line
		{"Please show your payment code", 108, []string{"Please show your", "payment code"}},
		{"abcdefghij", 30, []string{"abcde", "fghij"}}, // a word that has no room is cut
		{"字", 11, nil},
		{"", 100, nil},
	} {
		if got := wrap(c.text, c.width); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

// TestWrapKeepsAll: nothing is lost or wider than it may be, and no line begins
// with a closing mark.
func TestWrapKeepsAll(t *testing.T) {
	for _, text := range append(strings.Fields(spoken), "We are confirming the payment, please do not pay again", strings.ReplaceAll(spoken[:500], "\n", " ")) {
		text = clean(text)
		for width := 24; width < 260; width += 7 {
			lines := wrap(text, width)
			if lines == nil {
				continue
			}
			if strings.ReplaceAll(strings.Join(lines, ""), " ", "") != strings.ReplaceAll(text, " ", "") {
				t.Fatalf("%q in %d became %q", text, width, lines)
			}
			for i, l := range lines {
				first, _ := utf8.DecodeRuneInString(l)
				if widthOf([]rune(l)) > width || i > 0 && strings.ContainsRune("，。！", first) {
					t.Fatalf("%q in %d: line %q", text, width, l)
				}
			}
		}
	}
}

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		text        string
		width, most int
		want        []string
	}{
		{"支付成功", 48, 1, []string{"支付成功"}},
		{"支付失败，未扣款", 72, 1, []string{"支付失败…"}},
		{"支付失败，未扣款", 60, 1, []string{"支付失败…"}},
		{"支付失败，未扣款", 48, 1, []string{"支付失…"}},
		{"支付失败，未扣款", 100, 0, nil},
		{"支付", 11, 1, nil},
	} {
		if got := shorten(c.text, c.width, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d×%d: %q, want %q", c.text, c.width, c.most, got, c.want)
		}
	}
}

// TestStampIsNearestNeighbour: at scale 3 each pixel is a square of 3.
func TestStampIsNearestNeighbour(t *testing.T) {
	one, three := image1bit.NewVerticalLSB(image.Rect(0, 0, 12, 16)), image1bit.NewVerticalLSB(image.Rect(0, 0, 36, 48))
	if a, b := stamp(one, image.Point{}, '￥', 1, color.White), stamp(three, image.Point{}, '￥', 3, color.White); a != 12 || b != 36 {
		t.Fatalf("advances %d, %d", a, b)
	}
	lit := 0
	for y := range 48 {
		for x := range 36 {
			if three.BitAt(x, y) != one.BitAt(x/3, y/3) {
				t.Fatalf("pixel %d, %d differs", x, y)
			}
			if three.BitAt(x, y) {
				lit++
			}
		}
	}
	if lit < 9*20 {
		t.Errorf("%d pixels of ink", lit)
	}
}
