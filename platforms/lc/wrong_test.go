package lc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/bank/wire"
	"payagent/platforms/internal/strictjson"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lcsuite"
	"payagent/platforms/platformtest"
)

// wrong is the adapter with one rule of it broken.
type wrong struct {
	*lc.Platform
	charge  func(c *platforms.Charge)
	charged func(c platforms.Charge, a *platforms.Answer, err *error)
	queried func(r platforms.Ref, a *platforms.Answer, err *error)
	cancel  func(c *platforms.Cancellation, err *error)
	refund  func(r *platforms.Refund)
	refused func(r platforms.Refund, out *platforms.Refunded, err *error)
	notice  func(in platforms.Incoming, n *platforms.Notice, err *error)
}

func (w wrong) Charge(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	asked := c
	if w.charge != nil {
		w.charge(&c)
	}
	a, err := w.Platform.Charge(ctx, c)
	if w.charged != nil {
		w.charged(asked, &a, &err)
	}
	return a, err
}

func (w wrong) Present(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	asked := c
	if w.charge != nil {
		w.charge(&c)
	}
	a, err := w.Platform.Present(ctx, c)
	if w.charged != nil {
		w.charged(asked, &a, &err)
	}
	return a, err
}

func (w wrong) Query(ctx context.Context, r platforms.Ref) (platforms.Answer, error) {
	a, err := w.Platform.Query(ctx, r)
	if w.queried != nil {
		w.queried(r, &a, &err)
	}
	return a, err
}

func (w wrong) Cancel(ctx context.Context, r platforms.Ref) (platforms.Cancellation, error) {
	c, err := w.Platform.Cancel(ctx, r)
	if w.cancel != nil {
		w.cancel(&c, &err)
	}
	return c, err
}

func (w wrong) Refund(ctx context.Context, r platforms.Refund) (platforms.Refunded, error) {
	if w.refund != nil {
		w.refund(&r)
	}
	out, err := w.Platform.Refund(ctx, r)
	if w.refused != nil {
		w.refused(r, &out, &err)
	}
	return out, err
}

func (w wrong) Notice(in platforms.Incoming) (platforms.Notice, error) {
	n, err := w.Platform.Notice(in)
	if w.notice != nil {
		w.notice(in, &n, &err)
	}
	return n, err
}

// eager sends again what failed.
type eager struct{ http.RoundTripper }

func (e eager) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var resp *http.Response
	for range 2 {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		if resp, err = e.RoundTripper.RoundTrip(again); err == nil {
			return resp, nil
		}
	}
	return nil, err
}

// obliging writes the nonce that was asked for into every answer, as an adapter
// does that does not look at it.
type obliging struct{ http.RoundTripper }

func (o obliging) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := o.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	answer = regexp.MustCompile(`"nonce_str":"[^"]*"`).ReplaceAll(answer, []byte(`"nonce_str":"`+form.Get("nonce_str")+`"`))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// trusting reads a notice without looking at its signature.
func trusting(in platforms.Incoming, n *platforms.Notice, err *error) {
	v, _ := url.ParseQuery(in.Query + in.Form)
	doc, bad := strictjson.Parse([]byte(v.Get("biz_content")))
	if *err == nil || bad != nil {
		return
	}
	*err = nil
	n.Answer.OrderNo = doc.Get("out_trade_no").Text
	n.Answer.Amount, _ = platforms.ParseYuan(doc.Get("total_amount").Text)
	if doc.Get("trade_status").Text == "TRADE_SUCCESS" {
		n.Answer.Status, n.Answer.HasAmount = platforms.Paid, true
	}
}

