package models

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"payagent/devices"
)

// file is a model as it is written. Everything that is not named here is
// refused, so that a mistyped key does not go unseen.
type file struct {
	Maker      devices.Said
	Name       devices.Said
	Kind       string
	IDs        []USBID `yaml:"ids"`
	Interfaces map[string]Interface
	SetupCodes []SetupCode `yaml:"setup_codes"`
	Advice     devices.Said
	Known      string
	Source     string
}

// trouble is something wrong at one key of the file.
type trouble struct{ key, reason string }

// maxDepth is deeper than any model goes.
const maxDepth = 12

// Parse reads one model: data of the given file, with the id that the file's
// name gives it. It also makes sure that the content is right, see Check.
func Parse(name, id string, data []byte) (m Model, err error) {
	fail := func(line int, reason string) (Model, error) {
		at := name
		if line > 0 {
			at = fmt.Sprintf("%s line %d", name, line)
		}
		return Model{}, fmt.Errorf("cannot use device model %s: %s", at, reason)
	}
	// The parser is not ours and the file may be anything.
	defer func() {
		if r := recover(); r != nil {
			m, err = fail(0, "it is not YAML that can be read; start again from a built-in model")
		}
	}()
	if len(data) > maxFile {
		return fail(0, "it is larger than 64 KiB; check that it is a device model")
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		line, msg := where(err)
		return fail(line, msg+"; check indentation (blanks, no tabs), colons and quotes")
	}
	var body ast.Node
	for _, d := range tree.Docs {
		if d == nil || d.Body == nil {
			continue
		}
		if _, only := d.Body.(*ast.CommentGroupNode); only {
			continue
		}
		if body != nil {
			return fail(lineOf(d.Body), "a second document begins here; write one model per file")
		}
		body = d.Body
	}
	if body == nil {
		return fail(0, "it is empty; start from a built-in model")
	}
	lines := map[string]int{}
	if bad := walk(body, "", 0, lines); bad != nil {
		return fail(lines[bad.key], bad.reason)
	}
	var f file
	if err := yaml.NodeToValue(body, &f, yaml.DisallowUnknownField()); err != nil {
		line, msg := where(err)
		return fail(line, msg+"; compare it with a built-in model")
	}
	m = Model{ID: id, Maker: f.Maker, Name: f.Name, Kind: f.Kind, IDs: f.IDs, Interfaces: f.Interfaces,
		SetupCodes: f.SetupCodes, Advice: f.Advice, Known: f.Known, Source: f.Source}
	var all []error
	for _, t := range check(m) {
		line := 0
		for key := t.key; line == 0 && key != ""; key = parent(key) {
			line = lines[key]
		}
		_, err := fail(line, t.key+" "+t.reason)
		all = append(all, err)
	}
	if all != nil {
		return Model{}, errors.Join(all...)
	}
	return m, nil
}

// Check tells what is wrong with a model: texts that are missing in a
// language, ids and commands that cannot be read, unknown drivers and options,
// wrong check sums. Load and Parse do it by themselves.
func Check(m Model) error {
	var all []error
	for _, t := range check(m) {
		all = append(all, fmt.Errorf("cannot use device model %s: %s %s", m.ID, t.key, t.reason))
	}
	return errors.Join(all...)
}

// walk notes on which line each key stands, and refuses what YAML can do
// beyond plain data.
func walk(n ast.Node, path string, depth int, lines map[string]int) *trouble {
	if n == nil {
		return nil
	}
	if lines[path] == 0 {
		lines[path] = lineOf(n)
	}
	if depth > maxDepth {
		return &trouble{path, "it is nested too deeply; compare it with a built-in model"}
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		for _, mv := range v.Values {
			if bad := pair(mv, path, depth, lines); bad != nil {
				return bad
			}
		}
	case *ast.MappingValueNode:
		return pair(v, path, depth, lines)
	case *ast.SequenceNode:
		for i, item := range v.Values {
			if bad := walk(item, fmt.Sprintf("%s[%d]", path, i), depth+1, lines); bad != nil {
				return bad
			}
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		lines[path] = lineOf(n)
		return &trouble{path, "anchors, aliases and tags (&, *, <<, !) are not allowed; write the values out"}
	}
	return nil
}

func pair(mv *ast.MappingValueNode, path string, depth int, lines map[string]int) *trouble {
	if mv == nil || mv.Key == nil {
		return nil
	}
	key := mv.Key.String()
	if t := mv.Key.GetToken(); t != nil {
		key = t.Value
	}
	at := key
	if path != "" {
		at = path + "." + key
	}
	if _, merge := mv.Key.(*ast.MergeKeyNode); merge {
		lines[at] = lineOf(mv)
		return &trouble{at, "anchors, aliases and tags (&, *, <<, !) are not allowed; write the values out"}
	}
	lines[at] = lineOf(mv)
	return walk(mv.Value, at, depth+1, lines)
}

// parent is the key around a key.
func parent(key string) string {
	if i := strings.LastIndexAny(key, ".["); i > 0 {
		return key[:i]
	}
	return ""
}

func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	t := n.GetToken()
	if m, ok := n.(*ast.MappingValueNode); ok && m.Key != nil {
		t = m.Key.GetToken()
	}
	if t == nil || t.Position == nil {
		return 0
	}
	return t.Position.Line
}

// where takes line and reason out of the YAML package's errors.
func where(err error) (line int, msg string) {
	msg = err.Error()
	var s interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &s) {
		msg = s.GetMessage()
		if t := s.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	msg, _, _ = strings.Cut(msg, "\n")
	return line, goNames.ReplaceAllString(msg, "the value")
}

// goNames is what the YAML package tells of Go's types, which helps nobody.
var goNames = regexp.MustCompile(`Go struct field \S+ of type \S+|Go value of type \S+`)
