//go:build !linux

package https

import (
	"errors"
	"net"
	"strings"
)

// bind has a dialler leave from an address of an interface: Windows takes the
// routes of the interface that the source address belongs to.
func bind(d *net.Dialer, name, to string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	list, err := i.Addrs()
	if err != nil {
		return err
	}
	six := strings.HasPrefix(to, "[")
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if ok && !n.IP.IsLinkLocalUnicast() && (n.IP.To4() == nil) == six {
			d.LocalAddr = &net.TCPAddr{IP: n.IP}
			return nil
		}
	}
	return errors.New("it has no address")
}
