package smartpayfacade

import (
	"context"
	"strconv"
	"time"

	"payagent/platforms"
	"payagent/platforms/smartpay/internal/message"
)

func (f *facade) pay(ctx context.Context, data message.Fields) message.Reply {
	if reply, bad := lacking(message.Charge, data); bad {
		return reply
	}
	field := func(name string) message.Reply {
		return message.Reply{Code: codeField, Message: "参数不正确: " + name}
	}
	fee, err := platforms.ParseFen(data.Get("TotalFee"))
	if err != nil || fee <= 0 {
		return message.Reply{Code: codeAmount, Message: "金额不正确：TotalFee 须为整数分"}
	}
	orderType, known := f.cfg.OrderTypes[data.Get("ServiceId")]
	if !known {
		return field("ServiceId")
	}
	cardType, known := f.cfg.CardTypes[data.Get("CardType")]
	if !known {
		return field("CardType")
	}
	c := platforms.Charge{
		Ref: platforms.Ref{OrderNo: data.Get("HisOrderId"), Amount: fee, Mode: platforms.ModeCharge, Terminal: data.Get("DeviceInfo"),
			Operator: platforms.Operator{ID: data.Get("OperatorId"), Name: data.Get("OperatorName")}},
		Code:      platforms.AuthCode{Hidden: platforms.Hide(data.Get("AuthCode"))},
		OrderType: orderType, Subject: data.Get("Subject"), Memo: data.Get("OrderMemo"),
		// Name, IdCardId and Mobile are not in the seed; the known server has them.
		Patient: platforms.Patient{CardNo: platforms.Hide(data.Get("CardNo")), CardType: cardType,
			Name: platforms.Hide(data.Get("Name")), Phone: platforms.Hide(data.Get("Mobile"))},
	}
	if !f.cfg.IgnoreMerchCode {
		c.Merchant.Code = data.Get("MerchCode")
	}
	if cardType == "admission_no" {
		c.Patient.AdmissionNo = c.Patient.CardNo
	}
	o, err := f.agent.Pay(ctx, c, f.cfg.Wait)
	if err != nil {
		return trouble(err)
	}
	return payReply(o)
}

// payReply is the table of the package comment, column SweepCodePay.
func payReply(o platforms.FrontOrder) message.Reply {
	at := message.Fields{{Name: "OrderId", Value: o.OrderNo}}
	switch o.State {
	case platforms.FrontWaiting, platforms.FrontPaying:
		return message.Reply{Code: codePaying, Message: "商户订单正在等待支付中", Data: at}
	case platforms.FrontPaid:
		switch {
		case o.Amount > 0 && o.Refunded >= o.Amount:
			return message.Reply{Code: codeState, Message: "订单状态异常：已退款", Data: at}
		case o.Reversing:
			return message.Reply{Code: codeUnknown, Message: "系统异常：正在退款，请查询", Data: at}
		}
		return message.Reply{Code: message.CodeDone, Message: "成功", Data: message.Fields{
			{Name: "OrderId", Value: o.OrderNo}, {Name: "TotalFee", Value: strconv.FormatInt(int64(o.Amount), 10)}, {Name: "HisOrderId", Value: o.OrderNo},
			{Name: "PayTime", Value: wall(o)}, {Name: "TransactionId", Value: o.TradeNo}}}
	case platforms.FrontFailed:
		return message.Reply{Code: codeFailed, Message: "支付失败：" + o.Say, Data: at}
	case platforms.FrontCanceled:
		return message.Reply{Code: codeState, Message: "订单状态异常：已撤销", Data: at}
	}
	return message.Reply{Code: codeUnknown, Message: "系统异常：结果未知，请查询。" + o.Say, Data: at}
}

// wall writes PayTime, whose format the seed leaves open, in UTC+8.
func wall(o platforms.FrontOrder) string {
	if o.PaidAt.IsZero() {
		return ""
	}
	return o.PaidAt.In(time.FixedZone("UTC+8", 8*60*60)).Format(time.DateTime)
}

func (f *facade) query(ctx context.Context, data message.Fields) message.Reply {
	if reply, bad := lacking(message.Query, data); bad {
		return reply
	}
	o, err := f.agent.Look(ctx, data.Get("OrderId"))
	if err != nil {
		return trouble(err)
	}
	state := orderState(o)
	if state == "" {
		return message.Reply{Code: codeUnknown, Message: "系统异常：结果未知，请稍后再查。" + o.Say}
	}
	return message.Reply{Code: message.CodeDone, Message: "成功", Data: message.Fields{{Name: "OrderState", Value: state}}}
}

// orderState is OrderState of an order (wire.md §1.5, the other way round);
// empty where nothing may be said. The seed knows 0, 1, 2 and 6, so a failed
// order is 6 too: no money is held.
func orderState(o platforms.FrontOrder) string {
	switch o.State {
	case platforms.FrontWaiting:
		return "0"
	case platforms.FrontPaying, platforms.FrontCanceling:
		return "1"
	case platforms.FrontPaid:
		switch {
		case o.Amount > 0 && o.Refunded >= o.Amount:
			return "4"
		case o.Reversing:
			return "3"
		}
		return "2"
	case platforms.FrontFailed, platforms.FrontCanceled:
		return "6"
	}
	return ""
}

func (f *facade) revoke(ctx context.Context, data message.Fields) message.Reply {
	if reply, bad := lacking(message.Revoke, data); bad {
		return reply
	}
	o, err := f.agent.Cancel(ctx, data.Get("OrderId"), platforms.Operator{ID: data.Get("OperatorId"), Name: data.Get("OperatorName")}, f.cfg.Wait)
	if err != nil {
		return trouble(err)
	}
	switch {
	case o.State == platforms.FrontFailed, o.State == platforms.FrontCanceled,
		o.State == platforms.FrontPaid && o.Amount > 0 && o.Refunded >= o.Amount:
		return message.Reply{Code: message.CodeDone, Message: "成功"}
	case o.State == platforms.FrontInDoubt:
		return message.Reply{Code: codeUnknown, Message: "系统异常：撤销结果未知，需人工处理。" + o.Say}
	case o.State == platforms.FrontPaid && !o.Reversing:
		return message.Reply{Code: codeState, Message: "订单状态异常：已支付，不能撤销，需人工处理"}
	}
	return message.Reply{Code: codeNoRevoke, Message: "撤销失败：正在撤销，请稍后再试"}
}
