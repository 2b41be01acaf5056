package wedge

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

// A keyboard as it is printed on its caps: rows from the digits down, one
// string per level. It is written from pictures of keyboards, the other way
// round than the decoder's table, so that an error in one of them shows. A
// blank stands for no character on that cap. Dead keys are drawn with the
// signs that text does not use: ˆ ˋ ˊ ˜ ¨.
type picture struct {
	plain, shift, altGr, both [4]string
	japanese, brazilian       bool
}

// caps are the key codes of the rows: left to right, with the key beside Enter
// at the end of the third row and the one beside the right shift at the end of
// the fourth.
var capCodes = [4][]uint16{
	{41, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 124},
	{16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27},
	{30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 43},
	{86, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 89},
}

var pictures = map[string]picture{
	"us": {
		plain: [4]string{"`1234567890-=", "qwertyuiop[]", `asdfghjkl;'\`, `\zxcvbnm,./`},
		shift: [4]string{"~!@#$%^&*()_+", "QWERTYUIOP{}", `ASDFGHJKL:"|`, `|ZXCVBNM<>?`},
	},
	"uk": {
		plain: [4]string{"`1234567890-=", "qwertyuiop[]", `asdfghjkl;'#`, `\zxcvbnm,./`},
		shift: [4]string{`¬!"£$%^&*()_+`, "QWERTYUIOP{}", `ASDFGHJKL:@~`, `|ZXCVBNM<>?`},
		altGr: [4]string{"¦   €", "  é   úíó", "á", ""},
		both:  [4]string{"", "  É   ÚÍÓ", "Á", ""},
	},
	"de": {
		plain: [4]string{"ˆ1234567890ßˊ", "qwertzuiopü+", "asdfghjklöä#", "<yxcvbnm,.-"},
		shift: [4]string{"°!\"§$%&/()=?ˋ", "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ'", ">YXCVBNM;:_"},
		altGr: [4]string{"  ²³   {[]}\\", "@ €        ~", "", "|      µ"},
	},
	"fr": {
		plain: [4]string{"²&é\"'(-è_çà)=", "azertyuiopˆ$", "qsdfghjklmù*", "<wxcvbn,;:!"},
		shift: [4]string{" 1234567890°+", "AZERTYUIOP¨£", "QSDFGHJKLM%µ", ">WXCVBN?./§"},
		altGr: [4]string{"  ˜#{[|ˋ\\^@]}", "  €        ¤", "", ""},
	},
	"es": {
		plain: [4]string{"º1234567890'¡", "qwertyuiopˋ+", "asdfghjklñˊç", "<zxcvbnm,.-"},
		shift: [4]string{"ª!\"·$%&/()=?¿", "QWERTYUIOPˆ*", "ASDFGHJKLÑ¨Ç", ">ZXCVBNM;:_"},
		altGr: [4]string{"\\|@#˜€¬", "  €       []", "          {}", ""},
	},
	"it": {
		plain: [4]string{"\\1234567890'ì", "qwertyuiopè+", "asdfghjklòàù", "<zxcvbnm,.-"},
		shift: [4]string{"|!\"£$%&/()=?^", "QWERTYUIOPé*", "ASDFGHJKLç°§", ">ZXCVBNM;:_"},
		altGr: [4]string{"", "  €       []", "         @#", ""},
		both:  [4]string{"", "          {}", "", ""},
	},
	"jp": {
		plain: [4]string{" 1234567890-^\\", "qwertyuiop@[", "asdfghjkl;:]", ` zxcvbnm,./\`},
		shift: [4]string{" !\"#$%&'() =~|", "QWERTYUIOP`{", "ASDFGHJKL+*}", " ZXCVBNM<>?_"},
	},
	"br": {
		plain: [4]string{"'1234567890-=", "qwertyuiopˊ[", "asdfghjklç˜]", `\zxcvbnm,.;/`},
		shift: [4]string{`"!@#$%¨&*()_+`, "QWERTYUIOPˋ{", "ASDFGHJKLÇˆ}", "|ZXCVBNM<>:?"},
		altGr: [4]string{" ¹²³£¢¬     §", "/?€        ª", "           º", "           °"},
	},
}

// deadSigns are what the drawn dead keys give with the space bar.
const deadSigns = "ˆ^ˋ`ˊ´˜~¨¨"

// stroke is one key with what is held meanwhile.
type stroke struct {
	code         uint16
	shift, altGr bool
	dead         bool // the space bar follows
}

// strokes gives every way to type a character; none where Alt and its number
// are needed.
func (p picture) strokes(want rune) (out []stroke) {
	if want == ' ' {
		return []stroke{{code: 57}}
	}
	drawn := want
	signs := []rune(deadSigns)
	dead := rune(0)
	for i := 0; i < len(signs); i += 2 {
		if signs[i+1] == want {
			dead = signs[i]
		}
	}
	for level, rows := range [][4]string{p.plain, p.shift, p.altGr, p.both} {
		for row, text := range rows {
			for i, r := range []rune(text) {
				if r == drawn && r != '¨' || dead != 0 && r == dead {
					out = append(out, stroke{capCodes[row][i], level&1 != 0, level&2 != 0, r == dead})
				}
			}
		}
	}
	return out
}

// typist makes key events as a scanner does: a key at a time, a time stamp for
// each.
type typist struct {
	picture picture
	out     []event
	now     time.Duration // the kernel's clock
	step    time.Duration // between two reports
	nth     int           // which of several ways to type a character
	scans   bool          // with the scan codes that kernels send along
}

func (y *typist) event(kind, code uint16, value int32) {
	e := stamped(y.now)
	e.kind, e.code, e.value = kind, code, value
	y.out = append(y.out, e)
}

func stamped(at time.Duration) event {
	return event{sec: uint(at / time.Second), usec: uint(at % time.Second / time.Microsecond)}
}

// raw is what the kernel would give.
func raw(events []event) []byte {
	if len(events) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&events[0])), len(events)*eventSize)
}

