package agent

import (
	"context"
	"fmt"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// DeskQuery names a payment that the refund desk looks for: by the order number
// that the platform knows, by the wallet's number, or both.
type DeskQuery struct {
	Profile string // merchant profile that it was taken under
	OrderNo string
	TradeNo string
	Mode    platforms.Mode // how it was paid; empty is charge
	Token   string         // name of the token under which it is asked for, for the record
}

// DeskFound is what is known of such a payment.
type DeskFound struct {
	_                 [0]func() // never compared: no code is made for it
	OrderNo, TradeNo  string
	Platform, Profile string
	Status            platforms.Status
	Amount            platforms.Fen // 0 where the platform does not tell: then it cannot be given back here
	Refunded          platforms.Fen // given back so far, valid if HasRefunded
	HasRefunded       bool
	Channel           platforms.Channel
	PaidAt            time.Time
	Order             *order.Order // as this agent knows it already; nil if it does not
}

// ErrNotThere says that neither this agent nor the platform knows a payment.
var ErrNotThere = fmt.Errorf("cannot find the payment: neither this agent nor the platform knows the number; check it and the merchant profile")

// LookUp finds a payment for the refund desk: an order of this agent's first,
// else by asking the platform. It leaves a note in the log and changes nothing.
// The error is a *platforms.FieldError, ErrNotThere, or the platform's.
func (a *Agent) LookUp(ctx context.Context, q DeskQuery) (DeskFound, error) {
	found, _, err := a.lookUp(ctx, q)
	note := struct {
		Profile string `json:"profile"`
		OrderNo string `json:"order_no,omitempty"`
		TradeNo string `json:"trade_no,omitempty"`
		Status  string `json:"status"`
		Known   bool   `json:"known,omitempty"`
		Token   string `json:"token,omitempty"`
	}{q.Profile, q.OrderNo, q.TradeNo, found.Status.String(), found.Order != nil, q.Token}
	if noted := a.Note(ctx, "desk.lookup", []string{"day:" + Day(a.Now().Wall)}, note); noted != nil {
		return DeskFound{}, noted
	}
	return found, err
}

func (a *Agent) lookUp(ctx context.Context, q DeskQuery) (DeskFound, platforms.Answer, error) {
	var none platforms.Answer
	switch {
	case q.OrderNo == "" && q.TradeNo == "":
		return DeskFound{}, none, field("order_no", "is missing; give the order number or the trade number")
	case len(q.OrderNo) > 64 || len(q.TradeNo) > 64 || !printable(q.OrderNo) || !printable(q.TradeNo):
		return DeskFound{}, none, field("order_no", "or trade_no is longer than 64 bytes or has control characters")
	}
	switch o, err := a.ours(q); {
	case err != nil:
		return DeskFound{}, none, err
	case o != nil:
		return deskOf(o), none, nil
	}
	if q.Mode == "" {
		q.Mode = platforms.ModeCharge
	}
	m, ok := a.cfg.MerchantNamed(q.Profile)
	p := a.parts.Platforms[m.Platform]
	if !ok || p == nil {
		return DeskFound{}, none, field("profile", "there is no merchant profile of that name; name the one that the payment was taken under")
	}
	if p.Traits().NoQuery {
		return DeskFound{}, none, field("profile", "platform %s has no query, so nothing can be looked up there", m.Platform)
	}
	ref := platforms.Ref{OrderNo: q.OrderNo, TradeNo: q.TradeNo, Mode: q.Mode, Merchant: platforms.Merchant{Profile: m.Profile, Code: m.MerchCode},
		Operator: a.deskOperator()}
	ctx, stop := context.WithTimeout(ctx, a.shape.Platforms[m.Platform].Policy.CallTimeout)
	defer stop()
	got, err := p.Query(ctx, ref)
	switch {
	case err != nil && q.OrderNo == "":
		return DeskFound{}, none, field("order_no", "is missing: this agent does not know the trade number, and the platform could not be asked by it; give the order number that stands on the receipt")
	case err != nil:
		return DeskFound{}, none, fmt.Errorf("cannot look the payment up: %w", err)
	case q.OrderNo == "" && got.Status != platforms.NotFound:
		if q.OrderNo, ref.OrderNo = got.OrderNo, got.OrderNo; q.OrderNo == "" {
			return DeskFound{}, none, field("order_no", "is missing: the platform does not tell it; it stands on the receipt")
		}
	}
	ref.Amount = got.Amount // it is what is asked for
	if err := platforms.Bind(ref, got); err != nil {
		return DeskFound{}, none, err
	}
	if q.TradeNo != "" && got.TradeNo != "" && got.TradeNo != q.TradeNo {
		return DeskFound{}, none, &platforms.Mismatch{Field: "trade number", Asked: q.TradeNo, Got: got.TradeNo}
	}
	f := DeskFound{OrderNo: q.OrderNo, TradeNo: got.TradeNo, Platform: m.Platform, Profile: m.Profile, Status: got.Status,
		Refunded: got.Refunded, HasRefunded: got.HasRefunded, Channel: got.Channel, PaidAt: got.PaidAt}
	if f.TradeNo == "" {
		f.TradeNo = q.TradeNo
	}
	if got.HasAmount {
		f.Amount = got.Amount
	}
	if got.Status == platforms.NotFound {
		return f, got, ErrNotThere
	}
	// The trade number may have led to an order of our own.
	if o, err := a.Order(q.OrderNo); err != nil || o != nil {
		if o != nil {
			f = deskOf(o)
		}
		return f, got, err
	}
	return f, got, nil
}

// deskOperator is in whose name the platform is asked, where nobody acts yet.
func (a *Agent) deskOperator() platforms.Operator {
	for _, t := range a.cfg.Tills {
		if t.Operator.ID != "" {
			return platforms.Operator{ID: t.Operator.ID, Name: t.Operator.Name}
		}
	}
	return platforms.Operator{ID: "payagent", Name: "payagent"}
}

// ours finds an order of this agent's.
func (a *Agent) ours(q DeskQuery) (*order.Order, error) {
	if q.OrderNo != "" {
		return a.Order(q.OrderNo)
	}
	list, err := a.Find(ByTrade, q.TradeNo)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

func deskOf(o *order.Order) DeskFound {
	f := DeskFound{OrderNo: o.No, TradeNo: o.TradeNo, Platform: o.Platform, Profile: o.Merchant.Profile, Status: platforms.Pending,
		Amount: o.Amount, Refunded: o.RefundedSum() + o.Outside, HasRefunded: true, Channel: o.PaidVia(), Order: o}
	switch o.State() {
	case order.Paid:
		f.Status = platforms.Paid
		if o.PaidAt != 0 {
			f.PaidAt = time.UnixMilli(o.PaidAt)
		}
	case order.Failed:
		f.Status = platforms.Failed
	case order.Canceled:
		f.Status = platforms.Closed
	case order.InDoubt:
		f.Status = platforms.Unknown
	}
	return f
}

// Adopt takes up a payment that this agent did not take, so that [Agent.Refund]
// can give it back: the platform is asked anew, and the order stands in the log
// from then on. The reply's code is created, exists (it is known already, with
// the order), not_paid, or disk_low. The operator is who takes it up, at till.
func (a *Agent) Adopt(ctx context.Context, q DeskQuery, till string, op platforms.Operator) (counter.Reply, error) {
	if err := checkPerson(op, ""); err != nil {
		return counter.Reply{}, err
	}
	t, ok := a.cfg.TillNamed(till)
	if !ok {
		return counter.Reply{}, field("till", "this agent has no till of that name")
	}
	f, got, err := a.lookUp(ctx, q)
	switch {
	case err != nil:
		return counter.Reply{}, err
	case f.Order != nil:
		return counter.Reply{Code: counter.CodeExists, Order: f.Order, Platform: f.Platform}, nil
	case got.Status != platforms.Paid:
		return counter.Reply{Code: counter.CodeNotPaid, Platform: f.Platform}, nil
	case f.Amount <= 0:
		return counter.Reply{}, field("order_no", "platform %s does not tell the amount, so it cannot be given back here", f.Platform)
	case !ownNumber.MatchString(f.OrderNo):
		return counter.Reply{}, field("order_no", "is none of 1 to 32 letters and digits, so the platform cannot have it")
	case f.HasRefunded && (f.Refunded < 0 || f.Refunded > f.Amount):
		return counter.Reply{}, field("order_no", "the platform says that more was given back than was paid; ask it")
	case !a.shape.Platforms[f.Platform].Refund:
		return counter.Reply{Code: counter.CodeNoRefunds, Platform: f.Platform}, nil
	}
	m, _ := a.cfg.MerchantNamed(f.Profile)
	if q.Mode == "" {
		q.Mode = platforms.ModeCharge
	}
	spec := order.Created{Amount: f.Amount, Mode: q.Mode, Till: t.Name, TillKind: t.Kind, Terminal: t.DeviceNo, Platform: f.Platform,
		Merchant: platforms.Merchant{Profile: m.Profile, Code: m.MerchCode}, Channel: f.Channel, Operator: op, OwnNumber: true}
	if f.HasRefunded {
		sum := f.Refunded
		spec.Elsewhere = &sum
	}
	if got.TradeNo == "" {
		got.TradeNo = f.TradeNo
	}
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.Adopt{Reply: id, No: f.OrderNo, Spec: spec, Answer: got, OpKey: a.opKey(op.ID)}
	})
}
