package order

import (
	"errors"
	"slices"

	"payagent/platforms"
)

// canceledByProof is the reason of an order that a cancel ended. An order
// without it may hold money however often a cancel was sent.
const canceledByProof = "canceled"

// Verdict is what a reply amounts to: the facts to write, and an alarm for
// people if the reply could not be believed.
type Verdict struct {
	Facts []Fact
	Alarm string // stable code, empty for none
}

func (o *Order) fact(k Kind, now Now) Fact {
	return Fact{Kind: k, Order: o.No, At: now.Instant}
}

func (o *Order) ended(now Now, s State, reason string, a platforms.CancelAction, unsent bool) Fact {
	f := o.fact(KindEnded, now)
	f.Ended = &Ended{State: s, Reason: reason, Action: a, Unsent: unsent}
	return f
}

func (o *Order) answered(now Now, v Verb, a platforms.Answer) Fact {
	f := o.fact(KindAnswered, now)
	f.Answer = &Reply{Verb: v, Status: a.Status.String(), Handle: a.Handle, TradeNo: a.TradeNo, Channel: a.Channel,
		Buyer: maskBuyer(a.Buyer), QR: a.QR, Final: a.Final, Code: a.Code, Message: a.Message}
	if a.HasAmount {
		amount := a.Amount
		f.Answer.Amount = &amount
	}
	if !a.PaidAt.IsZero() {
		f.Answer.PaidAt = a.PaidAt.UnixMilli()
	}
	return f
}

// HearPay judges the reply to the pay or present call.
func (o *Order) HearPay(t platforms.Traits, now Now, v Verb, a platforms.Answer, err error) Verdict {
	l := &o.Loop
	l.PayOpen, l.PayHeard = false, now.Instant
	if o.Outcome != "" || o.Reopened {
		// Too late to decide anything: ask, do not trust.
		if err == nil && a.Status == platforms.Paid && o.Outcome != Paid {
			if t.NoQuery && platforms.Bind(o.Ref(), a) == nil {
				return o.lateWord(now, v, a)
			}
			l.WatchNow = true
		}
		return Verdict{}
	}
	if err != nil {
		return o.hearPayError(now, v, a, err)
	}
	if bad := platforms.Bind(o.Ref(), a); bad != nil {
		return o.clash(now, a, bad)
	}
	l.AskNow = l.AskNow || a.AskNow
	f := o.answered(now, v, a)
	switch a.Status {
	case platforms.Paid:
		if o.cancelUnsettled(t, now) {
			if t.NoQuery {
				l.Told = &a
			}
			return Verdict{}
		}
		return Verdict{Facts: []Fact{f}}
	case platforms.Failed:
		if a.Handle == "" || v == VerbPresent {
			return Verdict{Facts: []Fact{f, o.ended(now, Failed, "refused", platforms.ActionNone, false)}}
		}
		l.AskNow = true
		return Verdict{Facts: []Fact{f}}
	case platforms.Refused, platforms.Closed:
		f.Answer.Status = platforms.Refused.String()
		l.AskNow = true
		return Verdict{Facts: []Fact{f}}
	}
	if a.Handle != "" || a.TradeNo != "" || a.QR != "" {
		return Verdict{Facts: []Fact{f}}
	}
	return Verdict{}
}

func (o *Order) hearPayError(now Now, v Verb, a platforms.Answer, err error) Verdict {
	contradicted := o.Loop.LastStatus == platforms.Pending || o.Loop.LastStatus == platforms.Paid || o.CancelSent != nil ||
		o.Doubt != "" || o.Loop.Clash
	if !errors.Is(err, platforms.ErrNotCharged) || contradicted {
		o.Loop.AskNow = o.Loop.AskNow || o.Mode.Shown()
		verdict := Verdict{Alarm: mixedUp(err)}
		if a.Handle != "" && o.Handle == "" {
			// The answer proves nothing, but it tells the key to ask by.
			verdict.Facts = []Fact{o.answered(now, v, platforms.Answer{Handle: a.Handle, Code: a.Code, Message: a.Message})}
		}
		return verdict
	}
	f := o.fact(KindAnswered, now)
	f.Answer = &Reply{Verb: v, NotSent: true}
	reason := "not_sent"
	if errors.Is(err, platforms.ErrToken) {
		reason = "token_refused"
	}
	return Verdict{Facts: []Fact{f, o.ended(now, Failed, reason, platforms.ActionNone, true)}}
}

