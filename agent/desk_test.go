package agent_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/queue/mem"
)

// approve is a second person's word about a refund, and demands the reply.
func (r *rig) approve(no, refund, who string, ok bool, want string) {
	r.t.Helper()
	got, err := r.agent.ApproveRefund(context.Background(), no, refund, platforms.Operator{ID: who}, ok, "seen")
	if err != nil || got.Code != want {
		r.t.Fatalf("approve %s: %q %v, want %q", refund, got.Code, err, want)
	}
	synctest.Wait()
}

func (r *rig) line(no, refund string) order.RefundLine {
	r.t.Helper()
	for _, l := range r.order(no).Refunds {
		if l.Request == refund {
			return l
		}
	}
	r.t.Fatalf("no refund %s", refund)
	return order.RefundLine{}
}

// TestASecondPerson: above the limit, which counts all refunds of an order,
// nothing leaves before another operator agreed.
func TestASecondPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		r.refund(o.No, "R1", 4_000, counter.CodeAccepted)
		r.refund(o.No, "R2", 1_001, counter.CodeAccepted)
		r.pass(10 * time.Minute)
		if a, b := r.line(o.No, "R1"), r.line(o.No, "R2"); a.State != order.RefundDone || b.State != order.RefundAwaiting {
			t.Fatalf("%s %s", a.State, b.State)
		}
		if r.asked("fwc", bank.OpRefund, o.No) != 1 {
			t.Fatal("it left before anybody agreed")
		}
		r.refund(o.No, "R3", 7_345, counter.CodeRefundOver) // what waits counts
		r.approve(o.No, "R1", "4004", true, counter.CodeNoApproval)
		r.approve(o.No, "RX", "4004", true, counter.CodeNoApproval)
		r.approve("NOSUCH", "R2", "4004", true, counter.CodeNotFound)
		r.approve(o.No, "R2", "3003", true, counter.CodeSamePerson) // the maker
		r.restart()
		r.approve(o.No, "R2", "4004", true, counter.CodeAccepted)
		r.pass(10 * time.Minute)
		if b := r.line(o.No, "R2"); b.State != order.RefundDone || b.ApprovedBy.ID != "4004" {
			t.Fatalf("%+v", b)
		}
		r.refund(o.No, "R4", 100, counter.CodeAccepted)
		r.approve(o.No, "R4", "4004", false, counter.CodeDone)
		if l := r.line(o.No, "R4"); l.State != order.RefundRefused || l.Code != order.Declined {
			t.Fatalf("%+v", l)
		}
		r.refund(o.No, "R5", 200, counter.CodeAccepted)
		r.pass(25 * time.Hour) // nobody looks at it
		if l := r.line(o.No, "R5"); l.State != order.RefundRefused || len(r.agent.Open()) != 0 {
			t.Fatalf("%+v, open %d", l, len(r.agent.Open()))
		}
		r.judge(o.No)
	}, func(r *rig) { r.cfg.Limits.RefundAloneFen = 5_000 })
}

// TestWhatWaitsGoesBackWithTheRest: HIS fails while a refund waits for a second
// person.
func TestWhatWaitsGoesBackWithTheRest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		r.refund(o.No, "R1", 6_000, counter.CodeAccepted)
		r.book(o.No, agent.Booking{}, counter.CodeDone)
		r.approve(o.No, "R1", "4004", true, counter.CodeNoApproval)
		r.pass(10 * time.Minute)
		if o = r.order(o.No); !o.FullyReversed() || o.Reversal().Sum != o.Amount {
			t.Fatalf("%+v", o.Refunds)
		}
		r.judge(o.No)
	}, expecting, func(r *rig) { r.cfg.Limits.RefundAloneFen = 5_000 })
}

// TestRefundIsBooked: HIS's word about a refund has a number of its own.
func TestRefundIsBooked(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "F1"}, counter.CodeDone)
		r.ctl["fwc"].Inject(bank.OpRefund, bank.LoseRequest)
		r.refund(o.No, "R1", 500, counter.CodeAccepted)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "TF1", Refund: "R1"}, counter.CodeNotDone)
		r.pass(2 * time.Minute)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "F1", Refund: "R1"}, counter.CodeFlowUsed)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "TF1", Refund: "R1"}, counter.CodeDone)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "TF1", Refund: "R1"}, counter.CodeReplayed)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "TF2", Refund: "R1"}, counter.CodeDiffers)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "TF2", Refund: "RX"}, counter.CodeNotFound)
		if l := r.line(o.No, "R1"); l.FlowID != "TF1" {
			t.Errorf("%+v", l)
		}
		other := r.paid(smartTill)
		r.book(other.No, agent.Booking{Booked: true, FlowID: "TF1"}, counter.CodeFlowUsed)
		for _, key := range []string{"flow:F1", "flow:TF1", "day:" + agent.Day(r.Now().Wall), r.agent.OperatorKey("1001", time.Now())} {
			if found, err := r.store.Find(key); err != nil || len(found) == 0 {
				t.Errorf("nothing is found under %s: %v", key, err)
			}
		}
	}, expecting)
}

