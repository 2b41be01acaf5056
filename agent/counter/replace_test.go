package counter

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

func capsule(mode platforms.Mode) Capsule {
	return Capsule{No: "N1", Spec: order.Created{Bill: "B", Amount: 100, Mode: mode, Till: "w1", Platform: "p", Books: &order.BookTerms{Prompt: time.Minute, Alarm: 10 * time.Minute}}, Created: 1700000000000, Handle: "h", TradeNo: "T0001"}
}

// takenOver gives a counter that took the capsule over, and what followed.
func takenOver(t *testing.T, k Capsule) (*world, []Effect) {
	t.Helper()
	w := &world{t: t, c: New(testConfig())}
	w.now.Boot, w.now.Mono = "b", time.Hour // it has run for a while
	w.step(Recover{})
	l := one[Lookup](t, w.step(TakeOver{Reply: 1, Orders: []Capsule{k}}))
	if !slices.Equal(l.Orders, []string{"N1"}) {
		t.Fatal(l)
	}
	return w, w.step(Found{Token: l.Token})
}

// play answers every call of the counter until d, all queries alike.
func (w *world) play(d time.Duration, list []Effect, said platforms.Answer) (verbs []order.Verb) {
	for {
		calls := has[Call](list)
		for len(calls) > 0 {
			c := calls[0]
			verbs = append(verbs, c.Verb)
			var ev Event = QueryDone{Order: c.Order, Answer: said}
			switch c.Verb {
			case order.VerbQuery:
			case order.VerbCancel:
				ev = CancelDone{Order: c.Order, Answer: platforms.Cancellation{Done: true, Action: platforms.ActionClose}}
			default:
				w.t.Fatalf("a %s left", c.Verb)
			}
			calls = append(calls[1:], has[Call](w.step(ev))...)
		}
		if w.c.Deadline() > d {
			w.now.Mono = d
			return verbs
		}
		w.now.Mono = max(w.now.Mono, w.c.Deadline())
		list = w.step(Tick{})
	}
}

func TestTakenOverOrderIsAskedAboutAndNeverPaidAgain(t *testing.T) {
	for _, mode := range []platforms.Mode{platforms.ModeCharge, platforms.ModePresent} {
		w, out := takenOver(t, capsule(mode))
		calm(t, out)
		if r := one[Reply](t, out); r.Code != CodeDone {
			t.Fatal(r)
		}
		o := w.c.Order("N1")
		if o.State() != order.InDoubt || o.Handle != "h" || o.TradeNo != "T0001" || !o.Detached || o.CreatedAt.Wall != 1700000000000 {
			t.Fatalf("%+v", o)
		}
		// Its bill is blocked, its till is free, and it cannot be scanned for.
		w.refuses("B", CodeExists)
		w.open("N2", "B2")
		if o := w.c.Order("N1"); o.SentAt == nil || w.c.tills["w1"].front != "N2" {
			t.Fatal(o, w.c.tills["w1"].front)
		}
		got := w.play(time.Hour+5*time.Second, out, platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true})
		if len(got) == 0 || got[0] != order.VerbQuery || slices.Contains(got, order.VerbCancel) {
			t.Fatal(mode, got)
		}
		if o := w.c.Order("N1"); o.State() != order.Paid {
			t.Fatal(o.State())
		}
	}
}

func (w *world) refuses(bill, code string) {
	w.t.Helper()
	l := one[Lookup](w.t, w.step(Create{Reply: 9, No: "X", Spec: order.Created{Bill: bill, Amount: 100, Mode: platforms.ModeCharge, Till: "w1", Platform: "p", ScanWait: time.Minute}}))
	if r := one[Reply](w.t, w.step(Found{Token: l.Token})); r.Code != code {
		w.t.Fatalf("want %s, got %s", code, r.Code)
	}
}

func TestTakenOverOrderIsCanceledByTheRulesOfEveryOther(t *testing.T) {
	w, out := takenOver(t, capsule(platforms.ModeCharge))
	p := order.DefaultPolicy()
	early := w.play(time.Hour+p.Horizon-time.Second, out, platforms.Answer{Status: platforms.Pending, OrderNo: "N1"})
	if len(early) == 0 || slices.Contains(early, order.VerbCancel) {
		t.Fatal(early)
	}
	late := w.play(time.Hour+p.Horizon+10*time.Second, w.step(Tick{}), platforms.Answer{Status: platforms.Pending, OrderNo: "N1"})
	if !slices.Contains(late, order.VerbCancel) || w.c.Order("N1").State() != order.Canceled {
		t.Fatal(late, w.c.Order("N1").State())
	}
}

