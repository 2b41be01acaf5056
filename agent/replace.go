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
	Handle    string            `json:"handle,omitempty"` // the platform's own key
	TradeNo   string            `json:"trade_no,omitempty"`
	State     order.State       `json:"state"`
	Canceled  bool              `json:"cancel_sent,omitempty"` // a cancel may have been sent
	CreatedAt time.Time         `json:"created_at"`
}

// LeftOf is what another box needs to know of an order to answer for it in
// this one's place; false for one that owes nothing or was never sent.
func LeftOf(o *order.Order) (Left, bool) {
	if !o.Owes() || o.SentAt == nil || o.Outcome != "" && o.Outcome != order.Paid || o.Foreign {
		return Left{}, false
	}
	return Left{OrderNo: o.No, Bill: o.Bill, Amount: o.Amount, Mode: o.Mode, Till: o.Till, Platform: o.Platform, Profile: o.Merchant.Profile, MerchCode: o.Merchant.Code,
		Channel: o.PaidVia(), OrderType: o.OrderType, Operator: o.Operator.ID, OwnNumber: o.OwnNumber, Handle: o.Handle, TradeNo: o.TradeNo,
		State: o.State(), Canceled: o.CancelSent != nil, CreatedAt: time.UnixMilli(o.CreatedAt.Wall).UTC()}, true
}

// TakeOver books what another box left open, as orders in doubt that are asked
// about until they end; none is ever paid again. What is known here is passed
// over. nil means that all of them are on disk.
func (a *Agent) TakeOver(ctx context.Context, list []Left) error {
	var orders []counter.Capsule
	for _, l := range list {
		m, ok := a.cfg.MerchantNamed(l.Profile)
		if _, known := a.shape.Platforms[l.Platform]; !ok || !known || m.Platform != l.Platform {
			return fmt.Errorf("cannot take over order %s: merchant %s on platform %s is not configured here; put both into the configuration", l.OrderNo, l.Profile, l.Platform)
		}
		k := counter.Capsule{No: l.OrderNo, Created: l.CreatedAt.UnixMilli(), Handle: l.Handle, TradeNo: l.TradeNo, Canceled: l.Canceled}
		k.Spec = order.Created{Bill: l.Bill, Amount: l.Amount, Mode: l.Mode, Till: l.Till, Platform: l.Platform, Merchant: platforms.Merchant{Profile: l.Profile, Code: l.MerchCode},
			Channel: l.Channel, OrderType: l.OrderType, OwnNumber: l.OwnNumber, Operator: platforms.Operator{ID: l.Operator, Name: l.Operator}}
		for _, t := range a.cfg.Tills {
			if t.Name != l.Till {
				continue
			}
			k.Spec.TillKind, k.Spec.Terminal, k.Spec.Books = string(t.Kind), t.DeviceNo, a.bookTerms(t)
			if k.Spec.Books != nil {
				k.Spec.Books.Silence = 0 // HIS may have booked it over there
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
