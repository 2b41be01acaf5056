package facade_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/facade"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
)

const wait = time.Minute

// world is a running agent with a front.
type world struct {
	*agenttest.World
	front *facade.Front
	bank  *agenttest.Bank
}

func start(t *testing.T, change ...func(*config.Config)) *world {
	t.Helper()
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) {
		c.Facade.Till, c.Facade.Wait = agenttest.W1, wait
		c.Facade.Tills = map[string]string{"10.0.0.3": agenttest.W3}
		c.Booking.Expect = false
		for _, f := range change {
			f(c)
		}
	}})
	return &world{World: w, front: facade.New(w.Agent), bank: w.Banks[agenttest.Full]}
}

func charge(no string, amount platforms.Fen, code string) platforms.Charge {
	return platforms.Charge{
		Ref:  platforms.Ref{OrderNo: no, Amount: amount, Mode: platforms.ModeCharge, Operator: platforms.Operator{ID: "7", Name: "张"}},
		Code: platforms.AuthCode{Hidden: platforms.Hide(code)}, OrderType: "TREATMENT", Subject: "门诊缴费",
		Patient: platforms.Patient{Name: platforms.Hide("欧阳"), AdmissionNo: platforms.Hide("1"), CardNo: platforms.Hide("2"), CardType: "medical_card"},
	}
}

const code1, code2 = "134567890123456789", "134567890123456780"

func paid(c platforms.Charge) (platforms.Answer, error) {
	return agenttest.PaidAnswer(c.Ref, platforms.WeChat), nil
}

// trouble gives the kind of a refusal.
func trouble(err error) platforms.FrontTrouble {
	var r *platforms.FrontRefusal
	if errors.As(err, &r) {
		return r.Trouble
	}
	return ""
}

func (w *world) pay(t *testing.T, c platforms.Charge) platforms.FrontOrder {
	t.Helper()
	o, err := w.front.Pay(t.Context(), c, wait)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// charges counts what reached the platform.
func (w *world) charges() int { return len(w.bank.Calls("charge")) }

// The number goes to the platform unchanged, is out_trade_no and bill, and
// answers later queries.
func TestPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.bank.OnCharge(paid)
		o := w.pay(t, charge("MZ1", 100, code1))
		if o.State != platforms.FrontPaid || o.OrderNo != "MZ1" || o.TradeNo != "TMZ1" || o.Amount != 100 || o.PaidAt.IsZero() || o.Operator != "7" || o.Terminal != "D1" {
			t.Errorf("%+v", o)
		}
		if calls := w.bank.Calls("charge"); len(calls) != 1 || calls[0].Order != "MZ1" {
			t.Errorf("%v", calls)
		}
		kept, err := w.Agent.Order("MZ1")
		if err != nil || kept.Bill != "MZ1" || !kept.OwnNumber {
			t.Errorf("%v %v", kept, err)
		}
		if o, err := w.front.Look(t.Context(), "MZ1"); err != nil || o.State != platforms.FrontPaid {
			t.Errorf("%v %v", o, err)
		}
		if _, err := w.front.Look(t.Context(), "MZ2"); trouble(err) != platforms.FrontNoOrder {
			t.Error(err)
		}
	})
}

// A front as the rule below needs it.
type payer interface {
	Pay(ctx context.Context, c platforms.Charge, wait time.Duration) (platforms.FrontOrder, error)
}

