// Package facade is the agent behind the façades: what a HIS asks in a
// platform's own words becomes an order, a look at the journal, a cancel or a
// refund of the agent's (decision 24, HIS-04). The words themselves are with
// each platform's member; this package speaks platforms.Front.
//
// The caller's number is order number and bill at once. A number that the
// journal knows is never charged again, whatever else the second call says: it
// is answered from the journal, and refused where it asks for another amount.
package facade

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// freshFor is how long a look at an open order waits for the platform to be
// asked anew.
const freshFor = 2 * time.Second

// Front is the agent as the façades see it. It holds nothing of any order.
type Front struct {
	agent *agent.Agent
	conf  config.Config
	words words.Catalogue
}

var (
	_ platforms.Front         = (*Front)(nil)
	_ platforms.FrontRefunder = (*Front)(nil)
)

// New makes the front of a running agent.
func New(a *agent.Agent) *Front {
	return &Front{agent: a, conf: a.Config(), words: words.New()}
}

func refuse(t platforms.FrontTrouble, field, words string) error {
	return &platforms.FrontRefusal{Trouble: t, Field: field, Words: words}
}

// Pay implements platforms.Front.
func (f *Front) Pay(ctx context.Context, c platforms.Charge, wait time.Duration) (platforms.FrontOrder, error) {
	o, err := f.known(c.OrderNo)
	if err != nil {
		return platforms.FrontOrder{}, err
	}
	if o == nil {
		if o, err = f.collect(ctx, c); err != nil {
			return platforms.FrontOrder{}, err
		}
	}
	switch {
	case o.Amount != c.Amount:
		return platforms.FrontOrder{}, refuse(platforms.FrontNumber, "amount_fen", "订单号已用于金额为 "+o.Amount.Yuan()+" 元的另一笔收款，本次没有扣款")
	case o.Mode != c.Mode:
		return platforms.FrontOrder{}, refuse(platforms.FrontNumber, "out_trade_no", "订单号已用于另一种支付方式的收款，本次没有扣款")
	}
	o, err = f.until(ctx, o, wait, func(o *order.Order) bool {
		return o.State().Final() || o.Mode.Shown() && o.QR != ""
	})
	if err != nil {
		return platforms.FrontOrder{}, err
	}
	return f.answer(ctx, o), nil
}

// answer tells an order to HIS. What is paid is noted as told: this HIS has no
// word for its books, so what it does not take back counts as booked.
func (f *Front) answer(ctx context.Context, o *order.Order) platforms.FrontOrder {
	if b := o.Booking; ctx.Err() == nil && f.conf.Facade.AssumeBooked && o.State() == order.Paid && b != nil && b.State == order.BookPending && !b.TellsNot {
		// Not noted, it is noted at the next look, or people are told that HIS is silent.
		_ = f.agent.Told(ctx, o.No)
	}
	return f.tell(o)
}

// known gives the order of a number, nil if the journal has none.
func (f *Front) known(no string) (*order.Order, error) {
	if no == "" || len(no) > 32 {
		return nil, refuse(platforms.FrontBadField, "out_trade_no", "订单号须为 1 到 32 位字母或数字")
	}
	return f.agent.Order(no)
}

// collect makes the order. Two calls that arrive together get the same one.
func (f *Front) collect(ctx context.Context, c platforms.Charge) (*order.Order, error) {
	till, err := f.till(c.Terminal)
	if err != nil {
		return nil, err
	}
	if err := f.checkMerchant(till, c); err != nil {
		return nil, err
	}
	if err := f.turn(ctx, "create", till.Name); err != nil {
		return nil, err
	}
	op := c.Operator
	if op.ID != "" && op.Name == "" {
		if op.Name = op.ID; op.ID == till.Operator.ID {
			op.Name = till.Operator.Name
		}
	}
	reply, err := f.agent.Collect(ctx, agent.Request{
		Key: platforms.Hide("facade:" + c.OrderNo), Body: platforms.Hide(c.OrderNo),
		OrderNo: c.OrderNo, Bill: c.OrderNo, Amount: c.Amount, Mode: c.Mode, OrderType: c.OrderType, Till: till.Name,
		Channel: c.Channel, Aggregated: c.Aggregated, Subject: c.Subject, Memo: c.Memo, Patient: c.Patient, Operator: op,
		AuthCode: c.Code.Hidden, Details: c.Details, Expires: c.Expires, WhenOffline: "refuse"})
	if err != nil {
		return nil, f.trouble(err)
	}
	if reply.Order != nil && reply.Order.No == c.OrderNo {
		return reply.Order, nil
	}
	if o, err := f.agent.Order(c.OrderNo); err != nil || o != nil {
		return o, err
	}
	return nil, f.refusal(reply)
}

