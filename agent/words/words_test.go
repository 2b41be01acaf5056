package words_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"payagent/agent/words"
	"payagent/platforms"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every entry says everything to everybody, in both languages, and the two
// languages ask for the same values.
func TestEveryEntryIsWhole(t *testing.T) {
	c := words.New()
	hole := regexp.MustCompile(`\{[a-z_]+\}`)
	n := 0
	for _, g := range words.Groups() {
		if len(c.Codes(g)) == 0 {
			t.Errorf("group %s is empty", g)
		}
		for _, code := range c.Codes(g) {
			n++
			e, ok := c.Find(g, code)
			if !ok || e.Code != code {
				t.Fatalf("%s/%s is not found", g, code)
			}
			for name, x := range map[string]words.Text{"patient": e.Patient, "cashier": e.Cashier, "next": e.Next, "IT": e.IT} {
				if x.ZH == "" || x.EN == "" {
					t.Errorf("%s/%s: the %s text lacks a language", g, code, name)
				}
				if han := strings.ContainsFunc(x.ZH, func(r rune) bool { return unicode.Is(unicode.Han, r) }); !han && name != "IT" {
					t.Errorf("%s/%s: the %s text has no Chinese: %s", g, code, name, x.ZH)
				}
				if strings.ContainsFunc(x.EN, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
					t.Errorf("%s/%s: the English %s text has Chinese: %s", g, code, name, x.EN)
				}
				zh, en := hole.FindAllString(x.ZH, -1), hole.FindAllString(x.EN, -1)
				slices.Sort(zh)
				slices.Sort(en)
				if !slices.Equal(zh, en) {
					t.Errorf("%s/%s: the %s texts ask for %v and %v", g, code, name, zh, en)
				}
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d entries; a table is lost", n)
	}
}

// The words of the seed's screens and of the rules, letter by letter.
func TestSeedWords(t *testing.T) {
	c := words.New()
	for _, tc := range []struct{ state, action, patient, cashier string }{
		{"waiting", "", "", "等待用户扫码"}, {"paying", "", "", "用户支付中"}, {"paid", "", "支付成功", "支付成功"},
		{"failed", "", "", "支付失败，请关闭当前页面后，重新支付"}, {"canceling", "", "", "撤销中"},
		{"canceled", "close", "", "已撤销：已关闭，未扣款"}, {"canceled", "refund", "", "已撤销：已退回原账户"},
		{"canceled", "unknown", "已撤销，如已扣款将原路退回", "已撤销：如已扣款将原路退回"}, {"canceled", "", "已撤销", "已撤销"},
		{"in_doubt", "", "款项状态确认中，请勿再次支付", ""}, {"something new", "", "款项状态确认中，请勿再次支付", ""},
		{"paid", "close", "支付成功", "支付成功"},
		{"paying", "charge", "", "用户支付中"}, {"paying", "present", "请用手机扫码支付", ""},
	} {
		e := c.OrderState(tc.state, tc.action)
		if tc.patient != "" && e.Patient.ZH != tc.patient || tc.cashier != "" && e.Cashier.ZH != tc.cashier {
			t.Errorf("%s %s: %q, %q", tc.state, tc.action, e.Patient.ZH, e.Cashier.ZH)
		}
	}
	if e, _ := c.Find(words.Scan, "merchant_qr"); e.Patient.ZH != "请出示付款码，不是收款码" {
		t.Errorf("merchant_qr: %q", e.Patient.ZH)
	}
	if words.ReportChannel("wechat") != "当面付-微信" || words.ReportChannel("alipay") != "当面付-支付宝" || words.ReportChannel("") != "当面付" {
		t.Error("the report channels of seed 000 are 当面付-微信 and 当面付-支付宝")
	}
	if words.Wallet("x").ZH != "x" {
		t.Error("an unknown wallet shows its code")
	}
}

// PAY-22: every code that the interface documents enumerate or show, and every
// code of the known servers, has words (testdata/codes.txt).
func TestAllSeedCodesAreMapped(t *testing.T) {
	text, err := os.ReadFile("testdata/codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	c, listed, n := words.New(), map[words.Group]map[string]bool{}, 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) < 5 {
			t.Fatalf("the line %q is too short", line)
		}
		g, field, named := words.Group(f[2]), strings.TrimSuffix(f[3], "+"), strings.HasSuffix(f[3], "+")
		if listed[g] == nil {
			listed[g] = map[string]bool{}
		}
		for _, code := range f[4:] {
			n++
			if named {
				code = field + " " + code
			}
			listed[g][code] = true
			if e, ok := c.Find(g, code); !ok || e.Code != code {
				t.Errorf("%s %s: %s %s is not mapped", f[0], f[1], g, code)
			}
			if e, known := c.Platform(f[2], code, "words"); g != words.Served && (!known || e.Code != code) {
				t.Errorf("%s %s: %s of %s has no words of its own in an answer", f[0], f[1], code, g)
			}
		}
	}
	if n < 80 {
		t.Errorf("only %d codes; the extract is cut", n)
	}
	// The other way round: what the catalogue knows beyond the extract is of
	// the wires' shared words, and named here.
	beyond := map[words.Group][]string{words.LC: {"TRADE_NOT_EXIST", "SYSTEM_ERROR", "ILLEGAL_ARGUMENT"}}
	for _, g := range []words.Group{words.SmartPay, words.FWC, words.LC, words.Served} {
		for _, code := range c.Codes(g) {
			if !listed[g][code] && !slices.Contains(beyond[g], code) {
				t.Errorf("%s %s is in the catalogue and in no document", g, code)
			}
		}
	}
}

// A bare number, as a wire carries it, finds the words that are kept under its
// field's name.
func TestBareNumbersFindTheirField(t *testing.T) {
	c := words.New()
	for driver, code := range map[string]string{"fwc": "3", "lc": "40004"} {
		if e, known := c.Platform(driver, code, ""); !known || !strings.HasSuffix(e.Code, " "+code) {
			t.Errorf("%s %s: %+v", driver, code, e)
		}
	}
}

// Every code that an adapter's own source judges by has words, so that a code
// added there without words fails here.
func TestEveryCodeOfTheAdaptersHasWords(t *testing.T) {
	c, n := words.New(), 0
	word := regexp.MustCompile(`^[A-Z]+(_[A-Z]+)+$`)
	for driver, files := range map[string][]string{
		"smartpay": {"../../platforms/smartpay/codes.go"},
		"fwc":      {"../../platforms/fwc/answer.go"},
		"lc":       {"../../platforms/lc/answer.go"},
	} {
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(node ast.Node) bool {
				code := ""
				switch x := node.(type) {
				case *ast.UnaryExpr:
					if l, ok := x.X.(*ast.BasicLit); ok && x.Op == token.SUB && l.Kind == token.INT {
						code = "-" + l.Value
					}
				case *ast.BasicLit:
					if s, ok := literal(x); ok && word.MatchString(s) {
						code = s
					} else if x.Kind == token.INT && len(x.Value) > 4 {
						code = x.Value
					}
				}
				if code == "" {
					return true
				}
				n++
				if _, known := c.Platform(driver, code, ""); !known {
					t.Errorf("%s: %s has no words", name, code)
				}
				return false
			})
		}
	}
	if n < 30 {
		t.Errorf("only %d codes found; the test looks in the wrong place", n)
	}
}

