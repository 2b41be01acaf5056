//go:build linux

package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"payagent/queue"
	"payagent/queue/queuetest"
)

type failure struct {
	name    string
	err     error
	partial bool
}

func failures() []failure {
	return []failure{
		{"EIO", syscall.EIO, false}, {"ENOSPC", syscall.ENOSPC, false}, {"EDQUOT", syscall.EDQUOT, false},
		{"EROFS", syscall.EROFS, false}, {"torn EIO", syscall.EIO, true}, {"short write", io.ErrShortWrite, true},
	}
}

// step is one change of each kind, among them the growth of both files.
func step(i int) queue.Batch {
	s := fmt.Sprintf("ORDER%04d", i)
	b := queue.Batch{
		Records: []queue.Record{{Stream: s, Keys: []string{"bill-" + s, "till-1"}, Data: make([]byte, 9000)}, {Stream: s, Data: []byte("sent")}},
		Slots:   []queue.Slot{{Key: s, Data: []byte("slot")}},
	}
	if i == 3 {
		for j := range 4 { // the 62 places of a new file are used up
			b.Slots = append(b.Slots, queue.Slot{Key: fmt.Sprint("many", j)})
		}
	}
	if i > 0 {
		old := fmt.Sprintf("ORDER%04d", i-1)
		b.Close, b.Free = []string{old}, []string{old}
	}
	return b
}

const steps = 6

