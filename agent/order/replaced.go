package order

// Replaced is why an order ends that was never sent, on a box in whose place
// another one is (FLT-17).
const Replaced = "box_replaced"

// Before is what the box before this one knew of an order that was taken over
// from it (ORD-20).
type Before struct {
	// Paid: it had the platform's proof. Here that is no proof; but nothing that
	// could give the money back begins by itself.
	Paid bool `json:"paid,omitempty"`
	// Booked is what HIS made of the payment; nil for no word.
	Booked *Booked `json:"booked,omitempty"`
	// Refunds that had not ended. Each may have left, so each is asked for with
	// its own number once the platform says paid here too.
	Refunds []Refund `json:"refunds,omitempty"`
}

// paidBefore tells that only the platform's word, or people's, may end the
// order: HIS may have booked it.
func (o *Order) paidBefore() bool {
	return o.Before != nil && o.Before.Paid && o.CancelSent == nil
}

// Past is what another box that takes the order over has to know of it; nil for
// nothing. A refund that waits for a second person is not in it: nothing of it
// was sent. Nor is what people wrote.
func (o *Order) Past() *Before {
	p := Before{Paid: o.Outcome == Paid, Booked: o.Word()}
	if p.Booked != nil {
		p.Booked.Assumed = o.Booking.Assumed
	}
	for i := range o.Refunds {
		if r := &o.Refunds[i]; !r.State.Final() && r.State != RefundAwaiting {
			p.Refunds = append(p.Refunds, r.Refund)
		}
	}
	if b := o.Before; b != nil {
		p.Paid = p.Paid || b.Paid
		if p.Booked == nil {
			p.Booked = b.Booked
		}
		for i := range b.Refunds {
			if o.refund(b.Refunds[i].Request) == nil {
				p.Refunds = append(p.Refunds, b.Refunds[i])
			}
		}
	}
	if p.Booked != nil {
		w := *p.Booked
		w.Operator.Name, w.Reason, w.Card = "", "", nil
		p.Booked = &w
	}
	for i := range p.Refunds {
		r := &p.Refunds[i]
		r.Operator.Name, r.Reason, r.Key = "", "", IdemKey{}
		r.NeedsSecond = false // a second person said yes
	}
	if !p.Paid && p.Booked == nil && p.Refunds == nil {
		return nil
	}
	return &p
}

// HasRefund tells whether a refund of that number was asked for.
func (o *Order) HasRefund(request string) bool { return o.refund(request) != nil }

// NextReplaced is [Order.Next] on a box in whose place another one is. The
// other box answers for the money: here an open order is asked about and
// nothing else, because two that cancel or give back would each do it. What was
// never sent ends, so that it never will be.
func (o *Order) NextReplaced(p Policy, noQuery bool, now Now) Step {
	l := &o.Loop
	switch {
	case o.State() == Queued, o.State() == Waiting:
		return Step{Do: DoEnd, At: now.Mono, State: Failed, Reason: Replaced, Unsent: true}
	case l.Calling != "" || l.PayOpen:
		return waitForEvent()
	case o.Outcome != "" && !o.Owes():
		return do(DoClose, now.Mono)
	case o.Outcome != "" || noQuery:
		return waitForEvent()
	case l.AskNow:
		return do(DoQuery, now.Mono)
	case l.Woken:
		return do(DoQuery, o.wokenAt(now))
	}
	return do(DoQuery, o.slowAsk(p, now))
}

// Owes tells whether somebody still waits for something of the order: the
// platform's word, HIS's, or money that goes back.
func (o *Order) Owes() bool {
	if o.Outcome == "" || o.LateFound && !o.LateDone || o.Booking != nil && o.Booking.State == BookPending {
		return true
	}
	for i := range o.Refunds {
		if !o.Refunds[i].State.Final() {
			return true
		}
	}
	return false
}
