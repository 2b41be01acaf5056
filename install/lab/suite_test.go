//go:build lab && linux

package lab

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/hid"
	"payagent/devices/serial"
	"payagent/devices/wedge"
)

// TestDrivers runs the suite of package devicetest against the real device
// stack: each driver opens what a gadget presents.
func TestDrivers(t *testing.T) {
	const set = "drivers alone: the cases of devicetest against the kernel's devices"
	// What is left out would only take long: a gadget sends one report in a
	// millisecond or more, so 10 MB take hours.
	slow := []string{"burst"}
	named := func(g *gadget) devices.Match { return devices.Match{Port: g.port(t)} }
	hidraw := func(backend string) func(g *gadget, _ string) (devices.Scanner, error) {
		return func(g *gadget, _ string) (devices.Scanner, error) {
			return unless(hid.Open(hid.Config{Name: devicetest.Name, Match: named(g), Backend: backend, Settle: -1, Pause: -1}))
		}
	}
	for _, x := range []struct {
		name, gadget string
		without      []string
		open         func(g *gadget, node string) (devices.Scanner, error)
	}{
		{"honeywell, hidraw", "honeywell", slow, hidraw(hid.BackendHidraw)},
		{"newland, hidraw", "newland", slow, hidraw(hid.BackendHidraw)},
		{"newland, karalabe", "newland", slow, hidraw(hid.BackendKaralabe)},
		{"keyboard, evdev", "keyboard", []string{"burst", "flood"}, func(g *gadget, _ string) (devices.Scanner, error) {
			return unless(wedge.Open(wedge.Config{Name: devicetest.Name, Match: named(g), Settle: -1}))
		}},
		{"cdc, serial", "cdc", nil, func(_ *gadget, node string) (devices.Scanner, error) {
			return unless(serial.Open(serial.Config{Name: devicetest.Name, Path: node, Settle: -1}))
		}},
	} {
		g := newGadget(t, x.gadget, specs()[x.gadget])
		member := devicetest.ScannerMember{Cycles: 10, Hang: time.Minute, Open: func() (devices.Scanner, devicetest.Wire, error) {
			if err := g.plug(); err != nil {
				return nil, nil, err
			}
			s, err := x.open(g, hostNode(t, g))
			return s, &wire{g: g}, err
		}}
		check(t, set, x.name, "suite", func(t *testing.T) (string, error) {
			ran, began := 0, time.Now()
			var failed []string
			for _, c := range devicetest.ScannerCases() {
				if slices.Contains(x.without, c.Name) {
					continue
				}
				ran++
				at := time.Now()
				if err := devicetest.RunScanner(member, c); err != nil {
					failed = append(failed, err.Error())
				}
				if took := time.Since(at); took > 5*time.Second {
					t.Logf("%s took %v", c.Name, took)
				}
				_ = g.unplug() // what a failed case left
			}
			if len(failed) > 0 {
				return "", fmt.Errorf("%d of %d cases failed: %s", len(failed), ran, strings.Join(failed, "; "))
			}
			got := fmt.Sprintf("%d cases with 10 re-plugs in %v", ran, time.Since(began).Round(time.Second))
			if len(x.without) > 0 {
				got += ", without " + strings.Join(x.without, " and ")
			}
			return got, nil
		})
		if err := g.remove(); err != nil {
			t.Fatal(err)
		}
	}
}

// unless keeps a typed nil out of the interface.
func unless[S devices.Scanner](s S, err error) (devices.Scanner, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// wire makes a gadget send the suite's bytes. A HID device sends no bytes but
// reports: one that says that more follows for what has no end yet. Noise
// around a code is what can disturb such a device, reports of another id.
type wire struct {
	g      *gadget
	mu     sync.Mutex
	line   []byte
	inside bool // reports of this code went out
}

func (w *wire) Unplug() error { return w.g.unplug() }

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	switch w.g.kind {
	case cdc:
		for rest := p; len(rest) > 0 && err == nil; {
			n := min(len(rest), 4096)
			err = w.g.send(rest[:n])
			rest = rest[n:]
		}
	case keyboard:
		err = w.g.send(typed(string(p))...)
	default:
		err = w.reports(p)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", io.ErrClosedPipe, err)
	}
	return len(p), nil
}

// typed are the reports of a keyboard for the suite's bytes. Noise around a code
// is too many keys at once, as a keyboard says it; noise inside is F1.
func typed(text string) [][]byte {
	var list [][]byte
	for line := range strings.SplitAfterSeq(text, "\r") {
		code := strings.TrimRight(line, "\r\n")
		end := line[len(code):]
		for len(code) > 0 && noisy(code[0]) {
			code = code[1:]
			list = append(list, []byte{0, 0, 1, 1, 1, 1, 1, 1}, make([]byte, 8))
		}
		tail := 0
		for len(code) > 0 && noisy(code[len(code)-1]) {
			code = code[:len(code)-1]
			tail++
		}
		if code != "" {
			list = append(list, keys(code)...)
		}
		for range tail {
			list = append(list, []byte{0, 0, 1, 1, 1, 1, 1, 1}, make([]byte, 8))
		}
		if end != "" {
			list = append(list, keys(end)...)
		}
	}
	return list
}

func (w *wire) reports(p []byte) error {
	for _, b := range p {
		if b != '\r' && b != '\n' {
			w.line = append(w.line, b)
			continue
		}
		line := w.line
		w.line = nil
		for !w.inside && len(line) > 0 && noisy(line[0]) {
			line = line[1:]
			if err := w.junk(); err != nil {
				return err
			}
		}
		for len(line) > 0 && noisy(line[len(line)-1]) {
			line = line[:len(line)-1]
			if err := w.junk(); err != nil {
				return err
			}
		}
		if len(line) == 0 && !w.inside {
			continue // the LF behind a CR
		}
		w.inside = false
		if err := w.g.send(reports(w.g.kind, string(line))...); err != nil {
			return err
		}
	}
	// What is left is the beginning of a code.
	for len(w.line) > 0 {
		n := min(len(w.line), 56)
		r := reports(w.g.kind, string(w.line[:n]))[0]
		r[63] = 1
		if err := w.g.send(r); err != nil {
			return err
		}
		w.line, w.inside = w.line[n:], true
	}
	return nil
}

func noisy(b byte) bool { return b < 0x20 || b >= 0x7f }

// junk is a report that carries no code.
func (w *wire) junk() error { return w.g.send([]byte{9, 1, 2, 3}) }
