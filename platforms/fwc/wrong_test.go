package fwc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcsuite"
	"payagent/platforms/platformtest"
)

// wrong is the adapter with one rule of it broken.
type wrong struct {
	*fwc.Platform
	charge  func(c *platforms.Charge)
	charged func(c platforms.Charge, a *platforms.Answer, err *error)
	queried func(r platforms.Ref, a *platforms.Answer, err *error)
	cancel  func(c *platforms.Cancellation, err *error)
	refund  func(r *platforms.Refund)
	refused func(r platforms.Refund, out *platforms.Refunded, err *error)
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

// copied is the request with its body read, so that it can be sent again.
func copied(r *http.Request) (func() *http.Request, error) {
	body, err := io.ReadAll(r.Body)
	return func() *http.Request {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		again.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		return again
	}, err
}

// eager sends again what failed.
type eager struct{ http.RoundTripper }

func (e eager) RoundTrip(r *http.Request) (*http.Response, error) {
	again, err := copied(r)
	if err != nil {
		return nil, err
	}
	if resp, err := e.RoundTripper.RoundTrip(again()); err == nil {
		return resp, nil
	}
	return e.RoundTripper.RoundTrip(again())
}

// follows follows redirects, as http.Client does by default.
type follows struct{ http.RoundTripper }

func (f follows) RoundTrip(r *http.Request) (*http.Response, error) {
	again, err := copied(r)
	if err != nil {
		return nil, err
	}
	return (&http.Client{Transport: f.RoundTripper}).Do(again())
}

// whole finds the first case that ends in each name: the suite numbers its
// field rules, and the numbers may change.
func whole(t *testing.T, s platformtest.Subject, ends []string) []string {
	t.Helper()
	cases, err := platformtest.Cases(s)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, end := range ends {
		i := slices.IndexFunc(cases, func(c platformtest.Case) bool { return strings.HasSuffix(c.Name, end) })
		if i < 0 {
			t.Fatalf("the suite has no case %q", end)
		}
		names = append(names, cases[i].Name)
	}
	return names
}

// TestWrongAdapters shows that the suite sees each broken rule, by the case
// that names it.
func TestWrongAdapters(t *testing.T) {
	type change func(*wrong)
	cases := []struct {
		name   string
		caught []string
		way    func(http.RoundTripper) http.RoundTripper
		config func(*fwc.Config)
		change change
	}{
		{name: "IsSuccess 2 is a failure", caught: []string{"charge/platform stumbles"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, a *platforms.Answer, _ *error) {
				if a.Code == "IsSuccess 2" {
					a.Status = platforms.Failed
				}
			}
		}},
		{name: "IsSuccess 1 of a pay call is paid", caught: []string{"charge/password"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, a *platforms.Answer, _ *error) {
				if a.Status == platforms.Pending {
					a.Status, a.AskNow = platforms.Paid, false
				}
			}
		}},
		{name: "a pay answer is not confirmed", caught: []string{"charge/pays at once"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, a *platforms.Answer, _ *error) { a.AskNow = false }
		}},
		{name: "IsSuccess 0 is called paid", caught: []string{"charge/no money", "charge/bad code"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, a *platforms.Answer, _ *error) {
				if a.Status == platforms.Refused {
					a.Status = platforms.Paid
				}
			}
		}},
		{name: "TRADE_CLOSED is paid", caught: []string{"cancel/paid order", "charge/never pays"}, change: func(w *wrong) {
			w.queried = func(_ platforms.Ref, a *platforms.Answer, _ *error) {
				if a.Status == platforms.Closed {
					a.Status = platforms.Paid
				}
			}
		}},
		{name: "WAIT_BUYER_PAY is a failure", caught: []string{"charge/password"}, change: func(w *wrong) {
			w.queried = func(_ platforms.Ref, a *platforms.Answer, _ *error) {
				if a.Status == platforms.Pending {
					a.Status = platforms.Failed
				}
			}
		}},
		{name: "TRADE_NOT_EXIST is a failure", caught: []string{"query/unknown number", "query/stale"}, change: func(w *wrong) {
			w.queried = func(_ platforms.Ref, a *platforms.Answer, _ *error) {
				if a.Status == platforms.NotFound {
					a.Status = platforms.Failed
				}
			}
		}},
		{name: "fen are sent as yuan", caught: []string{"charge/pays at once", "charge/one fen"}, change: func(w *wrong) {
			w.charge = func(c *platforms.Charge) { c.Amount *= 100 }
			w.charged = func(c platforms.Charge, a *platforms.Answer, _ *error) { a.Amount = c.Amount }
			w.queried = func(r platforms.Ref, a *platforms.Answer, _ *error) { a.Amount = r.Amount }
		}},
		{name: "amounts are read in the other unit", caught: []string{"charge/pays at once"}, config: func(c *fwc.Config) { c.AmountUnit = fwc.UnitFen }},
		{name: "the echo is not looked at", caught: []string{"charge/wrong_order", "charge/wrong_amount", "query/wrong_order", "query/wrong_amount"}, change: func(w *wrong) {
			w.charged = func(c platforms.Charge, a *platforms.Answer, _ *error) {
				a.OrderNo, a.Amount = c.OrderNo, c.Amount
			}
			w.queried = func(r platforms.Ref, a *platforms.Answer, _ *error) { a.OrderNo, a.Amount = r.OrderNo, r.Amount }
		}},
		{name: "HospitalID is not compared", caught: []string{"query/wrong_merchant"}, config: func(c *fwc.Config) { c.HospitalID = "" }},
		{name: "every error is not charged", caught: []string{"charge/http_500_after", "charge/lose_reply", "charge/garbage"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, _ *platforms.Answer, err *error) {
				if *err != nil {
					*err = fmt.Errorf("%w: %w", platforms.ErrNotCharged, *err)
				}
			}
		}},
		{name: "a query error is not charged", caught: []string{"query/http_500", "wire/dial failure of a query"}, change: func(w *wrong) {
			w.queried = func(_ platforms.Ref, _ *platforms.Answer, err *error) {
				if *err != nil {
					*err = fmt.Errorf("%w: %w", platforms.ErrNotCharged, *err)
				}
			}
		}},
		{name: "errors are swallowed as refusals", caught: []string{"charge/http_500", "charge/half_reply"}, change: func(w *wrong) {
			w.charged = func(_ platforms.Charge, a *platforms.Answer, err *error) {
				if *err != nil {
					a.Status, *err = platforms.Failed, nil
				}
			}
		}},
		{name: "a refused token is any error", caught: []string{"charge/token", "query/token"}, change: func(w *wrong) {
			hide := func(err *error) {
				if errors.Is(*err, platforms.ErrToken) {
					*err = errors.New("refused")
				}
			}
			w.charged = func(_ platforms.Charge, _ *platforms.Answer, err *error) { hide(err) }
			w.queried = func(_ platforms.Ref, _ *platforms.Answer, err *error) { hide(err) }
		}},
		{name: "the message is handed on as it is", caught: []string{"charge/leak"}, change: func(w *wrong) {
			w.charged = func(c platforms.Charge, a *platforms.Answer, _ *error) {
				a.Message = strings.ReplaceAll(a.Message, "[hidden]", c.Code.Reveal())
			}
		}},
		{name: "every cancel is done", caught: []string{"cancel/unknown number", "cancel/platform stumbles"}, change: func(w *wrong) {
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
		{name: "mandatory fields are made up", caught: []string{" patient.name"}, change: func(w *wrong) {
			w.charge = func(c *platforms.Charge) {
				if c.Patient.Name.Empty() {
					c.Patient.Name = platforms.Hide("未知")
				}
			}
		}},
		{name: "failed requests are sent again", caught: []string{"charge/lose_reply", "charge/reset"}, way: func(rt http.RoundTripper) http.RoundTripper { return eager{rt} }},
		{name: "redirects are followed", caught: []string{"charge/redirect_307"}, way: func(rt http.RoundTripper) http.RoundTripper { return follows{rt} }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := fwcsuite.Subject(fwcsuite.Config(fwc.SOAP11))
			s.Open = func(rt http.RoundTripper) (platforms.Platform, error) {
				if c.way != nil {
					rt = c.way(rt)
				}
				cfg := fwcsuite.Config(fwc.SOAP11)
				if c.config != nil {
					c.config(&cfg)
				}
				p, err := fwc.New(rt, cfg)
				w := wrong{Platform: p}
				if c.change != nil {
					c.change(&w)
				}
				return w, err
			}
			caught := whole(t, s, c.caught)
			failed := platformtest.Failing(t, s, caught...)
			for _, name := range caught {
				if failed[name] == nil {
					t.Errorf("the suite's case %q does not see it", name)
				}
			}
		})
	}
}
