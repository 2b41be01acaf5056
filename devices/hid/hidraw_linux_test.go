package hid

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"payagent/devices"
	"payagent/devices/devicetest"
)

// tree is a /sys of a test.
type tree struct {
	t   testing.TB
	sys string
	dev string
}

func newTree(t testing.TB) tree {
	r := tree{t, t.TempDir(), t.TempDir()}
	r.put("bus/usb/drivers/usbhid/bind", "")
	if err := os.MkdirAll(filepath.Join(r.sys, "class/hidraw"), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r tree) put(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.sys, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

func (r tree) link(to, name string) {
	r.t.Helper()
	path := filepath.Join(r.sys, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(filepath.Join(r.sys, to), path)); err != nil {
		r.t.Fatal(err)
	}
}

// usb adds one interface of a USB device. Without a driver it has no HID device
// and no node.
func (r tree) usb(port, vendor, product, driver string, desc []byte, node string) {
	r.t.Helper()
	place, _, _ := strings.Cut(port, ":")
	device := "devices/pci0/usb1/" + place
	r.put(device+"/idVendor", vendor+"\n")
	r.put(device+"/idProduct", product+"\n")
	r.put(device+"/manufacturer", "Maker\n")
	r.put(device+"/product", "Scanner\n")
	r.put(device+"/serial", "S"+place+"\n")
	r.put(device+"/busnum", "1\n")
	r.put(device+"/devnum", fmt.Sprintln(len(place)))
	inter := device + "/" + port
	r.put(inter+"/bInterfaceClass", "03\n")
	r.put(inter+"/bInterfaceNumber", "00\n")
	r.put(inter+"/ep_81/wMaxPacketSize", "0040\n")
	r.link(inter, "bus/usb/devices/"+port)
	if driver == "" {
		return
	}
	r.link("bus/usb/drivers/"+driver, inter+"/driver")
	if driver != "usbhid" {
		return
	}
	hid := inter + "/0003:" + vendor + ":" + product + ".0001"
	r.put(hid+"/report_descriptor", string(desc))
	r.put(hid+"/hidraw/"+node+"/dev", "")
	r.link(hid, hid+"/hidraw/"+node+"/device")
	r.link(hid+"/hidraw/"+node, "class/hidraw/"+node)
}

func (r tree) system() system { return system{r.sys, r.dev} }

// pair is a device node made of a socket that keeps packets apart: what the
// kernel's node does, less the feature reports.
func pair(t testing.TB) (ours *os.File, open func(string) (int, error)) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "device"), func(string) (int, error) { return fds[1], nil }
}

// TestSuiteHidraw runs the suite from the listing to the file descriptor.
func TestSuiteHidraw(t *testing.T) {
	r := newTree(t)
	r.usb("1-1:1.0", "0c2e", "9a6c", "usbhid", descOf(t, "honeywell"), "hidraw3")
	devicetest.TestScanner(t, devicetest.ScannerMember{Cycles: 2000, Open: func() (devices.Scanner, devicetest.Wire, error) {
		ours, open := pair(t)
		s, err := OpenWith(hidraw{r.system(), open}, suiteConfig())
		var once sync.Once
		return s, &wire{l: usbIF,
			send:   func(p []byte) error { _, err := ours.Write(p); return err },
			unplug: func() (err error) { once.Do(func() { err = ours.Close() }); return err },
		}, err
	}})
}