func TestTakenOverAfterACancelIsNotBelievedPaid(t *testing.T) {
	k := capsule(platforms.ModeCharge)
	k.Canceled = true
	w, out := takenOver(t, k)
	calm(t, out)
	got := w.play(time.Hour+3*time.Minute, out, platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true})
	if !slices.Contains(got, order.VerbQuery) || w.c.Order("N1").Loop.CancelsLost == 0 && w.c.Order("N1").State() == order.InDoubt {
		t.Fatal(got, w.c.Order("N1").State())
	}
}

// What one box knew goes on to the next, also over one in between that had not
// come to ask about it; what people wrote stays where it was.
func TestWhatIsLeftGoesFromBoxToBox(t *testing.T) {
	refund := func(no string, sum platforms.Fen, second bool) order.Fact {
		return order.Fact{Kind: order.KindRefund, Refund: &order.Refund{Request: no, Sum: sum, Operator: platforms.Operator{ID: "1", Name: "Li"}, Reason: "r", Key: order.IdemKey{Key: "k"}, NeedsSecond: second}}
	}
	w, _ := found(t, nil, created(platforms.ModeCharge), sent(order.VerbCharge), paid(),
		order.Fact{Kind: order.KindBooked, Booked: &order.Booked{OK: true, FlowID: "F1", Operator: platforms.Operator{ID: "2", Name: "Wu"}, Card: []byte("c")}},
		refund("R1", 10, false), order.Fact{Kind: order.KindSent, Sent: &order.Sent{Verb: order.VerbRefund, Request: "R1"}},
		order.Fact{Kind: order.KindAnswered, Answer: &order.Reply{Verb: order.VerbRefund, Request: "R1", Outcome: order.RefundDone}},
		refund("R2", 20, false), refund("R3", 30, true))
	first, ok := CapsuleOf(w.c.Order("N1"), w.now)
	want := &order.Before{Paid: true, Booked: &order.Booked{OK: true, FlowID: "F1", Operator: platforms.Operator{ID: "2"}},
		Refunds: []order.Refund{{Request: "R2", Sum: 20, Operator: platforms.Operator{ID: "1"}}}}
	if !ok || !reflect.DeepEqual(first.Spec.Before, want) || *first.Spec.Elsewhere != 10 {
		t.Fatalf("%v %+v", ok, first.Spec.Before)
	}
	next, out := takenOver(t, first)
	calm(t, out)
	second, ok := CapsuleOf(next.c.Order("N1"), next.now)
	if !ok || !reflect.DeepEqual(second.Spec.Before, want) || *second.Spec.Elsewhere != 10 {
		t.Fatalf("%v %+v", ok, second.Spec.Before)
	}
	// A start in between changes nothing.
	last := &world{t: t, c: New(testConfig())}
	last.now = next.now
	last.step(Recover{Orders: []*order.Order{next.c.Order("N1")}})
	out = last.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}})
	calm(t, out)
	o := last.c.Order("N1")
	if len(o.Refunds) != 1 || o.Refunds[0].State != order.RefundSent || o.Word().FlowID != "F1" || o.RefundClaims() != 30 {
		t.Fatalf("%+v", o)
	}
}

func TestEndedOrdersAreLeftWhileMoneyMayCome(t *testing.T) {
	end := order.Fact{Kind: order.KindEnded, Ended: &order.Ended{State: order.Canceled, Reason: "canceled", Action: platforms.ActionClose}}
	late := order.Fact{Kind: order.KindLate, Reason: "paid_after_end"}
	for name, c := range map[string]struct {
		facts []order.Fact
		age   time.Duration
		left  bool
	}{
		"just ended":         {[]order.Fact{created(platforms.ModeCharge), sent(order.VerbCharge), end}, time.Minute, true},
		"long over":          {[]order.Fact{created(platforms.ModeCharge), sent(order.VerbCharge), end}, 2 * time.Hour, false},
		"late money":         {[]order.Fact{created(platforms.ModeCharge), sent(order.VerbCharge), end, late}, 2 * time.Hour, true},
		"never sent":         {[]order.Fact{created(platforms.ModeCharge)}, time.Minute, false},
		"never sent, closed": {[]order.Fact{created(platforms.ModeCharge), end}, time.Minute, false},
	} {
		w, _ := found(t, nil, c.facts...)
		o := w.c.Order("N1")
		now := w.now
		now.Mono += c.age
		k, ok := CapsuleOf(o, now)
		if ok != c.left {
			t.Errorf("%s: %v", name, ok)
		}
		if !ok {
			continue
		}
		next, out := takenOver(t, k)
		calm(t, out)
		if o := next.c.Order("N1"); o.State() != order.Canceled || o.LateFound != k.Late || k.Late != (name == "late money") {
			t.Errorf("%s: %+v", name, o)
		}
		if n := len(has[Alarm](out)); (n == 1) != k.Late {
			t.Errorf("%s: %d alarms", name, n)
		}
	}
}

