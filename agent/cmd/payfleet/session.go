package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"payagent/agent/fleet/terms"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/words"
	"payagent/uplink"
)

// session is a connection with a view of the fleet, for one command.
type session struct {
	*connection
	console
	bus   uplink.Bus
	watch *watch.Watch
	codes map[string]words.Text // see code
}

// looking are the flags of commands that look at the fleet.
type looking struct {
	*connection
	settle  time.Duration
	timeout time.Duration
}

func lookingFlags(f *flag.FlagSet) *looking {
	l := &looking{connection: connectionFlags(f)}
	f.DurationVar(&l.settle, "settle", 800*time.Millisecond, "how long nothing must arrive before all that the broker keeps is taken to be here")
	f.DurationVar(&l.timeout, "timeout", 30*time.Second, "how long to try to reach the broker")
	return l
}

// open connects and takes in what the broker keeps.
func (l *looking) open(ctx context.Context, c console, purpose string) (*session, error) {
	if err := l.load(c); err != nil {
		return nil, err
	}
	bus, err := openBus(l.connection, purpose)
	if err != nil {
		return nil, err
	}
	w, err := watch.Open(bus, watch.Options{Root: l.Root, Site: l.Site, Limits: view.Usual()})
	if err != nil {
		_ = bus.Close() // the error is about something else
		return nil, err
	}
	s := &session{connection: l.connection, console: c, bus: bus, watch: w}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := w.Settled(ctx, l.settle); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// openBox is open, with one box found by its name.
func (l *looking) openBox(ctx context.Context, c console, purpose, name string) (*session, view.Key, error) {
	s, err := l.open(ctx, c, purpose)
	if err != nil {
		return nil, view.Key{}, err
	}
	k, err := s.find(name)
	if err != nil {
		s.close()
		return nil, view.Key{}, err
	}
	return s, k, nil
}

func (s *session) close() {
	s.watch.Close()
	_ = s.bus.Close() // the command is over
}

func (s *session) say(group, code string) string { return terms.Say(s.Lang, group, code) }

// code says an alarm or a reason, with what it is about.
func (s *session) code(whole string) string {
	if s.codes == nil {
		s.codes = terms.Codes()
	}
	return terms.Code(s.codes, s.Lang, whole)
}

// codesIn says several.
func (s *session) codesIn(list []string) string {
	var all []string
	for _, c := range list {
		all = append(all, s.code(c))
	}
	return strings.Join(all, s.pick("；", "; "))
}

// pick gives the text of the language.
func (s *session) pick(zh, en string) string {
	if s.Lang == "en" {
		return en
	}
	return zh
}

// find finds one box by "BOX" or "SITE/BOX".
func (s *session) find(name string) (view.Key, error) {
	site, box, ok := strings.Cut(name, "/")
	if !ok {
		site, box = s.Site, name
	}
	var found []view.Key
	s.watch.Do(func(m *view.Model, now time.Time) {
		for _, k := range m.Boxes(view.Filter{Site: site}, now) {
			if k.Box == box {
				found = append(found, k)
			}
		}
	})
	switch len(found) {
	case 0:
		return view.Key{}, fmt.Errorf("cannot find box %s; payfleet ls shows those that the broker knows", name)
	case 1:
		return found[0], nil
	}
	return view.Key{}, fmt.Errorf("cannot tell which box %s is meant: there is one at %s and one at %s; write SITE/BOX", box, found[0].Site, found[1].Site)
}

// ago says an age in few letters.
func (s *session) ago(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case seconds < 0:
		return s.pick("不明", "unknown")
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", seconds/60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", seconds/3600)
	}
	return fmt.Sprintf("%dd", seconds/86400)
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows in columns; Chinese characters take two places.
func table(out io.Writer, rows [][]string) error {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], places(cell))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			b.WriteString(cell)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-places(cell)+2))
			}
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func places(s string) (n int) {
	for _, r := range s {
		if n++; r >= 0x1100 {
			n++
		}
	}
	return n
}

// clean keeps what a box says from steering the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '·'
		}
		return r
	}, s)
}
