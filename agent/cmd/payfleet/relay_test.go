package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
	"payagent/uplink/mqtt"
	"payagent/uplink/uplinktest"
)

// output collects what a running command says.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// opened gives the address of a section that the log says is open.
func (o *output) opened(section string) string {
	for line := range strings.SplitSeq(o.String(), "\n") {
		var l struct{ Msg, Section, Address string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "open" && l.Section == section {
			return l.Address
		}
	}
	return ""
}

// relaySite is a hospital with a broker, a platform and the settings of a
// relay.
type relaySite struct {
	t      *testing.T
	dir    string
	broker *uplinktest.MosquittoBroker
	boxes  *ca.Authority
	key    string // public
	file   string
	calls  []string
	mu     sync.Mutex
}

const relayACL = `user relay
topic read payagent/+/+/relay/req
topic write payagent/+/+/relay/#
user spy
topic read #
pattern write payagent/H1/%u/relay/req
pattern readwrite payagent/H1/%u/relay/ans
pattern readwrite payagent/H1/%u/relay/wake
`

func newRelaySite(t *testing.T) *relaySite {
	t.Helper()
	s := &relaySite{t: t, dir: t.TempDir(), broker: uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{TLS: true, Persist: true, ACL: relayACL})}
	var err error
	if s.boxes, err = newBoxCA(t); err != nil {
		t.Fatal(err)
	}
	platform := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.calls = append(s.calls, string(body))
		s.mu.Unlock()
		_, _ = io.WriteString(w, "answer to "+string(body))
	}))
	t.Cleanup(platform.Close)
	cert, key, err := s.broker.CA.Issue("relay")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"broker-ca.pem": s.broker.CA.PEM, "relay.pem": cert, "relay-key.pem": key, "box-ca.pem": s.boxes.Certificate(),
		"platform.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: platform.Certificate().Raw}),
		"relay.yaml": []byte(`
broker: ` + s.broker.URL + `
ca_file: broker-ca.pem
cert_file: relay.pem
key_file: relay-key.pem
server_name: ` + uplinktest.ServerName + `
sites: [H1]
boxes: ["H1/B*"]
except: [H1/B9]
box_ca_file: box-ca.pem
relay_key_file: relay.key
ids_file: ids.db
client_id: relay-1
platforms:
  - {name: pay, url: "` + platform.URL + `/gateway", ca_file: platform.pem, notify_reply: OK, dial_timeout: 1m}
health: {listen: ["127.0.0.1:0"]}
notify: {listen: ["127.0.0.1:0"]}
`)} {
		if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.file = filepath.Join(s.dir, "relay.yaml")
	for range 2 { // made once, printed as often as one likes
		said := s.say("relay", "key", "--key-file", filepath.Join(s.dir, "relay.key"))
		if s.key != "" && s.key != said {
			t.Error("the key was made anew")
		}
		s.key = said
	}
	if said := s.say("relay", "check", "--file", s.file); !strings.Contains(said, "/gateway") || !strings.Contains(said, "H1/B*") {
		t.Errorf("the check says %s", said)
	}
	return s
}

