package agent

import (
	"context"
	"fmt"
	"time"

	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/platforms"
)

// Booking is HIS's word about a payment or a refund: booked, or its processing
// failed. A payment that HIS could not process goes back at once.
type Booking struct {
	Booked bool // false: HIS says that its processing failed
	// FlowID is HIS's own number (HisFlowID), unique over payments and refunds,
	// at most 64 characters. Required if Booked.
	FlowID      string
	Refund      string           // number of the refund this word is about; empty: the payment
	CostType    string           // 费用类别, at most 64 characters
	MedicalCard platforms.Hidden // stored sealed, for as long as reconciliation needs it
	At          time.Time        // HIS's own time; zero: now
	Operator    platforms.Operator
	Reason      string // why it failed, at most 256 bytes
	// InsuranceTaken and CashTaken are what HIS knows of a payment by insurance
	// and cash; nil where it does not say. Where one was taken and the other was
	// not, nothing goes back by itself: people decide (PAY-17).
	InsuranceTaken, CashTaken *bool
}

// Book takes HIS's word about an order. The reply's code is done, replayed (the
// same word came before), booking_differs, booking_failed_before, flow_id_used,
// not_paid, booking_late (the money was given back), refund_not_done or
// not_found. A *platforms.FieldError says which field cannot be taken.
func (a *Agent) Book(ctx context.Context, no string, b Booking) (counter.Reply, error) {
	w, err := a.wordOf(no, b)
	if err != nil {
		return counter.Reply{}, err
	}
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.Book{Reply: id, Order: no, Word: w}
	})
}

func (a *Agent) wordOf(no string, b Booking) (order.Booked, error) {
	now := time.UnixMilli(a.Now().Wall)
	w := order.Booked{OK: b.Booked, FlowID: b.FlowID, Refund: b.Refund, CostType: b.CostType, At: b.At.UnixMilli(), Operator: b.Operator,
		Reason: b.Reason, InsuranceTaken: b.InsuranceTaken, CashTaken: b.CashTaken}
	switch {
	case b.Booked && b.FlowID == "":
		return w, field("his_flow_id", "is missing; give HIS's own number of the booking")
	case len(b.FlowID) > 64 || !printable(b.FlowID):
		return w, field("his_flow_id", "is longer than 64 bytes or has control characters")
	case b.Refund != "" && len(b.Refund) > 64:
		return w, field("refund_no", "is longer than 64 bytes")
	case len(b.CostType) > 64 || !printable(b.CostType):
		return w, field("cost_type", "is longer than 64 bytes or has control characters")
	case len(b.MedicalCard.Reveal()) > 64 || !printable(b.MedicalCard.Reveal()):
		return w, field("medical_card", "is longer than 64 bytes or has control characters")
	case len(b.Reason) > 256 || !printable(b.Reason):
		return w, field("reason", "is longer than 256 bytes or has control characters")
	case len(b.Operator.ID) > 64 || len(b.Operator.Name) > 64 || !printable(b.Operator.ID) || !printable(b.Operator.Name):
		return w, field("operator", "is longer than 64 bytes or has control characters")
	case (b.InsuranceTaken == nil) != (b.CashTaken == nil):
		return w, field("insurance_taken", "and cash_taken come together or not at all")
	case b.Refund != "" && b.InsuranceTaken != nil:
		return w, field("insurance_taken", "is about a payment, not about a refund")
	}
	if b.At.IsZero() {
		w.At = now.UnixMilli()
	}
	if b.MedicalCard.Empty() {
		return w, nil
	}
	sealed, err := a.parts.Box.Seal(now, seal.Long, []byte(b.MedicalCard.Reveal()), []byte("card/"+no))
	if err != nil {
		return w, fmt.Errorf("cannot seal the medical card of order %s: %w", no, err)
	}
	w.Card = sealed
	return w, nil
}

// MedicalCard opens the card that HIS booked a payment under; empty where there
// is none, or once its key was thrown away.
func (a *Agent) MedicalCard(o *order.Order) platforms.Hidden {
	if o.Booking == nil || len(o.Booking.SealedCard) == 0 {
		return platforms.Hidden{}
	}
	plain, err := a.parts.Box.Open(o.Booking.SealedCard, []byte("card/"+o.No))
	if err != nil {
		a.log.Warn("a sealed medical card cannot be opened", "order", o.No, "error", err)
		return platforms.Hidden{}
	}
	return platforms.Hide(string(plain))
}

// Told notes that a HIS which has no word for its books was answered, by a
// façade, that an order is paid. What it does not take back within
// booking.alarm_after counts as booked.
func (a *Agent) Told(ctx context.Context, no string) error {
	_, err := a.ask(ctx, func(id uint64) counter.Event { return counter.Told{Reply: id, Order: no} })
	return err
}

// SetHisLink says whether HIS can be reached: its webhook answers, or one of
// its clients listens to the events. Silence counts only while it can.
func (a *Agent) SetHisLink(ctx context.Context, up bool) { a.post(ctx, counter.HisLink{Up: up}) }

// bookTerms is what is expected of HIS for the payments of a till; nil for
// nothing.
func (a *Agent) bookTerms(t config.Till) *order.BookTerms {
	b := a.cfg.Booking
	if !b.Expect {
		return nil
	}
	terms := &order.BookTerms{Prompt: b.PromptAfter, Alarm: b.AlarmAfter}
	if t.ReverseOnSilence && t.Kind == config.Kiosk {
		terms.Silence = config.SilenceFor
	}
	return terms
}

// reverseOf tells the counter how a payment that HIS could not book goes back.
func reverseOf(c config.Config) counter.Reverse {
	r := counter.Reverse{With: order.ViaCancel}
	switch c.Booking.ReverseWith {
	case config.ReverseRefund:
		r.With = order.ViaRefund
	case config.ReverseLC:
		m := c.ReverseMerchant()
		r.Through, r.Merchant = c.Booking.ReverseVia, platforms.Merchant{Profile: m.Profile, Code: m.MerchCode}
	}
	return r
}

// opKey finds the orders that an operator made on the present day (UTC+8).
func (a *Agent) opKey(operator string) string {
	return a.OperatorKey(operator, time.UnixMilli(a.Now().Wall))
}

// OperatorKey finds the orders that an operator made on a day (UTC+8) in the
// log. It holds no name: the operator's number is hashed under a key of this box.
func (a *Agent) OperatorKey(operator string, day time.Time) string {
	return "op:" + a.parts.Box.Hash("operator", platforms.Hide(operator)) + ":" + Day(day.UnixMilli())
}
