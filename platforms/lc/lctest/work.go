package lctest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
)

// do looks at credentials and fields, then does the work.
func (g *Gateway) do(req request, turn wire.Turn) (outcome, fields) {
	if turn.Fault == bank.Token || req.credentials {
		return failed(CredentialCode, "验签失败"), nil
	}
	if words := illegal(req); words != "" {
		return failed("ILLEGAL_ARGUMENT", words), nil
	}
	if !g.once(req.nonce) {
		return failed("ILLEGAL_ARGUMENT", "nonce_str was used before"), nil
	}
	switch req.method {
	case "lc.trade.barcode.pay":
		return g.pay(req, turn)
	case "lc.trade.query":
		return g.query(req, turn)
	case "lc.trade.cancel":
		return g.cancel(req, turn)
	case "lc.trade.close":
		return g.close(req, turn)
	case "lc.trade.refund":
		return g.refund(req, turn)
	case "lc.ssc.user.token":
		return g.token(req)
	}
	return g.present(req, turn)
}

// remember keeps what notices and returns need.
func (g *Gateway) remember(req request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	no := req.get("out_trade_no")
	if _, known := g.orders[no]; !known {
		g.orders[no] = order{req.get("notify_url"), req.get("return_url"), req.get("payment_type"), req.method}
	}
}

func (g *Gateway) asked(req request) bank.Request {
	amount, _ := platforms.ParseYuan(req.get("total_amount"))
	return bank.Request{OrderNo: req.get("out_trade_no"), Merchant: g.opt.AppID, Amount: amount, Channel: channel(req.get("payment_type"))}
}

func (g *Gateway) pay(req request, turn wire.Turn) (outcome, fields) {
	g.remember(req)
	t := g.bank.Charge(turn.Now, g.asked(req), turn.Payer)
	switch t.Refusal {
	case bank.NoMoney:
		return failed("BUYER_BALANCE_NOT_ENOUGH", "余额不足"), nil
	case bank.BadCode:
		return failed("PAYMENT_AUTH_CODE_INVALID", "付款码已过期"), nil
	case bank.Dead:
		return failed("TRADE_HAS_CLOSE", "交易已关闭"), nil
	}
	return good(), fields{
		{"trade_no", t.TradeNo}, {"out_trade_no", t.OrderNo}, {"total_amount", g.spoilt(t.Amount, turn.Fault)},
		{"trade_status", word(t)}, {"payment_type", payType(t.Channel)}, {"pay_date", g.paidTime(t)}, {"user_id", t.Buyer},
	}
}

// present makes an order that somebody pays who is shown something.
func (g *Gateway) present(req request, turn wire.Turn) (outcome, fields) {
	g.remember(req)
	r := g.asked(req)
	r.Timeout = g.timeout(turn.Now, req.get("timeout_express"))
	t := g.bank.Present(turn.Now, r)
	if t.State != bank.Unpaid {
		return failed("TRADE_HAS_SUCCESS", "交易已被支付"), nil
	}
	out := fields{{"out_trade_no", t.OrderNo}, {"total_amount", g.spoilt(t.Amount, turn.Fault)}}
	switch req.method {
	case "lc.trade.h5.pay":
		return good(), fields{{"goto_url", g.opt.Goto(t.OrderNo)}}
	case "lc.ssc.trade.pay":
		paystr := ` {"timestamp":"1502364244","partnerId":"","prepayId":"` + t.Handle + `","appId":"","package":"Sign=WXPay"}  `
		return good(), fields{{"goto_url", g.opt.Goto(t.OrderNo)}, {"paystr", paystr}}
	}
	return good(), append(out, struct{ name, value string }{"qr_code", g.opt.QR(t.OrderNo)})
}

// timeout reads timeout_express; 20 minutes where there is none.
func (g *Gateway) timeout(now time.Duration, v string) time.Duration {
	if v == "" {
		return 20 * time.Minute
	}
	if v == "1c" {
		wall := g.opt.Epoch.Add(now).In(zone())
		y, m, d := wall.Date()
		return time.Date(y, m, d+1, 0, 0, 0, 0, zone()).Sub(wall)
	}
	n := time.Duration(0)
	for _, c := range v[:len(v)-1] {
		n = n*10 + time.Duration(c-'0')
	}
	return n * map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[v[len(v)-1]]
}