// onceOnly is the rule that a number never charges twice: it tells what broke
// it. Sequential and concurrent calls, with other codes and other amounts, in
// every state.
func onceOnly(ctx context.Context, w *world, f payer) []string {
	var bad []string
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	w.bank.OnCharge(paid)
	for i := range 3 {
		o, err := f.Pay(ctx, charge("ONCE1", 100, []string{code1, code1, code2}[i]), wait)
		if err != nil || o.State != platforms.FrontPaid || o.OrderNo != "ONCE1" {
			say("call %d: %+v %v", i, o, err)
		}
	}
	if _, err := f.Pay(ctx, charge("ONCE1", 101, code2), wait); trouble(err) != platforms.FrontNumber {
		say("another amount under the number: %v", err)
	}
	if n := w.charges(); n != 1 {
		say("%d charges for one number", n)
	}
	// Together, while the platform takes its time.
	w.bank.OnCharge(nil)
	var group sync.WaitGroup
	var mu sync.Mutex
	for i := range 8 {
		group.Go(func() {
			o, err := f.Pay(ctx, charge("ONCE2", 100, fmt.Sprintf("1345678901234567%02d", i)), 10*time.Second)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || o.State != platforms.FrontPaying || o.OrderNo != "ONCE2" {
				say("together: %+v %v", o, err)
			}
		})
	}
	group.Wait()
	if n := w.charges(); n != 2 {
		say("%d charges for two numbers", n)
	}
	return bad
}

func TestOnceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		for _, b := range onceOnly(t.Context(), w, w.front) {
			t.Error(b)
		}
	})
}

// wrong members, one per way of breaking the rule.
type anew struct{ f *facade.Front }

// Pay gives every call a number of its own, as a front without a journal would.
func (a anew) Pay(ctx context.Context, c platforms.Charge, wait time.Duration) (platforms.FrontOrder, error) {
	no := c.OrderNo
	c.OrderNo = fmt.Sprintf("%sX%d", no, time.Now().UnixNano()%1e9)
	time.Sleep(time.Millisecond) // in the bubble: another number next time
	o, err := a.f.Pay(ctx, c, wait)
	o.OrderNo = no
	return o, err
}

type blind struct{ f *facade.Front }

// Pay does not look at the amount of the number that it knows.
func (b blind) Pay(ctx context.Context, c platforms.Charge, wait time.Duration) (platforms.FrontOrder, error) {
	if o, err := b.f.Look(ctx, c.OrderNo); err == nil {
		return o, nil
	}
	return b.f.Pay(ctx, c, wait)
}

func TestOnceOnlyCanFail(t *testing.T) {
	for name, wrong := range map[string]func(*facade.Front) payer{
		"a number of its own": func(f *facade.Front) payer { return anew{f} },
		"blind to the amount": func(f *facade.Front) payer { return blind{f} },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t)
			if bad := onceOnly(t.Context(), w, wrong(w.front)); len(bad) == 0 {
				t.Errorf("%s: nothing was noticed", name)
			}
		})
	}
}

// An empty code arms the till's scanner; the answer comes when the patient has
// paid, or when the wait is over, and then the call may be repeated.
func TestScanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.bank.OnCharge(paid)
		got := make(chan platforms.FrontOrder)
		go func() {
			o, err := w.front.Pay(t.Context(), charge("MZ1", 100, ""), wait)
			if err != nil {
				t.Error(err)
			}
			got <- o
		}()
		synctest.Wait()
		if v, _ := w.Agent.View(agenttest.W1); !v.Armed {
			t.Error("the scanner is not armed")
		}
		w.Pads[agenttest.W1].Show(code1)
		if o := <-got; o.State != platforms.FrontPaid {
			t.Errorf("%+v", o)
		}
		begin := time.Now()
		if o := w.pay(t, charge("MZ2", 100, "")); o.State != platforms.FrontWaiting || time.Since(begin) != wait {
			t.Errorf("%+v after %s", o, time.Since(begin))
		}
		if o, err := w.front.Look(t.Context(), "MZ2"); err != nil || o.State != platforms.FrontWaiting {
			t.Errorf("%+v %v", o, err)
		}
		// Cnt, or a caller in a hurry, bounds the wait alone: the order goes on.
		begin = time.Now()
		o, err := w.front.Pay(t.Context(), charge("MZ2", 100, ""), 10*time.Second)
		if err != nil || o.State != platforms.FrontWaiting || time.Since(begin) != 10*time.Second {
			t.Errorf("%+v %v after %s", o, err, time.Since(begin))
		}
		w.Pads[agenttest.W1].Show(code2)
		if o := w.pay(t, charge("MZ2", 100, "")); o.State != platforms.FrontPaid {
			t.Errorf("%+v", o)
		}
	})
}

