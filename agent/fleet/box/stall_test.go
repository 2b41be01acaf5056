package box_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/order"
	"payagent/platforms"
)

// trace is what happened to payments, to the nanosecond.
func trace(t *testing.T, hurt func(r *rig)) []string {
	var out []string
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		begin := time.Now()
		r.start()
		h := r.hub()
		r.pass(time.Minute)
		hurt(r)
		say := func(format string, args ...any) {
			out = append(out, fmt.Sprint(time.Since(begin), " ")+fmt.Sprintf(format, args...))
		}
		for i := range 20 {
			o := r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: fmt.Sprint("MZ", i), Fen: platforms.Fen(100 + i)})
			say("%s %s", o.No, o.State())
			r.pass(7 * time.Second)
		}
		reply, err := r.world.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("k"), Body: platforms.Hide("b"), OrderNo: "QR1", Bill: "B", Amount: 700, Mode: platforms.ModePresent,
			OrderType: "TREATMENT", Till: agenttest.K1, Channel: platforms.WeChat, Subject: "x"})
		if err != nil || reply.Order == nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Second)
		r.world.Banks[agenttest.Full].Cut(true)
		r.pass(30 * time.Second)
		r.world.Banks[agenttest.Full].Cut(false)
		r.world.Banks[agenttest.Full].Pay("QR1")
		o := r.world.Until(t, "QR1", func(o *order.Order) bool { return o.State() == order.Paid })
		say("%s %s", o.No, o.State())
		r.world.GiveBack(t, "MZ3", "R1", 50, "1002")
		say("given back")
		r.pass(10 * time.Minute)
		entries, _, err := r.log.After(0, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			var f order.Fact
			if strings.HasPrefix(e.Stream, "note:") || json.Unmarshal(e.Data, &f) != nil {
				continue
			}
			out = append(out, fmt.Sprint(e.Stream, " ", f.Kind, " ", f.At.Mono))
		}
		for _, v := range []string{"charge", "present", "query", "cancel", "refund"} {
			for _, c := range r.world.Banks[agenttest.Full].Calls(v) {
				out = append(out, fmt.Sprintf("%s %+v", v, c))
			}
		}
		_ = h
		r.broker.Stall("B1", false)
		r.end()
	})
	return out
}

// TestMQTTCostsNothing: whatever becomes of the broker, payments go the same
// way at the same moments (decision 28).
func TestMQTTCostsNothing(t *testing.T) {
	want := trace(t, func(*rig) {})
	if len(want) < 80 {
		t.Fatal(len(want), "steps only")
	}
	for name, hurt := range map[string]func(r *rig){
		"down":       func(r *rig) { r.broker.Refuse(true); r.broker.Cut("") },
		"black hole": func(r *rig) { r.broker.Stall("B1", true) },
		"slow":       func(r *rig) { r.broker.Delay("B1", 20*time.Second); r.broker.Slow("B1", 20*time.Second) },
		"flapping": func(r *rig) {
			stop := time.Now().Add(5 * time.Minute)
			go func() {
				for time.Now().Before(stop) {
					r.broker.Cut("B1")
					<-time.After(3 * time.Second)
				}
			}()
		},
		"no acks": func(r *rig) { r.broker.DropAck("B1", 1<<30) },
	} {
		got := trace(t, hurt)
		if !slices.Equal(got, want) {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s: %d and %d steps; the %d-th differs: %q, with the broker up %q", name, len(got), len(want), i, append(got, "none")[i], append(want, "none")[i])
		}
	}
}
