package framing

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

func gbk(s string) string {
	b, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestCharsets(t *testing.T) {
	for _, c := range []struct{ name, charset, in, want string }{
		{"ASCII", "", code1, code1},
		{"UTF-8", "", "就诊卡 123", "就诊卡 123"},
		{"GBK", "", gbk("就诊卡 123"), "就诊卡 123"},
		{"GBK at the end", "", "P001234 " + gbk("张三"), "P001234 张三"},
		{"GBK in the middle", "", "1234" + gbk("张") + "5678", "1234张5678"},
		{"GBK with noise around", "", "\x00\xff " + gbk("张三") + "1\x7f\xfe", "张三1"},
		{"noise around ASCII", "", "\x00\xff\x11" + code1 + "\x7f\xfe", code1},
		{"two bytes of noise in front", "", "\xff\xfe" + code1, code1},
		{"a lone byte inside is noise", "", "1345\xff67", ""},
		{"a lone lead byte inside is noise", "", "1345\xd567", ""},
		{"and makes no character with a letter", "", "AB\xd5CD", ""},
		{"three bytes are no characters", "", "13" + "\xd5\xc5\xc8" + "67", ""},
		{"control character beside GBK", "", gbk("张") + "\x1b" + "1", ""},
		{"a rare character needs gbk", "", "1" + gbk("镕") + "2", ""},
		{"gbk", CharsetGBK, "1" + gbk("镕") + "2", "1镕2"},
		{"gbk, a lone byte", CharsetGBK, "1\xff2", ""},
		{"gbk, noise at the end", CharsetGBK, gbk("镕") + "1\xff", "镕1"},
		{"utf-8 only", CharsetUTF8, "12" + gbk("张三") + "34", ""},
		{"latin-1", CharsetLatin1, "caf\xe9 1", "café 1"},
		{"latin-1, C1", CharsetLatin1, "caf\x85\xe9", ""},
		{"blanks inside", "", " a  b ", "a  b"},
		{"only noise", "", "\x00\xff \xfe", ""},
	} {
		f := framer(t, Config{Charset: c.charset})
		got := texts(f.Feed([]byte(c.in+"\r"), at(0)))
		if c.want == "" && len(got) != 0 || c.want != "" && (len(got) != 1 || got[0] != c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if _, err := New(Config{Charset: "big5"}); err == nil {
		t.Error("big5 was accepted")
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{code1, gbk("就诊卡") + "1", "\xff\xfe1\x00", "a\xd5b", "\xc2\x85x", " \xe9 "} {
		f.Add([]byte(s), uint8(0))
	}
	names := []string{"", CharsetUTF8, CharsetGBK, CharsetLatin1}
	f.Fuzz(func(t *testing.T, raw []byte, n uint8) {
		name := names[int(n)%len(names)]
		text, trimmed, ok := Text(raw, name)
		if !utf8.ValidString(text) || trimmed > len(raw) || text == "" && trimmed != len(raw) {
			t.Fatalf("%q gives %q and %d", raw, text, trimmed)
		}
		if !ok {
			return
		}
		if !clean(text) {
			t.Fatalf("%q gives %q", raw, text)
		}
		// What is clean reads the same again, whatever the noise around.
		if again, _, ok := Text([]byte("\x00"+text+"\x01"), CharsetUTF8); !ok || again != text {
			t.Fatalf("%q gives %q, then %q", raw, text, again)
		}
	})
}