// What never reached the platform, and what came back without an outcome, are
// two things; neither is told as failed.
func TestUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		synctest.Wait() // the first probe found the platform up
		w.bank.Cut(true)
		// The last probe may have been before the cut: then it is proven only when
		// the request cannot leave.
		if o, err := w.front.Pay(t.Context(), charge("MZ0", 100, code2), wait); o.State != platforms.FrontFailed && trouble(err) != platforms.FrontAway {
			t.Errorf("%+v %v", o, err)
		}
		time.Sleep(30 * time.Second)
		if _, err := w.front.Pay(t.Context(), charge("MZ1", 100, code1), wait); trouble(err) != platforms.FrontAway {
			t.Error(err)
		}
		if o, err := w.Agent.Order("MZ1"); o != nil || err != nil {
			t.Errorf("%v %v", o, err)
		}
		w.bank.Cut(false)
		time.Sleep(30 * time.Second)
		w.bank.Deafen(true)
		o := w.pay(t, charge("MZ1", 100, code1))
		if o.State != platforms.FrontCanceling && o.State != platforms.FrontInDoubt && o.State != platforms.FrontPaying {
			t.Errorf("%+v", o)
		}
		time.Sleep(10 * time.Minute)
		o, err := w.front.Look(t.Context(), "MZ1")
		if err != nil || o.State != platforms.FrontInDoubt {
			t.Errorf("%+v %v", o, err)
		}
		if o, err = w.front.Cancel(t.Context(), "MZ1", platforms.Operator{ID: "7"}, wait); err != nil || o.State != platforms.FrontInDoubt {
			t.Errorf("%+v %v", o, err)
		}
		if n := w.charges(); n != 1 {
			t.Errorf("%d charges", n)
		}
		w.Stop()
		if _, err := w.front.Pay(t.Context(), charge("MZ9", 100, code2), wait); trouble(err) != platforms.FrontAway {
			t.Errorf("a stopped agent: %v", err)
		}
	})
}

// Refusals before anything was sent.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		for name, x := range map[string]struct {
			change func(*platforms.Charge)
			want   platforms.FrontTrouble
		}{
			"no number":      {func(c *platforms.Charge) { c.OrderNo = "" }, platforms.FrontBadField},
			"odd number":     {func(c *platforms.Charge) { c.OrderNo = "MZ-1" }, platforms.FrontBadField},
			"no amount":      {func(c *platforms.Charge) { c.Amount = 0 }, platforms.FrontBadField},
			"no type":        {func(c *platforms.Charge) { c.OrderType = "GIFT" }, platforms.FrontBadField},
			"other merchant": {func(c *platforms.Charge) { c.Merchant.Code = "M9" }, platforms.FrontBadField},
			"an id card":     {func(c *platforms.Charge) { c.Code.Hidden = platforms.Hide("hello") }, platforms.FrontCode},
			"other wallet":   {func(c *platforms.Charge) { c.Channel = platforms.Alipay }, platforms.FrontCode},
		} {
			c := charge("MZ1", 100, code1)
			x.change(&c)
			if _, err := w.front.Pay(t.Context(), c, wait); trouble(err) != x.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := w.charges(); n != 0 {
			t.Errorf("%d charges", n)
		}
		ours := charge("MZ1", 100, code1)
		ours.Merchant.Code = "M1"
		if o, err := w.front.Pay(t.Context(), ours, time.Second); err != nil || o.State != platforms.FrontPaying {
			t.Errorf("%+v %v", o, err)
		}
		if _, err := w.front.Pay(t.Context(), charge("MZ2", 100, code2), wait); trouble(err) != platforms.FrontBusy {
			t.Errorf("a till that is busy: %v", err)
		}
		other := start(t, func(c *config.Config) { c.Facade.Till = "" })
		if _, err := other.front.Pay(t.Context(), charge("MZ1", 100, code1), wait); trouble(err) != platforms.FrontBadField {
			t.Errorf("no till: %v", err)
		}
		byDevice := charge("MZ1", 100, code1)
		byDevice.Terminal = "D2"
		if o, err := other.front.Pay(t.Context(), byDevice, time.Second); err != nil || o.Terminal != "D2" {
			t.Errorf("%+v %v", o, err)
		}
		byTable := charge("MZ3", 100, code2)
		byTable.Terminal = "10.0.0.3"
		if o, err := other.front.Pay(t.Context(), byTable, time.Second); err != nil || o.Terminal != "D3" {
			t.Errorf("%+v %v", o, err)
		}
	})
}

