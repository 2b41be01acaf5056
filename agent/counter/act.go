package counter

import (
	"payagent/agent/order"
	"payagent/platforms"
)

// act carries out a button. An order that is not in memory is fetched first.
func (c *Counter) act(e Act) {
	if c.stopped { // nothing it could write would last
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
		return
	}
	if c.orders[e.Order] == nil {
		c.lookup(pending{act: &e}, nil, []string{e.Order})
		return
	}
	c.actOn(e, c.orders[e.Order].o)
}

func (c *Counter) actOn(e Act, o *order.Order) {
	x := c.orders[o.No]
	if c.stopped {
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
		return
	}
	if _, moves := c.movesElsewhere(e); moves {
		c.reply(Reply{ID: e.Reply, Code: CodeReplaced})
		return
	}
	if x == nil || o.State().Final() {
		c.actFinal(e, o)
		return
	}
	code := CodeAccepted
	switch e.Action {
	case order.ActCheck:
		x.o.Loop.AskNow = x.o.SentAt != nil
		x.o.Loop.Unreached = 0
	case order.ActCancel:
		if x.o.CancelAsked == nil {
			f := c.fact(x, order.KindCancelAsked)
			f.Person = &order.Person{Operator: actor(e, x.o), Reason: e.Reason}
			c.write(x, f, Write{})
		}
	case order.ActDetach:
		if !x.o.Detached && x.o.State() != order.Queued { // a queued order holds no till
			c.write(x, c.fact(x, order.KindDetached), Write{})
		}
		code = CodeDone
	case order.ActConfirm:
		code = c.confirm(x, e)
	}
	c.advance(x)
	if x.o.State().Final() {
		code = CodeDone
	}
	c.reply(Reply{ID: e.Reply, Code: code, Order: x.o.Clone(), Platform: x.o.Platform})
}

// actor is in whose name a button is pressed: without a name in that of the
// order's operator, so that no cancel is ever refused for it.
func actor(e Act, o *order.Order) platforms.Operator {
	if e.Operator.ID == "" {
		return o.Operator
	}
	return e.Operator
}

func (c *Counter) actFinal(e Act, o *order.Order) {
	code := CodeDone
	switch {
	case e.Action == order.ActCancel && o.State() == order.Paid:
		code = CodeUseRefunds
	case e.Action == order.ActConfirm:
		code = CodeNoConfirm
	}
	c.reply(Reply{ID: e.Reply, Code: code, Order: o.Clone(), Platform: o.Platform})
}

// confirm takes up an order that was accepted while the platform was away.
func (c *Counter) confirm(x *entry, e Act) string {
	switch {
	case x.o.State() != order.Queued:
		return CodeNoConfirm
	case c.down[x.o.Platform]:
		return c.away(x.o.Platform)
	case c.noToken[x.o.Merchant.Profile]:
		return CodeTokenRefused
	case c.diskLow:
		return CodeDiskLow
	case c.tills[x.o.Till] == nil:
		return CodeUnknownTill
	case c.tills[x.o.Till].front != "":
		return CodeTillBusy
	}
	f := c.fact(x, order.KindConfirmed)
	f.Person = &order.Person{Operator: actor(e, x.o)}
	if c.write(x, f, Write{}) {
		c.takeFront(x)
		if x.o.Mode.Shown() && x.o.Insured == nil {
			c.present(x)
		}
	}
	return CodeDone
}

// askRefund begins a refund: the log is asked whether the request number was
// used before, and for the order if it is not in memory.
func (c *Counter) askRefund(e AskRefund) {
	if c.stopped {
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
		return
	}
	keys := []string{refundKey(e.Refund.Request)}
	if e.Refund.Key.Key != "" {
		keys = append(keys, idemKey(e.Refund.Key.Key))
	}
	c.lookup(pending{refund: &e}, keys, []string{e.Order})
}

func (c *Counter) refundFound(e AskRefund, f Found) {
	if code := c.halted(); code != "" {
		c.reply(Reply{ID: e.Reply, Code: code})
		return
	}
	x := c.orders[e.Order]
	if x == nil {
		logged := f.Orders[e.Order]
		if len(logged) == 0 {
			c.reply(Reply{ID: e.Reply, Code: CodeNotFound})
			return
		}
		x = c.add(logged[0])
		defer c.advance(x)
	}
	code, request := c.refundGuard(x, e.Refund, f)
	if code == CodeAccepted {
		if c.diskLow && x.o.State() != order.Paid {
			code = CodeDiskLow
		} else {
			fact := c.fact(x, order.KindRefund)
			r := e.Refund
			r.NeedsSecond = c.cfg.RefundAlone > 0 && x.o.RefundClaims()+r.Sum > c.cfg.RefundAlone
			fact.Refund = &r
			keys := []string{refundKey(r.Request)}
			if r.Key.Key != "" {
				keys = append(keys, idemKey(r.Key.Key))
			}
			c.write(x, fact, Write{Keys: keys})
			c.advance(x)
		}
	}
	c.reply(Reply{ID: e.Reply, Code: code, Order: x.o.Clone(), Refund: request, Platform: x.o.Platform})
}

// refundGuard decides about a refund: one request number moves money once, and
// the sum of all never exceeds what was paid.
func (c *Counter) refundGuard(x *entry, r order.Refund, f Found) (code, request string) {
	for i := range x.o.Refunds {
		have := x.o.Refunds[i]
		sameKey := r.Key.Key != "" && have.Key.Key == r.Key.Key
		switch {
		case sameKey && have.Key.Body != r.Key.Body:
			return CodeKeyMismatch, have.Request
		case sameKey:
			return CodeReplayed, have.Request
		case have.Request == r.Request && have.Sum == r.Sum:
			return CodeReplayed, have.Request
		case have.Request == r.Request:
			return CodeRefundUsed, have.Request
		}
	}
	if no := c.requests[r.Request]; no != "" && no != x.o.No ||
		len(f.Orders[refundKey(r.Request)]) > 0 || len(f.Orders[idemKey(r.Key.Key)]) > 0 {
		return CodeRefundUsed, r.Request // on another order
	}
	switch {
	case x.o.State() != order.Paid:
		return CodeNotPaid, r.Request
	case !c.platform(x).Refund || x.o.NoRefunds:
		return CodeNoRefunds, r.Request
	case x.o.RefundClaims()+r.Sum > x.o.Amount:
		return CodeRefundOver, r.Request
	}
	return CodeAccepted, r.Request
}

// found continues a request with what the log knew.
func (c *Counter) found(f Found) {
	p, ok := c.pending[f.Token]
	if !ok {
		return
	}
	delete(c.pending, f.Token)
	switch {
	case p.then != nil:
		p.then(f)
	case p.create != nil:
		c.createFound(*p.create, p.at, f)
	case p.notice != nil:
		c.noticeFound(*p.notice, f)
	case p.refund != nil:
		c.refundFound(*p.refund, f)
	case p.scan != nil:
		c.scanFound(p.till, *p.scan, f)
	case p.act != nil:
		switch x := c.orders[p.act.Order]; {
		case x != nil:
			c.actOn(*p.act, x.o)
		case len(f.Orders[p.act.Order]) > 0:
			c.actOn(*p.act, f.Orders[p.act.Order][0])
		default:
			c.reply(Reply{ID: p.act.Reply, Code: CodeNotFound})
		}
	}
}
