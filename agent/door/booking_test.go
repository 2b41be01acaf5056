package door_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/door"
	"payagent/platforms"
)

const medicalCard = "CARDOFTHEBOOKING"

// inHospital runs a scenario where HIS is expected to book.
func inHospital(t *testing.T, run func(t *testing.T, r *rig)) {
	t.Helper()
	inBubbleWith(t, func(o *agenttest.Options, _ *door.Options) {
		o.Config = func(c *config.Config) {
			c.Booking.Expect = true
			c.Limits.RefundAloneFen = 1000
		}
	}, func(t *testing.T, r *rig) {
		run(t, r)
		if strings.Contains(r.out.String(), medicalCard) {
			t.Error("the medical card left")
		}
	})
}

func (r *rig) book(id string, body any) reply {
	r.t.Helper()
	return r.call("POST", "/v1/orders/"+id+"/booking", his, body)
}

// Paid is not done: the view counts down to the prompt, then says what to do;
// HIS's word ends it, once.
func TestBooked(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		paid := r.paid("B1")
		id := paid.id()
		paid.is("booking.state", "pending").is("booking.stage", "pending").is("patient_message.zh", "支付成功，正在登记，请稍候").is("message.zh", "支付成功，等待 HIS 入账")
		if in, _ := paid.get("booking.prompt_in_s").(float64); in < 50 || in > 60 {
			t.Errorf("prompt in %v s", in)
		}
		if !strings.Contains(string(paid.raw), `"book"`) {
			t.Errorf("book is no action: %s", paid.raw)
		}
		pause(61 * time.Second)
		synctest.Wait()
		r.order(id).is("booking.stage", "pending_long").is("booking.prompt_in_s", 0)
		r.call("GET", "/v1/tills/w1", his, nil).want(200, "").is("note.code", "booking_pending")
		list := r.call("GET", "/v1/orders?state=unbooked", his, nil).want(200, "")
		if n := len(list.body["orders"].([]any)); n != 1 {
			t.Errorf("%d unbooked orders", n)
		}
		pause(20 * time.Minute) // the order is let go after its alarm, and is found all the same
		synctest.Wait()
		if list := r.call("GET", "/v1/orders?state=unbooked", his, nil).want(200, ""); len(list.body["orders"].([]any)) != 1 {
			t.Errorf("%s", list.raw)
		}

		word := object{"result": "booked", "his_flow_id": "F1", "cost_type": "医保", "medical_card": medicalCard, "at": "2000-01-01T00:10:00+08:00", "operator": object{"id": "h1"}}
		got := r.book(id, word).want(200, "").is("booking.state", "booked").is("booking.his_flow_id", "F1").is("booking.cost_type", "医保").
			is("booking.at", "2000-01-01T00:10:00.000+08:00").is("patient_message.zh", "支付成功，已登记")
		if got.head.Get("Idempotent-Replayed") != "" || strings.Contains(string(got.raw), `"book"`) {
			t.Errorf("%v %s", got.head, got.raw)
		}
		if again := r.book(id, word).want(200, ""); again.head.Get("Idempotent-Replayed") != "true" {
			t.Error(again.head)
		}
		r.book(id, object{"result": "booked", "his_flow_id": "F2"}).want(409, "booking_differs").is("order.id", id)
		r.book(id, object{"result": "failed"}).want(409, "booking_differs")
		if list := r.call("GET", "/v1/orders?flow=F1", his, nil).want(200, ""); len(list.body["orders"].([]any)) != 1 {
			t.Errorf("%s", list.raw)
		}
		tail := r.order(id).get("trade_no").(string)
		if list := r.call("GET", "/v1/orders?trade_end="+tail[len(tail)-4:], his, nil).want(200, ""); len(list.body["orders"].([]any)) != 1 {
			t.Errorf("%s", list.raw)
		}
		r.call("GET", "/v1/orders?trade_end=12345", his, nil).want(422, "field_invalid").is("field", "trade_end")

		second := r.paid("B2").id()
		r.book(second, object{"result": "booked", "his_flow_id": "F1"}).want(409, "flow_id_used")
		open := r.create(bill("B3")).want(201, "").id()
		r.book(open, object{"result": "booked", "his_flow_id": "F3"}).want(409, "not_paid")
		r.book("NONE", object{"result": "booked", "his_flow_id": "F3"}).want(404, "not_found")
		for field, body := range map[string]any{
			"result": object{"his_flow_id": "F"}, "his_flow_id": object{"result": "booked"}, "at": object{"result": "booked", "his_flow_id": "F", "at": "today"},
			"cash_taken":      object{"result": "failed", "cash_taken": "yes"},
			"insurance_taken": object{"result": "failed", "cash_taken": true}, "paid": object{"result": "failed", "paid": true},
		} {
			r.book(second, body).want(422, "field_invalid").is("field", field)
		}
		r.book(second, "{").want(400, "malformed")
		r.call("POST", "/v1/orders/"+second+"/booking", desk, word).want(403, "forbidden")
		r.w.Stop()
		r.book(second, object{"result": "booked", "his_flow_id": "F9"}).want(503, "shutting_down")
	})
}

