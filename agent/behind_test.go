package agent_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcsuite"
	"payagent/platforms/lc/lcsuite"
	"payagent/platforms/platformtest"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpaysuite"
	"payagent/platforms/smartpay/smartpaytest"
	"payagent/uplink"
	"payagent/uplink/https"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// TestPlatformsBehindWaysOut: no adapter notices which way its bytes take.
// The whole platform suite holds behind every way; no case is left out. Behind
// the broker it is every adapter's, behind a proxy one adapter's each, and with
// -every-step (make kill) all of them everywhere. The platforms' names resolve
// nowhere, and whoever asks DNS, or takes a proxy from
// the environment, fails.
func TestPlatformsBehindWaysOut(t *testing.T) {
	lookups := noDNS(t)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://127.0.0.1:1") // nothing listens there
	}
	for i, w := range waysOut() {
		for j, p := range behind(t, w.secure) {
			if w.proxied && i != j && !*everyStep {
				continue
			}
			t.Run(w.name+"/"+p.name, func(t *testing.T) {
				var seen traffic
				platformtest.Test(t, w.before(t, p, &seen, nil))
				if seen.taken.Load() == 0 || w.proxied && seen.passed.Load() < seen.taken.Load() {
					t.Errorf("%d connections at the platform, %d of them through the proxy", seen.taken.Load(), seen.passed.Load())
				}
			})
		}
	}
	if n := lookups.Load(); n != 0 {
		t.Errorf("DNS was asked %d times", n)
	}
}

// TestPlatformsBehindWrongWays: each part of a way is really needed. With one
// of them wrong the suite fails and the platform hears nothing.
func TestPlatformsBehindWrongWays(t *testing.T) {
	noDNS(t)
	_, stranger, _ := authority(t, "platform.invalid")
	const must = "charge/pays at once"
	for _, w := range waysOut() {
		for what, spoil := range map[string]func(*https.Config){
			"password":  func(c *https.Config) { c.Proxy.Password = https.NewPassword("another") },
			"proxy":     func(c *https.Config) { c.Proxy = https.Proxy{} },
			"relay":     func(c *https.Config) { c.Relay = "" },
			"authority": func(c *https.Config) { c.CAPEM = stranger },
			"pin": func(c *https.Config) {
				c.PinsSPKI = []string{base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))}
			},
		} {
			if !w.needs[what] {
				continue
			}
			for _, p := range behind(t, w.secure) {
				t.Run(w.name+"/"+what+"/"+p.name, func(t *testing.T) {
					var seen traffic
					failed := platformtest.Failing(t, w.before(t, p, &seen, spoil), must)
					if failed[must] == nil || seen.heard.Load() != 0 {
						t.Errorf("with a wrong %s %q gives %v, and the platform heard %d requests", what, must, failed[must], seen.heard.Load())
					}
				})
			}
		}
	}
}

// subject is one adapter with the address that its requests go to.
type subject struct {
	name, endpoint string
	suite          platformtest.Subject
}

// behind lists the adapters; secure makes their addresses https.
func behind(t *testing.T, secure bool) []subject {
	t.Helper()
	at := func(endpoint string) string {
		if rest, plain := strings.CutPrefix(endpoint, "http://"); plain && secure {
			return "https://" + rest
		}
		return endpoint
	}
	f, s := fwcsuite.Config(fwc.SOAP11), smartpaysuite.Config(smartpay.WSGWSOAP)
	keys, err := gatewayKeys()
	if err != nil {
		t.Fatal(err)
	}
	g := lcsuite.Config(keys)
	f.Endpoint, s.Endpoint, g.Endpoint = at(f.Endpoint), at(s.Endpoint), at("http://platform.invalid:9003/gateway")
	return []subject{
		{"fwc", f.Endpoint, fwcsuite.Subject(f)},
		{"smartpay", s.Endpoint, smartpaysuite.Subject("smartpay", s, smartpaytest.Options{})},
		{"lc", g.Endpoint, lcsuite.Subject("lc", keys, g, nil)},
	}
}

// gatewayKeys makes the keys of the signed gateway once.
var gatewayKeys = sync.OnceValues(func() (lcsuite.Keys, error) { return lcsuite.NewKeys(1024) })

