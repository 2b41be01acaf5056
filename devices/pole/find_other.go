//go:build !linux && !windows

package pole

import (
	"fmt"

	"payagent/devices"
)

// find gives the configured port: here nothing tells which device stands
// behind one.
func find(cfg Config) (devices.Found, error) {
	if cfg.Path == "" {
		return devices.Found{}, fmt.Errorf("cannot open display %s: ports are not found by their device on this system; write its path", cfg.Name)
	}
	return devices.Found{Driver: "pole", Node: cfg.Path, Class: devices.ClassSerial}, nil
}