// Cancel: before a scan, while paying, of a paid order, where it cannot be.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		cancel := func(no string) platforms.FrontOrder {
			t.Helper()
			o, err := w.front.Cancel(t.Context(), no, platforms.Operator{ID: "7", Name: "张"}, wait)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		if _, err := w.front.Cancel(t.Context(), "MZ0", platforms.Operator{}, wait); trouble(err) != platforms.FrontNoOrder {
			t.Error(err)
		}
		go func() { _, _ = w.front.Pay(t.Context(), charge("MZ1", 100, ""), time.Second) }()
		synctest.Wait()
		if o := cancel("MZ1"); o.State != platforms.FrontCanceled {
			t.Errorf("%+v", o)
		}
		if _, err := w.front.Pay(t.Context(), charge("MZ2", 100, code1), time.Second); err != nil {
			t.Error(err)
		}
		if o, err := w.front.Cancel(t.Context(), "MZ2", platforms.Operator{}, time.Second); err != nil || o.State != platforms.FrontCanceling {
			t.Errorf("%+v %v", o, err)
		}
		if o := cancel("MZ2"); o.State != platforms.FrontCanceled || o.Action != platforms.ActionClose {
			t.Errorf("%+v", o)
		}
		// The number is spent: a further pay call is answered with what it is.
		if o := w.pay(t, charge("MZ2", 100, code2)); o.State != platforms.FrontCanceled {
			t.Errorf("%+v", o)
		}
		w.bank.OnCharge(paid)
		w.pay(t, charge("MZ3", 100, code2))
		if o := cancel("MZ3"); o.State != platforms.FrontPaid || o.Refunded != 100 || o.Reversing {
			t.Errorf("%+v", o)
		}
		if o := cancel("MZ3"); o.Refunded != 100 || len(w.bank.Calls("cancel")) != 2 {
			t.Errorf("%+v %v", o, w.bank.Calls(""))
		}
	})
}

func refund(no, request string, sum platforms.Fen) platforms.Refund {
	return platforms.Refund{Ref: platforms.Ref{OrderNo: no, TradeNo: "T" + no, Amount: 100}, RequestNo: request, Sum: sum}
}

