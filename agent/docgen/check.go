package docgen

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"payagent/agent/doctor"
	"payagent/agent/door/cli"
	"payagent/agent/fleet"
	"payagent/agent/webhook"
	"payagent/agent/words"
	"payagent/platforms/lc"
)

// Checker knows what exists, so that pages written by hand can be held to it.
type Checker struct {
	root    string
	targets []string            // of the Makefile
	usage   map[string][]string // program → lines of its usage text
	routes  []string            // "POST /v1/orders/{id}/cancel"
	metrics string              // source of the metrics
	keys    Keys
	api     func(field string) bool
	words   words.Catalogue
	// messages are the dotted names of the open gateway's methods and of the
	// events that HIS is told.
	messages []string
}

// NewChecker reads the Makefile, the commands' usage texts, the interface's
// routes and the configuration's keys of the project under root.
func NewChecker(root string) (*Checker, error) {
	c := &Checker{root: root, usage: map[string][]string{}, words: words.New()}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return ""
		}
		return string(text)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(read("Makefile"), -1) {
		c.targets = append(c.targets, m[1])
	}
	// What stands in a usage text of its own comes before the line that points there.
	for _, from := range [][3]string{{"payagent", "devices.go", "devicesUsage"}, {"payagent", "closing.go", "closingUsage"},
		{"payagent", "doctor.go", "doctorUsage"}, {"payagent", "enrol.go", "enrolUsage"}, {"payagent", "exchangecmd.go", "updateUsage"}, {"payagent", "init.go", "initUsage"}, {"payagent", "command.go", "usage"}, {"paysim", "command.go", "usage"}, {"payfleet", "ca.go", "caUsage"},
		{"payfleet", "key.go", "keyUsage"}, {"payfleet", "config.go", "configUsage"}, {"payfleet", "update.go", "updateUsage"}, {"payfleet", "relay.go", "relayUsage"}, {"payfleet", "hub.go", "hubUsage"}, {"payfleet", "command.go", "usage"}} {
		program := from[0]
		text := read("agent/cmd/" + program + "/" + from[1])
		_, text, _ = strings.Cut(text, "const "+from[2]+" = `")
		text, _, _ = strings.Cut(text, "`")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "  "+program+" ") {
				c.usage[program] = append(c.usage[program], strings.TrimSpace(line))
			} else if n := len(c.usage[program]); n > 0 && strings.HasPrefix(line, "    ") {
				c.usage[program][n-1] += " " + strings.TrimSpace(line)
			}
		}
	}
	for _, verb := range cli.Verbs() {
		c.usage["payagent"] = append(c.usage["payagent"], "payagent "+verb+" --"+strings.Join(cli.Flags(verb), " --"))
	}
	for _, m := range regexp.MustCompile(`\{"(GET|POST)", "(/[^"]*)"`).FindAllStringSubmatch(read("agent/door/door.go")+read("agent/door/finance.go"), -1) {
		c.routes = append(c.routes, m[1]+" "+m[2])
	}
	c.metrics = read("uplink/mqtt/relay/stats.go")
	for _, name := range metricSources() {
		c.metrics += read(name)
	}
	for _, r := range lc.Fields() {
		if !slices.Contains(c.messages, r.Message) {
			c.messages = append(c.messages, r.Message)
		}
	}
	c.messages = append(c.messages, webhook.Types()...)
	c.messages = append(c.messages, fleet.TypeAlarm, fleet.VerbRestart, fleet.VerbConfigApply, fleet.VerbConfigRollback, fleet.VerbLogUpload, fleet.VerbDiag,
		fleet.VerbDevicesTest, fleet.VerbResolveNow, fleet.VerbUpdate, fleet.VerbRenew)
	var err, err2 error
	c.keys, err = ReadKeys(root)
	c.api, err2 = ReadAPI(root)
	if len(c.targets) == 0 || len(c.usage["payagent"]) == 0 || len(c.usage["paysim"]) == 0 || len(c.usage["payfleet"]) == 0 || len(c.routes) == 0 || c.metrics == "" {
		err = errors.Join(err, errors.New("cannot check pages: the Makefile, the usage texts, the routes or the metrics were not found where they used to be"))
	}
	return c, errors.Join(err, err2)
}

