package queuetest_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"payagent/queue"
	"payagent/queue/mem"
	"payagent/queue/queuetest"
)

// A right member that can fail and be damaged, and members that break one
// sentence of the contract each. All stand on mem.

// world is the disks of one case.
type world struct {
	disks  map[string]*mem.Disk
	fail   map[string]bool
	broken map[string]queue.Seq // damaged record by directory
}

func newWorld() *world {
	return &world{disks: map[string]*mem.Disk{}, fail: map[string]bool{}, broken: map[string]queue.Seq{}}
}

func (w *world) disk(dir string) *mem.Disk {
	if w.disks[dir] == nil {
		w.disks[dir] = new(mem.Disk)
	}
	return w.disks[dir]
}

// right is mem with fail-stop and checksums.
type right struct {
	*mem.Log
	w       *world
	dir     string
	stopped bool
}

func (r *right) stop() error {
	r.stopped = true
	return errors.Join(r.Log.Close(), fmt.Errorf("cannot write: %w", queue.ErrStopped))
}

func (r *right) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if r.w.fail[r.dir] {
		r.w.fail[r.dir] = false
		return 0, r.stop()
	}
	return r.Log.Append(ctx, b)
}

func (r *right) check(list []queue.Entry) error {
	for _, e := range list {
		if e.Seq == r.w.broken[r.dir] {
			return errors.Join(queue.ErrDamaged, r.stop())
		}
	}
	return nil
}

func (r *right) Stream(s string) ([]queue.Entry, error) {
	list, err := r.Log.Stream(s)
	return list, errors.Join(err, r.check(list))
}

func (r *right) After(seq queue.Seq, limit int) ([]queue.Entry, queue.Seq, error) {
	list, first, err := r.Log.After(seq, limit)
	return list, first, errors.Join(err, r.check(list))
}

// member makes a log for a directory.
type member func(w *world, dir string) queue.Log

func base(w *world, dir string) *right {
	return &right{Log: mem.Open(w.disk(dir)), w: w, dir: dir}
}

// failing runs the suite and returns the names of the cases that found a fault.
func failing(t *testing.T, m member) (failed []string) {
	t.Helper()
	for _, c := range queuetest.Cases() {
		w, n, root := newWorld(), 0, t.TempDir()
		e := &queuetest.Env{
			Open:   func(dir string) (queue.Log, error) { return m(w, dir), nil },
			Dir:    func() string { n++; return filepath.Join(root, strconv.Itoa(n)) },
			Crash:  func(from, to string) error { w.disks[to] = w.disk(from).Copy(); return nil },
			Fail:   func(dir string) error { w.fail[dir] = true; return nil },
			Damage: func(dir string, seq queue.Seq) error { w.broken[dir] = seq; return nil },
		}
		if c.Needs != nil && !c.Needs(e) {
			t.Fatalf("case %s cannot run", c.Name)
		}
		if err := c.Run(e); err != nil {
			failed = append(failed, c.Name)
		}
	}
	return failed
}

func TestRightMember(t *testing.T) {
	if got := failing(t, func(w *world, dir string) queue.Log { return base(w, dir) }); len(got) > 0 {
		t.Errorf("the suite finds faults in a right member: %v", got)
	}
}

func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range queuetest.Cases() {
		if c.Name == "" || c.Rule == "" || seen[c.Name] {
			t.Errorf("case %q has no name or rule of its own", c.Name)
		}
		seen[c.Name] = true
	}
}

// lazy acknowledges a batch when the one before it is written.
type lazy struct {
	*right
	mu   sync.Mutex
	held []queue.Batch
}

func (l *lazy) flush() (n queue.Seq, err error) {
	for _, b := range l.held {
		if n, err = l.right.Append(context.Background(), b); err != nil {
			return 0, err
		}
	}
	l.held = nil
	return n, nil
}

func (l *lazy) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if err := errors.Join(queue.Check(b), ctx.Err()); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return 0, queue.ErrStopped
	}
	if _, err := l.flush(); err != nil {
		return 0, err
	}
	l.held = []queue.Batch{b}
	return l.right.Last() + queue.Seq(len(b.Records)), nil
}

func (l *lazy) Last() queue.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.right.Last()
	for _, b := range l.held {
		n += queue.Seq(len(b.Records))
	}
	return n
}

func (l *lazy) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.flush(); err != nil {
		return err
	}
	return l.right.Close()
}

// edited changes what is appended.
type edited struct {
	*right
	edit func(queue.Batch) queue.Batch
}

func (d edited) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if err := queue.Check(b); err != nil {
		return 0, err
	}
	b.Records = slices.Clone(b.Records)
	return d.right.Append(ctx, d.edit(b))
}

// goesOn tries again after a failed write and forgets that it failed.
type goesOn struct{ *right }

func (g goesOn) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if g.w.fail[g.dir] {
		g.w.fail[g.dir] = false
		return 0, queue.ErrStopped
	}
	return g.right.Append(ctx, b)
}

// halves writes the first record of a batch that fails.
type halves struct{ *right }

func (h halves) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if h.w.fail[h.dir] && len(b.Records) > 1 {
		if _, err := h.Log.Append(ctx, queue.Batch{Records: b.Records[:1]}); err != nil {
			return 0, err
		}
	}
	return h.right.Append(ctx, b)
}

// skips leaves damaged records out.
type skips struct{ *right }

func (s skips) drop(list []queue.Entry) []queue.Entry {
	return slices.DeleteFunc(list, func(e queue.Entry) bool { return e.Seq == s.w.broken[s.dir] })
}