// cancelUnsettled tells that a cancel left whose outcome is not known: it may
// still give the money back, or have done so, so a paid answer cannot be told
// as paid. Where paid is not sticky, a query tells again once the cancel can
// neither be under way any more nor be missing in old books; where there is no
// query, a word that it was paid may be older than the cancel.
func (o *Order) cancelUnsettled(t platforms.Traits, now Now) bool {
	return o.CancelOpen || o.CancelLost && (t.PaidIsSticky || t.NoQuery || now.Age(o.Loop.LastCancel) < cancelSettles)
}

// clash handles an answer that speaks of something else. Only a paid answer
// for our number with another amount says something about our order: that is
// for a person. Anything else is dropped, and the loop goes on.
func (o *Order) clash(now Now, a platforms.Answer, bad error) Verdict {
	var m *platforms.Mismatch
	if !errors.As(bad, &m) || m.Field != "amount" || a.Status != platforms.Paid {
		return Verdict{Alarm: "answer_mixed_up"}
	}
	o.Loop.Clash = true
	if o.Doubt != "" || o.State().Final() {
		return Verdict{Alarm: amountDiffers}
	}
	f := o.fact(KindDoubt, now)
	f.Reason = amountDiffers
	return Verdict{Facts: []Fact{f}, Alarm: amountDiffers}
}

// mixedUp is the alarm of an error that says that a reply spoke of something
// else; empty for any other error.
func mixedUp(err error) string {
	var m *platforms.Mismatch
	if errors.As(err, &m) {
		return "answer_mixed_up"
	}
	return ""
}

// reached notes whether a call got through.
func (o *Order) reached(now Now, err error) {
	o.Loop.LastTry = now.Instant
	if platforms.NeverLeft(err) {
		o.Loop.Unreached++
	} else {
		o.Loop.Unreached = 0
	}
}

// HearQuery judges the reply to a query.
func (o *Order) HearQuery(p Policy, t platforms.Traits, now Now, a platforms.Answer, err error) Verdict {
	l := &o.Loop
	l.Calling = ""
	if o.Outcome == Failed || o.Outcome == Canceled {
		return o.hearWatch(p, t, now, a, err)
	}
	o.reached(now, err)
	l.LastHeard, l.Heard, l.LastStatus = now.Instant, true, platforms.Unknown
	if o.Doubt != "" {
		l.Slow++
	}
	if err != nil {
		l.Heard = !platforms.NeverLeft(err)
		if errors.Is(err, platforms.ErrToken) || mixedUp(err) != "" {
			o.unheard()
		} else if o.Outcome == Paid {
			return Verdict{Alarm: o.notSaidPaid()}
		}
		return Verdict{Alarm: mixedUp(err)}
	}
	if bad := platforms.Bind(o.Ref(), a); bad != nil {
		o.unheard()
		return o.clash(now, a, bad)
	}
	l.Clash, l.LastStatus = false, a.Status
	if a.Status != platforms.Closed {
		l.ClosedSeen = 0
	}
	f := o.answered(now, VerbQuery, a)
	switch {
	case o.Outcome == Paid:
		return o.hearPaid(p, t, now, a, f)
	case o.Reopened:
		return Verdict{} // people decide
	}
	switch a.Status {
	case platforms.Paid:
		if o.cancelUnsettled(t, now) {
			return Verdict{} // the cancel decides; it is tried until it is settled
		}
		return Verdict{Facts: []Fact{f}}
	case platforms.Closed:
		if l.ClosedSeen++; a.AskNow && l.ClosedSeen < 2 {
			l.AskNow = true
			return Verdict{}
		}
		return Verdict{Facts: []Fact{f, o.ended(now, Canceled, "closed_by_platform", o.closedBy(), false)}}
	case platforms.Failed:
		return Verdict{Facts: []Fact{f, o.ended(now, Failed, "refused", platforms.ActionNone, false)}}
	case platforms.NotFound:
		l.NoMoreCancel = false // that was said of a number it does not know
		if o.FailedSaid && !l.askedBeforePay() {
			return Verdict{Facts: []Fact{f, o.ended(now, Failed, "refused", platforms.ActionNone, false)}}
		}
	case platforms.Pending:
		if a.Handle != "" && o.Handle == "" {
			return Verdict{Facts: []Fact{f}}
		}
	}
	return Verdict{}
}

