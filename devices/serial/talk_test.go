package serial_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/internal/frames"
	"payagent/devices/serial"
)

// duplex is a port that the host writes to as well.
type duplex struct {
	*port
	host chan []byte
	full bool // it takes nothing
}

func newDuplex() *duplex { return &duplex{port: newPort(), host: make(chan []byte, 4096)} }

// Write is the host's side here.
func (d *duplex) Write(p []byte) (int, error) {
	if d.full {
		return 0, errors.New("resource temporarily unavailable")
	}
	select {
	case d.host <- bytes.Clone(p):
		return len(p), nil
	case <-d.closed:
	case <-d.pulled:
	}
	return 0, io.ErrClosedPipe
}

func talk(t *testing.T, cfg serial.Config) (serial.Scanner, *duplex) {
	t.Helper()
	d := newDuplex()
	cfg.Settle = -1
	s, err := serial.New(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func got(t *testing.T, d *duplex) string {
	t.Helper()
	select {
	case p := <-d.host:
		return string(p)
	case <-time.After(time.Minute):
		t.Fatal("nothing was sent")
		return ""
	}
}

// TestStart: what a scanner needs at the start is sent in order, with pauses.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := talk(t, serial.Config{Start: [][]byte{[]byte("one"), []byte("two"), []byte("three")}, Pause: 70 * time.Millisecond})
		began := time.Now()
		for i, want := range []string{"one", "two", "three"} {
			if sent := got(t, d); sent != want {
				t.Fatalf("sent %q", sent)
			}
			if at := time.Since(began); at != time.Duration(i)*70*time.Millisecond {
				t.Errorf("%s after %v", want, at)
			}
		}
		send(t, d.port, "134567890123456789\r")
		want(t, s, "134567890123456789")
		_ = s.Close()
	})
}

func TestActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := talk(t, serial.Config{Name: "till 3", Actions: map[string][]byte{"trigger": []byte("T"), "stop": []byte("S"), "beep": []byte("B")}})
		if got := s.Actions(); !reflect.DeepEqual(got, []string{"beep", "stop", "trigger"}) {
			t.Errorf("%q", got)
		}
		if err := s.Do(t.Context(), "format"); !errors.Is(err, devices.ErrNoAction) {
			t.Error(err)
		}
		began := time.Now()
		for _, name := range []string{"trigger", "stop"} {
			if err := s.Do(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := got(t, d), got(t, d); a != "T" || b != "S" {
			t.Errorf("sent %q %q", a, b)
		}
		if took := time.Since(began); took > 250*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		// Nobody waits any more: it is not sent.
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Do(ended, "beep"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := s.Do(short, "beep"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
		pass(time.Second)
		if len(d.host) > 0 {
			t.Errorf("sent %q", <-d.host)
		}
		_ = s.Close()
		if err := s.Do(t.Context(), "beep"); !errors.Is(err, devices.ErrGone) || !strings.HasPrefix(err.Error(), "cannot do beep with scanner till 3") {
			t.Error(err)
		}
	})
}

// TestManyActions: a bounded number waits.
func TestManyActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := talk(t, serial.Config{Actions: map[string][]byte{"beep": []byte("B")}, Pause: time.Hour})
		results := make(chan error, 30)
		for range 30 {
			go func() { results <- s.Do(t.Context(), "beep") }()
		}
		pass(time.Minute)
		// One is carried out, before or after the others came; eight may wait.
		n := len(results)
		if n < 22 || n > 23 {
			t.Errorf("%d of 30 have a result", n)
		}
		_ = s.Close()
		gone := 0
		for range 30 {
			if errors.Is(<-results, devices.ErrGone) {
				gone++
			}
		}
		if gone != 30-n {
			t.Errorf("%d waited, %d had a result", gone, n)
		}
	})
}

