package platforms

import (
	"context"
	"time"
)

// A façade is the agent answering in a platform's own words: a HIS that was
// written for the platform points at the agent instead (decision 22). It lies
// beside its platform's codecs and speaks to the agent by the two interfaces
// below. It holds nothing of any order: what it says comes from the journal.

// Front is what every façade needs of the agent. An error that is no
// *FrontRefusal means that nothing is known, and is told so.
type Front interface {
	// Pay asks for an order to be paid, under the caller's own number, which is
	// also the bill. A number that is known already is never charged again: the
	// answer is that order as it stands. An empty Code arms the till's scanner.
	// It answers when the order has ended or after wait, whichever is first; in
	// the shown modes as soon as there is something to show.
	Pay(ctx context.Context, c Charge, wait time.Duration) (FrontOrder, error)
	// Look tells how an order stands, asking the platform anew where that may
	// help.
	Look(ctx context.Context, orderNo string) (FrontOrder, error)
	// Cancel closes an order, or gives the money of a paid one back, and
	// answers when that is settled or after wait.
	Cancel(ctx context.Context, orderNo string, op Operator, wait time.Duration) (FrontOrder, error)
}

// FrontRefunder gives money of a paid order back.
type FrontRefunder interface {
	// Refund answers when the refund is settled or after wait. The same request
	// number moves money at most once. An empty operator is the order's own.
	Refund(ctx context.Context, r Refund, op Operator, wait time.Duration) (FrontRefund, error)
}

// FrontState is where an order stands, in the words of the API.
type FrontState string

// The states.
const (
	FrontWaiting   FrontState = "waiting" // nothing was sent yet: no code was scanned
	FrontPaying    FrontState = "paying"
	FrontCanceling FrontState = "canceling"
	FrontInDoubt   FrontState = "in_doubt" // a person may be needed; it is still asked about
	FrontPaid      FrontState = "paid"
	FrontFailed    FrontState = "failed"   // nothing was charged
	FrontCanceled  FrontState = "canceled" // closed or given back
)

// FrontOrder is an order as a façade tells it.
type FrontOrder struct {
	OrderNo   string
	TradeNo   string
	State     FrontState
	Amount    Fen
	Refunded  Fen  // given back so far, of a paid order
	Reversing bool // a paid order whose money is on its way back
	Final     bool // paid and past refunding
	Action    CancelAction
	Channel   Channel
	PaidAt    time.Time
	Buyer     Hidden
	QR        string // what to show, in the shown modes
	Operator  string // number of the person
	Terminal  string
	Say       string // for the cashier, in Chinese
}

// FrontRefund is a refund as a façade tells it.
type FrontRefund struct {
	Order   FrontOrder
	State   RefundStatus // RefundUnknown while it is not settled
	Moved   bool         // this call moved the money, not an earlier one
	Message string       // for the cashier, in Chinese
}

// FrontTrouble is the kind of a refusal.
type FrontTrouble string

// The kinds of refusal. Behind each but FrontAway nothing was charged by this
// call; behind that nothing was either, but the caller should ask again.
const (
	FrontBadField FrontTrouble = "field"  // a field of the request cannot be taken
	FrontNumber   FrontTrouble = "number" // the number stands for something else
	FrontCode     FrontTrouble = "code"   // this code cannot pay
	FrontBusy     FrontTrouble = "busy"   // not now: till busy, limit reached
	FrontAway     FrontTrouble = "away"   // the platform, the token or the store is in trouble
	FrontNoOrder  FrontTrouble = "none"   // there is no such order
	FrontNotPaid  FrontTrouble = "unpaid" // nothing to give back
)

// FrontRefusal is why the agent did not take a request.
type FrontRefusal struct {
	Trouble FrontTrouble
	Field   string // the API's name of the field, where one is to blame
	Words   string // for the cashier, in Chinese; no secret, no person
}

// Error gives the kind and the words.
func (e *FrontRefusal) Error() string { return "refused (" + string(e.Trouble) + "): " + e.Words }
