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

// writer writes through the lock's handle, which does not block: a device that
// takes nothing must not stop the goroutine that reads.
func (n node) writer(io.Writer) io.Writer { return n }

// Write sends what the device takes at once; less is an error.
func (n node) Write(p []byte) (int, error) {
	for {
		k, err := unix.Write(int(n), p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("cannot send to the device; check its cable: %w", err)
		case k < len(p):
			return k, io.ErrShortWrite
		}
		return k, nil
	}
}

// lockNode takes flock on the node. The exclusive mode of a tty does not bind
// root, and two agents on one scanner would each see half of a code.
func lockNode(path string) (node, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return -1, fmt.Errorf("cannot open %s: another program has it; stop that one (ModemManager, a second agent): %w", path, err)
	case errors.Is(err, unix.EACCES):
		return -1, fmt.Errorf("cannot open %s: permission denied; add the agent's user to the port's group (dialout): %w", path, err)
	case err != nil:
		return -1, fmt.Errorf("cannot open %s; check the cable and the path: %w", path, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("cannot open %s: another agent reads it; stop that one: %w", path, err)
	}
	return node(fd), nil
}
