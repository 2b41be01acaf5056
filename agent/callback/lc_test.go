package callback_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/callback"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lcsuite"
	"payagent/platforms/lc/lctest"
	"payagent/queue/mem"
)

// public is callback.public_url of the world.
const public = "https://pay.invalid/agent"

var lcKeys = sync.OnceValues(func() (lcsuite.Keys, error) { return lcsuite.NewKeys(1024) })

// street is the whole street: HIS's side of the agent, the callback listener,
// the signed gateway with real keys, its books, and a payer with a browser.
type street struct {
	*rig
	gateway http.Handler
	books   *bank.Bank
	begin   time.Time
	mail    []lctest.Notice // notices on their way
	mu      sync.Mutex
}

func newStreet(t *testing.T, query lc.QueryBy, byBody bool) *street {
	t.Helper()
	keys, err := lcKeys()
	if err != nil {
		t.Fatal(err)
	}
	s := &street{begin: time.Now()}
	now := func() time.Duration { return time.Since(s.begin) }
	ctl := wire.New(wire.Options{Clock: now, Script: bank.ScriptFor})
	opt := lcsuite.Gateway(keys, ctl)
	opt.Epoch, opt.NotifyByBody = s.begin, byBody
	opt.Deliver = func(n lctest.Notice) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mail = append(s.mail, n)
	}
	var g *lctest.Gateway
	s.books = bank.New(bank.Options{OnEntry: func(e bank.Entry) { g.Entry(e) }})
	g = lctest.New(s.books, opt)
	s.gateway = g.Handler()
	conf := lcsuite.Config(keys)
	conf.Query, conf.NotifyURL, conf.ReturnURL, conf.Now = query, "", "", time.Now
	member, err := lc.New(wire.Direct(ctl.Wrap(s.gateway)), conf)
	if err != nil {
		t.Fatal(err)
	}
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Platforms: map[string]platforms.Platform{agenttest.Page: member},
		Config: func(c *config.Config) { c.Booking.Expect = true }})
	synctest.Wait()
	s.rig = &rig{World: w, t: t, h: callback.New(w.Agent, nil), till: agenttest.O1}
	return s
}

// post delivers the notices that are on their way, each so many times.
func (s *street) post(times int) int {
	s.t.Helper()
	s.mu.Lock()
	mail := s.mail
	s.mail = nil
	s.mu.Unlock()
	for _, n := range mail {
		for range times {
			if w := s.ask("POST", s.inside(n.URL), n.Form); w.Code != 200 || w.Body.String() != "success" {
				s.t.Errorf("a notice of %s was answered %d %s", n.Status, w.Code, w.Body)
			}
			synctest.Wait()
		}
	}
	return len(mail)
}

// inside is an address as the reverse proxy hands it on.
func (s *street) inside(address string) string {
	s.t.Helper()
	path, ok := strings.CutPrefix(address, public)
	if !ok {
		s.t.Fatalf("%s is not below %s", address, public)
	}
	return path
}

// browse lets the payer's browser make a request at the gateway; it gives where
// it is sent next.
func (s *street) browse(method, address, form string) string {
	s.t.Helper()
	req := httptest.NewRequest(method, address, strings.NewReader(form))
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	rec := httptest.NewRecorder()
	s.gateway.ServeHTTP(rec, req)
	if rec.Code != http.StatusSeeOther {
		s.t.Fatalf("%s %s: %d %s", method, address, rec.Code, rec.Body)
	}
	return rec.Header().Get("Location")
}

func (s *street) h5() *order.Order {
	s.t.Helper()
	s.n++
	no := fmt.Sprintf("H5%02d", s.n)
	reply, err := s.Agent.Collect(context.Background(), agent.Request{Key: platforms.Hide(no), Body: platforms.Hide(no), OrderNo: no, Bill: "B" + no,
		Amount: 8888, Mode: platforms.ModeH5, Channel: platforms.Alipay, OrderType: "TREATMENT", Till: agenttest.O1, Subject: "门诊缴费", Expires: "10m"})
	if err != nil || reply.Code != counter.CodeCreated {
		s.t.Fatal(reply.Code, err)
	}
	s.settled()
	o := s.order(no)
	if o.State() != order.Paying || o.QR == "" {
		s.t.Fatalf("%s, page %q", o.State(), o.QR)
	}
	return o
}