// TestFailEveryCall fails the n-th write, sync, open or rename of a running
// store, for every n and every kind of failure, until none is left to fail.
func TestFailEveryCall(t *testing.T) {
	template := t.TempDir()
	l, _ := open(t, template, Options{})
	add(t, l, step(0))
	var most queue.Batch
	for j := range 60 {
		most.Slots = append(most.Slots, queue.Slot{Key: fmt.Sprint("from the start ", j)})
	}
	add(t, l, most)
	// What each number of acknowledged steps must look like.
	ref := filepath.Join(t.TempDir(), "ref")
	if err := errors.Join(l.Close(), queuetest.CopyDir(template, ref)); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, ref, Options{})
	states := []string{snap(t, l, steps)}
	for i := 1; i < steps; i++ {
		add(t, l, step(i))
		states = append(states, snap(t, l, steps))
	}
	hits := map[string]int{}
	for i, fail := range failures() {
		// EIO at every call; the others, which take the same ways, at every
		// fourth, each with a place of its own to begin.
		first, every := 1, 1
		if i > 0 {
			first, every = i%4+1, 4
		}
		for n := first; ; n += every {
			dir := filepath.Join(t.TempDir(), "s")
			if err := queuetest.CopyDir(template, dir); err != nil {
				t.Fatal(err)
			}
			f := &faults{}
			l, _, err := Open(dir, Options{Writer: 1, FS: f})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.hook(l.db); err != nil {
				t.Fatal(err)
			}
			f.arm(n, fail.err, fail.partial)
			acked := 0
			var ferr error
			for i := 1; i < steps && ferr == nil; i++ {
				if _, ferr = l.Append(context.Background(), step(i)); ferr == nil {
					acked = i
				}
			}
			what := fmt.Sprintf("%s at call %d (%s)", fail.name, n, f.hit)
			if f.hit == "" {
				f.arm(0, nil, false)
				if err := l.Close(); err != nil || ferr != nil {
					t.Fatalf("%s: nothing failed and yet: %v, %v", what, ferr, err)
				}
				f.close()
				if n < 40 {
					t.Errorf("only %d calls could fail", n)
				}
				break
			}
			kind, _, _ := strings.Cut(f.hit, " ")
			hits[kind]++
			if !errors.Is(ferr, queue.ErrStopped) {
				t.Fatalf("%s: Append gives %v", what, ferr)
			}
			if _, err := l.Append(context.Background(), step(0)); !errors.Is(err, queue.ErrStopped) {
				t.Fatalf("%s: the next Append gives %v", what, err)
			}
			if _, err := l.Stream("ORDER0000"); !errors.Is(err, queue.ErrStopped) {
				t.Fatalf("%s: reading gives %v", what, err)
			}
			l.Close() // may report the failure again
			f.close()
			l, r := open(t, dir, Options{})
			got := snap(t, l, steps)
			if got != states[acked] && (acked+1 == steps || got != states[acked+1]) {
				t.Fatalf("%s: %d steps acknowledged; %s", what, acked, queuetest.Diff(states[acked], got))
			}
			if r.Damaged {
				t.Fatalf("%s: taken for damage: %s", what, r.Cause)
			}
			add(t, l, step(steps))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kind := range []string{"write", "sync"} {
		if hits[kind] == 0 {
			t.Errorf("no %s was made to fail: %v", kind, hits)
		}
	}
	t.Logf("failed calls by kind: %v", hits)
}

// TestFailEveryCallOfOpen does the same to opening: a new store, a sound one, a
// damaged one and one that is compacted.
func TestFailEveryCallOfOpen(t *testing.T) {
	full := t.TempDir()
	l, _ := open(t, full, Options{})
	fillStore(t, l, 6)
	want := snap(t, l, 6)
	slots, err := l.Slots()
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		opts Options
		prep func(dir string) error
		good func(t *testing.T, what string, l *Log, r Report)
	}{
		"new": {
			prep: func(dir string) error { return os.Mkdir(dir, 0o700) },
			good: func(t *testing.T, what string, l *Log, r Report) {
				if l.Last() != 0 || r.Damaged || len(r.Slots) != 0 {
					t.Errorf("%s: %+v", what, r)
				}
			},
		},
		"sound": {
			prep: func(dir string) error { return queuetest.CopyDir(full, dir) },
			good: func(t *testing.T, what string, l *Log, r Report) {
				if d := queuetest.Diff(want, snap(t, l, 6)); d != "" || r.Damaged {
					t.Errorf("%s: %+v %s", what, r, d)
				}
			},
		},
		"no slots": {
			prep: func(dir string) error {
				return errors.Join(queuetest.CopyDir(full, dir), os.Remove(filepath.Join(dir, slotName)))
			},
			good: func(t *testing.T, what string, l *Log, r Report) {
				if d := queuetest.Diff(want, snap(t, l, 6)); d != "" || r.Damaged {
					t.Errorf("%s: %+v %s", what, r, d)
				}
			},
		},
		"damaged": {
			prep: func(dir string) error {
				return errors.Join(queuetest.CopyDir(full, dir), os.Truncate(filepath.Join(dir, dbName), 9000))
			},
			good: func(t *testing.T, what string, l *Log, r Report) {
				if fmt.Sprint(r.Slots) != fmt.Sprint(slots) {
					t.Errorf("%s: slots %v are left of %v", what, r.Slots, slots)
				}
			},
		},
		"compacted": {
			opts: Options{CompactOver: 1},
			prep: func(dir string) error {
				err := queuetest.CopyDir(full, dir)
				if err == nil {
					err = os.Truncate(filepath.Join(dir, dbName), 1<<20) // longer, not damaged
				}
				return err
			},
			good: func(t *testing.T, what string, l *Log, r Report) {
				if d := queuetest.Diff(want, snap(t, l, 6)); d != "" || r.Damaged || l.Stats().FileBytes > 1<<19 {
					t.Errorf("%s: %+v %s", what, r, d)
				}
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, fail := range failures()[:5] {
				calls := 0
				for n := 1; ; n++ {
					dir := filepath.Join(t.TempDir(), "s")
					if err := c.prep(dir); err != nil {
						t.Fatal(err)
					}
					f := &faults{}
					f.arm(n, fail.err, fail.partial)
					opts := c.opts
					opts.Writer, opts.FS = 1, f
					l, _, err := Open(dir, opts)
					hit, count := f.hit, f.count()
					if err == nil {
						f.arm(0, nil, false)
						if cerr := l.Close(); cerr != nil {
							t.Fatalf("%s at %d: %v", fail.name, n, cerr)
						}
					} else if errors.Is(err, queue.ErrNewer) || !errors.Is(err, fail.err) {
						t.Errorf("%s at %s: %v", fail.name, hit, err)
					}
					opts.FS = nil
					l, r := open(t, dir, opts)
					c.good(t, fmt.Sprintf("%s at call %d (%s)", fail.name, n, hit), l, r)
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					if calls = n; count < n {
						break
					}
				}
				if calls < 3 {
					t.Errorf("only %d calls", calls)
				}
			}
		})
	}
}
