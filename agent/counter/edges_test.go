package counter

import (
	"testing"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// found gives a counter that starts with one order, made of facts.
func found(t *testing.T, change func(*Config), facts ...order.Fact) (*world, []Effect) {
	t.Helper()
	for i := range facts {
		facts[i].Order, facts[i].At = "N1", order.Instant{Boot: "b"}
	}
	o, err := order.Fold(facts)
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	w := &world{t: t, c: New(cfg)}
	w.now.Boot, w.now.Mono = "b", time.Minute
	return w, w.step(Recover{Orders: []*order.Order{o}})
}

func traits(change func(*platforms.Traits)) func(*Config) {
	return func(c *Config) {
		p := c.Platforms["p"]
		change(&p.Traits)
		c.Platforms["p"] = p
	}
}

func created(mode platforms.Mode) order.Fact {
	return order.Fact{Kind: order.KindCreated, Created: &order.Created{Bill: "B", Amount: 100, Mode: mode, Till: "w1", Platform: "p",
		ScanWait: time.Hour, Books: &order.BookTerms{Prompt: time.Minute, Alarm: 10 * time.Minute}}}
}

func sent(v order.Verb) order.Fact {
	return order.Fact{Kind: order.KindSent, Sent: &order.Sent{Verb: v}}
}

func paid() order.Fact {
	return order.Fact{Kind: order.KindAnswered, Answer: &order.Reply{Verb: order.VerbQuery, Status: platforms.Paid.String()}}
}

func resolved(s order.State) []order.Fact {
	return []order.Fact{{Kind: order.KindDoubt, Reason: "not_confirmed"},
		{Kind: order.KindProposed, Proposed: &order.Proposal{Outcome: s, Evidence: "e", Reason: "r"}},
		{Kind: order.KindResolved, Decided: &order.Decided{OK: true}}}
}

func calm(t *testing.T, list []Effect) {
	t.Helper()
	for _, a := range has[Alarm](list) {
		if a.Code == "fact_refused" {
			t.Fatal(a)
		}
	}
}

// A number that was never sent from here and is paid is somebody else's: HIS
// took its own number to another till after it was canceled here.
func TestPaidWordOfAnOrderNeverSent(t *testing.T) {
	ended := order.Fact{Kind: order.KindEnded, Ended: &order.Ended{State: order.Canceled, Reason: "canceled", Unsent: true}}
	word := platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}
	for _, silent := range []bool{false, true} {
		facts := []order.Fact{created(platforms.ModeCharge), ended}
		w, _ := found(t, traits(func(x *platforms.Traits) { x.NoQuery = silent }), facts...) // it closes at once
		o, err := order.Fold(facts)
		if err != nil {
			t.Fatal(err)
		}
		l := one[Lookup](t, w.step(Notified{Reply: 1, Platform: "p", Notice: platforms.Notice{Evidence: true, Answer: word}}))
		out := w.step(Found{Token: l.Token, Orders: map[string][]*order.Order{"N1": {o}}})
		if len(has[Call](out)) > 0 {
			out = append(out, w.step(QueryDone{Order: "N1", Answer: word})...)
		}
		for range 5 {
			w.now.Mono += time.Second
			out = append(out, w.step(Tick{})...)
		}
		calm(t, out)
		for _, c := range has[Call](out) {
			if c.Verb != order.VerbQuery {
				t.Fatal("money of somebody else is given back", c)
			}
		}
		if o := w.c.Order("N1"); o != nil && o.LateFound {
			t.Fatal("counted as late money")
		}
	}
}

// Where a query says paid after a cancel too, it does not contradict people.
func TestResolvedAfterACancelWherePaidIsSticky(t *testing.T) {
	facts := append([]order.Fact{created(platforms.ModeCharge), sent(order.VerbCharge), sent(order.VerbCancel)}, resolved(order.Canceled)...)
	w, out := found(t, traits(func(x *platforms.Traits) { x.PaidIsSticky = true }), facts...)
	if c := one[Call](t, out); c.Verb != order.VerbQuery {
		t.Fatal(c)
	}
	out = w.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}})
	if a := has[Alarm](out); len(a) > 0 {
		t.Fatal(a)
	}
	if c := has[Call](out); len(c) > 0 {
		t.Fatal("money moves by itself", c)
	}
	o := w.c.Order("N1")
	if s := o.SafeToTakeCash(order.DefaultPolicy(), w.now); s.Answer != order.Yes {
		t.Fatal(s)
	}
}