// A second person said yes before the refund left: nobody is asked again, and
// whoever were could decline what has been given back.
func TestWhatWasApprovedIsNotAskedForAgain(t *testing.T) {
	w, _ := found(t, nil, created(platforms.ModeCharge), sent(order.VerbCharge), paid(),
		order.Fact{Kind: order.KindRefund, Refund: &order.Refund{Request: "R1", Sum: 20, NeedsSecond: true}},
		order.Fact{Kind: order.KindDecided, Decided: &order.Decided{Refund: "R1", OK: true}},
		order.Fact{Kind: order.KindSent, Sent: &order.Sent{Verb: order.VerbRefund, Request: "R1"}})
	k, ok := CapsuleOf(w.c.Order("N1"), w.now)
	if !ok {
		t.Fatal("it is not left")
	}
	next, out := takenOver(t, k)
	calm(t, out)
	calm(t, next.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}}))
	if o := next.c.Order("N1"); len(o.Refunds) != 1 || o.Refunds[0].State != order.RefundSent {
		t.Fatalf("%+v", o.Refunds)
	}
}

// A cancel from before the payment was believed did nothing, so it is no reason
// to cancel what HIS booked. One by which the payment goes back is.
func TestCanceledInVainThenPaid(t *testing.T) {
	vain := []order.Fact{created(platforms.ModeCharge), sent(order.VerbCharge), sent(order.VerbCancel),
		{Kind: order.KindAnswered, Answer: &order.Reply{Verb: order.VerbCancel}}, paid()}
	back := func(v order.Via) order.Fact {
		return order.Fact{Kind: order.KindRefund, Refund: &order.Refund{Request: order.ReversalRequest("N1"), Sum: 100, Auto: true, Via: v}}
	}
	for name, c := range map[string]struct {
		more   []order.Fact
		cancel bool
	}{
		"booked, a refund is under way": {[]order.Fact{{Kind: order.KindBooked, Booked: &order.Booked{OK: true, FlowID: "F1"}},
			{Kind: order.KindRefund, Refund: &order.Refund{Request: "R1", Sum: 20}}}, false},
		"not booked yet":        {nil, false},
		"goes back by a refund": {[]order.Fact{back(order.ViaRefund)}, false},
		"goes back by a cancel": {[]order.Fact{back(order.ViaCancel)}, true},
	} {
		w, _ := found(t, nil, slices.Concat(vain, c.more)...)
		k, ok := CapsuleOf(w.c.Order("N1"), w.now)
		if !ok || k.Canceled != c.cancel {
			t.Errorf("%s: %v %v", name, ok, k.Canceled)
		}
		next, out := takenOver(t, k)
		got := next.play(3*time.Hour, out, platforms.Answer{Status: platforms.Pending, OrderNo: "N1"})
		if len(got) == 0 || slices.Contains(got, order.VerbCancel) != c.cancel {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// HIS may have booked what was paid over there, so no time-out gives it back.
func TestWhatWasPaidIsNeverCanceledByTime(t *testing.T) {
	k := capsule(platforms.ModeCharge)
	k.Spec.Before = &order.Before{Paid: true}
	w, out := takenOver(t, k)
	got := w.play(3*time.Hour, out, platforms.Answer{Status: platforms.Pending, OrderNo: "N1"})
	if len(got) == 0 || slices.Contains(got, order.VerbCancel) || w.c.Order("N1").State() != order.InDoubt {
		t.Fatal(got, w.c.Order("N1").State())
	}
}

func TestWhatIsKnownIsNotTakenOver(t *testing.T) {
	w, out := takenOver(t, capsule(platforms.ModeCharge))
	before := len(has[Write](out))
	l := one[Lookup](t, w.step(TakeOver{Reply: 2, Orders: []Capsule{capsule(platforms.ModeCharge)}}))
	if again := w.step(Found{Token: l.Token}); len(has[Write](again)) != 0 || one[Reply](t, again).Code != CodeDone {
		t.Fatal(again)
	}
	// Nor one that the log alone knows.
	old := w.c.Order("N1")
	w = &world{t: t, c: New(testConfig())}
	w.now.Boot = "b"
	w.step(Recover{})
	l = one[Lookup](t, w.step(TakeOver{Reply: 3, Orders: []Capsule{capsule(platforms.ModeCharge)}}))
	if again := w.step(Found{Token: l.Token, Orders: map[string][]*order.Order{"N1": {old}}}); len(has[Write](again)) != 0 || before == 0 {
		t.Fatal(again)
	}
}

func TestReplacedBoxAsksAndNothingElse(t *testing.T) {
	const query = order.VerbQuery
	for name, begin := range map[string]func() (*world, []Effect){
		"while it runs": func() (*world, []Effect) {
			w, first := found(t, nil, created(platforms.ModeCharge), sent(order.VerbCharge))
			out := w.step(Replace{})
			return w, append(has2[Call](first), out...)
		},
		"from the start": func() (*world, []Effect) {
			return found(t, func(c *Config) { c.Replaced = true }, created(platforms.ModeCharge), sent(order.VerbCharge))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, out := begin()
			calm(t, out)
			if h := one[Health](t, out); !h.Replaced {
				t.Fatal(h)
			}
			got := w.play(2*time.Hour, out, platforms.Answer{Status: platforms.Pending, OrderNo: "N1"})
			if len(got) == 0 || slices.ContainsFunc(got, func(v order.Verb) bool { return v != query }) {
				t.Fatal(got)
			}
			w.refuses("B", CodeExists) // the bill first: no cash while it is open
			w.refuses("B2", CodeReplaced)
			for _, ev := range []Event{Act{Reply: 3, Order: "N1", Action: order.ActCancel}, AskRefund{Reply: 3, Order: "N1", Refund: order.Refund{Request: "R", Sum: 100}},
				Book{Reply: 3, Order: "N1", Word: order.Booked{OK: true, FlowID: "F"}}, Decide{Reply: 3, Order: "N1"}, Propose{Reply: 3, Order: "N1"}, Adopt{Reply: 3, No: "N9"},
				TakeOver{Reply: 3}, Authorise{Reply: 3, Order: "N1"}, Settle{Reply: 3, Order: "N1"}} {
				if r := one[Reply](t, w.step(ev)); r.Code != CodeReplaced || r.ID != 3 {
					t.Fatalf("%T: %+v", ev, r)
				}
			}
			out = w.step(Act{Reply: 4, Order: "N1", Action: order.ActCheck})
			if one[Reply](t, out).Code != CodeAccepted || one[Call](t, out).Verb != query {
				t.Fatal(out)
			}
			w.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}})
			if o := w.c.Order("N1"); o.State() != order.Paid {
				t.Fatal(o.State()) // and HIS books it at the other box
			}
		})
	}
}

