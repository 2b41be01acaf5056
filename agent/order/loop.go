package order

import (
	"time"

	"payagent/platforms"
)

// freshFor is how long a query's answer is fresh enough to cancel on (PAY-03:
// no cancel without a query in the same two seconds).
const freshFor = 2 * time.Second

// doubtAfter is how long a wanted cancel may stay without proof before a
// person is told.
const doubtAfter = 60 * time.Second

// cancelSettles is how long after a cancel without proof a query is not
// believed when it says paid: the request may still be under way (15 s and a
// margin), and books may be ten seconds old.
const cancelSettles = 35 * time.Second

// watchLimit ends the watch for late money even if the platform never answers.
const watchLimit = 7 * 24 * time.Hour

// enoughBoots is the number of later boots in which a watch that found nothing
// stands for the rest of its points: a machine that is off at night never
// reaches an age of a day.
const enoughBoots = 2

// refundQuick is the number of tries after which a refund is in doubt.
const refundQuick = 6

// Loop is what the schedule remembers between steps. It is lost in a crash,
// harmlessly: everything here can be asked again.
type Loop struct {
	_            [0]func() // never compared: no code is made for it
	PayOpen      bool      // the pay or present call has not returned
	PayHeard     Instant
	Calling      Verb // a query, cancel or refund has not returned
	AskNow       bool // query without waiting: a reply to confirm, or 校验
	Asked        bool // a query was sent since the start
	Asks         int  // queries since the start
	Woken        bool // the platform said by itself that something happened: query, but not in every second of a flood
	LastAsk      Instant
	Heard        bool // a query came back since the last cancel
	LastHeard    Instant
	LastStatus   platforms.Status
	Clash        bool // the latest answer spoke of another amount
	ClosedSeen   int
	Unreached    int // calls in a row that never left
	LastTry      Instant
	Slow         int  // slow queries so far
	Cancels      int  // cancels that came back without proof
	CancelsLost  int  // of those, without any answer
	CancelsNo    int  // of those, answered with a no
	CancelMine   bool // the intent of the cancel that is open was written by this process
	LastCancel   Instant
	NoMoreCancel bool // the platform said that trying again is useless
	NotFound     int  // cancels refused while the number was not found
	Late         int  // next point of the late watch
	WatchNow     bool
	Told         *platforms.Answer // no query: it was paid, said while a cancel was under way
	Recancel     bool              // paid again after our cancel on a platform where that proves nothing
	LateTries    int
	RefundTries  int
	LastRefund   Instant
	RefundedSeen platforms.Fen // given back so far, as the latest query said; 0 where it did not say
	ConfirmedAt  Instant
	LinkUp       bool // HIS has booked payments before, and can be reached now
	LinkAt       Instant
}

// askedBeforePay tells that the latest query left before the pay reply came,
// so that its answer may be older.
func (l *Loop) askedBeforePay() bool {
	return l.PayHeard.Boot == l.LastAsk.Boot && l.LastAsk.Mono < l.PayHeard.Mono
}

// Hurry forgets all back-off: the platform is back, or a person asked to
// resolve everything now.
func (o *Order) Hurry() {
	l := &o.Loop
	l.Unreached, l.Cancels, l.LateTries, l.RefundTries, l.Slow = 0, 0, 0, 0, 0
	if s := o.State(); !s.Final() && o.SentAt != nil {
		l.AskNow = true
	} else if o.LateFound && !o.LateDone {
		l.WatchNow = true
	}
}

// Do says what kind of step is next.
type Do string

// The steps. DoNothing with a time means: look again then.
const (
	DoNothing Do = ""
	DoQuery   Do = "query"
	DoCancel  Do = "cancel"
	DoRefund  Do = "refund"
	DoEnd     Do = "end"     // end the order here, for Reason
	DoDoubt   Do = "doubt"   // raise the alarm, for Reason
	DoStale   Do = "stale"   // the refund is in doubt
	DoClose   Do = "close"   // nothing is owed any more
	DoReverse Do = "reverse" // give the payment back by a refund
	DoBelieve Do = "believe" // take what was told during a cancel that did nothing

	DoGiveBack Do = "give_back" // note that the payment goes back, for Reason
	DoUnbooked Do = "unbooked"  // tell people that HIS is silent, for Reason
	DoAssume   Do = "assume"    // HIS, which has no word for its books, did not take the payment back
	DoTell     Do = "tell"      // tell HIS that the money will go back on its silence
	DoRefuse   Do = "refuse"    // the refund cannot be made, for Reason
	DoDecline  Do = "decline"   // nobody approved the refund in time
)

// Step is what to do next, and not before when.
type Step struct {
	Do      Do
	At      time.Duration // Mono; in the past means now
	Reason  string
	State   State // DoEnd
	Unsent  bool  // DoEnd
	Request string
}

// Never is the time of a step that waits for an event.
const Never = time.Duration(1<<63 - 1)

