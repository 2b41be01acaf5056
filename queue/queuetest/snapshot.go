package queuetest

import (
	"fmt"
	"slices"
	"strings"

	"payagent/queue"
)

// Snapshot is all that can be read from a log, as text, so that two can be
// compared and a difference can be read.
func Snapshot(l queue.Log, keys, cursors []string) (string, error) {
	var b strings.Builder
	entries, first, err := l.After(0, 1<<20)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "first %d last %d\n", first, l.Last())
	var streams []string
	for _, e := range entries {
		fmt.Fprintf(&b, "%d %q %q\n", e.Seq, e.Stream, short(e.Data))
		if !slices.Contains(streams, e.Stream) {
			streams = append(streams, e.Stream)
		}
	}
	for _, s := range streams {
		list, err := l.Stream(s)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "stream %q", s)
		for _, e := range list {
			if e.Stream != s {
				return "", wrong("stream %q holds an entry of %q", s, e.Stream)
			}
			fmt.Fprintf(&b, " %d=%q", e.Seq, short(e.Data))
		}
		fmt.Fprintln(&b)
	}
	open, err := l.Open()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "open %q\n", open)
	for _, k := range keys {
		found, err := l.Find(k)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "key %q %q\n", k, found)
	}
	slots, err := l.Slots()
	if err != nil {
		return "", err
	}
	for _, s := range slots {
		fmt.Fprintf(&b, "slot %q %q\n", s.Key, s.Data)
	}
	for _, c := range cursors {
		n, err := l.Cursor(c)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "cursor %q %d\n", c, n)
	}
	return b.String(), nil
}

// short keeps snapshots readable: long data as its length and ends.
func short(d []byte) string {
	if len(d) <= 40 {
		return string(d)
	}
	return fmt.Sprintf("%s…%d bytes…%s", d[:16], len(d), d[len(d)-16:])
}

// Diff gives the first line in which two snapshots differ, "" if none.
func Diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d: want %s, got %s", i+1, a, b)
		}
	}
	return ""
}
