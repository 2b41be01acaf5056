package door

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/access"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/mem"
)

type anyone struct{}

func (anyone) Check(platforms.Hidden) (access.Token, bool) {
	return access.Token{Name: "t", Scopes: []access.Scope{access.Collect, access.Admin}}, true
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer x")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// On real sockets: the addresses named are served; a wait, a stream and a slow
// client end when the door closes.
func TestServe(t *testing.T) {
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) {
		c.Door.Listen = []string{"127.0.0.1:0", "[::1]:0"}
		if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
			c.Door.Listen = c.Door.Listen[:1] // a machine without IPv6
		} else {
			_ = l.Close()
		}
	}})
	ctx, stop := context.WithCancel(context.Background())
	opened, ended := make(chan []string, 1), make(chan error, 1)
	var log strings.Builder
	go func() {
		ended <- Serve(ctx, w.Agent, Options{Tokens: anyone{}, Opened: func(a []string) { opened <- a }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	}()
	addresses := <-opened
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, at := range addresses {
		_, port, _ := net.SplitHostPort(at)
		if status, body := get(t, client, "http://"+at+"/healthz"); status != 200 {
			t.Errorf("%s: %d %s", at, status, body)
		}
		if strings.HasPrefix(at, "127") {
			if status, body := get(t, client, "http://localhost:"+port+"/healthz"); status != 200 {
				t.Errorf("localhost: %d %s", status, body)
			}
		}
	}
	at := addresses[0]
	req, _ := http.NewRequest(http.MethodGet, "http://"+at+"/v1/events", nil)
	req.Header.Set("Authorization", "Bearer x")
	stream, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	// One that sends half a header and sits there.
	slow, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := io.WriteString(slow, "GET /healthz HTTP/1.1\r\nHost: "); err != nil {
		t.Fatal(err)
	}
	// Headers without end are refused.
	big, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = big.Close() }()
	_, _ = io.WriteString(big, "GET /healthz HTTP/1.1\r\nHost: "+at+"\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if answer, _ := io.ReadAll(big); !strings.Contains(string(answer), "431") {
		t.Errorf("large headers: %.80s", answer)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream was torn: %v", err)
	}
	if c, err := net.Dial("tcp", at); err == nil {
		_ = c.Close()
		t.Error("the address is still open")
	}
	if !strings.Contains(log.String(), "standing warning") {
		t.Error("no standing warning in the log")
	}
}

// certificate writes a self-signed pair for 127.0.0.1.
func certificate(t *testing.T) (config.TLS, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
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
	cert, _ := x509.ParseCertificate(der)
	pool.AddCert(cert)
	return c, pool
}

// What is opened how: loopback plainly, the rest with TLS or only as told.
func TestOpen(t *testing.T) {
	pair, pool := certificate(t)
	for name, c := range map[string]config.Door{
		"nothing named":     {},
		"every network":     {Listen: []string{"0.0.0.0:0"}},
		"every network v6":  {Listen: []string{"[::]:0"}},
		"no address":        {Listen: []string{"localhost:0"}},
		"LAN without TLS":   {Listen: []string{"127.0.0.1:0", "192.0.2.1:0"}},
		"not ours":          {Listen: []string{"127.0.0.1:0", "192.0.2.1:0"}, AcceptPlainHTTP: true},
		"missing key":       {Listen: []string{"127.0.0.1:0"}, TLS: config.TLS{Cert: pair.Cert, Key: "/none"}},
		"key for a cert":    {Listen: []string{"127.0.0.1:0"}, TLS: config.TLS{Cert: pair.Key, Key: pair.Key}},
		"second of no form": {Listen: []string{"127.0.0.1:0", "x"}},
	} {
		list, err := open(context.Background(), c)
		if err == nil || list != nil {
			t.Errorf("%s: %v", name, err)
		} else if !strings.HasPrefix(err.Error(), "cannot open") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The machine's own LAN address, where it has one, with TLS.
	lan := ""
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			lan = n.IP.String()
		}
	}
	if lan == "" {
		t.Log("this machine has no LAN address; TLS is tested below on loopback only")
	} else if list, err := open(context.Background(), config.Door{Listen: []string{lan + ":0"}}); err == nil {
		_ = list[0].Close()
		t.Error("a LAN address was opened without TLS")
	}
	secure, err := secured(pair)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(tls.NewListener(limit(inner), secure)) }()
	defer func() { _ = server.Close(); <-done }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	if status, proto := get(t, client, "https://"+inner.Addr().String()+"/"); status != 200 || proto != "HTTP/2.0" {
		t.Errorf("%d %s", status, proto)
	}
	client.CloseIdleConnections()
	if c, err := tls.Dial("tcp", inner.Addr().String(), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is taken")
	}
}

