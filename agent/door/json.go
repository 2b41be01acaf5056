package door

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"payagent/platforms"
)

// maxDepth bounds nesting: an order needs three levels.
const maxDepth = 6

// errMalformed is wrapped when a body is not the JSON that we read.
var errMalformed = errors.New("cannot read the body")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// parseObject reads exactly one JSON object, more strictly than encoding/json
// does: no name twice, no two names that differ in case only, no null, nothing
// after the object, UTF-8 throughout. Where two readers could see two
// different things, nobody should see anything. Numbers stay text. Errors wrap
// errMalformed and repeat nothing of the body but its names.
func parseObject(body []byte) (map[string]any, error) {
	if !utf8.Valid(body) {
		return nil, malformed("it is not UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		var s *json.SyntaxError
		if errors.As(err, &s) {
			return nil, malformed("the JSON is wrong at byte %d", s.Offset)
		}
		return nil, malformed("it is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := readValue(d, 1)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, malformed("it must be one JSON object")
	}
	return m, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, malformed("it is nested deeper than %d levels", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, malformed("it is not JSON")
	}
	switch t := t.(type) {
	case nil:
		return nil, malformed("there is a null; leave the field out instead")
	case string:
		return t, soundText(t)
	case json.Delim:
		if t == '[' {
			return readList(d, depth)
		}
		return readMembers(d, depth)
	}
	return t, nil
}

// soundText refuses what the standard decoder puts for half a surrogate pair.
func soundText(s string) error {
	if strings.ContainsRune(s, utf8.RuneError) {
		return malformed("a text has a character that is not Unicode")
	}
	return nil
}

func readList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, _ = d.Token() // the bracket; the syntax was checked
	return list, nil
}

func readMembers(d *json.Decoder, depth int) (any, error) {
	m, seen := map[string]any{}, map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, malformed("it is not JSON")
		}
		if err := soundText(name); err != nil {
			return nil, err
		}
		if fold := strings.ToLower(name); seen[fold] {
			return nil, malformed("a name stands twice in one object")
		} else {
			seen[fold] = true
		}
		v, err := readValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	_, _ = d.Token()
	return m, nil
}

// canonical gives requests that ask for the same the same bytes: names
// sorted, no spaces, the payment code left out (ORD-03, ORD-09), the route in
// front. It is hashed and never stored. Its form must not change, because the
// hashes are kept with the orders.
func canonical(route string, m map[string]any) platforms.Hidden {
	kept := make(map[string]any, len(m))
	for k, v := range m {
		if k != "auth_code" {
			kept[k] = v
		}
	}
	// Maps of texts, numbers and booleans always encode, keys sorted.
	data, _ := json.Marshal(map[string]any{"body": kept, "route": route})
	return platforms.Hide(string(data))
}

// fields takes the members of an object one by one and keeps the first fault.
// What was not taken in the end is a name that we do not know.
type fields struct {
	path  string // of the object, "" or "patient."
	m     map[string]any
	taken map[string]bool
	fault *error
}

func newFields(m map[string]any) *fields {
	return &fields{m: m, taken: map[string]bool{}, fault: new(error)}
}

func (f *fields) wrong(name, format string, args ...any) {
	if *f.fault == nil {
		*f.fault = &platforms.FieldError{Field: f.path + name, Reason: fmt.Sprintf(format, args...)}
	}
}

func (f *fields) take(name string) (any, bool) {
	f.taken[name] = true
	v, ok := f.m[name]
	return v, ok
}

// text takes a string of at most so many bytes; empty if it is not there.
func (f *fields) text(name string, most int) string {
	return f.limited(name, most, func(c rune) bool { return c < 0x20 || c == 0x7f })
}

// lines is text that may have line breaks and tabs.
func (f *fields) lines(name string, most int) string {
	return f.limited(name, most, func(c rune) bool { return c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f })
}

// limited takes a string of at most so many bytes, none of its characters a
// control.
func (f *fields) limited(name string, most int, control func(rune) bool) string {
	v, ok := f.take(name)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		f.wrong(name, "must be a text in quotes")
	case len(s) > most:
		f.wrong(name, "is longer than %d bytes", most)
	case strings.ContainsFunc(s, control):
		f.wrong(name, "has control characters")
	default:
		return s
	}
	return ""
}