func TestHidrawList(t *testing.T) {
	r := newTree(t)
	r.usb("1-1:1.0", "0c2e", "9a6c", "usbhid", descOf(t, "honeywell"), "hidraw0")
	r.usb("1-2:1.0", "0c2e", "1001", "usbhid", descOf(t, "keyboard"), "hidraw1")
	r.usb("1-3:1.0", "05e0", "1300", "usbhid", descOf(t, "ibm"), "hidraw2")
	r.usb("1-4:1.0", "1eab", "0d10", "", nil, "")
	r.usb("1-5:1.0", "1eab", "0d10", "usbfs", nil, "")
	r.usb("1-6:1.0", "1234", "0001", "usbhid", []byte{0x06}, "hidraw4")
	// A Bluetooth scanner, which is not on USB.
	r.put("devices/virtual/misc/uhid/0005:0C2E:0B6A.0007/report_descriptor", string(descOf(t, "honeywell")))
	r.put("devices/virtual/misc/uhid/0005:0C2E:0B6A.0007/uevent", "HID_ID=0005:00000C2E:00000B6A\nHID_NAME=Pocket\nHID_PHYS=aa:bb\nHID_UNIQ=cc:dd\n")
	r.put("class/hidraw/hidraw7/uevent", "")
	r.link("devices/virtual/misc/uhid/0005:0C2E:0B6A.0007", "class/hidraw/hidraw7/device")
	list, err := hidraw{system: r.system()}.List()
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Device{}
	for _, d := range list {
		by[d.Port] = d
	}
	if len(list) != 7 || len(by) != 7 {
		t.Fatalf("%d devices: %+v", len(list), list)
	}
	pos := by["1-1:1.0"]
	want := devices.Found{Driver: "hid", Port: "1-1:1.0", Node: filepath.Join(r.dev, "hidraw0"), Class: devices.ClassHIDPOS,
		Vendor: 0x0C2E, Product: 0x9A6C, Maker: "Maker", Model: "Scanner", Serial: "S1-1"}
	if pos.Found != want || !bytes.Equal(pos.Descriptor, descOf(t, "honeywell")) {
		t.Errorf("%+v", pos.Found)
	}
	if d := by["1-2:1.0"]; d.Class != devices.ClassKeyboard || d.Driver != "" {
		t.Errorf("%+v", d.Found)
	}
	if d := by["1-3:1.0"]; d.Class != devices.ClassOther || !strings.Contains(d.Hint.EN, "HID POS mode") || d.Driver != "" {
		t.Errorf("%+v", d.Found)
	}
	if d := by["1-4:1.0"]; d.Node != "" || !strings.Contains(d.Hint.EN, "Plug it in again") {
		t.Errorf("%+v", d.Found)
	}
	if d := by["1-5:1.0"]; !strings.Contains(d.Hint.EN, "Another program") {
		t.Errorf("%+v", d.Found)
	}
	if d := by["1-6:1.0"]; d.Class != devices.ClassOther || d.Hint != (devices.Said{}) {
		t.Errorf("%+v", d.Found)
	}
	if d := by["aa:bb"]; d.Class != devices.ClassHIDPOS || d.Vendor != 0x0C2E || d.Product != 0x0B6A || d.Model != "Pocket" || d.Serial != "cc:dd" {
		t.Errorf("%+v", d.Found)
	}
	if err := os.Remove(filepath.Join(r.sys, "class/hidraw/hidraw0")); err != nil {
		t.Fatal(err)
	}
	if list, err = (hidraw{system: r.system()}).List(); err != nil || len(list) != 7 {
		t.Fatal(list, err)
	}
	for _, d := range list {
		if d.Port == "1-1:1.0" && (d.Node != "" || !strings.Contains(d.Hint.EN, "no hidraw node")) {
			t.Errorf("%+v", d.Found)
		}
	}
	if list, err := (hidraw{system: system{t.TempDir(), "/dev"}}).List(); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

// TestAdopt: only what lost its driver is given back, and only what is asked
// for, or what known makers made.
func TestAdopt(t *testing.T) {
	for name, w := range map[string]struct {
		match devices.Match
		bound string
	}{
		"anything":                            {devices.Match{}, "1-4:1.0"},
		"a node":                              {devices.Match{Node: "/dev/hidraw9"}, "1-4:1.0"},
		"another maker":                       {devices.Match{Vendor: 0x1234}, "1-6:1.0"},
		"a port":                              {devices.Match{Port: "1-4", Node: "/dev/hidraw9"}, "1-4:1.0"},
		"one in use":                          {devices.Match{Port: "1-1"}, ""},
		"one that is held by another program": {devices.Match{Port: "1-5"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTree(t)
			r.usb("1-1:1.0", "0c2e", "9a6c", "usbhid", descOf(t, "honeywell"), "hidraw0")
			r.usb("1-4:1.0", "1eab", "0d10", "", nil, "")
			r.usb("1-5:1.0", "1eab", "0d10", "usbfs", nil, "")
			r.usb("1-6:1.0", "1234", "0001", "", nil, "")
			_, _ = OpenWith(hidraw{r.system(), func(string) (int, error) { return -1, unix.ENOENT }}, Config{Match: w.match})
			got, err := os.ReadFile(filepath.Join(r.sys, "bus/usb/drivers/usbhid/bind"))
			if err != nil || string(got) != w.bound {
				t.Errorf("%q was bound: %v", got, err)
			}
		})
	}
}

// TestHidrawOpen: what can stand against opening, and what is said then.
func TestHidrawOpen(t *testing.T) {
	d := Device{Found: devices.Found{Node: "/dev/hidraw0", Port: "1-1:1.0"}}
	for name, w := range map[string]struct {
		err  error
		is   error
		says string
	}{
		"no permission": {unix.EACCES, unix.EACCES, "udev rule"},
		"not there":     {unix.ENOENT, devices.ErrGone, ""},
		"just gone":     {unix.ENODEV, devices.ErrGone, ""},
		"anything":      {unix.EMFILE, unix.EMFILE, "check the cable"},
	} {
		h, err := hidraw{open: func(string) (int, error) { return -1, w.err }}.Open(d)
		if h != nil || !errors.Is(err, w.is) || !strings.HasPrefix(err.Error(), "cannot open /dev/hidraw0") || !strings.Contains(err.Error(), w.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (hidraw{}).Open(Device{Found: devices.Found{Port: "1-1:1.0"}}); !errors.Is(err, devices.ErrGone) {
		t.Error(err)
	}
	if _, err := newHidraw().Open(Device{Found: devices.Found{Node: filepath.Join(t.TempDir(), "hidraw0")}}); !errors.Is(err, devices.ErrGone) {
		t.Error(err)
	}
}

// TestHidrawLock: two agents cannot read one scanner.
func TestHidrawLock(t *testing.T) {
	node := filepath.Join(t.TempDir(), "hidraw0")
	if err := unix.Mkfifo(node, 0o600); err != nil {
		t.Fatal(err)
	}
	d := Device{Found: devices.Found{Node: node}}
	one, err := newHidraw().Open(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newHidraw().Open(d); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Error(err)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	two, err := newHidraw().Open(d)
	if err != nil {
		t.Fatal(err)
	}
	_ = two.Close()
}

// TestHidrawHandle: time-outs, empty reports, what goes out, the end.
func TestHidrawHandle(t *testing.T) {
	ours, open := pair(t)
	h, err := hidraw{open: open}.Open(Device{Found: devices.Found{Node: "/dev/hidraw0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	buf := make([]byte, 64)
	if n, err := h.Read(buf, time.Millisecond); n != 0 || err != nil {
		t.Error("a time-out gave", n, err)
	}
	if err := h.Write(trigger); err != nil {
		t.Error(err)
	}
	if n, err := ours.Read(buf); err != nil || !bytes.Equal(buf[:n], trigger) {
		t.Error(n, err)
	}
	// A socket has no feature reports: the refusal must be told.
	if err := h.Feature([]byte{0xFE, 1}); err == nil || !strings.Contains(err.Error(), "feature report fe") {
		t.Error(err)
	}
	raw, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), nil, 0, nil) })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.Read(buf, guard); n != 0 || err != nil {
		t.Error("an empty report gave", n, err)
	}
	if _, err := ours.Write([]byte{2, 1, '7'}); err != nil {
		t.Error(err)
	}
	if n, err := h.Read(buf, guard); n != 3 || err != nil {
		t.Error(n, err)
	}
	_ = ours.Close()
	if _, err := h.Read(buf, guard); err == nil {
		t.Error("the end gave", err)
	}
}

// TestDenied: the hint names the node and the rule, and only for permissions.
func TestDenied(t *testing.T) {
	got := denied(unix.EACCES, "/dev/hidraw0", `SUBSYSTEM=="hidraw"`)
	if !strings.Contains(got.EN, "/dev/hidraw0") || !strings.Contains(got.EN, "hidraw\"") || !strings.Contains(got.ZH, "/dev/hidraw0") {
		t.Error(got)
	}
	if denied(nil, "n", "r") != (devices.Said{}) || denied(unix.ENOENT, "n", "r") != (devices.Said{}) {
		t.Error("a hint without a reason")
	}
}
