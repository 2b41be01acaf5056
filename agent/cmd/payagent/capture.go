package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.bug.st/serial"

	"payagent/devices"
	"payagent/devices/hid"
	"payagent/devices/learn"
	"payagent/devices/wedge"
)

// tap is a device that is open raw: one read waits for a short time and adds
// what came to a scan.
type tap interface {
	read(into *learn.Scan, at time.Duration) (bool, error)
	Close() error
}

// pulse is how long one read waits.
const pulse = 50 * time.Millisecond

// listen waits for one scan: for its beginning as long as patience, then until
// nothing more came for quiet. A scan with nothing in it is one that did not
// come.
func listen(ctx context.Context, t tap, want string, patience, quiet time.Duration) (learn.Scan, error) {
	scan := learn.Scan{Want: want}
	start := time.Now()
	last := time.Time{}
	for {
		if err := ctx.Err(); err != nil {
			return scan, err
		}
		got, err := t.read(&scan, time.Since(start))
		now := time.Now()
		switch {
		case err != nil:
			return scan, err
		case got:
			last = now
		case !last.IsZero() && now.Sub(last) >= quiet, last.IsZero() && now.Sub(start) >= patience:
			return scan, nil
		}
		if size(scan) > 64<<10 {
			return scan, errors.New("cannot learn: the device sends without end; unplug it and plug it in again")
		}
	}
}

func size(s learn.Scan) int {
	n := len(s.Keys)
	for _, c := range s.Chunks {
		n += len(c.Data)
	}
	for _, r := range s.Reports {
		n += len(r)
	}
	return n
}

// serialTap reads a serial port.
type serialTap struct{ serial.Port }

func tapSerial(node string, baud int) (tap, error) {
	p, err := serial.Open(node, &serial.Mode{BaudRate: baud})
	if err != nil {
		var pe *serial.PortError
		if errors.As(err, &pe) && pe.Code() == serial.PortBusy {
			return nil, fmt.Errorf("cannot open %s: another program has it; stop the agent while you learn: %w", node, err)
		}
		return nil, fmt.Errorf("cannot open %s; check the cable, the path and the group of the port (dialout): %w", node, err)
	}
	if err := p.SetReadTimeout(pulse); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return serialTap{p}, nil
}

func (t serialTap) read(into *learn.Scan, at time.Duration) (bool, error) {
	began := time.Now()
	buf := make([]byte, 4096)
	n, err := t.Port.Read(buf)
	if err != nil {
		return false, fmt.Errorf("cannot read the port: %w: %w", devices.ErrGone, err)
	}
	if n > 0 {
		into.Chunks = append(into.Chunks, learn.Chunk{At: at + time.Since(began), Data: buf[:n]})
	}
	return n > 0, nil
}

// keyTap reads a keyboard that was taken from everybody else.
type keyTap struct {
	io.ReadCloser
	zero time.Duration
}

func tapKeys(m devices.Match) (tap, error) {
	r, _, err := wedge.Tap(m)
	if err != nil {
		return nil, err
	}
	return &keyTap{ReadCloser: r}, nil
}

func (t *keyTap) read(into *learn.Scan, _ time.Duration) (bool, error) {
	buf := make([]byte, 64*24)
	n, err := t.ReadCloser.Read(buf)
	if err != nil {
		return false, fmt.Errorf("cannot read the keyboard: %w: %w", devices.ErrGone, err)
	}
	keys := wedge.Keys(buf[:n])
	for _, k := range keys {
		if t.zero == 0 {
			t.zero = k.At
		}
		into.Keys = append(into.Keys, learn.Key{At: k.At - t.zero, Code: k.Code, Down: k.Down})
	}
	return len(keys) > 0, nil
}

// keyLayouts are the layouts that keys may have been typed with.
func keyLayouts() []learn.Layout {
	var list []learn.Layout
	// The usual one first: it wins where several give the same text.
	for _, name := range append([]string{"us"}, wedge.Layouts()...) {
		if name == "us" && len(list) > 0 {
			continue
		}
		list = append(list, learn.Layout{Name: name, Text: func(keys []learn.Key) string {
			mine := make([]wedge.Key, 0, len(keys))
			for _, k := range keys {
				mine = append(mine, wedge.Key(k))
			}
			return wedge.Text(name, mine)
		}})
	}
	return list
}

// hidTap reads the reports of a HID device.
type hidTap struct {
	hid.Handle
	device hid.Device
}

// tapHID opens the HID device that fits. start is the feature report that some
// makers' devices wait for; nil for none.
func tapHID(m devices.Match, start []byte) (*hidTap, error) {
	b, err := hid.NewBackend("")
	if err != nil {
		return nil, err
	}
	list, err := b.List()
	if err != nil {
		return nil, err
	}
	var found []devices.Found
	for _, d := range list {
		if d.Class == devices.ClassHIDPOS || d.Class == devices.ClassOther {
			found = append(found, d.Found)
		}
	}
	one, err := m.Pick(found)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.Found != one {
			continue
		}
		h, err := b.Open(d)
		if err != nil {
			return nil, fmt.Errorf("cannot open the scanner; stop the agent while you learn: %w", err)
		}
		if len(start) > 0 {
			// A device that refuses it may read without.
			_ = h.Feature(start)
		}
		return &hidTap{h, d}, nil
	}
	return nil, devices.ErrAbsent
}

func (t *hidTap) read(into *learn.Scan, _ time.Duration) (bool, error) {
	buf := make([]byte, 4096)
	n, err := t.Handle.Read(buf, pulse)
	if err != nil {
		return false, fmt.Errorf("cannot read the scanner: %w: %w", devices.ErrGone, err)
	}
	if n > 0 {
		into.Reports = append(into.Reports, buf[:n])
	}
	return n > 0, nil
}

// reportLayouts are the ways in which the driver can read the device's
// reports: first as it would by itself, then by name.
func (t *hidTap) reportLayouts(ctx context.Context) []learn.ReportLayout {
	var list []learn.ReportLayout
	for _, name := range []string{"", hid.LayoutUSBIF, hid.LayoutNewland} {
		list = append(list, learn.ReportLayout{Name: name, Text: func(reports [][]byte) (string, string) {
			s, err := hid.New(&playback{reports: reports}, t.device.Descriptor, t.device.Found, hid.Config{Name: "learn", Layout: name, Settle: -1, DoubleRead: -1})
			if err != nil {
				return "", ""
			}
			defer func() { _ = s.Close() }()
			ctx, stop := context.WithTimeout(ctx, time.Second)
			defer stop()
			scan, err := s.Scan(ctx)
			if err != nil {
				return "", ""
			}
			return scan.Text.Reveal(), strings.TrimSpace(scan.Symbology)
		}})
	}
	return list
}

// playback is a handle that gives recorded reports, then its end.
type playback struct{ reports [][]byte }

func (p *playback) Read(b []byte, _ time.Duration) (int, error) {
	if len(p.reports) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.reports[0])
	p.reports = p.reports[1:]
	return n, nil
}

func (p *playback) Write([]byte) error   { return nil }
func (p *playback) Feature([]byte) error { return nil }
func (p *playback) Close() error         { return nil }