func later(at time.Duration) Step    { return Step{At: at} }
func waitForEvent() Step             { return Step{At: Never} }
func do(d Do, at time.Duration) Step { return Step{Do: d, At: at} }

// Next says what the order needs next. It is a function of the facts, the
// schedule's memory and the time; calling it changes nothing.
func (o *Order) Next(p Policy, t platforms.Traits, now Now) Step {
	switch {
	case o.Outcome == Paid:
		return o.nextPaid(p, t, now)
	case o.Outcome != "":
		return o.nextWatch(p, t, now)
	case o.SentAt == nil && o.Doubt == "":
		return o.nextUnsent(p, now)
	}
	return o.nextOpen(p, t, now)
}

func (o *Order) nextUnsent(p Policy, now Now) Step {
	end := Step{Do: DoEnd, State: Canceled, Unsent: true}
	switch {
	case o.CancelAsked != nil:
		end.At, end.Reason = now.Mono, "canceled"
	case o.State() == Queued:
		end.At, end.Reason = now.due(o.CreatedAt, o.ValidFor), "offline_expired"
	case o.Insured != nil:
		end.At, end.Reason = o.insuredEnds(p, now)
	default:
		from := o.CreatedAt
		if o.Confirmed {
			from = o.Loop.ConfirmedAt
		}
		end.At, end.Reason = now.due(from, o.ScanWait), "no_scan"
	}
	return end
}

// began is the instant from which the schedule of an open order counts.
func (o *Order) began() Instant {
	if o.SentAt != nil {
		return *o.SentAt
	}
	return o.CreatedAt
}

// keyless tells that nothing can be asked with certainty: the pay reply, and
// with it the platform's key, is missing, and looking up by our number is not
// proven at this site. Where there is no query there is nothing to ask by: its
// cancel takes our number and rests on nothing.
func (o *Order) keyless(t platforms.Traits) bool {
	return !t.NoQuery && o.Handle == "" && !t.FindsByNumber && !o.Mode.Shown()
}

// shown tells that a payer can see the QR code, or the page. A QR code was on
// a screen of this machine and went dark with it; a page is on the payer's own.
func (o *Order) shown(now Now) bool { return o.QR != "" && (o.Paged() || o.QRAt.Boot == now.Boot) }

// wantsCancel tells whether the order is to be closed as soon as allowed, and
// if not, when time alone will make it so.
func (o *Order) wantsCancel(p Policy, now Now) (bool, time.Duration) {
	if o.CancelAsked != nil || o.CancelSent != nil || o.Refused || o.FailedSaid || o.SentAt == nil {
		return true, 0
	}
	from := *o.SentAt
	if o.Mode.Shown() {
		if !o.shown(now) {
			return true, 0 // nobody can see a QR: close what may exist
		}
		from = o.QRAt
	}
	at := now.due(from, p.horizon(o))
	return now.Mono >= at, at
}

func (o *Order) nextOpen(p Policy, t platforms.Traits, now Now) Step {
	l := &o.Loop
	if l.Calling != "" {
		return waitForEvent()
	}
	if o.Mode.Shown() && l.PayOpen {
		return waitForEvent() // no QR yet, so nobody can pay
	}
	switch {
	case t.NoQuery:
		return o.nextTold(p, t, now)
	case o.Reopened:
		return do(DoQuery, o.slowAsk(p, now)) // people decide; nothing moves by itself
	}
	if o.keyless(t) {
		if l.PayOpen {
			return waitForEvent()
		}
		if o.Doubt == "" {
			return Step{Do: DoDoubt, At: now.Mono, Reason: "no_key"}
		}
		return do(DoQuery, o.askAt(p, now))
	}
	if o.paidBefore() {
		return do(DoQuery, o.askAt(p, now))
	}
	want, when := o.wantsCancel(p, now)
	if want {
		return o.nextCancel(p, t, now)
	}
	at := o.askAt(p, now)
	if when < at {
		return later(when)
	}
	return do(DoQuery, at)
}

// askAt is when the next query is due.
func (o *Order) askAt(p Policy, now Now) time.Duration {
	l := &o.Loop
	switch {
	case l.AskNow:
		return now.Mono
	case l.Woken:
		return o.wokenAt(now)
	case l.Unreached > 0:
		return now.due(l.LastTry, p.wait(l.Unreached+1))
	case !l.Asked && o.Mode.Shown() && o.QR != "":
		return now.due(o.QRAt, p.askEvery(o, 0))
	case !l.Asked:
		return now.due(o.began(), p.FirstQuery)
	case o.Doubt != "" && now.Age(o.began()) > p.Horizon+15*time.Second:
		return now.due(l.LastAsk, p.wait(4+l.Slow))
	case o.Mode.Shown():
		return now.due(l.LastAsk, p.askEvery(o, l.Asks))
	}
	return now.due(l.LastAsk, p.QueryEvery)
}

