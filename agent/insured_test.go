package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// What must be found nowhere but in memory and at the platform.
const (
	openID   = "oOPENIDCANARY0001"
	idNumber = "IDCANARY310101"
	authCode = "AUTHCODECANARY"
	contents = "CONTENTCANARY\nsecond line"
)

func (w *online) insurance(change ...func(*agent.Request)) *order.Order {
	w.t.Helper()
	r := w.request(platforms.ModeInsurance)
	r.Channel = platforms.WeChat
	r.Insurance = agent.InsuranceRequest{UserID: platforms.Hide(openID), PatientIDNo: platforms.Hide(idNumber)}
	for _, f := range change {
		f(&r)
	}
	reply, err := w.Agent.Collect(context.Background(), r)
	if err != nil || reply.Code != counter.CodeCreated {
		w.t.Fatal(reply.Code, err)
	}
	synctest.Wait()
	return w.order(reply.Order.No)
}

// stateOf is the state in the address that the payer's browser is sent to.
func (w *online) stateOf(no string) string {
	w.t.Helper()
	u, err := url.Parse(w.order(no).Private.Pass.Address.Reveal())
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Query().Get("state")
}

func (w *online) back(no, state, code string) counter.Reply {
	w.t.Helper()
	r, err := w.Agent.Authorised(context.Background(), no, agent.Authorised{State: platforms.Hide(state), AuthCode: platforms.Hide(code)})
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return r
}

func settlement() agent.Settlement {
	return agent.Settlement{Total: 8888, Insured: 5000, Cash: 3888, SerialNo: "S1", RequestContent: platforms.Hide(contents)}
}

func (w *online) settle(no string, s agent.Settlement) string {
	w.t.Helper()
	r, err := w.Agent.Settle(context.Background(), no, s)
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return r.Code
}

func (w *online) stop(no string, want order.Stop) {
	w.t.Helper()
	if got := w.order(no).Insured.Stop; got != want {
		w.t.Fatalf("%s stands at %s, want %s", no, got, want)
	}
}

func TestInsurance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, till := range []string{agenttest.O1, agenttest.O2} {
			w := newOnline(t, till)
			o := w.insurance()
			w.state(o.No, order.Waiting)
			state := w.stateOf(o.No)
			if len(state) != 32 || !strings.Contains(o.Private.Pass.Address.Reveal(), url.QueryEscape("https://pay.invalid/agent/authorised/"+o.No)) {
				t.Errorf("state %q, address %s", state, o.Private.Pass.Address.Reveal())
			}
			if n := w.calls(""); n != 0 {
				t.Fatalf("%d calls before anything was authorised", n)
			}
			if r := w.back(o.No, state+"x", authCode); r.Code != counter.CodeWrongState {
				t.Error(r.Code)
			}
			w.stop(o.No, order.StopAuthorise)
			if r := w.back(o.No, state, authCode); r.Code != counter.CodeAccepted {
				t.Fatal(r.Code)
			}
			w.stop(o.No, order.StopSettle)
			if r := w.back(o.No, state, authCode); r.Code != counter.CodeWrongState {
				t.Errorf("a state served twice: %s", r.Code)
			}
			pass := w.order(o.No).Private.Pass.Token
			if pass.PayAuthNo.Reveal() != "AUTHNO-"+authCode || pass.CardInfo.Reveal() != "CARD-"+idNumber {
				t.Errorf("token %q %q", pass.PayAuthNo.Reveal(), pass.CardInfo.Reveal())
			}
			if code := w.settle(o.No, settlement()); code != counter.CodeAccepted {
				t.Fatal(code)
			}
			w.state(o.No, order.Paying)
			w.stop(o.No, order.StopSent)
			c := w.bank().Charged(o.No)
			if i := c.Insurance; i.Insured != 5000 || i.Cash != 3888 || i.HasReduced || i.SerialNo != "S1" || i.PayAuthNo.Reveal() != "AUTHNO-"+authCode ||
				i.RequestContent.Reveal() != contents || i.UserID.Reveal() != openID || i.Scene != "TREATMENT" || c.Amount != 8888 {
				t.Errorf("sent %+v", i)
			}
			if got := w.order(o.No); got.QR == "" || got.Private.PayString.Empty() {
				t.Error("no page to pay on")
			}
			if code := w.settle(o.No, settlement()); code != counter.CodeReplayed {
				t.Errorf("the same settlement: %s", code)
			}
			other := settlement()
			other.SerialNo = "S2"
			if code := w.settle(o.No, other); code != counter.CodeWrongStop {
				t.Errorf("another settlement: %s", code)
			}
			if n := w.calls("present"); n != 1 {
				t.Errorf("%d requests to pay", n)
			}
			w.bank().Pay(o.No)
			w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount))
			w.state(o.No, order.Paid)
			w.nowhere(t, openID, idNumber, authCode, "CONTENTCANARY", state)
			w.Stop()
		}
	})
}

