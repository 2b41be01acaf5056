// Package order is one attempt to be paid, as a pure value: facts go in, a
// state comes out, and [Order.Next] says what to do and not before when. It
// does no I/O and knows no clock; time comes in with each call. New orders and
// orders found after a crash run through the same functions.
//
// The states and what leads out of them (generated into docs/states.md):
//
//	queued     accepted offline, nothing sent        confirm → waiting; cancel, expiry → canceled
//	waiting    等待用户扫码, nothing sent               scan → paying; cancel, time-out → canceled
//	paying     用户支付中, sent, no final answer        paid, failed, canceled; cancel leaves → canceling
//	canceling  撤销中, cancel sent, not confirmed      canceled, paid; tries used up → in_doubt
//	in_doubt   待核实, alarm raised, still asking      paid, failed, canceled
//	paid       支付成功, final                        refunds change its sums, never its state
//	failed     支付失败, final
//	canceled   已撤销, final
//
// An error from a wire is unknown; NotFound, Refused and silence are unknown;
// only a proof ends an order.
package order

import (
	"errors"
	"fmt"

	"payagent/platforms"
)

// State is where an order stands.
type State string

// The states.
const (
	Queued    State = "queued"
	Waiting   State = "waiting"
	Paying    State = "paying"
	Canceling State = "canceling"
	InDoubt   State = "in_doubt"
	Paid      State = "paid"
	Failed    State = "failed"
	Canceled  State = "canceled"
)

// Final tells whether a state never changes again.
func (s State) Final() bool { return s == Paid || s == Failed || s == Canceled }

// Private is what must not be stored in clear. It lives in memory while the
// order needs it.
type Private struct {
	Patient platforms.Patient
	Subject string
	Memo    string
	Details []platforms.Detail
}

// Order is what the facts amount to. It is changed by Apply alone.
type Order struct {
	No string
	Created
	CreatedAt Instant
	Rev       int // number of facts: grows with every change
	Confirmed bool
	SentAt    *Instant // the pay or present request
	CodeKind  platforms.CodeKind
	CodeHash  string
	// CodeChannel is the wallet that the scanned code told.
	CodeChannel platforms.Channel
	QR          string
	QRAt        Instant
	PayAnswered bool // the pay or present call gave an answer worth keeping
	Refused     bool // the platform said no, without proof
	FailedSaid  bool // the platform said a definite no, to be confirmed by a query
	Handle      string
	TradeNo     string
	PaidChannel platforms.Channel
	PaidAt      int64 // Unix ms
	PaidLocal   bool  // PaidAt is our clock
	AmountSeen  bool  // the platform confirmed the amount
	Buyer       string
	NoRefunds   bool // past refunding
	CancelAsked *Person
	CancelSent  *Instant // first cancel that left
	CancelOpen  bool     // a cancel left and nothing definite came back
	CancelLost  bool     // the reply to some cancel was lost
	Detached    bool
	Doubt       string // reason code, while or after in doubt
	Outcome     State  // final state, empty while open
	EndReason   string
	Action      platforms.CancelAction
	Unsent      bool
	EndedAt     Instant
	LateFound   bool // money found after an unpaid end
	LateDone    bool // and given back
	LateSent    bool // the reversing refund left
	Code        string
	Message     string
	Refunds     []RefundLine
	Keys        []IdemKey

	Private Private // memory only
	Loop    Loop    // memory only
}

// RefundState is where a refund stands.
type RefundState string

// The refund states (decision 10).
const (
	RefundRequested RefundState = "requested"
	RefundSent      RefundState = "sent"
	RefundDone      RefundState = "done"
	RefundRefused   RefundState = "refused"
	RefundInDoubt   RefundState = "in_doubt"
)

// Final tells whether the refund's outcome is known.
func (s RefundState) Final() bool { return s == RefundDone || s == RefundRefused }

// RefundLine is one refund of an order.
type RefundLine struct {
	Refund
	State   RefundState
	At      Instant
	EndedAt Instant
	Code    string
	Message string
}

// ErrForbidden is wrapped when a fact does not fit the order's state.
var ErrForbidden = errors.New("the order does not allow this now")

func forbid(o *Order, f Fact) error {
	return fmt.Errorf("%w: %s in state %s", ErrForbidden, f.Kind, o.State())
}

// State derives the state from the facts so far.
func (o *Order) State() State {
	switch {
	case o.Outcome != "":
		return o.Outcome
	case o.SentAt == nil && o.Doubt != "": // known only from the intent file
		return InDoubt
	case o.SentAt == nil && o.Queued && !o.Confirmed:
		return Queued
	case o.SentAt == nil:
		return Waiting
	case o.Doubt != "":
		return InDoubt
	case o.CancelSent != nil:
		return Canceling
	}
	return Paying
}

// RefundedSum adds up the refunds that are done.
func (o *Order) RefundedSum() platforms.Fen {
	var sum platforms.Fen
	for _, r := range o.Refunds {
		if r.State == RefundDone {
			sum += r.Sum
		}
	}
	return sum
}

// RefundClaims adds up the refunds that are done or may still be.
func (o *Order) RefundClaims() platforms.Fen {
	var sum platforms.Fen
	for _, r := range o.Refunds {
		if r.State != RefundRefused {
			sum += r.Sum
		}
	}
	return sum
}

// FullyReversed tells whether a paid order has been given back whole, so that
// its bill may be paid anew.
func (o *Order) FullyReversed() bool {
	return o.Outcome == Paid && o.RefundedSum() == o.Amount
}

// Ref is how a platform recognises the order.
func (o *Order) Ref() platforms.Ref {
	op := o.Operator
	if o.CancelAsked != nil && o.CancelAsked.Operator.ID != "" {
		op = o.CancelAsked.Operator
	}
	return platforms.Ref{OrderNo: o.No, Handle: o.Handle, TradeNo: o.TradeNo, Merchant: o.Merchant,
		Amount: o.Amount, Mode: o.Mode, Operator: op, Terminal: o.Terminal}
}

// Charge is the request to be paid, without the payment code.
func (o *Order) Charge() platforms.Charge {
	ch := o.Channel
	if o.CodeChannel != "" {
		ch = o.CodeChannel
	}
	return platforms.Charge{Ref: o.Ref(), Channel: ch, Aggregated: o.Aggregated, OrderType: o.OrderType,
		TillKind: o.TillKind, Subject: o.Private.Subject, Memo: o.Private.Memo, Patient: o.Private.Patient,
		Expires: o.Expires, Details: o.Private.Details}
}

// PaidVia is the wallet the order was, or is to be, paid with.
func (o *Order) PaidVia() platforms.Channel {
	switch {
	case o.PaidChannel != "":
		return o.PaidChannel
	case o.CodeChannel != "":
		return o.CodeChannel
	}
	return o.Channel
}

// Clone copies the order so that a reader never sees it change. The private
// part and the loop stay behind.
func (o *Order) Clone() *Order {
	c := *o
	c.Refunds = append([]RefundLine(nil), o.Refunds...)
	c.Keys = append([]IdemKey(nil), o.Keys...)
	return &c
}
