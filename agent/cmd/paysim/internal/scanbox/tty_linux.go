package scanbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// raw switches off all that a terminal does to bytes: CR stays CR, nothing is
// echoed, no byte is a signal.
func raw(tty *os.File) error {
	var err error
	conn, connErr := tty.SyscallConn()
	if connErr != nil {
		return fmt.Errorf("cannot prepare the pseudo-terminal: %w", connErr)
	}
	connErr = conn.Control(func(fd uintptr) {
		var t *unix.Termios
		if t, err = unix.IoctlGetTermios(int(fd), unix.TCGETS); err != nil {
			return
		}
		t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		t.Oflag &^= unix.OPOST
		t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		err = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
	})
	if err == nil {
		err = connErr
	}
	if err != nil {
		return fmt.Errorf("cannot prepare the pseudo-terminal: %w", err)
	}
	return nil
}

// pollable gives the master as a file whose reads end when it is closed and
// whose writes have deadlines; the one that package pty makes blocks. The old
// file is closed.
func pollable(master *os.File) (*os.File, error) {
	defer func() { _ = master.Close() }()
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot prepare the pseudo-terminal: %w", err)
	}
	return os.NewFile(uintptr(fd), master.Name()), nil //nolint:gosec // a descriptor is never negative here
}

// shared lets the port be opened again; a port that cannot is only less handy.
func shared(tty *os.File) {
	if conn, err := tty.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TIOCNXCL, 0) })
	}
}
