package door_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/platforms"
)

func TestScanToPaid(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		made := r.create(bill("B1")).want(201, "")
		id := made.id()
		made.is("amount_confirmed", false).is("final", false).is("state", "waiting").is("rev", 1).is("amount_fen", 12850).is("till", "w1").is("platform", "full").is("merchant", "window").
			is("safe_to_take_cash.answer", "no").is("safe_to_take_cash.reason", "cash_cancel_first").is("safe_to_retry.answer", "no").
			is("out_trade_no", id).is("bill", "B1").is("state_text.zh", "等待用户扫码").is("operator.id", "1001")
		if made.head.Get("Location") != "/v1/orders/"+id {
			t.Error(made.head)
		}
		r.call("GET", "/v1/tills/w1", his, nil).is("armed", true).is("patient", "张*丰").is("state", "waiting").is("amount", "128.50").
			is("amount_spoken", "一百二十八元五角").is("test", true).is("order.id", id)
		r.w.Pads["w1"].Show(wechatCode)
		synctest.Wait()
		r.order(id).is("state", "paying").is("channel", "wechat").is("safe_to_take_cash.answer", "wait").is("report_channel", "当面付-微信")
		pause(11 * time.Second)
		if got := r.order(id); !strings.Contains(string(got.raw), `"actions_allowed":["check","cancel","detach"]`) {
			t.Error(string(got.raw))
		}
		r.w.Banks["full"].Pay(id)
		r.call("POST", "/v1/orders/"+id+"/check", his, nil).want(202, "")
		paid := r.until(id, "paid").is("safe_to_take_cash.answer", "no").is("amount_confirmed", true).is("paid_at_clock", "platform").
			is("trade_no", "T"+id).is("buyer", "buy***ng").is("final", true).is("refundable_fen", 12850)
		if at := paid.get("paid_at").(string); !strings.HasSuffix(at, "+08:00") {
			t.Error(at)
		}
		for _, q := range []string{"bill=B1", "order=" + id, "trade=T" + id} {
			if got := r.call("GET", "/v1/orders?"+q, his, nil).want(200, ""); !strings.Contains(string(got.raw), id) {
				t.Errorf("%s: %s", q, got.raw)
			}
		}
		r.call("GET", "/v1/orders/"+id+"/timeline", his, nil).want(200, "")
		r.create(bill("B1")).want(409, "bill_paid").is("order.id", id).is("order_id", id).is("safe_to_take_cash.answer", "no").is("safe_to_retry.answer", "no")
		r.call("POST", "/v1/orders/"+id+"/cancel", his, object{"operator": object{"id": "7"}, "reason": "wrong"}).want(409, "use_refunds")
		r.call("POST", "/v1/orders/"+id+"/check", his, nil).want(200, "")
		r.call("POST", "/v1/orders/"+id+"/detach", his, "{}").want(200, "")
	})
}

