package agent_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcsuite"
	"payagent/platforms/fwc/fwctest"
	"payagent/queue"
	"payagent/queue/mem"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// TestKilledBetweenStepsOnMosquitto is TestKilledBetweenSteps for a payment, in
// real time over a real broker: its process is killed and started again, till
// and relay lose what they had in memory.
func TestKilledBetweenStepsOnMosquitto(t *testing.T) {
	for _, step := range exchangeSteps {
		for _, victim := range victims {
			t.Run(victim+" after "+step, func(t *testing.T) {
				t.Parallel()
				newCounterOnMosquitto(t, step, victim).payment()
			})
		}
	}
}

// counterOnMosquitto is one till with its agent, a relay and a bank over a
// broker of its own.
type counterOnMosquitto struct {
	*relayed
	t      *testing.T
	broker *uplinktest.MosquittoBroker
	bank   *bank.Bank
	begin  time.Time
	disk   *mem.Disk
	ended  chan struct{} // closed when the till was killed

	wmu   sync.Mutex
	world *agenttest.World
	log   *mortal
}

// unprobed is a platform that nobody asks anything harmless, so that exchanges
// can be counted.
type unprobed struct {
	platforms.Platform
	platforms.Charger
	platforms.Checker
}

// mortal is a store that dies with its process: what was acknowledged stays.
type mortal struct {
	queue.Log
	mu   sync.Mutex
	dead bool
}

func (m *mortal) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return 0, queue.ErrStopped
	}
	return m.Log.Append(ctx, b)
}

func newCounterOnMosquitto(t *testing.T, step, victim string) *counterOnMosquitto {
	t.Helper()
	site, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	w := &counterOnMosquitto{relayed: newRelayed(50 * time.Millisecond), t: t, begin: time.Now(), disk: &mem.Disk{}, ended: make(chan struct{}),
		broker: uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{Persist: true})}
	x := w.relayed
	x.t, x.site, x.b, x.again = t, site, w, 200*time.Millisecond
	x.step, x.victim = step, victim
	x.open = func(name string) uplink.Bus {
		c, err := mqtt.Open(mqtt.Config{Broker: w.broker.URL, ClientID: name, Every: 100 * time.Millisecond, Phase: func() time.Duration { return 0 }})
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	restarted := make(chan struct{})
	x.outage = func() {
		w.broker.Kill()
		go func() {
			defer close(restarted)
			if err := w.broker.Start(); err != nil {
				t.Error(err)
			}
		}()
	}
	t.Cleanup(func() {
		if x.victim == "broker" && x.hit() {
			<-restarted
		}
		x.close()
	})
	clock := func() time.Duration { return time.Since(w.begin) }
	w.bank = bank.New(bank.Options{})
	ctl := wire.New(wire.Options{Clock: clock, Script: bank.ScriptFor})
	x.direct["fwc"] = wire.Direct(fwctest.Handler(w.bank, fwctest.Options{Control: ctl, BareType: true, WrapString: true}))
	x.direct["smartpay"] = x.direct["fwc"] // nobody asks it here
	x.startRelay()
	w.start()
	return w
}

// hit tells whether something was killed.
func (x *relayed) hit() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.struck
}

