package door_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"payagent/agent/agenttest"
	"payagent/platforms"
)

func online(name, mode string, changes ...object) object {
	b := object{"mode": mode, "till": agenttest.O1, "channel": "wechat", "details": nil}
	for _, c := range changes {
		for k, v := range c {
			b[k] = v
		}
	}
	return bill(name, b)
}

func TestH5(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		bank := r.w.Banks[agenttest.Page]
		id := r.create(online("H1", "h5", object{"return_url": "https://his.invalid/back", "notify_url": "https://his.invalid/n", "expires": "90m",
			"disable_pay_channels": "credit_group", "business_params": object{"memo": "备<注>", "biz_code": "20170408"},
			"agreement_sign_params": object{"withholding_id": "20170908115122"}})).want(201, "").is("mode", "h5").id()
		synctest.Wait()
		r.order(id).is("state", "paying").is("goto_url", "https://page.invalid/goto/"+id).is("qr", "https://page.invalid/goto/"+id).
			is("pay_string", `{"prepayId":"`+id+`"}`).is("acts_in_s", 5400).is("qr_expires_in_s", 5400).is("state_text.zh", "用户支付中（H5 页面）")
		sent := bank.Charged(id)
		want := platforms.Web{ReturnURL: "https://his.invalid/back", NotifyURL: "https://his.invalid/n", DisableChannels: "credit_group",
			BusinessParams: `{"biz_code":"20170408","memo":"备<注>"}`, AgreementParams: `{"withholding_id":"20170908115122"}`}
		if sent.Web != want || sent.Expires != "90m" || sent.Memo != memo || sent.Channel != platforms.WeChat {
			t.Errorf("sent %+v, expires %q", sent.Web, sent.Expires)
		}
		r.call("GET", "/v1/orders/"+id+"/qr.svg", his, nil).want(200, "")
		// The page is everybody's who sees the order; what calls the wallet is the caller's.
		if v := r.call("GET", "/v1/orders/"+id, admin, nil).want(200, ""); v.get("pay_string") != nil || v.get("goto_url") == nil {
			t.Errorf("%s", v.raw)
		}
		if _, err := r.w.Agent.Returned(t.Context(), id, agenttest.Gone(id)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.order(id).is("note.code", "payer_left").is("state", "paying")
		bank.Pay(id)
		paid := r.until(id, "paid")
		if paid.get("goto_url") != nil || paid.get("pay_string") != nil || paid.get("note") != nil {
			t.Errorf("%s", paid.raw)
		}
		for field, change := range map[string]object{
			"return_url": {"return_url": "nowhere"}, "notify_url": {"notify_url": "ftp://x"}, "disable_pay_channels": {"disable_pay_channels": strings.Repeat("a", 129)},
			"business_params": {"business_params": "text"}, "agreement_sign_params": {"agreement_sign_params": object{"a": strings.Repeat("a", 4096)}},
			"channel": {"aggregated": true}, "mode": {"mode": "page"}, "insurance": {"insurance": object{"user_id": "u"}},
		} {
			r.create(online("H2"+field, "h5", change)).want(422, "field_invalid").is("field", field)
		}
		r.create(bill("H3", object{"return_url": "https://x.invalid"})).want(422, "field_invalid").is("field", "return_url")
	})
}

// TestNoQueryOffersNoCheck: where a platform has no query nobody is offered to
// ask it, and asking all the same asks nothing.
func TestNoQueryOffersNoCheck(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.create(online("Q1", "h5", object{"till": agenttest.O2})).want(201, "").id()
		synctest.Wait()
		if got := r.order(id).is("state", "paying"); !strings.Contains(string(got.raw), `"actions_allowed":["cancel","detach"]`) {
			t.Errorf("%s", got.raw)
		}
		r.call("POST", "/v1/orders/"+id+"/check", his, nil).want(202, "")
		synctest.Wait()
		if n := len(r.w.Banks[agenttest.Mute].Calls("query")); n != 0 {
			t.Errorf("%d queries", n)
		}
		r.call("POST", "/v1/orders/"+id+"/cancel", his, nil).want(202, "")
		r.until(id, "canceled").is("cancel_action", "close")
	})
}

// secretsOf are what stands in the answers to the order's own caller only.
func secretsOf(v reply) (authorise, authNo, card any) {
	return v.get("insurance.authorise_url"), v.get("insurance.pay_auth_no"), v.get("insurance.card_info")
}