func (f *fields) secret(name string, most int) platforms.Hidden {
	return platforms.Hide(f.text(name, most))
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

// fen takes an amount: a whole number, not in quotes, without point or
// exponent, so that nobody's rounding decides about money.
func (f *fields) fen(name string) platforms.Fen {
	v, ok := f.take(name)
	if !ok {
		return 0
	}
	n, ok := v.(json.Number)
	if !ok || !wholeNumber.MatchString(n.String()) {
		f.wrong(name, "must be a whole number of fen, without quotes, point or exponent")
		return 0
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i > int64(platforms.MaxFen) || i < -int64(platforms.MaxFen) {
		f.wrong(name, "is larger than %d fen", int64(platforms.MaxFen))
		return 0
	}
	return platforms.Fen(i)
}

// whole takes a whole number from 0 to most, such as seconds; 0 if it is not
// there.
func (f *fields) whole(name string, most int64) int64 {
	v, ok := f.take(name)
	if !ok {
		return 0
	}
	n, _ := v.(json.Number)
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || !wholeNumber.MatchString(n.String()) || i < 0 || i > most {
		f.wrong(name, "must be a whole number from 0 to %d, without quotes", most)
		return 0
	}
	return i
}

func (f *fields) flag(name string) bool {
	v, ok := f.take(name)
	if !ok {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		f.wrong(name, "must be true or false")
	}
	return b
}

// objectText takes a member that is an object and gives it as compact JSON,
// names sorted, for a platform that wants it as text; empty if it is not there.
func (f *fields) objectText(name string) string {
	v, ok := f.take(name)
	if !ok {
		return ""
	}
	if _, is := v.(map[string]any); !is {
		f.wrong(name, "must be an object")
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is signed and sent as it stands
	if err := e.Encode(v); err != nil {
		f.wrong(name, "cannot be written as JSON")
	}
	return strings.TrimSpace(b.String())
}

// maybe takes a flag that may be left unsaid.
func (f *fields) maybe(name string) *bool {
	if _, ok := f.m[name]; !ok {
		return nil
	}
	b := f.flag(name)
	return &b
}

// object takes a member that is an object; an empty one if it is not there.
func (f *fields) object(name string) *fields {
	o := &fields{path: f.path + name + ".", m: map[string]any{}, taken: map[string]bool{}, fault: f.fault}
	if v, ok := f.take(name); ok {
		if m, is := v.(map[string]any); is {
			o.m = m
		} else {
			f.wrong(name, "must be an object")
		}
	}
	return o
}

// list takes a member that is a list of objects.
func (f *fields) list(name string, most int) []*fields {
	v, ok := f.take(name)
	if !ok {
		return nil
	}
	list, is := v.([]any)
	if !is {
		f.wrong(name, "must be a list")
		return nil
	}
	if len(list) > most {
		f.wrong(name, "has more than %d lines", most)
		return nil
	}
	var out []*fields
	for i, v := range list {
		at := name + "[" + strconv.Itoa(i) + "]"
		m, is := v.(map[string]any)
		if !is {
			f.wrong(at, "must be an object")
			return nil
		}
		out = append(out, &fields{path: f.path + at + ".", m: m, taken: map[string]bool{}, fault: f.fault})
	}
	return out
}

// rest refuses the members that nobody took.
func (f *fields) rest() {
	for _, name := range slices.Sorted(maps.Keys(f.m)) {
		if f.taken[name] {
			continue
		}
		// The name is the caller's and may be anything: it is repeated only
		// where it looks like a name.
		if !plainName.MatchString(name) {
			name = "(unknown)"
		}
		f.wrong(name, "is not a name of this object; see /v1/openapi.json")
		return
	}
}

var plainName = regexp.MustCompile(`^[A-Za-z_]{1,32}$`)

// parseQuery reads a query string. Errors are FieldErrors.
func parseQuery(raw string) (url.Values, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &platforms.FieldError{Field: "query", Reason: "is not well-formed"}
	}
	return v, nil
}
