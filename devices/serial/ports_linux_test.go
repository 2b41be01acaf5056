package serial

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"payagent/devices"
)

// tree makes a folder like sysfs.
func tree(t *testing.T, files map[string]string, links map[string]string) (sys, dev string) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range links {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.MkdirAll(filepath.Join(root, to), 0o755), os.Symlink(filepath.Join(root, to), path)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "class/tty"), filepath.Join(root, "dev")
}

func sample(t *testing.T) (sys, dev string) {
	device := func(at, serial string) map[string]string {
		return map[string]string{at + "/idVendor": "1eab", at + "/idProduct": "0d06", at + "/manufacturer": "Newland Auto-ID",
			at + "/product": "USB CDC", at + "/serial": serial}
	}
	files := map[string]string{
		"class/tty/tty1/dev":                       "4:1",
		"class/tty/ttyS0/type":                     "4",
		"class/tty/ttyS1/type":                     "0",
		"pci/1-1/1-1:1.0/x":                        "",
		"dev/ttyACM0":                              "",
		"class/tty/ttyACM0/uevent":                 "",
		"pci/1-1/1-1:1.0/bInterfaceNumber":         "00",
		"pci/1-2/1-2.3/1-2.3:1.0/bInterfaceNumber": "00",
	}
	for _, m := range []map[string]string{device("pci/1-1", "A1"), device("pci/1-2/1-2.3", "")} {
		for k, v := range m {
			files[k] = v
		}
	}
	return tree(t, files, map[string]string{
		"class/tty/ttyS0/device":   "pnp/00:04",
		"class/tty/ttyS1/device":   "platform/serial8250",
		"class/tty/ttyACM0/device": "pci/1-1/1-1:1.0",
		"class/tty/ttyUSB0/device": "pci/1-2/1-2.3/1-2.3:1.0/ttyUSB0",
	})
}

// TestList: ports with a device, with the USB identity, no consoles and no
// numbers without hardware; nothing is opened.
func TestList(t *testing.T) {
	sys, dev := sample(t)
	got, err := list(sys, dev)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	acm, rs232, usb := got[0], got[1], got[2]
	if acm.Port != "1-1:1.0" || acm.ID() != "1eab:0d06" || acm.Serial != "A1" || acm.Maker != "Newland Auto-ID" || acm.Model != "USB CDC" ||
		acm.Node != filepath.Join(dev, "ttyACM0") || acm.Class != devices.ClassSerial || acm.Driver != "serial" || acm.Hint.EN != "" {
		t.Errorf("%+v", acm)
	}
	if rs232.Node != filepath.Join(dev, "ttyS0") || rs232.ID() != "" || rs232.Port != "" {
		t.Errorf("%+v", rs232)
	}
	if usb.Port != "1-2.3:1.0" || usb.Serial != "" {
		t.Errorf("%+v", usb)
	}
	if _, err := list(filepath.Join(sys, "nowhere"), dev); err == nil {
		t.Error("a folder that is not there")
	}
}

// TestFind: by place, by ids, by serial number, never by order.
func TestFind(t *testing.T) {
	sys, dev := sample(t)
	ports := func() ([]devices.Found, error) { return list(sys, dev) }
	for name, c := range map[string]struct {
		m    devices.Match
		node string
		err  error
	}{
		"place":     {devices.Match{Port: "1-2.3"}, "ttyUSB0", nil},
		"interface": {devices.Match{Port: "1-1:1.0"}, "ttyACM0", nil},
		"serial":    {devices.Match{Serial: "A1"}, "ttyACM0", nil},
		"two equal": {devices.Match{Vendor: 0x1eab, Product: 0x0d06}, "", devices.ErrSeveral},
		"absent":    {devices.Match{Port: "9-9"}, "", devices.ErrAbsent},
	} {
		f, err := Config{Match: c.m, List: ports}.find()
		if !errors.Is(err, c.err) || c.err == nil && f.Node != filepath.Join(dev, c.node) {
			t.Errorf("%s: %+v %v", name, f, err)
		}
	}
	// A path is used as it is written; what is behind it is known all the same.
	link := filepath.Join(t.TempDir(), "scanner")
	if err := os.Symlink(filepath.Join(dev, "ttyACM0"), link); err != nil {
		t.Fatal(err)
	}
	if f, err := (Config{Path: link, List: ports}).find(); err != nil || f.Node != link || f.Port != "1-1:1.0" {
		t.Errorf("%+v %v", f, err)
	}
	failing := func() ([]devices.Found, error) { return nil, errors.New("cannot list") }
	if f, err := (Config{Path: "COM3", List: failing}).find(); err != nil || f.Node != "COM3" {
		t.Errorf("%+v %v", f, err)
	}
	if _, err := (Config{Match: devices.Match{Vendor: 1}, List: failing}).find(); err == nil {
		t.Error("no list and no path")
	}
}
