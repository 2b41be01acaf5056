package counter

import (
	"slices"

	"payagent/agent/order"
)

// decide takes a second person's word about a refund that waits for one, or
// about what was proposed for something in doubt.
func (c *Counter) decide(e Decide) {
	c.withOrder(e.Order, e.Reply, nil, func(x *entry, _ Found) {
		code := CodeAccepted
		f := c.fact(x, order.KindDecided)
		maker, ok := approvable(x.o, e.Decided.Refund)
		if e.Decided.Refund == "" {
			code, f.Kind = CodeDone, order.KindResolved
			if maker, ok = resolvable(x.o); !ok {
				c.answer(e.Reply, CodeNoResolve, x, "")
				return
			}
		}
		switch {
		case !ok:
			code = CodeNoApproval
		case e.Decided.OK && maker == e.Decided.Operator.ID:
			code = CodeSamePerson
		default:
			d := e.Decided
			f.Decided = &d
			c.write(x, f, Write{})
			c.carry(x, order.Verdict{}) // refunds that only the slots knew
			if !d.OK {
				code = CodeDone
			}
			x.o.Loop.Late = 0
			c.advance(x)
		}
		c.answer(e.Reply, code, x, e.Decided.Refund)
	})
}

// approvable gives who asked for a refund that waits for a second person.
func approvable(o *order.Order, request string) (maker string, ok bool) {
	i := slices.IndexFunc(o.Refunds, func(r order.RefundLine) bool { return r.Request == request && r.State == order.RefundAwaiting })
	if i < 0 {
		return "", false
	}
	return o.Refunds[i].Operator.ID, true
}

// resolvable gives who said how something in doubt ended, while that waits for
// a second person.
func resolvable(o *order.Order) (maker string, ok bool) {
	r := o.Resolution
	if r == nil || r.Confirmed || !o.Resolvable(r.Refund, r.Outcome) {
		return "", false
	}
	return r.Operator.ID, true
}

// propose writes down how something in doubt ended, as a person says with
// evidence. It counts once a second person agrees.
func (c *Counter) propose(e Propose) {
	c.withOrder(e.Order, e.Reply, nil, func(x *entry, _ Found) {
		if !x.o.Resolvable(e.Proposal.Refund, e.Proposal.Outcome) {
			c.answer(e.Reply, CodeNoResolve, x, e.Proposal.Refund)
			return
		}
		// What waits for a second person is not exchanged under their eyes: they
		// decline it, or its maker takes it back, before another takes its place.
		if _, waits := resolvable(x.o); waits {
			code := CodeProposed
			if x.o.Resolution.Proposal == e.Proposal {
				code = CodeReplayed
			}
			c.answer(e.Reply, code, x, e.Proposal.Refund)
			return
		}
		f := c.fact(x, order.KindProposed)
		p := e.Proposal
		f.Proposed = &p
		c.write(x, f, Write{})
		c.answer(e.Reply, CodeAccepted, x, e.Proposal.Refund)
	})
}

// adopt takes up a payment that was not taken here. A number that is known
// already gives its order as it is.
func (c *Counter) adopt(e Adopt) {
	if c.stopped || !c.ready {
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
		return
	}
	c.lookup(pending{then: func(f Found) {
		o := c.Order(e.No)
		if o == nil && len(f.Orders[e.No]) > 0 {
			o = f.Orders[e.No][0]
		}
		switch {
		case o != nil:
			c.reply(Reply{ID: e.Reply, Code: CodeExists, Order: o, Platform: o.Platform})
			return
		case c.halted() != "":
			c.reply(Reply{ID: e.Reply, Code: c.halted()})
			return
		case c.diskLow:
			c.reply(Reply{ID: e.Reply, Code: CodeDiskLow})
			return
		}
		keys := []string{"till:" + e.Spec.Till}
		if e.OpKey != "" {
			keys = append(keys, e.OpKey)
		}
		if e.Answer.TradeNo != "" && len(e.Answer.TradeNo) <= 64 {
			keys = append(keys, tradeKeys(e.Answer.TradeNo)...)
		}
		spec := e.Spec
		spec.Foreign = true
		x := c.begin(order.Fact{Kind: order.KindCreated, Order: e.No, At: c.now.Instant, Created: &spec}, keys)
		c.write(x, x.o.PaidElsewhere(c.now, e.Answer), Write{})
		c.advance(x)
		c.reply(Reply{ID: e.Reply, Code: CodeCreated, Order: x.o.Clone(), Platform: spec.Platform})
	}}, nil, []string{e.No})
}

// refuseRefund ends a refund that cannot be made, or that nobody approved in
// time.
func (c *Counter) refuseRefund(x *entry, s order.Step) {
	if s.Do == order.DoDecline {
		f := c.fact(x, order.KindDecided)
		f.Decided = &order.Decided{Refund: s.Request, Reason: "not approved in time"}
		c.write(x, f, Write{})
		return
	}
	f := c.fact(x, order.KindAnswered)
	f.Answer = &order.Reply{Verb: order.VerbRefund, Request: s.Request, Outcome: order.RefundRefused, Code: s.Reason}
	c.write(x, f, Write{})
}
