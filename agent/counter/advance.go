package counter

import (
	"errors"
	"maps"
	"slices"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// closeLater is when to try again to let an order go.
const closeLater = 100 * time.Millisecond

// advance takes the steps that an order needs now and sets the time of the next.
func (c *Counter) advance(x *entry) {
	if c.orders[x.o.No] != x {
		return
	}
	p := c.platform(x)
	for range 8 { // a step that repeats itself would be a fault; the next Tick goes on
		s := c.next(x, p)
		if s.At > c.now.Mono || s.Do == order.DoNothing || c.stopped {
			if c.stopped {
				s.At = order.Never
			}
			c.setWake(x, s.At)
			return
		}
		if c.take(x, p, s) {
			return
		}
	}
	c.setWake(x, c.now.Mono+1)
}

// take carries out one step. It reports whether the order is gone from memory.
func (c *Counter) take(x *entry, p Platform, s order.Step) (gone bool) {
	switch s.Do {
	case order.DoQuery:
		c.query(x, p)
	case order.DoCancel:
		c.cancel(x, p)
	case order.DoRefund:
		c.refund(x, p, s.Request)
	case order.DoReverse:
		if !p.Refund {
			c.cancel(x, p) // the only way this platform has
			break
		}
		c.reverse(x, p, s.Request)
	case order.DoGiveBack:
		c.giveBack(x, s.Reason)
	case order.DoUnbooked:
		f := c.fact(x, order.KindUnbooked)
		f.Reason = s.Reason
		c.write(x, f, Write{})
		if x.o.Booking.Alarmed {
			c.emit(Alarm{Code: AlarmUnbooked, Order: x.o.No, Platform: x.o.Platform})
		}
	case order.DoAssume:
		c.assume(x)
	case order.DoTell:
		c.write(x, c.fact(x, order.KindReversing), Write{})
	case order.DoRefuse, order.DoDecline:
		c.refuseRefund(x, s)
	case order.DoEnd:
		f := c.fact(x, order.KindEnded)
		f.Ended = &order.Ended{State: s.State, Reason: s.Reason, Unsent: s.Unsent}
		if s.Unsent {
			f.Ended.Action = platforms.ActionNone
		}
		c.write(x, f, Write{})
	case order.DoDoubt:
		f := c.fact(x, order.KindDoubt)
		f.Reason = s.Reason
		c.write(x, f, Write{})
		c.emit(Alarm{Code: AlarmDoubt, Order: x.o.No, Platform: x.o.Platform})
	case order.DoStale:
		f := x.o.StaleRefund(c.now, s.Request)
		if line := x.o.Refunds; len(line) > 0 {
			c.write(x, f, Write{})
			c.emit(Alarm{Code: AlarmRefundDoubt, Order: x.o.No, Platform: x.o.Platform})
		}
	case order.DoBelieve:
		c.carry(x, x.o.Believe(c.now))
	case order.DoClose:
		return c.close(x)
	}
	return false
}

// close lets an order go that owes nothing any more. A lookup that is under
// way may have read the log before the order's last fact, a refund too, and
// would decide on old sums, so the order stays until that lookup is answered.
func (c *Counter) close(x *entry) bool {
	if len(c.pending) > 0 && slices.Min(slices.Collect(maps.Keys(c.pending))) <= x.endTok {
		c.setWake(x, c.now.Mono+closeLater)
		return true
	}
	c.emit(Write{Order: x.o.No, Close: true})
	if t := c.tills[x.o.Till]; t != nil && t.last == x.o.No {
		t.ended, t.dirty = x.o.Clone(), true
	}
	c.remove(x)
	return true
}

func (c *Counter) query(x *entry, p Platform) {
	l := &x.o.Loop
	if l.Woken {
		c.ring(x.o.No)
	}
	l.Calling, l.Asked, l.AskNow, l.LastAsk = order.VerbQuery, true, false, c.now.Instant
	l.Woken, l.Asks = false, l.Asks+1
	c.emit(Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbQuery, Ref: x.o.Ref(),
		Timeout: p.Policy.CallTimeout, NotAfter: order.Never})
}

