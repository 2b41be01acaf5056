//go:build linux

package serial_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/creack/pty"

	"payagent/devices"
	"payagent/devices/serial"
)

// TestEndsOnPTY: each end that a scanner may be set up for, on a real tty.
func TestEndsOnPTY(t *testing.T) {
	const code = "134567890123456789"
	for _, c := range []struct {
		end, in string
		aim     bool
	}{
		{"", code + "\r", false},
		{"line", code + "\n", false},
		{"cr", code + "\r\n", false},
		{"lf", code + "\r\n", false},
		{"crlf", code + "\r\n", false},
		{"tab", code + "\t", false},
		{"none", code, false},
		{"stx-etx", "\x02" + code + "\x03\r", false},
		{"line", "]Q1" + code + "\r", true},
		{"none", "]Q1" + code, true},
	} {
		t.Run(fmt.Sprintf("%q aim %v", c.end, c.aim), func(t *testing.T) {
			s, m, err := openPTY("", serial.Config{Settle: -1, Framing: serial.Framing{End: c.end, AIM: c.aim}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close(); _ = m.Unplug() }()
			if _, err := m.Write([]byte(c.in)); err != nil {
				t.Fatal(err)
			}
			if got := want(t, s, code); c.aim != (got.Symbology == "Q1") {
				t.Errorf("symbology %q", got.Symbology)
			}
		})
	}
}

// TestReplugOnPTY: a scanner that comes back as another node under the same
// name is used again, and its absence is told.
func TestReplugOnPTY(t *testing.T) {
	name := t.TempDir() + "/scanner"
	plug := func() *os.File {
		m, tty, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tty.Close() }()
		if err := errors.Join(os.RemoveAll(name), os.Symlink(tty.Name(), name)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	news := make(chan devices.Presence, 64)
	r := devices.Reopen(devices.ReopenConfig{
		Device: "till 3",
		First:  time.Millisecond,
		Most:   20 * time.Millisecond,
		Open: func() (devices.Scanner, error) {
			return serial.Open(serial.Config{Name: "till 3", Path: name, Settle: -1})
		},
		Notify: func(p devices.Presence) { news <- p },
	})
	defer func() { _ = r.Close() }()
	state := func(want bool) devices.Presence {
		t.Helper()
		select {
		case p := <-news:
			if p.Present != want {
				t.Fatalf("told %+v", p)
			}
			return p
		case <-time.After(2 * time.Minute):
			t.Fatal("nothing was told")
			return devices.Presence{}
		}
	}
	if p := state(false); p.Err == nil {
		t.Error("absent without a reason")
	}
	for i := range 20 {
		m := plug()
		state(true)
		code := fmt.Sprintf("1345678901234567%02d", i)
		if _, err := m.Write([]byte(code + "\r")); err != nil {
			t.Fatal(err)
		}
		want(t, r, code)
		if err := errors.Join(os.Remove(name), m.Close()); err != nil {
			t.Fatal(err)
		}
		if p := state(false); !errors.Is(p.Err, devices.ErrGone) {
			t.Errorf("absent because of %v", p.Err)
		}
	}
}
