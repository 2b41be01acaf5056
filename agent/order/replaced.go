package order

// Replaced is why an order ends that was never sent, on a box in whose place
// another one is (FLT-17).
const Replaced = "box_replaced"

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