// elsewhere is a payment that another till, of another agent, took.
func (r *rig) elsewhere(no string, sum platforms.Fen) bank.Trade {
	return r.banks["fwc"].Charge(r.clock(), bank.Request{OrderNo: no, Amount: sum, Channel: platforms.Alipay}, bank.Payer{Channel: platforms.Alipay})
}

func TestRefundDesk(t *testing.T) {
	ctx := context.Background()
	who := platforms.Operator{ID: "3003", Name: "赵财务"}
	inBubble(t, func(t *testing.T, r *rig) {
		const no = "ZJMZ26010100000001"
		tr := r.elsewhere(no, 10_000)
		r.banks["fwc"].Refund(r.clock(), no, "ELSE1", 1_000) // and a part went back there
		q := agent.DeskQuery{Profile: "selfservice", OrderNo: no}
		f, err := r.agent.LookUp(ctx, q)
		if err != nil || f.Status != platforms.Paid || f.Amount != 10_000 || f.TradeNo != tr.TradeNo || f.Order != nil {
			t.Fatalf("%+v %v", f, err)
		}
		if o, _ := r.agent.Order(no); o != nil {
			t.Fatal("looking it up wrote an order")
		}
		adopt := func(want string) *order.Order {
			t.Helper()
			got, err := r.agent.Adopt(ctx, q, fwcTill, who)
			if err != nil || got.Code != want {
				t.Fatalf("%q %v, want %q", got.Code, err, want)
			}
			synctest.Wait()
			return got.Order
		}
		if o := adopt(counter.CodeCreated); o.State() != order.Paid || !o.Foreign || o.Booking != nil || o.Amount != 10_000 {
			t.Fatalf("%+v", o)
		}
		adopt(counter.CodeExists)
		r.restart()
		adopt(counter.CodeExists)
		if len(r.agent.Open()) != 0 {
			t.Error("it stays in memory")
		}
		r.refund(no, "D1", 4_000, counter.CodeAccepted)
		r.pass(2 * time.Minute)
		o := r.order(no)
		if o.RefundedSum() != 4_000 || o.Outside != 1_000 {
			t.Fatalf("%+v, outside %d", o.Refunds, o.Outside)
		}
		if last, ok := r.ctl["fwc"].Last(bank.OpQuery, no); !ok || last.OrderNo != no {
			t.Error("nothing was asked first")
		}
		r.refund(no, "D2", 5_001, counter.CodeRefundOver)
		r.refund(no, "D3", 5_000, counter.CodeAccepted)
		r.pass(2 * time.Minute)
		if o := r.order(no); !o.FullyReversed() || r.banks["fwc"].Net(no) != 0 {
			t.Fatalf("%+v", o.Refunds)
		}
		if f, err := r.agent.LookUp(ctx, agent.DeskQuery{Profile: "selfservice", TradeNo: tr.TradeNo}); err != nil || f.Order == nil || f.Refunded != 10_000 {
			t.Errorf("by the trade number: %+v %v", f, err)
		}
		if notes, err := r.agent.Threads("day:" + agent.Day(r.Now().Wall)); err != nil || len(notes) != 2 {
			t.Errorf("%d notes of look-ups, %v", len(notes), err)
		}
	})
}

