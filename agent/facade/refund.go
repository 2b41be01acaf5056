package facade

import (
	"context"
	"errors"
	"slices"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// Refund implements platforms.FrontRefunder. Number, trade number and amount
// of the order must all be those of the journal: a refund that names another
// payment in one of them is nobody's guess.
func (f *Front) Refund(ctx context.Context, r platforms.Refund, op platforms.Operator, wait time.Duration) (platforms.FrontRefund, error) {
	var none platforms.FrontRefund
	o, err := f.known(r.OrderNo)
	if err == nil && o == nil {
		o, err = f.adopt(ctx, r.OrderNo, r.TradeNo, r.Terminal)
	}
	switch {
	case err != nil:
		return none, err
	case o.Amount != r.Amount:
		return none, refuse(platforms.FrontNumber, "amount_fen", "总金额与订单不一致，没有退款")
	case o.TradeNo != "" && o.TradeNo != r.TradeNo:
		return none, refuse(platforms.FrontNumber, "trade_no", "支付平台订单号与订单不一致，没有退款")
	}
	if line(o, r.RequestNo).Request == "" {
		if err := f.turn(ctx, "refund", o.Till); err != nil {
			return none, err
		}
	}
	if op.ID == "" {
		op = f.operator(o)
	}
	limit, stop := context.WithTimeout(ctx, wait)
	defer stop()
	reply, err := f.agent.Refund(limit, o.No, agent.RefundRequest{Request: r.RequestNo, Sum: r.Sum, Operator: op, Reason: r.Reason})
	if err != nil {
		return none, f.trouble(err)
	}
	switch reply.Code {
	case counter.CodeAccepted, counter.CodeReplayed:
	case counter.CodeNotPaid:
		return none, refuse(platforms.FrontNotPaid, "", "订单未支付或已撤销，不能退款")
	case counter.CodeRefundOver, counter.CodeNoRefunds:
		return platforms.FrontRefund{Order: f.tell(o), State: platforms.RefundRefused, Message: f.refusalWords(reply)}, nil
	case counter.CodeRefundUsed, counter.CodeKeyMismatch:
		return none, refuse(platforms.FrontNumber, "refund_no", "退款请求号已用于另一笔退款，没有退款")
	default:
		if reply.Order == nil {
			return none, f.refusal(reply)
		}
		return none, refuse(platforms.FrontAway, "", f.refusalWords(reply))
	}
	settled := func(o *order.Order) bool { return line(o, reply.Refund).State.Final() }
	before := settled(reply.Order)
	if o, err = f.until(limit, reply.Order, wait, settled); err != nil {
		return none, err
	}
	got := line(o, reply.Refund)
	out := platforms.FrontRefund{Order: f.tell(o), Moved: !before, Message: f.refundWords(got)}
	switch got.State {
	case order.RefundDone:
		out.State = platforms.RefundDone
	case order.RefundRefused:
		out.State = platforms.RefundRefused
	}
	return out, nil
}

// line finds a refund of an order.
func line(o *order.Order, request string) order.RefundLine {
	i := slices.IndexFunc(o.Refunds, func(r order.RefundLine) bool { return r.Request == request })
	if i < 0 {
		return order.RefundLine{}
	}
	return o.Refunds[i]
}

func (f *Front) refusalWords(r counter.Reply) string {
	var no *platforms.FrontRefusal
	if errors.As(f.refusal(r), &no) {
		return no.Words
	}
	return r.Code
}

// refundWords tells how a refund stands.
func (f *Front) refundWords(r order.RefundLine) string {
	switch r.State {
	case order.RefundDone:
		return "退款成功"
	case order.RefundAwaiting:
		return "退款等待第二人审批"
	case order.RefundRefused:
		return "退款被拒绝 " + r.Message
	case order.RefundInDoubt:
		return "退款待核实"
	}
	return "退款处理中"
}

// operator answers for a call that names nobody: the façade's own, else the
// order's.
func (f *Front) operator(o *order.Order) platforms.Operator {
	if op := f.conf.Facade.Operator; op.ID != "" {
		return platforms.Operator{ID: op.ID, Name: op.Name}
	}
	return o.Operator
}

// abroad looks for an order that this agent did not take: one from before HIS
// was pointed here.
func (f *Front) abroad(ctx context.Context, no string) (platforms.FrontOrder, error) {
	profile := f.conf.Facade.FormerMerchant
	if profile == "" {
		return platforms.FrontOrder{}, refuse(platforms.FrontNoOrder, "out_trade_no", "订单不存在")
	}
	got, err := f.agent.LookUp(ctx, agent.DeskQuery{Profile: profile, OrderNo: no})
	switch {
	case errors.Is(err, agent.ErrNotThere):
		return platforms.FrontOrder{}, refuse(platforms.FrontNoOrder, "out_trade_no", "订单不存在")
	case err != nil:
		return platforms.FrontOrder{}, err
	case got.Order != nil:
		return f.tell(got.Order), nil
	}
	out := platforms.FrontOrder{OrderNo: no, TradeNo: got.TradeNo, Amount: got.Amount, Channel: got.Channel, PaidAt: got.PaidAt, Say: "此订单不是本机收的"}
	if got.HasRefunded {
		out.Refunded = got.Refunded
	}
	switch got.Status {
	case platforms.Paid:
		out.State = platforms.FrontPaid
	case platforms.Pending:
		out.State = platforms.FrontPaying
	case platforms.Closed:
		out.State, out.Action = platforms.FrontCanceled, platforms.ActionUnknown
	default:
		out.State = platforms.FrontInDoubt
	}
	return out, nil
}

// adopt takes up a payment that this agent did not take, so that it can be
// given back.
func (f *Front) adopt(ctx context.Context, no, tradeNo, terminal string) (*order.Order, error) {
	profile := f.conf.Facade.FormerMerchant
	if profile == "" {
		return nil, refuse(platforms.FrontNoOrder, "out_trade_no", "订单不存在")
	}
	till, err := f.till(terminal)
	if err != nil {
		return nil, err
	}
	op := platforms.Operator{ID: f.conf.Facade.Operator.ID, Name: f.conf.Facade.Operator.Name}
	if op.ID == "" {
		op = platforms.Operator{ID: till.Operator.ID, Name: till.Operator.Name}
	}
	reply, err := f.agent.Adopt(ctx, agent.DeskQuery{Profile: profile, OrderNo: no, TradeNo: tradeNo}, till.Name, op)
	switch {
	case errors.Is(err, agent.ErrNotThere):
		return nil, refuse(platforms.FrontNoOrder, "out_trade_no", "订单不存在")
	case err != nil:
		return nil, f.trouble(err)
	case reply.Order != nil:
		return reply.Order, nil
	case reply.Code == counter.CodeNotPaid:
		return nil, refuse(platforms.FrontNotPaid, "", "订单未支付或已退款，不能退款")
	}
	return nil, f.refusal(reply)
}
