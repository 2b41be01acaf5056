package pole

import (
	"fmt"
	"strconv"

	"go.bug.st/serial/enumerator"

	"payagent/devices"
)

// find gives the port that the configuration means. Windows does not name the
// USB place of a port in a form that lasts, so Match goes by id and serial
// number there.
func find(cfg Config) (devices.Found, error) {
	if cfg.Path != "" {
		return devices.Found{Driver: "pole", Node: cfg.Path, Class: devices.ClassSerial}, nil
	}
	all, err := enumerator.GetDetailedPortsList()
	if err != nil {
		return devices.Found{}, fmt.Errorf("cannot list the ports for display %s; write its path, such as COM3: %w", cfg.Name, err)
	}
	var list []devices.Found
	for _, p := range all {
		if p != nil && p.IsUSB {
			list = append(list, devices.Found{Driver: "pole", Node: p.Name, Class: devices.ClassSerial,
				Vendor: number(p.VID), Product: number(p.PID), Model: p.Product, Serial: p.SerialNumber})
		}
	}
	f, err := cfg.Match.Pick(list)
	if err != nil {
		return f, fmt.Errorf("cannot open display %s: %w", cfg.Name, err)
	}
	return f, nil
}

func number(hex string) uint16 {
	v, err := strconv.ParseUint(hex, 16, 16)
	if err != nil {
		return 0
	}
	return uint16(v)
}
