package agent_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/queue"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// The steps of an exchange through the relay, in their order. Something is
// killed right after the step was done by whom it is.
var exchangeSteps = []string{
	"ticket asked", "ask received", "ticket given", "ticket received", "request published", "request received",
	"id durable", "call out", "platform's answer in", "answer published", "answer received",
}

// victims are who can be killed between two steps.
var victims = []string{"till", "broker", "relay"}

// relayed puts the whole agent of a rig behind a broker and a relay, each of
// which can be killed at any step of one chosen exchange.
type relayed struct {
	t      testing.TB
	b      interface{ kill() } // ends the till's process
	site   *relaytest.Site
	direct map[string]http.RoundTripper // how the relay reaches the platforms

	open    func(name string) uplink.Bus // a new connection to the broker
	outage  func()                       // kills the broker; it comes back after a while
	restart time.Duration                // how long a relay stays dead
	again   time.Duration                // mqtt.TunnelConfig.Again

	mu     sync.Mutex
	till   *end
	routes map[string]uplink.Route
	undo   []func()
	relays *end
	starts int

	seen   []string          // ids of exchanges, in the order in which they began
	ops    map[string]string // what each exchange asked the platform
	passed map[string]int    // messages of an id by who sent or heard them
	active string            // the exchange that the relay is executing
	target int               // which exchange something happens to, counted from 1; 0 for none
	step   string
	victim string
	struck bool

	seed    uint64
	between func(uplink.Bus) uplink.Bus // what stands between a process and the broker; nil for nothing
}

// platformAt are the addresses that the adapters of the rig call.
const platformAt = "http://127.0.0.1:80"

func newRelayed(restart time.Duration) *relayed {
	return &relayed{passed: map[string]int{}, ops: map[string]string{}, direct: map[string]http.RoundTripper{}, restart: restart}
}

// behindRelayOf puts the platforms of a rig behind a broker in memory.
func behindRelayOf(change func(*relayed)) (*relayed, func(*rig)) {
	// Before the till asks again for its answer, and before it asks the platform
	// by query, a killed relay is back: what the new one says counts.
	x := newRelayed(time.Second)
	return x, func(r *rig) {
		x.t = r.t
		site, err := relaytest.NewSite()
		if err != nil {
			r.t.Fatal(err)
		}
		broker := uplinktest.NewBroker()
		x.site, x.undo = site, []func(){broker.Close}
		x.open = func(name string) uplink.Bus { return broker.Bus(name, nil) }
		x.outage = func() {
			broker.Refuse(true)
			broker.Kill()
			time.AfterFunc(7*time.Second, func() { broker.Refuse(false) })
		}
		for name, l := range r.lines {
			x.direct[name] = l.RoundTripper
			l.RoundTripper = &relayedLine{x, name}
		}
		for i := range r.cfg.Platforms {
			r.cfg.Platforms[i].ProbeEvery = 24 * time.Hour // so that exchanges can be counted
		}
		b := &breaker{how: killed, stop: func() { r.stop() }}
		x.b = b
		r.wrap = func(l queue.Log) queue.Log {
			x.openTill()
			b.Log = l
			b.broken.Store(false)
			return b
		}
		if change != nil {
			change(x)
		}
		x.startRelay()
	}
}

func (x *relayed) close() {
	x.mu.Lock()
	undo := x.undo
	x.undo = nil
	x.mu.Unlock()
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
}

// relayedLine is the cable of one platform; it ends at the relay.
type relayedLine struct {
	x    *relayed
	name string
}

func (l *relayedLine) RoundTrip(req *http.Request) (*http.Response, error) {
	l.x.mu.Lock()
	route := l.x.routes[l.name]
	l.x.mu.Unlock()
	return route.RoundTrip(req)
}

// end is one process's connection to the broker, until it is killed.
type end struct {
	uplink.Bus
	dead  atomic.Bool
	sent  func(uplink.Message)
	heard func(uplink.Message)
}

func (e *end) Send(ctx context.Context, m uplink.Message) <-chan error {
	if e.dead.Load() {
		done := make(chan error, 1)
		done <- uplink.ErrClosed
		return done
	}
	done := e.Bus.Send(ctx, m)
	e.sent(m)
	return done
}

func (e *end) Subscribe(filter string, handle func(uplink.Message)) (func(), error) {
	return e.Bus.Subscribe(filter, func(m uplink.Message) {
		if e.heard(m); !e.dead.Load() {
			handle(m)
		}
	})
}

func (x *relayed) connect(name string) uplink.Bus {
	b := x.open(name)
	if x.between != nil {
		return x.between(b)
	}
	return b
}

