package ids

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"payagent/uplink/mqtt/relay"
)

var _ relay.Store = (*File)(nil)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func add(t *testing.T, f *File, id byte, want bool) {
	t.Helper()
	if fresh, err := f.Add([32]byte{id}); err != nil || fresh != want {
		t.Errorf("id %d: fresh is %v, %v", id, fresh, err)
	}
}

// TestKept: an id is there as soon as Add returned, over a loss of the process,
// until the second turn.
func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ids.db")
	f := open(t, path)
	name := f.Name()
	add(t, f, 1, true)
	add(t, f, 1, false)
	// What a kill leaves is what is in the file: a copy is opened.
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(other, data, 0o600); err != nil {
		t.Fatal(err)
	}
	g := open(t, other)
	if g.Name() != name {
		t.Error("the file has another name after a restart")
	}
	add(t, g, 1, false)
	if err := errors.Join(g.Turn(), g.Close()); err != nil {
		t.Fatal(err)
	}
	g = open(t, other)
	add(t, g, 1, false)
	add(t, g, 2, true)
	if err := g.Turn(); err != nil {
		t.Fatal(err)
	}
	add(t, g, 2, false)
	add(t, g, 1, true)
	if err := errors.Join(g.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if h := open(t, filepath.Join(t.TempDir(), "new.db")); h.Name() == name || h.Name() == [16]byte{} {
		t.Error("a new file has an old name")
	} else if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// TestOneOfMany: of many who add one id at once, one is first.
func TestOneOfMany(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "ids.db"))
	defer f.Close()
	var group sync.WaitGroup
	var mu sync.Mutex
	first := map[byte]int{}
	for i := range 64 {
		group.Go(func() {
			id := byte(i % 8)
			fresh, err := f.Add([32]byte{id})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if fresh {
				first[id]++
			}
		})
	}
	group.Wait()
	for id := range byte(8) {
		if first[id] != 1 {
			t.Errorf("id %d was fresh %d times", id, first[id])
		}
	}
}

// TestFull: nothing is forgotten to make room.
func TestFull(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "ids.db"))
	defer f.Close()
	f.most = 3
	for i := range byte(3) {
		add(t, f, i, true)
	}
	if fresh, err := f.Add([32]byte{9}); fresh || !errors.Is(err, ErrFull) {
		t.Error(fresh, err)
	}
	add(t, f, 1, false)
	if err := f.Turn(); err != nil {
		t.Fatal(err)
	}
	add(t, f, 9, true)
	add(t, f, 1, false)
}

// TestNotOurs: another program's file and one in use are refused, with a word
// what to do.
func TestNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil {
		t.Error("another program's file was taken")
	}
	path = filepath.Join(t.TempDir(), "ids.db")
	f := open(t, path)
	defer f.Close()
	if _, err := Open(path); err == nil {
		t.Error("two relays have one file")
	}
}