func TestIdempotency(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		key := set("Idempotency-Key", "same")
		id := r.create(bill("B1", object{"auth_code": wechatCode}), key).want(201, "").id()
		// The present order, whatever the code: it is no part of the request.
		again := r.create(bill("B1", object{"auth_code": alipayCode}), key).want(200, "").is("id", id).is("state", "paying")
		if again.head.Get("Idempotent-Replayed") != "true" {
			t.Error(again.head)
		}
		// Other spelling, same request.
		text := `{"till":"w1",  "order_type":"TREATMENT","mode":"charge","amount_fen":12850,"bill":"B\u0032"}`
		id2 := r.createAs(his, strings.Replace(text, "w1", "w2", 1), set("Idempotency-Key", "k2")).want(201, "").id()
		r.createAs(his, `{"bill":"B2","amount_fen":12850,"mode":"charge","order_type":"TREATMENT","till":"w2"}`, set("Idempotency-Key", "k2")).want(200, "").is("id", id2)
		r.create(bill("B1", object{"amount_fen": 1}), key).want(422, "idempotency_key_mismatch").is("order_id", id).is("field", "Idempotency-Key")
		r.create(bill("B9", object{"till": "w2"}), key).want(422, "idempotency_key_mismatch")
		// The bill's open order for another key; then that key belongs to it.
		exists := r.create(bill("B1"), set("Idempotency-Key", "other")).want(200, "").is("id", id)
		if exists.head.Get("Idempotent-Replayed") != "" {
			t.Error("an order that exists is told as a replay")
		}
		if r.create(bill("B1"), set("Idempotency-Key", "other")).want(200, "").is("id", id).head.Get("Idempotent-Replayed") != "true" {
			t.Error("the second key was not kept")
		}
		r.create(bill("B1", object{"amount_fen": 1})).want(409, "bill_open").is("order.id", id).is("safe_to_take_cash.answer", "wait")
		r.create(bill("B3")).want(409, "till_busy").is("order.id", id).is("safe_to_take_cash.answer", "yes").is("safe_to_retry.answer", "yes")
		// A bound token sees that its bill is open elsewhere, by number only.
		r.createAs(cashier1, bill("B2", object{"amount_fen": 5})).want(409, "bill_open").is("order", nil).is("order_id", id2)
		if n := len(r.w.Banks["full"].Calls("charge")); n != 1 {
			t.Errorf("%d charges", n)
		}
	})
}

