package hid

import (
	"testing"
	"time"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/internal/usb"
)

// suiteConfig keeps the suite independent of the machine's speed: a code of
// several reports may take any time.
func suiteConfig() Config { return Config{Name: devicetest.Name, Settle: -1, Pause: -1} }

// TestSuite runs the suite for each layout and for the ways in which it becomes
// known.
func TestSuite(t *testing.T) {
	for name, v := range map[string]struct {
		l      layout
		desc   []byte
		vendor uint16
	}{
		"usb-if/descriptor":  {usbIF, descOf(t, "honeywell"), 0},
		"usb-if/guessed":     {usbIF, nil, usb.Honeywell},
		"newland/descriptor": {newland, descOf(t, "newland"), usb.Newland},
		"newland/vendor":     {newland, nil, usb.Newland},
	} {
		t.Run(name, func(t *testing.T) {
			cycles := 500
			if v.desc != nil {
				cycles = 10_000
			}
			devicetest.TestScanner(t, devicetest.ScannerMember{Cycles: cycles, Open: func() (devices.Scanner, devicetest.Wire, error) {
				h := newHandle()
				s, err := New(h, v.desc, devices.Found{Vendor: v.vendor}, suiteConfig())
				return s, &wire{l: v.l, send: h.send, unplug: h.unplug}, err
			}})
		})
	}
}

// guard only ends a test that hangs.
const guard = 5 * time.Minute

func scan(t *testing.T, s *Scanner) devices.Scan {
	t.Helper()
	got, err := s.Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}
