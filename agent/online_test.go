package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
)

// online is a world with an online till on a platform with pages.
type online struct {
	*agenttest.World
	t        *testing.T
	disk     *mem.Disk
	till     string
	platform string
	n        int
}

func newOnline(t *testing.T, till string) *online {
	w := &online{t: t, disk: &mem.Disk{}, till: till, platform: map[string]string{agenttest.O1: agenttest.Page, agenttest.O2: agenttest.Mute}[till]}
	w.start()
	return w
}

// start runs an agent over the same log; the bank's books are new.
func (w *online) start() {
	w.t.Helper()
	w.World = agenttest.Start(w.t, agenttest.Options{Log: mem.Open(w.disk)})
	synctest.Wait()
}

func (w *online) bank() *agenttest.Bank { return w.Banks[w.platform] }

func (w *online) request(mode platforms.Mode) agent.Request {
	w.n++
	no := string(rune('A'+w.n)) + "1"
	return agent.Request{Key: platforms.Hide("k" + no), Body: platforms.Hide("b" + no), OrderNo: no, Bill: "B" + no, Amount: 8888, Mode: mode,
		OrderType: "TREATMENT", Till: w.till, Subject: "门诊缴费", Memo: "两项检查"}
}

// h5 makes an order and gives it once its page is there.
func (w *online) h5(change ...func(*agent.Request)) *order.Order {
	w.t.Helper()
	r := w.request(platforms.ModeH5)
	for _, f := range change {
		f(&r)
	}
	reply, err := w.Agent.Collect(context.Background(), r)
	if err != nil || reply.Order == nil {
		w.t.Fatal(reply.Code, err)
	}
	synctest.Wait()
	return w.order(reply.Order.No)
}

func (w *online) order(no string) *order.Order {
	w.t.Helper()
	o, err := w.Agent.Order(no)
	if err != nil || o == nil {
		w.t.Fatal(o, err)
	}
	return o
}

func (w *online) state(no string, want order.State) {
	w.t.Helper()
	if got := w.order(no).State(); got != want {
		w.t.Fatalf("%s is %s, want %s", no, got, want)
	}
}

func (w *online) notify(in platforms.Incoming) {
	w.t.Helper()
	reply, err := w.Agent.Notify(context.Background(), w.platform, in)
	if err != nil || reply != agenttest.Ack {
		w.t.Fatal(reply, err)
	}
	synctest.Wait()
}

func (w *online) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *online) calls(verb string) int { return len(w.bank().Calls(verb)) }

func TestH5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		o := w.h5()
		if o.State() != order.Paying || o.QR != "https://page.invalid/goto/"+o.No || o.Private.PayString.Reveal() == "" {
			t.Fatalf("%s %q", o.State(), o.QR)
		}
		if o.Expires != "15m" || o.ExpiresIn != 15*time.Minute {
			t.Errorf("expires %q, %s", o.Expires, o.ExpiresIn)
		}
		web := o.Private.Web
		if web.NotifyURL != "https://pay.invalid/agent/notify/page" || !strings.HasPrefix(web.ReturnURL, "https://pay.invalid/agent/return/"+o.No+"/") ||
			strings.HasSuffix(web.ReturnURL, o.No+"/") {
			t.Errorf("addresses %+v", web)
		}
		// Any number at once at an online till.
		second := w.h5()
		w.state(second.No, order.Paying)
		w.pass(5 * time.Minute)
		if n := w.calls("query"); n < 20 || n > 40 {
			t.Errorf("%d queries of two orders in five minutes", n)
		}
		w.bank().Pay(o.No)
		w.pass(30 * time.Second)
		w.state(o.No, order.Paid)
		w.pass(10 * time.Minute)
		w.state(second.No, order.Canceled)
	})
}

// TestH5AddressesOfHIS: what HIS gives is sent unchanged, and expires is the
// horizon.
func TestH5AddressesOfHIS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		given := platforms.Web{ReturnURL: "https://his.invalid/back?x=1", NotifyURL: "http://his.invalid/n", DisableChannels: "credit_group",
			BusinessParams: `{"memo":"备注"}`, AgreementParams: `{"withholding_id":"1"}`}
		o := w.h5(func(r *agent.Request) { r.Web, r.Expires = given, "2m" })
		if o.Private.Web != given || o.Expires != "2m" {
			t.Errorf("%+v, expires %q", o.Private.Web, o.Expires)
		}
		w.pass(119 * time.Second)
		w.state(o.No, order.Paying)
		w.pass(5 * time.Second)
		w.state(o.No, order.Canceled)
	})
}

