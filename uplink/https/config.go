package https

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"payagent/uplink/internal/way"
)

// Config describes the direct way to one platform. The zero value of every
// field but BaseURL is usable.
type Config struct {
	// BaseURL names the platform: scheme and host, with a port where it is
	// not the scheme's own. A path may stand there and is not looked at. A
	// request for any other host is refused.
	BaseURL string
	// AllowPlainHTTP must be set before a BaseURL with http is accepted. It
	// gives a standing warning.
	AllowPlainHTTP bool

	// CAFile and CAPEM hold certificates in PEM. Where one of them is set,
	// only these authorities (or self-signed servers) are believed; otherwise
	// the operating system's are, read from their usual files and never from
	// a place that the environment names.
	CAFile string
	CAPEM  []byte
	// PinsSPKI are SHA-256 sums (base64) of a public key in the form of
	// RFC 7469. Where any is given, a certificate of the verified chain must
	// carry one of them, in addition to all other checks.
	PinsSPKI []string
	// ClientPair gives the certificate that is shown to a server that asks, anew
	// for every connection; nil for none.
	ClientPair func() (tls.Certificate, error) `json:"-"`
	// ServerName is the name that the server's certificate must carry, where
	// it is not BaseURL's host.
	ServerName string
	// AllowRSAKeyExchange adds the TLS 1.2 suites without forward secrecy,
	// for gateways that know no others. It gives a standing warning.
	AllowRSAKeyExchange bool

	// Proxy is a proxy to go through.
	Proxy Proxy
	// Relay is a fixed host:port that is dialled (or asked of the proxy)
	// instead of BaseURL's host. With an IP address no DNS is needed. What the
	// certificate must say does not change.
	Relay string
	// From is the address of this machine, or the interface (e.g. wwan0), that
	// connections leave from; empty leaves that to the system. Names are looked
	// up as the system does it: where the name server is not reached that way,
	// give Relay or Proxy as a number.
	From string

	// Now is the time that the server's certificate is verified at; nil for
	// time.Now. A machine that starts in 1970 gives a better one.
	Now func() time.Time `json:"-"`
	// Doubt is asked about a certificate that is good in all but its dates:
	// whether the machine's clock is wrong, and at which other moment the
	// certificate may be verified (zero: at none). Nil: the certificate is
	// what is wrong.
	Doubt func(from, to time.Time) (at time.Time, wrong bool) `json:"-"`

	// DialTimeout bounds connection, proxy and TLS handshake together;
	// default 5 s.
	DialTimeout time.Duration
	// ResponseTimeout bounds an exchange after that, for callers whose context
	// has no end; default 70 s, a little above the longest pay call.
	ResponseTimeout time.Duration
	// MaxAnswer bounds the body of an answer in bytes; default 1 MiB.
	// Codecs set tighter limits of their own.
	MaxAnswer int64
}

// Proxy describes a proxy in front of the platform. Proxies named by the
// environment are never used.
type Proxy struct {
	Kind     string // "" for none, "connect" (HTTP CONNECT) or "socks5"
	Address  string // host:port of the proxy
	User     string // empty: no authentication
	Password Password
}

// The kinds of Proxy.
const (
	ProxyNone    = ""
	ProxyConnect = "connect"
	ProxySOCKS5  = "socks5"
)

// Warnings gives a sentence for each setting that makes the way less safe, to
// be shown for as long as it is in use.
func (c Config) Warnings() []string {
	var list []string
	if c.AllowPlainHTTP && strings.HasPrefix(strings.ToLower(c.BaseURL), "http:") {
		list = append(list, "the way to the platform is not encrypted: everybody on the path can read and change payments; ask the platform for an https address")
	}
	if c.AllowRSAKeyExchange {
		list = append(list, "old TLS suites without forward secrecy are allowed towards the platform; switch allow_rsa_key_exchange off when its gateway was renewed")
	}
	return list
}

// target is what a Config means after checking.
type target struct {
	_       [0]func() // never compared: no code is made for it
	scheme  string
	host    string // host:port, lower case, port always there
	name    string // host without port
	dial    string // host:port to reach
	maxBody int64
}

