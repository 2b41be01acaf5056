package serial_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/serial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// port is a serial port without hardware: reads time out with (0, nil), and
// pulling it gives an error.
type port struct {
	data   chan []byte
	pulled chan struct{}
	closed chan struct{}
	pull   sync.Once
	shut   sync.Once

	mu      sync.Mutex
	timeout time.Duration
	rest    []byte // only the reader looks at it
}

func newPort() *port {
	return &port{data: make(chan []byte), pulled: make(chan struct{}), closed: make(chan struct{}), timeout: 100 * time.Millisecond}
}

func (p *port) SetReadTimeout(d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timeout = d
	return nil
}

func (p *port) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		p.mu.Lock()
		t := time.NewTimer(p.timeout)
		p.mu.Unlock()
		defer t.Stop()
		select {
		case p.rest = <-p.data:
		case <-p.pulled:
			return 0, errors.New("input/output error")
		case <-p.closed:
			return 0, errors.New("read after close")
		case <-t.C:
			return 0, nil
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *port) Close() error {
	p.shut.Do(func() { close(p.closed) })
	return nil
}

// Write is the device's side.
func (p *port) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	select {
	case p.data <- append([]byte(nil), b...):
		return len(b), nil
	case <-p.pulled:
	case <-p.closed:
	}
	return 0, io.ErrClosedPipe
}

func (p *port) Unplug() error {
	p.pull.Do(func() { close(p.pulled) })
	return nil
}

func start(t *testing.T, cfg serial.Config) (serial.Scanner, *port) {
	t.Helper()
	p := newPort()
	if cfg.Settle == 0 {
		cfg.Settle = -1
	}
	s, err := serial.New(p, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func TestSuite(t *testing.T) {
	devicetest.TestScanner(t, devicetest.ScannerMember{Open: func() (devices.Scanner, devicetest.Wire, error) {
		p := newPort()
		s, err := serial.New(p, serial.Config{Name: devicetest.Name, Settle: -1})
		return s, p, err
	}})
}

func send(t *testing.T, p *port, s string) {
	t.Helper()
	if _, err := p.Write([]byte(s)); err != nil {
		t.Error(err)
	}
}

func want(t *testing.T, s devices.Scanner, text string) devices.Scan {
	t.Helper()
	got, err := s.Scan(t.Context())
	if err != nil || got.Text.Reveal() != text {
		t.Fatalf("%v %v", got, err)
	}
	return got
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// TestPauseEnds: a scanner that sends no end, in virtual time.
func TestPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t, serial.Config{Framing: serial.Framing{End: "none"}})
		began := time.Now()
		send(t, p, "13456789")
		send(t, p, "0123456789")
		want(t, s, "134567890123456789")
		if d := time.Since(began); d != 60*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		_ = s.Close()
	})
}

// TestDoubleReadWindow: a code that stays in view comes once in 3 s.
func TestDoubleReadWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t, serial.Config{})
		send(t, p, "code1\r")
		want(t, s, "code1")
		pass(2 * time.Second)
		send(t, p, "code1\r")
		pass(999 * time.Millisecond)
		send(t, p, "code1\rcode2\r")
		want(t, s, "code2")
		pass(time.Millisecond)
		send(t, p, "code1\r")
		want(t, s, "code1")
		if got := s.Stats(); got.Doubles != 2 || got.Frames != 5 {
			t.Errorf("%+v", got)
		}
		_ = s.Close()
	})
}

// TestSettle: what was scanned while nobody had the port open comes first and
// is dropped, a code across the border included.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t, serial.Config{Settle: 300 * time.Millisecond})
		send(t, p, "old1\rold2\r")
		pass(299 * time.Millisecond)
		send(t, p, "ol")
		pass(2 * time.Millisecond)
		send(t, p, "d3\rnew\r")
		want(t, s, "new")
		if got := s.Stats(); got.Settled != 3 {
			t.Errorf("%+v", got)
		}
		_ = s.Close()
	})
}

// TestDefaultSettle: without a setting it is 300 ms.
func TestDefaultSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPort()
		s, err := serial.New(p, serial.Config{})
		if err != nil {
			t.Fatal(err)
		}
		send(t, p, "old\r")
		pass(300 * time.Millisecond)
		send(t, p, "new\r")
		want(t, s, "new")
		_ = s.Close()
	})
}

// TestStale: a code whose end was lost does not stick to the next one.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t, serial.Config{})
		send(t, p, "1345")
		pass(1500 * time.Millisecond)
		send(t, p, "whole\r")
		want(t, s, "whole")
		if got := s.Stats(); got.Cut != 1 {
			t.Errorf("%+v", got)
		}
		_ = s.Close()
	})
}

// TestOldCodesGiveWay: the newest codes wait, the oldest are dropped.
func TestOldCodesGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t, serial.Config{})
		for _, c := range "abcdefghijkl" {
			send(t, p, strings.Repeat(string(c), 5)+"\r")
		}
		synctest.Wait()
		for _, c := range "efghijkl" {
			want(t, s, strings.Repeat(string(c), 5))
		}
		if got := s.Stats(); got.Unread != 4 {
			t.Errorf("%+v", got)
		}
		_ = s.Close()
	})
}

func TestSymbology(t *testing.T) {
	s, p := start(t, serial.Config{Framing: serial.Framing{AIM: true}})
	go send(t, p, "]Q1134567890123456789\r")
	if got := want(t, s, "134567890123456789"); got.Symbology != "Q1" {
		t.Errorf("symbology %q", got.Symbology)
	}
	_ = s.Close()
}

// TestPortIsClosed: whoever ends it, the port is closed.
func TestPortIsClosed(t *testing.T) {
	for name, end := range map[string]func(serial.Scanner, *port){
		"close":  func(s serial.Scanner, _ *port) { _ = s.Close() },
		"unplug": func(_ serial.Scanner, p *port) { _ = p.Unplug() },
	} {
		s, p := start(t, serial.Config{})
		end(s, p)
		select {
		case <-p.closed:
		case <-time.After(2 * time.Minute):
			t.Errorf("%s: the port stays open", name)
		}
		_ = s.Close()
	}
	p := newPort()
	if _, err := serial.New(p, serial.Config{Framing: serial.Framing{End: "odd"}}); err == nil {
		t.Error("an odd end was accepted")
	}
	<-p.closed
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]serial.Config{
		"no path":  {},
		"baud":     {Path: "/dev/null", Baud: 7},
		"bits":     {Path: "/dev/null", Line: "9N1"},
		"parity":   {Path: "/dev/null", Line: "8X1"},
		"stop":     {Path: "/dev/null", Line: "8N3"},
		"short":    {Path: "/dev/null", Line: "8N"},
		"dtr":      {Path: "/dev/null", DTR: "maybe"},
		"rts":      {Path: "/dev/null", RTS: "maybe"},
		"framing":  {Path: "/dev/null", Framing: serial.Framing{End: "odd"}},
		"no node":  {Path: "/dev/no-such-port"},
		"no port":  {Path: "/dev/null"},
		"no port2": {Path: "/dev/null", Line: "7E1", DTR: "off"},
	} {
		if _, err := serial.Open(c); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
