package counter

import (
	"slices"

	"payagent/agent/order"
	"payagent/platforms"
)

// withOrder fetches an order from the log if memory does not hold it, together
// with what is found under keys, and goes on. An order that owes nothing goes
// again at once.
func (c *Counter) withOrder(no string, reply uint64, keys []string, then func(x *entry, f Found)) {
	if c.stopped { // nothing it could write would last
		c.reply(Reply{ID: reply, Code: CodeStopped})
		return
	}
	c.lookup(pending{then: func(f Found) {
		x := c.orders[no]
		code := c.halted()
		switch {
		case code != "":
			c.reply(Reply{ID: reply, Code: code})
			return
		case x == nil && len(f.Orders[no]) == 0:
			c.reply(Reply{ID: reply, Code: CodeNotFound})
			return
		case x == nil:
			x = c.add(f.Orders[no][0])
		}
		then(x, f)
		c.advance(x)
	}}, keys, []string{no})
}

func (c *Counter) answer(id uint64, code string, x *entry, refund string) {
	c.reply(Reply{ID: id, Code: code, Order: x.o.Clone(), Refund: refund, Platform: x.o.Platform})
}

// book takes HIS's word about a payment or a refund. The same word again is a
// repetition; another one is refused, because the first may have moved money.
func (c *Counter) book(e Book) {
	var keys []string
	if e.Word.FlowID != "" {
		keys = append(keys, flowKey(e.Word.FlowID))
	}
	c.withOrder(e.Order, e.Reply, keys, func(x *entry, f Found) {
		code := c.bookGuard(x.o, e.Word, f)
		if code == CodeDone {
			c.heed(x, e.Word, keys)
		}
		c.advance(x)
		c.answer(e.Reply, code, x, e.Word.Refund)
	})
}

// bookGuard decides about a word of HIS.
func (c *Counter) bookGuard(o *order.Order, w order.Booked, f Found) string {
	if w.Refund != "" {
		return c.bookRefundGuard(o, w, f)
	}
	have := o.Word()
	r := o.Reversal()
	switch {
	case o.State() != order.Paid:
		return CodeNotPaid
	case have != nil && have.Same(w):
		return CodeReplayed
	case !w.OK && o.Booking != nil && o.Booking.State == order.BookFailed && o.Booking.Assumed:
		return CodeReplayed // taken back before
	case w.OK && o.Booking != nil && o.Booking.State == order.BookFailed:
		return CodeBookFailed
	case have != nil && o.Booking.State != order.BookSplit && !o.Booking.Assumed:
		return CodeDiffers
	case w.OK && (r != nil && r.State != order.RefundRefused || o.FullyReversed()):
		return CodeBookLate // the money went back, or is on its way
	case have != nil && have.FlowID == w.FlowID: // the split payment under its own number
	case c.flowUsed(o, w.FlowID, f):
		return CodeFlowUsed
	}
	return CodeDone
}

func (c *Counter) bookRefundGuard(o *order.Order, w order.Booked, f Found) string {
	i := slices.IndexFunc(o.Refunds, func(r order.RefundLine) bool { return r.Request == w.Refund })
	if i < 0 {
		return CodeNotFound
	}
	switch r := o.Refunds[i]; {
	case r.State != order.RefundDone:
		return CodeNotDone
	case r.FlowID != "" && w.OK && r.FlowID == w.FlowID, r.BookFailed != "" && !w.OK:
		return CodeReplayed
	case r.FlowID != "":
		return CodeDiffers
	case c.flowUsed(o, w.FlowID, f):
		return CodeFlowUsed
	}
	return CodeDone
}

// flowUsed tells whether HIS's number stands on another payment or refund.
func (c *Counter) flowUsed(o *order.Order, flow string, f Found) bool {
	return flow != "" && (c.flows[flow] != "" || slices.Contains(flowsOf(o), flow) || len(f.Orders[flowKey(flow)]) > 0)
}

// flowsOf lists HIS's numbers on an order.
func flowsOf(o *order.Order) []string {
	var list []string
	if o.Booking != nil && o.Booking.FlowID != "" {
		list = append(list, o.Booking.FlowID)
	}
	for _, r := range o.Refunds {
		if r.FlowID != "" {
			list = append(list, r.FlowID)
		}
	}
	return list
}

