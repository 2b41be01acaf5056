package agent_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestHouse holds every Go file that ships to the rules of the house: no init,
// no package state that can change, no file over 500 lines, a comment for
// every package and everything exported.
func TestHouse(t *testing.T) {
	packages, files := 0, 0
	for _, dir := range goFolders(t) {
		fset := token.NewFileSet()
		var parsed []*ast.File
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			data := mustRead(t, name)
			if n := strings.Count(string(data), "\n"); n > 500 {
				t.Errorf("%s has %d lines", name, n)
			}
			f, err := parser.ParseFile(fset, name, data, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
			files++
		}
		if len(parsed) == 0 {
			continue
		}
		packages++
		rel, _ := filepath.Rel("..", dir)
		for _, bad := range house(fset, parsed, helper(filepath.ToSlash(rel))) {
			t.Error(bad)
		}
	}
	if packages < 30 || files < 100 {
		t.Fatalf("only %d files in %d packages were looked at", files, packages)
	}
}

func goFolders(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if n := d.Name(); n == "testdata" || path == "../build" || path != ".." && strings.HasPrefix(n, ".") {
			return filepath.SkipDir
		}
		dirs = append(dirs, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// house looks at one package. Test helpers need comments too, but may keep
// tables.
func house(fset *token.FileSet, files []*ast.File, isHelper bool) []string {
	var bad []string
	say := func(n ast.Node, format string, args ...any) {
		pos := fset.Position(n.Pos())
		bad = append(bad, fmt.Sprintf("%s:%d %s", pos.Filename, pos.Line, fmt.Sprintf(format, args...)))
	}
	said := false
	for _, f := range files {
		said = said || f.Doc != nil
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					say(d, "has an init function")
				}
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					say(d, "%s has no comment", d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
							say(spec, "%s has no comment", spec.Name.Name)
						}
					case *ast.ValueSpec:
						for i, name := range spec.Names {
							if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
								say(spec, "%s has no comment", name.Name)
							}
							if d.Tok == token.VAR && !isHelper && !constant(d, spec, i) {
								say(spec, "%s is package state that can change", name.Name)
							}
						}
					}
				}
			}
		}
	}
	if !said {
		say(files[0], "package %s has no comment", files[0].Name.Name)
	}
	return bad
}

// exportedReceiver tells whether a function is a method of an exported type,
// or no method at all.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}

// constant tells whether a package-level variable is one in name only: an
// error sentinel, a compiled expression or replacer, a type, embedded files, what
// the linker sets, an interface check.
func constant(d *ast.GenDecl, spec *ast.ValueSpec, i int) bool {
	if slices.Contains([]string{"_", "version", "made"}, spec.Names[i].Name) {
		return true
	}
	for _, doc := range []*ast.CommentGroup{d.Doc, spec.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	if i >= len(spec.Values) {
		return false
	}
	call, ok := spec.Values[i].(*ast.CallExpr)
	if !ok {
		return false
	}
	fun := call.Fun
	if generic, ok := fun.(*ast.IndexExpr); ok {
		fun = generic.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch fmt.Sprintf("%v.%v", sel.X, sel.Sel) {
	case "errors.New", "fmt.Errorf", "errors.Join", "regexp.MustCompile", "strings.NewReplacer", "reflect.TypeFor", "sync.OnceValue":
		return true
	}
	return false
}

func TestHouseCanFail(t *testing.T) {
	const src = `package x
import ("errors"; "regexp")
var ErrFine = errors.New("x") // ErrFine is fine.
var form = regexp.MustCompile("x")
//go:embed x.json
var file []byte
var table = map[string]int{}
var Naked int
func init() {}
func Loud() {}
type T struct{}
func (T) Loud() {}
// U is fine.
type U struct{}
func (u *U) Loud() {}
type quiet struct{}
func (quiet) Loud() {}
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(house(fset, []*ast.File{f}, false), "\n")
	for _, want := range []string{"x.go:7 table is", "x.go:8 Naked is", "x.go:8 Naked has no", "x.go:9 has an init", "x.go:10 Loud",
		"x.go:11 T has", "x.go:12 Loud", "x.go:15 Loud", "package x has no"} {
		if !strings.Contains(got, want) {
			t.Errorf("not found: %s", want)
		}
	}
	if n := strings.Count(got, "\n"); n != 8 {
		t.Errorf("%d findings, want 9:\n%s", n+1, got)
	}
	if got := house(fset, []*ast.File{f}, true); len(got) != 7 {
		t.Errorf("a helper may keep tables: %q", got)
	}
}
