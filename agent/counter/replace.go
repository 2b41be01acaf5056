package counter

import (
	"time"

	"payagent/agent/order"
)

// Replace says that another box is in the place of this one (FLT-17): from now
// on nothing new is taken, nothing is canceled and nothing given back here. It
// is never taken back; the shell remembers it and starts with Config.Replaced.
type Replace struct{}

// TakeOver hands over what the box before this one left open (ORD-20). The
// reply comes when it is durable. What is known here already is passed over,
// so it may be said again.
type TakeOver struct {
	Reply  uint64
	Orders []Capsule
}

// Capsule is what is known of an order of another box for which something may
// have been sent. There is nothing in it to pay with.
type Capsule struct {
	No       string
	Spec     order.Created
	Created  int64 // Unix ms
	Handle   string
	TradeNo  string
	Canceled bool         // a cancel may have been sent
	Ended    *order.Ended // it ended unpaid, and money may still come
	Late     bool         // or has come, and is not given back
}

// watchedFor is how long after an unpaid end another box still hears of an
// order. Later money is for the day's comparison to find.
const watchedFor = 70 * time.Minute

// CapsuleOf tells what another box has to know of an order to answer for it in
// this one's place; false for one that owes nothing or was never sent.
func CapsuleOf(o *order.Order, now order.Now) (Capsule, bool) {
	unpaid := o.Outcome == order.Failed || o.Outcome == order.Canceled
	watched := unpaid && !o.Unsent && o.Resolution == nil && now.Age(o.EndedAt) < watchedFor
	if o.SentAt == nil && !o.Foreign || !watched && (!o.Owes() || unpaid && !o.LateFound) {
		return Capsule{}, false
	}
	k := Capsule{No: o.No, Created: o.CreatedAt.Wall, Handle: o.Handle, TradeNo: o.TradeNo, Canceled: o.CancelSent != nil, Late: o.LateFound && !o.LateDone,
		Spec: order.Created{Bill: o.Bill, Amount: o.Amount, Mode: o.Mode, Till: o.Till, Platform: o.Platform, Merchant: o.Merchant,
			Channel: o.PaidVia(), OrderType: o.OrderType, OwnNumber: o.OwnNumber, Operator: o.Operator, Foreign: o.Foreign}}
	if unpaid {
		k.Ended = &order.Ended{State: o.Outcome, Reason: o.EndReason, Action: o.Action}
		return k, true
	}
	if back := o.RefundedSum() + o.Outside; back > 0 {
		k.Spec.Elsewhere = &back
	}
	if r := o.Reversal(); o.Outcome == order.Paid && (r == nil || r.Via != order.ViaCancel) {
		k.Canceled = false // paid was believed only once no cancel before could have worked
	}
	k.Spec.Books, k.Spec.Before = o.Books, o.Past()
	return k, true
}

// movesElsewhere tells of a box in whose place another one is that a request
// is for the other one. A new order is refused later, behind the look at its
// bill, because a refusal lets the cashier take cash.
func (c *Counter) movesElsewhere(ev Event) (reply uint64, yes bool) {
	if !c.cfg.Replaced {
		return 0, false
	}
	switch e := ev.(type) {
	case Act:
		return e.Reply, e.Action != order.ActCheck
	case AskRefund:
		return e.Reply, true
	case Book:
		return e.Reply, true
	case Decide:
		return e.Reply, true
	case Propose:
		return e.Reply, true
	case Adopt:
		return e.Reply, true
	case TakeOver:
		return e.Reply, true
	case Authorise:
		return e.Reply, true
	case Settle:
		return e.Reply, true
	}
	return 0, false
}

// halted is why nothing may be written for a request that was under way.
func (c *Counter) halted() string {
	switch {
	case c.stopped:
		return CodeStopped
	case c.cfg.Replaced:
		return CodeReplaced
	}
	return ""
}

func (c *Counter) replace() {
	c.cfg.Replaced = true
	for _, name := range c.names {
		c.tills[name].dirty = true
	}
	for _, x := range c.sorted() {
		c.advance(x)
	}
}

// next is the step that an order needs next on this box.
func (c *Counter) next(x *entry, p Platform) order.Step {
	if c.cfg.Replaced {
		return x.o.NextReplaced(p.Policy, p.Traits.NoQuery, c.now)
	}
	return x.o.Next(p.Policy, p.Traits, c.now)
}

