package docgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"

	"github.com/goccy/go-yaml"

	"payagent/agent/agenttest"
	"payagent/queue/mem"
)

// rule is one alert rule of Prometheus.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// board is what is looked at of a Grafana board.
type board struct {
	UID    string `json:"uid"`
	Title  string `json:"title"`
	Panels []struct {
		ID      int    `json:"id"`
		Type    string `json:"type"`
		Title   string `json:"title"`
		GridPos struct{ H, W, X, Y int }
		Targets []struct {
			Expr   string `json:"expr"`
			Legend string `json:"legendFormat"`
		} `json:"targets"`
	} `json:"panels"`
}

// exported reads docs/metrics.md, and the hub's source: the labels by metric. up
// is Prometheus's own.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string][]string{"up": nil}
	for _, m := range regexp.MustCompile("(?m)^\\| `(payagent_[a-z_]+)` \\| [a-z]+ \\| ([a-z_, ]*)\\|").FindAllStringSubmatch(string(page), -1) {
		list[m[1]] = nil
		if text := strings.TrimSpace(m[2]); text != "" {
			list[m[1]] = strings.Split(text, ", ")
		}
	}
	hub, err := os.ReadFile(root + "/agent/fleet/hub/health.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\{"([a-z_]+)", "(?:gauge|counter)"`).FindAllStringSubmatch(string(hub), -1) {
		list["payfleet_hub_"+m[1]] = nil
	}
	if len(list) < 55 {
		t.Fatalf("docs/metrics.md and the hub list %d metrics", len(list))
	}
	return list
}

