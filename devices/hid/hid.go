package hid

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// The backends by name.
const (
	BackendHidraw   = "hidraw"
	BackendKaralabe = "karalabe"
)

// Config describes one scanner.
type Config struct {
	Name  string // the device's name in the configuration
	Match devices.Match
	// Backend is "hidraw" or "karalabe"; empty means the first of Backends.
	Backend string
	// Layout is empty (from the descriptor, else the maker, else each report is
	// looked at), LayoutUSBIF or LayoutNewland.
	Layout string
	// StartFeature is sent as a feature report after opening, its first byte is
	// the report id: FE 01 for Honeywell and Youjie, which are silent without.
	StartFeature []byte
	// Start are output reports sent after it, their first byte is the report id.
	Start [][]byte
	// Actions are output reports by name, such as "trigger".
	Actions map[string][]byte
	// Settle is how long after opening codes are dropped; 0 means 300 ms,
	// negative means none.
	Settle time.Duration
	// DoubleRead is the time within which the same text counts once; 0 means
	// 3 s, negative means never.
	DoubleRead time.Duration
	// Charset is empty (UTF-8 if it is that, else GBK, else Latin-1) or one of
	// the Charset constants.
	Charset string
	Min     int // shortest code in bytes, default 1
	Max     int // longest code in bytes, default and limit 512
	// Pause is how long the next report of a code of several may take before
	// the code is given up; 0 means 500 ms, negative means any time.
	Pause time.Duration
}

// Check fills in the defaults and says what cannot be.
func (c Config) Check() (Config, error) {
	bad := func(format string, args ...any) (Config, error) {
		return c, fmt.Errorf("cannot use scanner %s: %w", c.Name, fmt.Errorf(format, args...))
	}
	if c.Max == 0 {
		c.Max = longest
	}
	if c.Min == 0 {
		c.Min = 1
	}
	if c.Settle == 0 {
		c.Settle = 300 * time.Millisecond
	}
	if c.Pause == 0 {
		c.Pause = 500 * time.Millisecond
	}
	switch {
	case !slices.Contains([]string{"", BackendHidraw, BackendKaralabe}, c.Backend):
		return bad("there is no HID backend %q; write %s or %s", c.Backend, BackendHidraw, BackendKaralabe)
	case !slices.Contains([]string{"", LayoutUSBIF, LayoutNewland}, c.Layout):
		return bad("there is no layout %q; write %s or %s, or leave it out", c.Layout, LayoutUSBIF, LayoutNewland)
	case !slices.Contains([]string{"", CharsetUTF8, CharsetGBK, CharsetLatin1}, c.Charset):
		return bad("there is no character set %q; write %s, %s or %s, or leave it out", c.Charset, CharsetUTF8, CharsetGBK, CharsetLatin1)
	case c.Max < 1 || c.Max > longest:
		return bad("its longest code is %d bytes; write 1 to %d", c.Max, longest)
	case c.Min < 1 || c.Min > c.Max:
		return bad("its shortest code is %d bytes; write 1 to %d", c.Min, c.Max)
	case len(c.StartFeature) > maxReport:
		return bad("its start-up feature report has %d bytes; a report has at most %d", len(c.StartFeature), maxReport)
	}
	for _, p := range c.Start {
		if len(p) == 0 || len(p) > maxReport {
			return bad("a start-up report has %d bytes; write 1 to %d, the first is the report id", len(p), maxReport)
		}
	}
	for name, p := range c.Actions {
		if len(p) == 0 || len(p) > maxReport {
			return bad("the report of action %q has %d bytes; write 1 to %d, the first is the report id", name, len(p), maxReport)
		}
	}
	return c, nil
}

// maxReport is the longest report that is sent.
const maxReport = 1024

// Device is what a backend lists.
type Device struct {
	devices.Found
	// Descriptor is the report descriptor, nil where the system does not give it.
	Descriptor []byte
}

// Backend is one way to HID devices. Both calls may come from any goroutine.
type Backend interface {
	// List gives the HID devices that are there. Class tells scanners from
	// others; Hint says what stands against opening one.
	List() ([]Device, error)
	// Open opens one of them for this program alone.
	Open(d Device) (Handle, error)
}

// Handle is an open device. One goroutine makes all calls.
type Handle interface {
	// Read waits for one whole input report at most timeout; (0, nil) means
	// that it passed. Any error means that the device is gone, which the reading
	// loop adds to it. Input reports begin with their id where the device
	// numbers them.
	Read(p []byte, timeout time.Duration) (int, error)
	// Write sends an output report, Feature a feature report. The first byte is
	// the id, or 0 where the device does not number its reports.
	Write(p []byte) error
	Feature(p []byte) error
	Close() error
}