func (s *relaySite) say(args ...string) string {
	s.t.Helper()
	var out bytes.Buffer
	if err := command(s.t.Context(), args, console{strings.NewReader(""), &out, io.Discard, os.Getenv}); err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// newBoxCA is the authority of the boxes, as payfleet ca makes it.
func newBoxCA(t *testing.T) (*ca.Authority, error) {
	return ca.Init(filepath.Join(t.TempDir(), "ca"), "test", ca.Bounds{Sites: []string{"H1"}}, fleet.Settings{Broker: "mqtts://b:8883", Root: "payagent"}, time.Now)
}

// enrolled is a box with its key and the authority's certificate for it.
func enrolled(t *testing.T, a *ca.Authority, box string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Sign(fleet.EnrolRequest{CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}, "H1", box)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(got.Certificate))
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

// run runs the relay until the returned func is called.
func (s *relaySite) run() (*output, func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, ended := &output{}, make(chan error, 1)
	go func() {
		ended <- command(ctx, []string{"relay", "--file", s.file}, console{strings.NewReader(""), io.Discard, out, os.Getenv})
	}()
	var once sync.Once
	end := func() {
		once.Do(func() {
			stop()
			if err := <-ended; err != nil {
				s.t.Errorf("the relay ended: %v\n%s", err, out)
			}
		})
	}
	s.t.Cleanup(end)
	s.until("the relay's start", func() bool {
		at := out.opened("health")
		if at == "" {
			return false
		}
		resp, err := http.Get("http://" + at + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return out, end
}

func (s *relaySite) until(what string, good func() bool) {
	s.t.Helper()
	for guard := time.Now().Add(4 * time.Minute); !good(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(guard) {
			s.t.Fatal(what + " takes too long")
		}
	}
}

// box opens a box's way to the platform.
func (s *relaySite) box(name, platform string, woken func(string, string)) *mqtt.Route {
	s.t.Helper()
	pair := enrolled(s.t, s.boxes, name)
	cert, key, err := s.broker.CA.Issue(name)
	if err != nil {
		s.t.Fatal(err)
	}
	give := func(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }
	bus, err := mqtt.Open(mqtt.Config{Broker: s.broker.URL, ClientID: name, ServerName: uplinktest.ServerName, CA: give(s.broker.CA.PEM), Cert: give(cert), Key: give(key),
		Every: 100 * time.Millisecond, Phase: func() time.Duration { return 0 }})
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := base64.StdEncoding.DecodeString(s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	tunnel, err := mqtt.NewTunnel(mqtt.TunnelConfig{Bus: bus, Root: "payagent", Site: "H1", Box: name, RelayKey: public, Woken: woken, Again: 200 * time.Millisecond,
		Identity: func() (tls.Certificate, error) { return pair, nil }})
	if err != nil {
		s.t.Fatal(err)
	}
	route, err := tunnel.Route(mqtt.RouteConfig{BaseURL: platform, DialTimeout: 2 * time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = route.Close()
		_ = tunnel.Close()
		_ = bus.Close()
	})
	return route
}

func (s *relaySite) pay(route *mqtt.Route, address, text string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, address, strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := route.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "answer to "+text {
		s.t.Fatalf("%q %v", body, err)
	}
}

// platformURL reads the address of the only platform from the settings.
func (s *relaySite) platformURL() string {
	s.t.Helper()
	o, err := loadRelay(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	return o.Platforms[0].URL
}

// TestRelayCommand: the command as it is run at a site, over mosquitto with TLS
// and the access list of the documentation; its broker and it are stopped and
// started again, a notification wakes the box, and nobody who listens at the
// broker reads a payment code.
func TestRelayCommand(t *testing.T) {
	s := newRelaySite(t)
	out, stop := s.run()
	address := s.platformURL()
	woken := make(chan string, 4)
	spied := s.spy()
	route := s.box("B1", address, func(platform, order string) { woken <- platform + " " + order })
	const code = "134567890123456789"
	s.pay(route, address, code)
	if err := route.Reach(t.Context()); err != nil {
		t.Error(err)
	}

	resp, err := http.Get("http://" + out.opened("notify") + "/notify/H1/B1/pay?out_trade_no=MZ1")
	if err != nil {
		t.Fatal(err)
	}
	word, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || string(word) != "OK" {
		t.Errorf("the platform reads %d %q", resp.StatusCode, word)
	}
	select {
	case got := <-woken:
		if !strings.HasSuffix(got, " MZ1") || !strings.HasPrefix(got, strings.TrimSuffix(address, "/gateway")) {
			t.Errorf("woken for %q", got)
		}
	case <-time.After(4 * time.Minute):
		t.Error("the box was not woken")
	}
	resp, err = http.Get("http://" + out.opened("health") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	figures, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(figures), `payagent_relay_calls_total{platform="pay",outcome="answered"} 1`) {
		t.Errorf("the figures are\n%s", figures)
	}

	s.broker.Kill()
	if err := s.broker.Start(); err != nil {
		t.Fatal(err)
	}
	s.pay(route, address, code+"2")
	stop()
	if strings.Contains(out.String(), code) {
		t.Error("the log holds a payment code")
	}
	_, stop = s.run()
	s.pay(route, address, code+"3")
	other := s.box("B9", address, nil)
	if err := other.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "does not serve") {
		t.Errorf("a box that is taken out: %v", err)
	}
	stop()
	s.mu.Lock()
	if len(s.calls) != 3 {
		t.Errorf("the platform was called %d times", len(s.calls))
	}
	s.mu.Unlock()
	heard := spied()
	if len(heard) < 4<<10 || bytes.Contains(heard, []byte("13456789")) || bytes.Contains(heard, []byte("gateway")) {
		t.Errorf("whoever listens at the broker heard %d bytes, and what was in them", len(heard))
	}
	if data, err := os.ReadFile(filepath.Join(s.dir, "ids.db")); err != nil || bytes.Contains(data, []byte("13456789")) {
		t.Error("the file of ids holds more than ids", err)
	}
}

// spy listens to everything with mosquitto_sub; the func gives what it heard.
func (s *relaySite) spy() func() []byte {
	s.t.Helper()
	cmd := s.broker.Tool(s.t, "mosquitto_sub", "spy", "-t", "#", "-F", "%t %p")
	var heard output
	cmd.Stdout = &heard
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.until("the listener's start", func() bool {
		return strings.Contains(s.broker.Log(), "SUBACK") && strings.Contains(s.broker.Log(), "spy")
	})
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return func() []byte {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return []byte(heard.String())
	}
}

// TestRelaySettings: what is wrong in the settings is named, and nothing starts.
func TestRelaySettings(t *testing.T) {
	const good = `
broker: mqtts://b:8883
ca_file: ca.pem
box_ca_file: ca.pem
relay_key_file: relay.key
ids_file: ids.db
platforms: [{name: pay, url: "https://pay.invalid/gateway"}]
`
	for name, c := range map[string]struct{ old, repl, want string }{
		"unknown key":    {"ids_file", "id_file", "id_file"},
		"no broker":      {"broker: mqtts://b:8883", "", "broker"},
		"plain broker":   {"mqtts://b:8883", "mqtt://b:1883", "without TLS"},
		"no key":         {"relay_key_file: relay.key", "", "relay_key_file"},
		"no ids":         {"ids_file: ids.db", "", "ids_file"},
		"no platform":    {`platforms: [{name: pay, url: "https://pay.invalid/gateway"}]`, "", "platforms"},
		"twice":          {`}]`, `}, {name: pay, url: "https://x.invalid"}]`, "stands twice"},
		"plain platform": {"https://pay", "http://pay", "plain http"},
		"boxes":          {"broker:", "boxes: [B1]\nbroker:", "site/box"},
		"bad site":       {"broker:", "sites: [a/b]\nbroker:", "sites"},
		"unnamed":        {"name: pay, ", "", "name"},
	} {
		file := filepath.Join(t.TempDir(), "relay.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(good, c.old, c.repl, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		err := command(t.Context(), []string{"relay", "check", "--file", file}, console{strings.NewReader(""), io.Discard, io.Discard, os.Getenv})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	shared := filepath.Join(t.TempDir(), "relay.key")
	if err := os.WriteFile(shared, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := command(t.Context(), []string{"relay", "key", "--key-file", shared}, console{strings.NewReader(""), io.Discard, io.Discard, os.Getenv}); err == nil {
		t.Error("a key that all can read was taken")
	}
}
