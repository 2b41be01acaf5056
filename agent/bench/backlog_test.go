package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/agent/fleet/sealed"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/uplinktest"
)

// backlog is how many events wait while there is no way to the broker.
const backlog = 10_000

// BenchmarkBacklog measures how fast a backlog of events comes to the fleet
// side after an outage (reliability.md P13): from an agent whose events count
// as told by the broker's word, from one that waits for the hub's, from one that
// seals the patient of each to the hub besides, and through the bridge of a
// mosquitto beside it, which has messages of the same bytes as an event of the
// first two. All by TLS with certificates, QoS 1, to one mosquitto behind a
// proxy that was shut; each in every round. What is timed is from the first to
// the last event.
func BenchmarkBacklog(b *testing.B) {
	quiet := []string{"log_type none", "log_type information"}
	to := uplinktest.Mosquitto(b, uplinktest.MosquittoOptions{TLS: true, Lines: quiet})
	var rates [4][]float64
	sample := []byte(nil)
	private, err := sealed.NewPrivate()
	must(b, err)
	public := private.Public()
	for n := 0; b.Loop(); n++ {
		for i, key := range []*sealed.Public{nil, nil, &public} {
			name := fmt.Sprintf("box%d-%d", n, i)
			side := newListener(b, to, "payagent/H1/"+name+"/e/orders", i > 0)
			r := newRigWith(b, 0, 1, backlog)
			r.joinBy(name, i == 0, key, func(start box.Start, up func(context.Context, uint64)) uplink.Bus {
				return busTo(b, to, uplinktest.NewProxy(b, to.Addr), name, start, up)
			})
			rates[i] = append(rates[i], side.rate(b))
			r.leave()
			for data := range fleet.Events(side.sample) {
				if key == nil {
					sample = data
				} else if !bytes.Contains(data, []byte(`"sealed":`)) {
					b.Fatal("nothing is sealed")
				}
			}
		}
		side := newListener(b, to, fmt.Sprintf("bridged%d", n), false)
		bridge(b, to, fmt.Sprintf("bridged%d", n), sample, quiet)
		rates[3] = append(rates[3], side.rate(b))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middleOf(rates[0]), "puback-events/s")
	b.ReportMetric(middleOf(rates[1]), "hub-events/s")
	b.ReportMetric(middleOf(rates[2]), "sealed-events/s")
	b.ReportMetric(middleOf(rates[3]), "bridge-events/s")
	for i, name := range []string{"puback-vs-bridge", "hub-vs-bridge", "sealed-vs-bridge"} {
		var ratios []float64
		for k := range rates[i] {
			ratios = append(ratios, rates[i][k]/rates[3][k])
		}
		b.ReportMetric(middleOf(ratios), name)
	}
}

func middleOf(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }

// certified is a configuration with a certificate of the broker's authority.
func certified(b *testing.B, broker *uplinktest.MosquittoBroker, name string) mqtt.Config {
	b.Helper()
	cert, key, err := broker.CA.Issue(name)
	must(b, err)
	give := func(data []byte) func() ([]byte, error) { return func() ([]byte, error) { return data, nil } }
	return mqtt.Config{Broker: broker.URL, ClientID: name, ServerName: uplinktest.ServerName, CA: give(broker.CA.PEM), Cert: give(cert), Key: give(key), Every: 100 * time.Millisecond}
}

func busTo(b *testing.B, broker *uplinktest.MosquittoBroker, way *uplinktest.Proxy, name string, start box.Start, up func(context.Context, uint64)) uplink.Bus {
	b.Helper()
	c := certified(b, broker, name)
	c.Broker, c.Will, c.OnUp = "mqtts://"+way.Addr, start.Will, up
	bus, err := mqtt.Open(c)
	must(b, err)
	return bus
}

// listener is the fleet side of one topic. It does as little as it can, which
// is the same for all: it counts, and holds the numbers to each other.
type listener struct {
	first, last time.Time
	ahead       int // events in the first message
	sample      []byte
	done        chan string // what was wrong, empty for nothing
}

