//go:build linux

package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"payagent/queue"
	"payagent/queue/queuetest"

	bbolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestSuite(t *testing.T) {
	opened := map[string]*faults{}
	logs := map[string]*Log{}
	queuetest.Run(t,
		func(t *testing.T, dir string) (queue.Log, error) {
			f := &faults{}
			opened[dir] = f
			l, r, err := Open(dir, Options{Writer: 1, FS: f, CheckBytes: 1})
			if err != nil {
				return nil, err
			}
			logs[dir] = l
			if r.Damaged {
				return nil, errors.Join(queue.ErrDamaged, l.Close())
			}
			return l, nil
		},
		queuetest.WithFail(func(dir string) error {
			opened[dir].arm(1, syscall.EIO, false)
			return nil
		}),
		queuetest.WithDamage(flipRecord))
}

// flipRecord changes one bit of a record's data in a closed file.
func flipRecord(dir string, seq queue.Seq) error {
	path := filepath.Join(dir, dbName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	var v []byte
	err = db.View(func(tx *bbolt.Tx) error {
		v = append([]byte{}, tx.Bucket([]byte(bLog)).Get(be64(uint64(seq)))...)
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n := 0
	for i := 0; i+len(v) <= len(b); i++ {
		if string(b[i:i+len(v)]) == string(v) {
			b[i+len(v)-6] ^= 4
			n++
		}
	}
	if n == 0 {
		return fmt.Errorf("record %d is not in the file", seq)
	}
	return os.WriteFile(path, b, 0o600)
}

// open opens a store that must open.
func open(t testing.TB, dir string, opts Options) (*Log, Report) {
	t.Helper()
	if opts.Writer == 0 {
		opts.Writer = 1
	}
	l, r, err := Open(dir, opts)
	if err != nil {
		t.Fatalf("Open: %v (%+v)", err, r)
	}
	t.Cleanup(func() { l.Close() })
	return l, r
}

func add(t testing.TB, l *Log, b queue.Batch) queue.Seq {
	t.Helper()
	n, err := l.Append(context.Background(), b)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	return n
}

// fillStore writes n orders; every third stays open with a slot.
func fillStore(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		s := fmt.Sprintf("ORDER%04d", i)
		add(t, l, queue.Batch{
			Records: []queue.Record{{Stream: s, Keys: []string{"bill-" + s, "till-1"}, Data: fmt.Appendf(nil, "accepted %d", i)}},
			Slots:   []queue.Slot{{Key: s, Data: fmt.Appendf(nil, "slot %d", i)}},
		})
		if i%3 != 0 {
			add(t, l, queue.Batch{Records: []queue.Record{{Stream: s, Data: fmt.Appendf(nil, "paid %d", i)}}, Close: []string{s}, Free: []string{s}})
		}
	}
	if err := l.SetCursor("his", 5); err != nil {
		t.Fatal(err)
	}
}

func snap(t testing.TB, l *Log, n int) string {
	t.Helper()
	keys := []string{"till-1"}
	for i := range n {
		keys = append(keys, fmt.Sprintf("bill-ORDER%04d", i))
	}
	s, err := queuetest.Snapshot(l, keys, []string{"his"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecondOpenerIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, r := open(t, dir, Options{})
	if !r.Created || r.Damaged || r.SlotsRewritten {
		t.Errorf("report of a new store: %+v", r)
	}
	if _, _, err := Open(dir, Options{Writer: 1}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second opener gets %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, r = open(t, dir, Options{})
	if r.Created || r.Damaged || r.SlotsRewritten || r.Fallback {
		t.Errorf("report of a store closed cleanly: %+v", r)
	}
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir, Options{Writer: 3, Oldest: 2})
	fillStore(t, l, 3)
	want := snap(t, l, 3)
	// A newer program's own bucket, which this one does not know.
	err := l.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("novelties"))
		if err != nil {
			return err
		}
		in, err := b.CreateBucket([]byte("inner"))
		return errors.Join(err, in.Put([]byte("k"), []byte("v")), b.Put([]byte("k"), []byte("v")))
	})
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, Options{Writer: 1}); !errors.Is(err, queue.ErrNewer) {
		t.Fatalf("a program that is too old gets %v", err)
	}
	l, r := open(t, dir, Options{Writer: 2, Oldest: 1})
	if d := queuetest.Diff(want, snap(t, l, 3)); r.Damaged || d != "" {
		t.Fatalf("a program that is old enough reads otherwise: %+v %s", r, d)
	}
	if err := l.RaiseOldest(context.Background(), 3); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.RaiseOldest(context.Background(), 2), l.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, dbName))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, Options{Writer: 2}); !errors.Is(err, queue.ErrNewer) {
		t.Fatalf("after the file was raised the older program gets %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(dir, dbName)); err != nil || string(now) != string(before) {
		t.Errorf("the refused program changed the file (%v)", err)
	}
	l, _ = open(t, dir, Options{Writer: 3})
	err = l.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket([]byte("novelties")).Bucket([]byte("inner")).Get([]byte("k")); string(v) != "v" {
			return fmt.Errorf("unknown bucket was not carried along: %q", v)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir, Options{})
	const n = 300
	fillStore(t, l, n)
	last := l.Last()
	before := last / 2
	dropped, err := l.Prune(context.Background(), before)
	if err != nil {
		t.Fatal(err)
	}
	if dropped < 80 || dropped > 120 {
		t.Errorf("%d streams dropped", dropped)
	}
	check := func(l *Log) {
		t.Helper()
		list, first, err := l.After(0, 10000)
		if err != nil {
			t.Fatal(err)
		}
		if first <= before-10 || first > before || list[0].Seq != first || len(list) != int(last-first+1) {
			t.Errorf("first %d, %d entries from %d on (pruned before %d of %d)", first, len(list), list[0].Seq, before, last)
		}
		for i := range n {
			s := fmt.Sprintf("ORDER%04d", i)
			got, err := l.Stream(s)
			if err != nil {
				t.Fatal(err)
			}
			found, err := l.Find("bill-" + s)
			if err != nil {
				t.Fatal(err)
			}
			// An open stream has one record, a closed one two; a dropped one none and no key.
			switch {
			case i%3 == 0 && len(got) == 1 && len(found) == 1:
			case i%3 != 0 && len(got) == 2 && len(found) == 1 && got[1].Seq >= before:
			case i%3 != 0 && len(got) == 0 && len(found) == 0:
			default:
				t.Errorf("stream %s has %d records and %d keys", s, len(got), len(found))
			}
		}
		if open, err := l.Open(); err != nil || len(open) != n/3 {
			t.Errorf("%d streams open, %v", len(open), err)
		}
	}
	check(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, r := open(t, dir, Options{})
	if r.Damaged {
		t.Fatalf("pruned store is taken for damaged: %s", r.Cause)
	}
	check(l)
	if again, err := l.Prune(context.Background(), before); err != nil || again != 0 {
		t.Errorf("pruned again: %d, %v", again, err)
	}
	add(t, l, queue.Batch{Records: []queue.Record{{Stream: "ORDER0001", Data: []byte("new life")}}})
	if got, err := l.Stream("ORDER0001"); err != nil || len(got) != 1 {
		t.Errorf("a dropped stream's name begins with %d records, %v", len(got), err)
	}
}

func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir, Options{})
	for i := range 40 {
		s := fmt.Sprint("big", i)
		add(t, l, queue.Batch{Records: []queue.Record{{Stream: s, Keys: []string{"k"}, Data: make([]byte, 60000)}}, Close: []string{s}})
	}
	fillStore(t, l, 10)
	if _, err := l.Prune(context.Background(), 41); err != nil {
		t.Fatal(err)
	}
	want := snap(t, l, 10)
	was := l.Stats()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, r := open(t, dir, Options{CompactOver: 1 << 20})
	now := l.Stats()
	if !r.Compacted || r.Damaged || now.FileBytes*4 > was.FileBytes {
		t.Errorf("%d bytes became %d: %+v", was.FileBytes, now.FileBytes, r)
	}
	if d := queuetest.Diff(want, snap(t, l, 10)); d != "" {
		t.Error(d)
	}
	fillStore(t, l, 3)
}

