// Package strictjson reads the JSON of payment platforms, where two readers
// that understand the same bytes differently are a way to steal.
//
// Refused, because readers differ on it or because nobody honest sends it:
// keys that occur twice in one object or differ only in case, bytes behind the
// document, invalid UTF-8 and lone surrogates, numbers of more than 32
// characters or with exponents of more than two digits, more than 32 levels,
// more than 64 KiB. A byte order mark in front is read over.
//
// Numbers stay the text they were, so that no float ever touches money, and
// every value knows the bytes it was read from, so that a signature over them
// can be checked. [Members] finds the values of the outermost object without
// decoding what is inside them; [Parse] decodes.
package strictjson

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// The bounds.
const (
	MaxBytes  = 64 << 10
	MaxDepth  = 32
	MaxNumber = 32 // characters of a number
	MaxItems  = 4096
)

// Kind is what a value is.
type Kind byte

// The kinds. The zero Kind is that of a value that is not there.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Object
	Array
)

// Value is one value of a document.
type Value struct {
	Kind Kind
	// Raw are the bytes as they were received.
	Raw []byte
	// At is the offset of Raw in what was parsed.
	At int
	// Text is the decoded text of a string, and the literal of a number or a
	// bool as it was written.
	Text    string
	members []Member
	items   []Value
}

// Member is one value of an object with its name.
type Member struct {
	Name  string
	Value Value
}

// Error says where a document is refused and why. It never quotes it.
type Error struct {
	At  int // offset in bytes
	Why string
}

// Error gives the place, counted from 1, and the reason.
func (e *Error) Error() string { return fmt.Sprintf("no strict JSON at byte %d: %s", e.At+1, e.Why) }

// Members gives the members of the outermost object, in order. Strings,
// numbers and the like are decoded; of objects and arrays only the extent is
// found.
func Members(doc []byte) ([]Member, error) {
	p := parser{b: doc, shallow: true}
	v, err := p.document()
	if err == nil && v.Kind != Object {
		err = &Error{v.At, "the document is no object"}
	}
	return v.members, err
}

// Parse decodes a whole document.
func Parse(doc []byte) (Value, error) {
	p := parser{b: doc}
	return p.document()
}

// Get gives a member of an object; Missing if there is none of exactly that
// name, or v is no object.
func (v Value) Get(name string) Value {
	for _, m := range v.members {
		if m.Name == name {
			return m.Value
		}
	}
	return Value{}
}

// Members gives the members of an object in order.
func (v Value) Members() []Member { return v.members }

// Items gives the elements of an array in order.
func (v Value) Items() []Value { return v.items }

// Scalar gives the text of a string or a number. Missing and null are the
// empty text; other kinds are an error.
func (v Value) Scalar() (string, error) {
	switch v.Kind {
	case Missing, Null:
		return "", nil
	case String, Number:
		return v.Text, nil
	}
	return "", &Error{v.At, "a text or a number was expected"}
}

// Compact gives a document without the blanks between its tokens and with all
// else as it was. The document must have passed Members or Parse.
func Compact(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	quoted := false
	for i := 0; i < len(doc); i++ {
		c := doc[i]
		switch {
		case quoted && c == '\\' && i+1 < len(doc):
			out = append(out, c)
			i++
			c = doc[i]
		case c == '"':
			quoted = !quoted
		case !quoted && blank(c):
			continue
		}
		out = append(out, c)
	}
	return out
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

type parser struct {
	b       []byte
	i       int
	items   int
	shallow bool // keep no members below the outermost object
}

func (p *parser) fail(why string) error { return &Error{min(p.i, len(p.b)), why} }

func (p *parser) document() (Value, error) {
	if len(p.b) > MaxBytes {
		return Value{}, &Error{MaxBytes, "it is too long"}
	}
	if i := badUTF8(p.b); i >= 0 {
		return Value{}, &Error{i, "the bytes are not UTF-8"}
	}
	if bytes.HasPrefix(p.b, []byte("\ufeff")) {
		p.i = len("\ufeff")
	}
	p.blanks()
	v, err := p.value(0)
	if err != nil {
		return Value{}, err
	}
	p.blanks()
	if p.i != len(p.b) {
		return Value{}, p.fail("something stands behind the end")
	}
	return v, nil
}

func badUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func (p *parser) blanks() {
	for p.i < len(p.b) && blank(p.b[p.i]) {
		p.i++
	}
}

func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *parser) value(depth int) (Value, error) {
	v := Value{At: p.i}
	if depth > MaxDepth {
		return v, p.fail("it is nested too deeply")
	}
	if p.items++; p.items > MaxItems {
		return v, p.fail("it has too many values")
	}
	var err error
	switch c := p.peek(); {
	case c == '{':
		v.Kind = Object
		v.members, err = p.object(depth)
	case c == '[':
		v.Kind = Array
		v.items, err = p.array(depth)
	case c == '"':
		v.Kind = String
		v.Text, err = p.text()
	case c == '-' || c >= '0' && c <= '9':
		v.Kind = Number
		v.Text, err = p.number()
	default:
		v.Kind, v.Text, err = p.word()
	}
	v.Raw = p.b[v.At:p.i:p.i]
	return v, err
}

