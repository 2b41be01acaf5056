package framing

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// The character sets in which a scanner may send text that is not ASCII. The
// default, the empty text, tries UTF-8 and then the characters of GB 2312,
// whose bytes both lie above ASCII: a single broken byte in a code is noise
// then as before, and never becomes a character together with its neighbour.
const (
	CharsetUTF8   = "utf-8"
	CharsetGBK    = "gbk"     // all of GBK, for names with rare characters
	CharsetLatin1 = "latin-1" // every byte is a character
)

func checkCharset(name string) error {
	switch name {
	case "", CharsetUTF8, CharsetGBK, CharsetLatin1:
		return nil
	}
	return fmt.Errorf("cannot use charset %q; write utf-8, gbk, latin-1 or nothing", name)
}

// Text turns the bytes of one code into text: noise and blanks are taken off
// both ends (trimmed says how many bytes), and ok is false where noise stands
// inside, since to leave that out would make another code of it. The charset
// is one of the Charset constants or empty.
func Text(raw []byte, charset string) (text string, trimmed int, ok bool) {
	switch charset {
	case CharsetUTF8:
		t := cut(raw, asUTF8)
		return t.text, t.trimmed, t.ok
	case CharsetGBK:
		t := cut(raw, asGBK)
		return t.text, t.trimmed, t.ok
	case CharsetLatin1:
		t := cut(raw, asLatin1)
		return t.text, t.trimmed, t.ok
	}
	t := cut(raw, asUTF8)
	if !t.high {
		return t.text, t.trimmed, t.ok
	}
	// Something above ASCII is no UTF-8. Where it reads as Chinese it is a part
	// of the code, which must not be cut off as if it were noise.
	if g := cut(raw, asGB2312); g.wide {
		return g.text, g.trimmed, g.ok
	}
	return t.text, t.trimmed, t.ok
}

// reading is what one character set makes of some bytes.
type reading struct {
	text    string
	trimmed int
	ok      bool // no noise inside
	high    bool // some noise was above ASCII
	wide    bool // some characters were Chinese
}

// cut reads raw with next, which gives the next character and its size, or ok
// false for a byte of noise.
func cut(raw []byte, next func([]byte) (r rune, size int, ok bool)) reading {
	t := reading{ok: true}
	var b strings.Builder
	begun := false
	tail := 0    // bytes of noise and blanks seen since the last character
	good := 0    // length of the text up to the last character
	bad := false // there was noise among them
	for len(raw) > 0 {
		r, size, ok := next(raw)
		blank := ok && r == ' '
		if !ok {
			t.high = t.high || raw[0] >= 0x80
		}
		switch {
		case !begun && (blank || !ok):
			t.trimmed += size
		case blank || !ok:
			tail += size
			bad = bad || !ok
			if blank {
				b.WriteRune(r)
			}
		default:
			begun = true
			t.ok = t.ok && !bad
			t.wide = t.wide || size > 1
			b.WriteRune(r)
			good, tail = b.Len(), 0
		}
		raw = raw[size:]
	}
	t.trimmed += tail
	t.text = b.String()[:good]
	return t
}

func asUTF8(p []byte) (rune, int, bool) {
	r, n := utf8.DecodeRune(p)
	return r, n, !noise(r, n)
}

func asGB2312(p []byte) (rune, int, bool) {
	if len(p) > 1 && p[0] >= 0xa1 && p[0] <= 0xf7 && p[1] >= 0xa1 && p[1] <= 0xfe {
		return pair(p)
	}
	return rune(p[0]), 1, p[0] < 0x80 && !noise(rune(p[0]), 1)
}

func asGBK(p []byte) (rune, int, bool) {
	if len(p) > 1 && p[0] >= 0x81 && p[0] <= 0xfe && p[1] >= 0x40 && p[1] != 0x7f && p[1] != 0xff {
		return pair(p)
	}
	return rune(p[0]), 1, p[0] < 0x80 && !noise(rune(p[0]), 1)
}

// pair reads two bytes of GBK.
func pair(p []byte) (rune, int, bool) {
	b, err := simplifiedchinese.GBK.NewDecoder().Bytes(p[:2])
	r, n := utf8.DecodeRune(b)
	if err != nil || n != len(b) || noise(r, n) || r == utf8.RuneError {
		return 0, 1, false
	}
	return r, 2, true
}

func asLatin1(p []byte) (rune, int, bool) { return rune(p[0]), 1, !noise(rune(p[0]), 2) }