// openTill is the start of a till's process: its bus, its tunnel, its ways.
func (x *relayed) openTill() {
	x.t.Helper()
	x.mu.Lock()
	x.starts++
	name := fmt.Sprint("till", x.starts)
	x.mu.Unlock()
	e := &end{Bus: x.connect(name),
		sent:  func(m uplink.Message) { x.message("till sent", m, "ticket asked", "request published") },
		heard: func(m uplink.Message) { x.message("till heard", m, "ticket received", "answer received") }}
	tunnel, err := x.site.Tunnel(e, relaytest.Box, func(c *mqtt.TunnelConfig) { c.Again = x.again })
	if err != nil {
		x.t.Fatal(err)
	}
	routes := map[string]uplink.Route{}
	for name := range x.direct {
		// Two platforms behind one relay; they differ by their port.
		if routes[name], err = tunnel.Route(mqtt.RouteConfig{BaseURL: "http://127.0.0.1", AllowPlainHTTP: true}); err != nil {
			x.t.Fatal(err)
		}
	}
	x.mu.Lock()
	x.till, x.routes = e, routes
	x.undo = append(x.undo, func() {
		for _, r := range routes {
			_ = r.Close()
		}
		_ = tunnel.Close()
	})
	x.mu.Unlock()
}

// startRelay is the start of a relay's process on the store of ids as it is.
func (x *relayed) startRelay() {
	x.t.Helper()
	x.mu.Lock()
	x.starts++
	name := fmt.Sprint("relay", x.starts)
	x.mu.Unlock()
	e := &end{Bus: x.connect(name),
		sent:  func(m uplink.Message) { x.message("relay sent", m, "ticket given", "answer published") },
		heard: func(m uplink.Message) { x.message("relay heard", m, "ask received", "request received") }}
	list := []relay.Platform{
		{Name: "fwc", Address: "http://127.0.0.1/linkingif.asmx", Way: &relayedWay{x, e, x.direct["fwc"]}},
		{Name: "smartpay", Address: "http://127.0.0.1/WSGW", Way: &relayedWay{x, e, x.direct["smartpay"]}},
	}
	r, err := x.site.Relay(e, list, func(c *relay.Config) { c.Store = &relayedStore{x, e} })
	if err != nil {
		x.t.Fatal(err)
	}
	x.mu.Lock()
	x.relays = e
	x.undo = append(x.undo, func() { _ = r.Close() })
	x.mu.Unlock()
}

// relayedStore is the relay's disk.
type relayedStore struct {
	x *relayed
	e *end
}

var errDead = errors.New("the process is dead")

func (s *relayedStore) Add(id [32]byte) (bool, error) {
	if s.e.dead.Load() {
		return false, errDead
	}
	fresh, err := s.x.site.Store.Add(id)
	s.x.inExchange("id durable")
	return fresh, err
}

func (s *relayedStore) Has(id [32]byte) (bool, error) {
	if s.e.dead.Load() {
		return false, errDead
	}
	return s.x.site.Store.Has(id)
}

func (s *relayedStore) Turn() error { return s.x.site.Store.Turn() }

// relayedWay is the relay's own way to a platform.
type relayedWay struct {
	x  *relayed
	e  *end
	rt http.RoundTripper
}

func (w *relayedWay) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.e.dead.Load() {
		return nil, errDead
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	w.x.asks(string(body))
	req.Body = io.NopCloser(bytes.NewReader(body))
	w.x.inExchange("call out") // whoever is killed now, the bytes have left
	resp, err := w.rt.RoundTrip(req)
	w.x.inExchange("platform's answer in")
	return resp, err
}

func (w *relayedWay) Reach(context.Context) error { return nil }
func (w *relayedWay) Close() error                { return nil }

// asks notes what the exchange under way is about.
func (x *relayed) asks(body string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, op := range []string{"Refund", "Cancel", "Query", "Pay"} {
		if strings.Contains(body, op) {
			x.ops[x.active] = op
			return
		}
	}
}

// message sees one message of an exchange; the first of each kind is about the
// ticket, the next with other bytes about the request.
func (x *relayed) message(who string, m uplink.Message, first, second string) {
	if len(m.Payload) < 21 || !strings.HasPrefix(string(m.Payload), "PAR1") {
		return
	}
	id := string(m.Payload[5:21])
	x.mu.Lock()
	n := slices.Index(x.seen, id) + 1
	if n == 0 {
		x.seen = append(x.seen, id)
		n = len(x.seen)
	}
	key := who + id
	x.passed[key]++
	step := ""
	switch x.passed[key] {
	case 1:
		step = first
	case 2:
		step = second
		if step == "request received" {
			x.active = id
		}
	}
	hit := x.hits(n, step)
	x.mu.Unlock()
	if hit {
		x.strike()
	}
}

