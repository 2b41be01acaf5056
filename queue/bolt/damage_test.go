//go:build linux

package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/queue"
	"payagent/queue/queuetest"

	bbolt "go.etcd.io/bbolt"
)

// bytesFile is a File in memory.
type bytesFile []byte

func (b bytesFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
func (bytesFile) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (b bytesFile) Size() (int64, error)             { return int64(len(b)), nil }
func (bytesFile) Sync() error                        { return nil }
func (bytesFile) Close() error                       { return nil }

// sample makes a store with closed and open orders and returns its directory,
// what it reads, and its slots.
func sample(t testing.TB, orders int) (dir, want string, slots []queue.Slot) {
	t.Helper()
	dir = t.TempDir()
	l, _ := open(t, dir, Options{})
	fillStore(t, l, orders)
	want = snap(t, l, orders)
	slots, err := l.Slots()
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return dir, want, slots
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dump reads every element through bbolt itself and returns a digest.
func dump(t testing.TB, path string) string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b := sha256.New()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, bk *bbolt.Bucket) error {
			err := bk.ForEach(func(k, v []byte) error {
				for _, part := range [][]byte{name, k, v} {
					b.Write(append(be64(uint64(len(part))), part...))
				}
				return nil
			})
			// By key, too: an element that is there must also be found.
			err = errors.Join(err, bk.ForEach(func(k, v []byte) error {
				if !bytes.Equal(bk.Get(k), v) {
					return fmt.Errorf("key %x is not found", k)
				}
				return nil
			}))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b.Sum(nil))
}

// flips is for long runs: -args -flips 10000.
var flips = flag.Int("flips", 1000, "bits to flip in the log file")

