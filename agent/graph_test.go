package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "payagent/"

// pkg is what the go command tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// short is a package's path within this module, empty for any other.
func short(path string) string {
	rest, ours := strings.CutPrefix(path, module)
	if !ours {
		return ""
	}
	return rest
}

func listPackages(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Standard,GoFiles,Imports,Deps"}, args...)...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var list []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// families are the four; a package below one is a member, a part of one, or
// what members share (internal).
var families = []string{"devices", "platforms", "queue", "uplink"}

// helpers are parts of a family for tests and for the pretend world: they may
// know their whole family, and nothing that ships may know them.
func helper(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasSuffix(part, "test") && part != "latest" || strings.HasSuffix(part, "suite") || part == "bank" || part == "sim" || part == "paysim" || part == "compare" || part == "bench" {
			return true
		}
	}
	return false
}

// family gives a package's family and member; the contract has no member.
func family(path string) (name, member string) {
	parts := strings.Split(path, "/")
	if !slices.Contains(families, parts[0]) {
		return "", ""
	}
	if len(parts) > 1 && parts[1] != "internal" {
		member = parts[1]
	}
	return parts[0], member
}

// edge judges one import between packages of ours; empty if it is allowed.
func edge(from, to string) string {
	fam, member := family(from)
	toFam, toMember := family(to)
	switch {
	case fam != "" && toFam != fam:
		return "a family imports nothing of ours outside itself"
	case fam != "" && !helper(from) && helper(to):
		return "what ships knows no test helper"
	case fam != "" && !helper(from) && toMember != "" && member != toMember:
		return "a member imports its contract and internal, never a sibling; the contract imports no member"
	case fam == "" && toMember != "" && !strings.HasPrefix(from, "agent/cmd/") && !helper(from) && !strings.HasPrefix(from, "agent/docgen"):
		return "only agent/cmd, and the generator of the documents, import members"
	case fam == "" && strings.HasPrefix(to, "agent/cmd/") && !strings.HasPrefix(from, "agent/cmd/") && !helper(from):
		return "nothing imports a command"
	}
	return ""
}

func TestImportGraph(t *testing.T) {
	all := listPackages(t, "./...")
	if len(all) < 30 {
		t.Fatal("only", len(all), "packages")
	}
	for _, p := range all {
		for _, to := range p.Imports {
			if from, to := short(p.ImportPath), short(to); to != "" {
				if why := edge(from, to); why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
			}
		}
	}
	for from, to := range map[string]string{"queue/bolt": "platforms", "platforms/fwc": "platforms/smartpay", "platforms": "platforms/fwc",
		"agent": "queue/bolt", "agent/door": "platforms/fwc", "uplink/https": "platforms/bank", "platforms/fwc/fwctest": "queue",
		"platforms/smartpay": "platforms/bank", "agent/door/": "agent/cmd/payagent"} {
		if edge(from, to) == "" {
			t.Errorf("the rule lets %s import %s", from, to)
		}
	}
	for from, to := range map[string]string{"agent": "queue", "platforms/fwc": "platforms/internal/wire", "agent/cmd/payagent": "queue/bolt",
		"platforms/fwc/fwctest": "platforms/bank", "queue/bolt": "queue", "agent/sim": "platforms/bank"} {
		if why := edge(from, to); why != "" {
			t.Errorf("the rule forbids %s to import %s: %s", from, to, why)
		}
	}
}