func TestRefusedRequests(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fields := map[string]object{
			"bill":                 {"bill": nil},
			"amount_fen":           {"amount_fen": 0},
			"mode":                 {"mode": "give"},
			"till":                 {"till": "w9"},
			"order_type":           {"order_type": "NONE"},
			"out_trade_no":         {"out_trade_no": "a-b"},
			"channel":              {"channel": "cheque"},
			"aggregated":           {"aggregated": true},
			"expires":              {"expires": "5m"},
			"when_offline":         {"when_offline": "maybe"},
			"valid_for":            {"valid_for": "1ms"},
			"subject":              {"subject": "a\u0001b"},
			"memo":                 {"memo": strings.Repeat("x", 1025)},
			"patient.age":          {"patient": object{"age": "9"}},
			"patient.name":         {"patient": object{"name": 5}},
			"patient":              {"patient": "me"},
			"operator.id":          {"operator": object{"name": "x"}},
			"details":              {"details": []object{{"body": strings.Repeat("x", 500)}, {"body": strings.Repeat(`"`, 512)}, {"goods_name": "x"}}, "memo": nil, "subject": nil},
			"details[0].price_fen": {"details": []object{{"price_fen": 1.5}}},
			"details[1]":           {"details": []any{object{}, 5}},
			"surprise":             {"surprise": 1},
			"auth_code":            {"mode": "present", "channel": "wechat", "auth_code": wechatCode},
		}
		lines := []object{}
		for range 60 {
			lines = append(lines, object{"body": strings.Repeat("x", 500)})
		}
		fields["details"]["details"] = lines
		for field, change := range fields {
			r.create(bill("F", change)).want(422, "field_invalid").is("field", field)
		}
		r.create(bill("F", object{"auth_code": "http://pay.invalid/1"})).want(422, "code_not_payable").is("field", "auth_code").is("safe_to_take_cash.answer", "yes")
		wrong := r.create(bill("F", object{"channel": "alipay", "auth_code": wechatCode})).want(422, "wrong_wallet").is("field", "auth_code")
		if s := wrong.get("patient_message.zh"); s != "请出示支付宝的付款码" {
			t.Error(s)
		}
		wrong = r.create(bill("F", object{"auth_code": "621234567890123456789"[:19]}))
		if wrong.status != 422 {
			t.Errorf("%s", wrong.raw)
		}
		id := r.create(bill("F1", object{"auth_code": wechatCode})).want(201, "").id()
		r.create(bill("F2", object{"till": "w2", "auth_code": wechatCode})).want(422, "code_used")
		r.create(bill("F2", object{"till": "w2", "out_trade_no": id})).want(409, "number_used")
		r.create(bill("F3", object{"till": "w3", "mode": "present", "channel": "wechat"})).want(422, "field_invalid").is("field", "mode")
		own := r.create(bill("F4", object{"till": "w2", "out_trade_no": "HIS0001"})).want(201, "").is("id", "HIS0001")
		own.is("state", "waiting")
		r.call("POST", "/v1/orders/HIS0001/cancel", his, object{"reason": "gone"}).want(200, "").is("state", "canceled").is("safe_to_take_cash.answer", "yes")
		if got := string(r.order("HIS0001").raw); !strings.Contains(got, `"actions_allowed":["retry"]`) {
			t.Error(got)
		}
		for _, b := range []string{"", "[]", "{", "null", `{"bill":null}`, `{"bill":"a","bill":"b"}`, `{"bill":"a","BILL":"b"}`, `{"bill":"a"} x`, "{\"bill\":\"\xff\"}"} {
			if b == "" {
				r.create(b).want(422, "field_invalid")
				continue
			}
			r.create(b).want(400, "malformed").is("safe_to_take_cash.answer", "no").is("safe_to_retry.reason", "retry_same_key")
		}
		r.create(strings.Repeat(" ", 70<<10)).want(413, "too_large")
		r.create(bill("B"), set("Content-Type", "text/plain")).want(415, "unsupported_media_type")
		r.create(bill("B"), del("Content-Type")).want(415, "unsupported_media_type")
		r.create(bill("B"), del("Idempotency-Key")).want(400, "idempotency_key_missing")
		r.create(bill("B"), set("Idempotency-Key", strings.Repeat("k", 256))).want(422, "field_invalid").is("field", "Idempotency-Key")
		r.create(bill("B"), set("Idempotency-Key", "ключ")).want(422, "field_invalid")
		for path, field := range map[string]string{"/v1/orders": "query", "/v1/orders?bill=": "bill", "/v1/orders?state=shut": "state", "/v1/orders?bill=a&trade=b": "query",
			"/v1/orders?bill=a&bill=b": "bill", "/v1/orders?name=a": "query", "/v1/orders?bill=%zz": "query", "/v1/orders?order=a-b": "order",
			"/v1/orders/" + id + "?wait=x": "wait", "/v1/orders/" + id + "?wait=-1s": "wait", "/v1/orders/" + id + "?rev=x": "rev", "/v1/events?since=x": "Last-Event-ID"} {
			r.call("GET", path, his, nil).want(422, "field_invalid").is("field", field)
		}
		for _, what := range []string{"check", "cancel", "detach", "confirm"} {
			r.call("POST", "/v1/orders/NONE/"+what, his, nil).want(404, "not_found")
			r.call("POST", "/v1/orders/"+id+"/"+what, his, `{"operator":1}`).want(422, "field_invalid")
			r.call("POST", "/v1/orders/"+id+"/"+what, his, `{"a":`).want(400, "malformed")
		}
		r.call("GET", "/v1/orders/"+strings.Repeat("A", 80), his, nil).want(404, "not_found")
		r.call("GET", "/v1/orders/NONE", his, nil).want(404, "not_found")
		r.call("GET", "/v1/orders/NONE/timeline", his, nil).want(404, "not_found")
		r.call("GET", "/v1/tills/none", his, nil).want(404, "not_found")
		r.call("GET", "/v1/nothing", his, nil).want(404, "not_found")
		r.call("GET", "/v1//orders", his, nil).want(404, "not_found")
		r.call("DELETE", "/v1/orders/"+id, his, nil).want(405, "method_not_allowed")
		if got := r.call("PUT", "/v1/orders", his, nil).want(405, "method_not_allowed"); got.head.Get("Allow") != "POST, GET" {
			t.Error(got.head)
		}
		if n := len(r.w.Banks["full"].Calls("charge")); n != 1 {
			t.Errorf("%d charges", n)
		}
	})
}

func TestCancelWhilePaying(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "").id()
		pause(2 * time.Second)
		got := r.call("POST", "/v1/orders/"+id+"/cancel", his, object{"operator": object{"id": "7", "name": "李"}, "reason": "left"}).want(202, "")
		got.is("cancel_requested", true).is("cancel_in_s", 13).is("safe_to_take_cash.answer", "wait")
		r.until(id, "canceled").is("cancel_action", "close").is("safe_to_take_cash.answer", "yes").is("end_reason", "canceled").is("message.zh", "已撤销：已关闭，未扣款")
		r.create(bill("B1")).want(201, "").is("state", "waiting")
	})
}