func TestRefundDeskRefuses(t *testing.T) {
	ctx := context.Background()
	who := platforms.Operator{ID: "3003"}
	inBubble(t, func(t *testing.T, r *rig) {
		mine := r.paid(fwcTill)
		if f, err := r.agent.LookUp(ctx, agent.DeskQuery{Profile: "selfservice", OrderNo: mine.No}); err != nil || f.Order == nil || f.Order.No != mine.No {
			t.Errorf("our own: %+v %v", f, err)
		}
		if got, err := r.agent.Adopt(ctx, agent.DeskQuery{Profile: "selfservice", OrderNo: mine.No}, fwcTill, who); err != nil || got.Code != counter.CodeExists {
			t.Errorf("our own: %q %v", got.Code, err)
		}
		if _, err := r.agent.LookUp(ctx, agent.DeskQuery{Profile: "selfservice", OrderNo: "NOBODYS"}); !errors.Is(err, agent.ErrNotThere) {
			t.Errorf("an unknown number: %v", err)
		}
		for name, q := range map[string]agent.DeskQuery{"order_no": {Profile: "selfservice"}, "profile": {Profile: "nosuch", OrderNo: "X1"},
			"trade": {Profile: "selfservice", TradeNo: "T-of-nobody"}} {
			var f *platforms.FieldError
			if _, err := r.agent.LookUp(ctx, q); !errors.As(err, &f) {
				t.Errorf("%s: %v", name, err)
			}
		}
		r.banks["fwc"].Charge(r.clock(), bank.Request{OrderNo: "UNPAID1", Amount: 5}, bank.Payer{PayAfter: -1})
		if got, err := r.agent.Adopt(ctx, agent.DeskQuery{Profile: "selfservice", OrderNo: "UNPAID1"}, fwcTill, who); err != nil || got.Code != counter.CodeNotPaid {
			t.Errorf("an unpaid one: %q %v", got.Code, err)
		}
		tr := r.elsewhere("THEIRS1", 700)
		if _, err := r.agent.Adopt(ctx, agent.DeskQuery{Profile: "selfservice", OrderNo: "THEIRS1", TradeNo: tr.TradeNo + "0"}, fwcTill, who); err == nil {
			t.Error("another trade number was taken")
		}
		r.ctl["fwc"].Inject(bank.OpQuery, bank.WrongOrder)
		if _, err := r.agent.Adopt(ctx, agent.DeskQuery{Profile: "selfservice", OrderNo: "THEIRS1"}, fwcTill, who); err == nil {
			t.Error("an answer about another order was taken")
		}
		r.banks["smartpay"].Charge(r.clock(), bank.Request{OrderNo: "THEIRS2", Amount: 700}, bank.Payer{})
		if got, err := r.agent.Adopt(ctx, agent.DeskQuery{Profile: "window", OrderNo: "THEIRS2"}, fwcTill, who); err == nil && got.Code == counter.CodeCreated {
			t.Error("SmartPay has no refunds and tells no amount")
		}
		for _, no := range []string{"UNPAID1", "THEIRS1", "THEIRS2"} {
			if o, _ := r.agent.Order(no); o != nil {
				t.Errorf("%s stands in the log", no)
			}
		}
	})
}

