package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Values gives every value of the configuration as text, by the path of its
// key, e.g. "tills[0].scanners[1].options.port". What is empty is left out.
func (c Config) Values() map[string]string {
	out := map[string]string{}
	flatten(reflect.ValueOf(c), "", out)
	return out
}

func flatten(v reflect.Value, path string, out map[string]string) {
	if o, ok := v.Interface().(Options); ok {
		o.node.flatten(path, out)
		return
	}
	if _, ok := v.Interface().(time.Duration); ok {
		flat(v, path, out)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out[path] = "given"
			flatten(v.Elem(), path, out)
		}
	case reflect.Struct:
		t := v.Type()
		for i := range t.NumField() {
			f := t.Field(i)
			switch {
			case !f.IsExported() || keyOf(f) == "-":
			case f.Anonymous:
				flatten(v.Field(i), path, out)
			default:
				flatten(v.Field(i), join(path, keyOf(f)), out)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			flatten(v.Index(i), fmt.Sprintf("%s[%d]", path, i), out)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			out[join(path, k.String())] = "given"
			flatten(v.MapIndex(k), join(path, k.String()), out)
		}
	default:
		flat(v, path, out)
	}
}

func flat(v reflect.Value, path string, out map[string]string) {
	if !v.IsZero() {
		out[path] = fmt.Sprint(v.Interface())
	}
}

func (n node) flatten(path string, out map[string]string) {
	switch n.kind {
	case kindMap:
		for _, p := range n.pairs {
			p.val.flatten(join(path, p.key), out)
		}
	case kindList:
		for i, item := range n.items {
			item.flatten(fmt.Sprintf("%s[%d]", path, i), out)
		}
	case kindNull, kindBad:
	default:
		out[path] = n.text
	}
}

// Changes lists the keys whose values differ, sorted.
func Changes(a, b Config) []string {
	x, y := a.Values(), b.Values()
	var list []string
	for k, v := range x {
		if w, ok := y[k]; !ok || w != v {
			list = append(list, k)
		}
	}
	for k := range y {
		if _, ok := x[k]; !ok {
			list = append(list, k)
		}
	}
	slices.Sort(list)
	return list
}

// At puts a configuration that came from the fleet onto a box: what only the
// box knows is taken from its own file. Where the configuration names no broker
// the whole section fleet is the box's own. kept are the keys that the
// configuration has otherwise and that do not count.
func (c Config) At(own Config) (_ Config, kept []string) {
	keep := func(key string, to *string, from string) {
		if *to != from && c.lines[key] > 0 {
			kept = append(kept, key)
		}
		*to = from
	}
	if filepath.Join(c.DataDir, "models") == c.Devices.ModelsDir {
		c.Devices.ModelsDir = filepath.Join(own.DataDir, "models")
	}
	keep("data_dir", &c.DataDir, own.DataDir)
	if !c.Fleet.On() {
		c.Fleet = own.Fleet
		return c, kept
	}
	keep("fleet.site", &c.Fleet.Site, own.Fleet.Site)
	keep("fleet.box", &c.Fleet.Box, own.Fleet.Box)
	keep("fleet.cert_file", &c.Fleet.CertFile, own.Fleet.CertFile)
	keep("fleet.key_file", &c.Fleet.KeyFile, own.Fleet.KeyFile)
	if c.Fleet.CAFile == "" {
		c.Fleet.CAFile = own.Fleet.CAFile
	}
	return c, kept
}

// Glimpse is what Peek reads.
type Glimpse struct {
	DataDir string
	Broker  string     // of the fleet; where a configuration of the fleet names none, Keys are not its own (see At)
	Keys    []FleetKey // that may sign
}

// Peek reads from a file only where the data are and which keys may sign. The
// file may be written for another version of the program: what is not known
// here is passed over.
func Peek(data []byte) (Glimpse, error) {
	c, err := Defaults()
	if err != nil {
		return Glimpse{}, err
	}
	var form, unknown problems
	root := parseNode(data, &form)
	if err := form.err(""); err != nil {
		return Glimpse{}, err
	}
	g := Glimpse{DataDir: c.DataDir}
	d := decoder{probs: &unknown}
	for _, p := range root.pairs {
		switch p.key {
		case "data_dir":
			d.into(p.val, reflect.ValueOf(&g.DataDir).Elem(), p.key)
		case "fleet":
			for _, q := range p.val.pairs {
				switch q.key {
				case "broker":
					d.into(q.val, reflect.ValueOf(&g.Broker).Elem(), "fleet.broker")
				case "keys":
					d.into(q.val, reflect.ValueOf(&g.Keys).Elem(), "fleet.keys")
				}
			}
		}
	}
	return g, nil
}

// Problems gives the problems of an error of this package, nil for another.
func Problems(err error) []Problem {
	if e, ok := err.(*Error); ok {
		return e.Problems
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var list []Problem
		for _, e := range many.Unwrap() {
			list = append(list, Problems(e)...)
		}
		return list
	}
	return nil
}

// Under tells whether a key lies below one of several, e.g. "platforms[].url";
// a bracket without a number stands for every number.
func Under(key string, list ...string) bool {
	var b strings.Builder
	for inside := false; key != ""; key = key[1:] {
		switch {
		case key[0] == '[':
			inside = true
			b.WriteString("[")
			continue
		case key[0] == ']':
			inside = false
		}
		if !inside {
			b.WriteByte(key[0])
		}
	}
	plain := b.String()
	for _, l := range list {
		if rest, ok := strings.CutPrefix(plain, l); ok && (rest == "" || strings.ContainsAny(rest[:1], ".[") || strings.HasSuffix(l, ".")) {
			return true
		}
	}
	return false
}
