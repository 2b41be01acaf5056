// Package usb reads from Linux's sysfs which USB device stands behind a device
// node, and knows who makes scanners. It is pure reading of files, so a test
// gives it a folder of its own.
package usb

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"payagent/devices"
)

// Fill adds the USB identity to a device whose sysfs folder is dir (for
// instance /sys/class/hidraw/hidraw0/device). It walks up to the interface and
// to the device; a device that is not on USB stays as it is.
func Fill(f devices.Found, dir string) devices.Found {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return f
	}
	for ; len(dir) > 1; dir = filepath.Dir(dir) {
		if f.Port == "" && has(dir, "bInterfaceNumber") {
			f.Port = filepath.Base(dir)
		}
		if !has(dir, "idVendor") {
			continue
		}
		f.Vendor, f.Product = hex(dir, "idVendor"), hex(dir, "idProduct")
		f.Maker, f.Model, f.Serial = Text(dir, "manufacturer"), Text(dir, "product"), Text(dir, "serial")
		if f.Port == "" {
			f.Port = filepath.Base(dir)
		}
		return f
	}
	return f
}

func has(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// Text is the trimmed content of one attribute, empty if there is none.
func Text(dir, name string) string {
	b, err := fs.ReadFile(os.DirFS(dir), name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func hex(dir, name string) uint16 {
	v, err := strconv.ParseUint(Text(dir, name), 16, 16)
	if err != nil {
		return 0
	}
	return uint16(v)
}

// The USB vendor ids of makers of scanners (wire.md §7.5).
const (
	Honeywell = 0x0C2E
	Youjie    = 0x23D0
	Datalogic = 0x05F9
	Newland   = 0x1EAB
	Zebra     = 0x05E0
	Sunmi     = 0x324F
)

// Maker tells whether a vendor id is one that only makers of scanners use.
func Maker(vendor uint16) bool {
	switch vendor {
	case Honeywell, Youjie, Datalogic, Newland, Zebra, Sunmi:
		return true
	}
	return false
}
