package wedge

import (
	"errors"
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
	list, err := system.list()
	if err != nil {
		return nil, devices.Found{}, err
	}
	found, err := match.Pick(list)
	if err != nil {
		return nil, found, err
	}
	n, err := openNode(found.Node)
	if err != nil {
		return nil, found, fmt.Errorf("cannot open the keyboard: %w", err)
	}
	if err := n.prepare(); err != nil {
		return nil, found, errors.Join(fmt.Errorf("cannot take the keyboard %s: %w", found.Node, err), n.Close())
	}
	return n, found, nil
}
