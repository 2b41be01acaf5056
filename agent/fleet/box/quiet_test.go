package box_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/fleet"
	"payagent/uplink"
)

// TestQuietIsTrue: a status with nothing waiting comes behind every event up to
// its time, also right after a payment and after a start with a backlog: the
// hub takes it as the proof that a list is whole.
func TestQuietIsTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hub()
		r.start()
		r.pass(70 * time.Second)
		r.take(0, 3)
		r.pass(2 * time.Minute)
		r.broker.Refuse(true)
		r.broker.Cut("B1")
		r.take(10, 2)
		r.pass(time.Minute)
		r.end()
		r.broker.Refuse(false)
		r.start()
		r.pass(5 * time.Minute)
		r.end()
		var claims, broken int
		var until time.Time
		for _, m := range r.broker.Accepted("payagent/H1/B1/#") {
			switch m.Topic {
			case "payagent/H1/B1/status":
				var s fleet.Status
				if err := fleet.Unmarshal(m.Payload, &s); err != nil {
					t.Fatal(err)
				}
				if s.State != fleet.StateLost && s.Waiting == 0 && s.At.After(until) {
					until = s.At
					claims++
				}
			case "payagent/H1/B1/e/orders":
				for _, e := range eventsOf(t, m) {
					if !e.Time.After(until) {
						broken++
					}
				}
			}
		}
		if broken > 0 || claims < 3 {
			t.Errorf("%d events came behind a status that said that nothing up to then waited; %d such statuses", broken, claims)
		}
	})
}

// TestHubFromCopy: a hub that was put back from a copy and says so gets what it
// lacks without another payment, and no status hides that meanwhile.
func TestHubFromCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		r.start()
		r.take(0, 3)
		r.pass(2 * time.Minute)
		list := h.got(fleet.StreamOrders)
		last := list[len(list)-1]
		if got := r.status().Acked; got != (fleet.Ack{Epoch: last.Epoch, Seq: last.Sequence}) {
			t.Errorf("the status says that %+v is acknowledged, the hub has %d", got, last.Sequence)
		}
		h.lose()
		data, err := json.Marshal(fleet.Ack{Epoch: last.Epoch})
		if err != nil {
			t.Fatal(err)
		}
		h.bus.Send(context.Background(), uplink.Message{Topic: place().Topic(fleet.LevelAck, fleet.StreamOrders), Payload: data})
		r.pass(2 * time.Minute)
		r.check(h)
		r.end()
	})
}

// TestStrangeAcks: words about streams that the box does not have leave nothing
// in its memory, however many come.
func TestStrangeAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		r.start()
		r.take(0, 1)
		r.pass(time.Minute)
		before, epoch := r.box.Acks(), h.got(fleet.StreamOrders)[0].Epoch
		data, err := json.Marshal(fleet.Ack{Epoch: epoch, Seq: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			h.bus.Send(context.Background(), uplink.Message{Topic: place().Topic(fleet.LevelAck, fmt.Sprint("s", i)), Payload: data})
		}
		r.pass(time.Minute)
		if now := r.box.Acks(); before == 0 || now != before {
			t.Errorf("it remembers %d streams, and %d before", now, before)
		}
		r.end()
	})
}