// settled lets calls that are under way come back.
func (s *street) settled() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func (s *street) book(no string, b agent.Booking) {
	s.t.Helper()
	if r, err := s.Agent.Book(context.Background(), no, b); err != nil || r.Code != counter.CodeDone {
		s.t.Fatal(r.Code, err)
	}
	s.settled()
}

// each runs a scenario with and without a query, with notices in the address
// and in the body.
func each(t *testing.T, run func(t *testing.T, s *street)) {
	t.Helper()
	for _, query := range []lc.QueryBy{lc.QueryLC, lc.QueryNone} {
		for _, body := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/body=%v", query, body), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { run(t, newStreet(t, query, body)) })
			})
		}
	}
}

// TestGatewayH5 is scene 3.1 of seed 004: pay, cancel on the page, HIS fails.
func TestGatewayH5(t *testing.T) {
	each(t, func(t *testing.T, s *street) {
		paid := s.h5()
		home := s.browse("POST", paid.QR, "do=pay")
		page := s.ask("GET", s.inside(home), "")
		if page.Code != 200 || strings.Contains(page.Body.String(), "支付成功") {
			t.Errorf("before anybody asked: %d %s", page.Code, page.Body)
		}
		if n := s.post(3); n != 1 { // the platform repeats itself
			t.Errorf("%d notices", n)
		}
		s.settled()
		s.shows(paid.No, "page_booking")
		if o := s.order(paid.No); o.State() != order.Paid || o.TradeNo == "" || !o.AmountSeen || o.PaidChannel != platforms.Alipay {
			t.Fatalf("%s, trade %q, %s", o.State(), o.TradeNo, o.PaidChannel)
		}
		s.book(paid.No, agent.Booking{Booked: true, FlowID: "F1"})
		s.shows(paid.No, "page_success")

		left := s.h5()
		if page := s.ask("GET", s.inside(s.browse("POST", left.QR, "do=leave")), ""); page.Code != 200 {
			t.Error(page.Code)
		}
		s.settled()
		s.shows(left.No, "page_left")
		if st := s.order(left.No).State(); st != order.Paying {
			t.Errorf("a closed page made it %s", st)
		}
		if _, err := s.Agent.Act(context.Background(), left.No, order.ActCancel, platforms.Operator{ID: "1", Name: "w"}, ""); err != nil {
			t.Fatal(err)
		}
		s.settled()
		s.shows(left.No, "page_not_paid")

		fails := s.h5()
		s.browse("POST", fails.QR, "do=pay")
		s.post(1)
		s.settled()
		s.shows(fails.No, "page_booking")
		s.book(fails.No, agent.Booking{Reason: "no bed"})
		time.Sleep(time.Minute)
		s.settled()
		s.shows(fails.No, "page_refunded")
		if net := s.books.Net(fails.No); net != 0 {
			t.Errorf("the payer is out of pocket by %d fen", net)
		}
		s.post(2) // TRADE_CLOSED of what was given back
		if o := s.order(fails.No); o.State() != order.Paid || !o.FullyReversed() {
			t.Errorf("%s", o.State())
		}

		never := s.h5()
		time.Sleep(12 * time.Minute)
		s.settled()
		s.post(1)
		if o := s.order(never.No); o.State() != order.Canceled {
			t.Errorf("nobody paid and it is %s", o.State())
		}
		if net := s.books.Net(paid.No); net != 8888 {
			t.Errorf("the paid one: %d fen", net)
		}
	})
}

// TestGatewayForged: a notice of the gateway with a byte changed, one that a
// stranger signed and one of another amount change nothing.
func TestGatewayForged(t *testing.T) {
	each(t, func(t *testing.T, s *street) {
		o := s.h5()
		s.browse("POST", o.QR, "do=pay")
		s.mu.Lock()
		mail := s.mail
		s.mail = nil
		s.mu.Unlock()
		if len(mail) != 1 {
			t.Fatalf("%d notices", len(mail))
		}
		n := mail[0]
		rev := s.order(o.No).Rev
		for _, swap := range [][2]string{{"88.88", "88.89"}, {"TRADE_SUCCESS", "TRADE_CLOSED"}, {o.No, "H599"}, {"sign=", "sign=A"}} {
			at, form := strings.Replace(n.URL, swap[0], swap[1], 1), strings.Replace(n.Form, swap[0], swap[1], 1)
			if w := s.ask("POST", s.inside(at), form); w.Code != 400 {
				t.Errorf("%v: %d %s", swap, w.Code, w.Body)
			}
		}
		if s.order(o.No).Rev != rev {
			t.Error("a forged notice changed the order")
		}
	})
}