// hearPaid judges a query about a paid order: asked before money goes back, or
// because people said that it is paid.
func (o *Order) hearPaid(p Policy, t platforms.Traits, now Now, a platforms.Answer, f Fact) Verdict {
	l := &o.Loop
	if facts := o.contradicted(t, now, a.Status); facts != nil {
		return Verdict{Facts: facts, Alarm: "resolution_contradicted"}
	}
	for o.resolved() && l.Late < len(p.LateWatch) && p.LateWatch[l.Late] <= now.Age(o.EndedAt) {
		l.Late++
	}
	if facts := o.reversalHeard(now, a); facts != nil {
		return Verdict{Facts: facts}
	}
	l.RefundedSeen = 0
	if a.HasRefunded {
		l.RefundedSeen = a.Refunded
	}
	alarm := ""
	if r := o.Reversal(); a.Status != platforms.Paid && a.Status != platforms.Closed {
		alarm = o.notSaidPaid()
	} else if r == nil || r.State.Final() {
		l.LateTries = 0
	}
	flying := slices.ContainsFunc(o.Refunds, func(r RefundLine) bool { return r.State == RefundSent || r.State == RefundInDoubt })
	told := a.TradeNo != "" && o.TradeNo == "" || a.Final && !o.NoRefunds
	if a.HasRefunded && !flying && a.Refunded > o.RefundedSum()+o.Outside {
		sum := a.Refunded
		f.Answer.Refunded = &sum
		told = true
		if !o.Foreign {
			alarm = "refund_sum_differs"
		}
	}
	if !told {
		return Verdict{Alarm: alarm}
	}
	return Verdict{Facts: []Fact{f}, Alarm: alarm}
}

// notSaidPaid counts queries that did not say whether a paid order is still
// paid. A refund waits for one that does; a person is told when that takes long.
func (o *Order) notSaidPaid() string {
	o.Loop.LateTries++
	if o.Loop.LateTries != refundQuick || !slices.ContainsFunc(o.Refunds, func(r RefundLine) bool { return r.State == RefundRequested }) {
		return ""
	}
	return "refund_held"
}

// unheard notes a reply that says nothing about our order: it is no query to
// cancel on, and asking again waits a little.
func (o *Order) unheard() {
	o.Loop.Heard = false
	o.Loop.Unreached++
	if o.Outcome == Paid {
		o.Loop.LateTries++
	}
}

