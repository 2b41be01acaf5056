package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
)

func entry(n int) bank.Entry {
	return bank.Entry{
		At: time.Duration(n) * time.Second, Kind: "paid", Sum: 123, RequestNo: "R1", Payer: bank.Payer{PayAfter: -1, Channel: platforms.WeChat},
		Trade: bank.Trade{OrderNo: fmt.Sprintf("MZ<&>%d", n), Amount: 100, Captured: 100, State: bank.Paid, Channel: platforms.Alipay, ClosesAt: 7},
	}
}

// filled makes a ledger with a session and n entries, and gives what is in it.
func filled(t *testing.T, n int) (path string, want Content) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "truth.jsonl")
	f, c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sessions)+len(c.Entries)+c.Cut != 0 {
		t.Fatalf("a new ledger holds %+v", c)
	}
	s := Session{Wall: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), At: 9, Scale: 1.5}
	want.Sessions = []Session{s}
	if err := f.Begin(s); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		want.Entries = append(want.Entries, entry(i))
		if err := f.Append(entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path, want
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	path, want := filled(t, 3)
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\n%+v\n%+v", err, got, want)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Count(text, []byte("\n")) != 4 {
		t.Fatalf("%v: not four lines: %s", err, text)
	}
}

func TestEveryDamagedTailIsCutAndNothingElse(t *testing.T) {
	path, want := filled(t, 3)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	short := want
	short.Entries = want.Entries[:2]
	check := func(name string, damaged []byte, want Content, cut int) {
		t.Helper()
		p := filepath.Join(t.TempDir(), "truth.jsonl")
		if err := os.WriteFile(p, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		f, got, err := Open(p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want.Cut = cut
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v", name, got)
		}
		aside, err := os.ReadFile(p + ".cut")
		if cut > 0 && (err != nil || !bytes.Equal(aside, damaged[len(damaged)-cut:])) {
			t.Fatalf("%s: set aside %q, %v", name, aside, err)
		}
		// It can be written on, and then reads whole.
		if err := f.Append(entry(77)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Read(p)
		if err != nil || again.Cut != 0 || len(again.Entries) != len(want.Entries)+1 {
			t.Fatalf("%s: afterwards %v %+v", name, err, again)
		}
	}
	check("undamaged", text, want, 0)
	for n := last + 1; n < len(text); n += 9 {
		check(fmt.Sprintf("torn at %d", n), text[:n], short, n-last)
	}
	check("zeros behind", append(bytes.Clone(text), make([]byte, 4096)...), want, 4096)
	check("junk lines behind", append(bytes.Clone(text), "a\nb\n\nc"...), want, 6)
	check("a very long tail", append(bytes.Clone(text), strings.Repeat("x", 3<<20)...), want, 3<<20)
	flipped := bytes.Clone(text)
	flipped[last+40] ^= 1
	check("a bit of the last line", flipped, short, len(text)-last)
}

func TestDamageBeforeGoodLinesIsNotCut(t *testing.T) {
	path, _ := filled(t, 3)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.IndexByte(text, '\n') + 30
	text[at] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "line 2") {
		t.Fatalf("%v", err)
	}
	if _, err := Read(path); !errors.Is(err, ErrDamaged) {
		t.Fatalf("%v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, text) {
		t.Fatalf("the damaged ledger was changed (%v)", err)
	}
}

func TestOnlyOneProcessWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "truth.jsonl")
	f, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path); err == nil {
		t.Fatal("opened twice")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Append(entry(1)); err == nil {
		t.Fatal("written after closing")
	}
	g, _, err := Open(path)
	if err != nil {
		t.Fatalf("not free after closing: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}

// brittle is a disk that fails when told.
type brittle struct {
	writeErr, syncErr error
	syncs             int
	entered, leave    chan struct{} // of Sync, if set
}

func (b *brittle) Write(p []byte) (int, error) { return len(p), b.writeErr }
func (b *brittle) Close() error                { return nil }
func (b *brittle) Sync() error {
	b.syncs++
	if b.entered != nil {
		b.entered <- struct{}{}
		<-b.leave
	}
	return b.syncErr
}

func on(b *brittle) *File {
	return &File{out: b, unlock: func() {}, failed: make(chan struct{})}
}

func TestTheFirstFailureIsTheLast(t *testing.T) {
	sick := errors.New("no space")
	for name, d := range map[string]*brittle{"write": {writeErr: sick}, "sync": {syncErr: sick}} {
		f := on(d)
		err := f.Append(entry(1))
		if err == nil {
			err = f.Sync()
		}
		if !errors.Is(err, sick) {
			t.Fatalf("%s: %v", name, err)
		}
		d.writeErr, d.syncErr = nil, nil
		if err := f.Append(entry(2)); !errors.Is(err, sick) {
			t.Errorf("%s: appended after a failure: %v", name, err)
		}
		if err := f.Sync(); !errors.Is(err, sick) {
			t.Errorf("%s: synced after a failure: %v", name, err)
		}
		select {
		case <-f.Failed():
		default:
			t.Errorf("%s: nobody is told", name)
		}
	}
}

func TestSyncsAreShared(t *testing.T) {
	d := &brittle{entered: make(chan struct{}), leave: make(chan struct{})}
	f := on(d)
	if err := f.Append(entry(0)); err != nil {
		t.Fatal(err)
	}
	first := make(chan error)
	go func() { first <- f.Sync() }()
	<-d.entered
	var wg sync.WaitGroup
	for i := range 8 {
		if err := f.Append(entry(i)); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := f.Sync(); err != nil {
				t.Error(err)
			}
		})
	}
	d.leave <- struct{}{}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	<-d.entered // all eight were appended by now
	d.leave <- struct{}{}
	wg.Wait()
	if err := f.Sync(); err != nil || d.syncs != 2 {
		t.Fatalf("%d syncs, %v", d.syncs, err)
	}
}

func FuzzRead(f *testing.F) {
	good, err := encode(record{Entry: &bank.Entry{Kind: "paid", Trade: bank.Trade{OrderNo: "A"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(bytes.Clone(good), good...))
	f.Add(append([]byte("junk\n"), good...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		c, size, err := read(bytes.NewReader(text))
		if err != nil {
			return
		}
		if int(size)+c.Cut != len(text) {
			t.Fatalf("%d good and %d cut of %d bytes", size, c.Cut, len(text))
		}
		again, _, err := read(bytes.NewReader(text[:size]))
		if c.Cut = 0; err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("the good part reads differently: %v", err)
		}
	})
}
