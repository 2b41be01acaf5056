//go:build linux

package scanbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const code = "134567890123456789"

func plugged(t *testing.T, pause func(context.Context, time.Duration) error) (*Box, *os.File) {
	t.Helper()
	b, err := Open(filepath.Join(t.TempDir(), "scan1"), pause)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, reader(t, b)
}

// reader opens the port as the agent does: by its link.
func reader(t *testing.T, b *Box) *os.File {
	t.Helper()
	f, err := os.OpenFile(b.Link(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := f.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return f
}

func expect(t *testing.T, f *os.File, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(f, got); err != nil || string(got) != want {
		t.Fatalf("%q, want %q: %v", got[:n], want, err)
	}
}

func TestBytesOnARealTTY(t *testing.T) {
	b, f := plugged(t, func(context.Context, time.Duration) error { return nil })
	for suffix, want := range map[Suffix]string{
		"": code + "\r", CR: code + "\r", LF: code + "\n", CRLF: code + "\r\n", Tab: code + "\t", None: code, STXETX: "\x02" + code + "\x03",
	} {
		for style, want := range map[Style]string{
			"": want, Whole: want, Halves: want, Singly: want, Doubled: want + want, Noise: "\x00\xff\x1b\x7f" + want + "\x00\xff",
		} {
			if err := b.Scan(t.Context(), code, suffix, style); err != nil {
				t.Fatalf("%s %s: %v", suffix, style, err)
			}
			expect(t, f, want)
		}
	}
	// Every byte there is comes through, and none is echoed to the box.
	var all []byte
	for i := 1; i < 256; i++ {
		all = append(all, byte(i))
	}
	if err := b.Scan(t.Context(), string(all), None, Whole); err != nil {
		t.Fatal(err)
	}
	expect(t, f, string(all))
}

func TestHalvesComeApart(t *testing.T) {
	var f *os.File
	var between time.Duration
	b, f := plugged(t, func(_ context.Context, d time.Duration) error {
		between = d
		expect(t, f, code[:9])
		return nil
	})
	if err := b.Scan(t.Context(), code, CR, Halves); err != nil {
		t.Fatal(err)
	}
	expect(t, f, code[9:]+"\r")
	if between != HalfPause {
		t.Errorf("paused %v", between)
	}
	stop := errors.New("stop")
	b.pause = func(context.Context, time.Duration) error { return stop }
	if err := b.Scan(t.Context(), code, CR, Halves); !errors.Is(err, stop) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUnplugAndPlugIn(t *testing.T) {
	b, f := plugged(t, nil)
	first, err := os.Readlink(b.Link())
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		_, err := f.Read(make([]byte, 1))
		gone <- err
	}()
	if err := b.Unplug(); err != nil || b.Plugged() {
		t.Fatal(err)
	}
	if err := <-gone; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the reader was told %v", err)
	}
	if _, err := os.Lstat(b.Link()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the link is still there: %v", err)
	}
	if err := b.Scan(t.Context(), code, CR, Whole); !errors.Is(err, ErrUnplugged) {
		t.Fatal(err)
	}
	if err := b.Unplug(); err != nil {
		t.Fatal("unplugging twice", err)
	}
	for range 2 { // plugging in twice is no harm
		if err := b.Plug(); err != nil || !b.Plugged() {
			t.Fatal(err)
		}
	}
	// The old handle keeps the old terminal's number taken, so it is a new one.
	if second, err := os.Readlink(b.Link()); err != nil || second == first {
		t.Fatalf("%s after %s: %v", second, first, err)
	}
	f = reader(t, b)
	if err := b.Scan(t.Context(), code, CR, Whole); err != nil {
		t.Fatal(err)
	}
	expect(t, f, code+"\r")
}

func TestTheAgentMayWriteToItsScanner(t *testing.T) {
	b, f := plugged(t, nil)
	// Far more than a terminal's buffer: the box reads it all.
	if err := f.SetWriteDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte("beep"), 1<<16)); err != nil {
		t.Fatal(err)
	}
	if err := b.Scan(t.Context(), code, CR, Whole); err != nil {
		t.Fatal(err)
	}
	expect(t, f, code+"\r")
}

func TestOnlyLinksAreReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, nil); err == nil {
		t.Fatal("a file was replaced")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "mine" {
		t.Fatal(string(got), err)
	}
	stale := filepath.Join(t.TempDir(), "scan1")
	if err := os.Symlink("/nowhere", stale); err != nil {
		t.Fatal(err)
	}
	b, err := Open(stale, nil)
	if err != nil {
		t.Fatal("an old link is in the way:", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder"), nil); err == nil {
		t.Fatal("a link in no folder")
	}
}

func TestWhatCannotBeScanned(t *testing.T) {
	b, _ := plugged(t, nil)
	for _, bad := range []struct {
		text   string
		suffix Suffix
		style  Style
	}{{"", CR, Whole}, {string(make([]byte, maxText+1)), CR, Whole}, {code, "bell", Whole}, {code, CR, "backwards"}} {
		err := b.Scan(t.Context(), bad.text, bad.suffix, bad.style)
		if !errors.Is(err, ErrFrame) || bytes.Contains([]byte(err.Error()), []byte(code)) {
			t.Errorf("%s %s: %v", bad.suffix, bad.style, err)
		}
	}
	if err := b.Scan(t.Context(), "1", None, Halves); err != nil {
		t.Error("one byte in halves:", err)
	}
}

func TestAPortThatNobodyReadsIsToldSoon(t *testing.T) {
	b, err := Open(filepath.Join(t.TempDir(), "scan1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for range 1000 {
		if err = b.Scan(t.Context(), string(bytes.Repeat([]byte("7"), 4000)), CR, Whole); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || bytes.Contains([]byte(err.Error()), []byte("777")) {
		t.Fatalf("%v", err)
	}
}
