package https_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/uplink"
	"payagent/uplink/https"
)

func isNotSent(err error) bool {
	var n *uplink.NotSent
	return errors.As(err, &n)
}

// server is a TLS server with httptest's own certificate (127.0.0.1 and
// example.com).
func server(t *testing.T, tune func(*httptest.Server)) (*httptest.Server, []byte) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "fine")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tune != nil {
		tune(s)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func ask(t *testing.T, r *https.Route, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("pay"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// open opens a way that is closed with the test; where the time to dial is
// not what is tested, it is long.
func open(t *testing.T, c https.Config) *https.Route {
	t.Helper()
	if c.DialTimeout == 0 {
		c.DialTimeout = time.Minute
	}
	r, err := https.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestPins(t *testing.T) {
	s, ca := server(t, nil)
	other := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, c := range map[string]struct {
		pins []string
		ok   bool
	}{
		"right":               {[]string{pinOf(s.Certificate())}, true},
		"right with prefix":   {[]string{"sha256/" + pinOf(s.Certificate())}, true},
		"one of two is right": {[]string{other, pinOf(s.Certificate())}, true},
		"wrong":               {[]string{other}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, https.Config{BaseURL: s.URL, CAPEM: ca, PinsSPKI: c.pins})
			_, err := ask(t, r, s.URL)
			if c.ok != (err == nil) {
				t.Fatal(err)
			}
			if !c.ok && !isNotSent(err) {
				t.Fatalf("a wrong pin must prove that nothing was sent: %v", err)
			}
			if reach := r.Reach(t.Context()); c.ok != (reach == nil) {
				t.Fatalf("Reach: %v", reach)
			}
			if seen, err := r.Look(t.Context()); c.ok != (err == nil) || c.ok && (seen.Version < tls.VersionTLS12 || !seen.PeerCertificates[0].Equal(s.Certificate())) {
				t.Fatalf("Look: %v", err)
			}
		})
	}
	t.Run("a pin does not replace the authority", func(t *testing.T) {
		r := open(t, https.Config{BaseURL: s.URL, PinsSPKI: []string{pinOf(s.Certificate())}})
		if _, err := ask(t, r, s.URL); !isNotSent(err) {
			t.Fatal(err)
		}
	})
}

func TestServerName(t *testing.T) {
	s, ca := server(t, nil)
	if _, err := ask(t, open(t, https.Config{BaseURL: s.URL, CAPEM: ca, ServerName: "example.com"}), s.URL); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, open(t, https.Config{BaseURL: s.URL, CAPEM: ca, ServerName: "example.net"}), s.URL); !isNotSent(err) {
		t.Fatal(err)
	}
}

func TestClientCertificate(t *testing.T) {
	seen := make(chan int, 4)
	s, ca := server(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		s.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- len(r.TLS.PeerCertificates) })
	})
	dir := t.TempDir()
	// The server's own pair serves as the client's.
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, caFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"), filepath.Join(dir, "ca.pem")
	for name, data := range map[string][]byte{certFile: ca, caFile: ca, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ask(t, open(t, https.Config{BaseURL: s.URL, CAFile: caFile, ClientPair: func() (tls.Certificate, error) { return tls.LoadX509KeyPair(certFile, keyFile) }}), s.URL); err != nil {
		t.Fatal(err)
	}
	if n := <-seen; n != 1 {
		t.Fatalf("%d client certificates", n)
	}
	if _, err := ask(t, open(t, https.Config{BaseURL: s.URL, CAFile: caFile}), s.URL); err == nil {
		t.Fatal("the server let us in without a certificate")
	}
	if len(seen) != 0 {
		t.Fatal("a request came through")
	}
}

// TestOldSuites: a gateway without forward secrecy is refused unless allowed.
func TestOldSuites(t *testing.T) {
	s, ca := server(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}
	})
	if _, err := ask(t, open(t, https.Config{BaseURL: s.URL, CAPEM: ca}), s.URL); !isNotSent(err) {
		t.Fatal(err)
	}
	c := https.Config{BaseURL: s.URL, CAPEM: ca, AllowRSAKeyExchange: true}
	if _, err := ask(t, open(t, c), s.URL); err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings()) != 1 {
		t.Fatalf("warnings: %q", c.Warnings())
	}
}

// TestSystemAuthorities: nothing of the environment decides whom to believe.
func TestSystemAuthorities(t *testing.T) {
	s, ca := server(t, nil)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	t.Setenv("SSL_CERT_DIR", filepath.Dir(file))
	r := open(t, https.Config{BaseURL: s.URL})
	if _, err := ask(t, r, s.URL); !isNotSent(err) {
		t.Fatalf("an authority of the environment was believed: %v", err)
	}
}