func (g *Gateway) query(req request, turn wire.Turn) (outcome, fields) {
	no := req.get("out_trade_no")
	t, known := g.bank.Query(turn.Now, no)
	// A code that was refused leaves no trade behind at the wallet.
	if !known || t.State == bank.Unpaid && t.Refusal != "" {
		return failed("TRADE_NOT_EXIST", "交易不存在"), fields{{"out_trade_no", no}, {"trade_status", ""}}
	}
	return good(), fields{
		{"trade_no", t.TradeNo}, {"out_trade_no", no}, {"trade_status", word(t)}, {"total_amount", g.spoilt(t.Amount, turn.Fault)},
		{"payment_type", payType(t.Channel)}, {"pay_date", g.paidTime(t)}, {"user_id", t.Buyer}, {"city_code", null},
	}
}

// word is the trade_status of a trade.
func word(t bank.Trade) string {
	switch t.State {
	case bank.Unpaid:
		return "WAIT_BUYER_PAY"
	case bank.Paid:
		return "TRADE_SUCCESS"
	}
	return "TRADE_CLOSED"
}

func (g *Gateway) cancel(req request, turn wire.Turn) (outcome, fields) {
	no := req.get("out_trade_no")
	c := g.bank.Cancel(turn.Now, no)
	if !c.Done {
		return failed("TRADE_NOT_EXIST", "交易不存在"), fields{{"out_trade_no", no}, {"retry_flag", "N"}, {"action", null}}
	}
	t, _ := g.bank.Query(turn.Now, no)
	return good(), fields{{"trade_no", t.TradeNo}, {"out_trade_no", no}, {"retry_flag", "N"}, {"action", c.Action}}
}

// close ends unpaid orders only.
func (g *Gateway) close(req request, turn wire.Turn) (outcome, fields) {
	no := req.get("out_trade_no")
	t, known := g.bank.Query(turn.Now, no)
	switch {
	case !known:
		return failed("TRADE_NOT_EXIST", "交易不存在"), fields{{"out_trade_no", no}}
	case t.State == bank.Paid:
		return failed("TRADE_HAS_SUCCESS", "交易已被支付"), fields{{"out_trade_no", no}}
	}
	if c := g.bank.Cancel(turn.Now, no); !c.Done {
		return failed("SYSTEM_ERROR", "关闭失败"), fields{{"out_trade_no", no}}
	}
	return good(), fields{{"trade_no", t.TradeNo}, {"out_trade_no", no}}
}

func (g *Gateway) refund(req request, turn wire.Turn) (outcome, fields) {
	no := req.get("out_trade_no")
	sum, _ := platforms.ParseYuan(req.get("refund_amount"))
	total, _ := platforms.ParseYuan(req.get("trade_amount"))
	t, known := g.bank.Query(turn.Now, no)
	if !known || t.Amount != total {
		return failed("TRADE_NOT_EXIST", "交易不存在"), nil
	}
	f := g.bank.Refund(turn.Now, no, req.get("out_request_no"), sum)
	if !f.Done {
		return failed("REFUND_"+strings.ToUpper(f.Refusal), "退款被拒绝"), nil
	}
	fee := g.yuan(f.Total)
	if turn.Fault == bank.WrongAmount {
		fee = g.yuan(t.Amount + 1)
	}
	return good(), fields{
		{"trade_no", t.TradeNo}, {"out_trade_no", no}, {"out_request_no", req.get("out_request_no")}, {"refund_fee", fee},
	}
}

// token makes up what a payer's authorisation is worth: the same payer always
// gets the same.
func (g *Gateway) token(req request) (outcome, fields) {
	if req.get("auth_code") != AuthCode(req.get("user_id")) {
		return failed("AUTH_CODE_INVALID", "授权码无效"), nil
	}
	sum := sha256.Sum256([]byte("insurance/" + req.get("user_id")))
	mark := hex.EncodeToString(sum[:8])
	return good(), fields{
		{"qr_code", "https://qr.alipay.invalid/" + mark}, {"city_code", "310100"},
		{"card_info", `{"card":"` + mark + `"}`}, {"pay_auth_no", "AUTH" + strings.ToUpper(mark)},
	}
}

func (g *Gateway) paidTime(t bank.Trade) string {
	if t.Captured == 0 {
		return ""
	}
	return g.wall(t.PaidAt)
}

// spoilt is an amount, one yuan too much where the fault says so.
func (g *Gateway) spoilt(f platforms.Fen, fault bank.Fault) string {
	if fault == bank.WrongAmount {
		f += 100
	}
	return g.yuan(f)
}

func channel(payType string) platforms.Channel {
	return map[string]platforms.Channel{
		"weixin": platforms.WeChat, "alipay": platforms.Alipay, "unionpay": platforms.UnionPay, "elecny": platforms.ECNY,
	}[payType]
}

func payType(c platforms.Channel) string {
	return map[platforms.Channel]string{
		platforms.WeChat: "weixin", platforms.Alipay: "alipay", platforms.UnionPay: "unionpay", platforms.ECNY: "elecny",
	}[c]
}
