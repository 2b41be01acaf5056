package relay_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"payagent/uplink"
	"payagent/uplink/mqtt/internal/sealed"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	address = "https://pay.invalid/gateway"
	base    = "https://pay.invalid:443"
)

// way is a platform that answers as a test wants.
type way struct {
	mu      sync.Mutex
	calls   []string // bodies, as they came
	reaches int
	answer  func(*http.Request) (*http.Response, error)
	reach   func(context.Context) error
}

func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.calls = append(w.calls, string(body))
	answer := w.answer
	w.mu.Unlock()
	if answer != nil {
		return answer(r)
	}
	return says("you said " + string(body)), nil
}

func says(text string) *http.Response {
	return &http.Response{Status: "200 Fine", StatusCode: 200, Header: http.Header{"X-Echo": {"yes"}}, Body: io.NopCloser(strings.NewReader(text))}
}

func (w *way) Reach(ctx context.Context) error {
	w.mu.Lock()
	w.reaches++
	reach := w.reach
	w.mu.Unlock()
	if reach != nil {
		return reach(ctx)
	}
	return nil
}

func (w *way) Close() error { return nil }

func (w *way) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

// rig is a relay and boxes that speak to it byte by byte.
type rig struct {
	t      *testing.T
	site   *relaytest.Site
	broker *uplinktest.Broker
	way    *way
	relay  *relay.Relay
	change func(*relay.Config)
	starts int
}

// bubble runs a test with time that passes by itself.
func bubble(t *testing.T, change func(*relay.Config), f func(*rig)) {
	t.Helper()
	site, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, site: site, broker: uplinktest.NewBroker(), way: &way{}, change: change}
		defer r.broker.Close()
		r.start()
		defer func() { r.stop() }()
		f(r)
	})
}

func (r *rig) start() {
	r.t.Helper()
	r.starts++
	bus := r.broker.Open(uplinktest.Client{Name: "relay" + string(rune('0'+r.starts)), Clean: true})
	var err error
	r.relay, err = r.site.Relay(bus, []relay.Platform{{Name: "pay", Address: address, Way: r.way}}, r.change)
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *rig) stop() {
	if err := r.relay.Close(); err != nil {
		r.t.Error(err)
	}
	synctest.Wait()
}

// box is one that a test moves by hand.
type box struct {
	r      *rig
	bus    uplink.Bus
	name   string
	place  string
	me     tls.Certificate
	public sealed.Public
	mu     sync.Mutex
	got    [][]byte
	wakes  [][]byte
}

func (r *rig) box(name string) *box {
	r.t.Helper()
	pair, err := relaytest.Identity(r.site.Authority, name, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	raw, err := relay.PublicKey(r.site.Key)
	if err != nil {
		r.t.Fatal(err)
	}
	public, err := sealed.ReadPublic(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	b := &box{r: r, name: name, place: relaytest.Root + "/" + relaytest.Hospital + "/" + name, me: pair, public: public, bus: r.broker.Bus(name, nil)}
	for topic, to := range map[string]*[][]byte{"/relay/ans": &b.got, "/relay/wake": &b.wakes} {
		if _, err := b.bus.Subscribe(b.place+topic, func(m uplink.Message) {
			b.mu.Lock()
			*to = append(*to, m.Payload)
			b.mu.Unlock()
		}); err != nil {
			r.t.Fatal(err)
		}
	}
	synctest.Wait()
	return b
}

func (b *box) publish(payload []byte) {
	if err := b.bus.Publish(b.r.t.Context(), uplink.Message{Topic: b.place + "/relay/req", Payload: payload}); err != nil {
		b.r.t.Fatal(err)
	}
	synctest.Wait()
}

// asked is an ask with its bytes and what opens its answers.
type asked struct {
	sealed.Ask
	payload []byte
	open    *sealed.Context
}

func (b *box) seal(a sealed.Ask) asked {
	b.r.t.Helper()
	if a.Platform == "" {
		a.Platform = base
	}
	if a.ID == (sealed.ID{}) {
		_, _ = rand.Read(a.ID[:])
	}
	payload, open, err := sealed.SealAsk(b.public, b.place, b.me, a)
	if err != nil {
		b.r.t.Fatal(err)
	}
	return asked{a, payload, open}
}

// take gives the answers to an ask that came since the last take.
func (b *box) take(a asked) []sealed.Answer {
	b.r.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []sealed.Answer
	var rest [][]byte
	for _, p := range b.got {
		if x, err := a.open.Open(p); err == nil {
			list = append(list, x)
		} else {
			rest = append(rest, p)
		}
	}
	b.got = rest
	return list
}

// one demands exactly one answer.
func (b *box) one(a asked, want sealed.Verdict) sealed.Answer {
	b.r.t.Helper()
	list := b.take(a)
	if len(list) != 1 || list[0].Verdict != want {
		b.r.t.Fatalf("the answers are %+v, want one with verdict %d", list, want)
	}
	return list[0]
}

// ticket asks for a ticket and gives the request that it is for, not yet sent.
func (b *box) ticket(body string) asked {
	b.r.t.Helper()
	t := b.seal(sealed.Ask{Op: sealed.OpTicket})
	b.publish(t.payload)
	got := b.one(t, sealed.Granted)
	return b.seal(sealed.Ask{Op: sealed.OpSend, ID: t.ID, Ticket: got.Ticket, Left: time.Minute, Method: "POST", URL: address, Body: []byte(body)})
}

func (r *rig) wantCalls(n int) {
	r.t.Helper()
	if got := r.way.count(); got != n {
		r.t.Fatalf("the platform got %d requests, want %d", got, n)
	}
}

// wantFigures demands lines among the metrics, and gives all of them.
func (r *rig) wantFigures(lines ...string) string {
	r.t.Helper()
	var out strings.Builder
	if err := r.relay.Metrics(&out); err != nil {
		r.t.Fatal(err)
	}
	for _, want := range lines {
		if !strings.Contains(out.String(), want+"\n") {
			r.t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	return out.String()
}

// newQuiet is a relay that knows no box.
func newQuiet(t testing.TB) *relay.Relay {
	t.Helper()
	site, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	broker := uplinktest.NewBroker()
	r, err := site.Relay(broker.Bus("relay", nil), []relay.Platform{{Name: "pay", Address: address, Way: &way{}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		broker.Close()
	})
	return r
}