// TestGatewayInsurance is scene 3.2 of seed 004.
func TestGatewayInsurance(t *testing.T) {
	each(t, func(t *testing.T, s *street) {
		for round, booked := range []bool{true, false} {
			no := fmt.Sprintf("YB%02d", round)
			reply, err := s.Agent.Collect(context.Background(), agent.Request{Key: platforms.Hide(no), Body: platforms.Hide(no), OrderNo: no, Bill: "B" + no,
				Amount: 8888, Mode: platforms.ModeInsurance, Channel: platforms.WeChat, OrderType: "TREATMENT", Till: agenttest.O1, Subject: "门诊缴费",
				Patient:   platforms.Patient{Name: platforms.Hide(patient)},
				Insurance: agent.InsuranceRequest{UserID: platforms.Hide("oAbCdEfGhIjKlMnOpQrStUvWxYz0"), PatientIDNo: platforms.Hide("11010119900307123X")}})
			if err != nil || reply.Code != counter.CodeCreated {
				t.Fatal(reply.Code, err)
			}
			synctest.Wait()
			o := s.order(no)
			back := s.browse("GET", o.Private.Pass.Address.Reveal(), "")
			w := s.ask("GET", s.inside(back), "")
			if w.Code != 303 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			s.settled()
			o = s.order(no)
			if o.Insured.Stop != order.StopSettle || o.Private.Pass.Token.PayAuthNo.Empty() || o.Private.Pass.Token.CardInfo.Empty() {
				t.Fatalf("%+v", o.Insured)
			}
			good := agent.Settlement{Total: 8888, Insured: 6000, Cash: 2888, RequestContent: platforms.Hide("{\"rx\":\n\"阿莫西林\"}")}
			bad := good
			bad.RequestContent = platforms.Hidden{} // 微信线上诊间支付必传
			if _, err := s.Agent.Settle(context.Background(), no, bad); err == nil || !strings.Contains(err.Error(), "request_content") {
				t.Errorf("a missing request_content: %v", err)
			}
			if r, err := s.Agent.Settle(context.Background(), no, good); err != nil || r.Code != counter.CodeAccepted {
				t.Fatal(r.Code, err)
			}
			s.settled()
			o = s.order(no)
			if o.State() != order.Paying || o.Private.PayString.Empty() {
				t.Fatalf("%s", o.State())
			}
			if v := s.state(no, "?leads=1"); v.Goto != o.QR {
				t.Errorf("the payer is led to %q", v.Goto)
			}
			home := s.browse("POST", o.QR, "do=pay")
			s.post(1)
			s.settled()
			if page := s.ask("GET", s.inside(home), ""); page.Code != 200 || !strings.Contains(page.Body.String(), "正在确认") {
				t.Errorf("%d %s", page.Code, page.Body)
			}
			s.book(no, agent.Booking{Booked: booked, FlowID: "F" + no, Reason: "x"})
			time.Sleep(time.Minute)
			s.settled()
			want, net := "page_success", platforms.Fen(8888)
			if !booked {
				want, net = "page_refunded", 0 // by lc.trade.cancel
			}
			s.shows(no, want)
			if got := s.books.Net(no); got != net {
				t.Errorf("the payer is out of pocket by %d fen, want %d", got, net)
			}
		}
	})
}

// TestGatewayAddresses: the addresses that the gateway is given fit its bounds
// and lead back here.
func TestGatewayAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet(t, lc.QueryLC, true)
		o := s.h5()
		for _, at := range []string{o.Private.Web.ReturnURL, o.Private.Web.NotifyURL} {
			u, err := url.Parse(at)
			if err != nil || len(at) > 512 || u.RawQuery != "" || !strings.HasPrefix(at, public+"/") {
				t.Errorf("%s: %v", at, err)
			}
		}
	})
}
