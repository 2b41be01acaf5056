package hid

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fromHex reads a file of testdata: one report a line, or one descriptor over
// several lines.
func fromHex(t testing.TB, name string) [][]byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		line := strings.ReplaceAll(s.Text(), " ", "")
		if line == "" || line[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines = append(lines, b)
	}
	return lines
}

func descOf(t testing.TB, vendor string) []byte {
	t.Helper()
	return bytes.Join(fromHex(t, vendor+".desc.hex"), nil)
}

// handle is a device without hardware.
type handle struct {
	reports chan []byte
	pulled  chan struct{}
	closed  chan struct{}
	pull    sync.Once
	shut    sync.Once
	refuse  bool // output and feature reports

	mu       sync.Mutex
	outputs  [][]byte
	features [][]byte
	busy     bool
	beside   bool // two calls were made at once
	wrote    chan struct{}
}

func newHandle() *handle {
	return &handle{reports: make(chan []byte), pulled: make(chan struct{}), closed: make(chan struct{}), wrote: make(chan struct{}, 64)}
}

var errPulled = errors.New("input/output error")

// alone notes calls that are made beside each other.
func (h *handle) alone() func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beside = h.beside || h.busy
	h.busy = true
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy = false
	}
}

func (h *handle) Read(p []byte, timeout time.Duration) (int, error) {
	defer h.alone()()
	select {
	case <-h.pulled:
		return 0, errPulled
	default:
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case r := <-h.reports:
		return copy(p, r), nil
	case <-h.pulled:
		return 0, errPulled
	case <-h.closed:
		return 0, errors.New("read after close")
	case <-t.C:
		return 0, nil
	}
}

func (h *handle) out(list *[][]byte, p []byte) error {
	defer h.alone()()
	if h.refuse {
		return errors.New("broken pipe")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	*list = append(*list, bytes.Clone(p))
	h.wrote <- struct{}{}
	return nil
}

func (h *handle) Write(p []byte) error   { return h.out(&h.outputs, p) }
func (h *handle) Feature(p []byte) error { return h.out(&h.features, p) }

func (h *handle) Close() error {
	defer h.alone()()
	h.shut.Do(func() { close(h.closed) })
	return nil
}

// send is the device's side.
func (h *handle) send(r []byte) error {
	select {
	case h.reports <- bytes.Clone(r):
		return nil
	case <-h.pulled:
	case <-h.closed:
	}
	return io.ErrClosedPipe
}

func (h *handle) unplug() error {
	h.pull.Do(func() { close(h.pulled) })
	return nil
}

// wire is what a scanner makes of the suite's stream of bytes: each code, with
// the line end that it is set to send, in reports of one layout. What one Write
// leaves unfinished goes out as a report that says that more follows. Noise
// around a code is what can disturb a report device: reports that are cut off,
// of other ids, with wrong lengths, empty. Noise inside a code stays inside.
type wire struct {
	mu     sync.Mutex
	l      layout
	send   func([]byte) error
	unplug func() error
	line   []byte // of the code, not sent yet
	inside bool   // reports of this code went out
}

func (w *wire) Unplug() error { return w.unplug() }

func (w *wire) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 0; i < len(p); i++ {
		b := p[i]
		if b == '\r' || b == '\n' {
			end := []byte{b}
			if b == '\r' && i+1 < len(p) && p[i+1] == '\n' {
				end = append(end, '\n')
				i++
			}
			if err := w.flush(end); err != nil {
				return 0, err
			}
			continue
		}
		w.line = append(w.line, b)
	}
	// What is left is the beginning of a code.
	for len(w.line) > 0 {
		n := min(len(w.line), w.l.room)
		if err := w.report(w.line[:n], true); err != nil {
			return 0, err
		}
		w.line = w.line[n:]
	}
	w.line = nil
	return len(p), nil
}

// flush ends a line.
func (w *wire) flush(end []byte) error {
	noisy := func(b byte) bool { return b < 0x20 || b >= 0x7F }
	for !w.inside && len(w.line) > 0 && noisy(w.line[0]) {
		if err := w.junk(w.line[0]); err != nil {
			return err
		}
		w.line = w.line[1:]
	}
	var behind []byte
	for len(w.line) > 0 && noisy(w.line[len(w.line)-1]) {
		behind = append(behind, w.line[len(w.line)-1])
		w.line = w.line[:len(w.line)-1]
	}
	data := append(w.line, end...)
	w.line = nil
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), w.l.room)
		if err := w.report(data[:n], len(data) > n); err != nil {
			return err
		}
		data = data[n:]
	}
	for _, b := range behind {
		if err := w.junk(b); err != nil {
			return err
		}
	}
	return nil
}

// pack makes one report.
func (l layout) pack(data []byte, more bool) []byte {
	r := make([]byte, l.size)
	if l.id != 0 {
		r[0] = l.id
	}
	if l.length >= 0 {
		r[l.length] = byte(len(data))
	}
	if l.aim >= 0 {
		copy(r[l.aim:], "]Q1")
	}
	copy(r[l.data:l.data+l.room], data)
	if more {
		r[l.more/8] |= 1 << (l.more % 8)
	}
	return r
}

func (w *wire) report(data []byte, more bool) error {
	w.inside = more
	return w.send(w.l.pack(data, more))
}

// junk sends a report that is no code, chosen by b.
func (w *wire) junk(b byte) error {
	whole := w.l.pack([]byte("99999999"), false)
	switch b % 4 {
	case 0:
		return w.send(whole[:1+int(b)%(w.l.size-1)]) // cut off
	case 1:
		whole[0] ^= 0x55 // another id
	case 2:
		whole[w.l.length] = byte(w.l.room) + 1 + b%64 // longer than its field
	case 3:
		whole = w.l.pack(nil, false) // empty
	}
	return w.send(whole)
}
