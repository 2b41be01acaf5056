package config

import (
	"encoding"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// decoder fills Go values from nodes, collecting problems and where each key
// stands. Values already there are the defaults: what the file does not
// mention stays.
type decoder struct {
	probs *problems
	lines map[string]int // path → line
}

// defaulter is implemented by list elements that have defaults.
type defaulter interface{ setDefaults() }

var (
	durationType = reflect.TypeFor[time.Duration]()
	optionsType  = reflect.TypeFor[Options]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) into(n node, v reflect.Value, path string) {
	if d.lines != nil && path != "" {
		d.lines[path] = n.line
	}
	if n.kind == kindBad {
		return
	}
	t := v.Type()
	switch {
	case t == optionsType:
		d.options(n, v, path)
		return
	case t == durationType:
		d.duration(n, v, path)
		return
	case v.CanAddr() && reflect.PointerTo(t).Implements(textType):
		d.text(n, v, path)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if n.kind == kindNull {
			d.bad(n, path, "")
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
			defaults(v.Elem())
		}
		d.into(n, v.Elem(), path)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.String:
		d.str(n, v, path)
	case reflect.Bool:
		if n.kind != kindBool {
			d.bad(n, path, "true or false")
			return
		}
		v.SetBool(strings.EqualFold(n.text, "true"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.integer(n, v, path)
	default:
		// A driver's struct asks for something that a file cannot give.
		d.probs.add(n.line, path, "this setting cannot be read from a file; remove it and report this message")
	}
}

func (d *decoder) bad(n node, path, want string) {
	if n.kind == kindNull {
		d.probs.add(n.line, path, "the value is missing; write one or remove the key")
		return
	}
	d.probs.add(n.line, path, fmt.Sprintf("this must be %s, not %s", want, n.kind))
}

func (d *decoder) structure(n node, v reflect.Value, path string) {
	if n.kind != kindMap {
		d.bad(n, path, kindMap.String())
		return
	}
	fields := fieldsOf(v.Type())
	for _, p := range n.pairs {
		at := join(path, p.key)
		f, ok := fields[p.key]
		if !ok {
			d.unknown(p, at, sortedKeys(fields))
			continue
		}
		d.into(p.val, v.FieldByIndex(f.Index), at)
	}
}

func (d *decoder) unknown(p pair, at string, known []string) {
	reason := "the key is not known"
	if near := nearest(p.key, known); near != "" {
		reason += fmt.Sprintf("; did you mean %q?", near)
	} else {
		reason += "; remove it, or use one of: " + strings.Join(known, ", ")
	}
	d.probs.add(p.line, at, reason)
}

func (d *decoder) mapping(n node, v reflect.Value, path string) {
	if n.kind != kindMap {
		d.bad(n, path, kindMap.String())
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, p := range n.pairs {
		elem := reflect.New(v.Type().Elem()).Elem()
		key := reflect.ValueOf(p.key).Convert(v.Type().Key())
		if old := v.MapIndex(key); old.IsValid() {
			elem.Set(copyMap(old))
		} else {
			defaults(elem)
		}
		d.into(p.val, elem, join(path, p.key))
		v.SetMapIndex(key, elem)
	}
}

// copyMap keeps a nested map of the defaults from being written to.
func copyMap(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Map {
		return v
	}
	out := reflect.MakeMap(v.Type())
	for _, k := range v.MapKeys() {
		out.SetMapIndex(k, v.MapIndex(k))
	}
	return out
}

func (d *decoder) list(n node, v reflect.Value, path string) {
	if n.kind != kindList {
		d.bad(n, path, kindList.String())
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i := range n.items {
		defaults(out.Index(i))
		d.into(n.items[i], out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

func (d *decoder) str(n node, v reflect.Value, path string) {
	switch n.kind {
	case kindText:
		v.SetString(n.text)
	case kindInt, kindFloat, kindBool:
		const why = "(without them YAML reads a number or a truth value, and 0123 as 83)"
		if secretive(path) {
			d.probs.add(n.line, path, "the value must stand in quotes "+why)
			return
		}
		d.probs.add(n.line, path, fmt.Sprintf("%s must stand in quotes: write \"%s\" %s", clip(n.text), clip(n.text), why))
	default:
		d.bad(n, path, "text")
	}
}

// secretive tells whether a key's name says that its value should not be
// repeated on a screen. No key of ours holds a secret, but people try.
func secretive(path string) bool {
	key := strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
	for _, word := range []string{"password", "secret", "token", "key", "pin"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

func (d *decoder) integer(n node, v reflect.Value, path string) {
	if n.kind != kindInt {
		d.bad(n, path, "a whole number without quotes")
		return
	}
	s := strings.TrimPrefix(n.text, "-")
	if len(s) > 1 && s[0] == '0' || !onlyDigits(s) {
		d.probs.add(n.line, path, "write the number with the digits 0-9 only and no leading zero")
		return
	}
	if v.CanInt() {
		i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
		if err != nil {
			d.probs.add(n.line, path, "the number is too large")
			return
		}
		v.SetInt(i)
		return
	}
	u, err := strconv.ParseUint(n.text, 10, v.Type().Bits())
	if err != nil {
		d.probs.add(n.line, path, "the number is negative or too large")
		return
	}
	v.SetUint(u)
}

func (d *decoder) duration(n node, v reflect.Value, path string) {
	const how = `write a duration with its unit, e.g. "500ms", "60s", "10m" or "24h"`
	if n.kind == kindNull {
		d.bad(n, path, "")
		return
	}
	if n.kind != kindText && (n.kind != kindInt || n.text != "0") {
		d.probs.add(n.line, path, how)
		return
	}
	x, err := time.ParseDuration(n.text)
	if err != nil {
		d.probs.add(n.line, path, how)
		return
	}
	v.SetInt(int64(x))
}

func (d *decoder) text(n node, v reflect.Value, path string) {
	switch n.kind {
	case kindText, kindInt:
	default:
		d.bad(n, path, "text")
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		d.probs.add(n.line, path, err.Error())
	}
}

func (d *decoder) options(n node, v reflect.Value, path string) {
	if n.kind != kindMap {
		d.bad(n, path, kindMap.String())
		return
	}
	v.Set(reflect.ValueOf(Options{node: n, path: path}))
}

// defaults sets the defaults of a fresh value that has some.
func defaults(v reflect.Value) {
	if v.CanAddr() {
		if x, ok := v.Addr().Interface().(defaulter); ok {
			x.setDefaults()
		}
	}
}

// fieldsOf lists a struct's settings by the name they have in the file: the
// yaml tag, else the json tag, else the field's name in snake_case. "-" hides
// a field; embedded structs are spread out.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	out := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct || throughPointer(t, f.Index) {
			continue
		}
		switch f.Type.Kind() {
		case reflect.Func, reflect.Chan, reflect.Interface:
			continue // what the program itself puts in
		}
		if name := keyOf(f); name != "-" {
			out[name] = f
		}
	}
	return out
}

// throughPointer tells whether a promoted field lies behind an embedded
// pointer, which may be nil.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct {
			return true
		}
		t = f.Type
	}
	return false
}

func keyOf(f reflect.StructField) string {
	for _, tag := range []string{"yaml", "json"} {
		if name, _, _ := strings.Cut(f.Tag.Get(tag), ","); name != "" {
			return name
		}
	}
	return snake(f.Name)
}

// snake turns HospitalID into hospital_id.
func snake(s string) string {
	var b strings.Builder
	r := []rune(strings.ReplaceAll(s, "IDs", "Ids"))
	upper := func(c rune) bool { return c >= 'A' && c <= 'Z' }
	for i, c := range r {
		if upper(c) {
			if i > 0 && (!upper(r[i-1]) || i+1 < len(r) && !upper(r[i+1])) {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