// newListener listens, and acknowledges as a hub does if it acts as one.
func newListener(b *testing.B, broker *uplinktest.MosquittoBroker, topic string, hub bool) *listener {
	b.Helper()
	c := certified(b, broker, "fleet-"+strings.ReplaceAll(topic, "/", "-"))
	bus, err := mqtt.Open(c)
	must(b, err)
	b.Cleanup(func() { must(b, bus.Close()) })
	for {
		l, changed := bus.Link()
		if l.Up {
			break
		}
		<-changed
	}
	s := &listener{done: make(chan string, 1)}
	ours := strings.HasPrefix(topic, "payagent/")
	ackTopic := strings.Replace(topic, "/e/orders", "/ack/orders", 1)
	seen, chain := 0, uint64(0)
	_, err = bus.Subscribe(topic, func(m uplink.Message) {
		now, n := time.Now(), 1
		if ours {
			n = 0
			for seq, prev, rest := numbers(m.Payload); rest != nil; seq, prev, rest = numbers(rest) {
				switch {
				case seq <= chain: // told again
				case prev != chain && seen < backlog:
					s.done <- fmt.Sprintf("event %d follows %d and not %d", seq, prev, chain)
					seen = backlog
				default:
					chain = seq
					n++
				}
			}
		}
		if seen == 0 {
			s.first, s.ahead = now, n
		}
		if seen += n; seen-n < backlog && seen >= backlog {
			s.last, s.sample = now, m.Payload
			s.done <- ""
		}
		if hub {
			var e fleet.Event
			for data := range fleet.Events(m.Payload) {
				must(b, json.Unmarshal(data, &e))
				break
			}
			ack, err := json.Marshal(fleet.Ack{Epoch: e.Epoch, Seq: chain})
			must(b, err)
			bus.Send(context.Background(), uplink.Message{Topic: ackTopic, Payload: ack})
		}
	})
	must(b, err)
	return s
}

// numbers finds the next event's; behind is nil where there is none.
func numbers(data []byte) (seq, prev uint64, behind []byte) {
	value := func(name string) (n uint64) {
		i := bytes.Index(data, []byte(name))
		if i < 0 {
			data = nil
			return 0
		}
		for data = data[i+len(name):]; len(data) > 0 && data[0] >= '0' && data[0] <= '9'; data = data[1:] {
			n = 10*n + uint64(data[0]-'0')
		}
		return n
	}
	seq = value(`"sequence":`)
	prev = value(`"previous":`)
	return seq, prev, data
}

// rate waits for the last event.
func (s *listener) rate(b *testing.B) float64 {
	b.Helper()
	if fault := <-s.done; fault != "" {
		b.Fatal(fault)
	}
	return float64(backlog-s.ahead) / s.last.Sub(s.first).Seconds()
}

// bridge has a mosquitto take in messages like ours while its bridge has no
// way, and opens the way.
func bridge(b *testing.B, to *uplinktest.MosquittoBroker, topic string, payload []byte, lines []string) {
	b.Helper()
	way := uplinktest.NewProxy(b, to.Addr)
	way.Refuse(true)
	dir := b.TempDir()
	cert, key, err := to.CA.Issue("bridge")
	must(b, err)
	for name, data := range map[string][]byte{"b-ca": to.CA.PEM, "b-cert": cert, "b-key": key} {
		must(b, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	// Our window is 256 as well; as a bridge stands beside a till it saves what
	// it took in to disk, once a second.
	from := uplinktest.Mosquitto(b, uplinktest.MosquittoOptions{Dir: dir, Persist: true, Lines: append([]string{"max_inflight_messages 256", "autosave_on_changes false",
		"connection out", "address " + way.Addr, "topic " + topic + " out 1", "cleansession false", "restart_timeout 1", "try_private false", "notifications false", "remote_clientid bridge-" + topic,
		"bridge_cafile " + dir + "/b-ca", "bridge_certfile " + dir + "/b-cert", "bridge_keyfile " + dir + "/b-key", "bridge_insecure true"}, lines...)})
	feeder, err := mqtt.Open(mqtt.Config{Broker: from.URL, ClientID: "feeder", Every: 100 * time.Millisecond, Window: 256})
	must(b, err)
	var sent []<-chan error
	for range backlog {
		sent = append(sent, feeder.Send(context.Background(), uplink.Message{Topic: topic, Payload: payload}))
	}
	for _, s := range sent {
		must(b, <-s)
	}
	must(b, feeder.Close())
	way.Refuse(false)
}
