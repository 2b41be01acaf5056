package timeline

import (
	"slices"

	"payagent/agent/order"
	"payagent/platforms"
)

// Bare takes out of facts whom they name and what people and other machines
// wrote by hand: operators, reasons, evidence, bills, a platform's sentences.
// What is left may leave the hospital.
func Bare(facts []order.Fact) []order.Fact {
	list := slices.Clone(facts)
	for i := range list {
		f := &list[i]
		f.Person = bare(f.Person, func(p *order.Person) { p.Operator, p.Reason = platforms.Operator{}, "" })
		f.Created = bare(f.Created, func(c *order.Created) { c.Operator, c.Bill = platforms.Operator{}, "—" })
		f.Answer = bare(f.Answer, func(a *order.Reply) { a.Message, a.Buyer, a.QR = "", "", "" })
		f.Refund = bare(f.Refund, func(r *order.Refund) {
			r.Operator = platforms.Operator{}
			if !r.Auto { // the agent's own is a stable code
				r.Reason = ""
			}
		})
		f.Booked = bare(f.Booked, func(b *order.Booked) { b.Operator, b.Reason = platforms.Operator{}, "" })
		f.Decided = bare(f.Decided, func(d *order.Decided) { d.Operator, d.Reason = platforms.Operator{}, "" })
		f.Proposed = bare(f.Proposed, func(p *order.Proposal) { p.Operator, p.Reason, p.Evidence = platforms.Operator{}, "", "—" })
	}
	return list
}

// bare changes a copy.
func bare[T any](v *T, change func(*T)) *T {
	if v == nil {
		return nil
	}
	c := *v
	change(&c)
	return &c
}