func TestInsurance(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		made := r.create(online("I1", "insurance", object{"insurance": object{"user_id": "oUSER", "patient_card_no": "310101", "ssc_scene": "REGISTRATION"}})).
			want(201, "").is("state", "waiting").is("insurance.step", "authorise").is("state_text.zh", "等待医保授权或结算")
		id := made.id()
		to, err := url.Parse(made.get("insurance.authorise_url").(string))
		if err != nil {
			t.Fatal(err)
		}
		state := to.Query().Get("state")
		at := "/v1/orders/" + id + "/insurance/"
		for _, token := range []string{admin, desk} {
			if a, n, c := secretsOf(r.call("GET", "/v1/orders/"+id, token, nil).want(200, "")); a != nil || n != nil || c != nil {
				t.Errorf("%s reads %v %v %v", token, a, n, c)
			}
		}
		r.call("POST", at+"settlement", his, object{"total_fen": 12850, "insurance_fen": 12000, "cash_fen": 850, "ssc_serial_no": "S"}).want(409, "insurance_stop")
		r.call("POST", at+"authorisation", his, object{"state": "wrong", "auth_code": "C"}).want(409, "state_wrong")
		r.call("POST", at+"authorisation", his, object{"state": state}).want(422, "field_invalid").is("field", "auth_code")
		r.call("POST", at+"authorisation", cashier1, object{"state": state, "auth_code": "C"}).want(404, "not_found")
		r.call("POST", at+"authorisation", his, object{"state": state, "auth_code": agenttest.BadAuth}).want(202, "")
		synctest.Wait()
		again := r.order(id).is("insurance.step", "authorise").is("insurance.note.code", "authorise_again").is("insurance.platform_code", "AUTH_CODE_INVALID").
			is("insurance.failed_authorisations", 1)
		if to, err = url.Parse(again.get("insurance.authorise_url").(string)); err != nil || to.Query().Get("state") == state {
			t.Fatal(to, err)
		}
		r.call("POST", at+"authorisation", his, object{"state": to.Query().Get("state"), "auth_code": "C"}).want(202, "")
		synctest.Wait()
		r.order(id).is("insurance.step", "settle").is("insurance.pay_auth_no", "AUTHNO-C").is("insurance.card_info", "CARD-310101").is("insurance.city_code", "310100")
		if a, n, c := secretsOf(r.call("GET", "/v1/orders/"+id, admin, nil)); a != nil || n != nil || c != nil {
			t.Errorf("admin reads %v %v %v", a, n, c)
		}
		good := object{"total_fen": 12850, "insurance_fen": 12000, "cash_fen": 850, "ssc_serial_no": "S", "request_content": "a\nb"}
		r.call("POST", at+"settlement", his, object{"total_fen": 12849, "insurance_fen": 12000, "cash_fen": 849}).want(422, "field_invalid").is("field", "total_fen")
		r.call("POST", at+"settlement", his, object{"total_fen": 12850, "insurance_fen": 12000, "cash_fen": 850, "request_content": "a\x01"}).want(422, "field_invalid").is("field", "request_content")
		r.call("POST", "/v1/orders/NOBODYS/insurance/settlement", his, good).want(404, "not_found")
		r.call("POST", at+"settlement", his, good).want(202, "")
		synctest.Wait()
		v := r.order(id).is("state", "paying").is("insurance.step", "sent").is("insurance.insurance_fen", 12000).is("insurance.cash_fen", 850).
			is("goto_url", "https://page.invalid/goto/"+id).is("pay_string", `{"prepayId":"`+id+`"}`)
		if _, n, c := secretsOf(v); n != nil || c != nil {
			t.Error("the token is told after it was used")
		}
		if again := r.call("POST", at+"settlement", his, good).want(200, ""); again.head.Get("Idempotent-Replayed") != "true" {
			t.Error(again.head)
		}
		if n := len(r.w.Banks[agenttest.Page].Calls("present")); n != 1 {
			t.Errorf("%d requests to pay", n)
		}
		if c := r.w.Banks[agenttest.Page].Charged(id); c.Insurance.Scene != "REGISTRATION" || c.Insurance.RequestContent.Reveal() != "a\nb" {
			t.Errorf("%+v", c.Insurance)
		}
		r.w.Banks[agenttest.Page].Pay(id)
		r.until(id, "paid")
		r.call("POST", at+"authorisation", his, object{"state": state, "auth_code": "C"}).want(409, "-")
		r.call("GET", "/v1/orders/"+id+"/timeline", his, nil).want(200, "")
	})
}

// TestInsuranceEvents: events carry the steps and nothing that names a person.
func TestInsuranceEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		made := r.create(online("I1", "insurance", object{"insurance": object{"user_id": "oUSERCANARY", "patient_card_no": "IDCANARY"}})).want(201, "")
		id := made.id()
		to, _ := url.Parse(made.get("insurance.authorise_url").(string))
		r.call("POST", "/v1/orders/"+id+"/insurance/authorisation", his, object{"state": to.Query().Get("state"), "auth_code": "AUTHCANARY"}).want(202, "")
		synctest.Wait()
		ctx, stop := shortly()
		defer stop()
		got := r.callContext(ctx, "GET", "/v1/events", his, nil, set("Last-Event-ID", "0"))
		text := string(got.raw)
		if !strings.Contains(text, `"step":"settle"`) {
			t.Errorf("no step in %s", text)
		}
		for _, s := range []string{"CANARY", "AUTHNO", "authorise_url", to.Query().Get("state")} {
			if strings.Contains(text, s) {
				t.Errorf("%s is in the events", s)
			}
		}
	})
}
