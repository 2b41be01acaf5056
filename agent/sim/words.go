package sim

import (
	"slices"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// resolvedBefore tells that a final state changed because people had said it:
// the platform contradicted them, and they looked again.
func resolvedBefore(old, o *order.Order) bool { return old.EndReason == "resolved" && o.Reopened }

// silenceRule: money of a paid order moves by itself only after HIS said that
// it failed, or at a kiosk by the letter of decision 11 (ORD-12).
func (c *checker) silenceRule(p *process, e counter.Call) {
	o := p.c.Order(e.Order)
	if o == nil || o.State() != order.Paid || e.Verb != order.VerbCancel && !(e.Verb == order.VerbRefund && e.Refund.RequestNo == order.ReversalRequest(e.Order)) {
		return
	}
	if e.Verb == order.VerbCancel && o.RefundedSum() > 0 {
		c.fail("ORD-12", e.Order, "a cancel after %d were refunded", o.RefundedSum())
	}
	b := o.Booking
	if b == nil {
		c.fail("ORD-12", e.Order, "a %s of a paid order of which nobody said anything", e.Verb)
		return
	}
	line := o.Reversal()
	switch {
	case b.State == order.BookFailed:
		if s := c.w.his.said[e.Order]; !c.forgot[e.Order] && (s == nil || s.ok && !s.failed) && c.w.his.resolving[e.Order] == 0 {
			c.fail("ORD-12", e.Order, "a %s although HIS never said that it failed", e.Verb)
		}
	case b.State == order.BookSplit:
		c.fail("PAY-17", e.Order, "a %s while insurance and cash disagree", e.Verb)
	case b.State == order.BookBooked:
		c.fail("ORD-11", e.Order, "a %s of a payment that HIS booked", e.Verb)
	case o.Till != "k1" || !c.w.plan.Silence || line == nil:
		c.fail("ORD-12", e.Order, "a %s on silence", e.Verb)
	case b.ToldAt == nil || line.At.Boot == b.ToldAt.Boot && line.At.Mono-b.ToldAt.Mono < 10*time.Second:
		c.fail("ORD-12", e.Order, "a %s on silence, and HIS was not told before", e.Verb)
	case o.EndedAt.Boot == line.At.Boot && line.At.Mono-o.EndedAt.Mono < 2*time.Minute:
		c.fail("ORD-12", e.Order, "a %s after %s of silence", e.Verb, line.At.Mono-o.EndedAt.Mono)
	case !c.linked[e.Order] || !c.hisBooked():
		c.fail("ORD-12", e.Order, "a %s on the silence of a HIS that could not speak, or never booked", e.Verb)
	}
}

// hisBooked tells whether HIS has ever booked. It is asked when money is about
// to move: the word that began the silence may have become durable with the
// reversal itself.
func (c *checker) hisBooked() bool {
	books := len(c.w.journal.keys[counter.HisBooksKey]) > 0
	for _, x := range c.w.his.said {
		books = books || x.booked
	}
	return books
}

// noteReversal looks whether HIS could have spoken when a reversal began.
func (c *checker) noteReversal(out []counter.Effect) {
	for _, e := range out {
		w, ok := e.(counter.Write)
		if !ok || w.Fact == nil || w.Fact.Kind != order.KindRefund || !w.Fact.Refund.Auto {
			continue
		}
		up := inside(c.w.plan.Links, c.w.g)
		c.linked[w.Order] = up != nil && c.w.g-up.From >= 2*time.Minute
		if c.w.plan.Silence && w.Fact.Refund.Reason == "his_silent" {
			c.w.hit(Kiosk, w.Order)
		}
	}
}

// secondRule: above the limit no refund leaves that a second person has not
// approved (PAY-08, SEC-06).
func (c *checker) secondRule(e counter.Call, d *order.Order) {
	limit := c.w.plan.RefundAlone
	var sum platforms.Fen
	for _, r := range d.Refunds {
		sum += r.Sum // refused ones count for too much only where this rule is silent
		if r.Request != e.Refund.RequestNo || r.Auto {
			continue
		}
		if r.NeedsSecond && (r.ApprovedBy.ID == "" || r.ApprovedBy.ID == r.Operator.ID) {
			c.fail("SEC-06", e.Order, "refund %s leaves without a second person", r.Request)
		}
		if limit > 0 && !r.NeedsSecond && r.Sum > limit && !c.forgot[e.Order] {
			c.fail("SEC-06", e.Order, "refund %s of %d is above the limit of one person", r.Request, r.Sum)
		}
	}
}

// words checks HIS's words when everything has come to rest.
func (c *checker) words() {
	w := c.w
	flows := map[string]string{}
	for _, no := range sorted(w.his.said) {
		s, d := w.his.said[no], w.journal.at(no)
		if d == nil || c.forgot[no] || d.State() != order.Paid {
			continue
		}
		gone := d.FullyReversed()
		line := d.Reversal()
		stuck := line != nil && line.State == order.RefundInDoubt && c.excused(d)
		given := line != nil && line.Code == "resolved"
		switch {
		case s.booked && line != nil && w.his.resolving[no] == 0:
			c.fail("ORD-11", no, "HIS was told that it is booked, and the money went back by itself")
		case s.failed && !s.booked && !gone && !stuck && !given:
			c.fail("ORD-12", no, "HIS said that it failed, and the payer is out of %d", w.net(no))
		case s.late && line == nil && !gone:
			c.fail("ORD-11", no, "a booking was refused as late, and nothing went back")
		case d.Booking != nil && d.Booking.State == order.BookPending && line == nil && !gone && !c.alarms[no][counter.AlarmUnbooked]:
			c.fail("ORD-11", no, "HIS never said anything, and nobody was told")
		case d.Booking != nil && d.Booking.State == order.BookSplit && !gone && !c.alarms[no][counter.AlarmSplit]:
			c.fail("PAY-17", no, "insurance and cash disagree, and nobody was told")
		case s.booked && (d.Booking == nil || d.Booking.State != order.BookBooked) && w.his.resolving[no] == 0:
			c.fail("ORD-11", no, "HIS was told that it is booked, and the log does not know")
		}
		if s.booked && s.flow != "" {
			if other := flows[s.flow]; other != "" {
				c.fail("ORD-11", no, "the number %s of HIS stands on %s, too", s.flow, other)
			}
			flows[s.flow] = no
		}
		if s.booked && !slices.Contains(w.journal.keys["flow:"+s.flow], no) {
			c.fail("ORD-11", no, "it is not found under HIS's number")
		}
	}
}

// peopleRule: what people resolve takes two of them and evidence, and what the
// platform contradicted is settled by people alone.
func (c *checker) peopleRule(old, o *order.Order) {
	if old == nil {
		return
	}
	r := o.Resolution
	if o.EndReason == "resolved" && old.EndReason != "resolved" &&
		(r == nil || !r.Confirmed || r.Evidence == "" || r.By.ID == "" || r.By.ID == r.Operator.ID) {
		c.fail("ORD-19", o.No, "resolved without evidence or a second person")
	}
	if old.Reopened && old.State() == order.InDoubt && o.State().Final() && o.EndReason != "resolved" {
		c.fail("ORD-19", o.No, "%s by itself after the platform contradicted people", o.State())
	}
}
