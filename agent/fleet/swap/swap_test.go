package swap_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/counter"
	"payagent/agent/fleet/fleettest"
	"payagent/agent/fleet/swap"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/platforms"
	"payagent/queue/mem"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// TestSwap: a terminal dies with an order in flight. What is needed to ask
// about it is at the broker within a second, a new one takes it over, it ends
// paid, and the payer paid once.
func TestSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := s.enrols()
		old.start()
		pass(2 * time.Second)
		s.bank.Deafen(true) // the answers are lost
		_, o := old.collect(bill)
		if r, err := old.world.Agent.Collect(context.Background(), agent.Request{Key: platforms.Hide("w"), Body: platforms.Hide("b"), Bill: "BILL-W", Amount: 100, Mode: platforms.ModeCharge,
			OrderType: "TREATMENT", Till: agenttest.W2}); err != nil || r.Order == nil || r.Order.State() != order.Waiting {
			t.Fatal(r, err) // and nothing of it was sent: HIS begins it anew
		}
		pass(time.Second)
		l := s.listed("1")
		if l == nil || len(l.Orders) != 1 || l.Orders[0].OrderNo != o.No || l.Orders[0].Bill != bill || l.Orders[0].State != order.Paying {
			t.Fatalf("%+v", l)
		}
		docs, err := fleettest.Read("../../../docs/mqtt.md", "payagent")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range s.broker.Accepted("#") {
			if err := docs.Check(m); err != nil {
				t.Error(err)
			}
			for _, secret := range []string{payer, authCode, "CARD-99887766", "挂号"} {
				plain := string(m.Payload)
				var x struct{ Payload []byte }
				if fromJSON(m.Payload, &x) {
					plain += string(x.Payload)
				}
				if strings.Contains(plain, secret) || strings.Contains(plain, base64.StdEncoding.EncodeToString([]byte(secret))) {
					t.Fatalf("%s is at the broker: %s", secret, plain)
				}
			}
		}
		old.die()
		s.bank.Deafen(false)

		fresh := s.enrols()
		fresh.start()
		defer fresh.end()
		pass(2 * time.Second)
		if code, same := fresh.collect(bill); code != counter.CodeExists || same.No != o.No || same.State() != order.InDoubt {
			t.Fatal(code, same)
		}
		if code, _ := fresh.collect("BILL-2"); code != counter.CodeCreated {
			t.Fatal("its till is not free:", code)
		}
		s.bank.Pay(o.No)
		got := fresh.world.Until(t, o.No, func(o *order.Order) bool { return o.State() == order.Paid })
		if got.Bill != bill || got.Amount != 4200 || got.Till != o.Till || got.CreatedAt.Wall != o.CreatedAt.Wall || got.Booking == nil {
			t.Fatalf("%+v", got)
		}
		charges := 0
		for _, c := range s.bank.Calls("charge") {
			if c.Order == o.No {
				charges++
			}
		}
		if charges != 1 || len(s.bank.Calls("cancel")) != 0 {
			t.Fatal(charges, s.bank.Calls("cancel"))
		}
		pass(2 * time.Second)
		if s.listed("1") != nil {
			t.Fatal("the list of the old one stays")
		}
		// Paid is not done: it stands there until HIS has booked it.
		if l := s.listed("2"); l == nil || len(l.Orders) == 0 || l.Orders[0].State != order.Paid {
			t.Fatalf("%+v", l)
		}
		fresh.world.Book(t, o.No, "F1", "")
		pass(2 * time.Second)
		if l := s.listed("2"); len(l.Orders) != 1 || l.Orders[0].OrderNo == o.No {
			t.Fatalf("%+v", l)
		}
	})
}

