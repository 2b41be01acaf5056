package hid

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
	"payagent/devices/devicetest"
)

// library is a device as karalabe/hid shows one: packets, one error for all, a
// zero-length read that is a time-out, no call beside another.
type library struct {
	*handle
	endless bool // a read would block for good
	written int
}

func (l *library) ReadTimeout(p []byte, milliseconds int) (int, error) {
	if milliseconds < 0 {
		l.endless = true
		return 0, errors.New("it would block")
	}
	n, err := l.handle.Read(p, time.Duration(milliseconds)*time.Millisecond)
	if err != nil {
		err = errors.New("hidapi: hid_error is not implemented yet")
	}
	return n, err
}

func (l *library) Write(p []byte) (int, error) {
	l.written++
	return len(p), l.handle.Write(p)
}

func (l *library) SendFeatureReport(p []byte) (int, error) { return len(p), l.handle.Feature(p) }

// TestSuiteLibrary runs the suite through the library's handle, with reports in
// one packet and in many.
func TestSuiteLibrary(t *testing.T) {
	for _, packet := range []int{0, 32} {
		t.Run(fmt.Sprint("packets of ", packet), func(t *testing.T) {
			devicetest.TestScanner(t, devicetest.ScannerMember{Cycles: 1000, Open: func() (devices.Scanner, devicetest.Wire, error) {
				dev := &library{handle: newHandle()}
				desc := descOf(t, "honeywell")
				s, err := New(newAPIHandle(dev, desc, packet), desc, devices.Found{}, suiteConfig())
				return s, &wire{l: usbIF, unplug: dev.unplug, send: func(r []byte) error {
					for n := packet; n > 0 && len(r) > n; r = r[n:] {
						if err := dev.send(r[:n]); err != nil {
							return err
						}
					}
					return dev.send(r)
				}}, err
			}})
		})
	}
}

// TestPackets: a report that stays unfinished goes up as it is, once.
func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := &library{handle: newHandle()}
		h := newAPIHandle(dev, descOf(t, "newland"), 8)
		whole := newland.pack([]byte(pay), false)
		go func() {
			for i := 0; i < len(whole); i += 8 {
				<-time.After(150 * time.Millisecond) // a busy machine
				_ = dev.send(whole[i : i+8])
			}
			_ = dev.send(whole[:8]) // its rest is lost
			<-time.After(time.Second)
			_ = dev.send(whole[:5])                      // a short packet ends a report
			_ = dev.send([]byte{7, 7, 7, 7, 7, 7, 7, 7}) // an id that the device does not declare
		}()
		buf := make([]byte, 4096)
		var got []int
		for len(got) < 4 {
			n, err := h.Read(buf, 100*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				got = append(got, n)
			}
			if n == 64 && !bytes.Equal(buf[:n], whole) {
				t.Error("the report is another one")
			}
		}
		if !slices.Equal(got, []int{64, 8, 5, 8}) {
			t.Errorf("reports of %d bytes", got)
		}
		_ = dev.unplug()
		if _, err := h.Read(buf, time.Second); err == nil {
			t.Error(err)
		}
		if n, err := h.Read(buf, -time.Second); err == nil || n != 0 || dev.endless {
			t.Error("a time-out in the past blocks for good")
		}
		_ = h.Close()
	})
}

// TestPulledUnseen: an unplug that the library misses ends the next read that
// times out, with nothing of the code that had begun.
func TestPulledUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := &library{handle: newHandle()}
		h := newAPIHandle(dev, descOf(t, "newland"), 8)
		pulled := false
		h.gone = func() bool { return pulled }
		buf := make([]byte, 64)
		if n, err := h.Read(buf, 100*time.Millisecond); n != 0 || err != nil {
			t.Error(n, err)
		}
		go func() { _ = dev.send(newland.pack([]byte(pay), false)[:8]) }()
		if n, err := h.Read(buf, 100*time.Millisecond); n != 0 || err != nil {
			t.Error(n, err)
		}
		pulled = true
		if n, err := h.Read(buf, time.Second); n != 0 || err == nil || len(h.part) > 0 {
			t.Error(n, err)
		}
		_ = h.Close()
	})
}

// TestPinned: where a read belongs to the thread that began it, the goroutine
// stays on its thread until it has closed the device.
func TestPinned(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		dev := &library{handle: newHandle()}
		h := newAPIHandle(dev, nil, 0)
		h.pin = true
		if _, err := h.Read(make([]byte, 64), time.Millisecond); err != nil || !h.pinned {
			t.Error("the thread is not kept", err)
		}
		if err := h.Close(); err != nil || h.pinned {
			t.Error("the thread is kept for good", err)
		}
	}()
	<-done
}

// TestLibraryWrites: what goes out, and what a refusal says.
func TestLibraryWrites(t *testing.T) {
	dev := &library{handle: newHandle()}
	h := newAPIHandle(dev, nil, 0)
	if err := errors.Join(h.Write(trigger), h.Feature([]byte{0xFE, 1})); err != nil || len(dev.outputs) != 1 || len(dev.features) != 1 {
		t.Error(err)
	}
	dev.refuse = true
	if h.Write(trigger) == nil || h.Feature([]byte{0xFE, 1}) == nil {
		t.Error("a refusal is not told")
	}
}