func TestUnmappedCodeShowsThePlatformsWords(t *testing.T) {
	c := words.New()
	for _, driver := range []string{"smartpay", "fwc", "lc", "other", "state", "served"} {
		e, known := c.Platform(driver, "-777", " 余额不足 ")
		if known || !strings.Contains(e.Cashier.ZH, "余额不足") || !strings.Contains(e.Cashier.EN, "-777") || !strings.Contains(e.IT.EN, "-777") {
			t.Errorf("%s: %+v", driver, e)
		}
		if e.Patient.Empty() || e.Next.Empty() {
			t.Errorf("%s: %+v", driver, e)
		}
	}
	if e, _ := c.Platform("fwc", "x", ""); !strings.Contains(e.Cashier.ZH, "—") {
		t.Errorf("without words: %+v", e.Cashier)
	}
	if e, _ := c.Platform("fwc", strings.Repeat("码", 500), strings.Repeat("长", 500)); len([]rune(e.Cashier.ZH)) > 280 {
		t.Error("a platform's endless text is not cut")
	}
	// What the platform says may look like one of our placeholders.
	if e, _ := c.Platform("fwc", "{message}", "{code}"); !strings.Contains(e.Cashier.EN, "{code} (code {message})") {
		t.Errorf("a platform's text was filled again: %q", e.Cashier.EN)
	}
}

