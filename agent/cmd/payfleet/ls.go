package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/terms"
	"payagent/agent/fleet/view"
)

// codeAlarm is the exit code of ls and show where a box needs a person.
const codeAlarm = 3

func filterFlags(f *flag.FlagSet) *view.Filter {
	v := &view.Filter{}
	f.StringVar(&v.State, "state", "", "only boxes in this `state`: ready, alert, init, disconnected, lost, unknown")
	f.StringVar(&v.Version, "version", "", "only boxes of this `version`")
	f.StringVar(&v.Alarm, "alarm", "", "only boxes with this `alarm`, or any")
	f.StringVar(&v.Text, "text", "", "only boxes with this `text` in name, version, state, reason or alarm")
	return v
}

func lsCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("ls", flag.ContinueOnError)
	l, filter := lookingFlags(f), filterFlags(f)
	asJSON := f.Bool("json", false, "print JSON")
	if words, err := parse(f, args); err != nil {
		return err
	} else if len(words) > 0 {
		return fmt.Errorf("%w: ls takes no names; payfleet show BOX shows one", errUsage)
	}
	s, err := l.open(ctx, c, "ls")
	if err != nil {
		return err
	}
	defer s.close()
	var list view.List
	s.watch.Do(func(m *view.Model, now time.Time) {
		filter.Site = s.Site
		list = m.List(*filter, 0, m.Len(), now)
	})
	if *asJSON {
		err = printJSON(c.out, list)
	} else {
		err = s.printList(list)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(list.Rows, view.Row.Alarming) {
		return exitCode(codeAlarm)
	}
	return nil
}

func (s *session) printList(l view.List) error {
	rows := [][]string{{s.pick("医院", "SITE"), s.pick("机器", "BOX"), s.pick("状态", "STATE"), s.pick("多久前", "AGE"), s.pick("持续", "SINCE"), s.pick("版本", "VERSION"),
		s.pick("未结", "OPEN"), s.pick("待报", "WAITING"), s.pick("报警与原因", "ALARMS AND REASONS")}}
	for _, r := range l.Rows {
		state := s.say("state", r.State)
		if r.State == fleet.StateUnknown && r.Said != "" {
			state += s.pick("（曾为"+s.say("state", r.Said)+"）", " (was "+s.say("state", r.Said)+")")
		}
		rows = append(rows, []string{r.Site, r.Box, state, s.ago(r.AgeS), s.ago(r.SinceS), clean(r.Version), strconv.Itoa(r.Open), strconv.Itoa(r.Waiting),
			clean(strings.TrimSpace(strings.Join(append(slices.Clone(r.Alarms), r.Reasons...), " ") + " " + s.succession(r)))})
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	var sums []string
	for _, state := range slices.Sorted(maps.Keys(l.States)) {
		sums = append(sums, fmt.Sprintf("%s %d", s.say("state", state), l.States[state]))
	}
	_, err := fmt.Fprintf(s.out, "%s: %s\n", s.pick(fmt.Sprintf("共 %d 台，列出 %d 台", l.Total, l.Chosen), fmt.Sprintf("%d boxes, %d listed", l.Total, l.Chosen)), strings.Join(sums, ", "))
	return err
}

func (s *session) commandLine(c fleet.CommandState) string {
	parts := []string{s.say("command", c.State)}
	if c.State == fleet.Running && c.Progress > 0 {
		parts = append(parts, strconv.Itoa(c.Progress)+"%")
	}
	reason := s.code(c.Reason)
	if strings.Contains(c.Text, reason) { // the box says it more fully
		reason = ""
	}
	parts = slices.DeleteFunc(append(parts, reason, c.Text, "("+c.ID+")"), func(p string) bool { return p == "" })
	return clean(strings.Join(parts, " "))
}

// entry says a line of a timeline.
func (s *session) entry(e view.Entry) string {
	code := e.Code
	switch e.Kind {
	case view.KindState:
		code = s.say("state", e.Code)
		e.Text = s.codesIn(strings.Fields(e.Text))
		if e.Note == "restarted" {
			e.Note = s.pick("（重启过）", "(restarted)")
		}
	case view.KindAlarm, view.KindCleared:
		code = s.code(e.Code)
	case view.KindReported:
		code = s.say("part", e.Code)
		e.Text = terms.Value(s.Lang, "state", e.Text)
	case view.KindCommand:
		code = s.say("verb", e.Code)
		state, reason, _ := strings.Cut(e.Text, " ")
		e.Text = strings.TrimSpace(s.say("command", state) + " " + s.code(reason))
	}
	text := strings.TrimSpace(code + " " + e.Text + " " + e.Note)
	if e.Late {
		text += s.pick("（补报）", " (told late)")
	}
	return text
}

func watchCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("watch", flag.ContinueOnError)
	l := lookingFlags(f)
	asJSON := f.Bool("json", false, "print one JSON object per line")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) > 1 {
		return fmt.Errorf("%w: name one box, or none for all", errUsage)
	}
	s, err := l.open(ctx, c, "watch")
	if err != nil {
		return err
	}
	defer s.close()
	var only view.Key
	if len(words) == 1 {
		if only, err = s.find(words[0]); err != nil {
			return err
		}
	}
	var after uint64
	s.watch.Do(func(m *view.Model, _ time.Time) {
		if l := m.Latest(0); len(l) > 0 {
			after = l[len(l)-1].N
		}
	})
	for {
		var lines []view.Line
		changed := s.watch.Do(func(m *view.Model, _ time.Time) { lines = m.Latest(after) })
		for _, line := range lines {
			after = line.N
			if only != (view.Key{}) && line.Key != only {
				continue
			}
			if *asJSON {
				data, err := json.Marshal(line)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(c.out, string(data))
				if err != nil {
					return err
				}
				continue
			}
			if _, err := fmt.Fprintf(c.out, "%s  %s/%s  %s  %s\n", line.At.Local().Format(time.DateTime), line.Site, line.Box, s.say("kind", line.Kind), clean(s.entry(line.Entry))); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}