// HIS says that it failed: the money goes back at once, the page can follow it,
// and cash is safe only when it is back.
func TestBookingFailed(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		id := r.paid("B1").id()
		got := r.book(id, object{"result": "failed", "reason": "号源已满"}).want(200, "").is("booking.state", "failed").is("booking.stage", "going_back").
			is("booking.reason", "号源已满").is("message.zh", "HIS 处理失败，正在原路退回")
		if a := got.get("safe_to_take_cash.answer"); a == "yes" {
			t.Error("cash is called safe while the money is on its way back")
		}
		pause(2 * time.Minute)
		synctest.Wait()
		back := r.order(id).is("booking.stage", "given_back").is("safe_to_take_cash.answer", "yes").is("refunded_fen", 12850).is("message.zh", "HIS 处理失败，款项已原路退回")
		line := back.body["refunds"].([]any)[0].(object)
		if line["auto"] != true || line["state"] != "done" || line["via"] != "cancel" {
			t.Errorf("%v", line)
		}
		r.book(id, object{"result": "booked", "his_flow_id": "F1"}).want(409, "booking_failed_before").is("order.booking.stage", "given_back")
		r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "") // the bill may be paid again
	})
}

// Insurance was taken and cash was not: nothing moves by itself, two persons
// decide.
func TestBookingSplit(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		id := r.paid("B1").id()
		r.book(id, object{"result": "failed", "insurance_taken": true, "cash_taken": false}).want(200, "").is("booking.state", "insurance_split").
			is("booking.insurance_taken", true).is("booking.cash_taken", false)
		if list := r.call("GET", "/v1/orders?state=in_doubt", finance1, nil).want(200, ""); len(list.body["orders"].([]any)) != 1 {
			t.Errorf("%s", list.raw)
		}
		pause(5 * time.Minute)
		synctest.Wait()
		r.order(id).is("refunded_fen", 0).is("safe_to_take_cash.answer", "no")
	})
}

