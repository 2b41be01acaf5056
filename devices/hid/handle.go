package hid

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// api is what is used of the library's device.
type api interface {
	ReadTimeout(p []byte, milliseconds int) (int, error)
	Write(p []byte) (int, error)
	SendFeatureReport(p []byte) (int, error)
	Close() error
}

// apiHandle fits the library's device to the seam. Through libusb a report that
// is longer than a packet comes in packets, of which only the first begins with
// the id; they are joined here.
type apiHandle struct {
	dev    api
	sizes  map[byte]int // whole length of input reports by id
	packet int          // bytes of one packet, 0 if reports come whole
	part   []byte       // packets of an unfinished report
	last   time.Time    // when the last of them came
	buf    []byte
	// pin keeps the goroutine on its thread. On Windows a read that is under way
	// belongs to the thread that began it, and only that thread can cancel it
	// when the device is closed; otherwise the system would write into memory
	// that was given back.
	pin, pinned bool
	// gone asks the system, apart from the library, whether the device was pulled;
	// nil where nobody can tell. Of many unplugs the library misses one.
	gone func() bool
}

func newAPIHandle(dev api, desc []byte, packet int) *apiHandle {
	h := &apiHandle{dev: dev, packet: packet, sizes: map[byte]int{}, buf: make([]byte, 4096), pin: runtime.GOOS == "windows"}
	if d, err := parseDescriptor(desc); err == nil && packet > 0 {
		for _, r := range d.reports {
			if r.kind == input {
				h.sizes[r.id] = r.bytes()
			}
		}
	}
	return h
}

// size is the length of the report that begins with these bytes, 0 if unknown.
func (h *apiHandle) size(p []byte) int {
	if n := h.sizes[0]; n > 0 {
		return n
	}
	return h.sizes[p[0]]
}

// Read implements Handle. The time-out is never negative: that would block for
// good.
func (h *apiHandle) Read(p []byte, timeout time.Duration) (int, error) {
	if h.pin && !h.pinned {
		runtime.LockOSThread()
		h.pinned = true
	}
	until := time.Now().Add(timeout)
	for {
		wait := max(time.Until(until), 0)
		n, err := h.dev.ReadTimeout(h.buf, int(wait/time.Millisecond))
		now := time.Now()
		switch {
		case err != nil:
			clear(h.part)
			h.part = nil
			return 0, fmt.Errorf("cannot read the HID device: %w", err)
		case n <= 0:
			if h.gone != nil && h.gone() {
				clear(h.part)
				h.part = nil
				return 0, errUnplugged
			}
			// A time-out, or an empty packet. Between two packets of a report there
			// may be time-outs too, where the machine is busy. What stays unfinished
			// goes up as it is and is counted there.
			if len(h.part) > 0 && now.Sub(h.last) >= joinTime {
				return h.take(p), nil
			}
			return 0, nil
		}
		n = min(n, len(h.buf))
		h.part = append(h.part, h.buf[:n]...)
		h.last = now
		clear(h.buf[:n])
		if want := h.size(h.part); h.packet == 0 || n != h.packet || len(h.part) >= want {
			return h.take(p), nil
		}
	}
}

// errUnplugged is what Read gives when only the system saw the unplug.
var errUnplugged = errors.New("cannot read the HID device: it is not plugged in any more")

// joinTime is how long the next packet of a report may take. Devices send them
// in a row, one in each polling interval.
const joinTime = 500 * time.Millisecond

// take hands the report up.
func (h *apiHandle) take(p []byte) int {
	n := copy(p, h.part)
	clear(h.part)
	h.part = h.part[:0]
	return n
}

// Write implements Handle.
func (h *apiHandle) Write(p []byte) error {
	if _, err := h.dev.Write(p); err != nil {
		return fmt.Errorf("cannot send output report %02x; the device may not have it: %w", p[0], err)
	}
	return nil
}

// Feature implements Handle.
func (h *apiHandle) Feature(p []byte) error {
	if _, err := h.dev.SendFeatureReport(p); err != nil {
		return fmt.Errorf("cannot send feature report %02x; the device may not have it: %w", p[0], err)
	}
	return nil
}

// Close implements Handle. Through libusb the library waits for a thread that
// sleeps up to a minute in its wait for events, if another scanner's thread took
// the event that was its own; it is so after one of some hundred unplugs. So it is
// not waited for longer than it takes: the device stays with the goroutine that
// closes it, and nobody else touches it any more.
func (h *apiHandle) Close() error {
	if h.gone == nil {
		err := h.dev.Close()
		if h.pinned {
			h.pinned = false
			runtime.UnlockOSThread()
		}
		return err
	}
	closed := make(chan error, 1)
	go func() { closed <- h.dev.Close() }()
	late := time.NewTimer(closeTime)
	defer late.Stop()
	if h.gone() {
		late.Reset(closeGoneTime)
	}
	select {
	case err := <-closed:
		return err
	case <-late.C:
		return nil
	}
}

// How long Close waits: the kernel's driver comes back within some tens of
// milliseconds, and a device that was pulled has none.
const (
	closeTime     = 2 * time.Second
	closeGoneTime = 100 * time.Millisecond
)
