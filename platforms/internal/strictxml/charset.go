package strictxml

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const bom = "\ufeff"

// head matches the one XML declaration that is allowed. The blank before "?>"
// stands in every sample of seed 004.
var head = regexp.MustCompile(`^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')` +
	`(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([A-Za-z][A-Za-z0-9._-]*)"|'([A-Za-z][A-Za-z0-9._-]*)'))?` +
	`(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>`)

// declaration splits the XML declaration off and gives the encoding it names.
func declaration(s string) (encoding, rest string, err error) {
	if !strings.HasPrefix(s, "<?xml") {
		return "", s, nil
	}
	m := head.FindStringSubmatch(s)
	if m == nil {
		return "", "", fail("its XML declaration is malformed")
	}
	return strings.ToLower(m[1] + m[2]), s[len(m[0]):], nil
}

// decode turns raw bytes into text by the encoding that the declaration or the
// transport names, and drops the declaration.
func decode(b []byte, charset string) (string, error) {
	s := strings.TrimLeft(string(b), blanks)
	marked := strings.HasPrefix(s, bom)
	s = strings.TrimLeft(strings.TrimPrefix(s, bom), blanks)
	named, rest, err := declaration(s)
	if err != nil {
		return "", err
	}
	in, out := family(named), family(charset)
	switch {
	case in == other || out == other:
		return "", fail("its encoding %q is neither UTF-8 nor GBK", clip(named+charset))
	case in != "" && out != "" && in != out:
		return "", fail("it declares %s but was sent as %s", clip(named), clip(charset))
	case in+out == "" || in == utf || out == utf:
		return rest, valid(rest)
	case marked:
		return "", fail("it is sent as %s but begins with the mark of UTF-8", clip(named+charset))
	}
	return FromGB(rest)
}

// The families of encodings; the empty one means that none was named.
const (
	utf   = "utf-8"
	gb    = "gb"
	other = "other"
)

func family(name string) string {
	switch name {
	case "":
		return ""
	case "utf-8", "utf8":
		return utf
	case "gbk", "gb2312", "gb18030":
		return gb
	}
	return other
}

// FromGB turns GB 18030 bytes (and so GBK and GB 2312) into text. Bytes that
// are no character are an error, never a replacement mark.
func FromGB(s string) (string, error) {
	t, err := simplifiedchinese.GB18030.NewDecoder().String(s)
	if err != nil || strings.ContainsRune(t, utf8.RuneError) {
		return "", fail("it contains bytes that are not GBK")
	}
	return t, nil
}

// ToGB turns text into GBK bytes; a character that GBK lacks is an error.
func ToGB(s string) ([]byte, error) {
	t, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		return nil, fail("it contains a character that GBK lacks")
	}
	return []byte(t), nil
}

func valid(s string) error {
	if !utf8.ValidString(s) {
		return fail("it contains bytes that are not UTF-8")
	}
	return nil
}

// EscapeChecked makes text fit to stand between two tags. A character that XML
// cannot carry at all is an error: leaving it out would change a value that
// somebody compares later.
func EscapeChecked(s string) (string, error) {
	if err := valid(s); err != nil {
		return "", err
	}
	for _, r := range s {
		if !carried(r) {
			return "", fail("the character %U cannot stand in XML", r)
		}
	}
	return escaper.Replace(s), nil
}

// Escape is EscapeChecked for text that is known to be clean, such as numbers
// and constants; what XML cannot carry becomes the replacement mark U+FFFD.
func Escape(s string) string {
	return escaper.Replace(strings.Map(func(r rune) rune {
		if !carried(r) {
			return utf8.RuneError
		}
		return r
	}, s))
}

// A carriage return is written as a reference, else readers turn it into \n.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")

func carried(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}