// wayOut is a way with what is in front of the platform.
type wayOut struct {
	name            string
	secure, proxied bool
	needs           map[string]bool // what fails if it is wrong
	// front starts what stands before the platform name (host:port), which
	// listens at addr, and says how to go through it.
	front func(t testing.TB, c *https.Config, name, addr string, seen *traffic)
	// over, where it is not nil, puts the till behind the way that front made.
	over func(t testing.TB, way *https.Route, address string) http.RoundTripper
}

func waysOut() []wayOut {
	const user, password = "box", "s3cret:word"
	pair := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	return []wayOut{
		{"connect", true, true, map[string]bool{"password": true, "proxy": true, "authority": true, "pin": true},
			func(t testing.TB, c *https.Config, name, addr string, seen *traffic) {
				at := startTunnel(t, connectFor(pair), name, addr, &seen.passed)
				c.Proxy = https.Proxy{Kind: https.ProxyConnect, Address: at, User: user, Password: https.NewPassword(password)}
			}, nil},
		{"socks5", true, true, map[string]bool{"proxy": true, "authority": true, "pin": true},
			func(t testing.TB, c *https.Config, name, addr string, seen *traffic) {
				c.Proxy = https.Proxy{Kind: https.ProxySOCKS5, Address: startTunnel(t, socks5(), name, addr, &seen.passed)}
			}, nil},
		{"relay in plain HTTP", false, false, map[string]bool{"relay": true},
			func(_ testing.TB, c *https.Config, _, addr string, _ *traffic) { c.Relay = addr }, nil},
		{"mqtt", true, false, map[string]bool{"relay": true, "authority": true, "pin": true},
			func(_ testing.TB, c *https.Config, _, addr string, _ *traffic) { c.Relay = addr }, throughRelay},
	}
}

// throughRelay puts a till behind a broker and a relay that calls by way.
func throughRelay(t testing.TB, way *https.Route, address string) http.RoundTripper {
	t.Helper()
	site, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	broker := uplinktest.NewBroker()
	t.Cleanup(broker.Close)
	return overBus(t, site, broker.Bus("relay", nil), broker.Bus(relaytest.Box, nil), way, address, nil)
}

// overBus is throughRelay over any connections of relay and till.
func overBus(t testing.TB, site *relaytest.Site, relays, tills uplink.Bus, way uplink.Route, address string, change func(*relay.Config)) http.RoundTripper {
	t.Helper()
	r, err := site.Relay(relays, []relay.Platform{{Name: "p", Address: address, Way: way}}, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	tunnel, err := site.Tunnel(tills, relaytest.Box, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tunnel.Close() })
	route, err := tunnel.Route(mqtt.RouteConfig{BaseURL: address, AllowPlainHTTP: true, DialTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = route.Close() })
	return route
}

// traffic counts what took the way.
type traffic struct {
	taken  atomic.Int64 // connections that the platform took
	heard  atomic.Int64 // requests that the platform read
	passed atomic.Int64 // connections that a proxy let through
}

// before puts the way between an adapter and its simulator.
func (w wayOut) before(t *testing.T, p subject, seen *traffic, spoil func(*https.Config)) platformtest.Subject {
	t.Helper()
	u, err := url.Parse(p.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	common := https.Config{BaseURL: u.Scheme + "://" + u.Host, AllowPlainHTTP: !w.secure, DialTimeout: 30 * time.Second}
	var pair tls.Certificate
	if w.secure {
		var pin string
		pair, common.CAPEM, pin = authority(t, u.Hostname())
		common.PinsSPKI = []string{pin}
	}
	s := p.suite
	s.Server = func(h http.Handler) *httptest.Server {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			seen.heard.Add(1)
			h.ServeHTTP(rw, r)
		}))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
		srv.Listener = &counting{srv.Listener, &seen.taken}
		if !w.secure {
			srv.Start()
			return srv
		}
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		srv.StartTLS()
		return srv
	}
	s.Transport = func(t testing.TB, srv *httptest.Server) http.RoundTripper {
		cfg := common
		w.front(t, &cfg, u.Host, srv.Listener.Addr().String(), seen)
		if spoil != nil {
			spoil(&cfg)
		}
		route, err := https.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = route.Close() })
		if w.over != nil {
			return w.over(t, route, common.BaseURL)
		}
		return route
	}
	return s
}

