package counter

import (
	"maps"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// Notified is a message that a platform, or the payer's browser, sent by
// itself. It was verified outside; what it says of an order is in
// Notice.Answer.
type Notified struct {
	Reply    uint64
	Platform string
	Notice   platforms.Notice
}

// notified hands a message to its order. One that is not in memory any more is
// fetched from the log: money may have come after its end. A number that
// nobody knows changes nothing.
func (c *Counter) notified(e Notified) {
	no := e.Notice.Answer.OrderNo
	switch {
	case c.stopped || !c.ready:
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
	case c.orders[no] != nil:
		c.notice(c.orders[no], e)
	case no == "" || len(no) > 32:
		c.reply(Reply{ID: e.Reply, Code: CodeNotFound})
	default:
		c.lookup(pending{notice: &e}, nil, []string{no})
	}
}

func (c *Counter) noticeFound(e Notified, f Found) {
	no := e.Notice.Answer.OrderNo
	x := c.orders[no]
	switch logged := f.Orders[no]; {
	case c.stopped:
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
		return
	case x != nil:
	case len(logged) == 0 || logged[0].Platform != e.Platform:
		c.reply(Reply{ID: e.Reply, Code: CodeNotFound})
		return
	case logged[0].State() == order.Paid && logged[0].Resolution == nil:
		c.reply(Reply{ID: e.Reply, Code: CodeDone, Order: logged[0]})
		return
	default:
		x = c.add(logged[0])
		x.fetched = true
		if at, ok := c.rung[no]; ok {
			x.o.Loop.Asked, x.o.Loop.LastAsk = true, at
		}
	}
	c.notice(x, e)
}

func (c *Counter) notice(x *entry, e Notified) {
	if x.o.Platform != e.Platform {
		c.reply(Reply{ID: e.Reply, Code: CodeNotFound})
		return
	}
	c.carry(x, x.o.HearNotice(c.platform(x).Traits, c.now, e.Notice))
	if x.fetched && x.o.Loop.Woken {
		x.acks = append(x.acks, e.Reply)
		c.advance(x)
		return
	}
	c.advance(x)
	c.reply(Reply{ID: e.Reply, Code: CodeAccepted, Order: x.o.Clone()})
}

// queryDone hears a query. Messages about an order whose watch was over are
// acknowledged only now: nothing else remembers over a crash that they came,
// so until then the platform has to go on repeating them.
func (c *Counter) queryDone(e QueryDone) {
	var acks []uint64
	if x := c.orders[e.Order]; x != nil {
		acks, x.acks = x.acks, nil
	}
	c.heard(e.Order, e.Err, func(x *entry, p Platform) order.Verdict {
		return x.o.HearQuery(p.Policy, p.Traits, c.now, e.Answer, e.Err)
	})
	code := CodeAccepted
	if e.Err != nil {
		code = CodeUnreachable
	}
	for _, id := range acks {
		c.reply(Reply{ID: id, Code: code})
	}
}

// ring remembers for a moment that a message made a query leave, so that an
// order which is fetched anew for each message is not asked about each time.
func (c *Counter) ring(no string) {
	maps.DeleteFunc(c.rung, func(_ string, at order.Instant) bool { return c.now.Age(at) > 2*time.Second })
	c.rung[no] = c.now.Instant
}

// mode is how the order of a slot was paid.
func (s Slot) mode() platforms.Mode {
	switch {
	case s.Mode.Shown():
		return s.Mode
	case s.Verb == order.VerbPresent || s.Present:
		return platforms.ModePresent
	}
	return platforms.ModeCharge
}
