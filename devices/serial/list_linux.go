package serial

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// List gives the serial ports with a device behind them. It opens none: some
// devices take the opening of their port for a reset.
func List() ([]devices.Found, error) { return list("/sys/class/tty", "/dev") }

// list reads sysfs; tests give folders of their own.
func list(sys, dev string) ([]devices.Found, error) {
	entries, err := os.ReadDir(sys)
	if err != nil {
		return nil, fmt.Errorf("cannot list serial ports; check that %s can be read: %w", sys, err)
	}
	var out []devices.Found
	for _, e := range entries {
		name := e.Name()
		dir := filepath.Join(sys, name)
		if _, err := os.Stat(filepath.Join(dir, "device")); err != nil {
			continue // consoles and pseudo terminals
		}
		// A UART of type 0 is a number that the kernel keeps for one that may
		// come; there is nothing behind it.
		if usb.Text(dir, "type") == "0" {
			continue
		}
		f := devices.Found{Driver: "serial", Class: devices.ClassSerial, Node: filepath.Join(dev, name)}
		f = usb.Fill(f, filepath.Join(dir, "device"))
		if unix.Access(f.Node, unix.R_OK|unix.W_OK) == unix.EACCES {
			f.Hint = devices.Said{
				ZH: "没有权限打开 " + f.Node + "：请把程序的用户加入串口组（dialout），或安装随附的 udev 规则。",
				EN: "No permission to open " + f.Node + ": add the agent's user to the port's group (dialout), or install the udev rules that come with it.",
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// same tells whether two names mean one node, as a udev symlink does.
func same(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	x, errX := filepath.EvalSymlinks(a)
	y, errY := filepath.EvalSymlinks(b)
	return errX == nil && errY == nil && x == y
}
