package https

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// dialFrom gives a dialler whose connections leave from an address of this
// machine, or by one of its interfaces; empty leaves that to the system. What
// is not there now may be there later: a modem comes and goes.
func dialFrom(from string) (dialer, error) {
	d := net.Dialer{KeepAlive: 15 * time.Second}
	if from == "" {
		return d.DialContext, nil
	}
	if at, err := netip.ParseAddr(from); err == nil {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(at, 0))
		return d.DialContext, nil
	}
	if len(from) > 64 || strings.ContainsAny(from, "/:\x00\r\n") {
		return nil, errors.New("cannot use from: it is neither an IP address nor the name of an interface")
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := d
		if err := bind(&d, from, address); err != nil {
			return nil, fmt.Errorf("cannot leave by the interface %s; check its name and that it is up: %w", from, err)
		}
		return d.DialContext(ctx, network, address)
	}, nil
}
