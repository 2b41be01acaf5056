package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

//go:generate go run ./keysdoc . KEYS.md

// Key describes one key of the file.
type Key struct {
	Path    string // e.g. "tills[].scanners[].role", "order_types.NAME.class"
	Type    string // text, number, fen, duration, size, true/false, list of …, driver's own
	Default string // as it would be written; empty if there is none
	Struct  string // Go struct and field, by which the comment is found
	Field   string
}

// Keys lists every key in the order of the structs, sections left out.
func Keys() ([]Key, error) {
	c, err := Defaults()
	if err != nil {
		return nil, err
	}
	var out []Key
	walk(reflect.ValueOf(c), "", &out)
	return out, nil
}

func walk(v reflect.Value, path string, out *[]Key) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() || keyOf(f) == "-" {
			continue
		}
		at, fv, ft := join(path, keyOf(f)), v.Field(i), f.Type
		if f.Anonymous {
			walk(fv, path, out) // its keys stand among those around it
			continue
		}
		for section := true; section; {
			switch {
			case ft.Kind() == reflect.Pointer && ft.Elem().Kind() == reflect.Struct:
				ft, fv = ft.Elem(), reflect.New(ft.Elem()).Elem()
			case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct:
				at, ft, fv = at+"[]", ft.Elem(), reflect.New(ft.Elem()).Elem()
				defaults(fv)
			case ft.Kind() == reflect.Map && ft.Elem().Kind() != reflect.String:
				at, ft, fv = at+".NAME", ft.Elem(), reflect.New(ft.Elem()).Elem()
			default:
				section = false
			}
		}
		if ft.Kind() == reflect.Struct && ft != optionsType {
			walk(fv, at, out)
			continue
		}
		*out = append(*out, Key{Path: at, Type: typeWord(ft), Default: written(fv), Struct: t.Name(), Field: f.Name})
	}
}

func typeWord(t reflect.Type) string {
	switch {
	case t == optionsType:
		return "section"
	case t == durationType:
		return "duration"
	case t.Name() == "Fen":
		return "fen"
	case t.Name() == "Bytes":
		return "size"
	case t.Kind() == reflect.Slice:
		return "list of " + typeWord(t.Elem())
	case t.Kind() == reflect.Map:
		return "table of " + typeWord(t.Elem())
	case t.Kind() == reflect.Bool:
		return "true/false"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "number"
}

// short writes a duration as people do: 10m, not 10m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func written(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int && v.Kind() != reflect.Int64 {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return short(x)
	case Bytes:
		return x.String()
	case encoding.TextMarshaler:
		return ""
	}
	switch v.Kind() {
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, written(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Int, reflect.Int64:
		return fmt.Sprint(v.Int())
	case reflect.Map, reflect.Struct:
		return ""
	}
	return fmt.Sprint(v.Interface())
}