// heed writes HIS's word down.
func (c *Counter) heed(x *entry, w order.Booked, keys []string) {
	f := c.fact(x, order.KindBooked)
	f.Booked = &w
	if w.OK && !c.hisBooks {
		keys = append(slices.Clip(keys), HisBooksKey)
	}
	if !c.write(x, f, Write{Keys: keys}) {
		return
	}
	if w.OK && !c.hisBooks {
		c.hisBooks = true
		c.relink()
	}
	switch {
	case w.Refund != "" && !w.OK:
		c.emit(Alarm{Code: AlarmBookRefund, Order: x.o.No, Platform: x.o.Platform})
	case w.Refund == "" && x.o.Booking.State == order.BookSplit:
		c.emit(Alarm{Code: AlarmSplit, Order: x.o.No, Platform: x.o.Platform})
	}
}

// told notes that a HIS which only asks in a platform's own words heard that
// the order is paid. It has no word for its books, so its next word, if any, is
// that the money shall go back.
func (c *Counter) told(e Told) {
	c.withOrder(e.Order, e.Reply, nil, func(x *entry, _ Found) {
		if b := x.o.Booking; x.o.State() == order.Paid && b != nil && b.State == order.BookPending && !b.TellsNot {
			c.write(x, c.fact(x, order.KindTold), Write{})
		}
		c.advance(x)
		c.answer(e.Reply, CodeDone, x, "")
	})
}

// assume books a payment that such a HIS did not take back. The order's own
// number stands for HIS's.
func (c *Counter) assume(x *entry) {
	f := c.fact(x, order.KindBooked)
	f.Booked = &order.Booked{OK: true, Assumed: true, FlowID: x.o.No, At: x.o.Booking.AnsweredAt.Wall, Operator: x.o.Operator}
	c.write(x, f, Write{Keys: []string{flowKey(x.o.No)}})
}

// hisLink notes whether HIS can be reached. Silence counts only on a link that
// works, from when it began to work.
func (c *Counter) hisLink(up bool) {
	if up == c.linkUp {
		return
	}
	c.linkUp, c.linkAt = up, c.now.Instant
	c.relink()
}

func (c *Counter) relink() {
	for _, x := range c.sorted() {
		if x.o.Books != nil && x.o.Books.Silence > 0 {
			c.linked(x)
			c.advance(x)
		}
	}
}

func (c *Counter) linked(x *entry) {
	x.o.Loop.LinkUp, x.o.Loop.LinkAt = c.linkUp && c.hisBooks, c.linkAt
}

// giveBack notes that what is left of a paid order goes back, because HIS could
// not book it, or is silent where a kiosk may not wait. Refunds that wait for a
// second person are a part of it.
func (c *Counter) giveBack(x *entry, reason string) {
	for _, r := range x.o.Refunds {
		if r.State == order.RefundAwaiting {
			f := c.fact(x, order.KindDecided)
			f.Decided = &order.Decided{Refund: r.Request, Reason: reason, Operator: platforms.Operator{ID: "payagent"}}
			c.write(x, f, Write{})
		}
	}
	r := order.Refund{Request: order.ReversalRequest(x.o.No), Sum: x.o.Amount - x.o.RefundClaims(), Operator: x.o.Operator, Reason: reason,
		Auto: true, Via: order.ViaCancel}
	if c.cfg.Reverse.With == order.ViaRefund {
		r.Via = order.ViaRefund
	} else if c.cfg.Reverse.Through != x.o.Platform {
		r.Through = c.cfg.Reverse.Through
	}
	f := c.fact(x, order.KindRefund)
	f.Refund = &r
	if c.write(x, f, Write{Keys: []string{refundKey(r.Request)}}) {
		x.o.Loop.NoMoreCancel = false
		c.emit(Alarm{Code: AlarmReversing, Order: x.o.No, Platform: x.o.Platform})
	}
}

// bookNote is what the cashier is told of the payment last taken: that HIS has
// not booked it for long, or that its money goes back.
func bookNote(o *order.Order) string {
	if o == nil || o.State() != order.Paid || o.Booking == nil {
		return ""
	}
	switch r := o.Reversal(); {
	case r != nil && !r.State.Final():
		return NoteReversing
	case o.Booking.State == order.BookPending && o.Booking.Prompted && r == nil:
		return NoteUnbooked
	case o.Booking.State == order.BookSplit:
		return NoteSplit
	}
	return ""
}