// A full house waits; a place that is given back is taken; closing ends it.
func TestLimited(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner)
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

// With a store that cannot be opened the door stays up, refuses, and says why.
func TestRefuse(t *testing.T) {
	var c config.Config
	c.Door.Listen = []string{"127.0.0.1:8780"}
	for _, why := range []error{queue.ErrNewer, fmt.Errorf("x: %w", queue.ErrDamaged), errors.New("SECRET place")} {
		h := refusing(c, Options{Addresses: c.Door.Listen}, why)
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/v1/orders": 503, "/kiosk": 503} {
			rec := &answerTo{head: http.Header{}}
			req, _ := http.NewRequest(http.MethodPost, path, nil)
			req.Host = "127.0.0.1:8780"
			h.ServeHTTP(rec, req)
			if rec.status != want || strings.Contains(rec.body.String(), "SECRET") {
				t.Errorf("%s: %d %s", path, rec.status, rec.body.String())
			}
			if path == "/v1/orders" {
				var p problemView
				if err := json.Unmarshal([]byte(rec.body.String()), &p); err != nil || p.Code != "store_stopped" || p.Cash.Answer != "no" || rec.head.Get("Retry-After") == "" {
					t.Errorf("%v %s", err, rec.body.String())
				}
			}
			if path == "/readyz" && errors.Is(why, queue.ErrNewer) && !strings.Contains(rec.body.String(), queue.ErrNewer.Error()) {
				t.Errorf("%s", rec.body.String())
			}
			req.Host = "evil.example"
			rec = &answerTo{head: http.Header{}}
			if h.ServeHTTP(rec, req); rec.status != 421 {
				t.Errorf("%d", rec.status)
			}
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	c.Door.Listen = []string{"127.0.0.1:0"}
	if err := Refuse(ctx, c, queue.ErrDamaged); err != nil {
		t.Error(err)
	}
}

type answerTo struct {
	head   http.Header
	status int
	body   strings.Builder
}

func (a *answerTo) Header() http.Header         { return a.head }
func (a *answerTo) WriteHeader(s int)           { a.status = s }
func (a *answerTo) Write(p []byte) (int, error) { return a.body.Write(p) }

// A handler that panics is a 500 that says nothing of what it was about.
func TestPanic(t *testing.T) {
	var log strings.Builder
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})})
	h := New(w.Agent, Options{Tokens: panics{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	rec := &answerTo{head: http.Header{}}
	req, _ := http.NewRequest(http.MethodGet, "/v1/orders/1", nil)
	req.Host = "127.0.0.1:8780"
	req.Header.Set("Authorization", "Bearer x")
	h.ServeHTTP(rec, req)
	if rec.status != 500 || !strings.Contains(rec.body.String(), `"code":"internal"`) || strings.Contains(rec.body.String()+log.String(), "SECRET") || !strings.Contains(log.String(), "failed inside") {
		t.Errorf("%d %s %s", rec.status, rec.body.String(), log.String())
	}
}

type panics struct{}

func (panics) Check(platforms.Hidden) (access.Token, bool) { panic("SECRET") }

// Every code the counter refuses with, and every problem's words, have a
// status and a place in the description.
func TestEveryProblemHasWordsAndStatus(t *testing.T) {
	var doc struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct {
						Code struct{ Enum []string } `json:"code"`
					} `json:"properties"`
				}
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	d := &door{words: wordsForTest()}
	codes := doc.Components.Schemas.Problem.Properties.Code.Enum
	if len(codes) < 30 {
		t.Fatal(codes)
	}
	for _, code := range codes {
		if status, _ := statusOf(code); (status == 500) != (code == "internal") {
			t.Errorf("%s has status %d", code, status)
		}
		if e, ok := d.words.Find("problem", code); !ok || e.Cashier.Empty() || e.Next.Empty() {
			t.Errorf("%s has no words", code)
		}
	}
	for _, code := range refusals(t) {
		if status, _ := statusOf(code); status == 500 {
			t.Errorf("the counter's %s has no status", code)
		}
		found := false
		for _, c := range codes {
			found = found || c == code
		}
		if !found {
			t.Errorf("the counter's %s is not described", code)
		}
	}
}