// hearWatch judges a query after an unpaid end.
func (o *Order) hearWatch(p Policy, t platforms.Traits, now Now, a platforms.Answer, err error) Verdict {
	l := &o.Loop
	l.WatchNow, l.Recancel = false, false
	o.reached(now, err)
	l.Heard, l.LastHeard = err == nil, now.Instant
	if err != nil {
		l.Unreached = max(l.Unreached, 1) // an unclear answer is asked again soon, like none
		l.LateTries++
		return Verdict{Alarm: mixedUp(err)}
	}
	if bad := platforms.Bind(o.Ref(), a); bad != nil {
		o.unheard()
		l.LateTries++
		return Verdict{Alarm: "answer_mixed_up"}
	}
	l.LastStatus = a.Status
	if facts := o.contradicted(t, now, a.Status); facts != nil {
		return Verdict{Facts: facts, Alarm: "resolution_contradicted"}
	}
	if o.LateFound && !o.LateDone {
		if a.Status != platforms.Closed {
			return Verdict{}
		}
		f := o.fact(KindAnswered, now)
		f.Answer = &Reply{Verb: VerbCancel, Done: true, Action: platforms.ActionUnknown}
		return Verdict{Facts: []Fact{f}}
	}
	// Every point of the watch that lies behind us is answered by this.
	for l.Late < len(p.LateWatch) && p.LateWatch[l.Late] <= now.Age(o.EndedAt) {
		l.Late++
	}
	if a.Status != platforms.Paid {
		if now.Boot == o.EndedAt.Boot || now.Boot == o.WatchedBoot || l.Late < len(p.LateWatch)-1 {
			return Verdict{}
		}
		// Ages count anew after a reboot; what was seen in this one is kept, so
		// that a machine that is off at night ends its watch too. A boot counts
		// once all looks but the last were had in it: three reboots in ten
		// minutes have seen nothing.
		return Verdict{Facts: []Fact{o.fact(KindWatched, now)}}
	}
	if t.PaidIsSticky && o.resolved() && o.CancelSent != nil {
		return Verdict{} // paid proves nothing after a cancel, and people decided
	}
	if t.PaidIsSticky && o.EndReason == canceledByProof {
		// Paid proves nothing after a cancel that worked. Canceling again is
		// harmless and gives the money back if it is held after all.
		l.Recancel = true
		return Verdict{}
	}
	f := o.fact(KindLate, now)
	f.Reason = "paid_after_end"
	facts := []Fact{f}
	if a.TradeNo != "" && o.TradeNo == "" {
		got := o.answered(now, VerbQuery, platforms.Answer{TradeNo: a.TradeNo, Handle: a.Handle})
		facts = append(facts, got)
	}
	return Verdict{Facts: facts, Alarm: "late_money"}
}

// HearCancel judges the reply to a cancel.
func (o *Order) HearCancel(now Now, c platforms.Cancellation, err error) Verdict {
	l := &o.Loop
	l.Calling, l.Recancel, l.Heard = "", false, false
	l.LastCancel = now.Instant
	l.LateTries++
	o.reached(now, err)
	if err == nil {
		if bad := platforms.BindCancel(o.Ref(), c); bad != nil {
			l.Cancels++
			l.CancelsLost++
			return Verdict{Alarm: "answer_mixed_up"}
		}
	}
	if err != nil {
		if !platforms.NeverLeft(err) {
			l.Cancels++
			l.CancelsLost++
		}
		return Verdict{Alarm: mixedUp(err)}
	}
	f := o.fact(KindAnswered, now)
	f.Answer = &Reply{Verb: VerbCancel, Done: c.Done, Action: c.Action, TradeNo: c.TradeNo, Code: c.Code, Message: c.Message,
		// Only a flat no says that this cancel did nothing.
		Lost: l.CancelsLost > 0 || o.CancelLost || !c.Done && c.Retry != platforms.RetryNo}
	if c.Done {
		if line := o.Reversal(); o.Outcome == Paid {
			if line == nil || line.State.Final() {
				// It was under way when people said that it is paid.
				if facts := o.contradicted(platforms.Traits{}, now, platforms.Closed); facts != nil {
					return Verdict{Facts: facts, Alarm: "resolution_contradicted"}
				}
				return Verdict{}
			}
			f.Answer.Request = line.Request
			return Verdict{Facts: []Fact{f}}
		}
		if o.Outcome != "" && !o.LateFound {
			return Verdict{} // repeated on purpose; the end stands
		}
		return Verdict{Facts: []Fact{f}}
	}
	// The platform gave no proof; a query decides.
	l.Cancels++
	l.AskNow = true
	if l.LastStatus == platforms.NotFound {
		l.NotFound++
	}
	l.CancelsNo++
	// Said of a number that it does not know, or whose last query was not
	// answered, a flat no says nothing of the trade that may still come.
	// A payment that is known and cannot be asked about is all there is to know.
	known := l.LastStatus != platforms.Unknown || o.Outcome == Paid && !l.Asked
	if c.Retry == platforms.RetryNo && l.LastStatus != platforms.NotFound && known {
		l.NoMoreCancel = true
	}
	if o.CancelOpen {
		return Verdict{Facts: []Fact{f}}
	}
	return Verdict{}
}