// Backends names the backends that this build has, the default first.
func Backends() []string {
	var names []string
	for _, b := range built() {
		names = append(names, b.name)
	}
	return names
}

// named is a backend of this build.
type named struct {
	name string
	make func() Backend
}

// NewBackend gives a backend by name; empty means the default.
func NewBackend(name string) (Backend, error) {
	for _, b := range built() {
		if name == "" || b.name == name {
			return b.make(), nil
		}
	}
	if name == "" {
		name = "any"
	}
	return nil, fmt.Errorf("cannot use HID backend %s: %w", name, ErrNotBuilt)
}

// ErrNotBuilt is wrapped where this build cannot read HID scanners as asked.
var ErrNotBuilt = errors.New(lacking)

// List gives the HID devices that a backend sees, except keyboards; empty means
// the default backend.
func List(backend string) ([]devices.Found, error) {
	b, err := NewBackend(backend)
	if err != nil {
		return nil, err
	}
	list, err := b.List()
	var found []devices.Found
	for _, d := range list {
		if d.Class == devices.ClassHIDPOS || d.Class == devices.ClassOther && usb.Maker(d.Vendor) {
			found = append(found, d.Found)
		}
	}
	return found, err
}

// Open opens the one scanner that fits, for this program alone.
func Open(cfg Config) (*Scanner, error) {
	if _, err := cfg.Check(); err != nil {
		return nil, err
	}
	b, err := NewBackend(cfg.Backend)
	if err != nil {
		return nil, fmt.Errorf("cannot open scanner %s: %w", cfg.Name, err)
	}
	return OpenWith(b, cfg)
}

// OpenWith is Open on a backend that the caller made.
func OpenWith(b Backend, cfg Config) (*Scanner, error) {
	if a, ok := b.(adopter); ok {
		a.adopt(cfg.Match)
	}
	d, err := pick(b, cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot open scanner %s: %w", cfg.Name, err)
	}
	h, err := b.Open(d)
	if err != nil {
		return nil, fmt.Errorf("cannot open scanner %s: %w", cfg.Name, err)
	}
	return New(h, d.Descriptor, d.Found, cfg)
}

// unfit says why a device that is there is none to use; for callers that is as
// if it were absent.
type unfit string

func (u unfit) Error() string { return string(u) }

func (u unfit) Unwrap() error { return devices.ErrAbsent }

// adopter is a backend that can repair what a killed holder left behind.
type adopter interface{ adopt(m devices.Match) }

// pick finds the device.
func pick(b Backend, cfg Config) (Device, error) {
	list, err := b.List()
	if err != nil {
		return Device{}, err
	}
	var scanners, others []devices.Found
	for _, d := range list {
		if d.Class == devices.ClassHIDPOS {
			scanners = append(scanners, d.Found)
		} else if cfg.Match.Fits(d.Found) && (!cfg.Match.Empty() || usb.Maker(d.Vendor) && d.Class != devices.ClassKeyboard) {
			others = append(others, d.Found)
		}
	}
	found, err := cfg.Match.Pick(scanners)
	if errors.Is(err, devices.ErrAbsent) && len(others) > 0 {
		// One that the system shows no class of, but that was named exactly.
		if o := others[0]; len(others) == 1 && o.Class == devices.ClassOther && cfg.Layout != "" && cfg.Match.Vendor != 0 {
			found, err = o, nil
		} else {
			text := "It is there, but not as a HID POS scanner (" + o.Class + "). Scan its maker's set-up code for HID POS."
			if o.Hint.EN != "" {
				text = o.Hint.EN
			}
			return Device{}, unfit(fmt.Sprintf("the device at %s cannot be used: %s", o.Port, text))
		}
	}
	if err != nil {
		return Device{}, err
	}
	for _, d := range list {
		if d.Found == found {
			return d, nil
		}
	}
	return Device{}, devices.ErrAbsent
}

var (
	_ devices.Scanner  = (*Scanner)(nil)
	_ devices.Counting = (*Scanner)(nil)
	_ devices.Placed   = (*Scanner)(nil)
	_ devices.Acting   = (*Scanner)(nil)
)

// Actions implements devices.Acting.
func (s *Scanner) Actions() []string {
	names := make([]string, 0, len(s.actions))
	for name := range s.actions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Do implements devices.Acting. It waits for the device to take the report,
// about 100 ms at most on a device that works.
func (s *Scanner) Do(ctx context.Context, action string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, ok := s.actions[action]
	if !ok {
		return fmt.Errorf("cannot do %q with scanner %s: %w", action, s.name, devices.ErrNoAction)
	}
	if err := s.owner.do(ctx, p); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("cannot do %q with scanner %s: %w", action, s.name, err)
	}
	return nil
}