func (s skips) Stream(name string) ([]queue.Entry, error) {
	list, err := s.Log.Stream(name)
	return s.drop(list), err
}

func (s skips) After(seq queue.Seq, limit int) ([]queue.Entry, queue.Seq, error) {
	list, first, err := s.Log.After(seq, limit)
	return s.drop(list), first, err
}

// renumbers begins again at every opening.
type renumbers struct {
	*right
	base queue.Seq
}

func (r renumbers) Last() queue.Seq { return r.right.Last() - r.base }
func (r renumbers) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	n, err := r.right.Append(ctx, b)
	return n - min(n, r.base), err
}

// unsorted lists open streams and slots by name, backwards.
type unsorted struct{ *right }

func (u unsorted) Open() ([]string, error) {
	list, err := u.right.Open()
	slices.Sort(list)
	return list, err
}

// forgetsCursors keeps cursors in memory only.
type forgetsCursors struct {
	*right
	at map[string]queue.Seq
}

func (f forgetsCursors) Cursor(name string) (queue.Seq, error) {
	if _, err := f.right.Cursor(name); err != nil {
		return 0, err
	}
	return f.at[name], nil
}

func (f forgetsCursors) SetCursor(name string, n queue.Seq) error {
	if err := f.right.SetCursor(name, n); err != nil {
		return err
	}
	f.at[name] = n
	return nil
}

// prefixes finds keys by their beginning.
type prefixes struct{ *right }

func (p prefixes) Find(key string) ([]string, error) {
	var out []string
	for _, k := range []string{key, key + "b"} {
		list, err := p.right.Find(k)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// anyway writes what breaks a bound of the second record.
type anyway struct{ *right }

func (a anyway) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if err := queue.Check(b); err != nil && len(b.Records) > 1 && queue.Check(queue.Batch{Records: b.Records[:1]}) == nil {
		if _, err := a.right.Append(ctx, queue.Batch{Records: b.Records[:1]}); err != nil {
			return 0, err
		}
		return 0, err
	}
	return a.right.Append(ctx, b)
}

// undead answers after Close.
type undead struct{ *right }

func (undead) Close() error { return nil }

// deaf writes for callers that have gone.
type deaf struct{ *right }

func (d deaf) Append(_ context.Context, b queue.Batch) (queue.Seq, error) {
	return d.right.Append(context.Background(), b)
}

func TestWrongMembersAreCaught(t *testing.T) {
	edit := func(fn func(queue.Batch) queue.Batch) member {
		return func(w *world, dir string) queue.Log { return edited{base(w, dir), fn} }
	}
	wrong := []struct {
		name   string
		make   member
		caught string // the case that must find it
	}{
		{"acknowledges before it is durable", func(w *world, dir string) queue.Log { return &lazy{right: base(w, dir)} }, "crash"},
		{"loses keys", edit(func(b queue.Batch) queue.Batch {
			for i := range b.Records {
				b.Records[i].Keys = nil
			}
			return b
		}), "find"},
		{"keeps the first key only", edit(func(b queue.Batch) queue.Batch {
			for i := range b.Records {
				b.Records[i].Keys = b.Records[i].Keys[:min(1, len(b.Records[i].Keys))]
			}
			return b
		}), "find"},
		{"loses slots", edit(func(b queue.Batch) queue.Batch { b.Slots = nil; return b }), "slots"},
		{"sets slots before it frees", edit(func(b queue.Batch) queue.Batch {
			b.Slots = slices.DeleteFunc(slices.Clone(b.Slots), func(s queue.Slot) bool { return slices.Contains(b.Free, s.Key) })
			return b
		}), "slot-order"},
		{"never closes a stream", edit(func(b queue.Batch) queue.Batch { b.Close = nil; return b }), "open"},
		{"writes half of a failed batch", func(w *world, dir string) queue.Log { return halves{base(w, dir)} }, "after-failure"},
		{"goes on after an error", func(w *world, dir string) queue.Log { return goesOn{base(w, dir)} }, "fail-stop"},
		{"begins to number anew", func(w *world, dir string) queue.Log { r := base(w, dir); return renumbers{r, r.Last()} }, "numbers-go-on"},
		{"skips a damaged record", func(w *world, dir string) queue.Log { return skips{base(w, dir)} }, "damaged-record"},
		{"lists open streams by name", func(w *world, dir string) queue.Log { return unsorted{base(w, dir)} }, "open"},
		{"keeps cursors in memory", func(w *world, dir string) queue.Log {
			return forgetsCursors{base(w, dir), map[string]queue.Seq{}}
		}, "crash-cursor"},
		{"finds by prefix", func(w *world, dir string) queue.Log { return prefixes{base(w, dir)} }, "find-exact"},
		{"writes part of a refused batch", func(w *world, dir string) queue.Log { return anyway{base(w, dir)} }, "bounds"},
		{"answers after Close", func(w *world, dir string) queue.Log { return undead{base(w, dir)} }, "closed"},
		{"writes for a caller that has gone", func(w *world, dir string) queue.Log { return deaf{base(w, dir)} }, "canceled"},
	}
	for _, m := range wrong {
		t.Run(m.name, func(t *testing.T) {
			got := failing(t, m.make)
			if !slices.Contains(got, m.caught) {
				t.Errorf("case %s does not find it; found by %v", m.caught, got)
			}
			t.Logf("found by %v", got)
		})
	}
}
