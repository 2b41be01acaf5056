package fwcfacade

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
	"payagent/platforms/internal/strictjson"
)

func (f *facade) pay(ctx context.Context, head message.Fields) (message.Result, message.Fields) {
	c, no := f.charge(head, platforms.ModeCharge)
	if no != nil {
		return *no, nil
	}
	c.Code = platforms.AuthCode{Hidden: platforms.Hide(head.Get("AuthCode"))}
	wait, ok := f.wait(head.Get("Cnt"))
	if !ok {
		return illegal("Cnt 必须是整数"), nil
	}
	o, err := f.agent.Pay(ctx, c, wait)
	if err != nil {
		return trouble(err), nil
	}
	fields := message.Fields{
		{Name: "TradeNo", Value: o.TradeNo}, {Name: "OutTradeNo", Value: o.OrderNo}, {Name: "OpenUserID", Value: o.Buyer.Reveal()},
		{Name: "TotalAmount", Value: o.Amount.Yuan()}, {Name: "PaymentDateTime", Value: message.WriteTime(o.PaidAt)}, {Name: "PayType", Value: payType(o.Channel)},
	}
	return f.payResult(o), fields
}

// payResult is the table of the package comment, column "pay answer".
func (f *facade) payResult(o platforms.FrontOrder) message.Result {
	switch status(o) {
	case "TRADE_SUCCESS", "TRADE_FINISHED":
		return said(message.Done, "支付成功", "TRADE_SUCCESS", "支付成功")
	case "WAIT_BUYER_PAY":
		return said(f.cfg.Pending, "等待用户付款："+o.Say, "WAIT_BUYER_PAY", o.Say)
	case "TRADE_CLOSED":
		return said(message.Refused, "支付失败："+o.Say, "TRADE_CLOSED", o.Say)
	}
	return unknown(o.Say)
}

// status is TradeStatus of an order (wire.md §2.4, the other way round).
func status(o platforms.FrontOrder) string {
	switch o.State {
	case platforms.FrontWaiting, platforms.FrontPaying:
		return "WAIT_BUYER_PAY"
	case platforms.FrontPaid:
		switch {
		case o.Amount > 0 && o.Refunded >= o.Amount:
			return "TRADE_CLOSED"
		case o.Reversing:
			return "SYSTEM_ERROR" // neither paid any more nor given back yet
		case o.Final:
			return "TRADE_FINISHED"
		}
		return "TRADE_SUCCESS"
	case platforms.FrontFailed, platforms.FrontCanceled:
		return "TRADE_CLOSED"
	}
	return "SYSTEM_ERROR"
}

func (f *facade) present(ctx context.Context, head message.Fields) (message.Result, message.Fields) {
	c, no := f.charge(head, platforms.ModePresent)
	if no != nil {
		return *no, nil
	}
	c.Aggregated = c.Channel == ""
	c.Expires = head.Get("TimeoutExpress")
	var err error
	if c.Details, err = details(head.Get("TradeDetail")); err != nil {
		return illegal(err.Error()), nil
	}
	o, err := f.agent.Pay(ctx, c, f.cfg.Wait)
	if err != nil {
		return trouble(err), nil
	}
	switch {
	case o.QR != "" && status(o) == "WAIT_BUYER_PAY":
		return said(message.Done, "调用成功", "", ""), message.Fields{{Name: "OutTradeNo", Value: o.OrderNo}, {Name: "TwoDimensionCode", Value: o.QR}}
	case status(o) == "TRADE_SUCCESS":
		return said(message.Refused, "下单失败", "TRADE_HAS_SUCCESS", "交易已被支付"), nil
	case status(o) == "TRADE_CLOSED":
		return said(message.Refused, "下单失败："+o.Say, "TRADE_CLOSED", o.Say), nil
	}
	return unknown(o.Say), nil
}

