package agent_test

import (
	"testing"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms/bank"
)

func TestPaidAtOnce(t *testing.T) {
	for till, when := range map[string]string{smartTill: "smartpay", fwcTill: "fwc"} {
		t.Run(when, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				o := r.begun(till, 1200, alipay)
				r.state(o.No, order.Paid)
				r.judge(o.No)
				if r.clock() != 0 || r.asked(when, bank.OpCancel, o.No) != 0 {
					t.Fatal("paid at once takes no time and no cancel")
				}
				r.collect(r.request(till, o.Bill, 1200), counter.CodeBillPaid)
				if list := r.agent.Open(); len(list) != 0 {
					t.Fatalf("nothing is owed, but %d orders are listed", len(list))
				}
			})
		})
	}
}