// TestTakesNothing: a device that takes no command is gone, and nothing hangs.
func TestTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDuplex()
		d.full = true
		s, err := serial.New(d, serial.Config{Start: [][]byte{[]byte("one")}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Scan(t.Context()); !errors.Is(err, devices.ErrGone) {
			t.Error(err)
		}
		_ = s.Close()
	})
}

// The signs of life of each protocol.
var lives = map[string]struct {
	protocol    string
	alive       serial.Alive
	answer      string
	code, front string
}{
	"plain":   {"", serial.Alive{Ask: []byte("?\r"), Answer: []byte("REVINF")}, "REVINF: 1.2\r\n", "134567890123456789\r", ""},
	"newland": {"newland", serial.Alive{Ask: []byte("~?"), Answer: []byte("\x02\x010000")}, "\x02\x010000@SCNMOD2\x06;\x03", "134567890123456789\r", ""},
	"ssi":     {"ssi", serial.Alive{Ask: frames.SSI(4, 0xa3, 4, 0), Answer: []byte{0xa4}}, string(frames.SSI(8, 0xa4, 0, 0, 'N', '1', '2', ' ')), string(frames.SSI(append([]byte{23, 0xf3, 0, 0, 3}, "134567890123456789"...)...)), ""},
}

// TestAlive: a scanner that answers is alive and its answers are no codes; one
// that stops answering is gone within Every and Within.
func TestAlive(t *testing.T) {
	for name, c := range lives {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d := talk(t, serial.Config{Protocol: c.protocol, Alive: c.alive})
				ask := func() string {
					for {
						if sent := got(t, d); sent != "\x04\xd0\x04\x00\xff\x28" {
							return sent
						}
					}
				}
				began := time.Now()
				for range 5 {
					if sent := ask(); sent != string(c.alive.Ask) {
						t.Fatalf("asked % x", sent)
					}
					send(t, d.port, c.answer)
				}
				if took := time.Since(began); took < 100*time.Second || took > 110*time.Second {
					t.Errorf("five questions took %v", took)
				}
				pass(10 * time.Second)
				send(t, d.port, c.code)
				want(t, s, "134567890123456789")
				hung := time.Now()
				// A scanned code is a sign of life: the next question comes
				// later.
				_ = ask()
				if d := time.Since(hung); d < 20*time.Second-time.Millisecond {
					t.Errorf("asked %v after a code", d)
				}
				_, err := s.Scan(t.Context())
				if !errors.Is(err, devices.ErrGone) || !strings.Contains(err.Error(), "answer") {
					t.Error(err)
				}
				if d := time.Since(hung); d > 26*time.Second {
					t.Errorf("seen after %v", d)
				}
				if n := s.Stats().Frames; n != 1 {
					t.Errorf("%d codes", n)
				}
				_ = s.Close()
			})
		})
	}
}

// TestNeverAnswered: a scanner that does not know the question is used as it
// is, and one whose codes come while it owes an answer is alive.
func TestNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lives["newland"]
		s, d := talk(t, serial.Config{Protocol: c.protocol, Alive: c.alive})
		for range 20 {
			_ = got(t, d)
		}
		send(t, d.port, c.code)
		want(t, s, "134567890123456789")
		_ = got(t, d)
		send(t, d.port, c.answer)
		_ = got(t, d)
		send(t, d.port, "281234567890123456\r")
		want(t, s, "281234567890123456")
		pass(15 * time.Second)
		send(t, d.port, "6212345678901234567\r")
		want(t, s, "6212345678901234567")
		_ = s.Close()
	})
}

