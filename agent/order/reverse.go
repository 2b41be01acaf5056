package order

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"payagent/platforms"
)

// awaitsFor is how long a refund waits for a second person before it is
// declined, so that nothing waits for ever.
const awaitsFor = 24 * time.Hour

// ReversalRequest is the request number of the refund that gives a payment
// back by itself, late money or one that HIS could not book: the same for the
// same order, whatever happens in between.
func ReversalRequest(orderNo string) string {
	sum := sha256.Sum256([]byte("reversal\x00" + orderNo))
	return "LR" + hex.EncodeToString(sum[:])[:28]
}

// leaves notes that a refund is about to leave on a way.
func (r *RefundLine) leaves(v Via) {
	r.Via = v
	if r.State == RefundRequested {
		r.State = RefundSent
	}
}

// Reversal gives the refund by which a paid order goes back by itself; nil for
// none.
func (o *Order) Reversal() *RefundLine {
	if len(o.Refunds) == 0 { // as of most, whose number need not be made
		return nil
	}
	return o.refund(ReversalRequest(o.No))
}

// reversing tells that a paid order is on its way back by itself, or will be.
func (o *Order) reversing() bool {
	r := o.Reversal()
	return r != nil && !r.State.Final() || r == nil && o.booked() == BookFailed && !o.FullyReversed()
}

// nextPaid is what a paid order needs: refunds one by one, its money back if
// HIS could not book it, HIS's word.
func (o *Order) nextPaid(p Policy, t platforms.Traits, now Now) Step {
	l := &o.Loop
	if l.Calling != "" || l.PayOpen {
		return waitForEvent()
	}
	if s, busy := o.nextRefund(p, t, now); busy {
		return s
	}
	if o.booked() == BookFailed && o.Reversal() == nil && !o.FullyReversed() {
		return Step{Do: DoGiveBack, At: now.Mono, Reason: hisFailed}
	}
	s, waits := o.nextBooking(now)
	if watch, ok := o.nextResolvedWatch(p, now); ok && !t.NoQuery && (!waits || watch.At < s.At || s.Do == DoClose) {
		s, waits = watch, true
	}
	for i := range o.Refunds {
		if r := &o.Refunds[i]; r.State == RefundAwaiting {
			if at := now.due(r.At, awaitsFor); !waits || at < s.At || s.Do == DoClose {
				s, waits = Step{Do: DoDecline, At: at, Request: r.Request}, true
			}
		}
	}
	if waits {
		return s
	}
	return do(DoClose, now.Mono)
}

// nextRefund takes the refunds of a paid order one by one: the platform is
// asked first, always. Refunds that wait for a second person hold up nothing.
func (o *Order) nextRefund(p Policy, t platforms.Traits, now Now) (s Step, busy bool) {
	l := &o.Loop
	at := now.Mono
	if o.Before != nil {
		at = max(at, now.due(o.began(), p.RefundSpacing)) // one may have left just before, elsewhere
	}
	for i := range o.Refunds {
		if r := &o.Refunds[i]; r.State.Final() && r.Code != Declined {
			at = max(at, now.due(r.EndedAt, p.RefundSpacing))
		}
	}
	for i := range o.Refunds {
		r := &o.Refunds[i]
		if r.State.Final() || r.State == RefundAwaiting {
			continue
		}
		if now.Mono < at {
			return later(at), true
		}
		if r.State == RefundSent && max(l.RefundTries, l.LateTries) >= refundQuick {
			return Step{Do: DoStale, At: now.Mono, Request: r.Request}, true
		}
		if r.Auto {
			return o.nextReversal(p, t, now, r), true
		}
		if l.RefundTries > 0 {
			at = max(at, now.due(l.LastRefund, p.wait(l.RefundTries-1)))
		}
		if l.Unreached > 0 {
			at = max(at, now.due(l.LastTry, p.wait(l.Unreached-1)))
		}
		switch {
		case now.Mono < at:
			return later(at), true
		case t.NoQuery:
		case !o.knownPaid(r) || now.Age(l.LastHeard) > freshFor:
			if l.LateTries > 0 {
				at = max(at, now.due(l.LastTry, p.wait(l.LateTries-1)))
			}
			return do(DoQuery, at), true
		case l.RefundedSeen > 0 && r.State == RefundRequested && l.RefundedSeen+r.Sum > o.Amount:
			return Step{Do: DoRefuse, At: now.Mono, Request: r.Request, Reason: "refund_over"}, true
		}
		return Step{Do: DoRefund, At: now.Mono, Request: r.Request}, true
	}
	return Step{}, false
}

// knownPaid tells whether the latest query said enough to let a refund leave.
// One that left before may be asked for again on any answer.
func (o *Order) knownPaid(r *RefundLine) bool {
	l := &o.Loop
	switch {
	case !l.Heard || l.LastStatus == platforms.Unknown:
		return false
	case r.State == RefundRequested:
		return l.LastStatus == platforms.Paid || l.LastStatus == platforms.Closed
	}
	return true
}

// nextReversal gives a whole payment back, or what is left of it: money that
// came after an unpaid end, where line is nil, or the payment of an order that
// HIS could not book. The pause between tries lies before the query, never
// between the query and the cancel that rests on it.
func (o *Order) nextReversal(p Policy, t platforms.Traits, now Now, line *RefundLine) Step {
	l := &o.Loop
	earliest := now.Mono
	if !o.Mode.Shown() && o.SentAt != nil {
		earliest = now.due(*o.SentAt, p.CancelNotBefore)
	}
	if t.NoQuery || !l.Heard || now.Age(l.LastHeard) > freshFor {
		at := now.Mono
		if l.LateTries > 0 {
			at = now.due(l.LastTry, p.wait(l.LateTries-1))
		}
		at = max(at, earliest)
		if !t.NoQuery {
			return do(DoQuery, at) // before a refund too: it may be a cancel where there are none
		}
		if now.Mono < at {
			return later(at)
		}
	}
	if now.Mono < earliest {
		return later(earliest)
	}
	if o.byRefund(p, t, now, line) {
		return Step{Do: DoReverse, At: now.Mono, Request: ReversalRequest(o.No)}
	}
	return do(DoCancel, now.Mono)
}

// byRefund tells whether money goes back by a refund instead of a cancel. A
// refund that left is asked for again with its number, whatever else holds.
// Where paid proves nothing after a cancel, one that may have worked unseen is
// repeated until it is settled: a refund could give the money back twice.
func (o *Order) byRefund(p Policy, t platforms.Traits, now Now, line *RefundLine) bool {
	late := now.Age(o.EndedAt) >= p.CancelWindow || o.Loop.NoMoreCancel
	if line == nil {
		return late
	}
	switch {
	case line.Via == ViaRefund, o.Foreign:
		return true
	case t.PaidIsSticky && (o.CancelOpen || o.CancelLost):
		return false
	}
	return late || o.RefundedSum()+o.Outside > 0
}

// reversalHeard judges a query while a paid order is on its way back: closed
// says that all of it went back.
func (o *Order) reversalHeard(now Now, a platforms.Answer) []Fact {
	line := o.Reversal()
	if line == nil || line.State.Final() || a.Status != platforms.Closed {
		return nil
	}
	if o.Loop.ClosedSeen++; a.AskNow && o.Loop.ClosedSeen < 2 {
		o.Loop.Heard = false // asked again first
		return nil
	}
	f := o.fact(KindAnswered, now)
	f.Answer = &Reply{Verb: VerbCancel, Request: line.Request, Done: true, Action: platforms.ActionUnknown}
	return []Fact{f}
}

// Declined is the code of a refund that a second person, or time, declined.
const Declined = "declined"
