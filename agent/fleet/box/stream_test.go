package box_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/platforms"
)

// TestEvents: what happens to orders arrives, in order, with what the hub's
// lists need, and the patient only sealed to it.
func TestEvents(t *testing.T) {
	key, public := hubKey(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.opts = func(o *box.Options) { o.HubKey = public }
		h := r.hub()
		r.start()
		who := platforms.Patient{Name: platforms.Hide("司马"), CardNo: platforms.Hide("C1")}
		r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, Patient: who})
		r.world.Book(t, "MZ1", "F1", "")
		r.world.GiveBack(t, "MZ1", "R1", 2850, "1002")
		r.world.Book(t, "MZ1", "TF1", "R1")
		r.pass(10 * time.Second)
		list := h.got(fleet.StreamOrders)
		if got := types(list); got != "MZ1 order.paid, MZ1 order.booking, MZ1 order.refund, MZ1 order.refund, MZ1 order.refund, MZ1 order.booking" {
			t.Fatal(got)
		}
		var d fleet.OrderData
		last := list[len(list)-1]
		if err := fleet.Unmarshal(last.Data, &d); err != nil {
			t.Fatal(err)
		}
		o := d.Order
		if o.State != "paid" || o.AmountFen != 12850 || o.TradeNo == "" || o.Channel != "wechat" || o.PaidAt == nil || o.CostType != "门诊诊疗费" || d.Rev == 0 ||
			len(o.Entries) != 2 || o.Entries[0].HisFlowID != "F1" || o.Entries[1].AmountFen != -2850 || o.Entries[1].RefundNo != "R1" || o.Entries[1].BookedAt == nil ||
			len(o.Refunds) != 1 || o.Refunds[0].State != "done" || o.RefundedFen != 2850 {
			t.Errorf("%+v", o)
		}
		p, err := key.Open(place(), last.ID, last.Sealed)
		if err != nil || p.Name.Reveal() != "司马" || p.CardNo.Reveal() != "C1" || p.MedicalCard.Reveal() != "MCMZ1" {
			t.Error(err)
		}
		if last.Source != "/payagent/H1/B1" || last.Historical || last.Time.IsZero() {
			t.Errorf("%+v", last)
		}
		r.pass(time.Minute) // the status is repeated
		if s := r.status(); s.State != fleet.StateReady || s.Seq != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		r.end()
		if s := r.status(); s.State != fleet.StateGone {
			t.Errorf("%+v", s)
		}
	})
}

// take makes n paid orders.
func (r *rig) take(from, n int) {
	r.t.Helper()
	for i := range n {
		r.taken++
		r.world.Take(r.t, agenttest.Payment{Till: agenttest.W1, No: fmt.Sprintf("MZ%d", from+i), Fen: 100})
	}
}

// TestNothingIsLost: hub, broker, connection and box go away at any time;
// everything arrives, once and in order.
func TestNothingIsLost(t *testing.T) {
	for name, hurt := range map[string]func(r *rig, h *hub){
		"the broker dies":          func(r *rig, _ *hub) { r.broker.Kill() },
		"the broker forgets":       func(r *rig, _ *hub) { r.broker.Forget() },
		"the line breaks":          func(r *rig, _ *hub) { r.broker.Cut("B1") },
		"acks of the broker":       func(r *rig, _ *hub) { r.broker.DropAck("B1", 3); r.take(100, 3); r.broker.Cut("B1") },
		"the box crashes":          func(r *rig, _ *hub) { r.crash(); r.start() },
		"the box is stopped":       func(r *rig, _ *hub) { r.end(); r.start() },
		"the hub is mute for long": func(r *rig, h *hub) { h.quiet(true); r.take(100, 300); r.pass(12 * time.Minute); h.quiet(false) },
		"the broker is a black hole": func(r *rig, _ *hub) {
			r.broker.Stall("B1", true)
			r.take(100, 3)
			r.pass(10 * time.Minute)
			r.broker.Stall("B1", false)
			r.broker.Cut("B1")
		},
		"nothing is there for long": func(r *rig, _ *hub) {
			r.broker.Refuse(true)
			r.broker.Cut("")
			r.take(100, 300)
			r.crash()
			r.start()
			r.take(400, 3)
			r.pass(10 * time.Minute)
			r.broker.Refuse(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				h := r.hub()
				r.start()
				r.take(0, 2)
				hurt(r, h)
				r.take(50, 2)
				r.pass(11 * time.Minute)
				r.check(h)
				r.end()
			})
		})
	}
}

