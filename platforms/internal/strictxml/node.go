package strictxml

import (
	"slices"
	"strings"
)

// All gives the children with that local name in n's own namespace or in none.
func (n *Node) All(name string) []*Node {
	var found []*Node
	for _, k := range n.Kids {
		if k.Name == name && (k.Space == n.Space || k.Space == "") {
			found = append(found, k)
		}
	}
	return found
}

// One gives the only child with that name; none or several are an error, and
// so is a child of that name in a foreign namespace.
func (n *Node) One(name string) (*Node, error) {
	k, err := n.Maybe(name)
	if err == nil && k == nil {
		err = fail("<%s> lacks <%s>", clip(n.Name), name)
	}
	return k, err
}

// Maybe is One for a child that may be missing: then it gives nil.
func (n *Node) Maybe(name string) (*Node, error) {
	var found *Node
	for _, k := range n.Kids {
		switch {
		case k.Name != name:
		case k.Space != n.Space && k.Space != "":
			return nil, fail("<%s> has a <%s> of a foreign namespace", clip(n.Name), name)
		case found != nil:
			return nil, fail("<%s> has <%s> twice", clip(n.Name), name)
		default:
			found = k
		}
	}
	return found, nil
}

// Value gives the trimmed text of a child that may be missing: then it gives
// the empty text. A child that has elements of its own is an error.
func (n *Node) Value(name string) (string, error) {
	k, err := n.Maybe(name)
	if err != nil || k == nil {
		return "", err
	}
	return k.Leaf()
}

// Leaf gives the trimmed text of an element that must not contain elements.
func (n *Node) Leaf() (string, error) {
	if len(n.Kids) > 0 {
		return "", fail("<%s> contains elements where a value belongs", clip(n.Name))
	}
	return strings.Trim(n.Text, blanks), nil
}

// NoDuplicates refuses, at every level, two siblings whose local names are
// equal or differ in case only, whatever their namespaces. The allowed names
// may repeat as they are written; their case twins may not.
func (n *Node) NoDuplicates(allow ...string) error {
	seen := make(map[string]string, len(n.Kids))
	for _, k := range n.Kids {
		low := strings.ToLower(k.Name)
		first, twice := seen[low]
		if twice && !(first == k.Name && slices.Contains(allow, k.Name)) {
			return fail("<%s> has <%s> twice", clip(n.Name), clip(k.Name))
		}
		if !twice {
			seen[low] = k.Name
		}
		if err := k.NoDuplicates(allow...); err != nil {
			return err
		}
	}
	return nil
}