// cancel sends a cancel; the intent is written first, once until a definite
// answer came back.
func (c *Counter) cancel(x *entry, p Platform) {
	var back order.Refund // of a paid order that goes back
	if r := x.o.Reversal(); r != nil && x.o.State() == order.Paid {
		back = r.Refund
	}
	if x.o.CancelAsked == nil && !x.o.State().Final() {
		f := c.fact(x, order.KindCancelAsked)
		f.Person = &order.Person{Operator: x.o.Operator, Reason: "schedule", Auto: true}
		c.write(x, f, Write{})
	}
	if !x.o.CancelOpen {
		f := c.fact(x, order.KindSent)
		f.Sent = &order.Sent{Verb: order.VerbCancel, Request: back.Request}
		slot := slotOf(x.o, order.VerbCancel)
		slot.Request, slot.Sum = back.Request, back.Sum
		if !c.write(x, f, Write{Slot: slot}) {
			return
		}
		x.o.Loop.CancelMine = true
	} else if !x.o.Loop.CancelMine {
		// It may have left before a crash: what it did is not known.
		x.o.Loop.CancelMine = true
		x.o.Loop.CancelsLost++
	}
	x.o.Loop.Calling = order.VerbCancel
	call := Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbCancel, Ref: x.o.Ref(),
		Timeout: p.Policy.CallTimeout, NotAfter: order.Never}
	if c.elsewhere(back) {
		call.Platform, call.Ref.Merchant = back.Through, c.cfg.Reverse.Merchant
	}
	c.emit(call)
}

// elsewhere tells that the cancel of a reversal goes through another platform.
// One that is configured no more is not asked: its credentials are gone, too.
func (c *Counter) elsewhere(r order.Refund) bool {
	return r.Through != "" && r.Through == c.cfg.Reverse.Through
}

func (c *Counter) refund(x *entry, p Platform, request string) {
	for i := range x.o.Refunds {
		r := x.o.Refunds[i]
		if r.Request != request {
			continue
		}
		if r.State == order.RefundRequested || r.Auto && r.Via != order.ViaRefund {
			slot := slotOf(x.o, order.VerbRefund)
			slot.Request, slot.Sum = request, r.Sum
			f := c.fact(x, order.KindSent)
			f.Sent = &order.Sent{Verb: order.VerbRefund, Request: request}
			if !c.write(x, f, Write{Slot: slot}) {
				return
			}
		}
		c.callRefund(x, p, platforms.Refund{RequestNo: request, Sum: r.Sum, Reason: r.Reason, Ref: withOperator(x.o.Ref(), r.Operator)})
		return
	}
}

// reverse gives late money back by a refund, when a cancel is too late.
func (c *Counter) reverse(x *entry, p Platform, request string) {
	if x.o.State() == order.Paid {
		c.refund(x, p, request)
		return
	}
	if !x.o.LateSent {
		slot := slotOf(x.o, order.VerbRefund)
		slot.Request, slot.Sum = request, x.o.Amount
		f := c.fact(x, order.KindSent)
		f.Sent = &order.Sent{Verb: order.VerbRefund, Request: request}
		if !c.write(x, f, Write{Slot: slot}) {
			return
		}
	}
	c.callRefund(x, p, platforms.Refund{RequestNo: request, Sum: x.o.Amount, Reason: "late payment", Ref: x.o.Ref()})
}

func (c *Counter) callRefund(x *entry, p Platform, r platforms.Refund) {
	x.o.Loop.Calling = order.VerbRefund
	r.Channel = x.o.PaidVia()
	c.emit(Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbRefund, Refund: r,
		Timeout: p.Policy.CallTimeout, NotAfter: order.Never})
}

func withOperator(r platforms.Ref, op platforms.Operator) platforms.Ref {
	if op.ID != "" {
		r.Operator = op
	}
	return r
}

// noteReach learns from every call whether the platform answers and takes our
// token.
func (c *Counter) noteReach(x *entry, err error) {
	switch {
	case errors.Is(err, platforms.ErrToken):
		c.setToken(x.o.Merchant.Profile, false)
	case platforms.NeverLeft(err):
		c.reach(Reach{Platform: x.o.Platform, Clock: platforms.ClockWrong(err)})
	case err == nil:
		c.reach(Reach{Platform: x.o.Platform, Up: true})
		c.setToken(x.o.Merchant.Profile, true)
	}
}

// away is why nothing can be sent to a platform that is down.
func (c *Counter) away(platform string) string {
	if c.clock[platform] {
		return CodeClock
	}
	return CodeUnreachable
}

func (c *Counter) reach(e Reach) {
	platform, up := e.Platform, e.Up
	if _, ok := c.cfg.Platforms[platform]; !ok {
		return
	}
	c.clock[platform] = !up && e.Clock
	if c.down[platform] == !up {
		return
	}
	c.down[platform] = !up
	for _, name := range c.names {
		c.tills[name].dirty = true
	}
	if up {
		c.hurry(platform)
	}
}

func (c *Counter) setToken(profile string, ok bool) {
	if profile == "" || c.noToken[profile] == !ok {
		return
	}
	c.noToken[profile] = !ok
	if !ok {
		c.emit(Alarm{Code: AlarmTokenRefused, Platform: profile})
		return
	}
	for _, x := range c.sorted() {
		if x.o.Merchant.Profile == profile {
			x.o.Hurry()
			c.advance(x)
		}
	}
}

// hurry brings forward what is owed on a platform, or on all, oldest first.
func (c *Counter) hurry(platform string) {
	for _, x := range c.sorted() {
		if platform == "" || x.o.Platform == platform {
			x.o.Hurry()
			c.advance(x)
		}
	}
}

