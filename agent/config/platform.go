package config

import (
	"strings"
	"time"
)

// Platform is one payment platform and the way to it.
type Platform struct {
	// Name of our own, used by merchants and seen in logs and metrics.
	Name string
	// Which adapter speaks to it, e.g. smartpay or fwc.
	Driver string
	// How it is reached: https (directly), or mqtt (through the broker of fleet and payfleet relay, which calls it; proxy, certificates and pins are the relay's then).
	Uplink string
	// Address of the interface.
	URL string `yaml:"url"`
	// true accepts an http:// address: whoever sits on the way can read the token and change answers. A standing warning.
	AllowPlainHTTP bool
	// A proxy on the way; none by default. The process's environment is never used.
	Proxy *Proxy
	// Fixed address host:port to connect to, or to ask the proxy for, instead of the URL's host (front-end machine, gap device). With an IP address no name is looked up.
	Relay string
	// Address of this machine, or name of the interface (e.g. wwan0), that connections leave from. Empty leaves it to the system.
	From string
	// Another way to the same platform, for when this one sends nothing: a 4G modem, a second proxy, the broker. Chosen per request; what has left by one way is never repeated on the other.
	SecondWay *SecondWay
	// Name that the server's certificate must carry, where it is not the URL's host.
	ServerName string
	// true also offers the old TLS 1.2 suites without forward secrecy, for gateways that know no others. A standing warning.
	AllowRSAKeyExchange bool
	// Connection, proxy and TLS handshake together may take this long; with second_way, half of it by each way.
	DialTimeout time.Duration
	// PEM file with the only authorities to trust for this platform; empty trusts the system's.
	CAFile string `yaml:"ca_file"`
	// Accepted public keys of the server: SHA-256 of the SPKI in base64, in quotes. Empty accepts any certificate the authorities vouch for.
	Pins []string
	// PEM file with our client certificate.
	ClientCert string
	// PEM file with its private key, or credential:NAME.
	ClientKey string
	// true tells the platform each order's trace in the header traceparent (W3C Trace Context). Ask it first: a gateway may refuse requests with headers that it does not know.
	Traceparent bool
	// How often the platform is asked something harmless while a till is in use, so that an outage is known before the next patient pays.
	ProbeEvery time.Duration
	// Overrides of the policy section for this platform.
	PolicyOverrides Options `yaml:"policy"`
	// Settings of the driver; see its own documentation.
	Options Options

	// Policy is the policy section with the overrides applied.
	Policy Policy `yaml:"-"`
}

func (p *Platform) setDefaults() {
	p.DialTimeout, p.ProbeEvery, p.Uplink = 5*time.Second, 10*time.Second, HTTPS
}

// SecondWay is another way to a platform. Certificates, pins and times are the
// platform's own and hold for both ways.
type SecondWay struct {
	// https (the default) or mqtt, as the platform's uplink.
	Uplink string
	// A proxy on this way; none by default.
	Proxy *Proxy
	// Fixed address host:port on this way, as the platform's relay. With an IP address no name server is needed.
	Relay string
	// Address of this machine, or name of the interface (e.g. wwan0), that connections of this way leave from.
	From string
}

func (s *SecondWay) setDefaults() { s.Uplink = HTTPS }

// How a platform is reached.
const (
	HTTPS = "https"
	MQTT  = "mqtt"
)

// Ways gives the ways to a platform, one or two, each as a platform that has
// this way alone. The second is called NAME/second.
func (p Platform) Ways() []Platform {
	s := p.SecondWay
	if s == nil {
		return []Platform{p}
	}
	p.SecondWay = nil
	p.DialTimeout /= 2
	second := p
	second.Name += "/second"
	second.Uplink, second.Proxy, second.Relay, second.From = s.Uplink, s.Proxy, s.Relay, s.From
	return []Platform{p, second}
}

// Over tells whether one of a platform's ways is of a kind.
func (p Platform) Over(uplink string) bool {
	return p.Uplink == uplink || p.SecondWay != nil && p.SecondWay.Uplink == uplink
}

// Proxy is a proxy on the way to a platform.
type Proxy struct {
	// connect (HTTP CONNECT) or socks5.
	Kind string
	// host:port of the proxy.
	Address string
	// User name, if the proxy wants one.
	User string
	// File that holds the password alone; mode 0600.
	PasswordFile string
}

// way checks one way to a platform.
func (v validator) way(at string, p Platform) {
	if p.Proxy != nil {
		v.oneOf(at+".proxy.kind", p.Proxy.Kind, "connect", "socks5")
		v.hostPort(at+".proxy.address", p.Proxy.Address)
		if p.Proxy.User == "" && p.Proxy.PasswordFile != "" {
			v.add(at+".proxy.user", "a password without a user; write the user or remove password_file")
		}
	}
	if p.Relay != "" {
		v.hostPort(at+".relay", p.Relay)
	}
	if len(p.From) > 64 || strings.ContainsAny(p.From, "/\r\n\x00") || strings.Contains(p.From, ":") && !isIP(p.From) {
		v.add(at+".from", "%q is neither an IP address of this machine nor the name of an interface, e.g. wwan0", clip(p.From))
	}
}

// place is where a way leads along.
func (p Platform) place() string {
	place := p.Uplink + " " + p.Relay + " " + p.From
	if p.Proxy != nil {
		place += " " + p.Proxy.Kind + " " + p.Proxy.Address
	}
	return place
}
