package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// Listener is a set of addresses of its own, beside the door: embedded in the
// sections facade, books and callback. Without addresses it is off.
type Listener struct {
	// Addresses, IP:port; none by default: off. An address that is not loopback needs tls, or accept_plain_http.
	Listen []string
	// Certificate for the addresses that are not loopback.
	TLS TLS
	// PEM file with the authorities of the clients' certificates: every address then asks for a client certificate. Needs tls.
	ClientCA string `yaml:"client_ca"`
	// Networks or addresses that may call, e.g. 10.1.2.0/24 or 10.1.2.3; empty lets all call.
	Allow []string
	// true opens addresses that are not loopback without TLS: whoever listens on that network reads what is said. A standing warning.
	AcceptPlainHTTP bool
}

// On tells whether anything is to be opened.
func (l Listener) On() bool { return len(l.Listen) > 0 }

// section is a listener and where it stands.
type section struct {
	key string
	Listener
}

// sections lists everything that opens addresses, whether it is on or not.
func (c Config) sections() []section {
	return []section{{"door", c.Door.Listener()}, {"facade", c.Facade.Listener}, {"books", c.Books.Listener}, {"callback", c.Callback.Listener}}
}

// ParseNetwork reads an entry of allow: a network or one address, of either
// family. Bits behind the mask are an error, because they say that something
// else was meant.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p != p.Masked() || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is neither a network such as 10.1.2.0/24 nor an address", clip(s))
	}
	return p, nil
}

// listener checks a section that opens addresses. A section that opens none is
// off, and what else stands in it must still have the right form.
func (v validator) listener(at string, l Listener) {
	lan := false
	for i, s := range l.Listen {
		key := fmt.Sprintf("%s.listen[%d]", at, i)
		ap, err := netip.ParseAddrPort(s)
		switch {
		case err != nil || ap.Port() == 0:
			v.add(key, `%q is not IP:port; write e.g. "127.0.0.1:8780" or "[::1]:8780"`, clip(s))
		case ap.Addr().IsUnspecified():
			v.add(key, "%s opens every network of this machine; name the one address that is called", s)
		case slices.Contains(l.Listen[:i], s):
			v.add(key, "%s is named twice; remove one", s)
		case !ap.Addr().IsLoopback():
			lan = true
		}
	}
	if (l.TLS.Cert == "") != (l.TLS.Key == "") {
		v.add(at+".tls", "a certificate needs both cert and key; name both files or neither")
	}
	if l.ClientCA != "" && l.TLS.Cert == "" {
		v.add(at+".client_ca", "client certificates need tls: {cert, key}; name both files, or remove client_ca")
	}
	for i, s := range l.Allow {
		if _, err := ParseNetwork(s); err != nil {
			v.add(fmt.Sprintf("%s.allow[%d]", at, i), "%s; a network has no bits set behind its mask", err)
		}
	}
	if lan && l.TLS.Cert == "" && !l.AcceptPlainHTTP {
		v.add(at+".listen", "an address that is not loopback needs tls: {cert, key}; or write accept_plain_http: true and accept that what is said can be read on that network")
	}
}