func TestH5Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		for field, change := range map[string]func(*agent.Request){
			"return_url":            func(r *agent.Request) { r.Web.ReturnURL = "javascript:alert(1)" },
			"notify_url":            func(r *agent.Request) { r.Web.NotifyURL = "https://x.invalid/" + strings.Repeat("a", 512) },
			"disable_pay_channels":  func(r *agent.Request) { r.Web.DisableChannels = strings.Repeat("a", 129) },
			"business_params":       func(r *agent.Request) { r.Web.BusinessParams = strings.Repeat("字", 257) },
			"agreement_sign_params": func(r *agent.Request) { r.Web.AgreementParams = strings.Repeat("a", 4097) },
			"expires":               func(r *agent.Request) { r.Expires = "16d" },
			"aggregated":            func(r *agent.Request) { r.Aggregated = true },
			"auth_code":             func(r *agent.Request) { r.AuthCode = platforms.Hide("134567890123456789") },
			"mode":                  func(r *agent.Request) { r.Mode = platforms.ModeCharge },
		} {
			r := w.request(platforms.ModeH5)
			change(&r)
			_, err := w.Agent.Collect(context.Background(), r)
			var bad *platforms.FieldError
			if !errors.As(err, &bad) || bad.Field != field {
				t.Errorf("%s: %v", field, err)
			}
			if o, _ := w.Agent.Order(r.OrderNo); o != nil {
				t.Errorf("%s: something was journalled", field)
			}
		}
	})
}

// TestNoticeWakes: a message asks earlier and decides nothing, and a flood
// costs one query per second.
func TestNoticeWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		o := w.h5()
		w.pass(3 * time.Minute)
		asked := w.calls("query")
		// It says paid, the bank says pending: nothing happens but the query.
		w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount))
		if n := w.calls("query"); n != asked+1 {
			t.Fatalf("%d queries instead of one", n-asked)
		}
		w.state(o.No, order.Paying)
		asked++
		for range 200 {
			w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount))
			w.pass(50 * time.Millisecond)
		}
		if n := w.calls("query") - asked; n < 9 || n > 12 {
			t.Errorf("a flood of ten seconds cost %d queries", n)
		}
		w.state(o.No, order.Paying)
		w.pass(2 * time.Second)
		w.bank().Pay(o.No)
		w.notify(agenttest.Message(o.No, platforms.Closed, o.Amount)) // whatever it says, the query decides
		w.state(o.No, order.Paid)
		rev := w.order(o.No).Rev
		for _, s := range []platforms.Status{platforms.Paid, platforms.Closed, platforms.Paid} {
			w.notify(agenttest.Message(o.No, s, o.Amount+1))
		}
		if w.order(o.No).Rev != rev {
			t.Error("messages after the end changed the order")
		}
	})
}

func TestNoticeForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, till := range []string{agenttest.O1, agenttest.O2} {
			w := newOnline(t, till)
			o := w.h5()
			asked := w.calls("")
			forged := agenttest.Message(o.No, platforms.Paid, o.Amount)
			forged.Query = strings.Replace(forged.Query, "good", "bad", 1)
			if reply, err := w.Agent.Notify(context.Background(), w.platform, forged); !errors.Is(err, agent.ErrForged) || reply != "" {
				t.Error(reply, err)
			}
			if _, err := w.Agent.Notify(context.Background(), agenttest.Full, forged); !errors.Is(err, agent.ErrNoNotifier) {
				t.Error(err)
			}
			w.notify(agenttest.Message("NOBODYS", platforms.Paid, o.Amount)) // verified, of a number that nobody knows
			if w.order(o.No).Rev != o.Rev || w.calls("") != asked {
				t.Error("a forged message changed something")
			}
			w.Stop()
		}
	})
}

// TestNoticeFindsLateMoney: an order whose watch is over is fetched from the
// log and asked about.
func TestNoticeFindsLateMoney(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O1)
		o := w.h5(func(r *agent.Request) { r.Expires = "1m" })
		w.pass(48 * time.Hour)
		w.state(o.No, order.Canceled)
		if len(w.Agent.Open()) != 0 {
			t.Fatal("the order is still in memory")
		}
		asked := w.calls("query")
		w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount))
		if w.calls("query") == asked {
			t.Error("nobody asked")
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, err := w.Agent.Notify(context.Background(), w.platform, agenttest.Message(o.No, platforms.Paid, o.Amount)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := w.calls("query") - asked; n != 1 {
			t.Errorf("%d queries at once", n)
		}
		group.Wait()
		if n := w.calls("query") - asked; n != 2 {
			t.Errorf("%d queries for twenty messages", n)
		}
		// Without an answer the platform is told to send it again.
		w.bank().Deafen(true)
		if _, err := w.Agent.Notify(context.Background(), w.platform, agenttest.Message(o.No, platforms.Paid, o.Amount)); err == nil {
			t.Error("a message that nobody could look into was taken")
		}
		w.bank().Deafen(false)
		w.pass(time.Hour)
		w.bank().Reopen(o.No)
		w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount))
		w.pass(time.Minute)
		if got := w.order(o.No); !got.LateFound || !got.LateDone || got.State() != order.Canceled {
			t.Errorf("late money was not given back: %+v", got)
		}
	})
}

