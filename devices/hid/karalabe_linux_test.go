//go:build cgo && !hidraw_only

package hid

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"payagent/devices"
)

// TestKaralabeList: from sysfs, so that neither permission nor an open device
// is needed.
func TestKaralabeList(t *testing.T) {
	r := newTree(t)
	r.usb("1-1:1.0", "0c2e", "9a6c", "usbhid", descOf(t, "honeywell"), "hidraw0")
	r.usb("1-2:1.1", "0c2e", "1001", "usbhid", descOf(t, "keyboard"), "hidraw1")
	r.usb("1-4:1.0", "1eab", "0d10", "", nil, "")
	r.usb("1-5:1.0", "1eab", "0d10", "usbfs", nil, "")
	r.put("bus/usb/devices/1-8:1.0/bInterfaceClass", "0a\n")
	b := libusb{r.system()}
	list, err := b.List()
	if err != nil || len(list) != 4 {
		t.Fatal(list, err)
	}
	if d := list[0]; d.Class != devices.ClassHIDPOS || d.Port != "1-1:1.0" || !strings.HasSuffix(d.Node, "/bus/usb/001/003") || len(d.Descriptor) != 130 || d.Hint.EN != "" {
		t.Errorf("%+v", d.Found)
	}
	if d := list[1]; d.Class != devices.ClassKeyboard || d.Driver != "" {
		t.Errorf("%+v", d.Found)
	}
	if !strings.Contains(list[2].Hint.EN, "killed") || !strings.Contains(list[3].Hint.EN, "Another program") {
		t.Errorf("%v %v", list[2].Hint, list[3].Hint)
	}
	if n := b.packet("1-1:1.0"); n != 64 {
		t.Errorf("packets of %d bytes", n)
	}
	if n := b.packet("1-9:1.0"); n != 0 {
		t.Errorf("packets of %d bytes where there is nothing", n)
	}
	b.wake("1-1:1.0") // its node is not there: no harm
	r.put("bus/usb/devices/1-1/devnum", "7\n")
	gone := b.pulled("1-1:1.0")
	if gone() {
		t.Error("gone while it is there")
	}
	r.put("bus/usb/devices/1-1/devnum", "8\n")
	if !gone() {
		t.Error("another plug is taken for the same")
	}
	if b.pulled("9-9:1.0") != nil {
		t.Error("somebody can tell of a place that is not there")
	}
}

// TestKaralabeAbsent: the real library, asked for what is not there.
func TestKaralabeAbsent(t *testing.T) {
	if !slices.Contains(Backends(), BackendKaralabe) {
		t.Error("this build should have it")
	}
	b, err := NewBackend(BackendKaralabe)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(Device{Found: devices.Found{Port: "99-9:1.0", Vendor: 0xFFF1, Product: 0xFFF1}}); !errors.Is(err, devices.ErrGone) {
		t.Error(err)
	}
}