func TestStatsAndBudget(t *testing.T) {
	l, _ := open(t, t.TempDir(), Options{Budget: 1 << 20})
	fillStore(t, l, 4)
	s := l.Stats()
	if s.Records != 6 || s.Requests != 7 || s.Commit.Count == 0 || s.Commit.Max > s.Commit.Sum || s.SlotSync.Count != 4 ||
		s.PageBytes < 2*4096*s.Commit.Count || s.SlotBytes < 4*slotSize || s.FileBytes == 0 || s.Budget != 1<<20 {
		t.Errorf("%+v", s)
	}
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = l.Append(context.Background(), queue.Batch{Records: []queue.Record{{Stream: "s", Data: make([]byte, 60000)}}})
	}
	if !errors.Is(err, queue.ErrStopped) || errors.Is(err, queue.ErrDamaged) {
		t.Errorf("beyond the budget: %v", err)
	}
	if n := l.Stats().FileBytes; n > 1<<20 {
		t.Errorf("the file grew to %d", n)
	}
}

func TestBallast(t *testing.T) {
	dir := t.TempDir()
	b := NewBallast(dir, 0)
	if b.Held() {
		t.Error("held before it was taken")
	}
	if err := errors.Join(b.Restore(), b.Restore()); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(dir, "ballast.bin"), &st); err != nil || st.Size != BallastSize || st.Blocks*512 < BallastSize {
		t.Errorf("size %d, %d blocks, %v", st.Size, st.Blocks, err)
	}
	if !b.Held() {
		t.Error("not held")
	}
	if err := errors.Join(b.Release(), b.Release()); err != nil || b.Held() {
		t.Error(err)
	}
	free, total, err := FreeSpace(dir)
	if err != nil || free <= 0 || total < free {
		t.Errorf("%d of %d free, %v", free, total, err)
	}
	if err := NewBallast(filepath.Join(dir, "no such"), 0).Restore(); err == nil {
		t.Error("a ballast without a directory was taken")
	}
}