// An answer of HIS to an event is read as the route reads its body.
func TestReadBooking(t *testing.T) {
	b, err := door.ReadBooking([]byte(`{"code":0,"booking":{"result":"booked","his_flow_id":"F1","medical_card":"C"}}`))
	if err != nil || !b.Booked || b.FlowID != "F1" || b.MedicalCard.Reveal() != "C" {
		t.Errorf("%+v %v", b, err)
	}
	for text, none := range map[string]bool{`{"code":0}`: true, `{}`: true, `OK`: false, `{"booking":{}}`: false, `{"booking":[]}`: false,
		`{"booking":{"result":"booked"},"Booking":{}}`: false, `{"booking":{"result":"booked","x":1}}`: false} {
		if _, err := door.ReadBooking([]byte(text)); err == nil || (err == door.ErrNoBooking) != none {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Above the limit a refund waits for a second person by a second token.
func TestApproval(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		id := r.paid("B1").id()
		r.book(id, object{"result": "booked", "his_flow_id": "F1"}).want(200, "")
		maker, checker := object{"id": "2001", "name": "退费员"}, object{"id": "3001", "name": "组长"}
		refund := func(key, token string, sum int) string {
			t.Helper()
			got := r.call("POST", "/v1/orders/"+id+"/refunds", token, object{"amount_fen": sum, "operator": maker, "reason": "退号"}, set("Idempotency-Key", key)).want(202, "")
			return got.get("refund.refund_no").(string)
		}
		decide := func(no, act, token string, who object) reply {
			t.Helper()
			return r.call("POST", "/v1/orders/"+id+"/refunds/"+no+"/"+act, token, object{"operator": who, "reason": "看过"})
		}
		no := refund("r1", his, 5000)
		line := r.order(id).body["refunds"].([]any)[0].(object)
		if line["state"] != "awaiting" || line["needs_second"] != true || line["reason"] != "退号" {
			t.Errorf("%v", line)
		}
		if list := r.call("GET", "/v1/orders?state=awaiting", desk, nil).want(200, ""); len(list.body["orders"].([]any)) != 1 || !strings.Contains(string(list.raw), `"approve"`) {
			t.Errorf("%s", list.raw)
		}
		pause(2 * time.Minute)
		synctest.Wait()
		if n := len(r.w.Banks["full"].Calls("refund")); n != 0 {
			t.Fatalf("%d refunds left before a second person agreed", n)
		}
		decide(no, "approve", his, checker).want(409, "same_token").is("order.id", id)
		decide(no, "approve", desk, maker).want(409, "same_person")
		decide("NONE", "approve", desk, checker).want(409, "nothing_to_approve")
		r.call("POST", "/v1/orders/NONE/refunds/"+no+"/approve", desk, object{"operator": checker}).want(404, "not_found")
		r.call("POST", "/v1/orders/NONE/refunds/"+no+"/decline", desk, object{"operator": checker}).want(404, "not_found")
		r.call("POST", "/v1/orders/"+id+"/refunds/"+no+"/approve", desk, object{}).want(422, "field_invalid").is("field", "operator.id")
		r.call("POST", "/v1/orders/"+id+"/refunds/"+no+"/decline", desk, object{}).want(422, "field_invalid")
		for _, act := range []string{"approve", "decline"} {
			r.call("POST", "/v1/orders/"+id+"/refunds/"+no+"/"+act, desk, "{").want(400, "malformed")
			r.call("POST", "/v1/orders/"+id+"/refunds/"+no+"/"+act, collector, object{"operator": checker}).want(403, "forbidden")
		}
		decide(no, "approve", desk, checker).want(202, "")
		pause(2 * time.Minute)
		synctest.Wait()
		line = r.order(id).is("refunded_fen", 5000).body["refunds"].([]any)[0].(object)
		if by, _ := line["approved_by"].(object); line["state"] != "done" || by["id"] != "3001" {
			t.Errorf("%v", line)
		}
		r.book(id, object{"result": "booked", "his_flow_id": "F2", "refund_no": no}).want(200, "")
		if line = r.order(id).body["refunds"].([]any)[0].(object); line["his_flow_id"] != "F2" {
			t.Errorf("%v", line)
		}

		// Who asked may take it back; a token that vouches plays both parts.
		no = refund("r2", his, 2000)
		decide(no, "decline", his, maker).want(200, "")
		decide(no, "decline", his, maker).want(409, "nothing_to_approve")
		no = refund("r3", vouching, 2000)
		decide(no, "approve", vouching, maker).want(409, "same_person")
		decide(no, "approve", vouching, checker).want(202, "")
		pause(2 * time.Minute)
		synctest.Wait()
		r.order(id).is("refunded_fen", 7000)
		r.w.Stop()
		decide(no, "approve", desk, checker).want(503, "shutting_down")
		decide(no, "decline", desk, checker).want(503, "shutting_down")
	})
}

// What is in doubt ends by evidence and two persons at two tokens.
func TestResolution(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		r.w.Banks["full"].Deafen(true)
		id := r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "").id()
		doubt := r.until(id, "in_doubt")
		if !strings.Contains(string(doubt.raw), `"resolve"`) || strings.Contains(string(doubt.raw), `"confirm_resolution"`) {
			t.Errorf("%s", doubt.raw)
		}
		path := "/v1/orders/" + id + "/resolution"
		one, two := object{"id": "5001", "name": "财务一"}, object{"id": "5002", "name": "财务二"}
		whole := object{"outcome": "paid", "trade_no": "T99", "evidence": "平台对账单第 12 行", "reason": "平台后台显示已支付", "operator": one}
		r.call("POST", path, finance1, object{"outcome": "paid", "reason": "x", "operator": one}).want(422, "field_invalid").is("field", "evidence")
		r.call("POST", path, finance1, "{").want(400, "malformed")
		r.call("POST", path, his, whole).want(403, "forbidden")
		r.call("POST", "/v1/orders/NONE/resolution", finance1, whole).want(404, "not_found")
		for _, act := range []string{"confirm", "reject"} {
			r.call("POST", path+"/"+act, finance2, object{"operator": two}).want(409, "nothing_to_resolve")
			r.call("POST", path+"/"+act, finance2, object{}).want(422, "field_invalid")
			r.call("POST", path+"/"+act, finance2, "{").want(400, "malformed")
			r.call("POST", "/v1/orders/NONE/resolution/"+act, finance2, object{"operator": two}).want(404, "not_found")
		}
		r.call("POST", path, finance1, whole).want(202, "").is("state", "in_doubt").is("resolution.state", "proposed").is("resolution.evidence", "平台对账单第 12 行")
		r.call("POST", path+"/reject", finance2, object{"operator": two}).want(200, "").is("resolution", nil)
		got := r.call("POST", path, finance1, whole).want(202, "")
		if !strings.Contains(string(got.raw), `"confirm_resolution"`) {
			t.Errorf("%s", got.raw)
		}
		r.call("POST", path+"/confirm", finance1, object{"operator": two}).want(409, "same_token")
		r.call("POST", path+"/confirm", finance2, object{"operator": one}).want(409, "same_person")
		r.call("POST", path+"/confirm", finance2, object{"operator": two}).want(200, "").is("state", "paid").is("trade_no", "T99").
			is("resolution.state", "confirmed").is("resolution.confirmed_by.id", "5002").is("safe_to_take_cash.answer", "no")
		settled := r.create(bill("B2")).want(201, "").id()
		r.call("POST", "/v1/orders/"+settled+"/resolution", finance1, whole).want(409, "nothing_to_resolve")
		r.w.Stop()
		r.call("POST", path, finance1, whole).want(503, "shutting_down")
		r.call("POST", path+"/confirm", finance2, object{"operator": two}).want(503, "shutting_down")
		r.call("POST", path+"/reject", finance2, object{"operator": two}).want(503, "shutting_down")
	})
}

