package agent

import (
	"context"
	"fmt"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// Replace says that another box is in the place of this one: from now on
// nothing new is taken here and nothing moves money, what is open is asked
// about only. Whoever calls it remembers it first, and starts with
// Parts.Replaced from then on.
func (a *Agent) Replace(ctx context.Context) { a.post(ctx, counter.Replace{}) }

// Left is an order that another box left open: what it said of it where
// everybody in the fleet can read it, so nothing of a patient.
type Left struct {
	OrderNo   string            `json:"out_trade_no"`
	Bill      string            `json:"bill"`
	Amount    platforms.Fen     `json:"amount_fen"`
	Mode      platforms.Mode    `json:"mode"`
	Till      string            `json:"till"`
	Platform  string            `json:"platform"`
	Profile   string            `json:"merchant"`
	MerchCode string            `json:"merch_code,omitempty"`
	Channel   platforms.Channel `json:"channel,omitempty"`
	OrderType string            `json:"order_type,omitempty"`
	Operator  string            `json:"operator,omitempty"` // id
	OwnNumber bool              `json:"own_number,omitempty"`
	Foreign   bool              `json:"foreign,omitempty"`
	Handle    string            `json:"handle,omitempty"` // the platform's own key
	TradeNo   string            `json:"trade_no,omitempty"`
	State     order.State       `json:"state"`
	Canceled  bool              `json:"cancel_sent,omitempty"` // a cancel may have been sent
	CreatedAt time.Time         `json:"created_at"`
	Booking   *order.Booked     `json:"booking,omitempty"` // what HIS said of it
	// EndReason and Action are those of an unpaid end; Late: money came after it.
	EndReason string                 `json:"end_reason,omitempty"`
	Action    platforms.CancelAction `json:"cancel_action,omitempty"`
	Late      bool                   `json:"late_money,omitempty"`
	// Refunded was given back; Refunds had not ended.
	Refunded platforms.Fen  `json:"refunded_fen,omitempty"`
	Refunds  []order.Refund `json:"refunds,omitempty"`
}

// Left lists what another box needs to know to answer for this one's orders in
// its place: first those that owe something, then those whose unpaid end is
// watched for late money, limit at most. more owe something besides.
func (a *Agent) Left(limit int) (list []Left, more int) {
	for _, watched := range []bool{false, true} {
		for _, o := range a.Open() {
			k, ok := counter.CapsuleOf(o, a.Now())
			switch {
			case !ok || watched != (k.Ended != nil && !k.Late):
			case len(list) < limit:
				list = append(list, Left{})
				list[len(list)-1].fill(&k, o.State())
			case !watched:
				more++
			}
		}
	}
	return list, more
}

func (l *Left) fill(k *counter.Capsule, state order.State) {
	s := &k.Spec
	l.OrderNo, l.Bill, l.Amount, l.Mode, l.Till, l.Platform = k.No, s.Bill, s.Amount, s.Mode, s.Till, s.Platform
	l.Profile, l.MerchCode, l.Channel, l.OrderType, l.Operator = s.Merchant.Profile, s.Merchant.Code, s.Channel, s.OrderType, s.Operator.ID
	l.OwnNumber, l.Foreign, l.Handle, l.TradeNo, l.State = s.OwnNumber, s.Foreign, k.Handle, k.TradeNo, state
	l.Canceled, l.CreatedAt, l.Late = k.Canceled, time.UnixMilli(k.Created).UTC(), k.Late
	if k.Ended != nil {
		l.EndReason, l.Action = k.Ended.Reason, k.Ended.Action
	}
	if s.Elsewhere != nil {
		l.Refunded = *s.Elsewhere
	}
	if b := s.Before; b != nil {
		if b.Paid {
			l.State = order.Paid
		}
		l.Booking, l.Refunds = b.Booked, b.Refunds
	}
}

// capsule is l as the counter takes it up.
func (l *Left) capsule() counter.Capsule {
	k := counter.Capsule{No: l.OrderNo, Created: l.CreatedAt.UnixMilli(), Handle: l.Handle, TradeNo: l.TradeNo, Canceled: l.Canceled, Late: l.Late}
	k.Spec = order.Created{Bill: l.Bill, Amount: l.Amount, Mode: l.Mode, Till: l.Till, Platform: l.Platform, Merchant: platforms.Merchant{Profile: l.Profile, Code: l.MerchCode},
		Channel: l.Channel, OrderType: l.OrderType, OwnNumber: l.OwnNumber, Foreign: l.Foreign, Operator: platforms.Operator{ID: l.Operator, Name: l.Operator}}
	if l.State == order.Failed || l.State == order.Canceled {
		k.Ended = &order.Ended{State: l.State, Reason: l.EndReason, Action: l.Action}
	}
	if l.Refunded > 0 {
		k.Spec.Elsewhere = &l.Refunded
	}
	if l.State == order.Paid || l.Booking != nil || len(l.Refunds) > 0 {
		k.Spec.Before = &order.Before{Paid: l.State == order.Paid, Booked: l.Booking, Refunds: l.Refunds}
	}
	return k
}

// TakeOver books what another box left open, as orders in doubt that are asked
// about until they end; none is ever paid again. What is known here is passed
// over. nil means that all of them are on disk.
func (a *Agent) TakeOver(ctx context.Context, list []Left) error {
	var orders []counter.Capsule
	for i := range list {
		l := &list[i]
		m, ok := a.cfg.MerchantNamed(l.Profile)
		if _, known := a.shape.Platforms[l.Platform]; !ok || !known || m.Platform != l.Platform {
			return fmt.Errorf("cannot take over order %s: merchant %s on platform %s is not configured here; put both into the configuration", l.OrderNo, l.Profile, l.Platform)
		}
		k := l.capsule()
		for _, t := range a.cfg.Tills {
			if t.Name != l.Till {
				continue
			}
			k.Spec.TillKind, k.Spec.Terminal = string(t.Kind), t.DeviceNo
			if !l.Foreign {
				k.Spec.Books = a.bookTerms(t)
			}
			if t.Operator.ID == l.Operator || l.Operator == "" {
				k.Spec.Operator = platforms.Operator{ID: t.Operator.ID, Name: t.Operator.Name}
			}
		}
		orders = append(orders, k)
	}
	r, err := a.ask(ctx, func(id uint64) counter.Event { return counter.TakeOver{Reply: id, Orders: orders} })
	if err == nil && r.Code != counter.CodeDone {
		err = fmt.Errorf("cannot take over the orders now: %s", r.Code)
	}
	return err
}
