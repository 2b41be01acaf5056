package hid

import (
	"runtime"
	"slices"

	"payagent/devices"
)

// lacking is the error's text for a backend that is not there.
const lacking = "this build does not contain it (karalabe needs cgo and no tag hidraw_only, hidraw needs Linux); " +
	"choose another backend, use a build that has it, or set the scanner to a USB serial port"

// Lacks says for people what this build cannot do with HID scanners, and what
// its backends cost; empty if there is nothing to say.
func Lacks() []devices.Said {
	return lacks(runtime.GOOS, Backends())
}

func lacks(system string, have []string) []devices.Said {
	var out []devices.Said
	if len(have) == 0 {
		out = append(out, devices.Said{
			ZH: "此版本不能读 HID POS 扫码器：编译时没有 cgo。请改用带 cgo 的版本，或把扫码器设为 USB 虚拟串口。",
			EN: "This build cannot read HID POS scanners: it was made without cgo. Use a build with cgo, or set the scanner to a USB serial port.",
		})
	}
	if system != "linux" {
		return append(out, devices.Said{
			ZH: "此系统把键盘类扫码器留给自己，HID 不能读取；请扫厂家的“HID POS”或“USB 虚拟串口”设置码。",
			EN: "This system keeps keyboard-class scanners for itself, so HID cannot read them; scan the maker's set-up code for HID POS or a USB serial port.",
		})
	}
	if slices.Contains(have, BackendKaralabe) {
		return append(out, devices.Said{
			ZH: "选用 karalabe 后端时，内核驱动会被卸下，扫码器只属于本程序；程序被强制结束后可能要重新插拔。",
			EN: "With the karalabe backend the kernel's driver is detached and the scanner belongs to this program alone; after a kill it may have to be plugged in again.",
		})
	}
	return append(out, devices.Said{
		ZH: "此版本没有 karalabe 后端（没有 cgo 或用了 hidraw_only）；HID 扫码器由 hidraw 读取，不缺功能。",
		EN: "This build has no karalabe backend (no cgo, or the tag hidraw_only); hidraw reads HID scanners in full.",
	})
}

// otherMode is the hint for a scanner that is set to something unreadable.
func otherMode() devices.Said {
	return devices.Said{
		ZH: "这个扫码器没有处于 HID POS 模式；请扫描厂家手册里的“HID POS”或“USB 虚拟串口”设置码。",
		EN: "This scanner is not in HID POS mode. Scan its maker's set-up code for HID POS or for a USB serial port.",
	}
}
