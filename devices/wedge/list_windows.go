package wedge

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"

	"payagent/devices"
)

// keyboards is Windows' class of keyboards (GUID_DEVCLASS_KEYBOARD).
func keyboards() windows.GUID {
	return windows.GUID{Data1: 0x4d36e96b, Data2: 0xe325, Data3: 0x11ce, Data4: [8]byte{0xbf, 0xc1, 0x08, 0x00, 0x2b, 0xe1, 0x03, 0x18}}
}

// List gives the keyboards on USB and Bluetooth. None of them can be read: the
// hint says what to do.
func List() ([]devices.Found, error) {
	class := keyboards()
	set, err := windows.SetupDiGetClassDevsEx(&class, "", 0, windows.DIGCF_PRESENT, 0, "")
	if err != nil {
		return nil, fmt.Errorf("cannot list keyboards; look at the device manager: %w", err)
	}
	defer func() { _ = set.Close() }()
	var out []devices.Found
	for i := 0; ; i++ {
		info, err := set.EnumDeviceInfo(i)
		if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) {
			return devices.SortFound(out), nil
		}
		if err != nil {
			return devices.SortFound(out), fmt.Errorf("cannot list all keyboards; look at the device manager: %w", err)
		}
		ids, err := set.DeviceRegistryProperty(info, windows.SPDRP_HARDWAREID)
		if err != nil {
			continue // unplugged meanwhile
		}
		instance, err := set.DeviceInstanceID(info)
		if err != nil {
			continue
		}
		name := ""
		for _, p := range []windows.SPDRP{windows.SPDRP_FRIENDLYNAME, windows.SPDRP_DEVICEDESC} {
			if v, err := set.DeviceRegistryProperty(info, p); err == nil && name == "" {
				name, _ = v.(string)
			}
		}
		list, _ := ids.([]string)
		if f, ok := unreadable(list, instance, name); ok {
			out = append(out, f)
		}
	}
}