// nowhere looks for what must not be stored.
func (w *online) nowhere(t *testing.T, secrets ...string) {
	t.Helper()
	last := w.Agent.LastEvent()
	events, _, err := w.Agent.Events(0, int(last)+1)
	if err != nil || len(events) == 0 {
		t.Fatal(len(events), err)
	}
	var all bytes.Buffer
	for _, e := range events {
		facts, err := w.Agent.Facts(e.Order.No)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal([]any{facts, e.Order})
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	for _, s := range secrets {
		if strings.Contains(all.String(), s) {
			t.Errorf("%s is in the log", s)
		}
	}
}

// TestInsuranceAgain: an authorisation that gave no token is repeated with a
// state of its own.
func TestInsuranceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		o := w.insurance()
		first := w.stateOf(o.No)
		w.back(o.No, first, agenttest.BadAuth)
		got := w.order(o.No)
		if got.Insured.Stop != order.StopAuthorise || got.Insured.Failed != 1 || got.Insured.Code != "AUTH_CODE_INVALID" {
			t.Fatalf("%+v", got.Insured)
		}
		second := w.stateOf(o.No)
		if second == first || len(second) != 32 {
			t.Fatalf("states %q and %q", first, second)
		}
		if r := w.back(o.No, first, authCode); r.Code != counter.CodeWrongState {
			t.Error(r.Code)
		}
		w.bank().Deafen(true)
		w.back(o.No, second, authCode)
		if got := w.order(o.No).Insured; got.Failed != 2 || got.Code != "no_answer" {
			t.Fatalf("%+v", got)
		}
		w.bank().Deafen(false)
		w.back(o.No, w.stateOf(o.No), authCode)
		w.stop(o.No, order.StopSettle)
	})
}

func TestInsuranceSettlementRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		o := w.insurance()
		if code := w.settle(o.No, settlement()); code != counter.CodeWrongStop {
			t.Errorf("settled before it was authorised: %s", code)
		}
		w.back(o.No, w.stateOf(o.No), authCode)
		rev := w.order(o.No).Rev
		for field, change := range map[string]func(*agent.Settlement){
			"total_fen":       func(s *agent.Settlement) { s.Total = 8887 },
			"insurance_fen":   func(s *agent.Settlement) { s.Insured = -1 },
			"cash_fen":        func(s *agent.Settlement) { s.Insured, s.Cash, s.Reduced, s.HasReduced = 0, 0, 8888, true },
			"reduced_fee_fen": func(s *agent.Settlement) { s.Reduced = -1 },
			"ssc_bill_no":     func(s *agent.Settlement) { s.BillNo = strings.Repeat("1", 65) },
			"ssc_serial_no":   func(s *agent.Settlement) { s.SerialNo, s.RequestContent = "", platforms.Hidden{} },
			"request_content": func(s *agent.Settlement) { s.RequestContent = platforms.Hide(strings.Repeat("字", 4001)) },
		} {
			s := settlement()
			change(&s)
			_, err := w.Agent.Settle(context.Background(), o.No, s)
			var bad *platforms.FieldError
			if !errors.As(err, &bad) || bad.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		s := settlement()
		s.Cash--
		if _, err := w.Agent.Settle(context.Background(), o.No, s); err == nil {
			t.Error("sums that do not make the total were taken")
		}
		if w.order(o.No).Rev != rev || w.calls("present") != 0 {
			t.Error("a refused settlement left something")
		}
		s.Reduced, s.HasReduced = 1, true // with the reduction they do
		if code := w.settle(o.No, s); code != counter.CodeAccepted {
			t.Error(code)
		}
	})
}