// counting counts the connections that a listener takes.
type counting struct {
	net.Listener
	taken *atomic.Int64
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.taken.Add(1)
	}
	return conn, err
}

// noDNS takes DNS away until the test ends, and counts who asks.
func noDNS(t *testing.T) *atomic.Int64 {
	t.Helper()
	var asked atomic.Int64
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("there is no DNS here")
	}}
	t.Cleanup(func() { net.DefaultResolver = before })
	return &asked
}

// authority makes an authority (PEM) with one server under it, and the pin of
// the server's key.
func authority(t *testing.T, host string) (pair tls.Certificate, root []byte, pin string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hospital authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	must(err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	must(err)
	sum := sha256.Sum256(spki)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), base64.StdEncoding.EncodeToString(sum[:])
}

// dialect is how a proxy is asked: it gives the address (host:port) wanted.
type dialect struct {
	ask func(rd *bufio.Reader, w io.Writer) (string, error)
	yes string
}

// connectFor is HTTP CONNECT for whoever brings the credentials.
func connectFor(pair string) dialect {
	return dialect{yes: "HTTP/1.1 200 OK\r\n\r\n", ask: func(rd *bufio.Reader, w io.Writer) (string, error) {
		r, err := http.ReadRequest(rd)
		switch {
		case err != nil:
			return "", err
		case r.Header.Get("Proxy-Authorization") != pair:
			_, err = io.WriteString(w, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
			return "", errors.Join(errors.New("wrong credentials"), err)
		case r.Method != http.MethodConnect:
			return "", errors.New("only CONNECT")
		}
		return r.Host, nil
	}}
}

// socks5 is RFC 1928 without authentication; names only, because the proxy's
// side knows the platform.
func socks5() dialect {
	return dialect{yes: "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", ask: func(rd *bufio.Reader, w io.Writer) (string, error) {
		head := make([]byte, 2)
		if _, err := io.ReadFull(rd, head); err != nil {
			return "", err
		}
		if _, err := rd.Discard(int(head[1])); err != nil {
			return "", err
		}
		if _, err := w.Write([]byte{5, 0}); err != nil {
			return "", err
		}
		ask := make([]byte, 5)
		if _, err := io.ReadFull(rd, ask); err != nil {
			return "", err
		}
		if ask[3] != 3 {
			return "", errors.New("not a name")
		}
		rest := make([]byte, int(ask[4])+2)
		if _, err := io.ReadFull(rd, rest); err != nil {
			return "", err
		}
		name, port := rest[:len(rest)-2], rest[len(rest)-2:]
		return net.JoinHostPort(string(name), strconv.Itoa(int(port[0])<<8|int(port[1]))), nil
	}}
}

// startTunnel starts a proxy on loopback that knows one platform by name and
// ends with the test. It gives its address.
func startTunnel(t testing.TB, d dialect, name, addr string, passed *atomic.Int64) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		stop()
		running.Wait()
	})
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer closeWith(ctx, c)()
				rd := bufio.NewReader(c)
				if asked, err := d.ask(rd, c); err != nil || asked != name {
					return
				}
				passed.Add(1)
				up, err := net.Dial("tcp4", addr)
				if err != nil {
					return
				}
				defer closeWith(ctx, up)()
				if _, err := io.WriteString(c, d.yes); err != nil {
					return
				}
				var upward sync.WaitGroup
				upward.Go(func() { carry(up, rd) })
				carry(c, up)
				upward.Wait()
			})
		}
	})
	return ln.Addr().String()
}

// closeWith closes a connection when ctx ends or the func is called.
func closeWith(ctx context.Context, c net.Conn) func() {
	forget := context.AfterFunc(ctx, func() { _ = c.Close() })
	return func() {
		forget()
		_ = c.Close()
	}
}

// carry takes bytes one way; an end there becomes an end here, and a reset a
// reset.
func carry(dst net.Conn, src io.Reader) {
	_, err := io.Copy(dst, src)
	tcp, ok := dst.(*net.TCPConn)
	switch {
	case !ok:
	case err != nil:
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	default:
		_ = tcp.CloseWrite()
	}
}