// turn holds up a HIS program that has gone wrong, as the door does: only what
// begins a payment or a refund, never a question or a cancel.
func (f *Front) turn(ctx context.Context, what, till string) error {
	t := f.agent.Turn("facade", what, till)
	if t.Wait == 0 {
		return nil
	}
	f.agent.TooOften(ctx, t, "")
	f.agent.DoorRefused(what)
	e, _ := f.words.Find(words.Problem, "rate_limited")
	proven := "；本次没有扣款"
	if what == "refund" {
		proven = "；本次没有退款"
	}
	return refuse(platforms.FrontBusy, "", e.Cashier.Fill("wait_s", strconv.Itoa(max(1, int(math.Ceil(t.Wait.Seconds()))))).ZH+proven)
}

// till finds the till of a terminal: as configured for the façade, else the
// one whose device number it is, else the default one.
func (f *Front) till(terminal string) (config.Till, error) {
	name := f.conf.Facade.Tills[terminal]
	for _, t := range f.conf.Tills {
		if name == "" && terminal != "" && t.DeviceNo == terminal {
			name = t.Name
		}
	}
	if name == "" {
		name = f.conf.Facade.Till
	}
	t, ok := f.conf.TillNamed(name)
	if !ok {
		return t, refuse(platforms.FrontBadField, "till", "终端号没有对应的收费点，请在 facade.tills 中配置")
	}
	return t, nil
}

// checkMerchant refuses a merchant code that is not the one that the money
// would go to.
func (f *Front) checkMerchant(till config.Till, c platforms.Charge) error {
	if c.Merchant.Code == "" {
		return nil
	}
	_, m, err := f.conf.RouteFor(config.Query{Till: till.Name, Mode: c.Mode, OrderType: c.OrderType})
	if err == nil && m.MerchCode != "" && m.MerchCode != c.Merchant.Code {
		return refuse(platforms.FrontBadField, "merchant", "商户代码与本机为此类业务配置的商户不一致，没有扣款；请核对 routes")
	}
	return nil
}

// trouble makes a refusal of an error that proves that nothing was begun.
func (f *Front) trouble(err error) error {
	var field *platforms.FieldError
	switch {
	case errors.As(err, &field):
		return refuse(platforms.FrontBadField, field.Field, field.Field+" "+field.Reason)
	case errors.Is(err, agent.ErrStopped):
		return refuse(platforms.FrontAway, "", "本机正在重启，请稍后再试")
	}
	return err
}

// refusal makes a refusal of a reply without an order of ours.
func (f *Front) refusal(r counter.Reply) error {
	said := r.Code
	if e, ok := f.words.Find(words.Problem, r.Code); ok && !e.Cashier.Empty() {
		said = e.Cashier.ZH
	}
	trouble := platforms.FrontBusy
	switch r.Code {
	case counter.CodeNotPayable, counter.CodeWrongWallet, counter.CodeUsed:
		trouble = platforms.FrontCode
	case counter.CodeUnreachable, counter.CodeClock, counter.CodeTokenRefused, counter.CodeStopped, counter.CodeDiskLow, counter.CodeReplaced:
		trouble = platforms.FrontAway
	case counter.CodeBillPaid, counter.CodeBillOpen, counter.CodeExists, counter.CodeNumberUsed, counter.CodeKeyMismatch:
		// Taken under another order number, at the door: that one is not the
		// caller's.
		trouble, said = platforms.FrontNumber, "此账单已用另一订单号收款，本次没有扣款"
	case counter.CodeUnsupported:
		trouble = platforms.FrontBadField
	}
	return refuse(trouble, "", said)
}