// TestSwapWithARefundUnderWay: nobody heard how a refund ended. The new one asks
// for it under its own number, so it is given back once, and it knows what HIS
// booked. What ended unpaid a moment ago it knows as that.
func TestSwapWithARefundUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := s.enrols()
		old.start()
		pass(2 * time.Second)
		_, o := old.collect(bill)
		s.bank.Pay(o.No)
		old.world.Until(t, o.No, func(o *order.Order) bool { return o.State() == order.Paid })
		old.world.Book(t, o.No, "F1", "")
		old.world.GiveBack(t, o.No, "RF1", 200, "op7")
		s.bank.HoldRefunds(true)
		ask := func(m *machine) string {
			r, err := m.world.Agent.Refund(context.Background(), o.No, agent.RefundRequest{Key: platforms.Hide("r"), Body: platforms.Hide("b"), Request: "RF2", Sum: 1000,
				Operator: platforms.Operator{ID: "op7", Name: "李收费"}, Reason: payer + "多收"})
			if err != nil {
				t.Fatal(err)
			}
			return r.Code
		}
		if code := ask(old); code != counter.CodeAccepted {
			t.Fatal(code)
		}
		old.world.Until(t, o.No, func(o *order.Order) bool { return len(o.Refunds) == 2 && o.Refunds[1].State == order.RefundSent })
		_, dead := old.collect("BILL-U")
		if r, err := old.world.Agent.Act(context.Background(), dead.No, order.ActCancel, platforms.Operator{}, ""); err != nil || r.Code != counter.CodeAccepted {
			t.Fatal(r.Code, err)
		}
		dead = old.world.Until(t, dead.No, func(o *order.Order) bool { return o.State() == order.Canceled })
		pass(time.Second)
		l := s.listed("1")
		if l == nil || len(l.Orders) != 2 {
			t.Fatalf("%+v", l)
		}
		if x := l.Orders[0]; x.OrderNo != o.No || x.State != order.Paid || x.Booking == nil || x.Booking.FlowID != "F1" || x.Refunded != 200 ||
			len(x.Refunds) != 1 || x.Refunds[0].Request != "RF2" || x.Refunds[0].Sum != 1000 {
			t.Fatalf("%+v", x)
		}
		if x := l.Orders[1]; x.OrderNo != dead.No || x.State != order.Canceled || x.EndReason != dead.EndReason || x.Late {
			t.Fatalf("%+v", x)
		}
		m, _ := s.broker.Retained(place().Topic("open", "1"))
		docs, err := fleettest.Read("../../../docs/mqtt.md", "payagent")
		if err == nil {
			err = docs.Check(m)
		}
		var x struct{ Payload []byte }
		if err != nil || !fromJSON(m.Payload, &x) || bytes.Contains(x.Payload, []byte(payer)) || bytes.Contains(x.Payload, []byte("李收费")) {
			t.Fatal(err, string(x.Payload))
		}
		old.die()
		s.bank.HoldRefunds(false)

		fresh := s.enrols()
		fresh.start()
		defer fresh.end()
		pass(2 * time.Second)
		got := fresh.world.Until(t, o.No, func(o *order.Order) bool { return len(o.Refunds) == 1 && o.Refunds[0].State.Final() })
		if r := got.Refunds[0]; r.State != order.RefundDone || r.Request != "RF2" || got.RefundClaims() != 1200 || got.Booking == nil || got.Booking.FlowID != "F1" || got.Booking.State != order.BookBooked {
			t.Fatalf("%+v %+v", got.Refunds, got.Booking)
		}
		asked := len(s.bank.Calls("refund"))
		if code := ask(fresh); code == counter.CodeAccepted {
			t.Fatal("the same refund is taken for another one")
		}
		pass(5 * time.Minute)
		if n := len(s.bank.Calls("refund")); n != asked {
			t.Fatal("it left again", asked, n)
		}
		if o, err := fresh.world.Agent.Order(dead.No); err != nil || o == nil || o.State() != order.Canceled || o.EndReason != dead.EndReason {
			t.Fatal(o, err)
		}
	})
}