func (c Config) target() (target, error) {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		// The parser's error repeats the address, which may hold a password.
		return target{}, errors.New("cannot use base_url: it is not a URL; write it like https://pay.example.com")
	}
	t := target{scheme: strings.ToLower(u.Scheme), maxBody: c.MaxAnswer}
	switch {
	case t.scheme == "http" && !c.AllowPlainHTTP:
		return target{}, errors.New("cannot use base_url: plain http is not allowed; write https, or set allow_plain_http and accept the risk")
	case t.scheme != "http" && t.scheme != "https":
		return target{}, errors.New("cannot use base_url: its scheme must be https (or http where plain http is allowed)")
	case u.Hostname() == "":
		return target{}, errors.New("cannot use base_url: it names no host; write it like https://pay.example.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return target{}, errors.New("cannot use base_url: user, query and fragment do not belong there; remove them")
	}
	t.name = strings.ToLower(u.Hostname())
	t.host = way.Host(u)
	t.dial = t.host
	if c.Relay != "" {
		if err := checkAddress(c.Relay); err != nil {
			return target{}, fmt.Errorf("cannot use relay: %w", err)
		}
		t.dial = c.Relay
	}
	switch c.Proxy.Kind {
	case ProxyNone:
		if c.Proxy.Address != "" {
			return target{}, errors.New("cannot use proxy: its kind is missing; write connect or socks5")
		}
	case ProxyConnect, ProxySOCKS5:
		if err := checkAddress(c.Proxy.Address); err != nil {
			return target{}, fmt.Errorf("cannot use proxy: %w", err)
		}
		if strings.ContainsAny(c.Proxy.User, ":\r\n") {
			return target{}, errors.New("cannot use proxy: its user holds a colon or a line end")
		}
	default:
		return target{}, fmt.Errorf("cannot use proxy: kind %q is not known; write connect or socks5", c.Proxy.Kind)
	}
	if t.maxBody <= 0 {
		t.maxBody = 1 << 20
	}
	return t, nil
}

func checkAddress(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" || port == "" || strings.ContainsAny(a, " \r\n/@") {
		return fmt.Errorf("%q is not host:port", a)
	}
	return nil
}

// tls gives the client's TLS settings, or nil for plain HTTP.
func (c Config) tls(t target) (*tls.Config, error) {
	if t.scheme != "https" {
		if c.CAFile != "" || len(c.CAPEM) > 0 || len(c.PinsSPKI) > 0 || c.ClientPair != nil || c.ServerName != "" {
			return nil, errors.New("cannot use certificates or pins with plain http; write https or remove them")
		}
		return nil, nil
	}
	out := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		ServerName: c.ServerName,
	}
	if out.ServerName == "" {
		out.ServerName = t.name
	}
	roots, err := c.roots()
	if err != nil {
		return nil, err
	}
	out.RootCAs = roots
	if give := c.ClientPair; give != nil {
		if _, err := give(); err != nil {
			return nil, fmt.Errorf("cannot use the client certificate; check client_cert and client_key: %w", err)
		}
		// Shown whatever authorities the server names.
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := give()
			return &pair, err
		}
	}
	if c.AllowRSAKeyExchange {
		for _, s := range tls.CipherSuites() {
			out.CipherSuites = append(out.CipherSuites, s.ID)
		}
		for _, s := range tls.InsecureCipherSuites() {
			// Only the missing key agreement is forgiven, no RC4 and no 3DES.
			if strings.HasPrefix(s.Name, "TLS_RSA_WITH_AES_") {
				out.CipherSuites = append(out.CipherSuites, s.ID)
			}
		}
	}
	if len(c.PinsSPKI) > 0 {
		pins := map[string]bool{}
		for _, p := range c.PinsSPKI {
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p, "sha256/"))
			if err != nil || len(raw) != sha256.Size {
				return nil, fmt.Errorf("cannot use pin %q: it is not the base64 of a SHA-256 sum", p)
			}
			pins[string(raw)] = true
		}
		out.VerifyConnection = func(cs tls.ConnectionState) error { return checkPins(pins, cs.VerifiedChains) }
	}
	return out, nil
}

// errPin is what a handshake ends with when no key of the chain is pinned.
var errPin = errors.New("cannot trust the server: none of its keys is pinned; it may be a forgery, or its key was renewed and the pin must follow")

func checkPins(pins map[string]bool, chains [][]*x509.Certificate) error {
	for _, chain := range chains {
		for _, cert := range chain {
			sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
			if pins[string(sum[:])] {
				return nil
			}
		}
	}
	return errPin
}

func (c Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" && len(c.CAPEM) == 0 {
		return systemRoots()
	}
	pool := x509.NewCertPool()
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read ca_file: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use ca_file %s: it holds no certificate in PEM", c.CAFile)
		}
	}
	if len(c.CAPEM) > 0 && !pool.AppendCertsFromPEM(c.CAPEM) {
		return nil, errors.New("cannot use ca_pem: it holds no certificate in PEM")
	}
	return pool, nil
}
