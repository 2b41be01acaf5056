//go:build linux

package serial_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/serial"
)

// listening reads what the host sends until the line is cut.
func listening(m *master) <-chan []byte {
	got := make(chan []byte, 4096)
	go func() {
		defer close(got)
		for {
			b := make([]byte, 512)
			n, err := m.Read(b)
			if err != nil {
				return
			}
			got <- b[:n]
		}
	}()
	return got
}

// TestSuiteSSIOnPTY: packets and their acknowledgements on real ttys.
func TestSuiteSSIOnPTY(t *testing.T) {
	dir := t.TempDir()
	devicetest.TestScanner(t, devicetest.ScannerMember{
		Cycles: 1000,
		Hang:   5 * time.Minute,
		Open: func() (devices.Scanner, devicetest.Wire, error) {
			s, m, err := openPTY(dir, serial.Config{Name: devicetest.Name, Settle: -1, Protocol: "ssi"})
			return s, &packets{out: m, acks: listening(m)}, err
		},
	})
}

// TestSuiteNewlandOnPTY: answers between and inside codes on real ttys.
func TestSuiteNewlandOnPTY(t *testing.T) {
	dir := t.TempDir()
	devicetest.TestScanner(t, devicetest.ScannerMember{
		Cycles: 1000,
		Hang:   5 * time.Minute,
		Open: func() (devices.Scanner, devicetest.Wire, error) {
			s, m, err := openPTY(dir, serial.Config{Name: devicetest.Name, Settle: -1, Protocol: "newland",
				Actions: map[string][]byte{"trigger": []byte("T")}})
			return s, chatty{m}, err
		},
	})
}

// TestActionsOnPTY: what Do says is sent is on the wire.
func TestActionsOnPTY(t *testing.T) {
	s, m, err := openPTY("", serial.Config{Start: [][]byte{[]byte("hello")}, Pause: -1, Settle: -1, Actions: map[string][]byte{"trigger": {0x16, 0x54, 0x0d}}})
	if err != nil {
		t.Fatal(err)
	}
	heard := listening(m)
	if err := s.Do(t.Context(), "trigger"); err != nil {
		t.Fatal(err)
	}
	var all []byte
	for len(all) < 8 {
		select {
		case p, ok := <-heard:
			if !ok {
				t.Fatalf("only %q was sent", all)
			}
			all = append(all, p...)
		case <-time.After(2 * time.Minute):
			t.Fatalf("only %q was sent", all)
		}
	}
	if string(all) != "hello\x16T\r" {
		t.Errorf("sent %q", all)
	}
	_ = s.Close()
	_ = m.Unplug()
}

// TestDeviceTakesNothing: a device that reads no commands does not hang the
// scanner, neither when sending nor when closing.
func TestDeviceTakesNothing(t *testing.T) {
	s, m, err := openPTY("", serial.Config{Pause: -1, Settle: -1, Actions: map[string][]byte{"long": make([]byte, 1024)}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Unplug() }()
	for range 1000 {
		if err = s.Do(t.Context(), "long"); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("a megabyte was taken by nobody")
	}
	if _, err := s.Scan(t.Context()); !errors.Is(err, devices.ErrGone) {
		t.Error(err)
	}
	_ = s.Close()
}

// TestLinesStay: closing does not let DTR and RTS fall.
func TestLinesStay(t *testing.T) {
	m, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(); _ = tty.Close() }()
	get := func() *unix.Termios {
		var v *unix.Termios
		raw, err := tty.SyscallConn()
		if err == nil {
			err = errors.Join(raw.Control(func(fd uintptr) { v, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) }), err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := get()
	before.Cflag |= unix.HUPCL
	raw, err := tty.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { _ = unix.IoctlSetTermios(int(fd), unix.TCSETS, before) }); err != nil {
		t.Fatal(err)
	}
	if get().Cflag&unix.HUPCL == 0 {
		t.Fatal("the tty keeps no HUPCL")
	}
	s, err := serial.Open(serial.Config{Path: tty.Name(), Settle: -1})
	if err != nil {
		t.Fatal(err)
	}
	if get().Cflag&unix.HUPCL != 0 {
		t.Error("HUPCL is set")
	}
	_ = s.Close()
}

// TestFoundAgain: a scanner that comes back under another name is found by its
// place, and the one that took its old name is not touched.
func TestFoundAgain(t *testing.T) {
	var mu sync.Mutex
	var there []devices.Found
	plug := func(list ...devices.Found) {
		mu.Lock()
		defer mu.Unlock()
		there = list
	}
	open := func() (*master, string) {
		m, tty, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tty.Close() }()
		return &master{File: m}, tty.Name()
	}
	cfg := serial.Config{Name: "till 3", Match: devices.Match{Port: "1-1"}, Settle: -1, List: func() ([]devices.Found, error) {
		mu.Lock()
		defer mu.Unlock()
		return there, nil
	}}
	if _, err := serial.Open(cfg); !errors.Is(err, devices.ErrAbsent) {
		t.Fatal(err)
	}
	ours, a := open()
	other, b := open()
	plug(devices.Found{Port: "1-2:1.0", Node: b}, devices.Found{Port: "1-1:1.0", Node: a})
	r := devices.Reopen(devices.ReopenConfig{Device: "till 3", First: time.Millisecond, Most: 20 * time.Millisecond,
		Open: func() (devices.Scanner, error) { return serial.Open(cfg) }})
	defer func() { _ = r.Close() }()
	if _, err := ours.Write([]byte("code1\r")); err != nil {
		t.Fatal(err)
	}
	want(t, r, "code1")
	if p := r.Place(); p.Port != "1-1:1.0" || p.Node != a {
		t.Errorf("%+v", p)
	}
	again, c := open()
	plug(devices.Found{Port: "1-1:1.0", Node: c}, devices.Found{Port: "1-2:1.0", Node: b})
	_ = ours.Unplug()
	if _, err := again.Write([]byte("code2\r")); err != nil {
		t.Fatal(err)
	}
	want(t, r, "code2")
	if _, err := other.Write([]byte("not ours\r")); err != nil {
		t.Fatal(err)
	}
	if p := r.Place(); p.Node != c {
		t.Errorf("%+v", p)
	}
	_ = other.Unplug()
	_ = again.Unplug()
}