// TestNewHub: a hub that lost its memory gets everything again, also from a box
// that was started anew and remembers only how far the old one was, and from
// one that stops in the middle of telling it.
func TestNewHub(t *testing.T) {
	for name, hurt := range map[string]func(r *rig){
		"a running box":      func(*rig) {},
		"a restarted box":    func(r *rig) { r.end(); r.start() },
		"a box that crashes": func(r *rig) { r.take(60, 1); r.pass(40 * time.Second); r.crash(); r.start() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				h := r.hub()
				r.start()
				r.take(0, 5)
				r.pass(time.Minute)
				h.lose()
				hurt(r)
				r.take(50, 2)
				r.pass(11 * time.Minute)
				r.check(h)
				r.end()
			})
		})
	}
}

// lose takes the hub's memory.
func (h *hub) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events, h.seen, h.at = map[string][]fleet.Event{}, map[string]bool{}, map[string]uint64{}
}

func (h *hub) quiet(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mute = on
}

// check compares what the hub has with the log.
func (r *rig) check(h *hub) {
	r.pass(2 * time.Minute)
	r.t.Helper()
	synctest.Wait()
	events, _, err := r.world.Agent.Events(0, 100_000)
	if err != nil {
		r.t.Fatal(err)
	}
	var want, got []string
	for _, e := range events {
		if e.News() != "" {
			want = append(want, fmt.Sprint(e.Seq, e.Order.No, e.News()))
		}
	}
	for _, e := range h.got(fleet.StreamOrders) {
		var d fleet.OrderData
		if err := json.Unmarshal(e.Data, &d); err != nil {
			r.t.Fatal(err)
		}
		news := e.Type[len(fleet.TypeOrder) : len(e.Type)-len(fleet.TypeVersion)]
		got = append(got, fmt.Sprint(e.Sequence, d.Order.OutTradeNo, news))
	}
	if fmt.Sprint(want) != fmt.Sprint(got) || len(want) == 0 {
		r.t.Errorf("the log has %d events, the hub %d:\n%v\n%v", len(want), len(got), want, got)
	}
	if s := r.status(); s.Waiting != 0 {
		r.t.Error(s.Waiting, "events still wait")
	}
}

// TestPubAck: without a hub the broker's word counts.
func TestPubAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.opts = func(o *box.Options) { o.PubAck = true }
		r.start()
		r.take(0, 3)
		r.pass(10 * time.Second)
		r.end()
		r.start()
		r.take(10, 1)
		r.pass(time.Minute)
		if n := len(r.told()); n != 4 {
			t.Error(n, "events for 4 orders")
		}
		r.end()
	})
}

// told are the events of orders that the broker took, repetitions too.
func (r *rig) told() (list []fleet.Event) {
	r.t.Helper()
	for _, m := range r.broker.Accepted("payagent/H1/B1/e/orders") {
		list = append(list, eventsOf(r.t, m)...)
	}
	return list
}

