package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Options is a part of the file that only a driver understands. It is kept as
// it stands and decoded later, with the file and line still known.
type Options struct {
	node node
	path string
	file string
	base *Options // what a template gives: read first, so that the file wins
}

// Over gives the same settings above those of a template, whose name is used
// in errors. The values may be text, whole numbers, truth values, and lists
// and tables of them, as a YAML reader gives them; anything else is a problem
// that Decode reports.
func (o Options) Over(template string, values map[string]any) Options {
	o.base = &Options{node: nodeOf(values, 0), path: "model " + template, file: o.file}
	return o
}

// nodeOf turns what another YAML reader gave into a node without a line.
func nodeOf(v any, depth int) node {
	if depth > maxDepth {
		return node{kind: kindNull}
	}
	switch v := v.(type) {
	case string:
		return node{kind: kindText, text: v}
	case bool:
		return node{kind: kindBool, text: strconv.FormatBool(v)}
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return node{kind: kindInt, text: fmt.Sprint(v)}
	case float32, float64:
		return node{kind: kindFloat, text: fmt.Sprint(v)}
	case []any:
		n := node{kind: kindList}
		for _, item := range v {
			n.items = append(n.items, nodeOf(item, depth+1))
		}
		return n
	case map[string]any:
		n := node{kind: kindMap}
		for _, key := range sortedKeys(v) {
			n.pairs = append(n.pairs, pair{key: key, val: nodeOf(v[key], depth+1)})
		}
		return n
	case map[string]string:
		n := node{kind: kindMap}
		for _, key := range sortedKeys(v) {
			n.pairs = append(n.pairs, pair{key: key, val: nodeOf(v[key], depth+1)})
		}
		return n
	}
	return node{kind: kindNull}
}

// Decode fills the struct that into points to, as strictly as the rest of the
// file: unknown keys, wrong kinds and unquoted identifiers are problems of an
// [*Error]. Values already in the struct are the defaults. Field names come
// from the yaml tag, else the json tag, else the field's name in snake_case.
func (o Options) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return &Error{File: o.file, Problems: []Problem{{Key: o.path, Reason: "the driver's settings are not a struct; report this message"}}}
	}
	var probs problems
	d := decoder{probs: &probs}
	if o.base != nil {
		d.into(o.base.node, v.Elem(), o.base.path)
	}
	if !o.Empty() {
		d.into(o.node, v.Elem(), o.path)
	}
	return probs.err(o.file)
}

// Empty tells whether the file has no such part.
func (o Options) Empty() bool { return o.node.kind != kindMap || len(o.node.pairs) == 0 }

// Fail makes an [*Error] about one key of this part, for a driver whose own
// check found a value wrong. An empty key speaks of the part as a whole.
func (o Options) Fail(key, reason string) error {
	p := Problem{Line: o.node.line, Key: o.path, Reason: reason}
	if key == "" {
		return &Error{File: o.file, Problems: []Problem{p}}
	}
	p.Key = join(o.path, key)
	if line, ok := o.find(key); ok {
		p.Line = line
	} else if o.base != nil {
		if _, ok := o.base.find(key); ok {
			p.Line, p.Key = 0, join(o.base.path, key)
		}
	}
	return &Error{File: o.file, Problems: []Problem{p}}
}

// find gives the line of a key, or of the part of it that is there.
func (o Options) find(key string) (line int, ok bool) {
	at := o.node
	for _, step := range strings.Split(key, ".") {
		for _, q := range at.pairs {
			if q.key == step {
				line, ok, at = q.line, true, q.val
				break
			}
		}
	}
	return line, ok
}

// Has tells whether the settings, or the template under them, name a key.
func (o Options) Has(key string) bool {
	_, ok := o.find(key)
	if !ok && o.base != nil {
		_, ok = o.base.find(key)
	}
	return ok
}

// NewOptions reads a driver's settings from YAML text, for tests and tools.
func NewOptions(name, text string) (Options, error) {
	var probs problems
	n := parseNode([]byte(text), &probs)
	if len(probs.list) == 0 && n.kind != kindMap {
		probs.add(n.line, "", "this must be "+kindMap.String()+", not "+n.kind.String())
	}
	if err := probs.err(name); err != nil {
		return Options{}, err
	}
	return Options{node: n, file: name}, nil
}
