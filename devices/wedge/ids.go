package wedge

import (
	"strconv"
	"strings"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// unreadable describes a keyboard as Windows' device manager knows it, by its
// hardware ids, the path of its instance (which keeps to the USB port where the
// device has no serial number) and its name. ok is false for keyboards that are
// neither on USB nor on Bluetooth: built-in and remote ones are no scanners.
//
// Hardware ids look like HID\VID_0C2E&PID_1001&MI_00 on USB, and like
// HID\{00001124-0000-1000-8000-00805f9b34fb}_VID&00010c2e_PID&1001 on
// Bluetooth, where four digits before the vendor say whose list it is of.
func unreadable(hardware []string, instance, name string) (f devices.Found, ok bool) {
	for _, id := range hardware {
		vendor, product, ok := pair(id)
		if !ok {
			continue
		}
		f = devices.Found{Port: instance, Node: instance, Class: devices.ClassKeyboard, Vendor: vendor, Product: product, Model: name}
		f.Hint = devices.Said{
			ZH: "Windows 上读不到键盘类设备。若是扫码枪，请扫设置码改为 HID POS 或串口（USB-COM）模式，见 payagent devices learn",
			EN: "a keyboard cannot be read on Windows. If it is a scanner, switch it to HID POS or serial (USB COM) mode with its set-up sheet, see payagent devices learn",
		}
		if usb.Maker(vendor) {
			f.Hint = devices.Said{
				ZH: "这把扫码枪处于键盘模式，Windows 上读不到，扫码会进入当前窗口。请扫设置码改为 HID POS 或串口（USB-COM）模式，见 payagent devices learn",
				EN: "this scanner types like a keyboard: it cannot be read on Windows, and its codes land in whatever window is open. Switch it to HID POS or serial (USB COM) mode with its set-up sheet, see payagent devices learn",
			}
		}
		return f, true
	}
	return devices.Found{}, false
}

// pair takes vendor and product out of a hardware id.
func pair(id string) (vendor, product uint16, ok bool) {
	id = strings.ToUpper(id)
	if !strings.HasPrefix(id, `HID\`) {
		return 0, 0, false
	}
	for _, names := range [...][2]string{{"VID_", "PID_"}, {"VID&", "PID&"}} {
		v, okV := number(id, names[0])
		p, okP := number(id, names[1])
		if okV && okP {
			return v, p, true
		}
	}
	return 0, 0, false
}

// number takes the last four of the hexadecimal digits behind a name.
func number(id, name string) (uint16, bool) {
	_, rest, ok := strings.Cut(id, name)
	if !ok {
		return 0, false
	}
	n := 0
	for n < len(rest) && strings.IndexByte("0123456789ABCDEF", rest[n]) >= 0 {
		n++
	}
	if n != 4 && n != 8 {
		return 0, false
	}
	v, err := strconv.ParseUint(rest[n-4:n], 16, 16)
	return uint16(v), err == nil
}
