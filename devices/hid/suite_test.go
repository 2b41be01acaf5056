package hid

import (
	"testing"
	"time"

	"payagent/devices"
	"payagent/devices/devicetest"
)

// suiteConfig keeps the suite independent of the machine's speed: a code of
// several reports may take any time.
func suiteConfig() Config { return Config{Name: devicetest.Name, Settle: -1, Pause: -1} }

// variants are the ways in which the layout may become known.
func variants(t testing.TB) map[string]struct {
	l      layout
	desc   []byte
	vendor uint16
	name   string
} {
	return map[string]struct {
		l      layout
		desc   []byte
		vendor uint16
		name   string
	}{
		"usb-if/descriptor":  {usbIF, descOf(t, "honeywell"), 0, ""},
		"usb-if/named":       {usbIF, nil, 0, LayoutUSBIF},
		"usb-if/guessed":     {usbIF, nil, vendorHoneywell, ""},
		"newland/descriptor": {newland, descOf(t, "newland"), vendorNewland, ""},
		"newland/vendor":     {newland, nil, vendorNewland, ""},
		"newland/guessed":    {newland, nil, 0, ""},
	}
}

func TestSuite(t *testing.T) {
	for name, v := range variants(t) {
		t.Run(name, func(t *testing.T) {
			cycles := 500
			if v.desc != nil {
				cycles = 10_000
			}
			devicetest.TestScanner(t, devicetest.ScannerMember{Cycles: cycles, Open: func() (devices.Scanner, devicetest.Wire, error) {
				h := newHandle()
				cfg := suiteConfig()
				cfg.Layout = v.name
				s, err := New(h, v.desc, devices.Found{Vendor: v.vendor}, cfg)
				return s, &wire{l: v.l, send: h.send, unplug: h.unplug}, err
			}})
		})
	}
}

// guard only ends a test that hangs.
const guard = 30 * time.Second

func scan(t *testing.T, s *Scanner) devices.Scan {
	t.Helper()
	got, err := s.Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}
