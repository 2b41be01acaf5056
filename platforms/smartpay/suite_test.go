package smartpay_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"payagent/platforms"
	"payagent/platforms/bank/wire"
	"payagent/platforms/platformtest"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpaysuite"
	"payagent/platforms/smartpay/smartpaytest"
)

func TestSuite(t *testing.T) {
	direct := smartpaysuite.Subject("wsgw_soap, without a socket", smartpaysuite.Config(smartpay.WSGWSOAP), smartpaytest.Options{})
	direct.Transport = func(_ testing.TB, srv *httptest.Server) http.RoundTripper { return wire.Direct(srv.Config.Handler) }
	both := func(tr smartpay.Transport, key smartpay.QueryKey) smartpay.Config {
		c := smartpaysuite.Config(tr)
		c.QueryKey = key
		return c
	}
	for _, s := range []platformtest.Subject{
		direct,
		smartpaysuite.Subject("wsgw_soap", smartpaysuite.Config(smartpay.WSGWSOAP), smartpaytest.Options{}),
		smartpaysuite.Subject("form_gateway", smartpaysuite.Config(smartpay.FormGateway), smartpaytest.Options{}),
		smartpaysuite.Subject("raw_xml_post", smartpaysuite.Config(smartpay.RawXMLPost), smartpaytest.Options{}),
		smartpaysuite.Subject("wsgw_soap, CDATA, by our number", both(smartpay.WSGWSOAP, smartpay.ByHisOrderID), smartpaytest.Options{FindByHisOrderID: true, CDATA: true, Declared: true}),
		smartpaysuite.Subject("form_gateway, the seed's whole sample, both keys", both(smartpay.FormGateway, smartpay.ByBoth), smartpaytest.Options{FindByHisOrderID: true, FullSample: true, Declared: true}),
		smartpaysuite.Subject("raw_xml_post, the seed's whole sample, both keys", both(smartpay.RawXMLPost, smartpay.ByBoth), smartpaytest.Options{FindByHisOrderID: true, FullSample: true}),
	} {
		t.Run(s.Name, func(t *testing.T) {
			cases, err := platformtest.Cases(s)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d cases", len(cases))
			platformtest.Test(t, s)
		})
	}
}

type ctx = context.Context

// wrong is SmartPay with one rule broken. Spoil sees the answer and the bytes
// of the reply that it came from.
type wrong struct {
	*smartpay.Platform
	spy    *spy
	charge func(platforms.Charge) platforms.Charge
	answer func(a platforms.Answer, err error, reply string) (platforms.Answer, error)
	cancel func(c platforms.Cancellation, err error) (platforms.Cancellation, error)
}

func (w *wrong) Charge(ctx ctx, c platforms.Charge) (platforms.Answer, error) {
	if w.charge != nil {
		c = w.charge(c)
	}
	a, err := w.Platform.Charge(ctx, c)
	if w.answer != nil {
		return w.answer(a, err, w.spy.reply())
	}
	return a, err
}

func (w *wrong) Query(ctx ctx, r platforms.Ref) (platforms.Answer, error) {
	a, err := w.Platform.Query(ctx, r)
	if w.answer != nil {
		return w.answer(a, err, w.spy.reply())
	}
	return a, err
}

func (w *wrong) Cancel(ctx ctx, r platforms.Ref) (platforms.Cancellation, error) {
	c, err := w.Platform.Cancel(ctx, r)
	if w.cancel != nil {
		return w.cancel(c, err)
	}
	return c, err
}

// spy keeps the latest reply; rewrite, if set, changes it first.
type spy struct {
	rt      http.RoundTripper
	rewrite func(string) string

	mu   sync.Mutex
	last string
}