var (
	promWords = []string{"sum", "min", "max", "count", "avg", "by", "without", "rate", "increase", "histogram_quantile", "and", "or", "unless", "offset", "vector", "on", "ignoring"}
	token1    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_][a-zA-Z0-9_:]*|\[[0-9]+[smhd]\]|[0-9]+[smhd]|[0-9.]+|=~|!~|!=|==|>=|<=|[-+*/<>(){},=]|\s+`)
)

// checkExpr finds what is wrong with an expression, as far as that can be told
// without Prometheus: words, brackets, metrics, labels in selectors and in "by".
// "by" stands before what is summed.
func checkExpr(expr string, known map[string][]string) (wrong []string) {
	var tokens []string
	rest := expr
	for rest != "" {
		m := token1.FindStringIndex(rest)
		if m == nil || m[0] != 0 {
			return []string{fmt.Sprintf("cannot read %q", rest)}
		}
		if s := strings.TrimSpace(rest[:m[1]]); s != "" {
			tokens = append(tokens, s)
		}
		rest = rest[m[1]:]
	}
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	var open, grouped []string
	metric, by, used := "", false, false
	for i, s := range tokens {
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch {
		case strings.ContainsAny(s, "({") && len(s) == 1:
			open = append(open, s)
		case s == ")" || s == "}":
			if len(open) == 0 || open[len(open)-1]+s != "()" && open[len(open)-1]+s != "{}" {
				complain("%q closes nothing", s)
				return wrong
			}
			open, by = open[:len(open)-1], false
		case s == "by":
			by = true
		case !unicode.IsLetter(rune(s[0])) && s[0] != '_':
		case len(open) > 0 && open[len(open)-1] == "{":
			if metric == "" || !slices.Contains(append(known[metric], "job", "instance"), s) {
				complain("%s has no label %s", metric, s)
			}
			if !slices.Contains([]string{"=", "=~", "!=", "!~"}, next) {
				complain("%s is compared with nothing", s)
			}
		case by:
			grouped = append(grouped, s)
		case slices.Contains(promWords, s):
		default:
			if _, ok := known[s]; !ok {
				complain("there is no metric %s", s)
			}
			metric, used = s, true
			for _, label := range grouped {
				if !slices.Contains(append(known[s], "job", "instance"), label) {
					complain("%s has no label %s to sum by", s, label)
				}
			}
			grouped = nil
		}
	}
	if len(open) > 0 {
		complain("%v is not closed", open)
	}
	if !used || len(grouped) > 0 {
		complain("no metric is used, or none is summed by %v", grouped)
	}
	return wrong
}

// filled finds the labels that a text takes from an alert or series.
var filled = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)

// TestAlertRules: the rules can be read, use what the agent exports, and say in
// both languages what happened.
func TestAlertRules(t *testing.T) {
	data, err := os.ReadFile(root + "/install/monitoring/payagent.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	known, seen := exported(t), map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			for _, w := range checkExpr(r.Expr, known) {
				t.Errorf("%s: %s", r.Alert, w)
			}
			if seen[r.Alert] || !regexp.MustCompile(`^(Payagent|PayfleetHub)[A-Za-z]+$`).MatchString(r.Alert) {
				t.Errorf("%q is no name, or twice there", r.Alert)
			}
			seen[r.Alert] = true
			if r.For != "" && !regexp.MustCompile(`^[0-9]+m$`).MatchString(r.For) {
				t.Errorf("%s waits for %q", r.Alert, r.For)
			}
			if s := r.Labels["severity"]; s != "warning" && s != "critical" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
			for _, name := range []string{"summary", "description"} {
				zh, en, _ := strings.Cut(r.Annotations[name], " / ")
				if !strings.ContainsFunc(zh, func(c rune) bool { return unicode.Is(unicode.Han, c) }) || len(en) < 10 || strings.ContainsFunc(en, func(c rune) bool { return unicode.Is(unicode.Han, c) }) {
					t.Errorf("%s: the %s is not in both languages: %q", r.Alert, name, r.Annotations[name])
				}
				for _, m := range filled.FindAllStringSubmatch(r.Annotations[name], -1) {
					if !strings.Contains(r.Expr, m[1]) && (m[1] != "instance" || strings.Contains(r.Expr, "sum by")) && !labelOf(r.Expr, m[1], known) {
						t.Errorf("%s says the label %s, which its expression does not keep", r.Alert, m[1])
					}
				}
			}
		}
	}
	page := fresh(t)
	// An alarm of money is told at its first time, too: a counter that appears
	// has not increased.
	for _, code := range regexp.MustCompile(`code=~"([a-z_|]+)"`).FindAllStringSubmatch(string(data), -1) {
		for name := range strings.SplitSeq(code[1], "|") {
			if !strings.Contains(page, fmt.Sprintf("payagent_alarms_total{code=%q} 0\n", name)) {
				t.Errorf("payagent_alarms_total does not begin with 0 for %s", name)
			}
		}
	}
	for _, must := range []string{"PayagentSuccessLow", "PayagentSlow", "PayagentUnknown", "PayagentUnbooked", "PayagentManyRevokes"} {
		if !seen[must] {
			t.Errorf("there is no rule %s", must)
		}
	}
}

// fresh is the page of an agent that has just started.
func fresh(t *testing.T) string {
	var page bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		if err := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})}).Agent.WriteMetrics(&page, "test"); err != nil {
			t.Fatal(err)
		}
	})
	return page.String()
}

// labelOf tells whether a label comes with an expression that sums nothing up.
func labelOf(expr, label string, known map[string][]string) bool {
	if strings.Contains(expr, "sum") {
		return false
	}
	for name, labels := range known {
		if strings.Contains(expr, name) && slices.Contains(labels, label) {
			return true
		}
	}
	return false
}

// TestBoard: the board can be read and uses what the agent exports; its panels
// do not lie over each other.
func TestBoard(t *testing.T) {
	data, err := os.ReadFile(root + "/install/monitoring/payagent-board.json")
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	known, ids := exported(t), map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range b.Panels {
		if ids[p.ID] || len(p.Targets) == 0 || p.Title == "" {
			t.Errorf("panel %d %q is twice there or empty", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			for _, w := range checkExpr(strings.ReplaceAll(target.Expr, "$instance", "x"), known) {
				t.Errorf("%s: %s", p.Title, w)
			}
			for _, m := range filled.FindAllStringSubmatch(target.Legend, -1) {
				if !regexp.MustCompile(`by \([^)]*\b` + m[1] + `\b[^)]*\)`).MatchString(target.Expr) {
					t.Errorf("%s: the legend says %s, which is not kept", p.Title, m[1])
				}
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies over %q or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(b.Panels) < 10 || b.UID == "" || b.Title == "" {
		t.Errorf("%d panels, uid %q, title %q", len(b.Panels), b.UID, b.Title)
	}
}

// TestWrongExpressions: what is misspelt is found.
func TestWrongExpressions(t *testing.T) {
	known := exported(t)
	for _, good := range []string{
		`payagent_ready == 0`,
		`sum by (adapter, channel) (increase(payagent_orders_total{outcome="paid"}[30m])) >= 20`,
	} {
		if wrong := checkExpr(good, known); len(wrong) > 0 {
			t.Errorf("%s: %v", good, wrong)
		}
	}
	for _, bad := range []string{
		`payagent_redy == 0`,
		`payagent_order_total > 1`,
		`payagent_orders_total{outcom="paid"} > 1`,
		`sum by (adaptor) (payagent_orders_total) > 1`,
		`sum by (adapter) (payagent_ready) > 1`,
		`summ(payagent_ready) > 1`,
		`sum(payagent_ready > 1`,
		`sum(payagent_ready)) > 1`,
		`rate(payagent_orders_total[5x]) > 1`,
		`payagent_orders_total{outcome} > 1`,
		`1 > 0`,
	} {
		if wrong := checkExpr(bad, known); len(wrong) == 0 {
			t.Errorf("nothing is found wrong with %s", bad)
		}
	}
}
