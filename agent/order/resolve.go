package order

import "payagent/platforms"

// Decided is a second person's word.
type Decided struct {
	Refund   string             `json:"refund,omitempty"` // number of the refund; empty for a resolution
	OK       bool               `json:"ok"`
	Operator platforms.Operator `json:"operator"`
	Reason   string             `json:"reason,omitempty"`
}

// Proposal is what a person says of an order, or of one of its refunds, that
// is in doubt: how it really ended, how they know, and why they say so.
type Proposal struct {
	Outcome  State              `json:"outcome"`            // paid, canceled or failed; of a refund: done or refused
	Refund   string             `json:"refund,omitempty"`   // number of the refund it is about; empty: the order
	TradeNo  string             `json:"trade_no,omitempty"` // the wallet's number, as seen in the evidence
	Evidence string             `json:"evidence"`           // what was looked at, e.g. a line of the platform's statement
	Reason   string             `json:"reason"`
	Operator platforms.Operator `json:"operator"`
}

// ResolutionState is what people said of something in doubt.
type ResolutionState struct {
	Proposal
	At        Instant
	Confirmed bool
	By        platforms.Operator // the second person
	EndedAt   Instant
}

// resolvedReason is the end reason of an order that people resolved.
const resolvedReason = "resolved"

// Outcomes of a proposal about a refund.
const (
	RefundWas    = State(RefundDone)
	RefundWasNot = State(RefundRefused)
)

// Resolvable tells whether people may say how the order, or the refund with a
// number, ended: while it is in doubt, or while insurance and cash disagree.
func (o *Order) Resolvable(refund string, outcome State) bool {
	if refund != "" {
		r := o.refund(refund)
		return r != nil && r.State == RefundInDoubt && (outcome == RefundWas || outcome == RefundWasNot)
	}
	if o.booked() == BookSplit {
		return outcome == Paid || outcome == Canceled
	}
	return o.State() == InDoubt && outcome.Final()
}

// resolved tells that people, not the platform, said how the order ended.
func (o *Order) resolved() bool { return o.EndReason == resolvedReason }

func (o *Order) applyPeople(f Fact) error {
	switch f.Kind {
	case KindDecided:
		if f.Decided == nil {
			return forbid(o, f)
		}
		r := o.refund(f.Decided.Refund)
		if r == nil || r.State != RefundAwaiting {
			return forbid(o, f)
		}
		r.ApprovedBy, r.State = f.Decided.Operator, RefundRequested
		if !f.Decided.OK {
			r.State, r.EndedAt, r.Code, r.Message = RefundRefused, f.At, Declined, f.Decided.Reason
		}
	case KindProposed:
		p := f.Proposed
		if p == nil || !o.Resolvable(p.Refund, p.Outcome) {
			return forbid(o, f)
		}
		o.Resolution = &ResolutionState{Proposal: *p, At: f.At}
	case KindResolved:
		return o.applyResolved(f)
	case KindReopened:
		if !o.resolved() || o.Outcome == "" {
			return forbid(o, f)
		}
		o.Outcome, o.EndReason, o.Doubt, o.Reopened, o.Resolution = "", "", f.Reason, true, nil
	}
	return nil
}

func (o *Order) applyResolved(f Fact) error {
	r := o.Resolution
	if f.Decided == nil || r == nil || r.Confirmed || !o.Resolvable(r.Refund, r.Outcome) {
		return forbid(o, f)
	}
	if !f.Decided.OK {
		o.Resolution = nil
		return nil
	}
	next := *r
	next.Confirmed, next.By, next.EndedAt = true, f.Decided.Operator, f.At
	o.Resolution = &next
	if r.TradeNo != "" && o.TradeNo == "" {
		o.TradeNo = r.TradeNo
	}
	switch {
	case r.Refund != "":
		line := o.refund(r.Refund)
		line.State, line.EndedAt, line.Code, line.Message = RefundState(r.Outcome), f.At, resolvedReason, r.Evidence
	case o.booked() == BookSplit:
		b := *o.Booking
		if b.State = BookBooked; r.Outcome == Canceled {
			b.State, b.Reason = BookFailed, r.Reason
		}
		o.Booking = &b
	default:
		if r.Outcome == Paid {
			o.PaidAt, o.PaidLocal = f.At.Wall, true
		}
		o.end(r.Outcome, resolvedReason, "", f.At)
		o.Reopened, o.CancelOpen = false, false
	}
	return nil
}

// nextResolvedWatch goes on asking the platform about an order that people
// said is paid, at the ages at which late money is looked for.
func (o *Order) nextResolvedWatch(p Policy, now Now) (Step, bool) {
	l := &o.Loop
	if !o.resolved() || l.Late >= len(p.LateWatch) || now.Age(o.EndedAt) > watchLimit {
		return Step{}, false
	}
	at := now.due(o.EndedAt, p.LateWatch[l.Late])
	if l.LateTries > 0 {
		at = max(at, now.due(l.LastTry, p.wait(l.LateTries+1)))
	}
	return do(DoQuery, at), true
}

// contradicted judges a query about an order that people resolved. What the
// platform says against them puts the order back into doubt: cash may have
// been taken, or the patient let go, so nothing moves by itself.
func (o *Order) contradicted(t platforms.Traits, now Now, s platforms.Status) []Fact {
	against := false
	switch o.Outcome {
	case Paid:
		against = s == platforms.Closed || s == platforms.Failed || s == platforms.Pending
		if o.RefundClaims() > 0 || o.booked() == BookFailed {
			against = false // it may be closed because it was given back
		}
	case Failed, Canceled:
		// Where paid is said after a cancel too, it proves nothing after one.
		against = s == platforms.Paid && !(t.PaidIsSticky && o.CancelSent != nil)
	}
	if !o.resolved() || !against {
		return nil
	}
	f := o.fact(KindReopened, now)
	f.Reason = "resolution_contradicted"
	return []Fact{f}
}

// PaidElsewhere is the fact that the platform says a foreign order is paid.
func (o *Order) PaidElsewhere(now Now, a platforms.Answer) Fact {
	return o.answered(now, VerbQuery, a)
}