// until waits for an order until it is good, for at most wait. An order that
// cannot be read any more is unknown.
func (f *Front) until(ctx context.Context, o *order.Order, wait time.Duration, good func(*order.Order) bool) (*order.Order, error) {
	limit, stop := context.WithTimeout(ctx, wait)
	defer stop()
	for !good(o) && limit.Err() == nil {
		next, err := f.agent.Wait(limit, o.No, o.Rev)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return nil, fmt.Errorf("cannot find order %s any more", o.No)
		}
		if next.Rev == o.Rev && limit.Err() == nil {
			return nil, refuse(platforms.FrontAway, "", "本机正在重启，请稍后查询")
		}
		o = next
	}
	return o, nil
}

// Look implements platforms.Front.
func (f *Front) Look(ctx context.Context, no string) (platforms.FrontOrder, error) {
	o, err := f.known(no)
	switch {
	case err != nil:
		return platforms.FrontOrder{}, err
	case o == nil:
		return f.abroad(ctx, no)
	case o.State() != order.Paying && o.State() != order.InDoubt:
		return f.answer(ctx, o), nil
	}
	reply, err := f.agent.Act(ctx, no, order.ActCheck, platforms.Operator{}, "")
	if err == nil && reply.Order != nil {
		o = reply.Order
	}
	if o, err = f.until(ctx, o, freshFor, func(o *order.Order) bool { return o.State().Final() }); err != nil {
		return platforms.FrontOrder{}, err
	}
	return f.answer(ctx, o), nil
}

// Cancel implements platforms.Front. An order that is paid already goes back
// whole: on both platforms the call means that HIS could not make use of the
// payment.
func (f *Front) Cancel(ctx context.Context, no string, op platforms.Operator, wait time.Duration) (platforms.FrontOrder, error) {
	var none platforms.FrontOrder
	o, err := f.known(no)
	switch {
	case err != nil:
		return none, err
	case o == nil:
		if o, err = f.adopt(ctx, no, "", ""); err != nil {
			return none, err
		}
	}
	limit, stop := context.WithTimeout(ctx, wait)
	defer stop()
	if !o.State().Final() {
		reply, err := f.agent.Act(limit, no, order.ActCancel, op, "HIS 撤销")
		switch {
		case err != nil:
			return none, f.trouble(err)
		case reply.Order == nil:
			return none, f.refusal(reply)
		}
		if o, err = f.until(limit, reply.Order, wait, func(o *order.Order) bool { return o.State().Final() }); err != nil {
			return none, err
		}
	}
	if o.State() == order.Paid && !o.FullyReversed() {
		reply, err := f.agent.Book(limit, no, agent.Booking{Operator: op, Reason: "HIS 撤销"})
		switch {
		case err != nil:
			return none, f.trouble(err)
		case reply.Order == nil:
			return none, f.refusal(reply)
		}
		if o, err = f.until(limit, reply.Order, wait, func(o *order.Order) bool { return !reversing(o) }); err != nil {
			return none, err
		}
	}
	return f.tell(o), nil
}

// reversing tells whether a paid order's money is on its way back.
func reversing(o *order.Order) bool {
	if o.State() != order.Paid || o.FullyReversed() {
		return false
	}
	r := o.Reversal()
	if r == nil {
		return o.Booking != nil && o.Booking.State == order.BookFailed
	}
	return !r.State.Final()
}

// tell makes of an order what is said of it.
func (f *Front) tell(o *order.Order) platforms.FrontOrder {
	out := platforms.FrontOrder{OrderNo: o.No, TradeNo: o.TradeNo, Amount: o.Amount, Refunded: o.RefundedSum() + o.Outside, Reversing: reversing(o),
		Final: o.NoRefunds, Action: o.Action, Channel: o.PaidVia(), Buyer: platforms.Hide(o.Buyer), QR: o.QR,
		Operator: o.Operator.ID, Terminal: o.Terminal, Say: f.agent.Say(o).Message.ZH}
	switch o.State() {
	case order.Queued, order.Waiting:
		out.State = platforms.FrontWaiting
	case order.Paying:
		out.State = platforms.FrontPaying
		if o.CancelAsked != nil {
			out.State = platforms.FrontCanceling // it will be canceled, or turn out to be paid
		}
	case order.Canceling:
		out.State = platforms.FrontCanceling
	case order.Paid:
		out.State = platforms.FrontPaid
		if o.PaidAt != 0 {
			out.PaidAt = time.UnixMilli(o.PaidAt)
		}
	case order.Failed:
		out.State = platforms.FrontFailed
	case order.Canceled:
		out.State = platforms.FrontCanceled
	default:
		out.State = platforms.FrontInDoubt
	}
	return out
}
