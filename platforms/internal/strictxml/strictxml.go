// Package strictxml reads the XML that payment platforms answer with, and is
// deliberately narrower than XML. A reply decides about money, so a document
// that two parsers could read in two ways is refused instead of interpreted:
// the standard decoder keeps the last of two equal elements and lets an element
// of a foreign namespace stand in for ours (libraries.md L10).
//
// Refused are: more than 64 KiB, more than 16 levels, document types,
// processing instructions other than one XML declaration, bytes after the root
// element, attributes that are not namespace declarations, undeclared prefixes,
// encodings other than UTF-8 and the GB family, and bytes that the declared
// encoding cannot contain. Tolerated, because real servers send them: a byte
// order mark or blanks before the declaration, and blanks around values.
//
// Text is joined over CDATA sections and character references. Which element
// may occur how often is the caller's business: see Node.One, Node.Maybe and
// Node.NoDuplicates.
package strictxml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The limits of a document, in bytes and in levels of elements.
const (
	MaxBytes = 64 << 10
	MaxDepth = 16
)

// ErrXML is wrapped by every error of this package: the document is not usable.
var ErrXML = errors.New("not a usable XML document")

// Node is one element. Space is the namespace URI, empty if there is none;
// Name is the local name; Text is the character data directly inside it.
type Node struct {
	Space, Name, Text string
	Kids              []*Node

	commented bool
}

// Parse reads a document from raw bytes and gives its root element. The
// encoding is the declared one, or UTF-8 if none is declared.
func Parse(b []byte) (*Node, error) { return ParseReply(b, "", false) }

// ParseEnvelope is Parse for SOAP envelopes: it reads over attributes; see
// ParseReply.
func ParseEnvelope(b []byte) (*Node, error) { return ParseReply(b, "", true) }

// ParseReply is Parse for a body whose charset stood in the Content-Type as
// well. An empty charset means that the header said nothing; one that
// contradicts the declaration is an error.
//
// With envelope set it reads over attributes, because RPC-style SOAP servers
// put xsi:type and encodingStyle on their elements. An href is still refused:
// with it the value would stand somewhere else.
func ParseReply(b []byte, charset string, envelope bool) (*Node, error) {
	if len(b) > MaxBytes {
		return nil, fail("it is longer than %d bytes", MaxBytes)
	}
	text, err := decode(b, strings.ToLower(charset))
	if err != nil {
		return nil, err
	}
	return parse(text, envelope)
}

// ParseText reads a document that is already text, such as the string inside a
// SOAP reply. Its own encoding declaration is ignored: it speaks of bytes that
// are gone.
func ParseText(s string) (*Node, error) {
	if len(s) > MaxBytes {
		return nil, fail("it is longer than %d bytes", MaxBytes)
	}
	if err := valid(s); err != nil {
		return nil, err
	}
	s = strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(s, blanks), bom), blanks)
	_, rest, err := declaration(s)
	if err != nil {
		return nil, err
	}
	return parse(rest, false)
}

// parse reads everything after the declaration.
func parse(s string, attrs bool) (*Node, error) {
	d := xml.NewDecoder(strings.NewReader(s))
	var (
		root  *Node
		stack []frame
	)
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fail("it is malformed at byte %d", d.InputOffset())
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if root != nil && len(stack) == 0 {
				return nil, fail("something follows the root element")
			}
			if len(stack) == MaxDepth {
				return nil, fail("it is nested deeper than %d levels", MaxDepth)
			}
			f, err := open(t, stack, attrs)
			if err != nil {
				return nil, err
			}
			if root == nil {
				root = f.node
			} else {
				up := stack[len(stack)-1].node
				up.Kids = append(up.Kids, f.node)
			}
			stack = append(stack, f)
		case xml.EndElement:
			if len(stack) == 0 || stack[len(stack)-1].raw != t.Name {
				return nil, fail("the end tag </%s> closes nothing at byte %d", clip(t.Name.Local), d.InputOffset())
			}
			n := stack[len(stack)-1].node
			if n.commented && strings.Trim(n.Text, blanks) != "" {
				return nil, fail("a comment stands inside the value of <%s>", clip(n.Name))
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				n := stack[len(stack)-1].node
				n.Text += string(t)
			} else if strings.Trim(string(t), blanks) != "" {
				return nil, fail("text stands outside the root element")
			}
		case xml.Comment:
			if len(stack) > 0 {
				stack[len(stack)-1].node.commented = true
			}
		case xml.ProcInst:
			return nil, fail("it contains a processing instruction")
		case xml.Directive:
			return nil, fail("it contains a document type")
		}
	}
	switch {
	case len(stack) > 0:
		return nil, fail("it ends before </%s>", clip(stack[len(stack)-1].node.Name))
	case root == nil:
		return nil, fail("it has no element")
	}
	return root, nil
}

// frame is an element whose end has not been seen yet.
type frame struct {
	node *Node
	raw  xml.Name // prefix and name as written; the end tag must repeat them
	ns   map[string]string
}

// open makes the node of a start tag and resolves its namespace.
func open(t xml.StartElement, stack []frame, attrs bool) (frame, error) {
	f := frame{raw: t.Name}
	if len(stack) > 0 {
		f.ns = stack[len(stack)-1].ns
	}
	own := map[string]string{}
	for _, a := range t.Attr {
		var prefix string
		switch {
		case a.Name.Space == "" && a.Name.Local == "xmlns":
		case a.Name.Space == "xmlns":
			prefix = a.Name.Local
			if a.Value == "" || prefix == "xml" || prefix == "xmlns" {
				return f, fail("<%s> declares an impossible namespace", clip(t.Name.Local))
			}
		case attrs && a.Name.Local != "href":
			continue
		default:
			return f, fail("<%s> has an attribute", clip(t.Name.Local))
		}
		if _, twice := own[prefix]; twice {
			return f, fail("<%s> declares a namespace twice", clip(t.Name.Local))
		}
		own[prefix] = a.Value
	}
	if len(own) > 0 {
		for p, uri := range f.ns {
			if _, hidden := own[p]; !hidden {
				own[p] = uri
			}
		}
		f.ns = own
	}
	uri, known := f.ns[t.Name.Space]
	if t.Name.Space != "" && !known {
		return f, fail("<%s> uses an undeclared prefix", clip(t.Name.Local))
	}
	if strings.Contains(t.Name.Local, ":") {
		return f, fail("<%s> is no name", clip(t.Name.Local))
	}
	f.node = &Node{Space: uri, Name: t.Name.Local}
	return f, nil
}

const blanks = " \t\r\n"

// fail makes an error; it never quotes values, only names and places.
func fail(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrXML, fmt.Sprintf(format, args...))
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