func (p *parser) word() (Kind, string, error) {
	for word, kind := range map[string]Kind{"null": Null, "true": Bool, "false": Bool} {
		if bytes.HasPrefix(p.b[p.i:], []byte(word)) {
			p.i += len(word)
			return kind, word, nil
		}
	}
	return Missing, "", p.fail("a value was expected")
}

func (p *parser) object(depth int) ([]Member, error) {
	p.i++ // {
	var all []Member
	seen := map[string]bool{}
	for p.blanks(); p.peek() != '}'; {
		if len(seen) > 0 {
			if p.peek() != ',' {
				return nil, p.fail("a comma or the end of the object was expected")
			}
			p.i++
			p.blanks()
		}
		at := p.i
		if p.peek() != '"' {
			return nil, p.fail("a name in quotes was expected")
		}
		name, err := p.text()
		if err != nil {
			return nil, err
		}
		folded := fold(name)
		if seen[folded] {
			return nil, &Error{at, "the name occurs twice, or in another case"}
		}
		seen[folded] = true
		p.blanks()
		if p.peek() != ':' {
			return nil, p.fail("a colon was expected")
		}
		p.i++
		p.blanks()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.shallow || depth == 0 {
			all = append(all, Member{name, v})
		}
		p.blanks()
	}
	p.i++ // }
	return all, nil
}

func (p *parser) array(depth int) ([]Value, error) {
	p.i++ // [
	var all []Value
	n := 0
	for p.blanks(); p.peek() != ']'; n++ {
		if n > 0 {
			if p.peek() != ',' {
				return nil, p.fail("a comma or the end of the array was expected")
			}
			p.i++
			p.blanks()
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.shallow {
			all = append(all, v)
		}
		p.blanks()
	}
	p.i++ // ]
	return all, nil
}

// fold maps names that differ only in case to one, as encoding/json compares
// them.
func fold(name string) string {
	out := make([]rune, 0, len(name))
	for _, r := range name {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		out = append(out, least)
	}
	return string(out)
}

func (p *parser) digits() int {
	n := 0
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.i++
		n++
	}
	return n
}

func (p *parser) number() (string, error) {
	from := p.i
	if p.peek() == '-' {
		p.i++
	}
	zero := p.peek() == '0'
	n := p.digits()
	if n == 0 || zero && n > 1 {
		return "", p.fail("a number begins with one digit that is not 0, or is 0")
	}
	if p.peek() == '.' {
		p.i++
		if p.digits() == 0 {
			return "", p.fail("a digit was expected behind the point")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.i++
		if c := p.peek(); c == '+' || c == '-' {
			p.i++
		}
		if n := p.digits(); n == 0 || n > 2 {
			return "", p.fail("an exponent has one or two digits")
		}
	}
	if p.i-from > MaxNumber {
		return "", p.fail("the number is too long")
	}
	return string(p.b[from:p.i]), nil
}

func (p *parser) text() (string, error) {
	p.i++ // "
	var out []byte
	for {
		if p.i >= len(p.b) {
			return "", p.fail("the text has no end")
		}
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return string(out), nil
		case c < ' ':
			return "", p.fail("a control character stands in a text")
		case c == '\\':
			p.i++
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
			p.i++
		}
	}
}

func (p *parser) escape() (rune, error) {
	c := p.peek()
	p.i++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, err := p.hex()
		if err != nil || !utf16.IsSurrogate(r) {
			return r, err
		}
		if p.peek() == '\\' && p.i+1 < len(p.b) && p.b[p.i+1] == 'u' {
			p.i += 2
			low, err := p.hex()
			if err != nil {
				return 0, err
			}
			if full := utf16.DecodeRune(r, low); full != unicode.ReplacementChar {
				return full, nil
			}
		}
		return 0, p.fail("half a surrogate pair stands in a text")
	}
	return 0, p.fail("there is no such escape")
}

func (p *parser) hex() (rune, error) {
	var r rune
	for range 4 {
		c := p.peek()
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, p.fail("four hexadecimal digits were expected")
		}
		p.i++
	}
	return r, nil
}
