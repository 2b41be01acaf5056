package order

import (
	"time"

	"payagent/platforms"
)

// BookState is what HIS made of a payment. Paid is not done: booked is.
type BookState string

// The states of a booking.
const (
	BookNone    BookState = "none"            // nothing is expected, nothing was said
	BookPending BookState = "pending"         // HIS has not said anything yet
	BookBooked  BookState = "booked"          // HIS counts the payment
	BookFailed  BookState = "failed"          // HIS could not process it: the money goes back
	BookSplit   BookState = "insurance_split" // insurance was taken and cash was not, or the reverse: people decide
)

// BookingState is HIS's word about a payment.
type BookingState struct {
	State      BookState
	OK         bool   // as HIS said it
	FlowID     string // HIS's own number, unique over payments and refunds
	CostType   string // 费用类别
	At         int64  // Unix ms, HIS's clock
	Operator   platforms.Operator
	Reason     string // why it failed
	SealedCard []byte // medical card: sealed
	// TellsNot: this HIS only asks in a platform's own words and has no word for
	// its books; it heard at AnsweredAt that the order is paid.
	TellsNot   bool
	AnsweredAt Instant
	// Assumed: it did not take that back for as long as others may be silent, so
	// it counts as booked, and did so even if the money went back later.
	Assumed bool
	// InsuranceTaken and CashTaken are what HIS knows of an insurance payment;
	// nil where it did not say.
	InsuranceTaken, CashTaken *bool

	HeardAt   Instant  // when the word came
	Prompted  bool     // the cashier was told that HIS is silent
	Alarmed   bool     // so were IT and finance
	ToldAt    *Instant // HIS was told that the money will go back
	AlarmedAt Instant
}

// Booked is HIS's word, as a fact.
type Booked struct {
	OK       bool               `json:"ok"`
	FlowID   string             `json:"flow_id,omitempty"`
	Refund   string             `json:"refund,omitempty"` // number of the refund it is about; empty: the payment
	CostType string             `json:"cost_type,omitempty"`
	Assumed  bool               `json:"assumed,omitempty"` // nobody said so; see BookingState
	At       int64              `json:"at"`                // Unix ms, HIS's clock
	Operator platforms.Operator `json:"operator"`
	Reason   string             `json:"reason,omitempty"`
	Card     []byte             `json:"card,omitempty"` // sealed

	InsuranceTaken *bool `json:"insurance_taken,omitempty"`
	CashTaken      *bool `json:"cash_taken,omitempty"`
}

// split tells that HIS knows one half of an insurance payment only.
func (b *Booked) split() bool {
	return b.InsuranceTaken != nil && b.CashTaken != nil && *b.InsuranceTaken != *b.CashTaken
}

// Same tells whether two words of HIS say the same.
func (b Booked) Same(c Booked) bool {
	same := func(x, y *bool) bool { return x == nil && y == nil || x != nil && y != nil && *x == *y }
	return b.OK == c.OK && b.FlowID == c.FlowID && b.Refund == c.Refund && b.CostType == c.CostType &&
		same(b.InsuranceTaken, c.InsuranceTaken) && same(b.CashTaken, c.CashTaken)
}

// Word is HIS's word about the payment as it was given; nil for none yet.
func (o *Order) Word() *Booked {
	b := o.Booking
	if b == nil || b.State == BookPending || b.State == BookNone {
		return nil
	}
	return &Booked{OK: b.OK, FlowID: b.FlowID, CostType: b.CostType, At: b.At,
		Operator: b.Operator, Reason: b.Reason, InsuranceTaken: b.InsuranceTaken, CashTaken: b.CashTaken}
}

// booked tells where the booking stands.
func (o *Order) booked() BookState {
	if o.Booking == nil {
		return BookNone
	}
	return o.Booking.State
}

func (o *Order) applyBooking(f Fact) error {
	if o.Outcome != Paid {
		return forbid(o, f)
	}
	next := BookingState{}
	if o.Booking != nil {
		next = *o.Booking
	}
	switch f.Kind {
	case KindReversing:
		if o.booked() != BookPending {
			return forbid(o, f)
		}
		at := f.At
		next.ToldAt = &at
	case KindTold:
		if o.booked() != BookPending || next.TellsNot {
			return forbid(o, f)
		}
		next.TellsNot, next.AnsweredAt = true, f.At
	case KindUnbooked:
		if o.booked() != BookPending {
			return forbid(o, f)
		}
		next.Prompted = true
		if f.Reason == bookOverdue {
			next.Alarmed, next.AlarmedAt = true, f.At
		}
	default:
		b := f.Booked
		if b == nil {
			return forbid(o, f)
		}
		if b.Refund != "" {
			return o.applyRefundBooked(f, b)
		}
		if o.booked() == BookBooked && !next.Assumed || o.booked() == BookFailed || b.OK && o.FullyReversed() {
			return forbid(o, f)
		}
		if next.Assumed && !b.OK { // what went into the books goes out of them again, by the reversal
			next.State, next.Operator, next.Reason, next.HeardAt = BookFailed, b.Operator, b.Reason, f.At
			break
		}
		next.Assumed = b.Assumed
		next.State, next.OK = BookFailed, b.OK
		switch {
		case b.split():
			next.State = BookSplit
		case b.OK:
			next.State = BookBooked
		}
		next.FlowID, next.CostType, next.At, next.Operator, next.Reason = b.FlowID, b.CostType, b.At, b.Operator, b.Reason
		next.SealedCard, next.InsuranceTaken, next.CashTaken, next.HeardAt = b.Card, b.InsuranceTaken, b.CashTaken, f.At
	}
	o.Booking = &next
	return nil
}