// TestReplacedOnline: the old one is at work when the new one comes. It learns
// of it at the broker, tells what it has open, asks about it and does nothing
// else, and stays so over a restart. A new enrolment brings it back.
func TestReplacedOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := s.enrols()
		old.start()
		_, o := old.collect(bill)
		fresh := s.enrols()
		fresh.start()
		pass(3 * time.Minute) // each takes the other's name; the old one gives up
		if !old.hasLeft() || fresh.hasLeft() {
			t.Fatal(old.hasLeft(), fresh.hasLeft())
		}
		if l, _ := fresh.bus.Link(); !l.Up {
			t.Fatal("the new one is not at the broker")
		}
		refused := func() {
			t.Helper()
			if ok, why := old.world.Agent.Ready(); ok || len(why) == 0 || why[0] != counter.CodeReplaced {
				t.Fatal(ok, why)
			}
			if code, _ := old.collect("BILL-9"); code != counter.CodeReplaced {
				t.Fatal(code)
			}
			if r, err := old.world.Agent.Act(context.Background(), o.No, order.ActCancel, platforms.Operator{}, ""); err != nil || r.Code != counter.CodeReplaced {
				t.Fatal(r.Code, err)
			}
		}
		refused()
		if x, err := fresh.world.Agent.Order(o.No); err != nil || x == nil {
			t.Fatal("not taken over", err)
		}
		if ok, err := swap.Replaced(old.dir, old.cert()); !ok || err != nil {
			t.Fatal("it is not written down", err)
		}
		old.end()
		old.start() // no bus any more
		pass(time.Minute)
		refused()
		// The new one, and nobody else, cancels what was never paid.
		fresh.world.Until(t, o.No, func(o *order.Order) bool { return o.State() == order.Canceled })
		old.end()
		old.pair = identity(t, s.authority, "B1")
		old.keepCert()
		old.start()
		pass(3 * time.Minute)
		defer old.end()
		defer fresh.end()
		if code, _ := old.collect("BILL-9"); code != counter.CodeCreated {
			t.Fatal(code)
		}
		if !fresh.hasLeft() {
			t.Fatal("now the other one is the replaced one")
		}
	})
}

// TestReplacedOffline: the old one is not let in by the broker, so that it
// learns nothing there. The authority tells it.
func TestReplacedOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		away := uplinktest.NewBroker()
		defer away.Close()
		away.Refuse(true)
		old := s.enrols()
		old.broker = away
		old.start()
		defer old.end()
		pass(5 * time.Minute)
		if code, _ := old.collect(bill); code != counter.CodeCreated {
			t.Fatal("nobody is in its place yet:", code)
		}
		identity(t, s.authority, "B1")
		pass(10 * time.Minute)
		if code, _ := old.collect("BILL-2"); code != counter.CodeReplaced || !old.hasLeft() {
			t.Fatal(code)
		}
	})
}

// TestStopped: the authority gave the place to nobody, and revoked everybody.
// The box finds out by itself once the broker lets it in no more; what it had
// open waits for the next enrolment, which may be its own.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		box := s.enrols()
		box.start()
		pass(time.Second)
		_, o := box.collect(bill)
		pass(2 * time.Second)
		if ended, err := s.authority.Stop("H1", "B1", "stolen"); err != nil || len(ended) != 2 {
			t.Fatal(ended, err)
		}
		s.broker.Refuse(true)
		s.broker.Cut("B1")
		pass(time.Minute)
		if code, _ := box.collect("BILL-2"); code != counter.CodeReplaced || !box.hasLeft() {
			t.Fatal(code)
		}
		box.end()
		box.start()
		if code, _ := box.collect("BILL-2"); code != counter.CodeReplaced {
			t.Fatal(code)
		}
		box.end()
		s.broker.Refuse(false)
		fresh := s.enrols()
		fresh.start()
		defer fresh.end()
		pass(time.Minute)
		if fresh.hasLeft() {
			t.Fatal("a later enrolment is stopped, too")
		}
		fresh.world.Until(t, o.No, func(o *order.Order) bool { return o.State() == order.Canceled })
	})
}

// TestComesBack: the old one took a payment while it was away from the broker,
// and hears of the new one when it is back. What it has open is taken over then.
func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := s.enrols()
		old.start()
		pass(time.Second)
		old.die()
		fresh := s.enrols()
		fresh.start()
		defer fresh.end()
		pass(time.Minute)
		old.unreachable = true // the authority
		away := uplinktest.NewBroker()
		defer away.Close()
		away.Refuse(true)
		old.broker = away
		old.start()
		_, o := old.collect(bill)
		pass(5 * time.Second)
		old.end()
		old.broker = s.broker
		old.start()
		defer old.end()
		pass(3 * time.Minute)
		if !old.hasLeft() {
			t.Fatal("it goes on")
		}
		if x, err := fresh.world.Agent.Order(o.No); err != nil || x == nil {
			t.Fatal("not taken over", err)
		}
	})
}

func fromJSON(data []byte, v any) bool { return json.Unmarshal(data, v) == nil }

