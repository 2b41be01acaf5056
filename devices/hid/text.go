package hid

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/devices/internal/framing"
)

// The character sets that a code may be read in.
const (
	CharsetUTF8   = "utf-8"
	CharsetGBK    = "gbk"
	CharsetLatin1 = "latin-1"
)

// longest is the longest code in bytes, as for every scanner.
const longest = 512

// drop says why data is no code.
type drop int

const (
	dropNone drop = iota
	dropEmpty
	dropShort
	dropLong
	dropNoise
)

// rules say what of the joined data is a code.
type rules struct {
	charset  string
	min, max int // bytes as the device sent them, without its line end
}

// text turns the data of a whole code into text.
func (r rules) text(data []byte) (string, drop) {
	// The suffix that a scanner is set to, once: CR, LF, both, or TAB.
	if d, ok := bytes.CutSuffix(data, []byte("\r\n")); ok {
		data = d
	} else if n := len(data); n > 0 && (data[n-1] == '\r' || data[n-1] == '\n' || data[n-1] == '\t') {
		data = data[:n-1]
	}
	data = bytes.Trim(data, " ")
	switch n := len(data); {
	case n == 0:
		return "", dropEmpty
	case n < r.min:
		return "", dropShort
	case n > r.max:
		return "", dropLong
	}
	text, ok := r.decode(data)
	// To leave control characters out would make another code of it.
	if !ok || !framing.Clean(text) {
		return "", dropNoise
	}
	return text, dropNone
}

// decode reads bytes in the set asked for, or in the first that fits.
func (r rules) decode(data []byte) (string, bool) {
	switch r.charset {
	case CharsetUTF8:
		return string(data), utf8.Valid(data)
	case CharsetGBK:
		return gbk(data)
	case CharsetLatin1:
		return latin1(data), true
	}
	if utf8.Valid(data) {
		return string(data), true
	}
	if s, ok := gbk(data); ok {
		return s, true
	}
	return latin1(data), true
}

func gbk(data []byte) (string, bool) {
	b, err := simplifiedchinese.GBK.NewDecoder().Bytes(data)
	if err != nil || bytes.ContainsRune(b, utf8.RuneError) {
		return "", false
	}
	return string(b), true
}

// latin1 maps each byte to the character of the same number.
func latin1(data []byte) string {
	var s strings.Builder
	for _, b := range data {
		s.WriteRune(rune(b))
	}
	return s.String()
}
