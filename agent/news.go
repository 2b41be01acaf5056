package agent

import (
	"bytes"
	"cmp"
	"slices"

	"payagent/agent/order"
	"payagent/queue"
)

// What may be new of an order besides its end or doubt, whose words are those
// of its state.
const (
	NewsRefund    = "refund"     // a refund changed its state
	NewsLate      = "late_money" // money was found after an unpaid end, or was given back
	NewsBooking   = "booking"    // HIS's word was taken
	NewsUnbooked  = "unbooked"   // HIS is silent
	NewsReversing = "reversing"  // the money will go back if HIS stays silent
)

// News says what an event tells to those who only follow outcomes; empty for
// nothing: that an order was made, sent or asked about is no news to them.
func (e Event) News() string {
	is, was := e.Order, e.Was
	if was == nil {
		was = &order.Order{}
	}
	state := is.State()
	switch {
	case state != was.State() && (state.Final() || state == order.InDoubt):
		return string(state)
	case is.LateFound != was.LateFound || is.LateDone != was.LateDone:
		return NewsLate
	case !slices.EqualFunc(is.Refunds, was.Refunds, func(a, b order.RefundLine) bool { return a.Request == b.Request && a.State == b.State }):
		return NewsRefund
	}
	return bookingNews(is.Booking, was.Booking)
}

// bookingNews says what is new of HIS's own books: its word, as it was taken,
// a reminder that there is none, and that the money will go back if none comes.
func bookingNews(is, was *order.BookingState) string {
	if is == nil {
		return ""
	}
	if was == nil {
		was = &order.BookingState{}
	}
	switch {
	case is.State != was.State && is.State != order.BookPending:
		return NewsBooking
	case is.ToldAt != nil && was.ToldAt == nil:
		return NewsReversing
	case is.Prompted != was.Prompted || is.Alarmed != was.Alarmed:
		return NewsUnbooked
	}
	return ""
}

// lanes is how many goroutines take the records of a long stretch apart, and
// long what that is.
const (
	lanes = 2
	long  = 32 // records
)

// Follow looks at up to limit records of the log after seq, for those who
// follow outcomes, and shows the events among them that may be news: those of
// one order after each other, those of different orders maybe at the same time.
// An event's orders are of use until see returns; the next events take their
// place. read is the last record looked at (seq if there is none), first the
// oldest number still kept.
func (a *Agent) Follow(seq uint64, limit int, see func(Event) error) (read, first uint64, err error) {
	entries, from, err := a.parts.Log.After(queue.Seq(seq), limit)
	if err != nil || len(entries) == 0 {
		return seq, uint64(from), err
	}
	if len(entries) < long {
		err = a.follow(entries, 0, 1, see)
	} else {
		var other [lanes - 1]chan error
		for i := range other {
			done := make(chan error, 1)
			other[i] = done
			go func() { done <- a.follow(entries, i+1, lanes, see) }()
		}
		err = a.follow(entries, 0, lanes, see)
		for _, done := range other {
			err = cmp.Or(<-done, err)
		}
	}
	if err != nil {
		return seq, 0, err
	}
	return uint64(entries[len(entries)-1].Seq), uint64(from), nil
}

// follow is Follow for the orders of one lane.
func (a *Agent) follow(entries []queue.Entry, lane, of int, see func(Event) error) error {
	w, was, is := walk{}, &order.Order{}, &order.Order{}
	for _, e := range entries {
		if IsNote(e.Stream) || laneOf(e.Stream, of) != lane {
			continue
		}
		// What is behind the last place is not read for a record that is no news.
		if w[e.Stream] == nil && kindOf(e.Data) != order.KindCreated && a.dull(e.Data) {
			continue
		}
		facts, err := a.until(w, e)
		if err != nil {
			if a.dull(e.Data) {
				continue
			}
			return err
		}
		if f := facts[len(facts)-1]; dullFact(f.Kind, f.Sent) {
			continue
		}
		ev, err := eventOf(e, facts, was, is)
		if err != nil {
			return err
		}
		if err := see(ev); err != nil {
			return err
		}
	}
	return nil
}

func laneOf(stream string, of int) int {
	sum := uint(0)
	for i := range len(stream) {
		sum = 31*sum + uint(stream[i])
	}
	return int(sum % uint(of))
}

// Notes is the same for the notes of a kind.
func (a *Agent) Notes(kind string, seq uint64, limit int) (list []Note, read, first uint64, err error) {
	read, first, err = a.each(seq, limit, func(e queue.Entry) error {
		if !IsNote(e.Stream) {
			return nil
		}
		n, err := readNote(e)
		if err == nil && n.Kind == kind {
			list = append(list, n)
		}
		return err
	})
	return list, read, first, err
}

// Record is one record of the log: a fact of an order, or a note.
type Record struct {
	Seq  uint64
	Fact *order.Fact
	Note *Note
}

// Records looks at up to limit records of the log after seq, in order, until
// look fails. read and first are those of Follow.
func (a *Agent) Records(seq uint64, limit int, look func(Record) error) (read, first uint64, err error) {
	return a.each(seq, limit, func(e queue.Entry) error {
		r := Record{Seq: uint64(e.Seq)}
		if IsNote(e.Stream) {
			n, err := readNote(e)
			if err != nil {
				return err
			}
			r.Note = &n
		} else {
			facts, err := a.facts.add(nil, e)
			if err != nil {
				return err
			}
			r.Fact = &facts[0]
		}
		return look(r)
	})
}

func (a *Agent) each(seq uint64, limit int, look func(queue.Entry) error) (read, first uint64, err error) {
	entries, from, err := a.parts.Log.After(queue.Seq(seq), limit)
	if err != nil {
		return seq, 0, err
	}
	read = seq
	for _, e := range entries {
		if err := look(e); err != nil {
			return seq, 0, err
		}
		read = uint64(e.Seq)
	}
	return read, uint64(from), nil
}

// dull tells that a record can be no news, whatever came before it, so that
// its order need not be read.
func (a *Agent) dull(data []byte) bool {
	head := order.Fact{Kind: kindOf(data)}
	if head.Kind == "" || head.Kind == order.KindSent {
		if a.facts.Read(data, &head) != nil {
			return false
		}
	}
	return dullFact(head.Kind, head.Sent)
}

// dullFact is dull for a fact. A kind that is not known is looked at.
func dullFact(kind order.Kind, sent *order.Sent) bool {
	switch kind {
	case order.KindCreated, order.KindKey, order.KindConfirmed, order.KindDetached, order.KindCancelAsked, order.KindLeft:
		return true
	case order.KindSent:
		return sent != nil && sent.Verb != order.VerbRefund && sent.Verb != order.VerbCancel
	}
	return false
}

// kindOf is a record's kind. The journal writes it first, so that most records
// need not be taken apart to tell; of one that looks different it is empty.
func kindOf(data []byte) order.Kind {
	rest, ok := bytes.CutPrefix(data, []byte(`{"kind":"`))
	if !ok {
		return ""
	}
	kind, _, _ := bytes.Cut(rest, []byte{'"'})
	return order.Kind(kind)
}