func TestDetachFreesTheTill(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "").id()
		r.create(bill("B2")).want(409, "till_busy")
		r.call("POST", "/v1/orders/"+id+"/detach", his, nil).want(200, "").is("detached", true)
		r.create(bill("B2")).want(201, "")
		r.call("POST", "/v1/orders/"+id+"/confirm", his, nil).want(409, "nothing_to_confirm")
		open := r.call("GET", "/v1/orders?state=open", his, nil).want(200, "")
		if n := len(open.body["orders"].([]any)); n != 2 {
			t.Errorf("%d open", n)
		}
	})
}

func TestFailedAndInDoubt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		bank := r.w.Banks["full"]
		bank.OnCharge(func(c platforms.Charge) (platforms.Answer, error) {
			return platforms.Answer{Status: platforms.Failed, OrderNo: c.OrderNo, Code: "-400010", Message: "二维码已失效"}, nil
		})
		id := r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "").id()
		failed := r.until(id, "failed").is("safe_to_take_cash.answer", "yes").is("safe_to_retry.answer", "yes").is("platform_code", "-400010").is("end_reason", "refused")
		if s := failed.get("message.zh").(string); !strings.Contains(s, "二维码已失效") {
			t.Error(s)
		}
		bank.OnCharge(nil)
		old := r.create(bill("B2")).want(201, "").id()
		r.call("POST", "/v1/orders/"+old+"/cancel", his, nil).want(200, "").is("safe_to_take_cash.answer", "yes")
		bank.Deafen(true)
		id = r.create(bill("B2", object{"auth_code": alipayCode})).want(201, "").id()
		doubt := r.until(id, "in_doubt").is("safe_to_take_cash.answer", "no").is("safe_to_retry.answer", "no")
		if doubt.get("doubt_reason") == nil {
			t.Error(string(doubt.raw))
		}
		alarms := r.call("GET", "/v1/alarms", admin, nil).want(200, "")
		if !strings.Contains(string(alarms.raw), id) {
			t.Error(string(alarms.raw))
		}
		// A refusal for another reason goes by the worst that the bill has.
		r.create(bill("B2", object{"order_type": "NONE"})).want(422, "field_invalid").is("safe_to_take_cash.answer", "no").is("safe_to_take_cash.reason", "cash_in_doubt")
		// The platform goes away: the same bill is not called safe because of that.
		bank.Cut(true)
		pause(2 * time.Minute)
		r.call("GET", "/readyz", his, nil).want(503, "-").is("ready", false)
		refused := r.create(bill("B2", object{"till": "w2"}))
		if refused.status == 200 {
			refused.is("id", id).is("safe_to_take_cash.answer", "no")
		} else {
			refused.want(503, "platform_unreachable").is("safe_to_take_cash.answer", "no")
		}
		r.create(bill("B3", object{"till": "w2", "amount_fen": 4})).want(503, "platform_unreachable").is("safe_to_take_cash.answer", "yes").is("safe_to_retry.answer", "wait").is("retry_after_s", 10)
		bank.Cut(false)
		bank.Deafen(false)
		r.call("POST", "/v1/resolve", admin, nil).want(202, "").is("status", "accepted")
		r.call("POST", "/v1/resolve", admin, `{"x":1}`).want(422, "field_invalid")
		r.until(id, "canceled")
		r.call("GET", "/readyz", his, nil).want(200, "").is("ready", true)
	})
}