// HearRefund judges the reply to a refund, or to the refund that gives late
// money back.
func (o *Order) HearRefund(now Now, request string, r platforms.Refunded, err error) Verdict {
	l := &o.Loop
	l.Calling, l.Heard = "", false
	l.LastRefund = now.Instant
	o.reached(now, err)
	l.RefundTries++
	l.LateTries++
	line := o.refund(request)
	if err != nil || line == nil && (request != ReversalRequest(o.No) || !o.LateFound) {
		return Verdict{Alarm: mixedUp(err)}
	}
	if r.OrderNo != "" && r.OrderNo != o.No {
		return Verdict{Alarm: "answer_mixed_up"}
	}
	out, alarm := o.refundOutcome(line, r)
	if out == "" {
		return Verdict{Alarm: alarm}
	}
	if out == RefundInDoubt && (line == nil || line.State == RefundInDoubt) {
		if line != nil && line.Auto {
			alarm = "" // it was raised; the refund is tried on
		}
		return Verdict{Alarm: alarm}
	}
	f := o.fact(KindAnswered, now)
	f.Answer = &Reply{Verb: VerbRefund, Request: request, Outcome: out, Code: r.Code, Message: r.Message}
	if r.HasTotal {
		total := r.Total
		f.Answer.Refunded = &total
	}
	if out.Final() {
		l.RefundTries, l.LateTries = 0, 0
	}
	return Verdict{Facts: []Fact{f}, Alarm: alarm}
}

// refundOutcome compares what the platform says was given back, all requests
// together, with our own sum (invariant I8).
func (o *Order) refundOutcome(line *RefundLine, r platforms.Refunded) (RefundState, string) {
	switch r.Status {
	case platforms.RefundRefused:
		if line == nil {
			return "", "late_money_refund_refused"
		}
		if line.Auto {
			return RefundInDoubt, "reversal_refused" // people must see to it; trying goes on
		}
		return RefundRefused, ""
	case platforms.RefundDone:
		expect := o.RefundedSum() + o.Outside
		if line != nil {
			expect += line.Sum
		} else {
			expect = o.Amount
		}
		switch {
		case !r.HasTotal || r.Total == expect:
			return RefundDone, ""
		case o.Foreign && !o.OutsideSaid && r.Total > expect && r.Total <= o.Amount:
			return RefundDone, "" // what went back before we knew of the order was never told
		case r.Total < expect:
			return "", "" // not given back yet: ask again with the same number
		}
		return RefundInDoubt, "refund_sum_differs"
	}
	return "", ""
}

// StaleRefund is the fact that a refund's outcome stays unknown for long.
func (o *Order) StaleRefund(now Now, request string) Fact {
	o.Loop.RefundTries, o.Loop.LateTries = 3, 3 // go on, slowly
	f := o.fact(KindAnswered, now)
	f.Answer = &Reply{Verb: VerbRefund, Request: request, Outcome: RefundInDoubt}
	return f
}

// maskBuyer keeps enough of a payer's id for people to recognise it.
func maskBuyer(b platforms.Hidden) string {
	r := []rune(b.Reveal())
	switch {
	case len(r) == 0:
		return ""
	case len(r) < 8:
		return string(r[:1]) + "***"
	}
	return string(r[:3]) + "***" + string(r[len(r)-2:])
}
