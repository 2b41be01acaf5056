package devices

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// The classes of devices as the operating system presents them.
const (
	ClassHIDPOS   = "hid-pos"  // HID point of sale: usage page 0x8C, usage 0x02
	ClassKeyboard = "keyboard" // types its codes
	ClassSerial   = "serial"   // RS-232, USB CDC-ACM, USB adapters
	ClassOther    = "other"
)

// Said is one text for people, in both languages.
type Said struct{ ZH, EN string }

// Found is one device that is there, whether or not it is configured.
type Found struct {
	Driver string // the member that reads it, or empty where none can
	// Port is the place it is plugged in, which a re-plug and a restart keep:
	// the kernel's name of the USB interface, such as "1-1.2:1.0". Two equal
	// devices differ in nothing else (DEV-06). Empty where there is none.
	Port   string
	Node   string // what is opened: /dev/hidraw0, /dev/ttyACM0, COM3
	Class  string // one of the Class constants
	Vendor uint16 // USB vendor id, 0 if unknown
	// Product is the USB product id.
	Product uint16
	Maker   string
	Model   string
	Serial  string
	// Hint says why it cannot be read, or what would be better. Empty if all
	// is well.
	Hint Said
}

// ID is the USB pair as lsusb writes it, such as 0c2e:1001; empty if unknown.
func (f Found) ID() string {
	if f.Vendor == 0 && f.Product == 0 {
		return ""
	}
	return fmt.Sprintf("%04x:%04x", f.Vendor, f.Product)
}

// Match picks one device among those that are there. Empty fields match any.
type Match struct {
	// Port is the USB place, with or without the interface: "1-1.2" is any
	// interface of the device there.
	Port    string
	Vendor  uint16
	Product uint16
	Serial  string
	Node    string
}

// Empty tells that nothing was asked for.
func (m Match) Empty() bool { return m == Match{} }

// Fits tells whether a device is the one asked for.
func (m Match) Fits(f Found) bool {
	place, _, _ := strings.Cut(f.Port, ":")
	return (m.Port == "" || m.Port == f.Port || m.Port == place) &&
		(m.Vendor == 0 || m.Vendor == f.Vendor) && (m.Product == 0 || m.Product == f.Product) &&
		(m.Serial == "" || m.Serial == f.Serial) && (m.Node == "" || m.Node == f.Node)
}

// String says what is asked for, for error messages.
func (m Match) String() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("port", m.Port)
	switch {
	case m.Product != 0:
		add("id", fmt.Sprintf("%04x:%04x", m.Vendor, m.Product))
	case m.Vendor != 0:
		add("id", fmt.Sprintf("%04x", m.Vendor))
	}
	add("serial", m.Serial)
	add("node", m.Node)
	if parts == nil {
		return "any device"
	}
	return strings.Join(parts, ", ")
}

// ErrAbsent is wrapped when no device fits.
var ErrAbsent = errors.New("no such device is plugged in; check its cable, and see payagent devices list")

// ErrSeveral is wrapped when more than one fits.
var ErrSeveral = errors.New("several devices fit; name the port of the right one, see payagent devices list")

// ErrSwapped is wrapped in a Presence of a device that is there, but at the
// place of another one, and the other at its.
var ErrSwapped = errors.New("the scanner has changed places; check that each stands at its till")

// Pick gives the one device that fits, or says why there is none.
func (m Match) Pick(list []Found) (Found, error) {
	var fit []Found
	for _, f := range list {
		if m.Fits(f) {
			fit = append(fit, f)
		}
	}
	switch len(fit) {
	case 0:
		return Found{}, fmt.Errorf("cannot find %v: %w", m, ErrAbsent)
	case 1:
		return fit[0], nil
	}
	SortFound(fit)
	var at []string
	for _, f := range fit {
		at = append(at, strings.TrimSpace(f.Port+" "+f.Node))
	}
	return Found{}, fmt.Errorf("cannot choose for %v among %s: %w", m, strings.Join(at, "; "), ErrSeveral)
}

// SortFound puts devices into the order of their places, port, then node, and
// gives the list back.
func SortFound(list []Found) []Found {
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		return a.Port < b.Port || a.Port == b.Port && a.Node < b.Node
	})
	return list
}
