//go:build linux || darwin || freebsd || openbsd

package serial

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// node is a locked device node.
type node int

// Close gives the lock back.
func (n node) Close() error { return unix.Close(int(n)) }

// lockNode takes flock on the node. The exclusive mode of a tty does not bind
// root, and two agents on one scanner would each see half of a code.
func lockNode(path string) (io.Closer, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("cannot open %s: another program has it; stop that one (ModemManager, a second agent): %w", path, err)
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("cannot open %s: permission denied; add the agent's user to the port's group (dialout): %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("cannot open %s; check the cable and the path: %w", path, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot open %s: another agent reads it; stop that one: %w", path, err)
	}
	return node(fd), nil
}