// inExchange is a step inside the relay.
func (x *relayed) inExchange(step string) {
	x.mu.Lock()
	hit := x.hits(slices.Index(x.seen, x.active)+1, step)
	x.mu.Unlock()
	if hit {
		x.strike()
	}
}

// hits is called with mu held.
func (x *relayed) hits(n int, step string) bool {
	if x.struck || x.target == 0 || n != x.target || step != x.step {
		return false
	}
	x.struck = true
	return true
}

// strike kills the victim; what serves others comes back after a while.
func (x *relayed) strike() {
	switch x.victim {
	case "till":
		x.mu.Lock()
		x.till.dead.Store(true)
		x.mu.Unlock()
		x.b.kill()
	case "broker":
		x.outage()
	case "relay":
		x.mu.Lock()
		x.relays.dead.Store(true)
		x.mu.Unlock()
		time.AfterFunc(x.restart, x.startRelay)
	}
}

// relayedFlows are the flows that are played over the relay.
func relayedFlows() []flow {
	var list []flow
	for _, f := range canonical() {
		if !f.queued {
			list = append(list, f)
		}
	}
	return list
}

// play plays a flow over the relay and gives what it did.
func (f flow) overRelay(t *testing.T, change func(*relayed)) *relayed {
	t.Helper()
	var x *relayed
	var begin func(*rig)
	x, begin = behindRelayOf(change)
	inBubble(t, func(t *testing.T, r *rig) {
		defer func() {
			if t.Failed() {
				t.Logf("exchange %d, %s killed after %q; seed %d", x.target, x.victim, x.step, x.seed)
			}
			_ = r.close()
			x.close()
			synctest.Wait()
		}()
		b := x.b.(*breaker)
		if x.target != 0 || x.between != nil {
			b.at = -1 // the flow may end otherwise than undisturbed
		}
		f.play(t, r, b)
	}, byNumber, begin)
	return x
}

// TestFlowsOverTheRelay: every flow of payments ends over the relay as it does
// directly, lost replies included.
func TestFlowsOverTheRelay(t *testing.T) {
	for _, f := range relayedFlows() {
		t.Run(f.name, func(t *testing.T) {
			if x := f.overRelay(t, nil); len(x.ops) == 0 {
				t.Error("nothing went through the relay")
			}
		})
	}
}

// everyStep makes TestKilledBetweenSteps leave nothing out, and
// TestHostileBroker go on for longer: make kill.
var everyStep = flag.Bool("every-step", false, "kill after every step of every exchange over the relay")

// TestKilledBetweenSteps kills till, broker and relay after each step of a
// payment, a query, a cancel and a refund: bank and agent agree afterwards,
// nobody pays twice, and no order asks for money twice. Of queries and cancels,
// which are harmless when repeated, a third is tried unless -every-step is given.
func TestKilledBetweenSteps(t *testing.T) {
	runs := 0
	for name, ops := range map[string][]string{
		"FWC, at once": {"Query"}, "FWC, canceled early": {"Cancel"}, "FWC, refund": {"Refund"}, "SmartPay, password": {"Pay"},
	} {
		all := relayedFlows()
		f := all[slices.IndexFunc(all, func(f flow) bool { return f.name == name })]
		t.Run(name, func(t *testing.T) {
			calm := f.overRelay(t, nil)
			for _, op := range ops {
				// What comes before the payment are probes, several at once.
				pay := slices.IndexFunc(calm.seen, func(id string) bool { return calm.ops[id] == "Pay" })
				target := pay + 1 + slices.IndexFunc(calm.seen[max(pay, 0):], func(id string) bool { return calm.ops[id] == op })
				if pay < 0 || calm.ops[calm.seen[target-1]] != op {
					t.Fatalf("no exchange was a %s: %q", op, calm.ops)
				}
				for i, step := range exchangeSteps {
					for j, victim := range victims {
						if harmless := op == "Query" || op == "Cancel"; harmless && !*everyStep && (i+j)%3 != 0 {
							continue
						}
						runs++
						x := f.overRelay(t, func(x *relayed) { x.target, x.step, x.victim = target, step, victim })
						if !x.struck {
							t.Errorf("%s: nothing was killed after %q", op, step)
						}
					}
				}
			}
		})
	}
	t.Logf("%d runs", runs)
}
