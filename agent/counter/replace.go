package counter

import "payagent/agent/order"

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
	Canceled bool // a cancel may have been sent
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

// takeUp makes an order in doubt of a capsule, as restoreSlot does of a slot.
// It holds no till, and from here on it goes the way of every order in doubt:
// it is asked about. It counts as sent now, which is too late rather than too
// early.
func (c *Counter) takeUp(k Capsule) {
	at := c.now.Instant
	at.Wall = k.Created
	x := c.begin(order.Fact{Kind: order.KindCreated, Order: k.No, At: at, Created: &k.Spec}, []string{billKey(k.Spec.Bill), "till:" + k.Spec.Till})
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
	f = c.fact(x, order.KindDoubt)
	f.Reason = order.TakenOver
	c.write(x, f, Write{})
	c.write(x, c.fact(x, order.KindDetached), Write{})
	c.emit(Alarm{Code: AlarmDoubt, Order: k.No, Platform: k.Spec.Platform})
	c.advance(x)
}