// Refunds: by number, once, cumulative, bound to the order.
func TestRefund(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.bank.OnCharge(paid)
		w.pay(t, charge("MZ1", 100, code1))
		give := func(r platforms.Refund) (platforms.FrontRefund, error) {
			return w.front.Refund(t.Context(), r, platforms.Operator{}, 5*time.Minute)
		}
		got, err := give(refund("MZ1", "R1", 30))
		if err != nil || got.State != platforms.RefundDone || !got.Moved || got.Order.Refunded != 30 {
			t.Errorf("%+v %v", got, err)
		}
		if got, err = give(refund("MZ1", "R1", 30)); err != nil || got.State != platforms.RefundDone || got.Moved || got.Order.Refunded != 30 {
			t.Errorf("again: %+v %v", got, err)
		}
		if got, err = give(refund("MZ1", "R2", 20)); err != nil || got.State != platforms.RefundDone || got.Order.Refunded != 50 {
			t.Errorf("second: %+v %v", got, err)
		}
		if got, err = give(refund("MZ1", "R3", 60)); err != nil || got.State != platforms.RefundRefused {
			t.Errorf("too much: %+v %v", got, err)
		}
		bad := refund("MZ1", "R4", 10)
		bad.TradeNo = "T9"
		if _, err := give(bad); trouble(err) != platforms.FrontNumber {
			t.Error(err)
		}
		bad = refund("MZ1", "R4", 10)
		bad.Amount = 99
		if _, err := give(bad); trouble(err) != platforms.FrontNumber {
			t.Error(err)
		}
		if _, err := give(refund("MZ1", "R1", 31)); trouble(err) != platforms.FrontNumber {
			t.Error(err)
		}
		if _, err := give(refund("MZ1", "R-1", 1)); trouble(err) != platforms.FrontBadField {
			t.Error(err)
		}
		if _, err := give(refund("MZ7", "R7", 1)); trouble(err) != platforms.FrontNoOrder {
			t.Error(err)
		}
		// A refund without an outcome is unknown, and the same call asks again.
		w.bank.HoldRefunds(true)
		if got, err = give(refund("MZ1", "R5", 10)); err != nil || got.State != platforms.RefundUnknown {
			t.Errorf("unknown: %+v %v", got, err)
		}
		w.bank.HoldRefunds(false)
		time.Sleep(30 * time.Minute)
		if got, err = give(refund("MZ1", "R5", 10)); err != nil || got.State != platforms.RefundDone || got.Order.Refunded != 60 {
			t.Errorf("known: %+v %v", got, err)
		}
		if _, err := w.front.Pay(t.Context(), charge("MZ2", 100, ""), time.Second); err != nil {
			t.Error(err)
		}
		unpaid := refund("MZ2", "R6", 10)
		if _, err := give(unpaid); trouble(err) != platforms.FrontNotPaid {
			t.Error(err)
		}
	})
}

// Orders from before HIS was pointed here are looked up and given back at the
// platform, where the configuration names a merchant for it.
func TestFormer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(c *config.Config) { c.Facade.FormerMerchant = "window" })
		w.bank.OnCharge(paid)
		if _, err := w.front.Look(t.Context(), "OLD1"); trouble(err) != platforms.FrontNoOrder {
			t.Error(err)
		}
		w.bank.Elsewhere("OLD1", "OLD1", 100)
		o, err := w.front.Look(t.Context(), "OLD1")
		if err != nil || o.State != platforms.FrontPaid || o.Amount != 100 {
			t.Errorf("%+v %v", o, err)
		}
		got, err := w.front.Refund(t.Context(), refund("OLD1", "R1", 30), platforms.Operator{}, 5*time.Minute)
		if err != nil || got.State != platforms.RefundDone || got.Order.Refunded != 30 {
			t.Errorf("%+v %v", got, err)
		}
		kept, err := w.Agent.Order("OLD1")
		if err != nil || kept == nil || !kept.Foreign || kept.State() != order.Paid {
			t.Errorf("%+v %v", kept, err)
		}
	})
}

// A QR is answered as soon as there is one.
func TestPresent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		c := charge("ZJMZ1", 100, "")
		c.Mode, c.Aggregated = platforms.ModePresent, true
		begin := time.Now()
		if o := w.pay(t, c); o.QR != "https://qr.invalid/ZJMZ1" || o.State != platforms.FrontPaying || time.Since(begin) > time.Second {
			t.Errorf("%+v after %s", o, time.Since(begin))
		}
		if o := w.pay(t, c); o.QR == "" || len(w.bank.Calls("present")) != 1 {
			t.Errorf("again: %+v %v", o, w.bank.Calls(""))
		}
		c.Mode, c.Aggregated = platforms.ModeCharge, false
		if _, err := w.front.Pay(t.Context(), c, wait); trouble(err) != platforms.FrontNumber {
			t.Errorf("the number in another mode: %v", err)
		}
	})
}
