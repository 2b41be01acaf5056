package pole

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"payagent/devices"
	"payagent/devices/internal/usb"
)

// find gives the port that the configuration means, with its USB identity
// where it has one.
func find(cfg Config) (devices.Found, error) {
	if cfg.Path == "" {
		f, err := cfg.Match.Pick(ports("/sys/class/tty"))
		if err != nil {
			return f, fmt.Errorf("cannot open display %s: %w", cfg.Name, err)
		}
		return f, nil
	}
	f := devices.Found{Driver: "pole", Node: cfg.Path, Class: devices.ClassSerial}
	node, err := filepath.EvalSymlinks(cfg.Path)
	if err != nil {
		return f, fmt.Errorf("cannot find the port %s of display %s; check its cable and its path: %w", cfg.Path, cfg.Name, err)
	}
	return usb.Fill(f, filepath.Join("/sys/class/tty", filepath.Base(node), "device")), nil
}

// ports lists the ports on USB below a folder of sysfs; no other can be told
// by what it is.
func ports(dir string) []devices.Found {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var list []devices.Found
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "tty") {
			continue
		}
		f := usb.Fill(devices.Found{Driver: "pole", Node: "/dev/" + e.Name(), Class: devices.ClassSerial}, filepath.Join(dir, e.Name(), "device"))
		if f.Vendor != 0 {
			list = append(list, f)
		}
	}
	return list
}