// A payment that this agent did not take is looked up, shown, taken into the
// books and given back under the same guards.
func TestDesk(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		bank := r.w.Banks["full"]
		bank.Elsewhere("WINDOW9", "WINDOW9", 500)
		bank.Elsewhere("MIXED", "OTHER", 500)
		look := func(body any) reply { t.Helper(); return r.call("POST", "/v1/desk/lookup", desk, body) }
		look(object{"merchant": "window", "order_no": "WINDOW9"}).want(200, "").is("status", "paid").is("amount_fen", 500).is("channel", "alipay").
			is("refundable_fen", 500).is("order", nil).is("trade_no", "TWINDOW9")
		look(object{"order_no": "WINDOW9"}).want(422, "field_invalid").is("field", "merchant") // several profiles can give back
		look(object{"platform": "full", "trade_no": "TWINDOW9"}).want(200, "").is("order_no", "WINDOW9")
		look(object{"platform": "plain", "order_no": "WINDOW9"}).want(422, "field_invalid").is("field", "merchant")
		look(object{"merchant": "window"}).want(422, "field_invalid")
		look(object{"merchant": "window", "order_no": "NOWHERE"}).want(404, "payment_not_found")
		look(object{"merchant": "window", "order_no": "MIXED"}).want(502, "answer_mixed_up")
		look("{").want(400, "malformed")
		mine := r.paid("B1").id()
		look(object{"merchant": "window", "order_no": mine}).want(200, "").is("order.id", mine).is("refundable_fen", 12850).is("refunded_fen", 0)

		adopt := func(body object) reply { t.Helper(); return r.call("POST", "/v1/desk/adopt", desk, body) }
		who := object{"id": "2001"}
		adopt(object{"merchant": "window", "order_no": "WINDOW9", "operator": who}).want(422, "field_invalid").is("field", "till")
		adopt(object{"merchant": "window", "order_no": "WINDOW9", "till": "nowhere", "operator": who}).want(422, "field_invalid")
		adopt(object{"merchant": "window", "order_no": "WINDOW9", "till": "w1"}).want(422, "field_invalid").is("field", "operator.id")
		adopt(object{"merchant": "window", "order_no": "NOWHERE", "till": "w1", "operator": who}).want(404, "payment_not_found")
		adopt(object{"merchant": "window", "order_no": "MIXED", "till": "w1", "operator": who}).want(502, "answer_mixed_up")
		r.call("POST", "/v1/desk/adopt", desk, "{").want(400, "malformed")
		taken := adopt(object{"merchant": "window", "order_no": "WINDOW9", "till": "w1", "operator": who}).want(201, "").is("foreign", true).is("state", "paid").is("amount_fen", 500)
		if taken.head.Get("Location") != "/v1/orders/WINDOW9" {
			t.Error(taken.head)
		}
		adopt(object{"merchant": "window", "order_no": "WINDOW9", "till": "w1", "operator": who}).want(200, "").is("id", "WINDOW9")
		r.call("POST", "/v1/orders/WINDOW9/refunds", desk, object{"amount_fen": 500, "operator": who, "reason": "退费"}, set("Idempotency-Key", "k")).want(202, "")
		pause(2 * time.Minute)
		synctest.Wait()
		r.order("WINDOW9").is("refunded_fen", 500).is("refundable_fen", 0)

		open := r.create(bill("B2")).want(201, "").id()
		r.w.Pads["w1"].Show(wechatCode)
		r.until(open, "paying")
		bank.Elsewhere("NOTPAID", "NOTPAID", 1)
		bank.Unpay("NOTPAID")
		adopt(object{"merchant": "window", "order_no": "NOTPAID", "till": "w1", "operator": who}).want(409, "not_paid")
		bank.Cut(true)
		look(object{"merchant": "window", "order_no": "WINDOW8"}).want(503, "platform_unreachable")
		adopt(object{"merchant": "window", "order_no": "WINDOW8", "till": "w1", "operator": who}).want(503, "platform_unreachable")
	})
}