func (s *spy) reply() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.rt.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if s.rewrite != nil {
		body = []byte(s.rewrite(string(body)))
	}
	s.mu.Lock()
	s.last = string(body)
	s.mu.Unlock()
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// TestWrongAdapters: each breaks one rule of wire.md §1 and must fail the case
// that stands for it.
func TestWrongAdapters(t *testing.T) {
	codeIs := func(code string, s platforms.Status) func(platforms.Answer, error, string) (platforms.Answer, error) {
		return func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			if a.Code == code {
				a.Status = s
			}
			return a, err
		}
	}
	for _, c := range []struct {
		name, fails string
		wrong       wrong
		rewrite     func(string) string
	}{
		{name: "-400011 is failed", fails: "charge/password", wrong: wrong{answer: codeIs("-400011", platforms.Failed)}},
		{name: "-400012 is failed whatever it says", fails: "charge/platform stumbles", wrong: wrong{answer: codeIs("-400012", platforms.Failed)}},
		{name: "-400002 is failed", fails: "query/unknown number", wrong: wrong{answer: codeIs("-400002", platforms.Failed)}},
		{name: "0 未支付 is failed", fails: "charge/password", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			if strings.Contains(reply, "OrderState>0<") {
				a.Status = platforms.Failed
			}
			return a, err
		}}},
		{name: "1 正在支付 is paid", fails: "query/stale", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			if strings.Contains(reply, "OrderState>1<") {
				a.Status = platforms.Paid
			}
			return a, err
		}}},
		{name: "6 已撤销 is pending", fails: "charge/never pays", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			if strings.Contains(reply, "OrderState>6<") {
				a.Status = platforms.Pending
			}
			return a, err
		}}},
		{name: "an unknown code is failed", fails: "charge/odd_status", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			if err == nil && a.Status == platforms.Unknown {
				a.Status = platforms.Failed
			}
			return a, err
		}}},
		{name: "an error is failed", fails: "charge/lose_reply", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			if err != nil {
				return platforms.Answer{Status: platforms.Failed}, nil
			}
			return a, err
		}}},
		{name: "TotalFee is not looked at", fails: "charge/wrong_amount", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			a.Amount, a.HasAmount = 0, false
			return a, err
		}}},
		{name: "HisOrderId is not looked at", fails: "query/wrong_order", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			a.OrderNo = ""
			return a, err
		}}},
		{name: "yuan instead of fen", fails: "charge/amounts that floats spoil", wrong: wrong{
			charge: func(c platforms.Charge) platforms.Charge {
				c.Amount /= 100
				return c
			},
			answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
				a.Amount *= 100
				return a, err
			},
		}},
		{name: "-400008 is a close", fails: "cancel/twice", wrong: wrong{cancel: func(c platforms.Cancellation, err error) (platforms.Cancellation, error) {
			if c.Code == "-400008" {
				c.Done, c.Action = true, platforms.ActionClose
			}
			return c, err
		}}},
		{name: "every Revoke is done", fails: "cancel/unknown number", wrong: wrong{cancel: func(c platforms.Cancellation, err error) (platforms.Cancellation, error) {
			c.Done, c.Action = true, platforms.ActionUnknown
			return c, err
		}}},
		{name: "doubled elements are dropped", fails: "charge/answer duplicate", rewrite: func(s string) string {
			return strings.Replace(s, "<RespCode>-400010</RespCode><RespCode>", "<RespCode>", 1)
		}},
		{name: "the message is handed on", fails: "charge/leak", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			a.Message = reply
			return a, err
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := smartpaysuite.Subject(c.name, smartpaysuite.Config(smartpay.RawXMLPost), smartpaytest.Options{})
			if failed := platformtest.Failing(t, s, c.fails); len(failed) != 0 {
				t.Fatalf("the right adapter fails: %v", failed)
			}
			s.Open = func(rt http.RoundTripper) (platforms.Platform, error) {
				w := c.wrong
				w.spy = &spy{rt: rt, rewrite: c.rewrite}
				p, err := smartpay.New(w.spy, smartpaysuite.Config(smartpay.RawXMLPost))
				w.Platform = p
				return &w, err
			}
			if failed := platformtest.Failing(t, s, c.fails); failed[c.fails] == nil {
				t.Errorf("the wrong adapter passes %q", c.fails)
			}
		})
	}
}
