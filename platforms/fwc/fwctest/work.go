package fwctest

import (
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
)

// outcome is ResponseResult.
type outcome struct{ success, message, subCode, subMessage string }

func (s *service) pay(head fields, turn wire.Turn) (outcome, fields) {
	amount, _ := platforms.ParseYuan(head.get("TotalAmount"))
	t := s.bank.Charge(turn.Now, bank.Request{
		OrderNo: head.get("OutTradeNo"), Merchant: s.opt.HospitalID, Amount: amount, Channel: channel(head.get("PayType")),
	}, turn.Payer)
	switch t.Refusal {
	case bank.NoMoney:
		return outcome{"0", "支付失败", "BUYER_BALANCE_NOT_ENOUGH", "余额不足"}, nil
	case bank.BadCode:
		return outcome{"0", "支付失败", "PAYMENT_AUTH_CODE_INVALID", "付款码已过期"}, nil
	case bank.Dead:
		return outcome{"0", "支付失败", "TRADE_HAS_CLOSE", "交易已关闭"}, nil
	}
	result := fields{
		{"TradeNo", t.TradeNo}, {"OutTradeNo", t.OrderNo}, {"OpenUserID", t.Buyer},
		{"TotalAmount", spoilt(t.Amount, turn.Fault)}, {"PaymentDateTime", s.paidTime(t)},
	}
	if t.State == bank.Paid {
		return outcome{"1", "调用成功", "", ""}, result
	}
	return outcome{"1", "调用成功", "", "用户支付中"}, result
}

func (s *service) present(head fields, turn wire.Turn) (outcome, fields) {
	amount, _ := platforms.ParseYuan(head.get("TotalAmount"))
	t := s.bank.Present(turn.Now, bank.Request{
		OrderNo: head.get("OutTradeNo"), Merchant: s.opt.HospitalID, Amount: amount,
		Channel: channel(head.get("PayType")), Timeout: s.timeout(turn.Now, head.get("TimeoutExpress")),
	})
	if turn.Fault == bank.WrongAmount {
		// The only amount in this answer is the echo.
		head.set("TotalAmount", spoilt(amount, turn.Fault))
	}
	if t.State != bank.Unpaid {
		return outcome{"0", "下单失败", "TRADE_HAS_SUCCESS", "交易已被支付"}, nil
	}
	return outcome{"1", "调用成功", "", ""}, fields{{"OutTradeNo", t.OrderNo}, {"TwoDimensionCode", s.opt.QR(t.OrderNo)}}
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

func (s *service) query(head fields, turn wire.Turn) (outcome, fields) {
	no := head.get("OutTradeNo")
	t, known := s.bank.Query(turn.Now, no)
	// A code that was refused leaves no trade behind at the wallet.
	if !known || t.State == bank.Unpaid && t.Refusal != "" {
		return outcome{"0", "查询失败", "TRADE_NOT_EXIST", "交易号不存在"}, fields{
			{"TradeNo", ""}, {"OutTradeNo", no}, {"TradeStatus", "TRADE_NOT_EXIST"},
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
	return outcome{"1", "调用成功", "", ""}, fields{
		{"TradeNo", t.TradeNo}, {"OutTradeNo", no}, {"OpenUserID", t.Buyer}, {"TradeStatus", status},
		{"HospitalID", hospital}, {"TotalAmount", spoilt(t.Amount, turn.Fault)}, {"OperatorID", ""}, {"TerminalID", ""},
		{"BuyerLogonId", t.Buyer}, {"PaymentDateTime", s.paidTime(t)}, {"Buyer_user_id", ""}, {"PayType", payType(t.Channel)},
	}
}

func (s *service) cancel(head fields, turn wire.Turn) (outcome, fields) {
	no := head.get("OutTradeNo")
	c := s.bank.Cancel(turn.Now, no)
	if !c.Done {
		return outcome{"0", "撤销失败", "TRADE_NOT_EXIST", "交易号不存在"}, fields{
			{"TradeNo", ""}, {"OutTradeNo", no}, {"RetryFlag", "N"}, {"CancelAction", ""},
		}
	}
	t, _ := s.bank.Query(turn.Now, no)
	return outcome{"1", "调用成功", "", ""}, fields{
		{"TradeNo", t.TradeNo}, {"OutTradeNo", no}, {"RetryFlag", "N"}, {"CancelAction", c.Action},
	}
}

func (s *service) refund(head fields, turn wire.Turn) (outcome, fields) {
	no := head.get("OutTradeNo")
	sum, _ := platforms.ParseYuan(head.get("RefundAmount"))
	total, _ := platforms.ParseYuan(head.get("TotalAmount"))
	t, known := s.bank.ByTradeNo(turn.Now, head.get("TradeNo"))
	if !known || t.OrderNo != no || t.Amount != total {
		return outcome{"0", "退款失败", "TRADE_NOT_EXIST", "交易号不存在"}, nil
	}
	f := s.bank.Refund(turn.Now, no, head.get("OutRequestNo"), sum)
	if !f.Done {
		return outcome{"0", "退款失败", "REFUND_" + strings.ToUpper(f.Refusal), "退款被拒绝"}, nil
	}
	change := map[bool]string{true: "Y", false: "N"}[f.Changed]
	fee := yuan(f.Total)
	if turn.Fault == bank.WrongAmount {
		fee = yuan(t.Amount + 1)
	}
	return outcome{"1", "调用成功", "", ""}, fields{
		{"TradeNo", t.TradeNo}, {"OutTradeNo", no}, {"OpenUserID", t.Buyer}, {"RefundFee", fee}, {"RefundChange", change},
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
