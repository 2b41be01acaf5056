package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
)

// TestQuiet: nothing disturbs while an order is open, nor until every till was
// idle for a while, nor outside the window.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})})
		defer w.Stop()
		q := w.Agent.Quiet(agent.QuietTerms{Idle: 30 * time.Second})
		expect := func(when, why string) {
			t.Helper()
			synctest.Wait()
			if ok, got := q.Free(); got != why || ok != (why == "") {
				t.Errorf("%s: %v %q, want %q", when, ok, got, why)
			}
		}
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		expect("just started", agent.BusyTill)
		pass(31 * time.Second)
		expect("idle", "")
		r, err := w.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("k"), Body: platforms.Hide("b"), Bill: "B1", Amount: 700, Mode: platforms.ModePresent,
			OrderType: "TREATMENT", Till: agenttest.K1, Channel: platforms.WeChat, Subject: "x"})
		if err != nil || r.Order == nil {
			t.Fatal(err, r.Code)
		}
		expect("an order is open", agent.BusyOrders)
		pass(time.Minute)
		expect("an order is open for long", agent.BusyOrders)
		changed := q.Changed()
		w.Banks[agenttest.Full].Pay(r.Order.No)
		pass(5 * time.Second)
		select {
		case <-changed:
		default:
			t.Error("nobody was told of the change")
		}
		if o, _ := w.Agent.Order(r.Order.No); o.State() != order.Paid {
			t.Fatal(o.State())
		}
		expect("paid just now", agent.BusyTill)
		pass(31 * time.Second)
		expect("idle again", "")
		w.Pads[agenttest.W1].Show("nothing that pays")
		expect("somebody scanned something", agent.BusyTill)
	})
}

// TestQuietWindow: outside its window a box is not disturbed.
func TestQuietWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})})
		defer w.Stop()
		synctest.Wait()
		now := time.Now().Local()
		minute := now.Hour()*60 + now.Minute()
		for _, c := range []struct {
			from, to int
			free     bool
		}{{minute, minute + 1, true}, {minute + 1, minute + 2, false}, {minute + 1, minute, false}} {
			if ok, why := w.Agent.Quiet(agent.QuietTerms{From: c.from, To: c.to}).Free(); ok != c.free || !ok && why != agent.BusyWindow {
				t.Errorf("%d to %d at %d: %v %q", c.from, c.to, minute, ok, why)
			}
		}
	})
}