// facts counts the facts of one kind that an order has.
func facts(t *testing.T, m *machine, no string, kind order.Kind) (n int) {
	t.Helper()
	list, err := agent.ReadFacts(mem.Open(m.disk), no)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

func left(no string) agent.Left {
	return agent.Left{OrderNo: no, Bill: "B", Amount: 100, Mode: platforms.ModeCharge, Till: agenttest.W1, Platform: agenttest.Full, Profile: "window", State: order.Paying, CreatedAt: time.Now()}
}

// errDead is what a process gets that has died.
var errDead = errors.New("dead")

// mortal ends the machine at one of the steps of taking over.
type mortal struct {
	uplink.Bus
	swap.Counter
	step  string
	dying chan struct{}
	dead  bool
}

func (m *mortal) at(step string) bool {
	if m.step == step && !m.dead {
		m.dead = true
		close(m.dying)
	}
	return m.dead
}

func (m *mortal) TakeOver(ctx context.Context, list []agent.Left) error {
	if m.at("before it is on disk") {
		return errDead
	}
	err := m.Counter.TakeOver(ctx, list)
	if m.at("on disk") {
		return errDead
	}
	return err
}

func (m *mortal) Publish(ctx context.Context, x uplink.Message) error {
	clears := len(x.Payload) == 0
	if clears && m.at("before the old list is cleared") {
		return errDead
	}
	if m.dead {
		return errDead
	}
	err := m.Bus.Publish(ctx, x)
	if clears {
		m.at("all done")
	}
	return err
}

// TestKilledWhileTakingOver: whatever step the new machine dies at, the order
// is taken over once, ends paid, and was charged once.
func TestKilledWhileTakingOver(t *testing.T) {
	for _, step := range []string{"before it is on disk", "on disk", "before the old list is cleared", "all done"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				old := s.enrols()
				old.start()
				pass(time.Second)
				_, o := old.collect(bill)
				pass(time.Second)
				old.die()
				s.bank.Pay(o.No) // meanwhile
				fresh := s.enrols()
				m := &mortal{step: step, dying: make(chan struct{})}
				fresh.wrapBus = func(b uplink.Bus) uplink.Bus { m.Bus = b; return m }
				fresh.wrapCounter = func(c swap.Counter) swap.Counter { m.Counter = c; return m }
				fresh.start()
				<-m.dying
				fresh.die()
				fresh.wrapBus, fresh.wrapCounter, fresh.alarms = nil, nil, nil
				fresh.start()
				defer fresh.end()
				pass(time.Minute)
				got := fresh.world.Until(t, o.No, func(o *order.Order) bool { return o.State() == order.Paid })
				if got.Bill != bill || len(s.bank.Calls("charge")) != 1 || len(s.bank.Calls("cancel")) != 0 {
					t.Fatal(got.Bill, s.bank.Calls("charge"), s.bank.Calls("cancel"))
				}
				if s.listed("1") != nil || fresh.raised(swap.AlarmNotTaken) {
					t.Fatal(s.listed("1"), fresh.alarms)
				}
				for _, c := range []order.Kind{order.KindCreated, order.KindSent} {
					if n := facts(t, fresh, o.No, c); n != 1 {
						t.Fatal(c, n)
					}
				}
			})
		})
	}
}