func TestReplacedBoxNeverSendsWhatWaited(t *testing.T) {
	w := &world{t: t, c: New(testConfig())}
	w.now.Boot = "b"
	w.step(Recover{})
	w.open("N1", "B1")
	l := one[Lookup](t, w.step(Scan{Till: "w1", Code: Code{Text: platforms.Hide("134567890123456789"), Hash: "h1"}}))
	out := w.step(Replace{})
	calm(t, out)
	out = append(out, w.step(Found{Token: l.Token})...)
	if calls := has[Call](out); len(calls) != 0 {
		t.Fatal(calls)
	}
	if v := has[Screen](out); len(v) == 0 || v[len(v)-1].View.Note != CodeReplaced || v[len(v)-1].View.Armed {
		t.Fatal(v)
	}
	if o := w.c.Order("N1"); o == nil || o.State() != order.Failed {
		t.Fatal(o)
	}
	if c := one[Changed](t, has2[Changed](out)); c.Order.State() != order.Failed || c.Order.EndReason != order.Replaced || !c.Order.Unsent {
		t.Fatal(c.Order)
	}
}

// has2 keeps the effects of one kind as effects.
func has2[T Effect](list []Effect) (kept []Effect) {
	for _, x := range has[T](list) {
		kept = append(kept, x)
	}
	return kept
}

func TestReplacedBoxTakesNoRequestThatWasUnderWay(t *testing.T) {
	w, _ := found(t, nil, created(platforms.ModeCharge), sent(order.VerbCharge), paid())
	refund := one[Lookup](t, w.step(AskRefund{Reply: 1, Order: "N1", Refund: order.Refund{Request: "R", Sum: 100}}))
	book := one[Lookup](t, w.step(Book{Reply: 2, Order: "N1", Word: order.Booked{Reason: "no"}}))
	w.step(Replace{})
	for _, l := range []Lookup{refund, book} {
		out := w.step(Found{Token: l.Token})
		if one[Reply](t, out).Code != CodeReplaced || len(has[Write](out)) != 0 || len(has[Call](out)) != 0 {
			t.Fatal(out)
		}
	}
	if o := w.c.Order("N1"); o == nil || !o.Owes() {
		t.Fatal("it waits for HIS at the other box")
	}
}
