package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/platforms/bank"
	"payagent/platforms/fwc/fwctest"
	"payagent/uplink/https"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// enrolledAt writes what a box of a site gets when it is enrolled, and gives the
// section fleet that it then has.
func enrolledAt(t *testing.T, s *relaytest.Site, dir, box, broker string) config.Fleet {
	t.Helper()
	pair, err := relaytest.Identity(s.Authority, box, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	f := config.Fleet{Broker: broker, Root: relaytest.Root, Site: relaytest.Hospital, Box: box, CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	for name, block := range map[string]*pem.Block{f.CertFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, f.KeyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	public, err := relay.PublicKey(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	f.RelayKey = base64.StdEncoding.EncodeToString(public)
	return f
}

// arrival is one request that the platform got.
type arrival struct {
	from, trace string
	order       string
	pays        bool
}

// twoWays is a till whose first way is the hospital's line and whose second is
// the relay behind the broker.
type twoWays struct {
	t             *testing.T
	file, address string
	line          *uplinktest.Proxy
	lost          chan struct{} // closed when the first payment is at the platform, whose answers by the line do not come

	mu  sync.Mutex
	all []arrival
}

// The platform sees where requests come from.
const byLine, byRelay = "127.0.0.1", "127.0.0.3"

func newTwoWays(t *testing.T) *twoWays {
	t.Helper()
	w := &twoWays{t: t, lost: make(chan struct{})}
	platform := fwctest.Handler(bank.New(bank.Options{}), fwctest.Options{})
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		a := w.note(r, body)
		if a.order != "M01" || a.from != byLine {
			platform.ServeHTTP(rw, r)
			return
		}
		platform.ServeHTTP(httptest.NewRecorder(), r) // it charges, and nobody hears of it
		if a.pays {
			close(w.lost)
		}
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	at := strings.TrimPrefix(srv.URL, "http://")
	w.line = uplinktest.NewProxy(t, at)

	broker := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{})
	s, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	side, err := mqtt.Open(mqtt.Config{Broker: broker.URL, ClientID: "relay", Every: time.Second, Phase: func() time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = side.Close() })
	out, err := https.New(https.Config{BaseURL: srv.URL, AllowPlainHTTP: true, From: byRelay, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	r, err := s.Relay(side, []relay.Platform{{Name: "pay", Address: srv.URL + "/linkingif.asmx", Way: out}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	up(t, side)

	w.file, w.address = site(t)
	text, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(w.file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(addressOf(c.Platforms[0].URL)), []byte(srv.URL), 1)
	text = bytes.Replace(text, []byte("allow_plain_http: true"), fmt.Appendf(nil, "allow_plain_http: true, traceparent: true, dial_timeout: 1m, relay: %q, second_way: {uplink: mqtt}", w.line.Addr), 1)
	f := enrolledAt(t, s, filepath.Dir(w.file), relaytest.Box, broker.URL)
	text = fmt.Appendf(text, "policy: "+patient+"\nfleet: {broker: %q, accept_plain: true, root: %s, site: %s, box: %s, cert_file: %s, key_file: %s, relay_key: %q, connect_within: 100ms}\n",
		f.Broker, f.Root, f.Site, f.Box, f.CertFile, f.KeyFile, f.RelayKey)
	if err := os.WriteFile(w.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// note writes a request down.
func (w *twoWays) note(r *http.Request, body []byte) arrival {
	a := arrival{pays: bytes.Contains(body, []byte(codeOfTwoWays))}
	a.from, _, _ = net.SplitHostPort(r.RemoteAddr)
	if h := strings.Split(r.Header.Get("Traceparent"), "-"); len(h) == 4 {
		a.trace = h[1]
	}
	for _, order := range []string{"M01", "M02"} {
		if bytes.Contains(body, []byte(order)) {
			a.order = order
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, a)
	return a
}

// codeOfTwoWays begins the payment codes.
const codeOfTwoWays = "1300000000000000"

// begin has a bill paid; its order is given at once.
func (w *twoWays) begin(order string) map[string]any {
	return post(w.t, w.file, w.address, "/v1/orders", order, map[string]any{"bill": "B" + order, "out_trade_no": order, "amount_fen": 12850, "mode": "charge", "order_type": "TREATMENT",
		"subject": "test", "till": "w1", "auth_code": codeOfTwoWays + order[1:], "operator": map[string]any{"id": "1001", "name": "王收费"},
		"patient": map[string]any{"name": "张三丰", "card_no": "C1", "card_type": "medical_card", "admission_no": "A1"}})
}

// paid waits until an order is.
func (w *twoWays) paid(order string) {
	w.t.Helper()
	var o struct{ State string }
	for end := time.Now().Add(2 * time.Minute); o.State != "paid"; {
		if time.Now().After(end) {
			w.t.Fatalf("%s stays %s: %+v", order, o.State, w.of(order))
		}
		out, err := askOnce(w.t, w.file, "/v1/orders/"+order+"?wait=20s")
		if err == nil {
			err = json.Unmarshal(out, &o)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// of gives what arrived of an order.
func (w *twoWays) of(order string) (list []arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.all {
		if a.order == order {
			list = append(list, a)
		}
	}
	return list
}

// TestSecondWayThroughTheRelay: the line dies with a payment's answer on it.
// The payment is not sent again: a question by the relay finds that it was
// paid, and the next payment goes there as a whole. The platform is told each
// order's trace on both ways.
func TestSecondWayThroughTheRelay(t *testing.T) {
	w := newTwoWays(t)
	stop := startSite(t, w.file)
	orders := map[string]map[string]any{"M01": w.begin("M01")}
	select {
	case <-w.lost:
	case <-time.After(2 * time.Minute):
		t.Fatal("the payment does not arrive")
	}
	w.line.Close()
	w.paid("M01")
	orders["M02"] = w.begin("M02")
	w.paid("M02")
	out, err := askOnce(t, w.file, "/v1/capabilities")
	if err != nil || !bytes.Contains(out, []byte(`"second_way":{"in_use":true`)) {
		t.Errorf("%v: %s", err, out)
	}
	stop()
	for order, at := range map[string]string{"M01": byLine, "M02": byRelay} {
		pays, asks := 0, 0
		for _, a := range w.of(order) {
			switch {
			case a.trace != orders[order]["trace_id"]:
				t.Errorf("%s has the trace %v: %+v", order, orders[order]["trace_id"], a)
			case a.pays && a.from == at:
				pays++
			case !a.pays && a.from == byRelay:
				asks++
			case !a.pays && order == "M01": // before the line's end
			default:
				t.Errorf("%s went another way: %+v", order, a)
			}
		}
		if pays != 1 || order == "M01" && asks == 0 {
			t.Errorf("%s was paid %d times, and asked for %d times", order, pays, asks)
		}
	}
}

// TestTunnelWhileRenewed: while the certificate is being renewed, and its new key
// has no certificate yet, requests go on with what was good before.
func TestTunnelWhileRenewed(t *testing.T) {
	s, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config{Fleet: enrolledAt(t, s, t.TempDir(), relaytest.Box, "mqtt://127.0.0.1:1")}
	tunnel, err := unconnected(c)()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tunnel.Close() }()
	route, err := tunnel.Route(mqtt.RouteConfig{BaseURL: "https://pay.example", DialTimeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = route.Close() }()
	reach := func() string { return fmt.Sprint(route.Reach(t.Context())) }
	if said := reach(); !strings.Contains(said, "no connection to the broker") {
		t.Fatal(said)
	}
	if err := os.WriteFile(c.Fleet.KeyFile, s.Authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := reach(); !strings.Contains(said, "no connection to the broker") {
		t.Error(said)
	}
	// What was never good is said, with its cure.
	tunnel, err = unconnected(c)()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tunnel.Close() }()
	if route, err = tunnel.Route(mqtt.RouteConfig{BaseURL: "https://pay.example"}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = route.Close() }()
	if said := reach(); !strings.Contains(said, "payagent enrol") || strings.Count(said, "nothing was sent") != 1 {
		t.Error(said)
	}
}