// TestForged: nobody but a box of this name, vouched for by the fleet's
// authority, replaces a box or leaves it orders.
func TestForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		box := s.enrols()
		good := swap.List{Site: "H1", Box: "B1", Generation: 1, Orders: []agent.Left{left("N1")}}
		stretched := func(change func(*agent.Left)) swap.List {
			l := good
			l.Orders = []agent.Left{left("N1")}
			change(&l.Orders[0])
			return l
		}
		own := box.pair
		box.pair = identity(t, s.authority, "B1") // generation 2
		box.keepCert()
		box.start()
		defer box.end()
		pass(time.Second)
		stranger := newAuthority(t)
		identity(t, stranger, "B1")
		send := func(topic string, payload []byte) {
			c := s.broker.Bus("somebody", nil)
			if err := c.Publish(context.Background(), uplink.Message{Topic: place().Topic("open", topic), Payload: payload, Retain: true}); err != nil {
				t.Fatal(err)
			}
			pass(40 * time.Second)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		later := good
		later.Generation = 2
		other := good
		other.Box = "B2"
		for name, bad := range map[string]func() (string, []byte){
			"another authority":                   func() (string, []byte) { return "3", swap.Sign(t, later, identity(t, stranger, "B1")) },
			"a later one, of another":             func() (string, []byte) { return "3", swap.Sign(t, later, identity(t, s.authority, "B2")) },
			"another box":                         func() (string, []byte) { return "1", swap.Sign(t, good, identity(t, s.authority, "B2")) },
			"of another box":                      func() (string, []byte) { return "1", swap.Sign(t, other, own) },
			"under another's number":              func() (string, []byte) { return "1", swap.Sign(t, later, box.pair) },
			"an earlier one as a later":           func() (string, []byte) { return "3", swap.Sign(t, good, own) },
			"of a generation that is not its own": func() (string, []byte) { return "1", swap.Sign(t, good, box.pair) },
			"changed": func() (string, []byte) {
				return "1", bytes.Replace(swap.Sign(t, good, own), []byte(`"signature":"`), []byte(`"signature":"AAAA`), 1)
			},
			"junk": func() (string, []byte) { return "1", []byte("{") },
			"HIS's number is no key of the log": func() (string, []byte) {
				return "1", swap.Sign(t, stretched(func(o *agent.Left) { o.Booking = &order.Booked{OK: true, FlowID: strings.Repeat("F", 124)} }), own)
			},
			"nor a refund's": func() (string, []byte) {
				return "1", swap.Sign(t, stretched(func(o *agent.Left) {
					o.Refunds = []order.Refund{{Request: strings.Repeat("R", 122), Sum: 1}}
				}), own)
			},
		} {
			topic, payload := bad()
			send(topic, payload)
			if ok, _ := swap.Replaced(box.dir, box.cert()); ok || box.hasLeft() {
				t.Fatal(name, "replaced the box")
			}
			if o, _ := box.world.Agent.Order("N1"); o != nil {
				t.Fatal(name, "left an order")
			}
		}
		// What is not configured here waits, and is said once.
		strange := good
		strange.Orders = []agent.Left{left("N1")}
		strange.Orders[0].Profile = "unknown"
		send("1", swap.Sign(t, strange, own))
		if !box.raised(swap.AlarmNotTaken) || s.listed("1") == nil {
			t.Fatal(box.alarms)
		}
		send("1", swap.Sign(t, good, own))
		if o, _ := box.world.Agent.Order("N1"); o == nil || s.listed("1") != nil {
			t.Fatal("the good one is not taken over")
		}
	})
}

// TestMoreThanFits: what did not fit into the list is nobody's, so people are
// told.
func TestMoreThanFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old, box := s.enrols(), s.enrols()
		box.start()
		defer box.end()
		c := s.broker.Bus("old", nil)
		defer func() { _ = c.Close() }()
		l := swap.List{Site: "H1", Box: "B1", Generation: 1, Orders: []agent.Left{left("N1")}, More: 2}
		if err := c.Publish(context.Background(), uplink.Message{Topic: place().Topic("open", "1"), Payload: swap.Sign(t, l, old.pair), Retain: true}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if o, _ := box.world.Agent.Order("N1"); o == nil || !box.raised(swap.AlarmNotTaken) {
			t.Fatal(o, box.alarms)
		}
	})
}

// TestProofOutlastsWhatWasDamaged: a proof that cannot be read stops the box,
// and so does a lost certificate; only a later enrolment does not.
func TestReplacedAtTheStart(t *testing.T) {
	s := newSite(t)
	m := s.enrols()
	if ok, err := swap.Replaced(m.dir, m.cert()); ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := seal.WriteFile(m.dir+"/replaced.pem", []byte("?")); err != nil {
		t.Fatal(err)
	}
	if ok, _ := swap.Replaced(m.dir, m.cert()); !ok {
		t.Fatal("a damaged proof is none")
	}
	later := s.enrols()
	data, err := os.ReadFile(later.cert())
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.WriteFile(m.dir+"/replaced.pem", data); err != nil {
		t.Fatal(err)
	}
	for name, cert := range map[string]string{"its own": m.cert(), "none": m.cert() + "x"} {
		if ok, _ := swap.Replaced(m.dir, cert); !ok {
			t.Fatal(name)
		}
	}
	if ok, _ := swap.Replaced(m.dir, s.enrols().cert()); ok {
		t.Fatal("a later enrolment is replaced")
	}
}

func FuzzOpen(f *testing.F) {
	a := newAuthority(f)
	pair := identity(f, a, "B1")
	f.Add(swap.Sign(f, swap.List{Site: "H1", Box: "B1", Generation: 1, Orders: []agent.Left{left("N1")}}, pair))
	f.Add([]byte(`{"certificate":"","payload":"","signature":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, l, err := swap.Open(data, a.Certificate(), place())
		if err == nil && (c == nil || l.Box != "B1") {
			t.Fatal(l)
		}
	})
}
