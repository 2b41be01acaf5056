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

func showCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("show", flag.ContinueOnError)
	l := lookingFlags(f)
	asJSON := f.Bool("json", false, "print JSON, for programs")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return fmt.Errorf("%w: name one box: payfleet show BOX or SITE/BOX", errUsage)
	}
	s, k, err := l.openBox(ctx, c, "show", words[0])
	if err != nil {
		return err
	}
	defer s.close()
	var b view.Box
	s.watch.Do(func(m *view.Model, now time.Time) { b, _ = m.Box(k, now) })
	if *asJSON {
		err = printJSON(c.out, b)
	} else {
		_, err = c.out.Write([]byte(s.page(b)))
	}
	if err == nil && b.Alarming() {
		return exitCode(codeAlarm)
	}
	return err
}

// page is a box for people: what needs them first, every value in words and
// with its age.
func (s *session) page(b view.Box) string {
	var out strings.Builder
	indented := func(by string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
		fmt.Fprintln(&out, by+clean(strings.Join(parts, " · ")))
	}
	line := func(parts ...string) { indented("", parts...) }
	field := func(code, text string) string { return s.say("field", code) + " " + text }
	state := s.say("state", b.State)
	if b.State == fleet.StateUnknown && b.Said != "" {
		state += s.pick("（曾为"+s.say("state", b.Said)+"）", " (was "+s.say("state", b.Said)+")")
	}
	since := ""
	if b.SinceS >= 0 {
		since = s.pick("已持续 ", "for ") + s.span(b.SinceS)
	}
	line(b.Site+"/"+b.Box, state, since, s.pick("上报于 ", "said ")+s.aged(b.AgeS))
	if b.Version != "" {
		line("  "+field("version", b.Version), field("open_orders", strconv.Itoa(b.Open)), field("events_waiting", strconv.Itoa(b.Waiting)))
	}
	if b.Generation > 1 || b.LeftOpen > 0 {
		line("  " + s.succession(b.Row))
	}
	if len(b.Reasons) > 0 {
		line("  " + field("reasons", s.codesIn(b.Reasons)))
	}
	if b.SkewS > 60 || b.SkewS < -60 {
		line("  " + field("box_clock", fmt.Sprintf("%+d s", b.SkewS)))
	}
	if !b.Fresh {
		line(s.pick("以下是它最后说的，现在未必如此。", "What follows is what it said last; it need not be so now."))
	}
	head := func(code string) { fmt.Fprintf(&out, "\n%s\n", s.say("part", code)) }
	if len(b.Active) > 0 {
		head("alarms")
	}
	for _, code := range slices.Sorted(maps.Keys(b.Active)) {
		var a fleet.Alarm
		v := b.Active[code]
		if json.Unmarshal(v.Data, &a) != nil {
			line("  "+code, s.flat(v.Data, ""), s.aged(v.AgeS))
			continue
		}
		line("  "+code, s.pick(a.Text.ZH, a.Text.EN))
		times := ""
		if a.Count > 1 {
			times = s.pick(fmt.Sprintf("%d 次", a.Count), fmt.Sprintf("%d times", a.Count))
		}
		indented("      ", s.moment("since", a.Since), strings.Join(a.Subjects, ", "), times, s.pick("上报于 ", "said ")+s.aged(v.AgeS))
	}
	for _, part := range []struct {
		code string
		of   map[string]view.Aged
	}{{"twin", b.Twin}, {"devices", b.Devices}, {"reported", b.Reported}} {
		if len(part.of) == 0 {
			continue
		}
		head(part.code)
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(part.of)) {
			shown := name
			if part.code != "devices" {
				shown = s.say("part", name)
			}
			for i, text := range s.lines(part.of[name].Data, name) {
				row := []string{"  " + clean(shown), s.aged(part.of[name].AgeS), clean(text)}
				if i > 0 {
					row[0], row[1] = "", ""
				}
				rows = append(rows, row)
			}
		}
		_ = table(&out, rows) // a strings.Builder takes everything
	}
	if len(b.Can) > 0 {
		head("can")
		var verbs []string
		for _, v := range slices.Sorted(maps.Keys(b.Can)) {
			verbs = append(verbs, v+" "+s.say("verb", v))
		}
		line("  " + strings.Join(verbs, s.pick("、", ", ")))
	}
	if len(b.Commands) > 0 {
		head("commands")
		var rows [][]string
		for _, c := range b.Commands {
			rows = append(rows, []string{"  " + s.say("verb", c.Verb), s.aged(c.AgeS), s.commandLine(c.CommandState)})
		}
		_ = table(&out, rows)
	}
	if len(b.Timeline) > 0 {
		head("timeline")
		var rows [][]string
		for _, e := range b.Timeline {
			rows = append(rows, []string{"  " + e.At.Local().Format(time.DateTime), s.say("kind", e.Kind), clean(s.entry(e))})
		}
		_ = table(&out, rows)
	}
	return out.String()
}