// Pages lists the Markdown files of the project, below its root.
func (c *Checker) Pages() ([]string, error) {
	var list []string
	err := filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != c.root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata"):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".md"):
			name, err := filepath.Rel(c.root, path)
			list = append(list, filepath.ToSlash(name))
			return err
		}
		return nil
	})
	return list, err
}

var (
	// conflict is what a merge leaves where two sides changed the same lines.
	conflict = regexp.MustCompile(`(?m)^(<{7}|>{7}) .*$`)

	fence  = regexp.MustCompile("(?ms)^```[^\n]*\n(.*?)^```")
	span   = regexp.MustCompile("`([^`\n]+)`")
	link   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	dotted = regexp.MustCompile(`^[a-z][a-z0-9_]*(\[\])?(\.(NAME|[a-z][a-z0-9_]*(\[\])?))+$`)
	path   = regexp.MustCompile(`^(agent|platforms|devices|queue|uplink|install|docs)/[A-Za-z0-9_./-]*$`)
	metric = regexp.MustCompile(`^payagent_[a-z_]+$`)
	isFile = regexp.MustCompile(`\.(md|go|yaml|json|txt|db|bin|lock|key|log|token|sh|xml|svg|png|suspect|new|pem|test)$`)
	route  = regexp.MustCompile(`(?:(GET|POST) )?(?:https?://[^/\s"']+)?(/v1/[^\s"'?#\x60<>）)，。;；,]*)`)
	shell  = regexp.MustCompile(`^(?:\$ )?(?:sudo (?:-u \S+ )?)?(?:\./)?(?:build/)?(make|payagent|paysim|payfleet)( .*)?$`)
)

// Page gives what is wrong with one page, name below the root.
func (c *Checker) Page(name, text string) []string {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, name+": "+fmt.Sprintf(format, args...)) }
	if mark := conflict.FindString(text); mark != "" {
		complain("%q was left by a merge", mark)
	}
	var blocks []string
	prose := fence.ReplaceAllStringFunc(text, func(s string) string {
		blocks = append(blocks, fence.FindStringSubmatch(s)[1])
		return ""
	})
	for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(prose, ""), -1) {
		if err := c.link(name, m[1]); err != nil {
			complain("%v", err)
		}
	}
	var lines []string
	for _, m := range span.FindAllStringSubmatch(prose, -1) {
		s := m[1]
		lines = append(lines, s)
		if bare, _, _ := strings.Cut(s, ": "); dotted.MatchString(bare) && !isFile.MatchString(bare) && !c.named(bare) {
			complain("`%s` is no configuration key, no field of the interface and no word of the catalogue", s)
		}
		if path.MatchString(s) && !strings.Contains(s, "NAME") && !c.exists(s) {
			complain("`%s` does not exist", s)
		}
		if metric.MatchString(s) && !strings.Contains(c.metrics, s) {
			complain("`%s` is no metric", s)
		}
	}
	for _, b := range blocks {
		b = strings.ReplaceAll(b, "\\\n", " ")
		lines = append(lines, strings.Split(b, "\n")...)
	}
	for _, l := range lines {
		if err := c.command(l); err != nil {
			complain("%v", err)
		}
		for _, m := range route.FindAllStringSubmatch(l, -1) {
			if !c.route(m[1], m[2]) {
				complain("%s %s is no route of the interface", m[1], m[2])
			}
		}
	}
	return wrong
}

func (c *Checker) exists(name string) bool {
	_, err := os.Stat(filepath.Join(c.root, filepath.FromSlash(name)))
	return err == nil
}