// What needs two persons at one token is refused also after a restart.
func TestTokenIsRemembered(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		id := r.paid("B1").id()
		got := r.call("POST", "/v1/orders/"+id+"/refunds", his, object{"amount_fen": 5000, "operator": object{"id": "1"}, "reason": "x"}, set("Idempotency-Key", "r")).want(202, "")
		no := got.get("refund.refund_no").(string)
		threads, err := r.w.Agent.Threads(fmt.Sprintf("act:%s:%s", id, no))
		if err != nil || len(threads) != 1 {
			t.Fatal(threads, err)
		}
		var notes []agent.Note
		if notes, err = r.w.Agent.Thread(threads[0]); err != nil || len(notes) != 1 || !strings.Contains(string(notes[0].Data), `"token":"his"`) {
			t.Errorf("%v %v", notes, err)
		}
	})
}

// Whoever hangs up once the refund or the resolution is asked for is remembered
// all the same, and so is one whose first request was not noted.
func TestTokenIsRememberedThoughGone(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		id := r.paid("B1").id()
		r.book(id, object{"result": "booked", "his_flow_id": "F1"}).want(200, "")
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		one, two := object{"id": "1"}, object{"id": "2"}
		path := "/v1/orders/" + id + "/refunds"
		no := r.callContext(gone, "POST", path, his, object{"amount_fen": 5000, "operator": one, "reason": "x"}, set("Idempotency-Key", "r")).want(202, "").
			get("refund.refund_no").(string)
		r.call("POST", path+"/"+no+"/approve", his, object{"operator": two}).want(409, "same_token")
		r.call("POST", path+"/"+no+"/decline", his, object{"operator": one}).want(200, "")

		// Accepted, and the machine stopped before the note: here by another way.
		body := `{"refund_no":"R9","amount_fen":2000,"operator":{"id":"1"},"reason":"x"}`
		req, err := door.RefundRequest(id, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Key = platforms.Hide("k9")
		if got, err := r.w.Agent.Refund(t.Context(), id, req); err != nil || got.Code != counter.CodeAccepted {
			t.Fatal(got, err)
		}
		r.call("POST", path, his, body, set("Idempotency-Key", "k9")).want(200, "")
		r.call("POST", path+"/R9/approve", his, object{"operator": two}).want(409, "same_token")
		r.call("POST", path, desk, body, set("Idempotency-Key", "k9")).want(200, "")
		r.call("POST", path+"/R9/approve", his, object{"operator": two}).want(409, "same_token")

		r.w.Banks["full"].Deafen(true)
		id = r.create(bill("B2", object{"auth_code": wechatCode})).want(201, "").id()
		r.until(id, "in_doubt")
		path = "/v1/orders/" + id + "/resolution"
		r.callContext(gone, "POST", path, finance1, object{"outcome": "paid", "evidence": "e", "reason": "r", "operator": one}).want(202, "")
		r.call("POST", path+"/confirm", finance1, object{"operator": two}).want(409, "same_token")
	})
}

