package door

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"payagent/agent/words"
)

func wordsForTest() words.Catalogue { return words.New() }

// refusals are the counter's replies that refuse: all its codes but those that
// agree, read from its source so that a new one is not forgotten here.
func refusals(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../counter/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	agree := []string{"CodeCreated", "CodeQueued", "CodeExists", "CodeReplayed", "CodeAccepted", "CodeDone", "CodeClaimed", "CodeAsked", "CodeRetained", "CodeReleased"}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") || slices.Contains(agree, spec.Names[0].Name) {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		return true
	})
	if len(out) < 20 {
		t.Fatalf("only %d codes were found", len(out))
	}
	return out
}
