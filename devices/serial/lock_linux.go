package serial

import "golang.org/x/sys/unix"

// keepLines makes the kernel leave DTR and RTS alone when the port is closed:
// some scanners take their fall for a reset (DEV-10).
func (n node) keepLines() {
	t, err := unix.IoctlGetTermios(int(n), unix.TCGETS)
	if err != nil || t.Cflag&unix.HUPCL == 0 {
		return
	}
	t.Cflag &^= unix.HUPCL
	// Not every driver can; the port works all the same.
	_ = unix.IoctlSetTermios(int(n), unix.TCSETS, t)
}

// flush drops what the device did not take, so that closing a device that
// hangs does not wait for it (30 s by default).
func (n node) flush() { _ = unix.IoctlSetInt(int(n), unix.TCFLSH, unix.TCOFLUSH) }