// A cancel that was under way when people said paid contradicts them when it
// worked, also where no query will tell.
func TestCancelWorksAfterPeopleSaidPaid(t *testing.T) {
	facts := append([]order.Fact{created(platforms.ModeCharge), sent(order.VerbCharge), sent(order.VerbCancel)}, resolved(order.Paid)...)
	w, _ := found(t, traits(func(x *platforms.Traits) { x.NoQuery = true }), facts...)
	out := w.step(CancelDone{Order: "N1", Answer: platforms.Cancellation{Done: true, OrderNo: "N1", Action: platforms.ActionRefund}})
	if a := one[Alarm](t, out); a.Code != "resolution_contradicted" || w.c.Order("N1").State() != order.InDoubt {
		t.Fatal(a, w.c.Order("N1").State())
	}
}

// HIS behind a façade repeats its Revoke: that is no other word.
func TestRevokeRepeatedAfterAssumed(t *testing.T) {
	assumed := order.Fact{Kind: order.KindBooked, Booked: &order.Booked{OK: true, Assumed: true, FlowID: "N1"}}
	refund := order.Fact{Kind: order.KindRefund, Refund: &order.Refund{Request: "R1", Sum: 1}} // keeps it in memory
	w, _ := found(t, nil, created(platforms.ModeCharge), sent(order.VerbCharge), paid(), assumed, refund)
	for _, want := range []string{CodeDone, CodeReplayed, CodeReplayed} {
		l := one[Lookup](t, w.step(Book{Reply: 1, Order: "N1", Word: order.Booked{Reason: "HIS"}}))
		out := w.step(Found{Token: l.Token})
		calm(t, out)
		if r := one[Reply](t, out); r.Code != want {
			t.Fatal(r.Code, "want", want)
		}
	}
}

// A payment that cannot be asked about goes back by a refund once the cancel
// is refused for good, after a restart too.
func TestReversalChangesToRefundWithoutAQuery(t *testing.T) {
	w, out := found(t, traits(func(x *platforms.Traits) { x.NoQuery = true }), created(platforms.ModeCharge), sent(order.VerbCharge), paid(),
		order.Fact{Kind: order.KindBooked, Booked: &order.Booked{}})
	if c := one[Call](t, out); c.Verb != order.VerbCancel {
		t.Fatal(c)
	}
	out = w.step(CancelDone{Order: "N1", Answer: platforms.Cancellation{OrderNo: "N1", Retry: platforms.RetryNo}})
	out = append(out, w.until(w.now.Mono+5*time.Second)...)
	if c := one[Call](t, out); c.Verb != order.VerbRefund {
		t.Fatal(c)
	}
}

// A way back that is configured no more is not tried without credentials.
func TestReversalThroughAPlatformThatIsGone(t *testing.T) {
	back := order.Fact{Kind: order.KindRefund, Refund: &order.Refund{Request: order.ReversalRequest("N1"), Sum: 100, Auto: true, Via: order.ViaCancel, Through: "gone"}}
	w, out := found(t, nil, created(platforms.ModeCharge), sent(order.VerbCharge), paid(),
		order.Fact{Kind: order.KindBooked, Booked: &order.Booked{}}, back)
	one[Call](t, out)
	out = w.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}})
	if c := one[Call](t, out); c.Verb != order.VerbCancel || c.Platform != "p" {
		t.Fatal(c)
	}
}

// An order that people had resolved left its till long ago; a restart does not
// put it in front again.
func TestReopenedOrderTakesNoTill(t *testing.T) {
	facts := append([]order.Fact{created(platforms.ModeCharge), sent(order.VerbCharge)}, resolved(order.Canceled)...)
	w, _ := found(t, nil, append(facts, order.Fact{Kind: order.KindReopened, Reason: "resolution_contradicted"})...)
	w.open("N2", "B2")
}

// What may have been paid without anybody seeing an address is asked about for
// as long as a charge.
func TestNotFoundOfAPageProvesLittle(t *testing.T) {
	for name, facts := range map[string][]order.Fact{
		"authorisation of its own kind": {created(platforms.ModeInsurance),
			{Kind: order.KindInsured, Insured: &order.InsuredStep{Stop: order.StopSent, Split: &order.Split{Cash: 100}}}, sent(order.VerbPresent)},
		"page of a lost store": {created(platforms.ModeH5), sent(order.VerbPresent), {Kind: order.KindDoubt, Reason: "store_lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, out := found(t, nil, facts...)
			one[Call](t, out)
			out = w.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.NotFound, OrderNo: "N1"}})
			if c := one[Call](t, out); c.Verb != order.VerbCancel {
				t.Fatal(c)
			}
			w.step(CancelDone{Order: "N1", Answer: platforms.Cancellation{OrderNo: "N1", Retry: platforms.RetryNo}})
			if o := w.c.Order("N1"); o.State().Final() {
				t.Fatal(o.State(), o.EndReason)
			}
		})
	}
}
