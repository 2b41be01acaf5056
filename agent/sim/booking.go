package sim

import (
	"slices"
	"strconv"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// The words that HIS may have for a payment.
const (
	wordBooked = ""       // it books, a moment after it was told paid
	wordFailed = "failed" // it could not process it
	wordNone   = "none"   // it never says anything
	wordLate   = "late"   // it books after many minutes
	wordSplit  = "split"  // it took the insurance's part and not the cash
)

// bookTerms is what the agent expects of HIS: the figures of the default
// configuration, and a kiosk that may reverse on silence where the plan says so.
func (w *World) bookTerms(till string) *order.BookTerms {
	t := &order.BookTerms{Prompt: time.Minute, Alarm: 10 * time.Minute}
	if till == "k1" && w.plan.Silence {
		t.Silence = 2 * time.Minute
	}
	return t
}

// said is what HIS said of one order and how it was answered.
type said struct {
	ok     bool // the last word given
	failed bool // it was told, and taken, that it failed
	booked bool // it was told, and taken, that it is booked
	late   bool // its booking was refused because the money goes back
	flow   string
	split  bool
}

// paidNow is HIS hearing that an order is paid.
func (h *his) paidNow(o *order.Order, b *Bill) {
	w := h.w
	if o.Booking == nil || h.said[o.No] != nil {
		return
	}
	h.said[o.No] = &said{}
	after := b.WordAfter
	switch word := b.Word; word {
	case wordNone:
		w.hit(HISSilent, o.No)
	case wordLate:
		w.hit(HISSilent, o.No)
		w.after(after+12*time.Minute, func() { h.book(o.No, true, 0) })
	case wordFailed:
		w.hit(HISFails, o.No)
		w.after(after, func() { h.book(o.No, false, 0) })
	default:
		h.said[o.No].split = word == wordSplit
		w.after(after, func() { h.book(o.No, true, 0) })
	}
}

// book gives HIS's word until it is answered. A word may be repeated, and be
// followed by one that says the opposite, which the agent must refuse.
func (h *his) book(no string, ok bool, tries int) {
	w := h.w
	b, s := h.billOf(no), h.said[no]
	if b == nil || s == nil || tries > 400 {
		return
	}
	again := func(d time.Duration) { w.after(d, func() { h.book(no, ok, tries+1) }) }
	if w.proc == nil {
		again(5 * time.Second)
		return
	}
	word := order.Booked{OK: ok, At: w.wall(), Operator: platforms.Operator{ID: "op1"}, Reason: "his"}
	if ok {
		word.FlowID = "F" + no
		if b.FlowTwice {
			word.FlowID = "F-same" // of which only one order may have it
		}
	}
	yes, nothing := true, false
	if s.split {
		word.InsuranceTaken, word.CashTaken = &yes, &nothing
	}
	s.ok = ok
	heard := false
	e := counter.Book{Order: no, Word: word}
	e.Reply = h.id(func(r counter.Reply) {
		heard = true
		h.booked(no, b, word, r, again)
	})
	w.after(10*time.Second, func() {
		if !heard {
			again(time.Second)
		}
	})
	w.proc.step(e)
	if b.Double > 0 && w.proc != nil {
		e.Reply = h.id(nil)
		w.proc.step(e)
	}
}

func (h *his) booked(no string, b *Bill, word order.Booked, r counter.Reply, again func(time.Duration)) {
	w, s := h.w, h.said[no]
	switch r.Code {
	case counter.CodeStopped:
		again(5 * time.Second)
	case counter.CodeDone, counter.CodeReplayed:
		if s.split {
			// It is made good a while later: booked whole, or undone.
			w.after(3*time.Minute, func() { s.split = false; h.book(no, b.Amount%2 == 0, 0) })
			return
		}
		if s.booked = s.booked || word.OK; word.OK {
			s.flow = word.FlowID
		} else {
			s.failed = true
		}
		if b.Contradict {
			b.Contradict = false
			w.hit(HISTwice, no)
			w.after(time.Second, func() { h.book(no, !word.OK, 0) })
		}
	case counter.CodeFlowUsed:
		b.FlowTwice = false
		again(time.Second)
	case counter.CodeBookLate:
		s.late = true
	}
}

// approve is the second person who looks at refunds that wait for one. Now and
// then the maker tries it first.
func (h *his) approve(no, request, maker string, tries int) {
	w := h.w
	if tries > 200 {
		return
	}
	r := w.rng("approve", request)
	who, ok := "op9", r.IntN(4) > 0
	if tries == 0 && r.IntN(2) == 0 {
		who = maker
	}
	again := func(d time.Duration) { w.after(d, func() { h.approve(no, request, maker, tries+1) }) }
	if w.proc == nil {
		again(5 * time.Second)
		return
	}
	w.hit(Second, no)
	heard := false
	id := h.id(func(r counter.Reply) {
		heard = true
		switch r.Code {
		case counter.CodeStopped, counter.CodeSamePerson:
			again(5 * time.Second)
		}
	})
	w.after(10*time.Second, func() {
		if !heard {
			again(time.Second)
		}
	})
	w.proc.step(counter.Decide{Reply: id, Order: no, Decided: order.Decided{Refund: request, OK: ok, Operator: platforms.Operator{ID: who}}})
}

// resolve lets two people look at the platform's statement and say how an
// order in doubt ended, or what became of a refund. wrong makes them misread
// it the first time.
func (h *his) resolve(no string) {
	w := h.w
	o := w.check.belief[no]
	if o == nil || w.proc == nil || h.resolving[no] > 40 {
		if o != nil && h.resolving[no] <= 40 {
			w.after(30*time.Second, func() { h.resolve(no) })
		}
		return
	}
	h.resolving[no]++
	w.settle()
	tr, known := w.trade(o.Platform, no)
	p := order.Proposal{Evidence: "statement", Reason: "in doubt", Operator: platforms.Operator{ID: "op7"}}
	i := slices.IndexFunc(o.Refunds, func(r order.RefundLine) bool { return r.State == order.RefundInDoubt })
	switch {
	case o.State() == order.InDoubt:
		p.Outcome = order.Canceled
		if known && tr.State == bank.Paid {
			p.Outcome, p.TradeNo = order.Paid, tr.TradeNo
		}
		if w.plan.Misread && h.resolving[no] == 1 {
			p.Outcome = map[order.State]order.State{order.Paid: order.Canceled, order.Canceled: order.Paid}[p.Outcome]
		}
	case i >= 0:
		p.Refund, p.Outcome = o.Refunds[i].Request, order.RefundWasNot
		if tr.State == bank.Revoked || tr.Refunded >= o.RefundedSum()+o.Refunds[i].Sum {
			p.Outcome = order.RefundWas
		}
	default:
		return
	}
	w.hit(Resolve, no)
	w.proc.step(counter.Propose{Reply: h.id(nil), Order: no, Proposal: p})
	if w.proc != nil {
		w.proc.step(counter.Decide{Reply: h.id(nil), Order: no, Decided: order.Decided{OK: true, Operator: platforms.Operator{ID: "op7"}}})
	}
	w.after(2*time.Second, func() {
		if w.proc != nil {
			w.proc.step(counter.Decide{Reply: h.id(nil), Order: no, Decided: order.Decided{OK: true, Operator: platforms.Operator{ID: "op8"}}})
		}
	})
	w.after(10*time.Minute, func() { h.resolve(no) })
}

// people resolve what is still in doubt when all is quiet.
func (h *his) people() {
	w := h.w
	for _, no := range w.journal.order {
		o := w.check.belief[no]
		if o != nil && (o.State() == order.InDoubt || slices.ContainsFunc(o.Refunds, func(r order.RefundLine) bool { return r.State == order.RefundInDoubt })) {
			h.resolve(no)
		}
	}
}

// drawBooking says what HIS makes of each payment, and how people behave.
func (p *Plan) drawBooking(w *World, t0 time.Duration) {
	has := p.Faults.Has
	for i := range p.Bills {
		b := &p.Bills[i]
		r := w.rng("word", strconv.Itoa(i))
		b.WordAfter = span(r, 100*time.Millisecond, 30*time.Second)
		kind, twice, flow := r.IntN(6), r.IntN(3), r.IntN(3)
		switch {
		case has(HISFails) && kind < 3:
			b.Word = wordFailed
		case has(HISSilent) && kind == 3:
			b.Word = wordNone
		case has(HISSilent) && kind == 4:
			b.Word = wordLate
		case has(HISTwice) && kind == 5:
			b.Word = wordSplit
		}
		b.Contradict, b.FlowTwice = has(HISTwice) && twice == 0, has(HISTwice) && flow == 0
	}
	r := w.rng("book plan")
	p.Silence = has(Kiosk)
	p.ReverseRefund = r.IntN(4) == 0
	if has(Second) {
		p.RefundAlone = platforms.Fen(1 + r.IntN(20_000))
	}
	if has(Resolve) {
		p.Meetings = []time.Duration{p.Heal + time.Hour}
	}
	if p.Silence {
		at := t0
		for range 1 + r.IntN(4) {
			from := at + span(r, 0, 3*time.Minute)
			at = from + span(r, time.Minute, 20*time.Minute)
			p.Links = append(p.Links, Span{From: from, To: at})
		}
	}
}

// link tells the agent whether HIS can be reached.
func (w *World) link() {
	if w.proc != nil {
		w.proc.step(counter.HisLink{Up: inside(w.plan.Links, w.g) != nil})
	}
}
