package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
)

// certificate writes a self-signed pair for 127.0.0.1, which vouches for itself.
func certificate(t *testing.T) (config.TLS, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: serial.String()}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{c.Cert: {Type: "CERTIFICATE", Bytes: der}, c.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return c, pool
}

func get(t *testing.T, c *http.Client, method, url, body string, head ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// serve starts a listener and gives its address; it is stopped with the test.
func serve(t *testing.T, o Options, h http.Handler) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	opened, ended := make(chan []string, 1), make(chan error, 1)
	o.Opened = func(a []string) { opened <- a }
	go func() { ended <- Serve(ctx, o, func([]string) http.Handler { return h }) }()
	select {
	case a := <-opened:
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return a[0]
	case err := <-ended:
		stop()
		t.Fatal(err)
	}
	return ""
}

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "too much", http.StatusRequestEntityTooLarge)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %d", r.Proto, len(b))
}

func client(t *testing.T, conf *tls.Config) *http.Client {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// What is opened how: loopback plainly, the rest with TLS or only as told.
func TestOpen(t *testing.T) {
	pair, _ := certificate(t)
	for name, c := range map[string]config.Listener{
		"nothing named":        {},
		"every network":        {Listen: []string{"0.0.0.0:0"}},
		"every network v6":     {Listen: []string{"[::]:0"}},
		"no address":           {Listen: []string{"localhost:0"}},
		"LAN without TLS":      {Listen: []string{"127.0.0.1:0", "192.0.2.1:0"}},
		"not ours":             {Listen: []string{"127.0.0.1:0", "192.0.2.1:0"}, AcceptPlainHTTP: true},
		"missing key":          {Listen: []string{"127.0.0.1:0"}, TLS: config.TLS{Cert: pair.Cert, Key: "/none"}},
		"key for a cert":       {Listen: []string{"127.0.0.1:0"}, TLS: config.TLS{Cert: pair.Key, Key: pair.Key}},
		"second of no form":    {Listen: []string{"127.0.0.1:0", "x"}},
		"clients without tls":  {Listen: []string{"127.0.0.1:0"}, ClientCA: pair.Cert},
		"clients without file": {Listen: []string{"127.0.0.1:0"}, TLS: pair, ClientCA: "/none"},
		"clients without cert": {Listen: []string{"127.0.0.1:0"}, TLS: pair, ClientCA: pair.Key},
		"no network":           {Listen: []string{"127.0.0.1:0"}, Allow: []string{"10.1.2.3/8"}},
	} {
		err := Serve(context.Background(), Options{Key: "books", At: c}, func([]string) http.Handler { return nil })
		if err == nil || !strings.HasPrefix(err.Error(), "cannot open") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The machine's own LAN address, where it has one.
	lan := ""
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			lan = n.IP.String()
		}
	}
	if lan == "" {
		t.Log("this machine has no LAN address")
	} else if list, err := open(context.Background(), Options{At: config.Listener{Listen: []string{lan + ":0"}}}, nil, slog.New(slog.DiscardHandler)); err == nil {
		_ = list[0].Close()
		t.Error("a LAN address was opened without TLS")
	}
}

// TLS as the configuration has it: version 1.2 at least, HTTP/2, and where
// clients must show a certificate, loopback is no exception.
func TestClientCertificate(t *testing.T) {
	pair, pool := certificate(t)
	known, _ := certificate(t)
	stranger, _ := certificate(t)
	at := serve(t, Options{Key: "books", At: config.Listener{Listen: []string{"127.0.0.1:0"}, TLS: pair, ClientCA: known.Cert}}, http.HandlerFunc(echo))
	conf := func(c *config.TLS) *tls.Config {
		x := &tls.Config{RootCAs: pool}
		if c != nil {
			p, err := tls.LoadX509KeyPair(c.Cert, c.Key)
			if err != nil {
				t.Fatal(err)
			}
			x.Certificates = []tls.Certificate{p}
		}
		return x
	}
	if status, proto := get(t, client(t, conf(&known)), "GET", "https://"+at+"/", ""); status != 200 || proto != "HTTP/2.0 0" {
		t.Errorf("%d %s", status, proto)
	}
	for name, c := range map[string]*tls.Config{"nobody": conf(nil), "a stranger": conf(&stranger)} {
		if resp, err := client(t, c).Get("https://" + at + "/"); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s was let in", name)
		}
	}
	if resp, err := client(t, nil).Get("http://" + at + "/"); err == nil {
		if resp.StatusCode == 200 {
			t.Error("plain HTTP was let in")
		}
		_ = resp.Body.Close()
	}
	old := conf(&known)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if c, err := tls.Dial("tcp", at, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is taken")
	}
}