// report sends one key and the end of the report.
func (y *typist) report(code uint16, value int32) {
	if y.scans {
		y.event(4, 4, int32(0x70000)+int32(code))
	}
	y.event(evKey, code, value)
	y.event(evSyn, 0, 0)
	y.now += y.step
}

func (y *typist) tap(code uint16) {
	y.report(code, 1)
	y.report(code, 0)
}

// with holds keys while f types.
func (y *typist) with(f func(), codes ...uint16) {
	for _, c := range codes {
		y.report(c, 1)
	}
	f()
	for _, c := range codes {
		y.report(c, 0)
	}
}

// number types Alt and a number.
func (y *typist) number(digits string) {
	y.with(func() {
		for _, d := range digits {
			y.tap([]uint16{82, 79, 80, 81, 75, 76, 77, 71, 72, 73}[d-'0'])
		}
	}, 56)
}

// text types text; a line end is Enter, Tab is Tab, other bytes that no key
// types are keys that no keyboard has.
func (y *typist) text(s string) {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		b := s[0]
		s = s[n:]
		switch {
		case b == '\r' || b == '\n':
			y.tap(28)
		case b == '\t':
			y.tap(15)
		case b == 0x1b:
			y.tap(1)
		case b < ' ' || b == 0x7f || r == utf8.RuneError:
			y.tap(240)
		default:
			y.char(r)
		}
	}
}

func (y *typist) char(r rune) {
	ways := y.picture.strokes(r)
	if len(ways) == 0 {
		if r < 0x80 {
			y.number(fmt.Sprint(r))
		} else {
			y.number(fmt.Sprintf("0%d", r))
		}
		return
	}
	w := ways[y.nth%len(ways)]
	var held []uint16
	if w.shift {
		held = append(held, 42)
	}
	if w.altGr {
		held = append(held, 100)
	}
	y.with(func() { y.tap(w.code) }, held...)
	if w.dead {
		y.tap(57)
	}
}

// ascii is all printable ASCII.
func ascii() string {
	var b strings.Builder
	for c := byte(' '); c < 0x7f; c++ {
		b.WriteByte(c)
	}
	return b.String()
}