// TestBatches: what waits leaves many at a time, in order and within the bounds;
// one event alone is no batch.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		r.start()
		r.take(0, 1)
		r.pass(time.Second)
		r.broker.Refuse(true)
		r.broker.Cut("")
		r.take(1, 40)
		r.world.Take(r.t, agenttest.Payment{Till: agenttest.W1, No: "LONG", Fen: 10_000})
		for i := range 18 { // its events grow with every refund
			r.world.GiveBack(t, "LONG", fmt.Sprintf("R%030d", i), 10, "1002")
		}
		r.broker.Refuse(false)
		r.pass(time.Minute)
		r.check(h)
		list := r.broker.Accepted("payagent/H1/B1/e/orders")
		full, long, last := 0, 0, uint64(0)
		for i, m := range list {
			events := eventsOf(t, m)
			if (m.Payload[0] == '[') != (len(events) > 1) || len(events) > fleet.BatchEvents || len(m.Payload) > fleet.BatchBytes {
				t.Errorf("message %d has %d events and %d bytes: %.20s", i, len(events), len(m.Payload), m.Payload)
			}
			switch {
			case len(events) == fleet.BatchEvents:
				full++
			case len(m.Payload) > fleet.BatchBytes*9/10:
				long++
			}
			for _, e := range events {
				if e.Previous != last {
					t.Errorf("event %d follows %d and not %d", e.Sequence, e.Previous, last)
				}
				last = e.Sequence
			}
		}
		if list[0].Payload[0] != '{' || full == 0 || long == 0 {
			t.Errorf("the first alone is %.20s; %d full batches, %d that are bounded by their bytes, of %d", list[0].Payload, full, long, len(list))
		}
		r.end()
	})
}

// TestPartOfBatch: a hub that could store only the first events of a batch gets
// the rest again, and no more than the rest.
func TestPartOfBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.broker.Refuse(true)
		h := r.hub()
		h.part = 5
		r.start()
		r.take(0, 20)
		r.broker.Refuse(false)
		r.pass(time.Second)
		if n := len(h.got(fleet.StreamOrders)); n != 5 {
			t.Fatal(n, "events were stored")
		}
		h.limit(0)
		r.check(h)
		if n := len(r.told()); n != 20+15 {
			t.Error(n, "events were told")
		}
		r.end()
	})
}

// TestHistorical: what waited says so.
func TestHistorical(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.broker.Refuse(true)
		h := r.hub()
		r.start()
		r.take(0, 1)
		r.pass(5 * time.Minute)
		r.broker.Refuse(false)
		r.pass(time.Minute)
		r.take(10, 1)
		r.pass(time.Minute)
		list := h.got(fleet.StreamOrders)
		if len(list) != 2 || !list[0].Historical || list[1].Historical {
			t.Errorf("%+v", list)
		}
		r.end()
	})
}

// TestAlarmsFirst: alarms do not wait behind a backlog of orders, and each
// raising and clearing arrives.
func TestAlarmsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.broker.Refuse(true)
		h := r.hub()
		r.start()
		r.take(0, 300)
		r.world.Agent.RaiseAlarm("audit_failed")
		r.world.Agent.RaiseAlarm("audit_failed")
		if err := r.world.Agent.TellAlarm(t.Context(), agent.Alarm{Code: "audit_failed", Cleared: true}); err != nil {
			t.Fatal(err)
		}
		r.broker.Refuse(false)
		r.pass(time.Minute)
		if n := len(h.got(fleet.StreamAlarms)); n != 3 {
			t.Errorf("%d alarms", n)
		}
		alarms, orders := 0, 0
		for _, m := range r.broker.Accepted("payagent/H1/B1/e/+") {
			if m.Topic == "payagent/H1/B1/e/orders" {
				orders += len(eventsOf(t, m))
			} else if alarms++; orders > 0 {
				t.Error("an alarm waited behind orders")
			}
		}
		if orders < 300 {
			t.Error(orders)
		}
		r.check(h)
		r.end()
	})
}

// TestQuietAtOnce: when a start has told all that it found, the box says so at
// once and not with the status of the next minute: a hub waits for that word.
func TestQuietAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 100})
		r.pass(2 * time.Minute)
		r.end()
		h := r.hub()
		r.broker.Slow("hub", 5*time.Second)
		r.taken = 1
		began := time.Now()
		r.start()
		r.pass(30 * time.Second)
		if len(h.got(fleet.StreamOrders)) == 0 {
			t.Fatal("nothing was told")
		}
		if s := r.status(); s.Waiting != 0 || s.At.Before(began) {
			t.Errorf("after thirty seconds the box says that %d events wait, at %v; it began at %v", s.Waiting, s.At, began)
		}
		r.end()
	})
}
