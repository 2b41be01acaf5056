package fwctest

import (
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc/internal/message"
)

func (s *service) pay(head message.Fields, turn wire.Turn) (message.Result, message.Fields) {
	amount, _ := platforms.ParseYuan(head.Get("TotalAmount"))
	t := s.bank.Charge(turn.Now, bank.Request{
		OrderNo: head.Get("OutTradeNo"), Merchant: s.opt.HospitalID, Amount: amount, Channel: channel(head.Get("PayType")),
	}, turn.Payer)
	switch t.Refusal {
	case bank.NoMoney:
		return said("0", "支付失败", "BUYER_BALANCE_NOT_ENOUGH", "余额不足"), nil
	case bank.BadCode:
		return said("0", "支付失败", "PAYMENT_AUTH_CODE_INVALID", "付款码已过期"), nil
	case bank.Dead:
		return said("0", "支付失败", "TRADE_HAS_CLOSE", "交易已关闭"), nil
	}
	result := message.Fields{
		{Name: "TradeNo", Value: t.TradeNo}, {Name: "OutTradeNo", Value: t.OrderNo}, {Name: "OpenUserID", Value: t.Buyer},
		{Name: "TotalAmount", Value: spoilt(t.Amount, turn.Fault)}, {Name: "PaymentDateTime", Value: s.paidTime(t)},
	}
	if t.State == bank.Paid {
		return said("1", "调用成功", "", ""), result
	}
	return said("1", "调用成功", "", "用户支付中"), result
}

func (s *service) present(head message.Fields, turn wire.Turn) (message.Result, message.Fields) {
	amount, _ := platforms.ParseYuan(head.Get("TotalAmount"))
	t := s.bank.Present(turn.Now, bank.Request{
		OrderNo: head.Get("OutTradeNo"), Merchant: s.opt.HospitalID, Amount: amount,
		Channel: channel(head.Get("PayType")), Timeout: s.timeout(turn.Now, head.Get("TimeoutExpress")),
	})
	if turn.Fault == bank.WrongAmount {
		// The only amount in this answer is the echo.
		head.Set("TotalAmount", spoilt(amount, turn.Fault))
	}
	if t.State != bank.Unpaid {
		return said("0", "下单失败", "TRADE_HAS_SUCCESS", "交易已被支付"), nil
	}
	return said("1", "调用成功", "", ""), message.Fields{{Name: "OutTradeNo", Value: t.OrderNo}, {Name: "TwoDimensionCode", Value: s.opt.QR(t.OrderNo)}}
}

// timeout reads TimeoutExpress; 20 minutes are the seed's default.
func (s *service) timeout(now time.Duration, v string) time.Duration {
	if v == "" {
		return 20 * time.Minute
	}
	wall := s.opt.Epoch.Add(now)
	if v == "1c" {
		y, m, d := wall.Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, wall.Location()).Sub(wall)
	}
	n := time.Duration(0)
	for _, c := range v[:len(v)-1] {
		n = n*10 + time.Duration(c-'0')
	}
	return n * map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[v[len(v)-1]]
}

func (s *service) query(head message.Fields, turn wire.Turn) (message.Result, message.Fields) {
	no := head.Get("OutTradeNo")
	t, known := s.bank.Query(turn.Now, no)
	// A code that was refused leaves no trade behind at the wallet.
	if !known || t.State == bank.Unpaid && t.Refusal != "" {
		return said("0", "查询失败", "TRADE_NOT_EXIST", "交易号不存在"), message.Fields{
			{Name: "TradeNo", Value: ""}, {Name: "OutTradeNo", Value: no}, {Name: "TradeStatus", Value: "TRADE_NOT_EXIST"},
		}
	}
	hospital := s.opt.HospitalID
	if turn.Fault == bank.WrongMerchant {
		hospital = "X" + hospital
	}
	status := map[bank.State]string{bank.Unpaid: "WAIT_BUYER_PAY", bank.Paid: "TRADE_SUCCESS"}[t.State]
	if status == "" {
		status = "TRADE_CLOSED"
	}
	return said("1", "调用成功", "", ""), message.Fields{
		{Name: "TradeNo", Value: t.TradeNo}, {Name: "OutTradeNo", Value: no}, {Name: "OpenUserID", Value: t.Buyer}, {Name: "TradeStatus", Value: status},
		{Name: "HospitalID", Value: hospital}, {Name: "TotalAmount", Value: spoilt(t.Amount, turn.Fault)}, {Name: "OperatorID", Value: ""}, {Name: "TerminalID", Value: ""},
		{Name: "BuyerLogonId", Value: t.Buyer}, {Name: "PaymentDateTime", Value: s.paidTime(t)}, {Name: "Buyer_user_id", Value: ""}, {Name: "PayType", Value: payType(t.Channel)},
	}
}

func (s *service) cancel(head message.Fields, turn wire.Turn) (message.Result, message.Fields) {
	no := head.Get("OutTradeNo")
	c := s.bank.Cancel(turn.Now, no)
	if !c.Done {
		return said("0", "撤销失败", "TRADE_NOT_EXIST", "交易号不存在"), message.Fields{
			{Name: "TradeNo", Value: ""}, {Name: "OutTradeNo", Value: no}, {Name: "RetryFlag", Value: "N"}, {Name: "CancelAction", Value: ""},
		}
	}
	t, _ := s.bank.Query(turn.Now, no)
	return said("1", "调用成功", "", ""), message.Fields{
		{Name: "TradeNo", Value: t.TradeNo}, {Name: "OutTradeNo", Value: no}, {Name: "RetryFlag", Value: "N"}, {Name: "CancelAction", Value: c.Action},
	}
}

func (s *service) refund(head message.Fields, turn wire.Turn) (message.Result, message.Fields) {
	no := head.Get("OutTradeNo")
	sum, _ := platforms.ParseYuan(head.Get("RefundAmount"))
	total, _ := platforms.ParseYuan(head.Get("TotalAmount"))
	t, known := s.bank.ByTradeNo(turn.Now, head.Get("TradeNo"))
	if !known || t.OrderNo != no || t.Amount != total {
		return said("0", "退款失败", "TRADE_NOT_EXIST", "交易号不存在"), nil
	}
	f := s.bank.Refund(turn.Now, no, head.Get("OutRequestNo"), sum)
	if !f.Done {
		return said("0", "退款失败", "REFUND_"+strings.ToUpper(f.Refusal), "退款被拒绝"), nil
	}
	change := map[bool]string{true: "Y", false: "N"}[f.Changed]
	fee := yuan(f.Total)
	if turn.Fault == bank.WrongAmount {
		fee = yuan(t.Amount + 1)
	}
	return said("1", "调用成功", "", ""), message.Fields{
		{Name: "TradeNo", Value: t.TradeNo}, {Name: "OutTradeNo", Value: no}, {Name: "OpenUserID", Value: t.Buyer}, {Name: "RefundFee", Value: fee}, {Name: "RefundChange", Value: change},
	}
}

func (s *service) paidTime(t bank.Trade) string {
	if t.Captured == 0 {
		return ""
	}
	return s.wallTime(max(t.PaidAt, time.Nanosecond))
}

// spoilt is a TotalAmount, one yuan too much where the fault says so.
func spoilt(f platforms.Fen, fault bank.Fault) string {
	if fault == bank.WrongAmount {
		f += 100
	}
	return yuan(f)
}

func channel(payType string) platforms.Channel {
	switch strings.ToLower(payType) {
	case "weixin":
		return platforms.WeChat
	case "alipay":
		return platforms.Alipay
	case "unionpay":
		return platforms.UnionPay
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
	}
	return ""
}
