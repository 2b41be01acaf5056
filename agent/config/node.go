package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. A configuration is a few kilobytes; these only keep a
// wrong file from hurting.
const (
	maxFileBytes = 1 << 20
	maxDepth     = 24
)

// node is one value of the file: a mapping, a list or a scalar, and where it
// stands. It is what the decoder reads; YAML's richer ideas (anchors, merge
// keys, tags, several documents) are refused on the way here, because nobody
// sees at a glance what they mean.
type node struct {
	kind  nodeKind
	text  string // scalars: as written, without quotes
	pairs []pair // mappings, in the order of the file
	items []node // lists
	line  int
	col   int
}

type pair struct {
	key  string
	line int
	val  node
}

type nodeKind int

const (
	kindNull nodeKind = iota
	kindBad           // already reported
	kindMap
	kindList
	kindText // quoted, a block text, or plain text that is nothing else
	kindInt
	kindFloat
	kindBool
)

func (k nodeKind) String() string {
	switch k {
	case kindMap:
		return "a section with keys"
	case kindList:
		return "a list"
	case kindText:
		return "text"
	case kindInt:
		return "a number"
	case kindFloat:
		return "a number with a point or exponent"
	case kindBool:
		return "true or false"
	}
	return "nothing"
}

// notUTF8 is said of values and keys, which go to the platform. What is no text
// in a comment is nobody's concern: a till that runs with it starts again.
const notUTF8 = "this is not text in UTF-8; save the file anew in that encoding"

// reader turns the parser's tree into nodes and collects what is wrong.
type reader struct{ probs *problems }

// parseNode reads a document. Where that is not possible at all the result is
// kindBad; problems inside leave kindBad in their place.
func parseNode(data []byte, probs *problems) (root node) {
	if len(data) > maxFileBytes {
		probs.add(0, "", "the file is larger than 1 MiB; check that it is the configuration")
		return node{kind: kindBad}
	}
	// Editors on Windows write a mark before the text.
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, 0) >= 0 {
		probs.add(0, "", notUTF8)
		return node{kind: kindBad}
	}
	// The parser is not ours and the file may be anything: whatever happens
	// inside it must come out as an error with a name, not end the process.
	defer func() {
		if r := recover(); r != nil {
			probs.add(0, "", "the file is not YAML that can be read; start again from the sample file")
			root = node{kind: kindBad}
		}
	}()
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, msg := 0, err.Error()
		if s, ok := err.(interface {
			GetMessage() string
			GetToken() *token.Token
		}); ok {
			msg = s.GetMessage()
			if t := s.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		msg, _, _ = strings.Cut(msg, "\n")
		msg = "the file is not correct YAML here: " + msg + "; check indentation (blanks, no tabs), colons and quotes"
		if !utf8.Valid(data) { // a byte of a character was taken for a bracket or a quote
			msg = notUTF8
		}
		probs.add(line, "", msg)
		return node{kind: kindBad}
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d == nil || d.Body == nil {
			continue
		}
		if _, ok := d.Body.(*ast.CommentGroupNode); ok {
			continue
		}
		if body != nil {
			probs.add(lineOf(d.Body), "", "a second document starts here; keep one document and remove the line ---")
			return node{kind: kindBad}
		}
		body = d.Body
	}
	if body == nil {
		return node{kind: kindMap, line: 1}
	}
	r := reader{probs}
	return r.value(body, "", 0)
}

func (r reader) value(n ast.Node, path string, depth int) node {
	out := node{line: lineOf(n), col: colOf(n)}
	if depth > maxDepth {
		out.kind = kindBad
		r.probs.add(out.line, path, "the file is nested too deeply; compare it with the sample file")
		return out
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		out.kind = kindMap
		for _, mv := range v.Values {
			r.pair(&out, mv, path, depth)
		}
	case *ast.MappingValueNode:
		out.kind = kindMap
		r.pair(&out, v, path, depth)
	case *ast.SequenceNode:
		out.kind = kindList
		for i, item := range v.Values {
			out.items = append(out.items, r.value(item, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case *ast.StringNode:
		out.kind, out.text = kindText, v.Value
		// Digits that YAML leaves as text (0899) would be read as a number
		// by the next person's eyes: ask for quotes as for any number.
		if plain(v.Token) && onlyDigits(v.Value) {
			out.kind = kindInt
		}
	case *ast.LiteralNode:
		out.kind = kindText
		if v.Value != nil {
			out.text = v.Value.Value
		}
	case *ast.IntegerNode:
		out.kind, out.text = kindInt, v.Token.Value
	case *ast.FloatNode:
		out.kind, out.text = kindFloat, v.Token.Value
	case *ast.InfinityNode:
		out.kind, out.text = kindFloat, v.Token.Value
	case *ast.NanNode:
		out.kind, out.text = kindFloat, v.Token.Value
	case *ast.BoolNode:
		out.kind, out.text = kindBool, v.Token.Value
	case *ast.NullNode, nil:
		out.kind = kindNull
	case *ast.CommentGroupNode:
		out.kind = kindNull
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		out.kind = kindBad
		r.probs.add(out.line, path, "anchors and aliases (&, *, <<) are not allowed; write the values out")
	case *ast.TagNode:
		out.kind = kindBad
		r.probs.add(out.line, path, "tags (!) are not allowed; write the value in quotes if it begins with !")
	default:
		out.kind = kindBad
		r.probs.add(out.line, path, "this is not something a configuration can hold; compare it with the sample file")
	}
	if out.kind == kindText && mangled(out.text) {
		out.kind = kindBad
		r.probs.add(out.line, path, notUTF8)
	}
	return out
}

// mangled finds what the parser makes of bytes that are no UTF-8.
func mangled(s string) bool { return strings.ContainsRune(s, utf8.RuneError) }

func (r reader) pair(out *node, mv *ast.MappingValueNode, path string, depth int) {
	line := lineOf(mv.Key)
	key, ok := keyText(mv.Key)
	if !ok {
		r.probs.add(line, path, "this key is not plain text; anchors, aliases and complex keys are not allowed")
		return
	}
	at := join(path, key)
	if mangled(key) {
		r.probs.add(line, at, notUTF8)
		return
	}
	for _, p := range out.pairs {
		if p.key == key {
			r.probs.add(line, at, fmt.Sprintf("the key is given twice, first on line %d; keep one of them", p.line))
			return
		}
	}
	out.pairs = append(out.pairs, pair{key: key, line: line, val: r.value(mv.Value, at, depth+1)})
	if v := &out.pairs[len(out.pairs)-1].val; v.line == 0 || v.kind == kindNull {
		v.line = line
	}
}

func keyText(k ast.MapKeyNode) (string, bool) {
	switch v := k.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.IntegerNode:
		return v.Token.Value, true
	case *ast.BoolNode:
		return v.Token.Value, true
	case *ast.FloatNode:
		return v.Token.Value, true
	}
	return "", false
}

func lineOf(n ast.Node) int {
	if t := tokenOf(n); t != nil {
		return t.Position.Line
	}
	return 0
}

func colOf(n ast.Node) int {
	if t := tokenOf(n); t != nil {
		return t.Position.Column
	}
	return 0
}

// tokenOf finds the token a node begins with. A mapping's own token is its
// first colon, so its first key tells better where it begins.
func tokenOf(n ast.Node) *token.Token {
	switch v := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if len(v.Values) > 0 {
			return tokenOf(v.Values[0])
		}
	case *ast.MappingValueNode:
		return tokenOf(v.Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t
	}
	return nil
}

func plain(t *token.Token) bool { return t != nil && t.Type == token.StringType }

func onlyDigits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