// TestPayerLeft: 5001 is shown and asked about, and decides nothing.
func TestPayerLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, till := range []string{agenttest.O1, agenttest.O2} {
			w := newOnline(t, till)
			o := w.h5()
			for range 3 {
				n, err := w.Agent.Returned(context.Background(), o.No, agenttest.Gone(o.No))
				if err != nil || !n.Canceled || !n.ByBrowser || n.Evidence {
					t.Fatal(n, err)
				}
			}
			synctest.Wait()
			got := w.order(o.No)
			if !got.PayerLeft || got.State() != order.Paying || got.Rev != o.Rev+1 {
				t.Errorf("%s, left %v, rev %d", got.State(), got.PayerLeft, got.Rev)
			}
			// A paid word by the browser proves nothing, even where words do.
			if _, err := w.Agent.Returned(context.Background(), o.No, agenttest.Message(o.No, platforms.Paid, o.Amount)); err != nil {
				t.Fatal(err)
			}
			w.pass(2 * time.Second)
			w.state(o.No, order.Paying)
			w.Stop()
		}
	})
}

// TestNoQuery: nothing is ever asked; messages decide, the horizon cancels.
func TestNoQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O2)
		paid, closed, never, odd := w.h5(), w.h5(), w.h5(), w.h5()
		w.notify(agenttest.Message(paid.No, platforms.Paid, paid.Amount))
		w.state(paid.No, order.Paid)
		if o := w.order(paid.No); o.TradeNo == "" || !o.AmountSeen {
			t.Errorf("trade %q, amount seen %v", o.TradeNo, o.AmountSeen)
		}
		w.notify(agenttest.Message(closed.No, platforms.Closed, closed.Amount))
		w.state(closed.No, order.Canceled)
		w.notify(agenttest.Message(odd.No, platforms.Paid, odd.Amount-1))
		w.state(odd.No, order.InDoubt)
		w.notify(platforms.Incoming{Query: "order=" + never.No + "&status=paid&sign=good"}) // no amount
		w.state(never.No, order.Paying)
		w.pass(16 * time.Minute)
		w.state(never.No, order.Canceled)
		w.state(odd.No, order.InDoubt)
		if n := len(w.bank().Calls("cancel")); n != 1 {
			t.Errorf("%d cancels", n)
		}
		// Refunds need no query either.
		reply, err := w.Agent.Refund(context.Background(), paid.No, agent.RefundRequest{Sum: 100, Operator: platforms.Operator{ID: "1"}})
		if err != nil {
			t.Fatal(reply.Code, err)
		}
		w.pass(2 * time.Second)
		if o := w.order(paid.No); o.RefundedSum() != 100 {
			t.Errorf("%+v", o.Refunds)
		}
		// Late: the order is out of memory, money is said to be there.
		w.pass(time.Hour)
		w.notify(agenttest.Message(never.No, platforms.Paid, never.Amount))
		w.pass(time.Minute)
		if o := w.order(never.No); !o.LateDone || o.State() != order.Canceled {
			t.Errorf("late %v %v", o.LateFound, o.LateDone)
		}
		if n := w.calls("query"); n != 0 {
			t.Errorf("%d queries on a platform that has none", n)
		}
	})
}

// TestNoQueryToldDuringCancel: what was told before a cancel that did nothing
// stands; after one that was lost it proves nothing, and the money goes back.
func TestNoQueryToldDuringCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O2)
		o := w.h5()
		w.bank().Deafen(true)
		if _, err := w.Agent.Act(context.Background(), o.No, order.ActCancel, platforms.Operator{ID: "1"}, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.state(o.No, order.Canceling)
		w.bank().Pay(o.No)
		w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount))
		w.state(o.No, order.Canceling)
		w.bank().Deafen(false)
		w.pass(time.Minute)
		if got := w.order(o.No); got.State() != order.Canceled || got.Action != platforms.ActionRefund {
			t.Errorf("%s by %s", got.State(), got.Action)
		}
		w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount)) // said again: older than the refund
		if got := w.order(o.No); got.LateFound {
			t.Error("money that went back was found again")
		}
	})
}

// TestNoQueryRestart: an order waits for its message over a restart.
func TestNoQueryRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOnline(t, agenttest.O2)
		o := w.h5()
		w.Stop()
		w.start()
		w.state(o.No, order.Paying)
		if n := w.calls(""); n != 0 {
			t.Errorf("%d calls at the start", n)
		}
		w.notify(agenttest.Message(o.No, platforms.Paid, o.Amount))
		w.state(o.No, order.Paid)
	})
}
