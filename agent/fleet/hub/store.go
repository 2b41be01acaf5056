package hub

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"payagent/agent/fleet"
)

// Store keeps what the hub has taken in. Its members are boltstore and pgstore;
// hubtest is what each must keep. It is safe for concurrent use.
type Store interface {
	// Put makes a batch durable, all of it or nothing. After an error either
	// may be the case. It takes every text that JSON can hold, zero characters
	// and halves of surrogate pairs too: what it refused would come again for
	// ever, and hold up what came with it.
	Put(ctx context.Context, b Batch) error
	// Read gives what fits the query, one call of yield per item, and stops at
	// yield's first error, which it returns. Orders come by site, box and
	// number.
	Read(ctx context.Context, q Query, yield func(Item) error) error
	Close() error
}

// Batch is what is written together.
type Batch struct {
	Events  []Event
	Orders  []Order // merged with what is there: see Merge
	Streams []Stream
	Holes   []Hole
	Held    []Held
	Release []Held // taken out of the quarantine
	// ForgetPersons drops what was sealed of orders that changed last before
	// it, and of what is held from before it (WithoutSealed); ForgetAll drops
	// orders, events, holes and what is held before it. Zero: nothing.
	ForgetPersons, ForgetAll time.Time
}

// Stream is how far the hub has one stream of one box.
type Stream struct {
	Site, Box, Name string
	Epoch           string
	Seq             uint64    // everything of Epoch up to it is here
	Last            time.Time // of the newest event here
	// Until is the latest moment at which the box itself said that nothing of
	// it was waiting to be acknowledged.
	Until time.Time
}

// Hole is what is known to be missing.
type Hole struct {
	Site, Box, Name, Epoch string
	From, To               uint64    // numbers that are missing; To 0: not known
	After, Before          time.Time // between these moments
	Reason                 string    // pruned, new_store
}

// Event is one event as it was taken in, without what was sealed.
type Event struct {
	Site, Box, Stream, Epoch string
	Seq                      uint64
	Type, Subject            string
	Time                     time.Time
	Data                     json.RawMessage
}

// Order is the newest that is known of an order of a box.
type Order struct {
	Site, Box string
	Epoch     string
	Seq       uint64
	Rev       int
	Changed   time.Time // of the event
	Facts     fleet.Order
	// Sealed is the patient, readable with the hub's key only, and SealedIn the
	// id of the event that it came in.
	Sealed, SealedIn string
}

// Query asks for one thing: the streams and holes (Streams), what is held, by
// site, box, stream, epoch and number (Held), the orders with a
// number (No), or the orders that something happened to on the days from From
// to To (UTC+8, both inclusive).
type Query struct {
	Streams  bool
	Held     bool
	No       string
	From, To time.Time
	Site     string // empty: all
}

// Item is one answer; one of its fields is set.
type Item struct {
	Stream *Stream
	Hole   *Hole
	Held   *Held
	Order  *Order
}

// Merge gives what to keep of an order that is there and one that comes: the
// newer facts, and the last that was sealed. A machine that took the order over
// from another one does not know of refunds that were over by then, and of what
// HIS booked only once the order is paid there, too; what was so stays so.
func Merge(old, next Order) Order {
	newer := next.Changed.After(old.Changed)
	if next.Epoch == old.Epoch {
		newer = next.Rev > old.Rev || next.Rev == old.Rev && next.Seq > old.Seq
	}
	keep, other := old, next
	if newer {
		keep, other = next, old
	}
	if keep.Sealed == "" {
		keep.Sealed, keep.SealedIn = other.Sealed, other.SealedIn
	}
	f := &keep.Facts
	for _, e := range other.Facts.Entries {
		if !slices.ContainsFunc(f.Entries, func(x fleet.Entry) bool { return x.RefundNo == e.RefundNo }) {
			f.Entries = append(slices.Clip(f.Entries), e)
		}
	}
	for _, r := range other.Facts.Refunds {
		if !slices.ContainsFunc(f.Refunds, func(x fleet.Refund) bool { return x.RefundNo == r.RefundNo }) {
			f.Refunds = append(slices.Clip(f.Refunds), r)
			if r.State == "done" {
				f.RefundedFen += r.AmountFen
			}
		}
	}
	return keep
}

// zone is the platform's time.
func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// DayOf is the day of an instant, as 2006-01-02.
func DayOf(t time.Time) string { return t.In(zone()).Format("2006-01-02") }

// Days are the days that something happened to an order on, sorted; the day
// of the event that it is from is one of them.
func (o Order) Days() []string {
	var days []string
	add := func(list ...*time.Time) {
		for _, t := range list {
			if t != nil && !t.IsZero() {
				days = append(days, DayOf(*t))
			}
		}
	}
	f := o.Facts
	add(&o.Changed, f.CreatedAt, f.EndedAt, f.PaidAt)
	for _, e := range f.Entries {
		add(e.BookedAt)
	}
	for _, r := range f.Refunds {
		add(r.AskedAt, r.EndedAt)
	}
	slices.Sort(days)
	return slices.Compact(days)
}

// DaysBetween lists the days from from to to.
func DaysBetween(from, to time.Time) []string {
	var days []string
	last := DayOf(to)
	for t := from.In(zone()); len(days) <= 1000; t = t.AddDate(0, 0, 1) {
		day := t.Format("2006-01-02")
		if day > last {
			break
		}
		days = append(days, day)
	}
	return days
}
