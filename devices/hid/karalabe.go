//go:build cgo && !hidraw_only && (linux || windows || darwin)

package hid

import (
	"fmt"

	"github.com/karalabe/hid"

	"payagent/devices"
)

// karalabeBuilt is the backend on github.com/karalabe/hid.
func karalabeBuilt() []named {
	if !hid.Supported() {
		return nil
	}
	return []named{{BackendKaralabe, newKaralabe}}
}

// openPath opens the device with a path of the library. The ids bound the
// search, because listing opens every device that it looks at.
func openPath(path string, vendor, product uint16) (hid.Device, error) {
	list, err := hid.Enumerate(vendor, product)
	if err != nil {
		return nil, fmt.Errorf("cannot list the HID devices: %w", err)
	}
	for _, info := range list {
		if info.Path != path {
			continue
		}
		dev, err := info.Open()
		if err != nil {
			// The library has one error for all of these.
			return nil, fmt.Errorf("cannot open the HID device %s: either another program has it (stop that one), or the agent's user has no "+
				`permission (on Linux a udev rule on SUBSYSTEM=="usb"), or it was just unplugged: %w`, path, err)
		}
		return dev, nil
	}
	return nil, fmt.Errorf("cannot open the HID device %s: it is not listed, or the service may not see it: %w", path, devices.ErrGone)
}