// takeOver books what another box left open. The log is asked first whether it
// was taken over before.
func (c *Counter) takeOver(e TakeOver) {
	var numbers []string
	for _, k := range e.Orders {
		numbers = append(numbers, k.No)
	}
	c.lookup(pending{then: func(f Found) {
		if code := c.halted(); code != "" || !c.ready {
			c.reply(Reply{ID: e.Reply, Code: CodeStopped})
			return
		}
		for _, k := range e.Orders {
			if c.orders[k.No] == nil && len(f.Orders[k.No]) == 0 {
				c.takeUp(k)
			}
		}
		c.reply(Reply{ID: e.Reply, Code: CodeDone})
	}}, nil, numbers)
}

// takeUp makes an order in doubt of a capsule, as restoreSlot does of a slot,
// or one that ended and is watched. It holds no till, and from here on it goes
// the way of every other: it is asked about. It counts as sent, and as ended,
// now, which is too late rather than too early.
func (c *Counter) takeUp(k Capsule) {
	at := c.now.Instant
	at.Wall = k.Created
	if b := k.Spec.Books; b != nil {
		k.Spec.Books = &order.BookTerms{Prompt: b.Prompt, Alarm: b.Alarm} // without Silence: HIS may have booked it over there
	}
	keys := []string{"till:" + k.Spec.Till}
	if k.Spec.Bill != "" {
		keys = append(keys, billKey(k.Spec.Bill))
	}
	x := c.begin(order.Fact{Kind: order.KindCreated, Order: k.No, At: at, Created: &k.Spec}, keys)
	verb := order.VerbCharge
	if k.Spec.Mode.Shown() {
		verb = order.VerbPresent
	}
	slot := slotOf(x.o, verb)
	slot.Handle = k.Handle
	f := c.fact(x, order.KindSent)
	f.Sent = &order.Sent{Verb: verb}
	c.write(x, f, Write{Slot: slot})
	if k.Handle != "" || k.TradeNo != "" {
		f = c.fact(x, order.KindAnswered)
		f.Answer = &order.Reply{Verb: verb, Handle: k.Handle, TradeNo: k.TradeNo}
		var w Write
		if k.TradeNo != "" {
			w.Keys = tradeKeys(k.TradeNo)
		}
		c.write(x, f, w)
	}
	if k.Canceled {
		// It may have given the money back, so paid proves nothing until a
		// cancel is answered.
		f = c.fact(x, order.KindSent)
		f.Sent = &order.Sent{Verb: order.VerbCancel}
		c.write(x, f, Write{})
		x.o.Loop.CancelsLost = 1
	}
	alarm := Alarm{Order: k.No, Platform: k.Spec.Platform}
	switch {
	case k.Ended == nil:
		f = c.fact(x, order.KindDoubt)
		f.Reason = order.TakenOver
		c.write(x, f, Write{})
		alarm.Code = AlarmDoubt
	case k.Late:
		c.ends(x, k.Ended)
		f = c.fact(x, order.KindLate)
		f.Reason = order.TakenOver
		c.write(x, f, Write{})
		alarm.Code = AlarmLateMoney
	default:
		c.ends(x, k.Ended)
	}
	c.write(x, c.fact(x, order.KindDetached), Write{})
	if alarm.Code != "" {
		c.emit(alarm)
	}
	c.advance(x)
}

func (c *Counter) ends(x *entry, e *order.Ended) {
	f := c.fact(x, order.KindEnded)
	f.Ended = e
	c.write(x, f, Write{})
}

// restore gives a paid order what is known of it from elsewhere: refunds of
// which only a slot tells, and what another box had done with it.
func (c *Counter) restore(x *entry) {
	list := x.restore
	x.restore = nil
	if b := x.o.Before; b != nil {
		list = append(list, b.Refunds...)
		if b.Booked != nil && x.o.Word() == nil {
			var keys []string
			if flow := b.Booked.FlowID; flow != "" {
				keys = append(keys, flowKey(flow))
			}
			c.heed(x, *b.Booked, keys)
		}
	}
	for i := range list {
		r := &list[i]
		if x.o.HasRefund(r.Request) {
			continue
		}
		f := c.fact(x, order.KindRefund)
		f.Refund = r
		c.write(x, f, Write{Keys: []string{refundKey(r.Request)}})
		// It may have left, so what the platform gave back may be this one.
		f = c.fact(x, order.KindSent)
		f.Sent = &order.Sent{Verb: order.VerbRefund, Request: r.Request}
		if r.Via == order.ViaCancel {
			f.Sent.Verb = order.VerbCancel
		}
		c.write(x, f, Write{})
	}
}