func TestFill(t *testing.T) {
	e, _ := words.New().Find(words.Verdict, "cash_wait")
	got := e.Cashier.Fill("wait_s", "12")
	if got.ZH != "请等待约 12 秒，平台仍可能扣款" || !strings.Contains(got.EN, "12 s") {
		t.Errorf("%+v", got)
	}
	if x := (words.Text{ZH: "a{b}", EN: "{b}"}).Fill("b"); x.ZH != "a{b}" {
		t.Errorf("a name without a value: %+v", x)
	}
}

// Every stable code that the pure packages can say has words: constants called
// Code…, Note… and Alarm…, and reasons written where they are used.
func TestEveryCodeOfTheCoreHasWords(t *testing.T) {
	c := words.New()
	has := func(code string, groups ...words.Group) bool {
		return slices.ContainsFunc(groups, func(g words.Group) bool { _, ok := c.Find(g, code); return ok })
	}
	n := 0
	for _, dir := range []string{"../order", "../counter"} {
		for _, name := range goFiles(t, dir) {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(node ast.Node) bool {
				switch x := node.(type) {
				case *ast.ValueSpec:
					for i, id := range x.Names {
						if i >= len(x.Values) {
							break
						}
						code, ok := literal(x.Values[i])
						if !ok {
							continue
						}
						for prefix, groups := range map[string][]words.Group{"Code": {words.Problem, words.Reply}, "Note": {words.Scan}, "Alarm": {words.Alarm}} {
							if strings.HasPrefix(id.Name, prefix) {
								n++
								if !has(code, groups...) {
									t.Errorf("%s: %s = %q has no words in %v", name, id.Name, code, groups)
								}
							}
						}
					}
				case *ast.KeyValueExpr:
					key, ok := x.Key.(*ast.Ident)
					code, lit := literal(x.Value)
					if !ok || !lit {
						break
					}
					// A reason with blanks is prose for the platform, not a code.
					if key.Name == "Reason" && !strings.Contains(code, " ") {
						n++
						if !has(code, words.Reason, words.Verdict) {
							t.Errorf("%s: the reason %q has no words", name, code)
						}
					}
					if key.Name == "Alarm" {
						n++
						if !has(code, words.Alarm) {
							t.Errorf("%s: the alarm %q has no words", name, code)
						}
					}
				case *ast.CallExpr:
					sel, ok := x.Fun.(*ast.SelectorExpr)
					if !ok || sel.Sel.Name != "ended" {
						break
					}
					for _, a := range x.Args {
						if code, ok := literal(a); ok {
							n++
							if !has(code, words.Reason) {
								t.Errorf("%s: the reason %q has no words", name, code)
							}
						}
					}
				}
				return true
			})
		}
	}
	if n < 20 {
		t.Errorf("only %d codes found; the test looks in the wrong place", n)
	}
}

// Every kind of code that is not payable has words for the patient.
func TestEveryUnpayableKindHasWords(t *testing.T) {
	c := words.New()
	for _, k := range []platforms.CodeKind{platforms.KindInsurance, platforms.KindIDCard, platforms.KindMerchantQR,
		platforms.KindEMV, platforms.KindProduct, platforms.KindCard, platforms.KindDigits, platforms.KindJunk} {
		if _, ok := c.Find(words.Scan, string(k)); !ok {
			t.Errorf("%s has no words", k)
		}
	}
	for _, ch := range []platforms.Channel{platforms.WeChat, platforms.Alipay, platforms.UnionPay, platforms.ECNY} {
		if words.Wallet(string(ch)).ZH == string(ch) {
			t.Errorf("%s has no name", ch)
		}
	}
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil && s != ""
}

