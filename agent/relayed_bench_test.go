package agent_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/uplink"
	"payagent/uplink/https"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relay/ids"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// BenchmarkRelay measures one exchange with a platform on loopback over HTTPS
// and over mosquitto and the relay with its file of ids, one after the other in
// one run. The figure is the ratio of the medians, and what the relay adds.
func BenchmarkRelay(b *testing.B) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	direct, err := https.New(https.Config{BaseURL: server.URL, CAPEM: pemOf(server)})
	if err != nil {
		b.Fatal(err)
	}
	defer direct.Close()
	site, err := relaytest.NewSite()
	if err != nil {
		b.Fatal(err)
	}
	store, err := ids.Open(b.TempDir() + "/ids.db")
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	broker := uplinktest.Mosquitto(b, uplinktest.MosquittoOptions{})
	open := func(name string) uplink.Bus {
		c, err := mqtt.Open(mqtt.Config{Broker: broker.URL, ClientID: name, Every: 100 * time.Millisecond, Phase: func() time.Duration { return 0 }})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	behind := overBus(b, site, open("relay"), open("till"), direct, server.URL, func(c *relay.Config) { c.Store, c.StoreName = store, store.Name() })
	body := strings.Repeat("x", 1500)
	once := func(rt http.RoundTripper) time.Duration {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/pay", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		resp, err := rt.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || int(n) != len(body) {
			b.Fatal(n, err)
		}
		return time.Since(begin)
	}
	once(behind) // connected
	var short, long []time.Duration
	for b.Loop() {
		short, long = append(short, once(direct)), append(long, once(behind))
	}
	median := func(list []time.Duration) time.Duration {
		slices.Sort(list)
		return list[len(list)/2]
	}
	m, n := median(short), median(long)
	b.ReportMetric(float64(n)/float64(m), "x-https")
	b.ReportMetric(float64(n-m)/1e6, "ms-added")
	b.Log(fmt.Sprintf("https %v, relay %v", m, n))
}

// pemOf is the certificate of a test server.
func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}
