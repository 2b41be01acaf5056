package agent_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/order"
)

// TestWake: a wake-up, which proves nothing, makes the query leave at once, at
// most one a second, and changes nothing by itself.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		o := w.h5()
		w.pass(time.Second)
		w.bank().Pay(o.No)
		before := w.calls("query")
		if err := w.Agent.Wake(context.Background(), agenttest.Full, o.No); err != nil {
			t.Fatal(err) // another platform's order: nobody is told so
		}
		if err := w.Agent.Wake(context.Background(), w.platform, "MZ000"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := w.calls("query") - before; n != 0 {
			t.Fatalf("%d queries for orders that are not there", n)
		}
		w.state(o.No, order.Paying)
		for range 20 {
			if err := w.Agent.Wake(context.Background(), w.platform, o.No); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(1100 * time.Millisecond)
		w.state(o.No, order.Paid)
		if n := w.calls("query") - before; n < 1 || n > 2 {
			t.Errorf("%d queries for twenty wake-ups", n)
		}
		w.Stop()
		if w.Agent.Wake(context.Background(), w.platform, o.No) == nil {
			t.Error("a stopped agent takes wake-ups")
		}
	})
}
