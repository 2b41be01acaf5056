package platforms

import (
	"context"
	"errors"
	"time"
)

// Books is what the hospital booked, as a platform's reconciliation asks for
// it (seed 004 §7). The side of the wire is with the platform's member, the
// books are the agent's. Both calls may be repeated; an error of either is
// told to the platform as "an error while processing", never as an empty
// answer, which would be read as "no transactions".
type Books interface {
	// Trades gives what was booked in a span of time, oldest first, one call of
	// yield per row. It stops at yield's first error and returns it.
	Trades(ctx context.Context, q TradeQuery, yield func(Trade) error) error
	// Order gives what was booked for one order; ErrNoOrder if there is none.
	Order(ctx context.Context, outTradeNo string) (OrderBooks, error)
}

// ErrNoOrder is wrapped where the books know no order of that number.
var ErrNoOrder = errors.New("the books know no such order")

// TradeQuery is IF_Get_Hospital_Trade_List as it was asked. From and To are
// instants, both inclusive.
type TradeQuery struct {
	From, To        time.Time
	Channel         Channel // empty for all
	IncludeUnbooked bool    // also what the platform told and HIS did not book
}

// Trade is one row of the list: money taken, or money given back.
type Trade struct {
	CardNo      Hidden
	PatientName Hidden
	CostType    string // 费用类别
	Refunded    bool   // status 3 已退款 instead of 2 已付款
	TradeNo     string // the wallet's
	Amount      Fen    // never negative; Refunded tells the direction
	OutTradeNo  string // ours
	At          time.Time
	Channel     Channel
}

// OrderBooks is HIS_IF_Query's answer: one order and what was booked for it,
// oldest first.
type OrderBooks struct {
	TradeNo, OutTradeNo string
	MedicalCard         Hidden
	Entries             []Entry
}

// Entry is one booking.
type Entry struct {
	FlowID  string // HIS流水号, unique over charges and refunds
	Amount  Fen    // negative: given back
	At      time.Time
	Channel Channel
}