// span says a length of time in words.
func (s *session) span(seconds int64) string {
	n, zh, en := seconds, "秒", "s"
	switch {
	case seconds >= 48*3600:
		n, zh, en = seconds/86400, "天", "days"
	case seconds >= 2*3600:
		n, zh, en = seconds/3600, "小时", "h"
	case seconds >= 120:
		n, zh, en = seconds/60, "分钟", "min"
	}
	return fmt.Sprintf("%d %s", n, s.pick(zh, en))
}

// aged says how long ago something was said; -1: nobody can know.
func (s *session) aged(seconds int64) string {
	if seconds < 0 {
		return s.pick("时间不明", "time not known")
	}
	return s.span(seconds) + s.pick("前", " ago")
}

// moment says a time; nothing where there is none.
func (s *session) moment(code string, t time.Time) string {
	if t.Year() < 1971 {
		return ""
	}
	return s.say("field", code) + " " + t.Local().Format(time.DateTime)
}

// lines says a value in words: a line for its plain fields, and one for each
// thing of a list in it. name is what it is called already.
func (s *session) lines(data json.RawMessage, name string) []string {
	var v map[string]json.RawMessage
	if json.Unmarshal(data, &v) != nil {
		return []string{s.flat(data, "")}
	}
	var list []string
	for _, key := range s.keys(v) {
		var of []map[string]json.RawMessage
		if json.Unmarshal(v[key], &of) != nil || len(of) == 0 {
			continue
		}
		for _, x := range of {
			text, err := json.Marshal(x)
			if err != nil {
				continue
			}
			list = append(list, s.flat(text, ""))
		}
		delete(v, key)
	}
	rest, err := json.Marshal(v)
	if err != nil {
		return list
	}
	if own := s.flat(rest, name); own != "" || len(list) == 0 {
		list = append([]string{own}, list...)
	}
	return list
}

// keys are the names of an object: what it is first, then by the alphabet.
func (s *session) keys(v map[string]json.RawMessage) []string {
	first := []string{"name", "state", "present", "up", "version", "line", "key", "code", "text"}
	at := func(key string) int {
		if i := slices.Index(first, key); i >= 0 {
			return i
		}
		return len(first)
	}
	return slices.SortedFunc(maps.Keys(v), func(a, b string) int {
		if d := at(a) - at(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// flat says a value on one line; name is what it is called. "at" is left out:
// its age stands beside it.
func (s *session) flat(data json.RawMessage, name string) string {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	var text string
	var yes bool
	switch {
	case json.Unmarshal(data, &text) == nil:
		text = terms.Value(s.Lang, name, text)
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			if t.Year() < 1971 {
				return ""
			}
			return t.Local().Format(time.DateTime)
		}
		return text
	case json.Unmarshal(data, &yes) == nil && string(data) != "null":
		if yes {
			return s.pick("是", "yes")
		}
		return s.pick("否", "no")
	case json.Unmarshal(data, &list) == nil:
		var all []string
		for _, x := range list {
			all = append(all, s.flat(x, name))
		}
		return strings.Join(all, ", ")
	case json.Unmarshal(data, &object) == nil:
		var both struct{ ZH, EN string }
		if len(object) == 2 && object["zh"] != nil && object["en"] != nil && json.Unmarshal(data, &both) == nil {
			return s.pick(both.ZH, both.EN)
		}
		var all []string
		for _, key := range s.keys(object) {
			value := s.flat(object[key], key)
			switch {
			case value == "" || key == "at" || key == "name" && strings.HasSuffix(name, value):
			case key == "name":
				all = append(all, value)
			case value == "-1" && key == "used_percent":
				all = append(all, s.say("field", key)+" "+s.pick("不明", "not known"))
			default:
				all = append(all, s.say("field", key)+" "+value)
			}
		}
		return strings.Join(all, " · ")
	}
	return strings.TrimSuffix(string(data), "null")
}

// brief puts JSON on one line of bounded length.
func brief(data json.RawMessage) string {
	text := strings.Join(strings.Fields(string(data)), " ")
	if r := []rune(text); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return text
}
