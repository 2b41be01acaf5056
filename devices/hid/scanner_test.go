package hid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// begin opens a scanner on a handle without hardware.
func begin(t *testing.T, cfg Config, vendor string) (*Scanner, *handle) {
	t.Helper()
	h := newHandle()
	s, err := New(h, descOf(t, vendor), devices.Found{Port: "1-1:1.0"}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		if h.beside {
			t.Error("two calls were made at once")
		}
	})
	return s, h
}

func send(t *testing.T, h *handle, text string) {
	t.Helper()
	if err := h.send(usbIF.pack([]byte(text), false)); err != nil {
		t.Error(err)
	}
}

// trigger is Honeywell's, as its manual has it.
var trigger = []byte{0xFD, 3, 0x16, 0x54, 0x0D}

func TestActions(t *testing.T) {
	s, h := begin(t, Config{Settle: -1, Actions: map[string][]byte{"trigger": trigger, "stop": {0xFD, 3, 0x16, 0x55, 0x0D}}}, "honeywell")
	if got := s.Actions(); len(got) != 2 || got[0] != "stop" || got[1] != "trigger" {
		t.Errorf("%q", got)
	}
	if err := s.Do(t.Context(), "trigger"); err != nil {
		t.Fatal(err)
	}
	if want := append(bytes.Clone(trigger), make([]byte, 59)...); len(h.outputs) != 1 || !bytes.Equal(h.outputs[0], want) {
		t.Errorf("%x", h.outputs)
	}
	if err := s.Do(t.Context(), "erase"); !errors.Is(err, devices.ErrNoAction) {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Do(ended, "trigger"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_ = s.Close()
	if err := s.Do(t.Context(), "trigger"); !errors.Is(err, errShut) {
		t.Error(err)
	}
}

// TestActionsBeside: many callers while codes come; one goroutine makes all
// calls of the handle.
func TestActionsBeside(t *testing.T) {
	s, h := begin(t, Config{Settle: -1, DoubleRead: -1, Actions: map[string][]byte{"trigger": trigger}}, "honeywell")
	errs := make(chan error, 4)
	for range 4 {
		go func() {
			for range 10 {
				if err := s.Do(t.Context(), "trigger"); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 40 {
		send(t, h, pay)
	}
	// Writes wait for the read before them to end, and so for a report or a
	// time-out; reports keep them going.
	for got := 0; got < 4; {
		select {
		case err := <-errs:
			got++
			if err != nil {
				t.Error(err)
			}
		case h.reports <- usbIF.pack([]byte(pay), false):
		}
	}
	if len(h.outputs) != 40 {
		t.Errorf("%d reports were written", len(h.outputs))
	}
	if c := s.Counts(); c.Bad != 0 || c.Good < 40 {
		t.Errorf("%+v", c)
	}
}

// TestActionEnds: an action ends with its context and with the device.
func TestActionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := begin(t, Config{Settle: -1, Actions: map[string][]byte{"trigger": trigger}}, "honeywell")
		synctest.Wait() // it reads
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := s.Do(ctx, "trigger"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(h.outputs) != 0 {
			t.Error("it was written after its end")
		}
		began := time.Now()
		if err := s.Do(t.Context(), "trigger"); err != nil || time.Since(began) > 100*time.Millisecond {
			t.Error(err, time.Since(began))
		}
		failed := make(chan error, 1)
		go func() { failed <- s.Do(t.Context(), "trigger") }()
		synctest.Wait()
		_ = h.unplug()
		if err := <-failed; !errors.Is(err, devices.ErrGone) {
			t.Error(err)
		}
	})
}

func TestStart(t *testing.T) {
	cfg := Config{Settle: -1, StartFeature: []byte{0xFE, 1}, Start: [][]byte{trigger, {4, 1}}}
	_, h := begin(t, cfg, "honeywell")
	if len(h.features) != 1 || !bytes.Equal(h.features[0], []byte{0xFE, 1}) {
		t.Errorf("%x", h.features)
	}
	if len(h.outputs) != 2 || len(h.outputs[0]) != 64 || !bytes.Equal(h.outputs[1], []byte{4, 1}) {
		t.Errorf("%x", h.outputs)
	}
}

// TestStartRefused: the scanner works, and its place says what happened.
func TestStartRefused(t *testing.T) {
	h := newHandle()
	h.refuse = true
	s, err := New(h, nil, devices.Found{}, Config{Settle: -1, StartFeature: []byte{0xFE, 1}, Start: [][]byte{trigger}, Actions: map[string][]byte{"t": trigger}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if hint := s.Place().Hint; !strings.Contains(hint.EN, "feature report fe") || !strings.Contains(hint.EN, "output report fd") || hint.ZH == "" {
		t.Error(hint)
	}
	send(t, h, pay)
	if got := scan(t, s); got.Text.Reveal() != pay || got.Symbology != "Q1" {
		t.Error(got)
	}
	if err := s.Do(t.Context(), "t"); err == nil || errors.Is(err, devices.ErrGone) || !strings.HasPrefix(err.Error(), "cannot ") {
		t.Error(err)
	}
	if s.Layout() != LayoutUSBIF {
		t.Error(s.Layout())
	}
}

// TestSettle: what was scanned while nobody had the device open comes first and
// is dropped, a code across the border included.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := begin(t, Config{}, "honeywell")
		send(t, h, "old1")
		<-time.After(299 * time.Millisecond)
		_ = h.send(usbIF.pack([]byte("old"), true))
		<-time.After(2 * time.Millisecond)
		send(t, h, "2")
		send(t, h, "new")
		if got := scan(t, s); got.Text.Reveal() != "new" {
			t.Error(got)
		}
		if c := s.Counts(); c.Settled != 2 || c.Good != 1 || c.Last.IsZero() {
			t.Errorf("%+v", c)
		}
	})
}

// TestPause: half a code is given up after 500 ms and does not stick to the
// next one.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := begin(t, Config{Settle: -1}, "honeywell")
		_ = h.send(usbIF.pack([]byte("half"), true))
		<-time.After(499 * time.Millisecond)
		_ = h.send(usbIF.pack([]byte("whole"), false))
		if got := scan(t, s); got.Text.Reveal() != "halfwhole" {
			t.Error(got)
		}
		_ = h.send(usbIF.pack([]byte("half"), true))
		<-time.After(time.Second)
		synctest.Wait()
		if c := s.Counts(); c.Cut != 1 {
			t.Errorf("it is not given up by itself: %+v", c)
		}
		send(t, h, "next")
		if got := scan(t, s); got.Text.Reveal() != "next" {
			t.Error(got)
		}
	})
}

