package agent

import (
	"context"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// checkPerson demands that a person is named.
func checkPerson(op platforms.Operator, reason string) error {
	switch {
	case op.ID == "" || len(op.ID) > 64 || len(op.Name) > 64 || !printable(op.ID) || !printable(op.Name):
		return field("operator.id", "is missing, too long or has control characters; name the person who decides")
	case len(reason) > 256 || !printable(reason):
		return field("reason", "is longer than 256 bytes or has control characters")
	}
	return nil
}

// ApproveRefund is the second person's word about a refund above
// limits.refund_alone_fen. The reply's code is accepted, done (declined),
// same_person, nothing_to_approve or not_found.
func (a *Agent) ApproveRefund(ctx context.Context, no, refund string, op platforms.Operator, ok bool, reason string) (counter.Reply, error) {
	if err := checkPerson(op, reason); err != nil {
		return counter.Reply{}, err
	}
	if refund == "" {
		return counter.Reply{}, field("refund_no", "is missing; name the refund")
	}
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.Decide{Reply: id, Order: no, Decided: order.Decided{Refund: refund, OK: ok, Operator: op, Reason: reason}}
	})
}

// Resolution is what a person says of an order in doubt, of a refund in doubt,
// or of a payment of which HIS took the insurance's part and not the cash, or
// the reverse: how it really ended, by which evidence. It counts once a second
// person confirms it.
type Resolution struct {
	// Outcome is paid, canceled or failed; of a payment that is split between
	// insurance and cash paid (it counts) or canceled (it goes back); of a
	// refund order.RefundWas or order.RefundWasNot.
	Outcome  order.State
	Refund   string // number of the refund it is about; empty: the order
	TradeNo  string // the wallet's number, as the evidence shows it; may be empty
	Evidence string // what was looked at, at most 512 bytes
	Reason   string // at most 256 bytes
	Operator platforms.Operator
}

// ProposeResolution writes down how something in doubt ended. The reply's code
// is accepted, replayed, proposed_already, nothing_to_resolve or not_found. Missing evidence is a
// *platforms.FieldError.
func (a *Agent) ProposeResolution(ctx context.Context, no string, r Resolution) (counter.Reply, error) {
	if err := checkPerson(r.Operator, r.Reason); err != nil {
		return counter.Reply{}, err
	}
	switch {
	case r.Evidence == "":
		return counter.Reply{}, field("evidence", "is missing; say what shows how it ended, e.g. a line of the platform's statement")
	case len(r.Evidence) > 512 || !printable(r.Evidence):
		return counter.Reply{}, field("evidence", "is longer than 512 bytes or has control characters")
	case r.Reason == "":
		return counter.Reply{}, field("reason", "is missing; say why people decide this")
	case len(r.TradeNo) > 64 || !printable(r.TradeNo):
		return counter.Reply{}, field("trade_no", "is longer than 64 bytes or has control characters")
	case r.Refund == "" && !r.Outcome.Final():
		return counter.Reply{}, field("outcome", "must be paid, canceled or failed")
	case r.Refund != "" && r.Outcome != order.RefundWas && r.Outcome != order.RefundWasNot:
		return counter.Reply{}, field("outcome", "must be done or refused for a refund")
	}
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.Propose{Reply: id, Order: no, Proposal: order.Proposal{Outcome: r.Outcome, Refund: r.Refund, TradeNo: r.TradeNo,
			Evidence: r.Evidence, Reason: r.Reason, Operator: r.Operator}}
	})
}

// ConfirmResolution is the second person's word about a proposed resolution.
// The reply's code is done, same_person, nothing_to_resolve or not_found. The
// platform is asked on; if it contradicts, the order is in doubt again.
func (a *Agent) ConfirmResolution(ctx context.Context, no string, op platforms.Operator, ok bool, reason string) (counter.Reply, error) {
	if err := checkPerson(op, reason); err != nil {
		return counter.Reply{}, err
	}
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.Decide{Reply: id, Order: no, Decided: order.Decided{OK: ok, Operator: op, Reason: reason}}
	})
}
