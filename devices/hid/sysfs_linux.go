package hid

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// system is where the kernel shows devices; tests have folders of their own.
type system struct{ sys, dev string }

func realSystem() system { return system{"/sys", "/dev"} }

// hidraws lists the hidraw nodes.
func (s system) hidraws() ([]Device, error) {
	dirs, err := filepath.Glob(filepath.Join(s.sys, "class/hidraw/*"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the HID devices: %w", err)
	}
	var list []Device
	for _, dir := range dirs {
		hid := filepath.Join(dir, "device")
		d := Device{Found: devices.Found{Driver: "hid", Node: filepath.Join(s.dev, filepath.Base(dir)), Class: devices.ClassOther}}
		d.Found = s.bus(usb.Fill(d.Found, hid), hid)
		s.describe(&d, hid)
		if d.Class == devices.ClassHIDPOS {
			d.Hint = s.access(d.Node, `SUBSYSTEM=="hidraw"`)
		}
		list = append(list, d)
	}
	return list, nil
}

// describe reads the report descriptor in the sysfs folder of a HID device.
func (s system) describe(d *Device, hid string) {
	b, err := os.ReadFile(filepath.Join(hid, "report_descriptor"))
	if err != nil {
		return
	}
	d.Descriptor = b
	if parsed, err := parseDescriptor(b); err == nil {
		d.Class = parsed.class()
	}
	if d.Class != devices.ClassHIDPOS {
		d.Driver = ""
	}
	if d.Class == devices.ClassOther && usb.Maker(d.Vendor) {
		d.Hint = otherMode()
	}
}

// bus fills in what the HID bus says of devices that are not on USB, such as
// Bluetooth scanners: HID_ID=0005:00000C2E:00000B6A and HID_NAME, HID_PHYS,
// HID_UNIQ in the folder's uevent.
func (s system) bus(f devices.Found, hid string) devices.Found {
	if f.Vendor != 0 {
		return f
	}
	for line := range strings.Lines(usb.Text(hid, "uevent")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "HID_ID":
			if parts := strings.Split(value, ":"); len(parts) == 3 {
				v, _ := strconv.ParseUint(parts[1], 16, 32)
				p, _ := strconv.ParseUint(parts[2], 16, 32)
				f.Vendor, f.Product = uint16(v), uint16(p)
			}
		case "HID_NAME":
			f.Model = value
		case "HID_PHYS":
			if f.Port == "" {
				f.Port = value
			}
		case "HID_UNIQ":
			f.Serial = value
		}
	}
	return f
}

// access says what is missing to open a node.
func (s system) access(node, rule string) devices.Said {
	return denied(unix.Access(node, unix.R_OK|unix.W_OK), node, rule)
}

func denied(err error, node, rule string) devices.Said {
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		return devices.Said{}
	}
	return devices.Said{
		ZH: fmt.Sprintf("没有读写 %s 的权限；请为运行用户安装 udev 规则（%s）。", node, rule),
		EN: fmt.Sprintf("No permission to read and write %s; install the udev rule (%s) for the agent's user.", node, rule),
	}
}

// interfaces lists the HID interfaces on USB, also those that no driver has.
func (s system) interfaces() ([]Device, error) {
	dirs, err := filepath.Glob(filepath.Join(s.sys, "bus/usb/devices/*:*"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the USB devices: %w", err)
	}
	var list []Device
	for _, dir := range dirs {
		if usb.Text(dir, "bInterfaceClass") != "03" {
			continue
		}
		d := Device{Found: usb.Fill(devices.Found{Driver: "hid", Class: devices.ClassOther}, dir)}
		d.Node = s.usbNode(dir)
		if hids, _ := filepath.Glob(filepath.Join(dir, "*", "report_descriptor")); len(hids) > 0 {
			s.describe(&d, filepath.Dir(hids[0]))
		}
		switch s.driver(dir) {
		case "":
			d.Hint = devices.Said{
				ZH: "内核驱动没有接管这个接口（占用它的程序曾被强制结束）；请重新插拔。",
				EN: "No kernel driver has this interface: a program that held it was killed. Plug it in again.",
			}
		case "usbfs":
			d.Hint = devices.Said{
				ZH: "另一个程序正在占用这个设备；请先停止它。",
				EN: "Another program holds this device; stop that one first.",
			}
		default:
			if d.Class == devices.ClassHIDPOS {
				d.Hint = s.access(d.Node, `SUBSYSTEM=="usb"`)
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// driver names the kernel's driver of an interface, or is empty.
func (s system) driver(dir string) string {
	to, err := os.Readlink(filepath.Join(dir, "driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// usbNode is the device node of the device that an interface belongs to.
func (s system) usbNode(dir string) string {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	dir = filepath.Dir(dir)
	bus, err1 := strconv.Atoi(usb.Text(dir, "busnum"))
	dev, err2 := strconv.Atoi(usb.Text(dir, "devnum"))
	if err1 != nil || err2 != nil {
		return ""
	}
	return filepath.Join(s.dev, fmt.Sprintf("bus/usb/%03d/%03d", bus, dev))
}

// adopt gives interfaces that lost their driver back to the kernel: a holder
// through libusb that is killed leaves them without, until a re-plug. It needs
// root, so it may fail; what stays is said by the hint. Only what is asked for is
// touched, or scanners of known makers if nothing is: others may have been set
// free on purpose.
func (s system) adopt(m devices.Match) {
	list, err := s.interfaces()
	if err != nil {
		return
	}
	for _, d := range list {
		ours := usb.Maker(d.Vendor)
		if m != (devices.Match{Node: m.Node}) {
			m.Node = "" // it has none now
			ours = m.Fits(d.Found)
		}
		if ours && s.driver(filepath.Join(s.sys, "bus/usb/devices", d.Port)) == "" {
			_ = os.WriteFile(filepath.Join(s.sys, "bus/usb/drivers/usbhid/bind"), []byte(d.Port), 0)
		}
	}
}

// nodeOf is the hidraw node of a USB interface, or is empty.
func (s system) nodeOf(port string) string {
	names, _ := filepath.Glob(filepath.Join(s.sys, "bus/usb/devices", port, "*", "hidraw", "*"))
	if len(names) == 0 {
		return ""
	}
	return filepath.Join(s.dev, filepath.Base(names[0]))
}
