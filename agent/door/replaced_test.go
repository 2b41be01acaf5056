package door_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/platforms"
)

// TestReplaced: on a box in whose place another one is, no order that is open is
// told to come to an end by waiting, no button is offered that would be refused,
// and the cashier is sent to the new box. What ended stays as it is.
func TestReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.w.Banks["full"].OnCharge(func(platforms.Charge) (platforms.Answer, error) { return platforms.Answer{}, errors.New("silence") })
		id := r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "").id()
		never := r.create(bill("B2", object{"till": "w2"})).want(201, "").id()
		synctest.Wait()
		r.call("POST", "/v1/orders/"+id+"/cancel", his, object{}).want(202, "").is("safe_to_take_cash.answer", "wait")
		r.w.Agent.Replace(t.Context())
		synctest.Wait()
		for range 3 {
			got := r.order(id).is("safe_to_take_cash.answer", "no").is("safe_to_take_cash.reason", "cash_replaced").is("safe_to_retry.answer", "no")
			for _, promise := range []string{"acts_in_s", "cancel_in_s", "buttons_in_s", `"cancel"`, `"detach"`} {
				if strings.Contains(string(got.raw), promise) {
					t.Errorf("%s in %s", promise, got.raw)
				}
			}
			if !strings.Contains(string(got.raw), "请到新机器上查看此订单") || !strings.Contains(string(got.raw), "不要再次收款") {
				t.Errorf("%s", got.raw)
			}
			time.Sleep(10 * time.Minute)
		}
		r.create(bill("B1")).want(200, "").is("safe_to_take_cash.reason", "cash_replaced")
		r.order(never).is("state", "failed").is("safe_to_take_cash.answer", "yes")
		r.create(bill("B3")).want(503, "box_replaced").is("safe_to_take_cash.reason", "cash_unknown")
	})
}
