package door_test

import (
	"errors"
	"testing"
	"time"

	"payagent/agent/access"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/order"
	"payagent/platforms"
)

// nobody is a site whose counters have no operator of their own, so that only
// HIS can say who acts; refunds above 1 yuan need a second person.
func nobody(o *agenttest.Options, _ *door.Options) {
	o.Config = func(c *config.Config) {
		c.Limits.RefundAloneFen = 100
		for i := range c.Tills {
			if c.Tills[i].Kind == config.Counter {
				c.Tills[i].Operator = config.Operator{}
			}
		}
	}
}

// persons gives who did what to an order, from its facts.
func (r *rig) persons(no string, kind order.Kind) platforms.Operator {
	r.t.Helper()
	facts, err := r.w.Agent.Facts(no)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range facts {
		switch {
		case f.Kind != kind:
		case f.Created != nil:
			return f.Created.Operator
		case f.Person != nil:
			return f.Person.Operator
		case f.Refund != nil:
			return f.Refund.Operator
		case f.Decided != nil:
			return f.Decided.Operator
		case f.Proposed != nil:
			return f.Proposed.Operator
		}
	}
	r.t.Fatalf("order %s has no %s", no, kind)
	return platforms.Operator{}
}

// TestMoneyActsNameAPerson: each act about money is refused without a person,
// or is in the name of the one who took the money; what is kept names them.
func TestMoneyActsNameAPerson(t *testing.T) {
	inBubbleWith(t, nobody, func(t *testing.T, r *rig) {
		unnamed := func(got reply) { t.Helper(); got.want(422, "field_invalid").is("field", "operator.id") }
		key := func(k string) header { return set("Idempotency-Key", k) }
		who := object{"id": "1001", "name": "王收费"}

		// pay
		r.w.Banks[agenttest.Full].OnCharge(func(c platforms.Charge) (platforms.Answer, error) { return agenttest.PaidAnswer(c.Ref, c.Channel), nil })
		body := bill("P1", object{"auth_code": wechatCode})
		delete(body, "operator")
		unnamed(r.create(body, key("p0")))
		unnamed(r.create(bill("P1", object{"operator": object{"name": "王收费"}}), key("p1")))
		body["operator"] = who
		paid := r.create(body, key("p2")).want(201, "").id()
		r.until(paid, "paid")
		if op := r.persons(paid, order.KindCreated); op.ID != "1001" {
			t.Errorf("paid by %+v", op)
		}

		// cancel: never refused, and in a name
		open := r.create(bill("C1", object{"operator": who}), key("c1")).want(201, "").id()
		r.call("POST", "/v1/orders/"+open+"/cancel", his, object{}).want(200, "")
		if op := r.persons(open, order.KindCancelAsked); op.ID != "1001" {
			t.Errorf("canceled by %+v", op)
		}
		open = r.create(bill("C2", object{"operator": who}), key("c2")).want(201, "").id()
		r.call("POST", "/v1/orders/"+open+"/cancel", his, object{"operator": object{"id": "1002"}}).want(200, "")
		if op := r.persons(open, order.KindCancelAsked); op.ID != "1002" {
			t.Errorf("canceled by %+v", op)
		}

		// refund, and the second person's word
		refunds := "/v1/orders/" + paid + "/refunds"
		unnamed(r.call("POST", refunds, his, object{"amount_fen": 500}, key("r1")))
		r.call("POST", refunds, his, object{"amount_fen": 500, "refund_no": "R1", "operator": who}, key("r2")).want(202, "")
		for _, word := range []string{"approve", "decline"} {
			unnamed(r.call("POST", refunds+"/R1/"+word, desk, object{}))
		}
		r.call("POST", refunds+"/R1/approve", desk, object{"operator": object{"id": "2002"}}).want(202, "")
		if a, b := r.persons(paid, order.KindRefund), r.persons(paid, order.KindDecided); a.ID != "1001" || b.ID != "2002" {
			t.Errorf("asked by %+v, approved by %+v", a, b)
		}

		// resolve, and the second person's word
		r.w.Banks[agenttest.Full].OnCharge(func(platforms.Charge) (platforms.Answer, error) { return platforms.Answer{}, errors.New("silence") })
		r.w.Banks[agenttest.Full].Deafen(true)
		doubt := r.create(bill("D1", object{"operator": who, "auth_code": "134567890123456780"}), key("d1")).want(201, "").id()
		time.Sleep(time.Hour)
		r.until(doubt, "in_doubt")
		resolution := "/v1/orders/" + doubt + "/resolution"
		said := object{"outcome": "failed", "evidence": "statement, no such payment", "reason": "closed"}
		unnamed(r.call("POST", resolution, finance1, said))
		said["operator"] = object{"id": "3001"}
		r.call("POST", resolution, finance1, said).want(202, "")
		for _, word := range []string{"confirm", "reject"} {
			unnamed(r.call("POST", resolution+"/"+word, finance2, object{}))
		}
		r.call("POST", resolution+"/confirm", finance2, object{"operator": object{"id": "3002"}}).want(200, "")
		if a, b := r.persons(doubt, order.KindProposed), r.persons(doubt, order.KindResolved); a.ID != "3001" || b.ID != "3002" {
			t.Errorf("said by %+v, confirmed by %+v", a, b)
		}

		// adopt
		unnamed(r.call("POST", "/v1/desk/adopt", desk, object{"till": "w1", "order_no": "X1", "merchant": "window"}))
	})
}

// TestScopes: a token with one scope may do that and nothing else about money;
// one of a till cancels its own till's orders only.
func TestScopes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		who := object{"id": "1001"}
		paid := r.paid("S1").id()
		r.w.Banks[agenttest.Full].OnCharge(nil)
		open := r.create(bill("S2")).want(201, "").id()
		other := r.create(bill("S3", object{"till": "w2"})).want(201, "").id()
		acts := []struct {
			name, path string
			body       object
			scope      access.Scope
		}{
			{"collect", "/v1/orders", bill("S4", object{"till": "w3"}), access.Collect},
			{"cancel", "/v1/orders/" + open + "/cancel", object{"operator": who}, access.Collect},
			{"refund", "/v1/orders/" + paid + "/refunds", object{"amount_fen": 1, "operator": who}, access.Refund},
			{"approve", "/v1/orders/" + paid + "/refunds/R1/approve", object{"operator": who}, access.Refund},
			{"resolve", "/v1/orders/" + paid + "/resolution", object{"outcome": "failed", "evidence": "e", "reason": "r", "operator": who}, access.Resolve},
			{"confirm", "/v1/orders/" + paid + "/resolution/confirm", object{"operator": who}, access.Resolve},
			{"admin", "/v1/resolve", object{}, access.Admin},
		}
		holders := map[access.Scope]string{access.Collect: collector, access.Refund: desk, access.Resolve: finance1, access.Admin: admin, access.Screen: screen1}
		r.call("POST", "/v1/orders/"+other+"/cancel", cashier1, object{"operator": who}).want(404, "not_found")
		for _, a := range acts {
			for scope, token := range holders {
				got := r.call("POST", a.path, token, a.body, set("Idempotency-Key", a.name))
				if (got.status == 403) != (scope != a.scope) {
					t.Errorf("%s by a token with %s: %d %s", a.name, scope, got.status, got.raw)
				}
			}
		}
	})
}
