//go:build linux || darwin || freebsd || openbsd

package pole

import (
	"errors"
	"fmt"
	"os"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// port is an open port. Bytes go through a handle of its own that does not
// block, so that closing it ends a write; the library's handle, whose writes
// cannot be ended, is for the settings.
type port struct {
	*os.File
	settings serial.Port
	gone     chan struct{} // closed when reading has ended
}

// plug opens the port, for this process alone, and watches whether it stays.
func plug(cfg Config) (link, error) {
	place, err := find(cfg)
	if err != nil {
		return link{}, err
	}
	mode, err := cfg.mode()
	if err != nil {
		return link{}, err
	}
	// The lock comes first: the library forbids further openings.
	fd, err := unix.Open(place.Node, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return link{}, fmt.Errorf("cannot open %s: another program has it; stop that one (ModemManager, a second agent): %w", place.Node, err)
	case errors.Is(err, unix.EACCES):
		return link{}, fmt.Errorf("cannot open %s: permission denied; add the agent's user to the port's group (dialout): %w", place.Node, err)
	case err != nil:
		return link{}, fmt.Errorf("cannot open %s; check the cable and the path: %w", place.Node, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		return link{}, fmt.Errorf("cannot open %s: another agent has it; stop that one: %w", place.Node, err)
	}
	settings, err := serial.Open(place.Node, mode)
	if err != nil {
		_ = unix.Close(fd)
		return link{}, fmt.Errorf("cannot set up %s; check that it is a serial port: %w", place.Node, err)
	}
	p := &port{os.NewFile(uintptr(fd), place.Node), settings, make(chan struct{})}
	go func() {
		defer close(p.gone)
		// Displays say nothing that matters; the read fails when the device is
		// unplugged and when the port is closed.
		for buf := make([]byte, 64); ; {
			if n, err := p.Read(buf); err != nil || n == 0 {
				return
			}
		}
	}()
	return link{p, place, p.gone}, nil
}

// Close ends reading and writing, and returns when both have ended.
func (p *port) Close() error {
	err := p.File.Close()
	<-p.gone
	return errors.Join(err, p.settings.Close())
}

// ResetOutputBuffer throws away what the line has not taken.
func (p *port) ResetOutputBuffer() error { return p.settings.ResetOutputBuffer() }
