package finance

import (
	"payagent/agent/order"
	"payagent/platforms"
)

// unbooked tells whether HIS owes a booking of a paid order.
func unbooked(o *order.Order) bool {
	return o.Booking != nil && o.Booking.State != order.BookBooked && o.Booking.State != order.BookNone && !o.FullyReversed()
}

// automatic tells whether the agent gave the money back by itself.
func automatic(r order.RefundLine) bool { return r.Auto }

// bookedMoney is what HIS booked of an order, as far as it told this agent.
func bookedMoney(o *order.Order) (paid, back platforms.Fen) {
	for _, e := range o.Entries() {
		if e.Refund < 0 {
			paid += e.Sum
		} else {
			back += e.Sum
		}
	}
	return paid, back
}
