package wedge

import (
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"payagent/devices"
	"payagent/devices/devicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyboard is a grabbed keyboard without hardware.
type keyboard struct {
	events chan []byte
	pulled chan struct{}
	closed chan struct{}
	pull   sync.Once
	shut   sync.Once

	began   time.Time
	typing  sync.Mutex
	before  string // what was typed last, and its events
	typed   []event
	timeout time.Duration // only the reader looks at these
	rest    []byte
}

func newKeyboard() *keyboard {
	return &keyboard{events: make(chan []byte), pulled: make(chan struct{}), closed: make(chan struct{}), timeout: 100 * time.Millisecond, began: time.Now()}
}

func (k *keyboard) SetReadTimeout(d time.Duration) error {
	k.timeout = d
	return nil
}

func (k *keyboard) Read(b []byte) (int, error) {
	if len(k.rest) == 0 {
		t := time.NewTimer(k.timeout)
		defer t.Stop()
		select {
		case k.rest = <-k.events:
		case <-k.pulled:
			return 0, errors.New("no such device")
		case <-k.closed:
			return 0, errors.New("read after close")
		case <-t.C:
			return 0, nil
		}
	}
	n := copy(b[:len(b)/eventSize*eventSize], k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

func (k *keyboard) Close() error {
	k.shut.Do(func() { close(k.closed) })
	return nil
}

// Write types bytes as a scanner set up for us does.
func (k *keyboard) Write(b []byte) (int, error) {
	k.typing.Lock()
	defer k.typing.Unlock()
	for done := 0; done < len(b); {
		part := b[done:min(done+256, len(b))]
		if k.before != string(part) {
			y := typist{picture: pictures["us"]}
			y.text(string(part))
			k.before, k.typed = string(part), y.out
		}
		// The suite types much of the same: only the times are new.
		events, now := slices.Clone(k.typed), stamped(time.Since(k.began))
		for i := range events {
			events[i].sec, events[i].usec = now.sec, now.usec
		}
		if err := k.send(raw(events)); err != nil {
			return done, err
		}
		done += len(part)
	}
	return len(b), nil
}

func (k *keyboard) send(events []byte) error {
	select {
	case k.events <- events:
		return nil
	case <-k.pulled:
	case <-k.closed:
	}
	return io.ErrClosedPipe
}

func (k *keyboard) Unplug() error {
	k.pull.Do(func() { close(k.pulled) })
	return nil
}

func TestSuite(t *testing.T) {
	devicetest.TestScanner(t, devicetest.ScannerMember{Open: func() (devices.Scanner, devicetest.Wire, error) {
		k := newKeyboard()
		s, err := New(k, devices.Found{}, Config{Name: devicetest.Name, Settle: -1})
		return s, k, err
	}})
}