func (f *facade) query(ctx context.Context, head message.Fields) (message.Result, message.Fields) {
	no := head.Get("OutTradeNo")
	o, err := f.agent.Look(ctx, no)
	if err != nil {
		r := trouble(err)
		word := r.SubCode
		if r.Success == message.Refused && word != "TRADE_NOT_EXIST" {
			word = "ILLEGAL_ARGUMENT"
		}
		return r, message.Fields{{Name: "TradeNo"}, {Name: "OutTradeNo", Value: no}, {Name: "TradeStatus", Value: word}}
	}
	r := said(message.Done, "调用成功", "", "")
	if status(o) == "SYSTEM_ERROR" {
		r = unknown(o.Say)
	}
	return r, message.Fields{
		{Name: "TradeNo", Value: o.TradeNo}, {Name: "OutTradeNo", Value: o.OrderNo}, {Name: "OpenUserID", Value: o.Buyer.Reveal()},
		{Name: "TradeStatus", Value: status(o)}, {Name: "HospitalID", Value: f.cfg.HospitalID}, {Name: "TotalAmount", Value: o.Amount.Yuan()},
		{Name: "OperatorID", Value: o.Operator}, {Name: "TerminalID", Value: o.Terminal}, {Name: "BuyerLogonId", Value: o.Buyer.Reveal()},
		{Name: "PaymentDateTime", Value: message.WriteTime(o.PaidAt)}, {Name: "Buyer_user_id"}, {Name: "PayType", Value: payType(o.Channel)},
	}
}

func (f *facade) cancel(ctx context.Context, head message.Fields) (message.Result, message.Fields) {
	no := head.Get("OutTradeNo")
	answer := func(r message.Result, tradeNo, retry, action string) (message.Result, message.Fields) {
		return r, message.Fields{{Name: "TradeNo", Value: tradeNo}, {Name: "OutTradeNo", Value: no}, {Name: "RetryFlag", Value: retry}, {Name: "CancelAction", Value: action}}
	}
	o, err := f.agent.Cancel(ctx, no, platforms.Operator{}, f.cfg.Wait)
	if err != nil {
		r, retry := trouble(err), "N"
		if r.Success == message.Trouble {
			retry = "Y" // ask again: nothing is known of this call
		}
		return answer(r, "", retry, "")
	}
	switch done := said(message.Done, "调用成功", "", ""); {
	case o.State == platforms.FrontPaid && o.Amount > 0 && o.Refunded >= o.Amount:
		return answer(done, o.TradeNo, "N", "refund")
	case o.State == platforms.FrontPaid && o.Reversing:
		return answer(said(message.Refused, "正在退款，请稍后再试", "", o.Say), o.TradeNo, "Y", "")
	case o.State == platforms.FrontPaid:
		return answer(said(message.Refused, "撤销失败，需人工处理："+o.Say, "TRADE_HAS_SUCCESS", o.Say), o.TradeNo, "N", "")
	case o.State == platforms.FrontFailed:
		return answer(done, o.TradeNo, "N", "close")
	case o.State == platforms.FrontCanceled && o.Action == platforms.ActionRefund:
		return answer(done, o.TradeNo, "N", "refund")
	case o.State == platforms.FrontCanceled:
		// Closed, or done where the platform behind does not say which: either
		// way no money is held.
		return answer(done, o.TradeNo, "N", "close")
	case o.State == platforms.FrontInDoubt:
		return answer(unknown(o.Say), o.TradeNo, "N", "")
	}
	return answer(said(message.Refused, "正在撤销，请稍后再试", "", o.Say), o.TradeNo, "Y", "")
}

func (f *facade) refund(ctx context.Context, head message.Fields) (message.Result, message.Fields) {
	sum, err := platforms.ParseYuan(head.Get("RefundAmount"))
	if err != nil || sum <= 0 {
		return illegal("RefundAmount 不是金额"), nil
	}
	total, err := platforms.ParseYuan(head.Get("TotalAmount"))
	if err != nil || total <= 0 {
		return illegal("TotalAmount 不是金额"), nil
	}
	ask := platforms.Refund{RequestNo: head.Get("OutRequestNo"), Sum: sum, Channel: channel(head.Get("PayType")), Reason: head.Get("RefundmentReason"),
		Ref: platforms.Ref{OrderNo: head.Get("OutTradeNo"), TradeNo: head.Get("TradeNo"), Amount: total, Terminal: head.Get("TerminalID")}}
	got, err := f.agent.Refund(ctx, ask, platforms.Operator{}, f.cfg.Wait)
	if err != nil {
		return trouble(err), nil
	}
	fields := message.Fields{
		{Name: "TradeNo", Value: got.Order.TradeNo}, {Name: "OutTradeNo", Value: got.Order.OrderNo}, {Name: "OpenUserID", Value: got.Order.Buyer.Reveal()},
		{Name: "RefundFee", Value: got.Order.Refunded.Yuan()}, {Name: "RefundChange", Value: map[bool]string{true: "Y", false: "N"}[got.Moved]},
	}
	switch got.State {
	case platforms.RefundDone:
		return said(message.Done, "调用成功", "", ""), fields
	case platforms.RefundRefused:
		return said(message.Refused, "退款失败："+got.Message, "REFUND_REFUSED", got.Message), nil
	}
	return unknown("退款结果未知，请用同一退款请求号再试：" + got.Message), nil
}