// TestWrongAdapters shows that the suite sees each broken rule, by the case
// that names it.
func TestWrongAdapters(t *testing.T) {
	k := keys(t, 1024)
	paidAlways := func(_ platforms.Ref, a *platforms.Answer, _ *error) {
		if a.Status == platforms.Closed {
			a.Status = platforms.Paid
		}
	}
	for _, c := range []struct {
		name   string
		caught []string
		way    func(http.RoundTripper) http.RoundTripper
		config func(*lc.Config)
		change func(*wrong)
	}{
		{name: "signatures are not looked at", caught: []string{"query/signature of a stranger", "query/no signature", "charge/signature of a stranger", "cancel/no signature", "refund/no signature", "present/signature of a stranger", "query/unsigned refusal"},
			config: func(c *lc.Config) { c.VerifyReply, c.Rand = lc.VerifyOff, nil }},
		{name: "any key will do", caught: []string{"query/signature of a stranger"}, config: func(c *lc.Config) { c.PlatformKeys = append(c.PlatformKeys, lcsuite.PublicPEM(k.Stranger)) }},
		{name: "the nonce is not looked at", caught: []string{"query/older answer of the same order"}, way: func(rt http.RoundTripper) http.RoundTripper { return obliging{rt} },
			config: func(c *lc.Config) { c.VerifyReply = lc.VerifyOff }},
		{name: "an unsigned refusal is a failure", caught: []string{"charge/unsigned refusal"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, a *platforms.Answer, _ *error) {
				if strings.Contains(a.Message, "unsigned") {
					a.Status = platforms.Failed
				}
			}
		}},
		{name: "notices are not verified", caught: []string{"notice/signature of a stranger", "notice/no signature", "notice/altered"}, change: func(w *wrong) { w.notice = trusting }},
		{name: "any app_id will do", caught: []string{"notice/another merchant"}, change: func(w *wrong) { w.notice = trusting }},
		{name: "a browser is evidence", caught: []string{"notice/browser comes back"}, change: func(w *wrong) {
			w.notice = func(_ platforms.Incoming, n *platforms.Notice, _ *error) { n.ByBrowser, n.Evidence = false, true }
		}},
		{name: "a notice is evidence beside a query", caught: []string{"notice/paid"}, change: func(w *wrong) {
			w.notice = func(_ platforms.Incoming, n *platforms.Notice, _ *error) { n.Evidence = true }
		}},
		{name: "a notice carries no amount", caught: []string{"notice/paid", "notice/another amount is seen"}, change: func(w *wrong) {
			w.notice = func(_ platforms.Incoming, n *platforms.Notice, _ *error) {
				n.Answer.HasAmount, n.Answer.Amount = false, 0
			}
		}},
		{name: "a gateway that worked means paid", caught: []string{"charge/password"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, a *platforms.Answer, err *error) {
				if *err == nil && a.Status == platforms.Pending {
					a.Status, a.AskNow = platforms.Paid, false
				}
			}
		}},
		{name: "TRADE_CLOSED is paid", caught: []string{"cancel/paid order", "charge/never pays", "page/h5 is left"}, change: func(w *wrong) { w.queried = paidAlways }},
		{name: "TRADE_NOT_EXIST is a failure", caught: []string{"query/unknown number", "query/stale"}, change: func(w *wrong) {
			w.queried = func(_ platforms.Ref, a *platforms.Answer, _ *error) {
				if a.Status == platforms.NotFound {
					a.Status = platforms.Failed
				}
			}
		}},
		{name: "fen are sent as yuan", caught: []string{"charge/one fen", "page/insurance is paid"}, change: func(w *wrong) {
			w.charge = func(c *platforms.Charge) { c.Amount *= 100; c.Insurance.Cash *= 100; c.Insurance.Insured *= 100 }
			w.charged = func(c platforms.Charge, a *platforms.Answer, _ *error) { a.Amount = c.Amount }
			w.queried = func(r platforms.Ref, a *platforms.Answer, _ *error) { a.Amount = r.Amount }
		}},
		{name: "number and amount are taken as asked", caught: []string{"charge/wrong_order", "query/wrong_order", "charge/wrong_amount", "query/wrong_amount"}, change: func(w *wrong) {
			w.charged = func(c platforms.Charge, a *platforms.Answer, _ *error) { a.OrderNo, a.Amount = c.OrderNo, c.Amount }
			w.queried = func(r platforms.Ref, a *platforms.Answer, _ *error) { a.OrderNo, a.Amount = r.OrderNo, r.Amount }
		}},
		{name: "every error is not charged", caught: []string{"charge/lose_reply", "charge/garbage", "charge/signature of a stranger"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, _ *platforms.Answer, err *error) {
				if *err != nil {
					*err = fmt.Errorf("%w: %w", platforms.ErrNotCharged, *err)
				}
			}
		}},
		{name: "refused credentials are any error", caught: []string{"charge/token", "query/token", "probe/token"}, config: func(c *lc.Config) { c.CredentialCodes = nil }},
		{name: "the message is handed on as it is", caught: []string{"charge/leak"}, change: func(w *wrong) {
			w.charged = func(c platforms.Charge, a *platforms.Answer, _ *error) {
				a.Message = strings.ReplaceAll(a.Message, "[hidden]", c.Code.Reveal())
			}
		}},
		{name: "every cancel is done", caught: []string{"cancel/unknown number", "cancel/no signature"}, change: func(w *wrong) {
			w.cancel = func(c *platforms.Cancellation, err *error) { c.Done, c.Action, *err = true, platforms.ActionClose, nil }
		}},
		{name: "a refund takes a new number every time", caught: []string{"refund/same number twice"}, change: func(w *wrong) {
			n := 0
			w.refund = func(r *platforms.Refund) { n++; r.RequestNo = fmt.Sprintf("%s-%d", r.RequestNo, n) }
		}},
		{name: "every refund is done", caught: []string{"refund/more than is left", "refund/lose_reply"}, change: func(w *wrong) {
			w.refused = func(r platforms.Refund, out *platforms.Refunded, err *error) {
				out.Status, out.Total, out.HasTotal, *err = platforms.RefundDone, r.Sum, true, nil
			}
		}},
		{name: "failed requests are sent again", caught: []string{"charge/lose_reply", "charge/reset"}, way: func(rt http.RoundTripper) http.RoundTripper { return eager{rt} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lcsuite.Subject("wrong", k, lcsuite.Config(k), nil)
			s.Transport = func(_ testing.TB, srv *httptest.Server) http.RoundTripper { return wire.Direct(srv.Config.Handler) }
			good := s.Open
			s.Open = func(rt http.RoundTripper) (platforms.Platform, error) {
				if c.way != nil {
					rt = c.way(rt)
				}
				p, err := good(rt)
				if err != nil {
					return nil, err
				}
				w := wrong{Platform: p.(*lc.Platform)}
				if c.config != nil {
					cfg := lcsuite.Config(k)
					rand := cfg.Rand
					c.config(&cfg)
					cfg.Rand = rand
					if w.Platform, err = lc.New(rt, cfg); err != nil {
						return nil, err
					}
				}
				if c.change != nil {
					c.change(&w)
				}
				return w, nil
			}
			failed := platformtest.Failing(t, s, c.caught...)
			for _, name := range c.caught {
				if failed[name] == nil {
					t.Errorf("the suite's case %q does not see it", name)
				}
			}
		})
	}
}