// TestShippedProgram: the program that ships reaches neither a test helper nor
// the pretend world.
func TestShippedProgram(t *testing.T) {
	p := listPackages(t, "./agent/cmd/payagent")[0]
	reached := 0
	for _, dep := range p.Deps {
		if dep := short(dep); dep != "" {
			reached++
			if helper(dep) {
				t.Errorf("payagent reaches %s", dep)
			}
		}
		if dep == "testing" || strings.HasSuffix(dep, "/testing") {
			t.Errorf("payagent reaches %s", dep)
		}
	}
	if reached < 15 || !helper("platforms/bank/wire") || !helper("queue/queuetest") || !helper("platforms/fwc/fwcsuite") || helper("agent/order") {
		t.Fatal("the check sees too little:", reached)
	}
	// The pretend world is made of what tests are made of.
	if deps := listPackages(t, "./agent/cmd/paysim")[0].Deps; !slices.Contains(deps, module+"platforms/fwc/fwctest") || !slices.Contains(deps, "testing") {
		t.Error("paysim is not seen to reach its simulators: the check sees too little")
	}
	lines := bytes.Count(mustRead(t, filepath.Join(p.Dir, "main.go")), []byte("\n"))
	if lines >= 50 {
		t.Errorf("main.go has %d lines; it may have 49", lines)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// pure are the packages that decide; decision 21 says how they are held to it.
var pure = []string{"./agent/order", "./agent/counter"}

// TestPurity: what decides reads no clock, draws no lot, talks to nobody, and
// gives the same effects for the same events: no range over a map.
func TestPurity(t *testing.T) {
	compiled := exported(t, pure...)
	for _, p := range listPackages(t, pure...) {
		for _, bad := range impureImports(p) {
			t.Errorf("%s %s", short(p.ImportPath), bad)
		}
		fset, files := parsePackage(t, p.Dir, p.GoFiles)
		conf := types.Config{Importer: importer.ForCompiler(fset, "gc", compiled)}
		for _, bad := range impureCode(t, fset, files, conf) {
			t.Error(bad)
		}
	}
}

// exported finds what the compiler exported of packages and all they import.
func exported(t *testing.T, patterns ...string) importer.Lookup {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, patterns...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

func impureImports(p pkg) []string {
	var bad []string
	for _, i := range p.Imports {
		top, _, _ := strings.Cut(i, "/")
		if i != "math/bits" && slices.Contains([]string{"net", "os", "sync", "math", "io", "syscall", "runtime", "unsafe", "log"}, top) {
			bad = append(bad, "imports "+i)
		}
	}
	for _, d := range p.Deps {
		if d == "net" || d == "net/http" || strings.HasPrefix(d, "math/rand") {
			bad = append(bad, "reaches "+d)
		}
	}
	return bad
}

// timeWords is what may be used of package time: lengths of time, never the
// clock.
var timeWords = []string{"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"}

// impureCode finds uses of the clock, goroutines, channels and ranges over
// maps. A range whose body only collects keys to be sorted is written with
// slices.Sorted(maps.Keys(m)), so none is needed.
func impureCode(t *testing.T, fset *token.FileSet, files []*ast.File, conf types.Config) []string {
	t.Helper()
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	if _, err := conf.Check("pure", fset, files, info); err != nil {
		t.Fatal(err)
	}
	var bad []string
	say := func(n ast.Node, what string) {
		pos := fset.Position(n.Pos())
		bad = append(bad, fmt.Sprintf("%s:%d %s", filepath.Base(pos.Filename), pos.Line, what))
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && x.Obj == nil && !slices.Contains(timeWords, n.Sel.Name) {
					say(n, "uses time."+n.Sel.Name)
				}
			case *ast.RangeStmt:
				if _, isMap := info.Types[n.X].Type.Underlying().(*types.Map); isMap {
					say(n, "ranges over a map")
				}
				if call, ok := n.X.(*ast.CallExpr); ok {
					if sel, ok := call.Fun.(*ast.SelectorExpr); ok && fmt.Sprint(sel.X) == "maps" {
						say(n, "ranges over a map")
					}
				}
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				say(n, "has a goroutine or a channel")
			}
			return true
		})
	}
	return bad
}

func parsePackage(t *testing.T, dir string, names []string) (*token.FileSet, []*ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return fset, files
}

func TestPurityCanFail(t *testing.T) {
	const src = `package pure
import ("maps"; "time")
var c = make(chan int)
func f(m map[string]int) (n int) {
	for range m { n++ }
	for range maps.Keys(m) { n++ }
	go func() {}()
	return n + int(time.Now().Unix()) + int(5*time.Second)
}`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := impureCode(t, fset, []*ast.File{f}, types.Config{Importer: importer.ForCompiler(fset, "gc", exported(t, "maps", "time"))})
	if len(got) != 5 {
		t.Errorf("found %q, want the channel, two ranges, the goroutine and the clock", got)
	}
	if got := impureImports(pkg{Imports: []string{"os", "net/url", "math/rand/v2", "slices"}, Deps: []string{"net/http"}}); len(got) != 4 {
		t.Error(got)
	}
}
