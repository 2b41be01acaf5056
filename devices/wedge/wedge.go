// Package wedge reads scanners that type their codes as a keyboard, through
// Linux's evdev. It takes the scanner away from everybody else, so that no code
// lands in another program's window, and reads keys, not characters: the host's
// layout, its Caps Lock, Num Lock, lights and input method change nothing.
//
// A keyboard is the least good mode of a scanner: it has no check of what is
// lost on the way, and on Windows a service cannot read it at all. HID POS or
// serial mode is better wherever the scanner has one.
package wedge

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"payagent/devices"
	"payagent/devices/internal/framing"
	"payagent/devices/internal/reading"
)

// The ends that a scanner may put behind a code.
const (
	EndEnter = "enter" // Enter, of either block; the default
	EndTab   = "tab"   // Tab
	EndNone  = "none"  // nothing: a code ends with a pause
)

// Config describes one scanner.
type Config struct {
	_    [0]func() // never compared: no code is made for it
	Name string    // the device's name in the configuration
	// Match picks the scanner. It must not be empty: taking a keyboard away
	// that somebody types on would lock him out.
	Match devices.Match
	// Layout is the keyboard layout the scanner is set up for, one of Layouts;
	// empty means us. Digits alone are the same in all but fr.
	Layout string
	End    string // one of the End constants; empty means EndEnter
	// Gap is the pause between two keys that ends a code with EndNone: 0 means
	// learned between 30 and 100 ms. With the other ends it is the pause that
	// gives up an unfinished code, 0 means 1 s. At most 1 s.
	Gap time.Duration
	// Settle is how long after opening codes are dropped; 0 means 300 ms,
	// negative means none.
	Settle time.Duration
	// DoubleRead is the time within which the same text counts once; 0 means
	// 3 s, negative means never.
	DoubleRead time.Duration
	Min, Max   int    // length of a code in bytes: 1 and 512 where 0, 512 is the limit
	Prefix     string // taken off the front where it stands there
	Suffix     string // taken off the back where it stands there
	AIM        bool   // the scanner sends an AIM identifier ("]Q1") in front
}

// Scanner is an open scanner.
type Scanner struct{ *reading.Reader }

var (
	_ devices.Scanner  = Scanner{}
	_ devices.Counting = Scanner{}
	_ devices.Placed   = Scanner{}
)

// Check says what cannot be in a configuration, without opening anything.
func (c Config) Check() error {
	if _, _, err := c.parts(); err != nil {
		return err
	}
	return c.named()
}

// named refuses to take just any keyboard.
func (c Config) named() error {
	if c.Match.Empty() {
		return fmt.Errorf("cannot use scanner %s: it types like a keyboard, so it must be named, lest the keyboard that people type on is taken away; give its port, see payagent devices list", c.Name)
	}
	return nil
}

// parts turns the settings into the decoder's.
func (c Config) parts() (*layout, framing.Config, error) {
	l, ok := layoutOf(c.Layout)
	if !ok {
		return nil, framing.Config{}, fmt.Errorf("cannot use layout %q of scanner %s; write one of %s", c.Layout, c.Name, strings.Join(Layouts(), ", "))
	}
	f := framing.Config{Prefix: c.Prefix, Suffix: c.Suffix, AIM: c.AIM, Min: c.Min, Max: c.Max, Gap: c.Gap}
	switch c.End {
	case EndEnter, "":
		f.End, f.Stale = framing.EndLine, c.Gap
	case EndTab:
		f.End, f.Stale = framing.EndTab, c.Gap
	case EndNone:
		f.End = framing.EndNone
	default:
		return nil, f, fmt.Errorf("cannot use end %q of scanner %s; write enter, tab or none", c.End, c.Name)
	}
	f, err := f.Check()
	if err != nil {
		return nil, f, fmt.Errorf("cannot use scanner %s: %w", c.Name, err)
	}
	return l, f, nil
}

// New reads key events from a handle that is open already and grabbed: Read
// gives whole input_event structures of this machine's kernel, or (0, nil) when
// its time-out, 100 ms, passed. place is the physical device. New owns the
// handle, also when it fails.
func New(handle io.ReadCloser, place devices.Found, cfg Config) (Scanner, error) {
	l, f, err := cfg.parts()
	if err != nil {
		return Scanner{}, errors.Join(err, handle.Close())
	}
	d, err := newDecoder(l, f)
	if err != nil {
		return Scanner{}, errors.Join(err, handle.Close())
	}
	settle := cfg.Settle
	if settle == 0 {
		settle = 300 * time.Millisecond
	}
	r, err := reading.Start(handle, reading.Config{
		Name: cfg.Name, Decoder: d, Place: place, Window: cfg.DoubleRead, Settle: max(settle, 0),
	})
	if err != nil {
		return Scanner{}, err
	}
	return Scanner{r}, nil
}