// Who may call, and what a program's listener takes.
func TestGuard(t *testing.T) {
	var log strings.Builder
	open := serve(t, Options{Key: "facade", Programs: true, At: config.Listener{Listen: []string{"127.0.0.1:0"}, Allow: []string{"10.0.0.0/8", "127.0.0.1"}}}, http.HandlerFunc(echo))
	shut := serve(t, Options{Key: "facade", Programs: true, At: config.Listener{Listen: []string{"127.0.0.1:0"}, Allow: []string{"10.0.0.0/8", "::1"}},
		Logger: slog.New(slog.NewTextHandler(&log, nil))}, http.HandlerFunc(echo))
	page := serve(t, Options{Key: "callback", At: config.Listener{Listen: []string{"127.0.0.1:0"}}}, http.HandlerFunc(echo))
	c := client(t, nil)
	big := strings.Repeat("x", MaxBody+1)
	for _, x := range []struct {
		name, at, body string
		head           []string
		want           int
	}{
		{"fine", open, "x", nil, 200},
		{"as much as there may be", open, big[1:], nil, 200},
		{"too much", open, big, nil, 413},
		{"a page", open, "x", []string{"Origin", "http://his.example"}, 403},
		{"a page of nowhere", open, "x", []string{"Origin", ""}, 403},
		{"a page of ours", open, "x", []string{"Sec-Fetch-Site", "same-origin"}, 403},
		{"not allowed", shut, "x", nil, 403},
		{"a page where pages are", page, big, []string{"Origin", "http://his.example"}, 200},
	} {
		if status, body := get(t, c, "POST", "http://"+x.at+"/", x.body, x.head...); status != x.want {
			t.Errorf("%s: %d %s", x.name, status, body)
		} else if x.name == "not allowed" && !strings.Contains(body, "facade.allow") {
			t.Errorf("%s: %s", x.name, body)
		}
	}
	if !strings.Contains(log.String(), "not allowed") {
		t.Errorf("the log says nothing: %s", log.String())
	}
	allowed, err := networks(Options{At: config.Listener{Allow: []string{"10.1.0.0/16", "2001:db8::/32", "::ffff:192.0.2.7"}}})
	if err != nil {
		t.Fatal(err)
	}
	for remote, want := range map[string]bool{"10.1.2.3:1": true, "[::ffff:10.1.2.3]:1": true, "10.2.0.1:1": false, "[2001:db8::1%eth0]:1": true, "192.0.2.7:9": true, "192.0.2.8:9": false, "": false, "@": false} {
		if within(allowed, remote) != want {
			t.Errorf("%q: %v", remote, !want)
		}
	}
}

// A full house waits; a place that is given back is taken; closing ends it.
func TestLimited(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, nil)
	for range maxConns - 1 {
		l.places <- struct{}{}
	}
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	first := <-accepted
	if len(l.places) != maxConns {
		t.Errorf("%d places are taken", len(l.places))
	}
	_, _ = first.Close(), first.Close() // twice gives back one place
	second := <-accepted
	if len(l.places) != maxConns {
		t.Errorf("%d places are taken", len(l.places))
	}
	_ = l.Close()
	for range accepted {
	}
	_ = second.Close()
}

// Whoever is not allowed takes no place from those who are: a few are let in to
// be told, the rest are closed at once.
func TestStrangersTakeNoPlace(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, maxStrangers)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	var last net.Conn
	for range maxStrangers + 1 {
		if last, err = net.Dial("tcp", inner.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = last.Close() }()
	}
	if _, err := last.Read(make([]byte, 1)); err == nil {
		t.Error("one too many was not closed")
	}
	for range maxStrangers {
		defer func(c net.Conn) { _ = c.Close() }(<-accepted)
	}
	if len(l.strangers) != maxStrangers || len(l.places) > 1 {
		t.Errorf("%d strangers, %d places taken", len(l.strangers), len(l.places))
	}
}