func (o *Order) applyRefundBooked(f Fact, b *Booked) error {
	r := o.refund(b.Refund)
	if r == nil || r.State != RefundDone {
		return forbid(o, f)
	}
	r.FlowID, r.BookedAt, r.BookFailed = b.FlowID, b.At, ""
	if !b.OK {
		r.BookFailed = b.Reason
	}
	return nil
}

// Reasons of [KindUnbooked] facts and of the reversal of a payment.
const (
	bookPrompt  = "booking_prompt"
	bookOverdue = "booking_overdue"
	hisFailed   = "his_failed"
	hisSilent   = "his_silent"
)

// toldBefore is how long before money goes back on HIS's silence HIS is told
// that it will (decision 11).
const toldBefore = 15 * time.Second

// afterAlarm is how long an order that nobody booked stays in memory after the
// alarm: a process that dies in that time raises it again.
const afterAlarm = time.Minute

// nextBooking waits for HIS's word: prompts the cashier, raises the alarm, and
// where a kiosk may, gives the money back.
func (o *Order) nextBooking(now Now) (s Step, waits bool) {
	b, terms := o.Booking, o.Books
	if o.FullyReversed() {
		return Step{}, false
	}
	switch o.booked() {
	case BookSplit:
		return waitForEvent(), true // only people can tell
	case BookPending:
	default:
		return Step{}, false
	}
	if terms == nil || o.RefundClaims() == o.Amount {
		return Step{}, false // all of it goes back, or went: there is nothing left to book
	}
	if b.TellsNot {
		return do(DoAssume, now.due(b.AnsweredAt, terms.Alarm)), true
	}
	s = waitForEvent()
	sooner := func(x Step) {
		if x.At < s.At {
			s = x
		}
	}
	switch {
	case !b.Prompted:
		sooner(Step{Do: DoUnbooked, At: now.due(o.EndedAt, terms.Prompt), Reason: bookPrompt})
	case !b.Alarmed:
		sooner(Step{Do: DoUnbooked, At: now.due(o.EndedAt, terms.Alarm), Reason: bookOverdue})
	default:
		sooner(do(DoClose, now.due(b.AlarmedAt, afterAlarm)))
	}
	if at, ok := o.silenceEnds(now); ok {
		if b.ToldAt == nil {
			if !b.Alarmed { // else people look after it, and it is about to be let go
				sooner(do(DoTell, at-toldBefore))
			}
		} else {
			sooner(Step{Do: DoGiveBack, At: max(at, now.due(*b.ToldAt, toldBefore)), Reason: hisSilent})
		}
	}
	return s, true
}

// silenceEnds is when HIS has been silent for too long on a link that works.
func (o *Order) silenceEnds(now Now) (time.Duration, bool) {
	l := &o.Loop
	if o.Books.Silence <= 0 || !l.LinkUp {
		return 0, false
	}
	return max(now.due(o.EndedAt, o.Books.Silence), now.due(l.LinkAt, o.Books.Silence)), true
}

// Entry is one line of HIS's books: a payment, or money given back.
type Entry struct {
	Refund int    // index of the refund, -1 for the payment
	FlowID string // HIS's own number
	At     int64  // Unix ms, HIS's clock
	Sum    platforms.Fen
}

// Entries lists what HIS booked of the order. A HIS that has no word for its
// books counts as having booked what it was told and did not take back.
func (o *Order) Entries() []Entry {
	var list []Entry
	b := o.Booking
	assumed := b != nil && b.Assumed
	if o.booked() == BookBooked || assumed {
		list = append(list, Entry{Refund: -1, FlowID: b.FlowID, At: b.At, Sum: o.Amount})
	}
	for i, r := range o.Refunds {
		switch {
		case r.FlowID != "":
			list = append(list, Entry{Refund: i, FlowID: r.FlowID, At: r.BookedAt, Sum: r.Sum})
		case assumed && r.State == RefundDone:
			list = append(list, Entry{Refund: i, FlowID: r.Request, At: r.EndedAt.Wall, Sum: r.Sum})
		}
	}
	return list
}

// Settled tells whether HIS and the money agree: booked, or given back.
func (o *Order) Settled() bool {
	return o.Outcome != Paid || o.booked() == BookNone || o.booked() == BookBooked || o.FullyReversed()
}