// start is the start of the till's process on what the disk holds.
func (w *counterOnMosquitto) start() {
	w.t.Helper()
	w.openTill()
	w.mu.Lock()
	route := w.routes["fwc"]
	w.mu.Unlock()
	cfg := fwcsuite.Config(fwc.SOAP11)
	cfg.Endpoint = "http://127.0.0.1/linkingif.asmx"
	member, err := fwc.New(route, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	log := &mortal{Log: mem.Open(w.disk)}
	world := agenttest.Start(w.t, agenttest.Options{Log: log, Platforms: map[string]platforms.Platform{agenttest.Full: unprobed{member, member, member}}, Config: func(c *config.Config) {
		for i := range c.Platforms {
			p := &c.Platforms[i].Policy
			p.FirstQuery, p.QueryEvery, p.CancelNotBefore, p.ManualAfter = 300*time.Millisecond, 200*time.Millisecond, 500*time.Millisecond, 500*time.Millisecond
			p.Backoff, p.NotFoundFinal = []time.Duration{100 * time.Millisecond, 300 * time.Millisecond}, 2*time.Second
			p.Horizon, p.HorizonWeChat, p.CallTimeout, p.PayTimeout = 3*time.Second, 3*time.Second, 2*time.Second, 4*time.Second
			c.Platforms[i].ProbeEvery = 24 * time.Hour
		}
	}})
	w.wmu.Lock()
	w.world, w.log = world, log
	w.wmu.Unlock()
}

// kill ends the till's process where it stands.
func (w *counterOnMosquitto) kill() {
	w.wmu.Lock()
	defer w.wmu.Unlock()
	// Not from here: this may run inside an append.
	log := w.log
	go func() {
		log.mu.Lock()
		log.dead = true
		log.mu.Unlock()
		close(w.ended)
	}()
}

// payment takes one payment, whatever is killed meanwhile, and lets the bank
// judge.
func (w *counterOnMosquitto) payment() {
	t := w.t
	t.Helper()
	const no = "MZ0000000000000000000001"
	c := fwcsuite.Charge(platforms.ModeCharge, no, 1200)
	w.mu.Lock()
	route := w.routes["fwc"]
	w.mu.Unlock()
	for guard := time.Now().Add(2 * time.Minute); ; {
		if err := route.Reach(t.Context()); err == nil {
			break
		} else if time.Now().After(guard) {
			t.Fatal(err)
		}
	}
	w.mu.Lock()
	w.target = len(w.seen) + 1
	w.mu.Unlock()
	q := agent.Request{Key: platforms.Hide("k"), Body: platforms.Hide("b"), OrderNo: no, Bill: "B1", Amount: 1200, Mode: platforms.ModeCharge, OrderType: "TREATMENT",
		Till: agenttest.W1, AuthCode: c.Code.Hidden, Subject: c.Subject, Patient: c.Patient}
	// Killed early, it cannot say any more that it took the order.
	if r, err := w.world.Agent.Collect(context.Background(), q); err == nil && r.Order == nil {
		t.Fatal(r.Code)
	}
	guard := time.After(3 * time.Minute)
	var o *order.Order
	for o == nil || !o.State().Final() {
		select {
		case <-w.ended:
			w.world.Stop()
			w.ended = nil
			w.start()
		case <-guard:
			t.Fatalf("after %v the order is %+v", time.Since(w.begin), o)
		case <-time.After(20 * time.Millisecond):
		}
		var err error
		if o, err = w.world.Agent.Order(no); err != nil {
			t.Fatal(err)
		}
	}
	if !w.hit() {
		t.Fatal("nothing was killed")
	}
	w.bank.Settle(time.Since(w.begin))
	out, paid := w.bank.Net(no), o.State() == order.Paid
	if n, m := w.bank.PayRequests(no), w.bank.Captures(no); n > 1 || m > 1 {
		t.Errorf("%d pay requests reached the bank, and it took money %d times", n, m)
	}
	if paid && out != 1200 || !paid && out != 0 {
		t.Errorf("the order is %s (%s) and the payer is out of %v fen", o.State(), o.EndReason, out)
	}
	// Before the call left, nothing was charged; once it was answered, the till
	// finds out.
	if at := slices.Index(exchangeSteps, w.step); at >= slices.Index(exchangeSteps, "call out") && !paid && o.EndReason == "not_sent" {
		t.Errorf("killed after %q, the order is said not to have been sent", w.step)
	}
	t.Log(fmt.Sprint(o.State(), " ", o.EndReason, " after ", time.Since(w.begin).Round(time.Millisecond)))
}