// TestFlipAnyBit flips single bits all over the log file: each is detected, or
// everything reads as before.
func TestFlipAnyBit(t *testing.T) {
	dir, _, _ := sample(t, 30)
	l, _ := open(t, dir, Options{})
	for i := range 3 {
		var b queue.Batch
		for j := range 200 {
			s := fmt.Sprintf("many%03d-%d", j, i)
			b.Records = append(b.Records, queue.Record{Stream: s, Keys: []string{"bill-" + s}, Data: []byte(s)})
		}
		add(t, l, b)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	good := read(t, dir, dbName)
	want := dump(t, filepath.Join(dir, dbName))
	if _, err := checkFile(bytesFile(good), 1, 1<<40); err != nil {
		t.Fatal(err)
	}
	var heads []int // bytes of page heads and branch pages, rare and worth more flips
	for at := range good {
		if c := classify(good, at); strings.HasSuffix(c, "head") || strings.HasPrefix(c, "branch") {
			heads = append(heads, at)
		}
	}
	rng := rand.New(rand.NewPCG(20261122, 1))
	classes := map[string][2]int{} // detected, harmless
	path := filepath.Join(t.TempDir(), "flipped.db")
	n := *flips
	if testing.Short() {
		n /= 2
	}
	for i := range n {
		at := rng.IntN(len(good))
		switch {
		case i < 160:
			at = i%80 + i/80*4096 // every byte of both metas
		case i%4 == 0:
			at = heads[rng.IntN(len(heads))]
		}
		b := bytes.Clone(good)
		b[at] ^= 1 << rng.IntN(8)
		class := classify(good, at)
		n := classes[class]
		info, err := checkFile(bytesFile(b), 1, 1<<40)
		switch {
		case errors.Is(err, queue.ErrDamaged), err == nil && info.fallback:
			n[0]++
		case err != nil:
			t.Fatalf("bit at %d (%s): %v", at, class, err)
		default:
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if dump(t, path) != want {
				t.Fatalf("bit at %d (%s) changed what is read and was not noticed", at, class)
			}
			n[1]++
		}
		classes[class] = n
	}
	for _, class := range []string{"meta", "leaf head", "leaf element", "leaf data", "branch head", "branch element"} {
		n := classes[class]
		t.Logf("%-15s detected %5d, harmless %5d", class, n[0], n[1])
		if n[0] == 0 {
			t.Errorf("no flip in %s was detected", class)
		}
	}
	t.Logf("%-15s detected %5d, harmless %5d", "unused", classes["unused"][0], classes["unused"][1])
}

// classify says what a byte of a file with 4 KiB pages is for.
func classify(b []byte, at int) string {
	page := b[at/4096*4096:]
	off := at % 4096
	count := int(binary.NativeEndian.Uint16(page[10:]))
	kind := map[uint16]string{1: "branch", 2: "leaf"}[binary.NativeEndian.Uint16(page[8:])]
	switch {
	case at < 8192 && off < 80:
		return "meta"
	case at < 8192 || kind == "" || count == 0:
		return "unused"
	case off < 16:
		return kind + " head"
	case off < 16+16*count:
		return kind + " element"
	case kind == "leaf":
		return "leaf data"
	}
	return "unused"
}

// sickFile is a file in memory of which the bytes from sick to sick+4096 cannot
// be read. short is how a system reads what stands before them: not at all.
type sickFile struct {
	bytesFile
	sick  int64
	short bool
	hit   *bool
}

var errSick = errors.New("medium error")

func (f sickFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.sick+4096 || off+int64(len(p)) <= f.sick {
		return f.bytesFile.ReadAt(p, off)
	}
	*f.hit = true
	if f.short || off >= f.sick {
		return 0, errSick
	}
	n := copy(p[:f.sick-off], f.bytesFile[off:])
	return n, errSick
}

// TestReadErrors makes pages unreadable one by one, in one of the two ways
// each: the check fails with the medium's error where the page is in use, and
// finds what it found before where it is not, though it lies in what is read
// ahead.
func TestReadErrors(t *testing.T) {
	dir, _, _ := sample(t, 30)
	l, _ := open(t, dir, Options{})
	for i := range 2 {
		var b queue.Batch
		for j := range 60 {
			s := fmt.Sprintf("many%03d-%d", j, i)
			// Some take several pages, some more than is read ahead.
			b.Records = append(b.Records, queue.Record{Stream: s, Data: bytes.Repeat([]byte{byte(j)}, min(queue.MaxData, map[int]int{7: 9000, 8: queue.MaxData}[j%20]+j))})
		}
		add(t, l, b)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	good := bytesFile(read(t, dir, dbName))
	want, err := checkFile(good, 1, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, dbName), 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	used, passedOver := 0, 0
	for id := 2; int64(id)*4096 < int64(len(good)); id += 1 + id/40 { // fewer of the many alike
		page, err := tx.Page(id)
		if err != nil {
			t.Fatal(err)
		}
		hit := false
		got, err := checkFile(sickFile{good, int64(id) * 4096, used%2 == 0, &hit}, 1, 1<<40)
		if page == nil || page.Type == "free" {
			if err != nil || got != want {
				t.Errorf("page %d is not in use: %v", id, err)
			}
			if hit {
				passedOver++
			}
			continue
		}
		used++
		if !errors.Is(err, errSick) || !errors.Is(err, queue.ErrDamaged) {
			t.Errorf("page %d is in use: %v", id, err)
		}
	}
	if used == 0 || passedOver == 0 {
		t.Errorf("%d pages in use, %d others in what is read ahead", used, passedOver)
	}
}

// TestFlipSlots flips bits in the slot file beside a sound log and beside a
// lost one.
func TestFlipSlots(t *testing.T) {
	dir, want, slots := sample(t, 9)
	good := read(t, dir, slotName)
	for at := 0; at < slotSize*6; at += 23 {
		for _, lost := range []bool{false, true} {
			to := filepath.Join(t.TempDir(), "s")
			b := bytes.Clone(good)
			b[at] ^= 0x10
			err := errors.Join(queuetest.CopyDir(dir, to), os.WriteFile(filepath.Join(to, slotName), b, 0o600))
			if lost {
				err = errors.Join(err, os.Remove(filepath.Join(to, dbName)))
			}
			if err != nil {
				t.Fatal(err)
			}
			l, r := open(t, to, Options{})
			if !lost {
				if d := queuetest.Diff(want, snap(t, l, 9)); d != "" || r.Damaged || !r.SlotsRewritten {
					t.Errorf("byte %d: %+v %s", at, r, d)
				}
			} else {
				if !r.Damaged || len(r.Slots)+r.SlotsLost < len(slots) {
					t.Errorf("byte %d: %d slots of %d are left and %d known to be lost", at, len(r.Slots), len(slots), r.SlotsLost)
				}
				for _, s := range r.Slots {
					if !slices.ContainsFunc(slots, func(g queue.Slot) bool { return g.Key == s.Key && bytes.Equal(g.Data, s.Data) }) {
						t.Errorf("byte %d: slot %q %q never was", at, s.Key, s.Data)
					}
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDamagedLog(t *testing.T) {
	dir, _, slots := sample(t, 60)
	good := read(t, dir, dbName)
	other, _, _ := sample(t, 3)
	now := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
	zero := func(from, to int) []byte {
		b := bytes.Clone(good)
		clear(b[from:min(to, len(b))])
		return b
	}
	for name, b := range map[string][]byte{
		"empty": {}, "one byte": good[:1], "one page": good[:4096], "cut off": good[:len(good)/2], "last page cut": good[:20000],
		"both metas zeroed": zero(0, 8192), "tree zeroed": zero(8192, len(good)), "zeroes": zero(0, len(good)),
		"garbage": bytes.Repeat([]byte("garbage "), 5000), "another store's": read(t, other, dbName), "missing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "s")
			err := errors.Join(queuetest.CopyDir(dir, to), os.WriteFile(filepath.Join(to, dbName), b, 0o600))
			aside := []string{"orders.db.damaged-20261122T030405Z"}
			if b == nil {
				err = errors.Join(err, os.Remove(filepath.Join(to, dbName)))
				aside = nil
			}
			if err != nil {
				t.Fatal(err)
			}
			l, r := open(t, to, Options{Now: func() time.Time { return now }})
			if !r.Damaged || r.Created || r.Cause == "" || fmt.Sprint(r.SetAside) != fmt.Sprint(aside) || r.SlotsLost != 0 {
				t.Errorf("report %+v", r)
			}
			if fmt.Sprint(r.Slots) != fmt.Sprint(slots) {
				t.Errorf("slots %v are left of %v", r.Slots, slots)
			}
			if b != nil && !bytes.Equal(read(t, to, aside[0]), b) {
				t.Error("the file set aside is not what it was")
			}
			if n := l.Last(); n != 0 {
				t.Errorf("the new store has %d records", n)
			}
			// In doubt until somebody says otherwise, across restarts.
			add(t, l, queue.Batch{Free: []string{slots[0].Key}, Slots: []queue.Slot{{Key: slots[1].Key, Data: []byte("asked")}},
				Records: []queue.Record{{Stream: "new", Data: []byte("x")}}})
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l, r = open(t, to, Options{})
			if r.Damaged || len(r.SetAside) != 0 || fmt.Sprint(r.Slots) != fmt.Sprint(slots[2:]) {
				t.Errorf("second start: %+v", r)
			}
			if got, err := l.Stream("new"); err != nil || len(got) != 1 {
				t.Errorf("second start: %v, %v", got, err)
			}
		})
	}
}

func TestOneMetaLost(t *testing.T) {
	dir, want, _ := sample(t, 5)
	good := read(t, dir, dbName)
	newest := 0
	if binary.NativeEndian.Uint64(good[4096+16+48:]) > binary.NativeEndian.Uint64(good[16+48:]) {
		newest = 1
	}
	for page := range 2 {
		to := filepath.Join(t.TempDir(), "s")
		b := bytes.Clone(good)
		clear(b[page*4096 : page*4096+4096])
		if err := errors.Join(queuetest.CopyDir(dir, to), os.WriteFile(filepath.Join(to, dbName), b, 0o600)); err != nil {
			t.Fatal(err)
		}
		l, r := open(t, to, Options{})
		if r.Damaged || !r.Fallback || r.Cause == "" {
			t.Errorf("meta %d: %+v", page, r)
		}
		d := queuetest.Diff(want, snap(t, l, 5))
		if page == newest && !strings.Contains(d, "cursor") || page != newest && d != "" { // the last commit was a cursor
			t.Errorf("meta %d: %q", page, d)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFallbackPutsLostSlotsInDoubt(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir, Options{})
	fillStore(t, l, 4)
	add(t, l, queue.Batch{Records: []queue.Record{{Stream: "ORDER0000", Data: []byte("sent")}}, Slots: []queue.Slot{{Key: "ORDER0000", Data: []byte("sent")}, {Key: "fresh"}}})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b := read(t, dir, dbName)
	page := 0
	if binary.NativeEndian.Uint64(b[4096+16+48:]) > binary.NativeEndian.Uint64(b[16+48:]) {
		page = 1
	}
	b[page*4096+16+50] ^= 1
	if err := os.WriteFile(filepath.Join(dir, dbName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	for try := range 2 {
		l, r := open(t, dir, Options{})
		want := []queue.Slot{{Key: "ORDER0000", Data: []byte("sent")}, {Key: "fresh", Data: []byte{}}}
		if r.Fallback != (try == 0) || fmt.Sprint(r.Slots) != fmt.Sprint(want) {
			t.Errorf("start %d: %+v", try+1, r)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBothFilesLost(t *testing.T) {
	dir, _, _ := sample(t, 5)
	if err := errors.Join(os.Truncate(filepath.Join(dir, dbName), 5000), os.Truncate(filepath.Join(dir, slotName), 0)); err != nil {
		t.Fatal(err)
	}
	l, r := open(t, dir, Options{})
	if !r.Damaged || r.SlotsLost != -1 || len(r.SetAside) != 2 || !r.SlotsRewritten {
		t.Errorf("%+v", r)
	}
	add(t, l, queue.Batch{Records: []queue.Record{{Stream: "s"}}})
}

// TestOldRecordDamaged: the bounded check at Open does not see an old record;
// reading it stops the log, the next start finds it and does not loop.
func TestOldRecordDamaged(t *testing.T) {
	dir, _, slots := sample(t, 30)
	if err := flipRecord(dir, 2); err != nil { // the first record of a closed order
		t.Fatal(err)
	}
	l, r := open(t, dir, Options{CheckBytes: 1})
	if r.Damaged {
		t.Fatalf("%+v", r)
	}
	_, err := l.Stream("ORDER0001")
	if !errors.Is(err, queue.ErrStopped) || !errors.Is(err, queue.ErrDamaged) {
		t.Fatalf("a damaged record reads %v", err)
	}
	l.Close()
	l, r = open(t, dir, Options{CheckBytes: 1})
	if !r.Damaged || len(r.SetAside) != 1 || len(r.Slots) != len(slots) {
		t.Fatalf("the next start: %+v", r)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, r = open(t, dir, Options{}); r.Damaged {
		t.Fatalf("the start after it: %+v", r)
	}
}

// TestSuspectFile: a file that ended the program while it was opened is set
// aside by the next start, whatever the check says.
func TestSuspectFile(t *testing.T) {
	dir, want, slots := sample(t, 6)
	if err := leaveSuspect(OS{}, dir, suspectRead); err != nil {
		t.Fatal(err)
	}
	l, r := open(t, dir, Options{CheckBytes: 1})
	if d := queuetest.Diff(want, snap(t, l, 6)); r.Damaged || d != "" {
		t.Errorf("a sound file that was suspected: %+v %s", r, d)
	}
	if err := errors.Join(l.Close(), leaveSuspect(OS{}, dir, suspectOpen)); err != nil {
		t.Fatal(err)
	}
	_, r = open(t, dir, Options{})
	if !r.Damaged || len(r.Slots) != len(slots) {
		t.Errorf("%+v", r)
	}
}

func FuzzFile(f *testing.F) {
	dir, _, _ := sample(f, 12)
	good := read(f, dir, dbName)
	f.Add(uint32(0), []byte{0})
	f.Add(uint32(8192), []byte{1, 2, 3})
	f.Add(uint32(8200), bytes.Repeat([]byte{0xff}, 16))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		b := bytes.Clone(good)
		copy(b[int(at)%len(b):], patch)
		info, err := checkFile(bytesFile(b), 1, 1<<40)
		if err != nil {
			if !errors.Is(err, queue.ErrDamaged) && !errors.Is(err, queue.ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		if info.live > info.size {
			t.Fatalf("%d bytes in use of %d", info.live, info.size)
		}
		// What passes must be safe to give to bbolt.
		path := filepath.Join(t.TempDir(), "f.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		dump(t, path)
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(uint64(7), []byte{}, true)
	v := encodeRecord(7, record{prev: 3, stream: "S", keys: []string{"k", "key"}, data: []byte("data")})
	f.Add(uint64(7), v[:len(v)-4], true)
	f.Add(uint64(8), v, false)
	f.Fuzz(func(t *testing.T, seq uint64, v []byte, sealed bool) {
		if sealed { // let the bytes pass the checksum
			v = seal(bLog, be64(seq), bytes.Clone(v))
		}
		r, err := decodeRecord(seq, v)
		if err != nil {
			return
		}
		if again := encodeRecord(seq, r); !bytes.Equal(again, v) {
			t.Fatalf("%x is written again as %x", v, again)
		}
	})
}

func FuzzSlots(f *testing.F) {
	gen := [16]byte{1}
	whole := append(append(encodeSlotHeader(gen), encodeSlotHeader(gen)...), encodeSlotPlace(gen, 1, "K", []byte("D"))...)
	f.Add(whole)
	f.Add(whole[:700])
	f.Add(append(bytes.Clone(whole), encodeSlotPlace(gen, 2, "K", []byte("E"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := scanSlots(b)
		for k, p := range s.used {
			at := b[p.at*slotSize : (p.at+1)*slotSize]
			gen := [16]byte{}
			copy(gen[:], at[16:24])
			again := encodeSlotPlace(gen, p.version, k, p.data)
			if p.version > s.top || !bytes.Equal(again[:24], append(bytes.Clone(at[:6]), append([]byte{0, 0}, at[8:24]...)...)) || !bytes.HasPrefix(at[24:88], []byte(k)) || !bytes.HasPrefix(at[88:248], p.data) {
				t.Fatalf("slot %q at %d is not what its bytes say", k, p.at)
			}
		}
		places := len(s.used) + len(s.free) + len(s.stale)
		if want := max(min(len(b)/slotSize, slotsMax)-slotSkip, 0); places != want {
			t.Fatalf("%d places of %d are accounted for", places, want)
		}
	})
}
