package order

import (
	"time"

	"payagent/platforms"
)

// wakeEvery is the least pause between two queries that the platform's own
// messages bring about: a flood of them costs one query per second.
const wakeEvery = time.Second

// storeLost is the doubt of an order that only the second file remembers: what
// else is known of it, such as whether a page was shown, is gone.
const storeLost = "store_lost"

// TakenOver is the doubt of an order that another box began and this one, in
// its place, knows from a few words only (ORD-20).
const TakenOver = "taken_over"

// hearsay tells that so little is known of the order that even a page may have
// been shown for it.
func (o *Order) hearsay() bool { return o.Doubt == storeLost || o.Doubt == TakenOver }

// amountDiffers is the doubt of an order of which another amount was paid.
const amountDiffers = "amount_differs"

// wokenAt is when the query may leave that a message asked for.
func (o *Order) wokenAt(now Now) time.Duration {
	if !o.Loop.Asked {
		return now.Mono
	}
	return max(now.Mono, now.due(o.Loop.LastAsk, wakeEvery))
}

// HearNotice judges a message that the platform, or the payer's browser, sent
// by itself and that verified. It wakes the query and decides nothing: whoever
// repeats, delays or reorders messages changes nothing. Only where the platform
// has no query is a message of its own the evidence; then it must carry our
// number and our amount.
func (o *Order) HearNotice(t platforms.Traits, now Now, n platforms.Notice) Verdict {
	var v Verdict
	if n.ByBrowser && n.Canceled && o.Paged() && o.SentAt != nil && o.Outcome == "" && !o.PayerLeft {
		v.Facts = []Fact{o.fact(KindLeft, now)}
	}
	switch {
	case !t.NoQuery:
		// An order that was never sent holds no money of ours: who pays under its
		// number pays somebody else's order.
		o.Loop.Woken = o.Outcome != Paid && (o.SentAt != nil || o.Doubt != "")
	case n.Evidence && !n.ByBrowser:
		more := o.hearWord(t, now, n.Answer)
		v.Facts, v.Alarm = append(v.Facts, more.Facts...), more.Alarm
	}
	return v
}

// hearWord judges a message of a platform that has no query.
func (o *Order) hearWord(t platforms.Traits, now Now, a platforms.Answer) Verdict {
	l := &o.Loop
	if a.Status != platforms.Paid && a.Status != platforms.Closed {
		return Verdict{} // it is being paid: the schedule goes on
	}
	if o.SentAt == nil && o.Outcome != Paid && o.Doubt == "" {
		return Verdict{Alarm: "answer_mixed_up"} // of an order that was never sent
	}
	bad := platforms.Bind(o.Ref(), a)
	switch {
	case bad != nil && a.Status == platforms.Paid && a.OrderNo == o.No && a.HasAmount && a.Amount != o.Amount:
		return o.otherAmount(now)
	case bad != nil, a.OrderNo != o.No, !a.HasAmount || a.Amount != o.Amount:
		return Verdict{Alarm: "answer_mixed_up"}
	case o.Reopened:
		return Verdict{} // people decide
	}
	if facts := o.contradicted(t, now, a.Status); facts != nil {
		return Verdict{Facts: facts, Alarm: "resolution_contradicted"}
	}
	switch {
	case o.Outcome == Paid:
		return Verdict{Facts: o.reversalHeard(now, a)} // said again, or given back
	case o.Outcome != "":
		if a.Status != platforms.Paid {
			return Verdict{}
		}
		return o.lateWord(now, VerbNotice, a)
	}
	l.LastStatus = a.Status
	f := o.answered(now, VerbNotice, a)
	if a.Status == platforms.Closed {
		return Verdict{Facts: []Fact{f, o.ended(now, Canceled, "closed_by_platform", o.closedBy(), false)}}
	}
	if o.cancelUnsettled(t, now) {
		told := a
		l.Told = &told // the cancel decides; if it did nothing, this stands
		return Verdict{}
	}
	return Verdict{Facts: []Fact{f}}
}

// closedBy is what closed an order that the platform says is closed.
func (o *Order) closedBy() platforms.CancelAction {
	if o.CancelSent != nil {
		return platforms.ActionUnknown
	}
	return platforms.ActionClose
}

// otherAmount puts an order in doubt of which a person must decide.
func (o *Order) otherAmount(now Now) Verdict {
	if o.State().Final() || o.Doubt == amountDiffers {
		return Verdict{Alarm: amountDiffers}
	}
	f := o.fact(KindDoubt, now)
	f.Reason = amountDiffers
	return Verdict{Facts: []Fact{f}, Alarm: amountDiffers}
}

// lateWord notes money of which the platform speaks after an unpaid end, where
// no query can confirm it. A cancel that gave the money back is not doubted by
// a message that may be older; anything else is canceled once more, which is
// harmless when it was.
func (o *Order) lateWord(now Now, v Verb, a platforms.Answer) Verdict {
	if o.LateFound || o.EndReason == canceledByProof && o.Action == platforms.ActionRefund {
		return Verdict{}
	}
	o.Loop.LastStatus = platforms.Paid
	f := o.fact(KindLate, now)
	f.Reason = "paid_after_end"
	facts := []Fact{f}
	if a.TradeNo != "" && o.TradeNo == "" {
		facts = append(facts, o.answered(now, v, platforms.Answer{TradeNo: a.TradeNo, Handle: a.Handle}))
	}
	return Verdict{Facts: facts, Alarm: "late_money"}
}

// Believe gives the facts of what was told while a cancel was under way that
// did nothing.
func (o *Order) Believe(now Now) Verdict {
	told := o.Loop.Told
	o.Loop.Told = nil
	if told == nil {
		return Verdict{}
	}
	return Verdict{Facts: []Fact{o.answered(now, VerbNotice, *told)}}
}

// nextTold is the schedule of an open order of a platform that has no query:
// messages end it, or its horizon does, by a cancel that rests on nothing.
func (o *Order) nextTold(p Policy, t platforms.Traits, now Now) Step {
	l := &o.Loop
	if l.Told != nil && !o.CancelOpen && !o.CancelLost {
		return do(DoBelieve, now.Mono)
	}
	if l.Clash || o.Reopened || o.Doubt == amountDiffers || o.paidBefore() {
		return waitForEvent() // nobody's guess: a person decides
	}
	want, when := o.wantsCancel(p, now)
	if !want {
		return later(when)
	}
	return o.nextCancel(p, t, now)
}
