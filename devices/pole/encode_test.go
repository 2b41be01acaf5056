package pole_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"payagent/devices"
	"payagent/devices/pole"
)

var update = flag.Bool("update", false, "write the golden files anew")

func families() []string {
	return []string{pole.LED8, pole.CD5220, pole.DMD, pole.UTC, pole.UTCEnhanced, pole.AEDEX}
}

func encoder(t testing.TB, cfg pole.Config) pole.Encoder {
	t.Helper()
	e, err := cfg.Encoder()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// screens are the states, with the texts that the agent gives them.
func screens() []devices.Screen {
	return []devices.Screen{
		{State: "idle", Title: "欢迎光临", TitleEN: "WELCOME", Line: "张*丰", LineEN: "ZHANG*", Amount: "128.50"},
		{State: "idle"},
		{State: "waiting", Title: "请出示付款码", TitleEN: "SHOW PAYMENT CODE", Line: "张*丰", LineEN: "ZHANG*", Amount: "128.50"},
		{State: "queued", Title: "请稍候", TitleEN: "PLEASE WAIT", Amount: "128.50"},
		{State: "paying", Title: "支付中", TitleEN: "PAYING", Amount: "128.50"},
		{State: "canceling", Title: "正在撤销", TitleEN: "CANCELING", Amount: "128.50"},
		{State: "in_doubt", Title: "结果待查，请勿重付", TitleEN: "CHECKING, DO NOT PAY", Amount: "128.50"},
		{State: "paid", Title: "支付成功", TitleEN: "PAID", Line: "张*丰", LineEN: "ZHANG*", Amount: "128.50"},
		{State: "failed", Title: "支付失败", TitleEN: "NOT PAID", Amount: "128.50"},
		{State: "canceled", Title: "已取消", TitleEN: "CANCELED"},
		{State: "offline", Title: "暂停扫码收费", TitleEN: "NO PAYMENT NOW", Line: "请到人工窗口", LineEN: "PLEASE ASK STAFF"},
		{State: "waiting", Title: "请出示付款码", TitleEN: "SHOW PAYMENT CODE", Amount: "0.01", Test: true},
		{State: "waiting", Title: "请出示付款码", TitleEN: "SHOW PAYMENT CODE", Line: "门诊缴费第三窗口", LineEN: "OUTPATIENT WINDOW 3", Amount: "999999.99", Test: true},
		{State: "waiting", Title: "请出示付款码或身份证件照片", TitleEN: "SHOW YOUR CODE TO THE SCANNER", Amount: "1000000.00"},
		{State: "waiting", Title: "a付款码付款码付款码付款码", Amount: "12345678901234567890.00"},
		{State: "waiting", Amount: "12.3"},
	}
}

// TestGolden: the bytes of each family in each state, with what the display
// then shows.
func TestGolden(t *testing.T) {
	for _, family := range families() {
		for _, charset := range []string{pole.CharsetGBK, pole.CharsetASCII} {
			if family == pole.LED8 && charset == pole.CharsetASCII {
				continue // Digits only.
			}
			e := encoder(t, pole.Config{Name: "d", Family: family, Charset: charset})
			var b strings.Builder
			fmt.Fprintf(&b, "# The bytes for a display of the family %s, character set %s, and what it then shows.\n", family, charset)
			term := newTerminal(family)
			put := func(what string, p []byte) {
				// A byte takes 10 bits. The state is seen within 150 ms (DSP-01).
				if took := time.Duration(len(p)) * 10 * time.Second / 9600; took > 100*time.Millisecond {
					t.Errorf("%s: %s takes %v at 9600 baud", family, what, took)
				}
				if err := term.feed(p); err != nil {
					t.Error(err)
				}
				if err := term.whole(); err != nil {
					t.Error(err)
				}
				upper, lower := term.lines()
				fmt.Fprintf(&b, "\n# %s\n# |%s|\n", what, upper)
				if family == pole.LED8 {
					fmt.Fprintf(&b, "# lamp %c\n", term.lamp)
				} else {
					fmt.Fprintf(&b, "# |%s|\n", lower)
				}
				fmt.Fprintf(&b, "% X\n", p)
			}
			put("after opening", e.Start())
			for _, s := range screens() {
				p, err := e.Paint(s)
				what := fmt.Sprintf("%s, test %v, amount %q", s.State, s.Test, s.Amount)
				if err != nil {
					what += ", refused"
				}
				put(what, p)
			}
			put("after Close", e.Clear())
			name := "testdata/" + family + "-" + charset + ".golden"
			if *update {
				if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != string(want) {
				t.Errorf("%s differs:\n%s", name, got)
			}
		}
	}
}

// TestKnownBytes: bytes written down from the families' descriptions.
func TestKnownBytes(t *testing.T) {
	for _, c := range []struct {
		cfg    pole.Config
		screen devices.Screen
		want   string
	}{
		{pole.Config{Family: pole.LED8}, devices.Screen{State: "waiting", Amount: "88.88"}, "\x1bQA88.88\r\x1bs2"},
		{pole.Config{Family: pole.LED8}, devices.Screen{State: "paid", Amount: "999999.99"}, "\x1bQA999999.99\r\x1bs3"},
		{pole.Config{Family: pole.LED8}, devices.Screen{State: "paid", Amount: "1000000.00"}, "\x0c\x1bs0"},
		{pole.Config{Family: pole.LED8}, devices.Screen{State: "idle", Amount: "88.88"}, "\x0c\x1bs0"},
		{pole.Config{Family: pole.CD5220}, devices.Screen{State: "paid", Title: "请付款", Amount: "1.00"},
			"\x0c\x1bQA       \xc7\xeb\xb8\xb6\xbf\xee\r\x1bQB              \xa3\xa41.00\r"},
		{pole.Config{Family: pole.CD5220, Charset: pole.CharsetASCII}, devices.Screen{State: "waiting", TitleEN: "TOTAL", Amount: "88.88"},
			"\x0c\x1bQA       TOTAL\r\x1bQB           RMB 88.88\r"},
		{pole.Config{Family: pole.DMD, Shared: true}, devices.Screen{State: "idle"}, "\x1b=\x02\x0c\x1b=\x01"},
		{pole.Config{Family: pole.DMD}, devices.Screen{State: "waiting", Title: "¥", Line: "€"}, "\x0c         \xa3\xa4\x1f$\x01\x02?"},
		{pole.Config{Family: pole.UTC}, devices.Screen{State: "idle"}, "\x1f"},
		{pole.Config{Family: pole.UTCEnhanced}, devices.Screen{State: "idle"}, "\x1buA                    \r\x1buB                    \r"},
		{pole.Config{Family: pole.AEDEX}, devices.Screen{State: "waiting", Line: "x"}, "!#1                    \r!#2x                   \r"},
	} {
		got, _ := encoder(t, c.cfg).Paint(c.screen)
		if string(got) != c.want {
			t.Errorf("%s %+v:\n got % x\nwant % x", c.cfg.Family, c.screen, got, c.want)
		}
	}
}

// TestForeign: the terminals of the tests do notice another family's bytes.
func TestForeign(t *testing.T) {
	s := devices.Screen{State: "paid", Title: "支付成功", Amount: "88.88"}
	for _, from := range families() {
		p, err := encoder(t, pole.Config{Family: from}).Paint(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range families() {
			term := newTerminal(to)
			err := term.feed(p)
			if err == nil {
				err = term.whole()
			}
			if (err == nil) != (from == to) {
				t.Errorf("bytes for %s on %s: %v", from, to, err)
			}
		}
	}
	for family, bad := range map[string]string{pole.CD5220: "\x1bs1", pole.LED8: "\x1bs9", pole.DMD: "\x1f", pole.AEDEX: "!#8",
		pole.UTC: "\x1b", pole.UTCEnhanced: "\x1buAshort\r"} {
		term := newTerminal(family)
		if err := term.feed([]byte(bad)); err == nil && term.whole() == nil {
			t.Errorf("%s takes % x", family, bad)
		}
	}
}

// TestStart: what is sent at the start is of the family too.
func TestStart(t *testing.T) {
	for _, cfg := range []pole.Config{
		{Family: pole.LED8}, {Family: pole.CD5220}, {Family: pole.CD5220, Brightness: 1}, {Family: pole.CD5220, Brightness: 4},
		{Family: pole.DMD}, {Family: pole.DMD, Brightness: 3}, {Family: pole.DMD, Shared: true}, {Family: pole.UTC}, {Family: pole.UTCEnhanced},
	} {
		term := newTerminal(cfg.Family)
		for range 2 { // A second agent may find the display as the first left it.
			e := encoder(t, cfg)
			p, _ := e.Paint(devices.Screen{State: "waiting", Title: "请付款", Amount: "1.00"})
			if err := term.feed(append(e.Start(), p...)); err != nil {
				t.Error(err)
			}
		}
		if term.printer != cfg.Shared {
			t.Errorf("%+v: the printer has the line %v", cfg, term.printer)
		}
		if term.resets < 2 || int(term.dim) != cfg.Brightness {
			t.Errorf("%+v: %d starts, brightness %d", cfg, term.resets, term.dim)
		}
	}
	if got := encoder(t, pole.Config{Family: pole.AEDEX}).Start(); len(got) != 0 {
		t.Errorf("aedex: % x", got)
	}
	if got := encoder(t, pole.Config{Family: pole.CD5220, Init: "none"}).Start(); len(got) != 0 {
		t.Errorf("none: % x", got)
	}
	// Bixolon's and Digipos's own starts (wire.md §8.3).
	for _, init := range []string{"1B 40 1B 3D 02 1B 13 1B 5F 00", "1b401b3d011f031f4300"} {
		if got := encoder(t, pole.Config{Family: pole.DMD, Init: init}).Start(); len(got) != 10 {
			t.Errorf("%s: % x", init, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		cfg  pole.Config
		want string
	}{
		{pole.Config{}, "family is missing"},
		{pole.Config{Family: "vfd"}, `no family "vfd"`},
		{pole.Config{Family: pole.LED8, Columns: 20}, "20 columns"},
		{pole.Config{Family: pole.UTC, Columns: 16}, "16 columns"},
		{pole.Config{Family: pole.CD5220, Columns: 21}, "21 columns"},
		{pole.Config{Family: pole.CD5220, Rows: 4}, "2 lines, not 4"},
		{pole.Config{Family: pole.CD5220, Charset: "utf-8"}, "character set"},
		{pole.Config{Family: pole.CD5220, Brightness: 5}, "brightness 5"},
		{pole.Config{Family: pole.UTC, Brightness: 1}, "brightness 1"},
		{pole.Config{Family: pole.DMD, Brightness: 1, Init: "1B 40"}, "put the brightness into init"},
		{pole.Config{Family: pole.CD5220, Shared: true}, "printer"},
		{pole.Config{Family: pole.CD5220, Refresh: 1}, "refresh"},
		{pole.Config{Family: pole.CD5220, Baud: 1}, "1 baud"},
		{pole.Config{Family: pole.CD5220, Line: "9N1"}, "line setting"},
		{pole.Config{Family: pole.CD5220, Line: "8X1"}, "line setting"},
		{pole.Config{Family: pole.CD5220, Line: "8N3"}, "line setting"},
		{pole.Config{Family: pole.CD5220, Line: "8N"}, "line setting"},
		{pole.Config{Family: pole.CD5220, Line: "7E1"}, "7 data bits"},
		{pole.Config{Family: pole.CD5220, Init: "1B 4"}, "in hex"},
		{pole.Config{Family: pole.CD5220, Init: "1B 73 31"}, "another family's"}, // writes into the EEPROM
		{pole.Config{Family: pole.CD5220, Init: "1B 40 1B 3D 02"}, "byte 3"},
		{pole.Config{Family: pole.LED8, Init: "1B 73 35"}, "another family's"},
		{pole.Config{Family: pole.AEDEX, Init: "1B 40"}, "another family's"},
		{pole.Config{Family: pole.DMD, Init: "1B"}, "another family's"},
	} {
		c.cfg.Name = "till 3"
		_, err := c.cfg.Encoder()
		if err == nil || !strings.HasPrefix(err.Error(), "cannot ") || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "till 3") {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}

// FuzzPaint: whatever a screen holds, the display gets whole commands of its
// own family, and nothing longer than its lines.
func FuzzPaint(f *testing.F) {
	for i, s := range screens() {
		f.Add(uint8(i), i%2 == 0, uint8(20-i%5), s.State, s.Title, s.Line, s.Amount, s.Test)
	}
	f.Add(uint8(1), false, uint8(16), "waiting", "\x1bs1\r\x0c", "!#8\x1a\u200b😀", "-1.00\r", true)
	f.Add(uint8(5), false, uint8(20), "paid", "十个汉字十个汉字十个汉字", "\xff\xfe¥€㐀", "1.00", true)
	f.Fuzz(func(t *testing.T, family uint8, ascii bool, columns uint8, state, title, line, amount string, test bool) {
		cfg := pole.Config{Name: "d", Family: families()[int(family)%len(families())]}
		if ascii {
			cfg.Charset = pole.CharsetASCII
		}
		if cfg.Family == pole.CD5220 || cfg.Family == pole.DMD {
			cfg.Columns = 16 + int(columns)%5
		}
		e := encoder(t, cfg)
		s := devices.Screen{State: state, Title: title, Line: line, TitleEN: title, LineEN: line, Amount: amount, Test: test}
		p, err := e.Paint(s)
		if again, _ := e.Paint(s); !bytes.Equal(p, again) {
			t.Error("the same screen gives other bytes")
		}
		term := newTerminal(cfg.Family)
		if err := term.feed(p); err != nil {
			t.Fatal(err)
		}
		if err := term.whole(); err != nil {
			t.Fatal(err)
		}
		upper, lower := term.lines()
		shown := upper + lower
		if !utf8.ValidString(shown) {
			t.Errorf("%q", shown)
		}
		if cfg.Columns > 0 && (strings.TrimSpace(string(term.cells[cfg.Columns:20])) != "" || strings.TrimSpace(string(term.cells[20+cfg.Columns:])) != "") {
			t.Errorf("more than %d columns: %q", cfg.Columns, shown)
		}
		if test && cfg.Family != pole.LED8 && !strings.Contains(shown, "测试") && !strings.Contains(shown, "TEST") {
			t.Errorf("a test is not marked: %q", shown)
		}
		if err != nil && state != "" && strings.Contains(shown, "￥") && !strings.ContainsAny(title+line, "￥¥") {
			t.Errorf("a refused amount is shown: %q", shown)
		}
		if err := term.feed(e.Clear()); err != nil {
			t.Fatal(err)
		}
		if upper, lower := term.lines(); strings.TrimSpace(upper+lower) != "" || term.lamp != '0' {
			t.Errorf("cleared, it shows %q %q", upper, lower)
		}
	})
}