// charge reads what both pay interfaces have in common.
func (f *facade) charge(head message.Fields, mode platforms.Mode) (platforms.Charge, *message.Result) {
	refuse := func(words string) (platforms.Charge, *message.Result) {
		r := illegal(words)
		return platforms.Charge{}, &r
	}
	amount, err := platforms.ParseYuan(head.Get("TotalAmount"))
	if err != nil || amount <= 0 {
		return refuse("TotalAmount 不是金额")
	}
	orderType := head.Get("OrderType")
	if f.cfg.OrderTypes != nil {
		known := false
		if orderType, known = f.cfg.OrderTypes[orderType]; !known {
			return refuse("OrderType 未知")
		}
	}
	ch := channel(head.Get("PayType"))
	if ch == "" && head.Get("PayType") != "" {
		return refuse("PayType 未知")
	}
	return platforms.Charge{
		Ref: platforms.Ref{OrderNo: head.Get("OutTradeNo"), Amount: amount, Mode: mode, Terminal: head.Get("TerminalID"),
			Operator: platforms.Operator{ID: head.Get("OperatorID")}},
		Channel: ch, OrderType: orderType, Subject: head.Get("Caption"), Memo: head.Get("Descriptive"),
		// The one number of a patient that this wire has is also a card number, for
		// platforms that ask for one and for the books.
		Patient: platforms.Patient{Name: platforms.Hide(head.Get("PatientName")), Phone: platforms.Hide(head.Get("Tel")),
			AdmissionNo: platforms.Hide(head.Get("InhospitalNo")), CardNo: platforms.Hide(head.Get("InhospitalNo")), CardType: "admission_no"},
	}, nil
}

// wait is how long the caller lets us wait: Cnt queries, or all there is.
func (f *facade) wait(cnt string) (time.Duration, bool) {
	if cnt == "" {
		return f.cfg.Wait, true
	}
	n, err := strconv.ParseUint(cnt, 10, 16)
	if err != nil {
		return 0, false
	}
	return min(f.cfg.Wait, time.Duration(n)*QueryEvery), true
}

// channel reads a PayType; casing differs between the interfaces.
func channel(payType string) platforms.Channel {
	switch strings.ToLower(payType) {
	case "weixin", "wechat":
		return platforms.WeChat
	case "alipay":
		return platforms.Alipay
	case "unionpay":
		return platforms.UnionPay
	case "dc", "elecny":
		return platforms.ECNY
	}
	return ""
}

func payType(c platforms.Channel) string {
	switch c {
	case platforms.WeChat:
		return "weixin"
	case platforms.Alipay:
		return "alipay"
	case platforms.UnionPay:
		return "unionpay"
	case platforms.ECNY:
		return "dc"
	}
	return ""
}

// errDetails is what is wrong with a TradeDetail.
var errDetails = errors.New("TradeDetail 不是约定的 JSON")

// details reads the JSON text of §5.5. Prices are yuan, in the seed with a
// blank before them.
func details(text string) ([]platforms.Detail, error) {
	if text == "" {
		return nil, nil
	}
	v, err := strictjson.Parse([]byte(text))
	if err != nil || v.Kind != strictjson.Array {
		return nil, errDetails
	}
	var out []platforms.Detail
	for _, l := range v.Items() {
		var d platforms.Detail
		price := ""
		for name, to := range map[string]*string{"goods_id": &d.GoodsID, "goods_name": &d.GoodsName, "goods_category": &d.GoodsCategory,
			"price": &price, "quantity": &d.Quantity, "body": &d.Body} {
			text, err := l.Get(name).Scalar()
			if err != nil {
				return nil, errDetails
			}
			*to = strings.TrimSpace(text)
		}
		if d.PriceFen, err = platforms.ParseYuan(price); err != nil {
			return nil, errDetails
		}
		out = append(out, d)
	}
	return out, nil
}