func TestElementNumbersAreOnDisk(t *testing.T) {
	// Files written by released programs must stay readable: these bytes never change.
	if got := fmt.Sprintf("%x", encodeRecord(7, record{prev: 3, stream: "S1", keys: []string{"k"}, data: []byte("d")})); got != "01010000000000000003025331016b642df3170c" {
		t.Errorf("record: %s", got)
	}
	h := encodeSlotPlace([16]byte{1, 2}, 9, "K", []byte("D"))
	if got := fmt.Sprintf("%x %x", h[:25], h[252:]); got != "50534c3101010000000000000000000901020000000000004b 0e6c947d" {
		t.Errorf("slot: %s", got)
	}
	if n := binary.BigEndian.Uint32(encodeSlotHeader([16]byte{})[4:]); n != 1 {
		t.Errorf("slot layout %d", n)
	}
}

// TestAfterEndsAtLast: what a commit shows before it is acknowledged is not
// read yet, else a reader would stand behind the end of the log.
func TestAfterEndsAtLast(t *testing.T) {
	l, _, err := Open(t.TempDir(), Options{Writer: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, data := range []string{"1", "2"} {
		if _, err := l.Append(t.Context(), queue.Batch{Records: []queue.Record{{Stream: "s", Data: []byte(data)}}}); err != nil {
			t.Fatal(err)
		}
	}
	l.last.Store(1) // the second is in the file, and its Append has not returned
	for seq, want := range map[queue.Seq]int{0: 1, 1: 0} {
		if got, _, err := l.After(seq, 10); err != nil || len(got) != want {
			t.Errorf("after %d: %v %v", seq, got, err)
		}
	}
}
