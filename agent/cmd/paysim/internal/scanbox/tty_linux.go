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

// shared lets the port be opened again; a port that cannot is only less handy.
func shared(tty *os.File) {
	if conn, err := tty.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TIOCNXCL, 0) })
	}
}
