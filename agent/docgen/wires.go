package docgen

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Way says who calls whom at an interface of the two documents.
type Way string

// The ways.
const (
	WeCall  Way = "我们调用 we call"
	WeServe Way = "我们提供 we serve"
	Facade  Way = "代平台应答 façade"
	WeHear  Way = "平台通知我们 we are told"
	WeKeep  Way = "规则或场景 a rule or a flow"
)

// Home is one place where an interface is built. Proofs are the test functions
// that show it, each "package TestName"; the package is left out where it is
// Package itself.
type Home struct {
	Way     Way
	Package string
	Proofs  []string
}

// Wire is one interface, rule or scene of a document, with the questions that
// only the platform's owner can answer, by their keys.
type Wire struct {
	Seed, Section, Name, ZH, EN string
	Homes                       []Home
	Open                        []string
}

// Question is open until the platform's owner answers it. Meanwhile we do what
// is said; Keys of the configuration change it.
type Question struct {
	ID           string
	ZH, EN       string // what is asked
	MeanZH, Mean string // what we do meanwhile
	Keys         []string
}

// WiresTable writes the table of every interface and the list of open
// questions. It is an error when a package or a test does not exist, when a
// question is asked by nobody or a key is not in the configuration.
func WiresTable(root string, wires []Wire, questions []Question, known func(key string) bool) (string, error) {
	var b strings.Builder
	b.WriteString(`## 两份文档的全部接口 Every interface of both documents

“代平台应答”指老 HIS 程序仍按平台的格式调用，由本机代替平台应答。测试一栏可用 ` + "`go test ./PACKAGE -run TEST`" + ` 单独运行。Q 编号见下面的待答问题。
Façade: an old HIS program goes on calling as it would call the platform, and the agent answers. Each test can be run by itself.
The Q numbers stand in the list of open questions below.

`)
	asked := map[string][]string{}
	for _, w := range wires {
		for _, q := range w.Open {
			asked[q] = append(asked[q], w.Name)
		}
	}
	number := map[string]int{}
	for i, q := range questions {
		number[q.ID] = i + 1
		if len(asked[q.ID]) == 0 {
			return "", fmt.Errorf("the open question %s belongs to no interface", q.ID)
		}
		for _, k := range q.Keys {
			if !known(k) {
				return "", fmt.Errorf("the open question %s names the configuration key %s, which does not exist", q.ID, k)
			}
		}
	}
	head(&b, "文档 document", "接口 interface", "方向 direction", "在哪里 where", "证明它的测试 proven by", "待答 open")
	for _, w := range wires {
		var open []string
		for _, q := range w.Open {
			if number[q] == 0 {
				return "", fmt.Errorf("%s names the open question %s, which is not listed", w.Name, q)
			}
			open = append(open, fmt.Sprintf("[Q%d](#q%d)", number[q], number[q]))
		}
		if len(w.Homes) == 0 {
			return "", fmt.Errorf("%s is built nowhere", w.Name)
		}
		for i, h := range w.Homes {
			proofs, err := proven(root, w.Name, h)
			if err != nil {
				return "", err
			}
			doc, name := w.Seed+" "+w.Section, "**"+w.Name+"**\n"+w.ZH+"\n"+w.EN
			if i > 0 {
				doc, name, open = "〃", "〃 "+w.Name, nil
			}
			row(&b, strings.TrimSpace(doc), name, string(h.Way), "`"+h.Package+"`", strings.Join(proofs, "\n"), strings.Join(open, " "))
		}
	}
	b.WriteString(`
## 待平台方答复的问题 Open questions to the platforms' owners

文档没有写明，或前后矛盾。每条说明现在怎么做、在哪个配置键改。得到书面答复后改配置即可，不必改程序。
The documents are silent or contradict each other here. Each line says what is done meanwhile and which key changes it; an answer in writing is
put into the configuration.

`)
	for i, q := range questions {
		fmt.Fprintf(&b, "### Q%d\n\n- 问：%s\n- Question: %s\n- 现在 Meanwhile: %s %s\n", i+1, q.ZH, q.EN, q.MeanZH, q.Mean)
		if len(q.Keys) > 0 {
			fmt.Fprintf(&b, "- 配置 Configuration: %s\n", "`"+strings.Join(q.Keys, "`, `")+"`")
		}
		fmt.Fprintf(&b, "- 涉及 Concerns: %s\n\n", strings.Join(asked[q.ID], "、"))
	}
	return b.String(), nil
}

// proven gives the proofs of a home for the table, after looking that its
// package and each test are there.
func proven(root, name string, h Home) ([]string, error) {
	if !isPackage(root, h.Package) {
		return nil, fmt.Errorf("%s is said to live in %s, where no Go package is", name, h.Package)
	}
	if len(h.Proofs) == 0 {
		return nil, fmt.Errorf("no test proves %s in %s", name, h.Package)
	}
	var out []string
	for _, p := range h.Proofs {
		pkg, test, ok := strings.Cut(p, " ")
		if !ok {
			pkg, test = h.Package, p
		}
		if !hasTest(root, pkg, test) {
			return nil, fmt.Errorf("%s is said to be proven by %s in %s, which does not exist", name, test, pkg)
		}
		text := "`" + test + "`"
		if pkg != h.Package {
			text += " (`" + pkg + "`)"
		}
		out = append(out, text)
	}
	return out, nil
}

func isPackage(root, pkg string) bool {
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*.go"))
	return err == nil && slices.ContainsFunc(files, func(f string) bool { return !strings.HasSuffix(f, "_test.go") })
}

// hasTest tells whether a folder's test files declare a test or fuzz target.
func hasTest(root, pkg, name string) bool {
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil || !regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`).MatchString(name) {
		return false
	}
	return slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		return err == nil && strings.Contains(string(text), "\nfunc "+name+"(")
	})
}
