// Package plainjson reads JSON that this program wrote itself, as it stands in
// the log, several times as fast as encoding/json: the fields in the order of
// the struct, no space, texts without escapes. Whatever looks different in any
// way is left to encoding/json, so the result is always that of encoding/json,
// for good and bad input; a test holds the two to each other. A walk over the
// log, as for a backlog of the fleet or a report, is mostly reading JSON.
package plainjson

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reader reads values of one type. Make it with New: the zero value leaves all to
// encoding/json. It may be used by several goroutines.
type Reader[T any] struct{ form *form }

// New looks at the type.
func New[T any]() Reader[T] { return Reader[T]{formOf(reflect.TypeFor[T]())} }

// Read puts what data says in the place of what to is. The error is that of
// json.Unmarshal.
func (r Reader[T]) Read(data []byte, to *T) error {
	if r.plain(data, to) {
		return nil
	}
	*to = *new(T)
	return json.Unmarshal(data, to)
}

// plain tells whether it could be read here.
func (r Reader[T]) plain(data []byte, to *T) bool {
	if r.form == nil {
		return false
	}
	v := reflect.ValueOf(to).Elem()
	v.SetZero()
	rest, ok := r.form.read(data, v)
	return ok && len(rest) == 0
}

// form is how a type is written.
type form struct {
	t      reflect.Type
	kind   reflect.Kind // Invalid for what is left to encoding/json
	fields []field      // of a struct
	elem   *form        // of a slice or pointer
}

type field struct {
	key   string // with quotes and colon
	index int
	form  *form
}

func formOf(t reflect.Type) *form {
	f := &form{t: t}
	if own[json.Unmarshaler](t) || own[interface{ UnmarshalText([]byte) error }](t) {
		return f
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.kind = t.Kind()
	case reflect.Pointer, reflect.Slice:
		f.kind, f.elem = t.Kind(), formOf(t.Elem())
	case reflect.Struct:
		f.kind = t.Kind()
		for i := range t.NumField() {
			x := t.Field(i)
			name, options, _ := strings.Cut(x.Tag.Get("json"), ",")
			switch {
			case x.Anonymous || strings.Contains(options, "string"):
				return &form{t: t}
			case !x.IsExported() || name == "-":
				continue
			case name == "":
				name = x.Name
			}
			f.fields = append(f.fields, field{strconv.Quote(name) + ":", i, formOf(x.Type)})
		}
	}
	return f
}

// own tells whether a type reads itself.
func own[I any](t reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return t.Implements(i) || reflect.PointerTo(t).Implements(i)
}

// read reads a value at the beginning of data and gives what is behind.
func (f *form) read(data []byte, v reflect.Value) (rest []byte, ok bool) {
	switch f.kind {
	case reflect.Invalid:
		return nil, false
	case reflect.String:
		text, rest, ok := textOf(data)
		if ok {
			v.SetString(string(text))
		}
		return rest, ok
	case reflect.Bool:
		if rest, ok = after(data, "true"); ok {
			v.SetBool(true)
			return rest, true
		}
		return after(data, "false")
	case reflect.Struct:
		return f.readFields(data, v)
	case reflect.Pointer:
		p := reflect.New(f.t.Elem())
		if rest, ok = f.elem.read(data, p.Elem()); ok {
			v.Set(p)
		}
		return rest, ok
	case reflect.Slice:
		if f.t.Elem().Kind() == reflect.Uint8 {
			return readBytes(data, v)
		}
		return f.readList(data, v)
	}
	n, rest, ok := numberOf(data)
	if !ok || v.OverflowInt(n) {
		return nil, false
	}
	v.SetInt(n)
	return rest, true
}

// readFields reads a struct: of its fields some, in their order.
func (f *form) readFields(data []byte, v reflect.Value) (rest []byte, ok bool) {
	if data, ok = after(data, "{"); !ok {
		return nil, false
	}
	if rest, ok = after(data, "}"); ok {
		return rest, true
	}
	for i := range f.fields {
		x := &f.fields[i]
		if rest, ok = after(data, x.key); !ok {
			continue
		}
		if rest, ok = x.form.read(rest, v.Field(x.index)); !ok || len(rest) == 0 {
			return nil, false
		}
		data = rest[1:]
		if rest[0] == '}' {
			return data, true
		}
		if rest[0] != ',' {
			return nil, false
		}
	}
	return nil, false // a key that is not known, or not here
}

func (f *form) readList(data []byte, v reflect.Value) (rest []byte, ok bool) {
	if data, ok = after(data, "["); !ok {
		return nil, false
	}
	list := reflect.MakeSlice(f.t, 0, 0)
	if rest, ok = after(data, "]"); ok {
		v.Set(list)
		return rest, true
	}
	for {
		x := reflect.New(f.t.Elem()).Elem()
		if rest, ok = f.elem.read(data, x); !ok || len(rest) == 0 {
			return nil, false
		}
		list, data = reflect.Append(list, x), rest[1:]
		switch rest[0] {
		case ']':
			v.Set(list)
			return data, true
		case ',':
		default:
			return nil, false
		}
	}
}

func readBytes(data []byte, v reflect.Value) (rest []byte, ok bool) {
	text, rest, ok := textOf(data)
	if !ok {
		return nil, false
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(raw, text)
	if err != nil {
		return nil, false
	}
	v.SetBytes(raw[:n])
	return rest, true
}

// after takes off what data begins with.
func after(data []byte, what string) (rest []byte, ok bool) {
	if len(data) < len(what) || string(data[:len(what)]) != what {
		return nil, false
	}
	return data[len(what):], true
}

// textOf reads a text without escapes.
func textOf(data []byte) (text, rest []byte, ok bool) {
	if len(data) == 0 || data[0] != '"' {
		return nil, nil, false
	}
	ascii := true
	for i := 1; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			text = data[1:i]
			return text, data[i+1:], ascii || utf8.Valid(text)
		case c == '\\' || c < ' ':
			return nil, nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, nil, false
}

// numberOf reads a whole number of at most 18 digits.
func numberOf(data []byte) (n int64, rest []byte, ok bool) {
	rest, minus := after(data, "-")
	if !minus {
		rest = data
	}
	i := 0
	for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
		if i == 18 {
			return 0, nil, false
		}
		n = 10*n + int64(rest[i]-'0')
		i++
	}
	if i == 0 || i > 1 && rest[0] == '0' {
		return 0, nil, false
	}
	if minus {
		n = -n
	}
	return n, rest[i:], true
}