// TestOddProxies: whatever a proxy does wrong, nothing of the request left.
func TestOddProxies(t *testing.T) {
	s, ca := server(t, nil)
	address := strings.TrimPrefix(s.URL, "https://")
	for name, c := range map[string]struct{ kind, user, odd, name, say string }{
		"connect wrong password":   {kind: "connect", user: "box:other", say: "407"},
		"connect refuses":          {kind: "connect", name: "elsewhere.invalid:1", say: "502"},
		"connect 403":              {kind: "connect", odd: "HTTP/1.1 403 No\r\n\r\n", say: "403"},
		"connect redirects":        {kind: "connect", odd: "HTTP/1.1 302 Go\r\nLocation: http://x.invalid\r\n\r\n", say: "302"},
		"connect speaks no HTTP":   {kind: "connect", odd: "SSH-2.0-x\r\n\r\n", say: "does not speak HTTP"},
		"connect hangs up":         {kind: "connect", odd: "HTTP/1.1 200 O", say: "no whole answer"},
		"connect talks for ever":   {kind: "connect", odd: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20<<10), say: "too long"},
		"connect is silent":        {kind: "connect", odd: "mute"},
		"socks5 wrong password":    {kind: "socks5", user: "box:other", say: "authentication failed"},
		"socks5 refuses":           {kind: "socks5", name: "elsewhere.invalid:1", say: "connection refused"},
		"socks5 speaks HTTP":       {kind: "socks5", odd: "HTTP/1.1 400 Bad\r\n\r\n", say: "unexpected protocol version"},
		"socks5 is silent":         {kind: "socks5", odd: "mute"},
		"connect tunnels nowhere":  {kind: "connect", odd: "HTTP/1.1 200 OK\r\n\r\n", say: "TLS"},
		"connect gives a web page": {kind: "connect", odd: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", say: "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			known := c.name
			if known == "" {
				known = address
			}
			f, err := startFront(c.kind, known, address, c.user, c.odd)
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			cfg := https.Config{BaseURL: s.URL, CAPEM: ca,
				Proxy: https.Proxy{Kind: c.kind, Address: f.address(), User: "box", Password: https.NewPassword("s3cret")}}
			if c.odd == "mute" {
				cfg.DialTimeout = 50 * time.Millisecond
			}
			r := open(t, cfg)
			_, err = ask(t, r, s.URL)
			if !isNotSent(err) || !strings.Contains(err.Error(), c.say) {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Fatalf("the password is in %v", err)
			}
			if c.odd == "mute" && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("the time-out cannot be recognised in %v", err)
			}
			if r.Reach(t.Context()) == nil {
				t.Fatal("Reach believes this proxy")
			}
		})
	}
}

// TestRelayThroughProxy: the proxy is asked for the relay, the certificate
// must still be the platform's.
func TestRelayThroughProxy(t *testing.T) {
	s, ca := server(t, nil)
	address := strings.TrimPrefix(s.URL, "https://")
	for _, kind := range []string{"connect", "socks5"} {
		f, err := startFront(kind, "relay.invalid:4433", address, "", "")
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, https.Config{BaseURL: "https://example.com", CAPEM: ca, Relay: "relay.invalid:4433", Proxy: https.Proxy{Kind: kind, Address: f.address()}})
		got, err := ask(t, r, "https://example.com:443/x")
		if err != nil || got != "fine" {
			t.Errorf("%s: %q %v", kind, got, err)
		}
		if seen := f.seen(); len(seen) != 1 || seen[0] != "relay.invalid:4433" {
			t.Errorf("%s was asked for %q", kind, seen)
		}
		f.close()
	}
}

// TestNoDNS: a name that must be looked up is a clear NotSent, nothing else.
func TestNoDNS(t *testing.T) {
	r := open(t, https.Config{BaseURL: "https://pay.example.com"})
	if _, err := ask(t, r, "https://pay.example.com/"); !isNotSent(err) {
		t.Fatal(err)
	}
}

func TestAnswerTooLong(t *testing.T) {
	s, ca := server(t, nil)
	if _, err := ask(t, open(t, https.Config{BaseURL: s.URL, CAPEM: ca, MaxAnswer: 4}), s.URL); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, open(t, https.Config{BaseURL: s.URL, CAPEM: ca, MaxAnswer: 3}), s.URL); err == nil || isNotSent(err) {
		t.Fatal(err)
	}
}

// TestResponseTimeout: a caller without a deadline does not hang, and the
// outcome is unknown.
func TestResponseTimeout(t *testing.T) {
	hold := make(chan struct{})
	s, ca := server(t, func(s *httptest.Server) {
		s.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold })
	})
	defer close(hold)
	for limit := 50 * time.Millisecond; ; limit *= 2 {
		r := open(t, https.Config{BaseURL: s.URL, CAPEM: ca, ResponseTimeout: limit})
		_, err := ask(t, r, s.URL)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if !isNotSent(err) {
			break
		}
		// A busy machine had not written a byte by then, and the way knows it.
		if limit > time.Minute {
			t.Fatal("the request is never sent")
		}
	}
}