func (o *Order) nextCancel(p Policy, t platforms.Traits, now Now) Step {
	l := &o.Loop
	at := now.Mono
	if !o.Mode.Shown() && o.SentAt != nil {
		at = now.due(*o.SentAt, p.CancelNotBefore)
	}
	at0 := at
	if o.Mode.Shown() || o.SentAt == nil {
		at0 = now.due(o.began(), 0)
	}
	if l.Cancels > 0 {
		at = max(at, now.due(l.LastCancel, p.wait(l.Cancels-1)))
	}
	if l.Unreached > 0 {
		at = max(at, now.due(l.LastTry, p.wait(l.Unreached-1)))
	}
	if o.neverArrived(p, t, now) {
		return Step{Do: DoEnd, At: now.Mono, State: Canceled, Reason: "never_arrived"}
	}
	// A person is told when the cancel that is due has no proof for a while,
	// counted from when it was due and asked for, and from this start.
	overdue := max(at0, now.Start)
	switch {
	case o.CancelAsked != nil:
		overdue = max(overdue, now.due(o.AskedAt, 0))
	case o.CancelSent == nil:
		overdue = max(overdue, now.due(o.began(), p.horizon(o)))
	}
	overdue += doubtAfter
	if o.Doubt == "" && (l.Cancels >= p.QuickCancels || l.NoMoreCancel || now.Mono >= overdue) {
		return Step{Do: DoDoubt, At: now.Mono, Reason: "not_confirmed"}
	}
	if t.NoQuery {
		if now.Mono < at && o.Doubt == "" {
			return later(min(at, overdue))
		}
		return do(DoCancel, at)
	}
	if l.AskNow || l.Woken && now.Mono >= o.wokenAt(now) {
		return do(DoQuery, now.Mono)
	}
	if now.Mono < at {
		// The seed's rhythm goes on while the cancel must wait.
		if ask := o.askAt(p, now); ask < at && l.Cancels == 0 && l.Unreached == 0 {
			return do(DoQuery, ask)
		}
		if o.Doubt == "" {
			at = min(at, overdue)
		}
		return later(at)
	}
	if l.NoMoreCancel || l.Clash {
		return do(DoQuery, o.slowAsk(p, now))
	}
	if l.Heard && now.Age(l.LastHeard) <= freshFor {
		return do(DoCancel, now.Mono)
	}
	return do(DoQuery, now.Mono)
}

func (o *Order) slowAsk(p Policy, now Now) time.Duration {
	if !o.Loop.Asked {
		return now.Mono
	}
	return now.due(o.Loop.LastAsk, p.wait(2+o.Loop.Slow))
}

// neverArrived tells that an order the platform has never heard of may end:
// asked and canceled in vain often and long enough, or never shown to anyone.
func (o *Order) neverArrived(p Policy, t platforms.Traits, now Now) bool {
	l := &o.Loop
	// Nobody ever had an address to pay at. An authorisation of its own kind
	// (信用签约) may have paid without one; a page that only the second file
	// remembers may be open on the payer's own device.
	own := o.Insured != nil && o.Insured.Own
	unseen := o.Mode.Shown() && !own && o.QR == "" && o.SentAt != nil
	if t.NoQuery {
		return unseen && !o.hearsay() && l.CancelsNo >= 1
	}
	if l.LastStatus != platforms.NotFound {
		return false
	}
	if unseen && (!o.Paged() || !o.hearsay()) {
		return l.NotFound >= 1
	}
	return l.NotFound >= p.QuickCancels && now.Age(o.began()) >= p.NotFoundFinal
}

// nextWatch looks for money that arrives after an unpaid end, and gives it back.
func (o *Order) nextWatch(p Policy, t platforms.Traits, now Now) Step {
	l := &o.Loop
	switch {
	case l.Calling != "" || l.PayOpen:
		return waitForEvent()
	case o.LateFound && !o.LateDone:
		return o.nextReversal(p, t, now, nil)
	case t.NoQuery:
		return do(DoClose, now.Mono) // a notice finds it in the log again
	case l.Woken:
		return do(DoQuery, o.wokenAt(now))
	case o.Unsent:
		return do(DoClose, now.Mono)
	case l.Recancel && l.Heard && now.Age(l.LastHeard) <= freshFor:
		return do(DoCancel, now.Mono)
	case l.WatchNow:
		return do(DoQuery, now.Mono)
	case l.Late >= len(p.LateWatch) || o.WatchBoots >= enoughBoots || now.Age(o.EndedAt) > watchLimit:
		return do(DoClose, now.Mono)
	}
	at := now.due(o.EndedAt, p.LateWatch[l.Late])
	if l.Unreached > 0 {
		at = max(at, now.due(l.LastTry, p.wait(l.Unreached+1)))
	}
	return do(DoQuery, at)
}