func TestQueuedOffline(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		bank := r.w.Banks["full"]
		bank.Cut(true)
		// An open order lets the probe ask often.
		pause(2 * time.Minute)
		start := time.Now()
		r.create(bill("B0", object{"auth_code": wechatCode})).want(503, "platform_unreachable").is("safe_to_take_cash.answer", "yes")
		if took := time.Since(start); took >= time.Second {
			t.Errorf("refused after %s", took)
		}
		made := r.create(bill("K1", object{"till": "k1", "mode": "present", "channel": "alipay", "valid_for": "5m"})).want(202, "")
		id := made.id()
		made.is("state", "queued").is("valid_for_s", 300).is("safe_to_take_cash.reason", "cash_cancel_first")
		if made.head.Get("Location") == "" {
			t.Error("no Location")
		}
		r.call("GET", "/v1/tills/k1", screen1, nil).is("state", "queued").is("queued", 1).is("online", false).is("patient", "张*丰")
		r.call("POST", "/v1/orders/"+id+"/confirm", his, nil).want(503, "platform_unreachable").is("order.id", id)
		bank.Cut(false)
		for range 120 {
			if pause(time.Second); r.call("GET", "/v1/tills/k1", screen1, nil).get("online") == true {
				break
			}
		}
		r.call("GET", "/v1/tills/k1", screen1, nil).is("online", true).is("state", "queued")
		r.call("POST", "/v1/orders/"+id+"/confirm", his, nil).want(200, "")
		r.until(id, "paying").is("qr", "https://qr.invalid/"+id)
		late := r.create(bill("K2", object{"till": "k1"})).want(409, "till_busy")
		late.is("order_id", id)
	})
}

// TestClockInTheWay: where this machine's clock is why no platform can be
// verified, that is what is said, and it is as harmless as a dead network.
func TestClockInTheWay(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		bank := r.w.Banks["full"]
		bank.CutByClock(true)
		pause(2 * time.Minute)
		r.create(bill("B0", object{"auth_code": wechatCode})).want(503, "clock_wrong").is("safe_to_take_cash.answer", "yes").is("safe_to_retry.answer", "wait").is("retry_after_s", 10)
		if ready := r.call("GET", "/readyz", his, nil).want(503, "-"); !strings.Contains(string(ready.raw), `"clock_wrong"`) || strings.Contains(string(ready.raw), "platform_unreachable") {
			t.Error(string(ready.raw))
		}
		queued := object{"till": "k1", "mode": "present", "channel": "alipay", "when_offline": "queue"}
		id := r.create(bill("K1", queued)).want(202, "").is("state", "queued").id()
		r.call("POST", "/v1/orders/"+id+"/confirm", his, nil).want(503, "clock_wrong")
		// The clock was set, and the network is down instead.
		bank.Cut(true)
		pause(2 * time.Minute)
		r.create(bill("B1")).want(503, "platform_unreachable")
		bank.Cut(false)
		pause(2 * time.Minute)
		r.create(bill("B2", object{"amount_fen": 2})).want(201, "")
	})
}

func TestClosedForNewOrders(t *testing.T) {
	var low atomic.Bool
	inBubbleWith(t, func(o *agenttest.Options, _ *door.Options) {
		o.DiskLow = low.Load
		o.Config = func(c *config.Config) { c.Limits.OperatorShiftFen = 20000 }
	}, func(t *testing.T, r *rig) {
		id := r.create(bill("B1")).want(201, "").id()
		r.create(bill("B2", object{"till": "w2"})).want(409, "over_shift_cap")
		low.Store(true)
		pause(2 * time.Second)
		r.create(bill("B3", object{"till": "w2", "amount_fen": 1})).want(503, "disk_low").is("retry_after_s", 60)
		r.call("GET", "/readyz", his, nil).want(503, "-")
		low.Store(false)
		pause(2 * time.Second)
		r.w.Banks["full"].RefuseToken(true)
		r.w.Pads["w1"].Show(wechatCode)
		r.until(id, "failed").is("end_reason", "token_refused").is("safe_to_take_cash.answer", "yes")
		r.create(bill("B4", object{"till": "w2", "amount_fen": 1})).want(503, "token_refused")
		ready := r.call("GET", "/readyz", admin, nil).want(503, "-")
		if !strings.Contains(string(ready.raw), `"code":"token_refused","name":"window"`) {
			t.Error(string(ready.raw))
		}
		r.w.Stop()
		r.create(bill("B5", object{"till": "w2", "amount_fen": 1})).want(503, "shutting_down").is("safe_to_take_cash.answer", "no").is("safe_to_retry.reason", "retry_same_key")
		r.call("GET", "/readyz", admin, nil).want(503, "-")
	})
}

