package agent_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
)

// TestAnsweredAndShown: whoever has the answer to a request sees the till as it
// is after that request, whichever goroutine runs first.
func TestAnsweredAndShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})})
		synctest.Wait()
		for i := range 200 {
			no := fmt.Sprint("MZ", i)
			r, err := w.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide(no), Body: platforms.Hide(no), OrderNo: no, Bill: no, Amount: 100, Mode: platforms.ModeCharge,
				OrderType: "TREATMENT", Till: agenttest.W1, Channel: platforms.WeChat, Subject: "x"})
			if err != nil || r.Order == nil {
				t.Fatal(r.Code, err)
			}
			if v, _ := w.Agent.View(agenttest.W1); v.Order == nil || v.Order.No != no {
				t.Fatalf("%s was made, and the till shows %+v", no, v.Order)
			}
			if _, err := w.Agent.Act(t.Context(), no, order.ActCancel, platforms.Operator{}, "x"); err != nil {
				t.Fatal(err)
			}
			if v, _ := w.Agent.View(agenttest.W1); v.Order != nil && v.Order.State() == order.Waiting {
				t.Fatalf("%s was canceled, and the till shows %s", no, v.Order.State())
			}
		}
	})
}
