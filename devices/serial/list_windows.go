package serial

import (
	"fmt"
	"strconv"
	"strings"

	"go.bug.st/serial/enumerator"

	"payagent/devices"
)

// List gives the serial ports. Windows does not tell the USB place of a port,
// so two equal scanners without serial numbers are told apart by their COM
// numbers, which Windows keeps per USB socket.
func List() ([]devices.Found, error) {
	ports, err := enumerator.GetDetailedPortsList()
	if err != nil {
		return nil, fmt.Errorf("cannot list serial ports; look into the device manager: %w", err)
	}
	var out []devices.Found
	for _, p := range ports {
		f := devices.Found{Driver: "serial", Class: devices.ClassSerial, Node: p.Name}
		if p.IsUSB {
			f.Vendor, f.Product, f.Serial = hex(p.VID), hex(p.PID), p.SerialNumber
			f.Maker, f.Model = p.Manufacturer, p.Product
		}
		out = append(out, f)
	}
	return out, nil
}

func hex(s string) uint16 {
	v, err := strconv.ParseUint(s, 16, 16)
	if err != nil {
		return 0
	}
	return uint16(v)
}

func same(a, b string) bool {
	return strings.EqualFold(strings.TrimPrefix(a, `\\.\`), strings.TrimPrefix(b, `\\.\`))
}
