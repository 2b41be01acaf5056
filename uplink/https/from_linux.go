package https

import (
	"net"
	"syscall"
)

// bind ties a dialler to an interface. The kernel then takes the routes of that
// interface alone, which a source address does not achieve on Linux; since
// Linux 5.7 it needs no right.
func bind(d *net.Dialer, name, _ string) error {
	if _, err := net.InterfaceByName(name); err != nil {
		return err
	}
	d.Control = func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = syscall.BindToDevice(int(fd), name) }); cerr != nil {
			return cerr
		}
		return err
	}
	return nil
}
