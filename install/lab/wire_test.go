//go:build lab && linux

package lab

import "strings"

// reports are the input reports of one scan by a HID POS scanner.
func reports(k kind, text string) [][]byte {
	var list [][]byte
	for first := true; first || text != ""; first = false {
		part := text[:min(56, len(text))]
		text = text[len(part):]
		r := make([]byte, 64)
		r[0], r[1] = 2, byte(len(part))
		at := 2
		if k == honeywell {
			copy(r[2:], "]Q1")
			at = 5
			r[61] = 's'
		} else {
			r[62] = 31 // the vendor's number of a QR code
		}
		copy(r[at:], part)
		if text != "" {
			r[63] = 1
		}
		list = append(list, r)
	}
	return list
}

const (
	shift  = 0x02 // left shift in the first byte of a keyboard report
	ctrl   = 0x01
	enter  = 0x28
	absent = 0
)

// key gives the code and the modifier that type a character on a US layout;
// control characters are typed as Ctrl and a letter, what no key types as F1.
func key(c byte) (code, modifier byte) {
	const plain, shifted = "-=[]\\\x00;'`,./", "_+{}|\x00:\"~<>?"
	switch {
	case c == '\r' || c == '\n':
		return enter, 0
	case c == '\t':
		return 0x2b, 0
	case c == 0x1b:
		return 0x29, 0
	case c >= '1' && c <= '9':
		return 0x1e + c - '1', 0
	case c == '0':
		return 0x27, 0
	case c >= 'a' && c <= 'z':
		return 0x04 + c - 'a', 0
	case c >= 'A' && c <= 'Z':
		return 0x04 + c - 'A', shift
	case c == ' ':
		return 0x2c, 0
	case c > 0 && c < 0x1b: // of a hostile code
		return 0x04 + c - 1, ctrl
	}
	if i := strings.IndexByte(plain, c); i >= 0 && c != 0 {
		return 0x2d + byte(i), 0
	}
	if i := strings.IndexByte(shifted, c); i >= 0 && c != 0 {
		return 0x2d + byte(i), shift
	}
	return 0x3a, 0
}

// keys are the reports of a keyboard that types a text. A key goes down in the
// report in which the one before goes up; the same key twice needs one between.
func keys(text string) [][]byte {
	var list [][]byte
	report := func(modifier, code byte) { list = append(list, []byte{modifier, 0, code, 0, 0, 0, 0, 0}) }
	last := byte(absent)
	for i := range len(text) {
		code, modifier := key(text[i])
		if code == last {
			report(0, absent)
		}
		report(modifier, code)
		last = code
	}
	report(0, absent)
	return list
}
