package wedge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// List gives the keyboards on USB and Bluetooth. It cannot tell a scanner from
// a keyboard that people type on: that is why a scanner must be named.
func List() ([]devices.Found, error) { return system().list() }

func (p places) list() ([]devices.Found, error) {
	entries, err := os.ReadDir(p.class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without input devices
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list keyboards; look whether %s can be read: %w", p.class, err)
	}
	var out []devices.Found
	for _, e := range entries {
		if f, ok := p.found(filepath.Join(p.dev, e.Name())); ok {
			out = append(out, f)
		}
	}
	return devices.SortFound(out), nil
}

// The buses that a scanner may hang on (include/uapi/linux/input.h).
const (
	busUSB       = 3
	busBluetooth = 5
)

// found describes one node; ok tells whether it is such a keyboard.
func (p places) found(node string) (f devices.Found, ok bool) {
	name := filepath.Base(node)
	if !strings.HasPrefix(name, "event") {
		return f, false
	}
	dir := filepath.Join(p.class, name, "device")
	id := func(attribute string) uint16 {
		v, _ := strconv.ParseUint(usb.Text(dir, "id/"+attribute), 16, 16)
		return uint16(v)
	}
	if bus := id("bustype"); bus != busUSB && bus != busBluetooth || !types(usb.Text(dir, "capabilities/key")) {
		return f, false
	}
	f = usb.Fill(devices.Found{Driver: "wedge", Node: node, Class: devices.ClassKeyboard}, dir)
	if f.ID() == "" { // not on USB
		f.Vendor, f.Product, f.Serial = id("vendor"), id("product"), usb.Text(dir, "uniq")
		f.Port = usb.Text(dir, "phys")
	}
	if f.Model == "" {
		f.Model = usb.Text(dir, "name")
	}
	f.Hint = hint(f.Vendor)
	return f, true
}

// types tells from the bits of its keys whether a device types: it has all
// digits and Enter.
func types(bits string) bool {
	words := strings.Fields(bits)
	if len(words) == 0 {
		return false
	}
	// The last word holds the lowest codes; all that matter lie in it, or on
	// 32-bit machines too.
	low, err := strconv.ParseUint(words[len(words)-1], 16, 64)
	if err != nil {
		return false
	}
	const digits = (1<<10 - 1) << key1
	return low&digits == digits && low&(1<<keyEnter) != 0
}

// hint says what would be better than reading a keyboard.
func hint(vendor uint16) devices.Said {
	if usb.Maker(vendor) {
		return devices.Said{
			ZH: "这把扫码枪处于键盘模式，可以使用；换成 HID POS 或串口模式更可靠，见 payagent devices learn",
			EN: "this scanner types like a keyboard, which works; HID POS or serial mode is safer, see payagent devices learn",
		}
	}
	return devices.Said{
		ZH: "键盘类设备：若是人用的键盘，请勿配置为扫码枪；若是扫码枪，请按端口指定，最好改为 HID POS 或串口模式，见 payagent devices learn",
		EN: "a keyboard: if people type on it, it is no scanner; if it is a scanner, name its port, and better switch it to HID POS or serial mode, see payagent devices learn",
	}
}