// TestResolvedByPeople: an order that no machine can settle is closed by two
// people with evidence, its bill is free, and the platform is asked on.
func TestResolvedByPeople(t *testing.T) {
	ctx := context.Background()
	// The last look is after ten minutes, so that these tests need no day.
	soon := func(r *rig) {
		for i := range r.cfg.Platforms {
			r.cfg.Platforms[i].Policy.LateWatch = []time.Duration{0, 30 * s, 2 * time.Minute, 10 * time.Minute}
		}
	}
	lost := func(r *rig) *order.Order {
		r.ctl["smartpay"].Inject(bank.OpCharge, bank.LoseRequest)
		o := r.begun(smartTill, 12_345, wechat)
		r.pass(2 * time.Minute)
		return r.state(o.No, order.InDoubt)
	}
	t.Run("failed", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			o := lost(r)
			r.findsByNumber(true)
			again := r.request(smartTill, o.Bill, o.Amount)
			r.collect(again, counter.CodeExists)
			var f *platforms.FieldError
			if _, err := r.agent.ProposeResolution(ctx, o.No, agent.Resolution{Outcome: order.Failed, Reason: "x", Operator: platforms.Operator{ID: "1"}}); !errors.As(err, &f) || f.Field != "evidence" {
				t.Errorf("without evidence: %v", err)
			}
			if got, _ := r.agent.ConfirmResolution(ctx, o.No, platforms.Operator{ID: "2"}, true, ""); got.Code != counter.CodeNoResolve {
				t.Errorf("confirmed what nobody proposed: %q", got.Code)
			}
			r.restart()
			r.resolve(o.No, order.Failed, "")
			r.state(o.No, order.Failed)
			r.pass(time.Hour)
			r.judge(o.No)
			if len(r.agent.Open()) > 0 {
				t.Error("it is still open")
			}
			if got, _ := r.agent.ProposeResolution(ctx, o.No, agent.Resolution{Outcome: order.Paid, Evidence: "e", Reason: "x", Operator: platforms.Operator{ID: "1"}}); got.Code != counter.CodeNoResolve {
				t.Errorf("a settled order: %q", got.Code)
			}
			r.collect(r.request(smartTill, o.Bill, o.Amount), counter.CodeCreated)
		}, func(r *rig) { r.findsByNumber(false) }, soon)
	})
	t.Run("declined", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			o := lost(r)
			if got, err := r.agent.ProposeResolution(ctx, o.No, agent.Resolution{Outcome: order.Failed, Evidence: "e", Reason: "x", Operator: platforms.Operator{ID: "1"}}); err != nil || got.Code != counter.CodeAccepted {
				t.Fatal(got.Code, err)
			}
			if got, _ := r.agent.ConfirmResolution(ctx, o.No, platforms.Operator{ID: "2"}, false, "no"); got.Code != counter.CodeDone {
				t.Errorf("%q", got.Code)
			}
			r.state(o.No, order.InDoubt)
		}, func(r *rig) { r.findsByNumber(false) }, soon)
	})
	t.Run("the platform contradicts", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			o := r.begun(fwcTill, 12_345, bank.MagicCode(platforms.Alipay, 95)) // another amount, for ever
			r.pass(2 * time.Minute)
			r.state(o.No, order.InDoubt)
			r.resolve(o.No, order.Failed, "")
			r.state(o.No, order.Failed)
			r.pass(11 * time.Minute)
			r.state(o.No, order.Failed)
		}, soon)
		inBubble(t, func(t *testing.T, r *rig) {
			r.ctl["fwc"].Always(bank.OpQuery, bank.Garbage)
			r.ctl["fwc"].Always(bank.OpCancel, bank.LoseRequest)
			o := r.begun(fwcTill, 12_345, alipay)
			r.pass(5 * time.Minute)
			r.state(o.No, order.InDoubt)
			r.resolve(o.No, order.Failed, "") // which is wrong: it is paid
			r.state(o.No, order.Failed)
			r.ctl["fwc"].Always(bank.OpQuery, bank.NoFault)
			r.ctl["fwc"].Always(bank.OpCancel, bank.NoFault)
			r.pass(time.Hour)
			cancels := r.asked("fwc", bank.OpCancel, o.No)
			o = r.state(o.No, order.InDoubt)
			if o.Doubt != "resolution_contradicted" || !r.alarmed("resolution_contradicted") {
				t.Errorf("%s, alarms %v", o.Doubt, r.agent.Alarms())
			}
			r.pass(time.Hour)
			r.restart()
			r.pass(time.Hour)
			if r.asked("fwc", bank.OpCancel, o.No) != cancels || r.banks["fwc"].Net(o.No) != 12_345 {
				t.Error("money moved by itself after people had decided")
			}
			r.resolve(o.No, order.Paid, "")
			r.refund(o.No, "R1", 12_345, counter.CodeAccepted)
			r.pass(time.Hour)
			r.judge(o.No)
			if len(r.agent.Open()) > 0 {
				t.Error("it is still open")
			}
		}, soon)
	})
	t.Run("paid, and it is not", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			r.ctl["fwc"].Always(bank.OpQuery, bank.Garbage)
			r.ctl["fwc"].Always(bank.OpCancel, bank.LoseReply)
			o := r.begun(fwcTill, 12_345, alipay)
			r.pass(5 * time.Minute)
			r.resolve(o.No, order.Paid, "")
			r.state(o.No, order.Paid)
			r.ctl["fwc"].Always(bank.OpQuery, bank.NoFault)
			r.pass(time.Hour)
			r.state(o.No, order.InDoubt)
			r.resolve(o.No, order.Canceled, "")
			r.pass(time.Hour)
			r.judge(o.No)
		}, soon)
	})
}

// TestReversalThroughAnotherPlatform: booking.reverse_via names whose cancel is
// called, under its own profile; the order's own platform has the last word.
func TestReversalThroughAnotherPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) {
			c.Booking.Expect, c.Booking.ReverseWith, c.Booking.ReverseVia = true, config.ReverseLC, agenttest.Plain
		}})
		ctx := context.Background()
		got, err := w.Agent.Collect(ctx, agent.Request{Bill: "B1", Amount: 500, Mode: platforms.ModePresent, Aggregated: true, OrderType: "TREATMENT",
			Till: agenttest.W1, Body: platforms.Hide("b")})
		if err != nil || got.Order == nil {
			t.Fatal(got.Code, err)
		}
		no := got.Order.No
		w.Banks[agenttest.Full].Pay(no)
		pass(10 * time.Second)
		w.Banks[agenttest.Plain].Cut(true) // it cannot be reached at first: that says nothing of the order's own platform
		if got, err := w.Agent.Book(ctx, no, agent.Booking{}); err != nil || got.Code != counter.CodeDone {
			t.Fatal(got.Code, err)
		}
		pass(3 * time.Second)
		if slices.Contains(w.Agent.Health().Down, agenttest.Full) {
			t.Errorf("down: %v", w.Agent.Health().Down)
		}
		w.Banks[agenttest.Plain].Cut(false)
		pass(time.Minute)
		o, err := w.Agent.Order(no)
		if err != nil || !o.FullyReversed() || o.Reversal().Through != agenttest.Plain {
			t.Fatalf("%+v %v", o, err)
		}
		if n, own := len(w.Banks[agenttest.Plain].Calls("cancel")), len(w.Banks[agenttest.Full].Calls("cancel")); n != 1 || own != 0 {
			t.Errorf("%d cancels through the other, %d at its own", n, own)
		}
		w.Stop()
	})
}