// While the agent still reads its log it refuses and calls nothing safe.
func TestNotStartedYet(t *testing.T) {
	inBubbleWith(t, func(o *agenttest.Options, _ *door.Options) { o.Asleep = true }, func(t *testing.T, r *rig) {
		r.create(bill("B1")).want(503, "shutting_down").is("safe_to_take_cash.answer", "no")
		r.call("GET", "/healthz", "", nil).want(200, "")
	})
}

func TestRefunds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.paid("B1").id()
		path := "/v1/orders/" + id + "/refunds"
		ask := func(key string, body object, headers ...header) reply {
			t.Helper()
			return r.call("POST", path, his, body, append([]header{set("Idempotency-Key", key)}, headers...)...)
		}
		who := object{"id": "2001", "name": "退费员"}
		ask("r0", object{"amount_fen": 100, "operator": who}, del("Idempotency-Key")).want(400, "idempotency_key_missing")
		r.call("POST", path, his, "{", set("Idempotency-Key", "r0")).want(400, "malformed")
		ask("r0", object{"amount_fen": 100}).want(422, "field_invalid").is("field", "operator.id")
		ask("r0", object{"amount_fen": -1, "operator": who}).want(422, "field_invalid").is("field", "amount_fen")
		ask("r0", object{"amount_fen": "1", "operator": who}).want(422, "field_invalid")
		ask("r0", object{"amount_fen": 1, "refund_no": "no spaces", "operator": who}).want(422, "field_invalid").is("field", "refund_no")
		ask("r0", object{"amount_fen": 12851, "operator": who}).want(422, "refund_over").is("field", "amount_fen")
		first := ask("r1", object{"amount_fen": 1000, "operator": who, "reason": "too much"}).want(202, "").is("order.id", id).is("refund.amount_fen", 1000)
		no := first.get("refund.refund_no").(string)
		if first.head.Get("Location") != path {
			t.Error(first.head)
		}
		again := ask("r1", object{"amount_fen": 1000, "operator": who, "reason": "too much"}).want(200, "").is("refund.refund_no", no)
		if again.head.Get("Idempotent-Replayed") != "true" {
			t.Error(again.head)
		}
		ask("r1", object{"amount_fen": 1001, "operator": who}).want(422, "idempotency_key_mismatch")
		ask("r2", object{"amount_fen": 500, "refund_no": "HISRF1", "operator": who}).want(202, "").is("refund.refund_no", "HISRF1")
		ask("r3", object{"amount_fen": 500, "refund_no": "HISRF1", "operator": who}).want(200, "")
		ask("r4", object{"amount_fen": 501, "refund_no": "HISRF1", "operator": who}).want(409, "refund_number_used")
		pause(3 * time.Minute)
		synctest.Wait()
		list := r.call("GET", path, his, nil).want(200, "").is("refunded_fen", 1500).is("refundable_fen", 11350)
		if n := len(list.body["refunds"].([]any)); n != 2 {
			t.Errorf("%d refunds", n)
		}
		if n := len(r.w.Banks["full"].Calls("refund")); n != 2 {
			t.Errorf("%d refunds on the wire", n)
		}
		ask("r5", object{"amount_fen": 11350, "operator": who}).want(202, "")
		pause(2 * time.Minute)
		synctest.Wait()
		r.order(id).is("refunded_fen", 12850).is("safe_to_take_cash.answer", "yes").is("safe_to_take_cash.reason", "cash_refunded").is("state", "paid")

		r.call("POST", "/v1/orders/NONE/refunds", his, object{"amount_fen": 1, "operator": who}, set("Idempotency-Key", "x")).want(404, "not_found")
		r.call("GET", "/v1/orders/NONE/refunds", his, nil).want(404, "not_found")
		open := r.create(bill("B2")).want(201, "").id()
		r.call("POST", "/v1/orders/"+open+"/refunds", his, object{"amount_fen": 1, "operator": who}, set("Idempotency-Key", "x")).want(409, "not_paid")
		plain := r.paid("B3", object{"till": "w3"}).id()
		got := r.call("POST", "/v1/orders/"+plain+"/refunds", his, object{"amount_fen": 1, "operator": who}, set("Idempotency-Key", "y")).want(422, "refund_not_supported")
		if s := got.get("next_action.zh").(string); !strings.Contains(s, "财务") {
			t.Error(s)
		}
		r.w.Stop()
		r.call("POST", path, his, object{"amount_fen": 1, "operator": who}, set("Idempotency-Key", "z")).want(503, "shutting_down")
	})
}

