//go:build !linux && !windows

package wedge

import "payagent/devices"

// List gives nothing here: keyboards cannot be told apart on this system.
func List() ([]devices.Found, error) { return nil, nil }
