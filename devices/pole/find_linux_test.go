package pole

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"payagent/devices"
)

// TestPorts: USB ports are found by their device, others are not.
func TestPorts(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(from, to string) {
		t.Helper()
		path := filepath.Join(dir, from)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(filepath.Join(dir, to), path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []string{"1-1", "1-2"} {
		put("devices/"+place+"/idVendor", "1a86\n")
		put("devices/"+place+"/idProduct", "7523\n")
		put("devices/"+place+"/product", "USB Serial\n")
		put("devices/"+place+"/"+place+":1.0/bInterfaceNumber", "00\n")
	}
	put("devices/platform/x", "")
	link("tty/ttyUSB0/device", "devices/1-1/1-1:1.0")
	link("tty/ttyUSB1/device", "devices/1-2/1-2:1.0")
	link("tty/ttyS0/device", "devices/platform")
	put("tty/console/dev", "5:1")

	list := ports(filepath.Join(dir, "tty"))
	if len(list) != 2 {
		t.Fatal(list)
	}
	got, err := devices.Match{Port: "1-2"}.Pick(list)
	want := devices.Found{Driver: "pole", Port: "1-2:1.0", Node: "/dev/ttyUSB1", Class: devices.ClassSerial, Vendor: 0x1a86, Product: 0x7523, Model: "USB Serial"}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got := ports(filepath.Join(dir, "none")); got != nil {
		t.Error(got)
	}
	if _, err := find(Config{Name: "pole 3", Match: devices.Match{Port: "no-such-place"}}); !errors.Is(err, devices.ErrAbsent) {
		t.Error(err)
	}
	if _, err := find(Config{Name: "pole 3", Path: filepath.Join(dir, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