func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	return slices.DeleteFunc(list, func(n string) bool { return strings.HasSuffix(n, "_test.go") })
}

func TestAmountSpoken(t *testing.T) {
	for fen, want := range map[platforms.Fen]string{
		0: "零元", 1: "一分", 5: "五分", 10: "一角", 50: "五角", 55: "五角五分", 99: "九角九分", 100: "一元", 101: "一元零一分",
		105: "一元零五分", 110: "一元一角", 150: "一元五角", 155: "一元五角五分", 200: "二元", 1000: "十元", 1001: "十元零一分", 1100: "十一元", 1230: "十二元三角",
		2000: "二十元", 9900: "九十九元", 10000: "一百元", 10005: "一百元零五分", 10100: "一百零一元", 11000: "一百一十元", 11500: "一百一十五元",
		12850: "一百二十八元五角", 8888: "八十八元八角八分", 100000: "一千元", 100100: "一千零一元", 101000: "一千零一十元", 110000: "一千一百元",
		1000000: "一万元", 1000100: "一万零一元", 1001000: "一万零一十元", 1001001: "一万零一十元零一分", 1010000: "一万零一百元", 1100000: "一万一千元", 1234567: "一万二千三百四十五元六角七分",
		10000000: "十万元", 10000500: "十万零五元", 11000000: "十一万元", 10010000: "十万零一百元", 100000000: "一百万元", 99999999: "九十九万九千九百九十九元九角九分",
		20000500: "二十万零五元", 10000000000: "一亿元", 10000000100: "一亿零一元", 10001000000: "一亿零一万元", 10100000000: "一亿零一百万元",
		11010000000: "一亿一千零一十万元", -50: "负五角", -12850: "负一百二十八元五角",
	} {
		if got := words.AmountSpoken(fen); got != want {
			t.Errorf("%d fen: %s, want %s", fen, got, want)
		}
	}
	const least = platforms.Fen(-1 << 63)
	if got := words.AmountSpoken(least); !strings.HasPrefix(got, "负") || !strings.HasSuffix(got, "元零八分") {
		t.Errorf("the least amount: %s", got)
	}
}

// Reading a spoken amount back gives the amount, for every amount of a wide
// sample: nothing is lost or said twice.
func FuzzAmountSpoken(f *testing.F) {
	for _, n := range []int64{0, 1, 10, 100, 1000, 12850, 10010000, 99999999, 100000001} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		n &= 1<<40 - 1
		s := words.AmountSpoken(platforms.Fen(n))
		if got := read(s); got != n {
			t.Fatalf("%d says %s, which reads %d", n, s, got)
		}
		if strings.Contains(s, "零零") || strings.HasPrefix(s, "一十") {
			t.Fatalf("%d says %s", n, s)
		}
	})
}

// read understands the numerals that AmountSpoken writes.
func read(s string) int64 {
	digits := map[rune]int64{'零': 0, '一': 1, '二': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9}
	units := map[rune]int64{'十': 10, '百': 100, '千': 1000}
	var total, group, num, sum int64
	bare := true
	for _, r := range s {
		switch {
		case r == '万' || r == '亿':
			m := int64(10000)
			if r == '亿' {
				m = 100000000
			}
			sum, group, num = sum+(group+num)*m, 0, 0
		case units[r] > 0:
			if num == 0 && bare {
				num = 1
			}
			group, num = group+num*units[r], 0
		case r == '元':
			total, sum, group, num = (sum+group+num)*100, 0, 0, 0
		case r == '角':
			total, num = total+num*10, 0
		case r == '分':
			total, num = total+num, 0
		default:
			num = digits[r]
		}
		bare = false
	}
	return total
}

func TestListIsCurrent(t *testing.T) {
	got := words.New().Markdown()
	if *update {
		if err := os.WriteFile("WORDS.md", []byte(got), fs.FileMode(0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("WORDS.md")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("WORDS.md is out of date; run go test ./agent/words -update")
	}
	if !reflect.DeepEqual(words.New(), words.New()) {
		t.Error("two catalogues differ")
	}
}
