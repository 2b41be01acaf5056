//go:build cgo && !hidraw_only && (windows || darwin)

package hid

import (
	"fmt"
	"strings"

	"github.com/karalabe/hid"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// native is the backend on karalabe/hid as it is on Windows and macOS, where
// the system's own HID stands behind it. There is no report descriptor.
type native struct{}

func newKaralabe() Backend { return native{} }

// List implements Backend.
func (native) List() ([]Device, error) {
	infos, err := hid.Enumerate(0, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot list the HID devices: %w", err)
	}
	var list []Device
	for _, i := range infos {
		f := devices.Found{
			Driver: "hid", Port: instance(i.Path), Node: i.Path, Class: devices.ClassOther,
			Vendor: i.VendorID, Product: i.ProductID, Maker: i.Manufacturer, Model: i.Product, Serial: i.Serial,
		}
		switch uint32(i.UsagePage)<<16 | uint32(i.Usage) {
		case usageScanner:
			f.Class = devices.ClassHIDPOS
		case usageKeyboard, usageKeypad:
			f.Class, f.Driver = devices.ClassKeyboard, ""
		default:
			f.Driver = ""
			if usb.Maker(f.Vendor) {
				f.Hint = otherMode()
			}
		}
		list = append(list, Device{Found: f})
	}
	return list, nil
}

// instance is the part of a Windows device path that stays the same at the same
// USB port: \\?\hid#vid_0c2e&pid_9a6c#8&2d5e&0&0000#{…} gives 8&2d5e&0&0000.
// Other paths are their own place.
func instance(path string) string {
	if parts := strings.Split(path, "#"); len(parts) >= 3 {
		return parts[2]
	}
	return path
}

// Open implements Backend.
func (native) Open(d Device) (Handle, error) {
	dev, err := openPath(d.Node, d.Vendor, d.Product)
	if err != nil {
		return nil, err
	}
	return newAPIHandle(outputs(dev, d.Node), nil, 0), nil
}