// TestHangRecovers: a scanner that hangs without an error is in use again
// within 30 s of virtual time.
func TestHangRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lives["newland"]
		opened := make(chan *duplex, 8)
		r := devices.Reopen(devices.ReopenConfig{Device: "till 3", Open: func() (devices.Scanner, error) {
			d := newDuplex()
			opened <- d
			return serial.New(d, serial.Config{Name: "till 3", Protocol: c.protocol, Alive: c.alive})
		}})
		old := <-opened
		for range 3 {
			_ = got(t, old)
			send(t, old.port, c.answer)
		}
		synctest.Wait()
		hung := time.Now()
		now := <-opened
		pass(400 * time.Millisecond) // what comes right after opening is old
		send(t, now.port, c.code)
		want(t, r, "134567890123456789")
		if d := time.Since(hung); d > 30*time.Second {
			t.Errorf("in use again after %v", d)
		}
		select {
		case <-old.closed:
		default:
			t.Error("the port that hung is open")
		}
		_ = r.Close()
	})
}

func TestTalkSettings(t *testing.T) {
	for name, c := range map[string]serial.Config{
		"protocol":        {Protocol: "telnet"},
		"empty command":   {Start: [][]byte{{}}},
		"empty action":    {Actions: map[string][]byte{"x": nil}},
		"long command":    {Start: [][]byte{make([]byte, 1025)}},
		"no answer":       {Alive: serial.Alive{Ask: []byte("?")}},
		"asked too often": {Alive: serial.Alive{Ask: []byte("?"), Answer: []byte("!"), Every: time.Millisecond}},
		"too impatient":   {Alive: serial.Alive{Ask: []byte("?"), Answer: []byte("!"), Within: time.Millisecond}},
		"ssi, framing":    {Protocol: "ssi", Framing: serial.Framing{Charset: "big5"}},
	} {
		p := newDuplex()
		if _, err := serial.New(p, c); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", name, err)
		}
		<-p.closed
		c.Path = "/dev/null"
		if _, err := serial.Open(c); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A port that cannot send is refused where something is to be sent.
	r := readOnly{newPort()}
	if _, err := serial.New(r, serial.Config{Protocol: "ssi"}); err == nil {
		t.Error("a port that cannot send")
	}
	<-r.p.closed
	if _, err := serial.Open(serial.Config{Path: "/dev/null", Match: devices.Match{Vendor: 1}}); err == nil || !strings.Contains(err.Error(), "either") {
		t.Error(err)
	}
}

type readOnly struct{ p *port }

func (r readOnly) Read(b []byte) (int, error) { return r.p.Read(b) }
func (r readOnly) Close() error               { return r.p.Close() }

// packets is the device's end of an SSI line: what the suite sends as lines
// goes out as packets, and every packet must be acknowledged.
type packets struct {
	out  devicetest.Wire
	acks <-chan []byte // what the host sends, in any pieces; closed with the line
	rest []byte        // of a line
	part bool          // a packet of this code was sent
	got  []byte
	sent int
	wire []byte        // packets to send in one go
	hang time.Duration // how long an ACK may take; default 5 min, only a guard
	busy sync.Mutex    // held by Write
}

var ackFrame = []byte("\x04\xd0\x04\x00\xff\x28")

func (w *packets) Write(p []byte) (int, error) {
	w.busy.Lock()
	defer w.busy.Unlock()
	for _, b := range p {
		if b != '\r' && b != '\n' {
			if len(w.rest) == 240 {
				w.packet(0x02)
			}
			w.rest = append(w.rest, b)
			continue
		}
		if len(w.rest) == 0 && !w.part {
			continue
		}
		w.packet(0)
		if err := w.flush(); err != nil {
			return 0, err
		}
		if err := w.acknowledged(); err != nil {
			return 0, err
		}
	}
	return len(p), w.flush()
}

func (w *packets) frame(status byte) []byte {
	return frames.SSI(append([]byte{byte(5 + len(w.rest)), 0xf3, 0, status, 0x1c}, w.rest...)...)
}

func (w *packets) packet(status byte) {
	w.wire = append(w.wire, w.frame(status)...)
	w.rest, w.part = w.rest[:0], status != 0
	w.sent++
}