// TestDoubleRead: a code that stays in view comes once in 3 s.
func TestDoubleRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := begin(t, Config{Settle: -1}, "honeywell")
		for range 3 {
			send(t, h, pay)
			<-time.After(900 * time.Millisecond)
		}
		send(t, h, "other")
		if a, b := scan(t, s), scan(t, s); a.Text.Reveal() != pay || b.Text.Reveal() != "other" {
			t.Error("the wrong codes came")
		}
		if c := s.Counts(); c.Doubles != 2 || c.Good != 2 {
			t.Errorf("%+v", c)
		}
	})
}

// TestHandleIsClosed: whoever ends it, the handle is closed once it is.
func TestHandleIsClosed(t *testing.T) {
	for name, end := range map[string]func(*Scanner, *handle){
		"close":  func(s *Scanner, _ *handle) { _ = s.Close() },
		"unplug": func(_ *Scanner, h *handle) { _ = h.unplug() },
	} {
		s, h := begin(t, Config{}, "newland")
		end(s, h)
		select {
		case <-h.closed:
		case <-time.After(guard):
			t.Errorf("%s: the handle stays open", name)
		}
	}
	h := newHandle()
	if _, err := New(h, nil, devices.Found{}, Config{Layout: "odd"}); err == nil {
		t.Error("an odd layout was accepted")
	}
	<-h.closed
}

