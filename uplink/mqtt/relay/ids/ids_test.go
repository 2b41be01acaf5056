package ids

import (
	"bytes"
	"errors"
	"fmt"
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

// TestInterrupted: a file that was made, and not yet written into when the
// machine lost its power, is made anew.
func TestInterrupted(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "ids.db")
	db, err := bbolt.Open(whole, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	if len(made) != 4*page {
		t.Fatalf("the library makes a file of %d bytes", len(made))
	}
	cases := map[string][]byte{"empty": {}, "made": made, "one zero": {0}, "zeros": make([]byte, 4*page), "half written": append(made[:2*page:2*page], make([]byte, 2*page)...)}
	for _, n := range []int{20, page, page + 1000, 2 * page, 2*page + 1, 3 * page, 4*page - 1} {
		cases[fmt.Sprint(n, " bytes")] = made[:n]
	}
	for name, content := range cases {
		path := filepath.Join(t.TempDir(), "ids.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		add(t, f, 1, true)
		was := f.Name()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		f = open(t, path)
		if has, err := f.Has([32]byte{1}); err != nil || !has || f.Name() != was || was == [16]byte{} {
			t.Errorf("%s: what was written is not there any more: %v, %v", name, has, err)
		}
		if has, err := f.Has([32]byte{2}); err != nil || has {
			t.Errorf("%s: there is what was not written: %v", name, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNotOurs: another program's file and one in use are refused, with a word
// what to do.
func TestNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("its own")); return err }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(text, []byte("broker: mqtts://broker.hospital.lan:8883\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, text} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := Open(path); err == nil {
			t.Error("another program's file was taken")
			_ = f.Close()
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
			t.Error("another program's file was changed", err)
		}
	}
	path = filepath.Join(t.TempDir(), "ids.db")
	f := open(t, path)
	defer f.Close()
	if _, err := Open(path); err == nil {
		t.Error("two relays have one file")
	}
}
