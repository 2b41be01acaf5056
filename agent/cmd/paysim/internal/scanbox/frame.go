package scanbox

import (
	"errors"
	"fmt"
	"slices"
)

// Suffix is what the box writes behind a code.
type Suffix string

// The suffixes; cr is what boxes do as they come. Stxetx writes STX before and
// ETX behind.
const (
	CR     Suffix = "cr"
	LF     Suffix = "lf"
	CRLF   Suffix = "crlf"
	Tab    Suffix = "tab"
	None   Suffix = "none"
	STXETX Suffix = "stxetx"
)

// Suffixes lists them.
func Suffixes() []Suffix { return []Suffix{CR, LF, CRLF, Tab, None, STXETX} }

// Style is how the bytes come.
type Style string

// The styles.
const (
	Whole   Style = "whole"
	Halves  Style = "halves"  // in two writes, HalfPause apart
	Singly  Style = "singly"  // byte by byte
	Doubled Style = "doubled" // the same code read twice
	Noise   Style = "noise"   // control bytes and 0xFF before and behind the code's frame
)

// Styles lists them.
func Styles() []Style { return []Style{Whole, Halves, Singly, Doubled, Noise} }

// ErrFrame is wrapped when a text cannot be written as asked.
var ErrFrame = errors.New("cannot scan")

// maxText bounds a text: the capacity of a QR code, in bytes.
const maxText = 7089

// frames gives the writes that make up a scan.
func frames(text string, suffix Suffix, style Style) ([][]byte, error) {
	if text == "" || len(text) > maxText {
		return nil, fmt.Errorf("%w: give 1 to %d bytes of text", ErrFrame, maxText)
	}
	before, behind := "", ""
	switch suffix {
	case CR, "":
		behind = "\r"
	case LF:
		behind = "\n"
	case CRLF:
		behind = "\r\n"
	case Tab:
		behind = "\t"
	case None:
	case STXETX:
		before, behind = "\x02", "\x03"
	default:
		return nil, fmt.Errorf("%w: the suffix is one of %v", ErrFrame, Suffixes())
	}
	one := []byte(before + text + behind)
	switch style {
	case Whole, "":
		return [][]byte{one}, nil
	case Halves:
		// Cut inside the text, so that a reader that takes each read for a
		// code is found out.
		cut := len(before) + (len(text)+1)/2
		return slices.DeleteFunc([][]byte{one[:cut], one[cut:]}, func(b []byte) bool { return len(b) == 0 }), nil
	case Singly:
		var all [][]byte
		for i := range one {
			all = append(all, one[i:i+1])
		}
		return all, nil
	case Doubled:
		return [][]byte{one, one}, nil
	case Noise:
		return [][]byte{append(append([]byte("\x00\xff\x1b\x7f"), one...), 0x00, 0xff)}, nil
	}
	return nil, fmt.Errorf("%w: the style is one of %v", ErrFrame, Styles())
}
