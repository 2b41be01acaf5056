package config

import (
	"reflect"
	"strings"
)

// Options is a part of the file that only a driver understands. It is kept as
// it stands and decoded later, with the file and line still known.
type Options struct {
	node node
	path string
	file string
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
	if o.Empty() {
		return nil
	}
	var probs problems
	d := decoder{probs: &probs}
	d.into(o.node, v.Elem(), o.path)
	return probs.err(o.file)
}

// Empty tells whether the file has no such part.
func (o Options) Empty() bool { return o.node.kind != kindMap || len(o.node.pairs) == 0 }

// Fail makes an [*Error] about one key of this part, for a driver whose own
// check found a value wrong. An empty key speaks of the part as a whole.
func (o Options) Fail(key, reason string) error {
	p := Problem{Line: o.node.line, Key: o.path, Reason: reason}
	if key != "" {
		p.Key = join(o.path, key)
	}
	at := o.node
	for _, step := range strings.Split(key, ".") {
		for _, q := range at.pairs {
			if q.key == step {
				p.Line, at = q.line, q.val
				break
			}
		}
	}
	return &Error{File: o.file, Problems: []Problem{p}}
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
