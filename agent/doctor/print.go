package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"payagent/agent/words"
)

func marks() map[string]string {
	return map[string]string{OK: "✓", Skipped: "–", Warn: "!", Fail: "✗"}
}

// Write prints a result for people: what is wrong first in each group, with
// its cure; what is well in one line.
func (r Result) Write(w io.Writer) error {
	var b strings.Builder
	group := ""
	count := map[string]int{}
	for _, f := range r.Findings {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(&b, "\n%s\n", groupName(group))
		}
		count[f.Level]++
		about := ""
		if f.About != "" {
			about = " [" + f.About + "]"
		}
		fmt.Fprintf(&b, "  %s %s%s\n", marks()[f.Level], f.ID, about)
		both(&b, "      ", f.Found)
		if !f.Cure.Empty() {
			both(&b, "      → ", f.Cure)
		}
	}
	b.WriteString(r.path())
	fmt.Fprintf(&b, "\n%d 正常 ok, %d 警告 warnings, %d 失败 failures, %d 跳过 skipped\n", count[OK], count[Warn], count[Fail], count[Skipped])
	_, err := io.WriteString(w, b.String())
	return err
}

func both(b *strings.Builder, lead string, t words.Text) {
	lines := []string{t.ZH}
	if t.EN != t.ZH {
		lines = append(lines, t.EN)
	}
	for i, text := range lines {
		if i > 0 {
			lead = strings.Repeat(" ", len([]rune(lead)))
		}
		for line := range strings.Lines(text) {
			fmt.Fprintf(b, "%s%s\n", lead, strings.TrimRight(line, "\r\n"))
		}
	}
}

func groupName(g string) string {
	t := map[string]words.Text{GroupConfig: words.Text{ZH: "配置", EN: "Configuration"}, GroupDisk: words.Text{ZH: "磁盘与订单库", EN: "Disk and store"}, GroupService: words.Text{ZH: "服务与系统", EN: "Service and system"},
		GroupClock: words.Text{ZH: "时钟", EN: "Clock"}, GroupNet: words.Text{ZH: "网络", EN: "Network"}, GroupDevices: words.Text{ZH: "设备", EN: "Devices"}, GroupAdvice: words.Text{ZH: "建议", EN: "Advice"}}[g]
	return t.ZH + " " + t.EN
}

// Broken tells, for each of the other sides, at which hop the way to it ends
// and who can put that right (OFF-03). Nothing for those that can be reached.
func (r Result) Broken() []Finding {
	var list []Finding
	for _, f := range r.Findings {
		if f.Group != GroupNet || f.Level != Fail && (f.Level != Warn || f.ID != "net.his" && f.ID != "net.broker") {
			continue
		}
		// Hops stand in order: the first of a side is the one that failed.
		if !slices.ContainsFunc(list, func(o Finding) bool { return o.About == f.About || o.ID == "net.link" }) {
			list = append(list, f)
		}
	}
	return list
}

// path prints the ways through the network, where it was looked at.
func (r Result) path() string {
	var b strings.Builder
	looked := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.ID == "net.platform" })
	if !looked {
		return ""
	}
	broken := r.Broken()
	if len(broken) == 0 {
		return "\n网络各跳均通。 Every hop of the network works.\n"
	}
	b.WriteString("\n断在哪里，找谁 Where it breaks, and who to call\n")
	for _, f := range broken {
		about := f.About
		if about == "" {
			about = "全部 all"
		}
		fmt.Fprintf(&b, "  ✗ %s: %s\n      找 call: %s / %s\n", about, f.ID, f.Call.ZH, f.Call.EN)
	}
	return b.String()
}

// Table is the list of all checks for docs/doctor.md.
func Table() string {
	var b strings.Builder
	b.WriteString("| 检查 check | 看什么 what is looked at | 最坏 worst | 怎么办 cure |\n|---|---|---|---|\n")
	for _, c := range Checks() {
		worst := "warn"
		switch {
		case c.Fails:
			worst = "fail"
		case c.Group == GroupAdvice:
			worst = "ok"
		}
		cure := "—"
		if !c.Cure.Empty() {
			cure = c.Cure.ZH + "<br>" + c.Cure.EN
		}
		fmt.Fprintf(&b, "| `%s` | %s<br>%s | %s | %s |\n", c.ID, c.Title.ZH, c.Title.EN, worst, strings.ReplaceAll(cure, "|", `\|`))
	}
	return b.String()
}