func TestSettings(t *testing.T) {
	long := make([]byte, maxReport+1)
	for name, c := range map[string]Config{
		"backend": {Backend: "usb"}, "layout": {Layout: "odd"}, "charset": {Charset: "big5"}, "max": {Max: 513}, "min": {Min: -1},
		"min above max": {Min: 9, Max: 8}, "feature": {StartFeature: long}, "start": {Start: [][]byte{{}}}, "start long": {Start: [][]byte{long}},
		"action": {Actions: map[string][]byte{"x": nil}}, "action long": {Actions: map[string][]byte{"x": long}},
	} {
		if _, err := Open(c); err == nil || !strings.HasPrefix(err.Error(), "cannot use scanner") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shelf is a backend of devices without hardware.
type shelf struct {
	list   []Device
	failed error
	opened []string
}

func (b *shelf) List() ([]Device, error) { return b.list, b.failed }

func (b *shelf) Open(d Device) (Handle, error) {
	b.opened = append(b.opened, d.Node)
	if d.Node == "/dev/locked" {
		return nil, fmt.Errorf("cannot open %s", d.Node)
	}
	return newHandle(), nil
}

// TestPick: the one device that fits, and clear words for every other case.
func TestPick(t *testing.T) {
	desc := descOf(t, "honeywell")
	pos := func(port, node string, vendor uint16) Device {
		return Device{devices.Found{Port: port, Node: node, Vendor: vendor, Class: devices.ClassHIDPOS}, desc}
	}
	keyboard := Device{Found: devices.Found{Port: "1-1:1.1", Node: "/dev/hidraw1", Vendor: usb.Honeywell, Class: devices.ClassKeyboard}}
	other := Device{Found: devices.Found{Port: "1-9:1.0", Vendor: usb.Zebra, Class: devices.ClassOther, Hint: otherMode()}}
	two := []Device{pos("1-1:1.0", "/dev/hidraw0", usb.Honeywell), keyboard, pos("1-2:1.0", "/dev/hidraw2", usb.Honeywell), other, pos("1-3:1.0", "/dev/locked", 1)}
	for name, w := range map[string]struct {
		list   []Device
		cfg    Config
		opened string
		is     error
		says   string
	}{
		"the only one":         {two[:2], Config{}, "/dev/hidraw0", nil, ""},
		"by port":              {two, Config{Match: devices.Match{Port: "1-2"}}, "/dev/hidraw2", nil, ""},
		"its keyboard is none": {two[:2], Config{Match: devices.Match{Vendor: usb.Honeywell}}, "/dev/hidraw0", nil, ""},
		"two equal ones":       {two, Config{Match: devices.Match{Vendor: usb.Honeywell}}, "", devices.ErrSeveral, "1-2:1.0"},
		"held by another":      {[]Device{other}, Config{}, "", devices.ErrAbsent, "set-up code"},
		"none":                 {nil, Config{}, "", devices.ErrAbsent, ""},
		"a keyboard":           {two, Config{Match: devices.Match{Port: "1-1:1.1"}}, "", devices.ErrAbsent, "HID POS"},
		"another mode":         {two, Config{Match: devices.Match{Vendor: usb.Zebra}}, "", devices.ErrAbsent, "set-up code"},
		"no descriptor":        {two, Config{Match: devices.Match{Vendor: usb.Zebra}, Layout: LayoutUSBIF}, "", nil, ""},
		"locked":               {two, Config{Match: devices.Match{Port: "1-3"}}, "/dev/locked", nil, "cannot open /dev/locked"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &shelf{list: w.list}
			w.cfg.Name = "till 3 scanner"
			s, err := OpenWith(b, w.cfg)
			if err == nil {
				if w.is != nil || w.says != "" {
					t.Error("it was opened")
				}
				_ = s.Close()
			} else if !strings.HasPrefix(err.Error(), "cannot open scanner till 3 scanner: ") || w.is != nil && !errors.Is(err, w.is) || !strings.Contains(err.Error(), w.says) || w.is == nil && w.says == "" {
				t.Error(err)
			}
			if got := strings.Join(b.opened, " "); got != w.opened {
				t.Errorf("%q was opened", got)
			}
		})
	}
	b := &shelf{failed: errors.New("no bus")}
	if _, err := OpenWith(b, Config{}); err == nil || !strings.Contains(err.Error(), "no bus") {
		t.Error(err)
	}
}

// TestLacks: every build says what it cannot do.
func TestLacks(t *testing.T) {
	for name, w := range map[string]struct {
		system string
		have   []string
		says   []string
	}{
		"windows without cgo": {"windows", nil, []string{"without cgo", "keyboard-class"}},
		"windows":             {"windows", []string{BackendKaralabe}, []string{"keyboard-class"}},
		"linux without cgo":   {"linux", []string{BackendHidraw}, []string{"no karalabe"}},
		"linux":               {"linux", []string{BackendHidraw, BackendKaralabe}, []string{"driver is detached"}},
	} {
		got := lacks(w.system, w.have)
		if len(got) != len(w.says) {
			t.Errorf("%s: %v", name, got)
			continue
		}
		for i, said := range got {
			if !strings.Contains(said.EN, w.says[i]) || said.ZH == "" {
				t.Errorf("%s: %v", name, said)
			}
		}
	}
	for _, name := range Backends() {
		if _, err := NewBackend(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := NewBackend("abacus"); !errors.Is(err, ErrNotBuilt) {
		t.Error(err)
	}
	if len(Lacks()) == 0 {
		t.Error("every build has something to say")
	}
}