// flush sends what is packed and takes what came meanwhile, so that neither
// side waits for the other.
func (w *packets) flush() error {
	if len(w.wire) == 0 {
		return nil
	}
	_, err := w.out.Write(w.wire)
	w.wire = w.wire[:0]
	for {
		select {
		case a := <-w.acks:
			w.got = append(w.got, a...)
			if a != nil {
				continue
			}
		default:
		}
		return err
	}
}

func (w *packets) acknowledged() error {
	hang := w.hang
	if hang == 0 {
		hang = 5 * time.Minute
	}
	guard := time.After(hang)
	for len(w.got) < w.sent*len(ackFrame) {
		select {
		case a, ok := <-w.acks:
			if !ok {
				return io.ErrClosedPipe
			}
			w.got = append(w.got, a...)
		case <-guard:
			return fmt.Errorf("%d packets, %d bytes of acknowledgement", w.sent, len(w.got))
		}
	}
	if !bytes.Equal(w.got, bytes.Repeat(ackFrame, w.sent)) {
		return errors.New("another answer than an ACK")
	}
	w.got, w.sent = w.got[:0], 0
	return nil
}

// Unplug breaks off in the middle of a packet.
func (w *packets) Unplug() error {
	if w.busy.TryLock() {
		defer w.busy.Unlock()
		if len(w.rest) > 0 {
			f := w.frame(0)
			_, _ = w.out.Write(f[:len(f)-3])
		}
	}
	return w.out.Unplug()
}

// chatty is a device that mixes answers to commands with its codes.
type chatty struct{ devicetest.Wire }

func (w chatty) Write(p []byte) (int, error) {
	const answer = "\x02\x010000@SCNMOD2\x06;\x03" + "\x02\x00\x00\x01\x00\x33\x31"
	n := len(p) / 2
	mixed := answer + string(p[:n]) + answer + string(p[n:])
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := w.Wire.Write([]byte(mixed)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// TestSuiteSSI and TestSuiteNewland: the same rules hold with every protocol.
func TestSuiteSSI(t *testing.T) {
	devicetest.TestScanner(t, devicetest.ScannerMember{Hang: 5 * time.Minute, Open: func() (devices.Scanner, devicetest.Wire, error) {
		d := newDuplex()
		s, err := serial.New(d, serial.Config{Name: devicetest.Name, Settle: -1, Protocol: "ssi"})
		return s, &packets{out: d.port, acks: d.host}, err
	}})
}

func TestSuiteNewland(t *testing.T) {
	devicetest.TestScanner(t, devicetest.ScannerMember{Hang: 5 * time.Minute, Open: func() (devices.Scanner, devicetest.Wire, error) {
		d := newDuplex()
		s, err := serial.New(d, serial.Config{Name: devicetest.Name, Settle: -1, Protocol: "newland",
			Actions: map[string][]byte{"trigger": []byte("T")}})
		return s, chatty{d.port}, err
	}})
}

// TestWrongPackets: members that do not acknowledge, or say something else, fail
// the suite on this wire.
func TestWrongPackets(t *testing.T) {
	for name, said := range map[string][]byte{
		"silent":       nil,
		"refuses":      frames.SSI(5, 0xd1, 4, 0, 1),
		"twice as ACK": append(bytes.Clone(ackFrame), ackFrame...),
	} {
		m := devicetest.ScannerMember{Hang: 10 * time.Second, Open: func() (devices.Scanner, devicetest.Wire, error) {
			d := newDuplex()
			s, err := serial.New(d, serial.Config{Name: devicetest.Name, Settle: -1, Protocol: "ssi"})
			acks := make(chan []byte, 1)
			if said != nil {
				acks <- said
			}
			return s, &packets{out: d.port, acks: acks, hang: 100 * time.Millisecond}, err
		}}
		for _, c := range devicetest.ScannerCases() {
			if c.Name != "whole" {
				continue
			}
			if err := devicetest.RunScanner(m, c); err == nil {
				t.Errorf("%s passes", name)
			}
		}
	}
}
