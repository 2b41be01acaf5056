package wedge

import (
	"fmt"
	"io"

	"payagent/devices"
)

// Tap opens the keyboard that fits and takes it away from everybody else, as
// Open does, and gives what the kernel writes, undecoded: for finding out how a
// scanner is set up. A Read waits at most 100 ms; (0, nil) says that it passed.
func Tap(match devices.Match) (io.ReadCloser, devices.Found, error) {
	if err := (Config{Name: "to learn", Match: match}).named(); err != nil {
		return nil, devices.Found{}, err
	}
	n, found, err := system().take(match)
	if err != nil {
		return nil, found, fmt.Errorf("cannot open the keyboard: %w", err)
	}
	return n, found, nil
}
