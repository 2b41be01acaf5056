package docgen

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestPagesTellOfWhatExists(t *testing.T) {
	c, err := NewChecker(root)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := c.Pages()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pages {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range c.Page(name, string(text)) {
			t.Error(w)
		}
	}
	for _, must := range []string{"README.md", "CHANGELOG.md", "docs/architecture.md", "docs/operations.md", "docs/states.md", "docs/interfaces.md",
		"docs/configuration.md", "docs/words.md", "agent/config/KEYS.md", "agent/words/WORDS.md"} {
		if !strings.Contains(" "+strings.Join(pages, " ")+" ", " "+must+" ") {
			t.Errorf("there is no %s", must)
		}
	}
}

// The checks find what is wrong, and leave alone what is right.
func TestCheckerFindsNonsense(t *testing.T) {
	c, err := NewChecker(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct{ text, want string }{
		"good":               {"[words](docs/states.md) `make test` `payagent run --config FILE` `door.listen` `agent/order` `POST /v1/orders/{id}/cancel` `patient.name` `order.go`", ""},
		"good block":         {"```sh\nmake sim SEED=7\nbuild/payagent token add --config F --name HIS \\\n  --scopes collect\ncurl -s http://127.0.0.1:8780/v1/orders/$NO?wait=30s\n```", ""},
		"good anchor":        {"[x](docs/states.md#状态一览-what-each-state-means)", ""},
		"link":               {"[x](docs/nothing.md)", "leads nowhere"},
		"link outside":       {"[x](../secret.md)", "leads nowhere"},
		"absolute link":      {"[x](/docs/states.md)", "leads nowhere"},
		"anchor":             {"[x](docs/states.md#no-such-heading)", "no heading"},
		"make":               {"`make coffee`", "no target"},
		"make in a block":    {"```\nmake teest\n```", "no target"},
		"command":            {"`payagent refunds --config FILE`", "no such command"},
		"flag of a verb":     {"`payagent query --amount 1.00`", "no flag"},
		"second word":        {"`payagent orders delete`", "no such command"},
		"flag":               {"```\n$ payagent run --conf FILE\n```", "no flag"},
		"flag of another":    {"`payagent config check --bill B`", "no flag"},
		"paysim":             {"`paysim fly`", "no such command"},
		"key":                {"`policy.horizn`", "no configuration key"},
		"key with a value":   {"`door.port: 80`", "no configuration key"},
		"driver's key":       {"`tills[].scanners[].options.bauds`", "no configuration key"},
		"path":               {"`agent/ordr`", "does not exist"},
		"metric":             {"`payagent_money_total`", "no metric"},
		"route":              {"`GET /v1/bills`", "no route"},
		"method":             {"`GET /v1/orders/{id}/cancel`", "no route"},
		"route in a block":   {"```\ncurl http://127.0.0.1:8780/v1/order/1\n```", "no route"},
		"below an article":   {"[x](states.md)", "leads nowhere"},
		"merge":              {"good\n<<<<<<< HEAD\n| a |\n", "left by a merge"},
		"words of catalogue": {"`canceled.close` `canceled.open`", "canceled.open"},
	} {
		got := strings.Join(c.Page("x.md", x.text), "\n")
		if x.want == "" && got != "" || !strings.Contains(got, x.want) {
			t.Errorf("%s: got %q, want %q", name, got, x.want)
		}
	}
}

// docs/architecture.md has a row for every module that our code imports, with
// the version of go.mod, and none for others. What only tests and paysim need
// stands in the second table. Of what is shipped there are 25 at most.
func TestDependenciesAreListed(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9./_-]+\.[a-z]+/\S+|[a-z.]+/[a-z]+) (v\S+)`).FindAllStringSubmatch(string(mod), -1) {
		versions[m[1]] = m[2]
	}
	shipped, other := map[string]bool{}, map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (ownModule(path) || path == filepath.Join(root, "build")):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		tests := regexp.MustCompile(`_test\.go$|test/|/paysim/|/bank/|/sim/|/bench/|/fontgen/`).MatchString(filepath.ToSlash(path))
		for _, i := range tree.Imports {
			name := strings.Trim(i.Path.Value, `"`)
			for module := range versions {
				if name == module || strings.HasPrefix(name, module+"/") {
					if tests {
						other[module] = true
					} else {
						shipped[module] = true
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	first, second, ok := strings.Cut(string(page), "In tests and in `paysim` only")
	if !ok || len(shipped) < 5 || len(other) < 5 {
		t.Fatalf("the two tables were not found, or too few imports: %v %v", shipped, other)
	}
	if len(shipped) > 25 {
		t.Errorf("the shipped programs import %d modules; 25 are the most that are looked after (SEC-10)", len(shipped))
	}
	listed := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (v\\S+) \\| ")
	for table, want := range map[string]map[string]bool{first: shipped, second: other} {
		have := map[string]bool{}
		for _, m := range listed.FindAllStringSubmatch(table, -1) {
			have[m[1]] = true
			if versions[m[1]] != m[2] {
				t.Errorf("%s is listed at %s, go.mod has %q", m[1], m[2], versions[m[1]])
			}
			if !want[m[1]] {
				t.Errorf("%s is listed, and nothing of ours there imports it", m[1])
			}
		}
		for m := range want {
			if !have[m] && !(table == second && shipped[m]) {
				t.Errorf("%s %s is imported and has no row", m, versions[m])
			}
		}
	}
}

// ownModule tells whether a folder of ours is a module beside the main one, of
// which nothing reaches the program.
func ownModule(path string) bool {
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil && path != root
}

// docs/architecture.md says of every package what it is for.
func TestPackagesAreExplained(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "internal" || d.Name() == "testdata" || path == filepath.Join(root, "build")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		name, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		n++
		if !strings.Contains(string(page), "`"+filepath.ToSlash(name)+"`") {
			t.Errorf("%s: say in docs/architecture.md what this package is for", filepath.ToSlash(name))
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 100 {
		t.Errorf("only %d files were found", n)
	}
}