// recover takes up what the log and the slots held. Nothing here decides
// anything: the orders go into the loop that new ones run through.
func (c *Counter) recover(e Recover) {
	c.ready, c.hisBooks = true, e.Booked
	for _, o := range e.Orders {
		x := c.add(o)
		if o.CancelOpen {
			o.Loop.CancelsLost = 1 // its reply died with the old process
		}
		switch s := o.State(); {
		case s == order.Waiting && o.HandedCode, s == order.Waiting && o.Mode.Shown():
			// The code is gone with the old process, and nothing was sent.
			f := c.fact(x, order.KindEnded)
			f.Ended = &order.Ended{State: order.Failed, Reason: "nothing_sent", Unsent: true}
			c.write(x, f, Write{})
		case !s.Final() && s != order.Queued && !o.Detached && !o.Reopened: // that one left its till long ago
			c.takeFront(x)
		}
		c.alarmAgain(x)
		c.touch(x)
	}
	for _, s := range e.Lost {
		c.restoreSlot(s)
	}
	for _, x := range c.sorted() {
		c.advance(x)
	}
}

// alarmAgain repeats the alarms that an order stands under: the process may
// have died after the fact was durable and before a person was told.
func (c *Counter) alarmAgain(x *entry) {
	a := Alarm{Order: x.o.No, Platform: x.o.Platform}
	if x.o.State() == order.InDoubt {
		a.Code = AlarmDoubt
		c.emit(a)
	}
	if x.o.LateFound && !x.o.LateDone {
		a.Code = AlarmLateMoney
		c.emit(a)
	}
	if slices.ContainsFunc(x.o.Refunds, func(r order.RefundLine) bool { return r.State == order.RefundInDoubt }) {
		a.Code = AlarmRefundDoubt
		c.emit(a)
	}
	if b := x.o.Booking; b != nil && b.State == order.BookSplit {
		a.Code = AlarmSplit
		c.emit(a)
	} else if b != nil && b.State == order.BookPending && b.Alarmed {
		a.Code = AlarmUnbooked
		c.emit(a)
	} else if r := x.o.Reversal(); r != nil && r.Auto && !r.State.Final() {
		a.Code = AlarmReversing
		c.emit(a)
	}
}

// restoreSlot makes an order in doubt of what the second file remembers.
func (c *Counter) restoreSlot(s Slot) {
	x := c.orders[s.Order]
	reversal := s.Request == order.ReversalRequest(s.Order)
	late := s.Verb == order.VerbRefund && reversal && s.Sum == s.Amount
	if x == nil {
		mode := s.mode()
		f := order.Fact{Kind: order.KindCreated, Order: s.Order, At: c.now.Instant,
			Created: &order.Created{Amount: s.Amount, Mode: mode, Platform: s.Platform, Merchant: s.Merchant,
				Operator: s.Operator, Terminal: s.Terminal}}
		x = c.begin(f, nil)
		f = c.fact(x, order.KindSent)
		f.Sent = &order.Sent{Verb: order.VerbCharge}
		c.write(x, f, Write{})
		if late {
			// It had ended unpaid, and late money was on its way back.
			f = c.fact(x, order.KindEnded)
			f.Ended = &order.Ended{State: order.Canceled, Reason: "closed_by_platform", Action: platforms.ActionUnknown}
			c.write(x, f, Write{})
			f = c.fact(x, order.KindLate)
			f.Reason = "store_lost"
			c.write(x, f, Write{})
		} else {
			f = c.fact(x, order.KindDoubt)
			f.Reason = "store_lost"
			c.write(x, f, Write{})
		}
		c.emit(Alarm{Code: AlarmStoreLost, Order: s.Order, Platform: s.Platform})
	}
	if s.Handle != "" && x.o.Handle == "" {
		f := c.fact(x, order.KindAnswered)
		f.Answer = &order.Reply{Verb: order.VerbCharge, Handle: s.Handle}
		c.write(x, f, Write{})
	}
	if s.Verb == order.VerbCancel && !x.o.CancelOpen && !x.o.State().Final() {
		// It may have given the money back, so paid proves nothing until a
		// cancel is answered.
		f := c.fact(x, order.KindSent)
		f.Sent = &order.Sent{Verb: order.VerbCancel}
		c.write(x, f, Write{})
		x.o.Loop.CancelsLost = 1
	}
	known := slices.ContainsFunc(x.o.Refunds, func(r order.RefundLine) bool { return r.Request == s.Request })
	if s.Verb == order.VerbRefund && s.Request != "" && !late && !known {
		back := order.Refund{Request: s.Request, Sum: s.Sum, Auto: reversal}
		if reversal {
			back.Via = order.ViaRefund
		}
		x.restore = append(x.restore, back)
		c.carry(x, order.Verdict{})
	}
}