// TestTalkers: a server that speaks before it was asked, or twice. Nothing of
// it may reach the process's log, which net/http would write to for a
// connection that idles.
func TestTalkers(t *testing.T) {
	var logged bytes.Buffer
	old := log.Writer()
	log.SetOutput(&logged)
	defer log.SetOutput(old)
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer"
	for name, c := range map[string]struct {
		first, then string
		ok          bool
	}{
		"greeting":     {"220 mail.invalid at your service\r\n", "", false},
		"twice":        {"", good + good, true},
		"with a tail":  {"", good + "OPENID-o1234", true},
		"without body": {"", "HTTP/1.1 204 None\r\n\r\n" + good, true},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ln.Close() }()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c2, err := ln.Accept()
				if err != nil {
					return
				}
				defer func() { _ = c2.Close() }()
				_, _ = io.WriteString(c2, c.first)
				if _, err := http.ReadRequest(bufio.NewReader(c2)); err == nil {
					_, _ = io.WriteString(c2, c.then)
				}
				_, _ = io.Copy(io.Discard, c2)
			}()
			base := "http://" + ln.Addr().String()
			r := open(t, https.Config{BaseURL: base, AllowPlainHTTP: true})
			if _, err := ask(t, r, base); c.ok != (err == nil) {
				t.Fatal(err)
			}
			<-ended // the connection is over, so nobody can log any more
		})
	}
	if logged.Len() != 0 {
		t.Fatalf("logged: %s", logged.String())
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for name, c := range map[string]https.Config{
		"no address":          {},
		"no scheme":           {BaseURL: "pay.example.com"},
		"odd scheme":          {BaseURL: "ftp://pay.example.com"},
		"plain not allowed":   {BaseURL: "http://pay.example.com"},
		"no host":             {BaseURL: "https:///x"},
		"user in address":     {BaseURL: "https://u:s3cret@pay.example.com"},
		"not a URL":           {BaseURL: "https://u:s3cret@pay.example.com:x/%zz"},
		"query":               {BaseURL: "https://pay.example.com?x=1"},
		"relay without port":  {BaseURL: "https://pay.example.com", Relay: "10.0.0.1"},
		"relay is a URL":      {BaseURL: "https://pay.example.com", Relay: "http://10.0.0.1:80"},
		"proxy kind missing":  {BaseURL: "https://pay.example.com", Proxy: https.Proxy{Address: "10.0.0.1:80"}},
		"proxy kind unknown":  {BaseURL: "https://pay.example.com", Proxy: https.Proxy{Kind: "http", Address: "10.0.0.1:80"}},
		"proxy address":       {BaseURL: "https://pay.example.com", Proxy: https.Proxy{Kind: "connect"}},
		"proxy user":          {BaseURL: "https://pay.example.com", Proxy: https.Proxy{Kind: "connect", Address: "10.0.0.1:80", User: "a:b"}},
		"pin is no sum":       {BaseURL: "https://pay.example.com", PinsSPKI: []string{"abcd"}},
		"CA file missing":     {BaseURL: "https://pay.example.com", CAFile: filepath.Join(t.TempDir(), "none")},
		"CA is no PEM":        {BaseURL: "https://pay.example.com", CAPEM: []byte("x")},
		"client pair missing": {BaseURL: "https://pay.example.com", ClientPair: func() (tls.Certificate, error) { return tls.Certificate{}, os.ErrNotExist }},
		"pins without TLS":    {BaseURL: "http://pay.example.com", AllowPlainHTTP: true, PinsSPKI: []string{"x"}},
	} {
		_, err := https.New(c)
		if err == nil || !strings.HasPrefix(err.Error(), "cannot ") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	if got := (https.Config{BaseURL: "HTTP://pay.example.com", AllowPlainHTTP: true}).Warnings(); len(got) != 1 {
		t.Errorf("plain: %q", got)
	}
	if got := (https.Config{BaseURL: "https://pay.example.com", AllowPlainHTTP: true}).Warnings(); len(got) != 0 {
		t.Errorf("TLS: %q", got)
	}
}

func TestPasswordHides(t *testing.T) {
	c := https.Config{Proxy: https.Proxy{User: "box", Password: https.NewPassword("s3cret")}}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(j), fmt.Sprintf("%v %+v %#v %s %q %x", c, c, c, c.Proxy.Password, c.Proxy.Password, c.Proxy.Password), c.Proxy.Password.LogValue().String(), c.Proxy.Password.String(), c.Proxy.Password.GoString()} {
		if strings.Contains(s, "s3cret") || strings.Contains(s, fmt.Sprintf("%x", "s3cret")) {
			t.Errorf("the password shows in %s", s)
		}
	}
}