// TestInsuranceTimes: every stop ends by itself, and nothing was sent.
func TestInsuranceTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		a, b := w.insurance(), w.insurance()
		w.pass(9 * time.Minute)
		w.back(b.No, w.stateOf(b.No), authCode)
		w.pass(2 * time.Minute)
		if got := w.order(a.No); got.State() != order.Canceled || got.EndReason != "no_authorisation" || !got.Unsent {
			t.Errorf("%s %s", got.State(), got.EndReason)
		}
		w.state(b.No, order.Waiting)
		w.pass(9 * time.Minute)
		if got := w.order(b.No); got.State() != order.Canceled || got.EndReason != "no_settlement" || !got.Unsent {
			t.Errorf("%s %s", got.State(), got.EndReason)
		}
		if r := w.back(a.No, "x", authCode); r.Code != counter.CodeWrongStop {
			t.Error(r.Code)
		}
		if code := w.settle(b.No, settlement()); code != counter.CodeWrongStop {
			t.Error(code)
		}
		if r := w.back("NOBODYS", "x", authCode); r.Code != counter.CodeNotFound {
			t.Error(r.Code)
		}
		if n := w.calls("present") + w.calls("cancel") + w.calls("query"); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestInsuranceRestart: what names a person dies with the process; before the
// payment was sent that ends the order, afterwards it is asked about.
func TestInsuranceRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O2)
		a, b, c := w.insurance(), w.insurance(), w.insurance()
		w.back(b.No, w.stateOf(b.No), authCode)
		w.back(c.No, w.stateOf(c.No), authCode)
		w.settle(c.No, settlement())
		w.Stop()
		w.start()
		for _, no := range []string{a.No, b.No} {
			if got := w.order(no); got.State() != order.Failed || got.EndReason != "nothing_sent" || !got.Unsent {
				t.Errorf("%s %s", got.State(), got.EndReason)
			}
		}
		w.state(c.No, order.Paying)
		if s := w.order(c.No).Insured.Split; s == nil || s.Insured != 5000 || s.Cash != 3888 || s.Reduced != nil {
			t.Errorf("the settlement is gone: %+v", s)
		}
		w.notify(agenttest.Message(c.No, platforms.Paid, c.Amount))
		w.state(c.No, order.Paid)
	})
}

// TestInsuranceCancel: HIS may give up at every stop.
func TestInsuranceCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		for stop := range 3 {
			o := w.insurance()
			if stop > 0 {
				w.back(o.No, w.stateOf(o.No), authCode)
			}
			if stop > 1 {
				w.settle(o.No, settlement())
			}
			if _, err := w.Agent.Act(context.Background(), o.No, order.ActCancel, platforms.Operator{ID: "1"}, ""); err != nil {
				t.Fatal(err)
			}
			w.pass(2 * time.Second)
			got := w.order(o.No)
			if got.State() != order.Canceled || got.Unsent != (stop < 2) {
				t.Errorf("stop %d: %s, unsent %v", stop, got.State(), got.Unsent)
			}
		}
	})
}

// TestInsuranceOwnAuthorisation: 信用签约 and 随申办 bring an authorisation of
// their own; no browser goes anywhere.
func TestInsuranceOwnAuthorisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		o := w.insurance(func(r *agent.Request) {
			r.Insurance.CreditOrg, r.Insurance.ECQRCode = "ORG", platforms.Hide("EC")
		})
		if code := w.settle(o.No, settlement()); code != counter.CodeAccepted {
			t.Fatal(code)
		}
		w.state(o.No, order.Paying)
	})
}

func TestInsuranceRequestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		for field, change := range map[string]func(*agent.Request){
			"insurance.user_id":      func(r *agent.Request) { r.Insurance.UserID = platforms.Hidden{} },
			"insurance.redirect_uri": func(r *agent.Request) { r.Insurance.Redirect = "ftp://x" },
			"insurance.credit_org":   func(r *agent.Request) { r.Insurance.CreditOrg = "a\x00" },
			"insurance":              func(r *agent.Request) { r.Mode = platforms.ModeH5 },
			"when_offline":           func(r *agent.Request) { r.WhenOffline = config.Queue },
		} {
			r := w.request(platforms.ModeInsurance)
			r.Channel = platforms.WeChat
			r.Insurance = agent.InsuranceRequest{UserID: platforms.Hide(openID)}
			change(&r)
			_, err := w.Agent.Collect(context.Background(), r)
			var bad *platforms.FieldError
			if !errors.As(err, &bad) || bad.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}