// Two hundred requests for one bill at once, each with a key of its own: one
// order, one charge on the wire.
func TestManyAtOnce(t *testing.T) {
	inBubbleWith(t, unlimited, func(t *testing.T, r *rig) {
		var group sync.WaitGroup
		var mu sync.Mutex
		ids, created := map[string]int{}, 0
		for i := range 200 {
			group.Go(func() {
				body := bill("B1", object{"auth_code": wechatCode})
				got := r.call("POST", "/v1/orders", his, body, set("Idempotency-Key", strings.Repeat("k", i+1)))
				mu.Lock()
				defer mu.Unlock()
				if got.status == 201 {
					created++
				} else if got.status != 200 {
					t.Errorf("%d %s", got.status, got.raw)
				}
				id, _ := got.body["id"].(string)
				ids[id]++
			})
		}
		group.Wait()
		if len(ids) != 1 || created != 1 || len(r.w.Banks["full"].Calls("charge")) != 1 {
			t.Errorf("%d orders, %d created, %d charges", len(ids), created, len(r.w.Banks["full"].Calls("charge")))
		}
	})
}

func TestLongPoll(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.create(bill("B1")).want(201, "").id()
		wait := func(query string) (time.Duration, reply) {
			start := time.Now()
			got := r.call("GET", "/v1/orders/"+id+query, his, nil).want(200, "")
			return time.Since(start), got
		}
		if took, _ := wait("?wait=30s&rev=0"); took != 0 {
			t.Errorf("another rev was answered after %s", took)
		}
		if took, _ := wait("?wait=30s&rev=1"); took != 30*time.Second {
			t.Errorf("no change was answered after %s", took)
		}
		go func() {
			pause(7 * time.Second)
			r.w.Pads["w1"].Show(wechatCode)
		}()
		took, got := wait("?wait=30s")
		if took != 7*time.Second || got.get("state") != "paying" {
			t.Errorf("a change was answered after %s: %s", took, got.raw)
		}
		ctx, stop := shortly()
		defer stop()
		start := time.Now()
		r.callContext(ctx, "GET", "/v1/orders/"+id+"?wait=60s&rev="+revOf(got), his, nil)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("a caller that left was waited for %s", took)
		}
		r.w.Banks["full"].Pay(id)
		r.until(id, "paid")
		if took, _ := wait("?wait=30s"); took != 0 {
			t.Errorf("a final order was answered after %s", took)
		}
		paid := r.order(id)
		if took, _ := wait("?wait=10h&rev=" + revOf(paid)); took != time.Minute {
			t.Errorf("the wait is not capped: %s", took)
		}
	})
}

func TestTooManyWaiters(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.create(bill("B1")).want(201, "").id()
		var group sync.WaitGroup
		for range 64 {
			group.Go(func() { r.call("GET", "/v1/orders/"+id+"?wait=10s&rev=1", his, nil).want(200, "") })
		}
		synctest.Wait()
		r.call("GET", "/v1/orders/"+id+"?wait=10s&rev=1", his, nil).want(429, "too_many_requests").is("retry_after_s", 1)
		r.call("GET", "/v1/events", his, nil).want(429, "too_many_requests")
		r.order(id) // those who do not wait are served
		group.Wait()
		r.call("GET", "/v1/orders/"+id+"?wait=1s&rev=1", his, nil).want(200, "")
	})
}