// That HIS failed gives back no payment that was taken elsewhere: the refund
// desk does, under its guards.
func TestForeignIsForTheDesk(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		r.w.Banks["full"].Elsewhere("WINDOW9", "WINDOW9", 5000)
		r.call("POST", "/v1/desk/adopt", desk, object{"merchant": "window", "order_no": "WINDOW9", "till": "w1", "operator": object{"id": "1"}}).want(201, "")
		failed := object{"result": "failed", "reason": "不认识"}
		r.call("POST", "/v1/orders/WINDOW9/booking", collector, failed).want(403, "forbidden")
		o, err := r.w.Agent.Order("WINDOW9")
		if err != nil {
			t.Fatal(err)
		}
		take := door.TakeAnswer(r.w.Agent, slog.New(slog.DiscardHandler))
		if err := take(t.Context(), o, []byte(`{"booking":{"result":"failed","reason":"不认识"}}`)); err != nil {
			t.Fatal(err)
		}
		pause(2 * time.Minute)
		synctest.Wait()
		r.order("WINDOW9").is("refunded_fen", 0)
		r.call("POST", "/v1/orders/WINDOW9/booking", his, failed).want(200, "") // its token may refund
	})
}

// A word that would give back a payment of long ago is a refund, and has its
// guards.
func TestOldFailureIsForTheDesk(t *testing.T) {
	inHospital(t, func(t *testing.T, r *rig) {
		id := r.paid("B1").id()
		failed := object{"result": "failed", "reason": "处方已作废"}
		pause(25 * time.Hour)
		r.call("POST", "/v1/orders/"+id+"/booking", collector, failed).want(403, "forbidden")
		r.order(id).is("refunded_fen", 0)
		r.call("POST", "/v1/orders/"+id+"/booking", his, failed).want(200, "") // its token may refund
	})
}

// A HIS that listens to the events of all tills is told of payments: events
// carry the booking, and its silence means something while it listens
// (decision 11), not before and not after.
func TestListeningHIS(t *testing.T) {
	inBubbleWith(t, func(o *agenttest.Options, _ *door.Options) {
		o.Config = func(c *config.Config) {
			c.Booking.Expect = true
			for i := range c.Tills {
				c.Tills[i].ReverseOnSilence = c.Tills[i].Name == agenttest.K1
			}
		}
	}, func(t *testing.T, r *rig) {
		kiosk := object{"till": agenttest.K1}
		first := r.paid("B1", kiosk).id()
		r.book(first, object{"result": "booked", "his_flow_id": "F1"}).want(200, "")
		held := r.paid("B2", kiosk).id()
		pause(4 * time.Minute)
		synctest.Wait()
		r.order(held).is("booking.stage", "pending_long") // nobody listened

		x := r.listen(his, "")
		var told strings.Builder
		go func() {
			for {
				select {
				case s := <-x.chunks:
					told.WriteString(s)
				case <-x.ended:
					return
				}
			}
		}()
		silent := r.paid("B3", kiosk).id()
		pause(90 * time.Second)
		synctest.Wait()
		r.order(silent).is("booking.stage", "pending_long")
		pause(2 * time.Minute)
		synctest.Wait()
		r.order(silent).is("booking.stage", "given_back")
		x.stop()
		<-x.ended
		for _, stage := range []string{"pending", "pending_long", "going_back", "given_back"} {
			if !strings.Contains(told.String(), `"stage":"`+stage+`"`) {
				t.Errorf("no event tells %s", stage)
			}
		}
		last := r.paid("B4", kiosk).id()
		pause(4 * time.Minute)
		synctest.Wait()
		r.order(last).is("booking.stage", "pending_long")
	})
}