// named tells whether a dotted name is known.
func (c *Checker) named(name string) bool {
	for _, g := range words.Groups() {
		if _, ok := c.words.Find(g, name); ok {
			return true
		}
	}
	if slices.ContainsFunc(doctor.Checks(), func(x doctor.Check) bool { return x.ID == name }) {
		return true
	}
	return c.keys.Known(name) || c.api(name) || slices.Contains(c.messages, name)
}

func (c *Checker) link(page, to string) error {
	u, err := url.Parse(to)
	if err != nil {
		return fmt.Errorf("the link %s cannot be read", to)
	}
	if u.Scheme != "" {
		return nil
	}
	target := page
	if u.Path != "" {
		target = filepath.ToSlash(filepath.Join(filepath.Dir(page), filepath.FromSlash(u.Path)))
	}
	if strings.HasPrefix(u.Path, "/") || strings.HasPrefix(target, "..") || !c.exists(target) {
		return fmt.Errorf("the link %s leads nowhere", to)
	}
	if u.Fragment == "" || !strings.HasSuffix(target, ".md") {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(c.root, target))
	if err != nil {
		return err
	}
	for line := range strings.Lines(fence.ReplaceAllString(string(text), "")) {
		if h := strings.TrimLeft(line, "#"); h != line && anchor(h) == u.Fragment {
			return nil
		}
	}
	return fmt.Errorf("the link %s leads to no heading of %s", to, target)
}

// anchor is the name under which a heading is found, as hosts of Markdown
// make it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.TrimSpace(heading))
}

// command looks at a line that calls make or one of the programs.
func (c *Checker) command(line string) error {
	m := shell.FindStringSubmatch(strings.TrimSpace(line))
	if m == nil {
		return nil
	}
	args := strings.Fields(strings.Split(m[2], " #")[0])
	if m[1] == "make" {
		for _, a := range args {
			if !strings.Contains(a, "=") && !slices.Contains(c.targets, a) {
				return fmt.Errorf("`%s`: the Makefile has no target %q", line, a)
			}
		}
		return nil
	}
	if len(args) == 0 {
		return nil
	}
	wrong := fmt.Errorf("`%s`: there is no such command", line)
	for _, u := range c.usage[m[1]] {
		rest, ok := fits(strings.Fields(u)[1:], args)
		if !ok {
			continue
		}
		flag := slices.IndexFunc(rest, func(a string) bool {
			name, _, _ := strings.Cut(a, "=")
			return strings.HasPrefix(a, "-") && !regexp.MustCompile(regexp.QuoteMeta(name)+`\b`).MatchString(u)
		})
		if flag < 0 {
			return nil
		}
		wrong = fmt.Errorf("`%s`: the command has no flag %s", line, rest[flag])
	}
	return wrong
}

// fits compares the words of a usage line, such as "token list|revoke", with
// the beginning of a command, and gives the rest of the command.
func fits(usage, args []string) (rest []string, ok bool) {
	n := 0
	for _, u := range usage {
		if !regexp.MustCompile(`^[a-z|]+$`).MatchString(u) {
			break
		}
		if n >= len(args) || !slices.Contains(strings.Split(u, "|"), args[n]) {
			return nil, false
		}
		if n++; n == 2 {
			break
		}
	}
	return args[n:], n > 0
}

// route tells whether the interface has a path; what stands for a value
// ({id}, $ID, …) fits any.
func (c *Checker) route(method, path string) bool {
	want := strings.Split(strings.TrimRight(path, "/."), "/")
	return slices.ContainsFunc(c.routes, func(r string) bool {
		m, p, _ := strings.Cut(r, " ")
		have := strings.Split(p, "/")
		if method != "" && m != method || len(have) != len(want) {
			return false
		}
		for i := range have {
			if have[i] != want[i] && !strings.HasPrefix(have[i], "{") {
				return false
			}
		}
		return true
	})
}
