package lctest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"payagent/platforms/bank"
	"payagent/platforms/lc/internal/sign"
)

// Notice is one lc.trade.notify on its way.
type Notice struct {
	URL     string // where to send it: notify_url, with the parameters where they go into the address
	Form    string // the body, where they go there
	OrderNo string
	Status  string // trade_status
}

// Entry turns an entry of the bank's ledger into a notice. Give it to
// bank.Options.OnEntry.
func (g *Gateway) Entry(e bank.Entry) {
	status := map[string]string{"paid": "TRADE_SUCCESS", "closed": "TRADE_CLOSED", "revoked": "TRADE_CLOSED", "created": "WAIT_BUYER_PAY"}[e.Kind]
	if e.Kind == "refunded" && e.Trade.State == bank.Refunded {
		status = "TRADE_CLOSED"
	}
	if status == "" || status == "WAIT_BUYER_PAY" && !g.opt.NotifyWaiting {
		return
	}
	g.notify(e.Trade, status, e.At)
}

// Finish tells that a trade is past refunding, where the gateway notifies that.
func (g *Gateway) Finish(t bank.Trade, at time.Duration) {
	if g.opt.NotifyFinished {
		g.notify(t, "TRADE_FINISHED", at)
	}
}

func (g *Gateway) notify(t bank.Trade, status string, at time.Duration) {
	g.mu.Lock()
	o, known := g.orders[t.OrderNo]
	g.mu.Unlock()
	if !known || o.notifyURL == "" || g.opt.Deliver == nil {
		return
	}
	g.opt.Deliver(g.Notice(o.notifyURL, t, status, at))
}

// Notice writes and signs a notice. The names and their order are those of the
// seed's sample; it spells total_amount as a number.
func (g *Gateway) Notice(to string, t bank.Trade, status string, at time.Duration) Notice {
	biz := fields{
		{"out_trade_no", t.OrderNo}, {"trade_no", t.TradeNo}, {"total_amount", raw + fmt.Sprintf("%d.%02d", t.Amount/100, t.Amount%100)},
		{"trade_status", status},
	}
	if t.Captured > 0 {
		biz = append(biz, fields{{"gmt_payment", g.paidTime(t)}, {"user_id", t.Buyer}, {"payment_type", payType(t.Channel)}}...)
	}
	form := g.signed(at, []sign.Param{{Name: "biz_content", Value: biz.json()}, {Name: "method", Value: "lc.trade.notify"}})
	n := Notice{URL: to, Form: form, OrderNo: t.OrderNo, Status: status}
	if !g.opt.NotifyByBody {
		n.URL, n.Form = withQuery(to, form), ""
	}
	return n
}

// signed completes parameters with the gateway's own, signs and encodes them in
// the order of their names.
func (g *Gateway) signed(at time.Duration, params []sign.Param) string {
	g.mu.Lock()
	g.count++
	nonce := fmt.Sprintf("00000000-0000-4000-8000-%012d", g.count)
	g.mu.Unlock()
	params = append(params, sign.Param{Name: "app_id", Value: g.opt.AppID}, sign.Param{Name: "nonce_str", Value: nonce},
		sign.Param{Name: "sign_type", Value: g.signType()}, sign.Param{Name: "timestamp", Value: g.wall(at)})
	values := url.Values{"sign": {g.sign(params)}}
	for _, p := range params {
		values.Set(p.Name, p.Value)
	}
	return values.Encode()
}

func withQuery(address, query string) string {
	if strings.Contains(address, "?") {
		return address + "&" + query
	}
	return address + "?" + query
}

// Return gives the address to which a payer's browser comes back, with the
// gateway's parameters; empty for an order without return_url. left says that
// the payer closed the page (sub_code 5001).
func (g *Gateway) Return(t bank.Trade, left bool, at time.Duration) string {
	g.mu.Lock()
	o, known := g.orders[t.OrderNo]
	g.mu.Unlock()
	if !known || o.returnURL == "" {
		return ""
	}
	return g.ReturnTo(o.returnURL, o.method, t, left, at)
}

// ReturnTo is Return for an address and a method that the caller names.
func (g *Gateway) ReturnTo(to, method string, t bank.Trade, left bool, at time.Duration) string {
	biz := fields{
		{"sub_code", ""}, {"sub_msg", ""}, {"out_trade_no", t.OrderNo}, {"trade_no", t.TradeNo},
		{"total_amount", raw + fmt.Sprintf("%d.%02d", t.Amount/100, t.Amount%100)}, {"trade_status", word(t)},
	}
	if left {
		biz.set("sub_code", "5001")
		biz.set("sub_msg", "用户取消")
		biz.set("trade_status", "TRADE_CLOSED")
	}
	return withQuery(to, g.signed(at, []sign.Param{
		{Name: "biz_content", Value: biz.json()}, {Name: "code", Value: "10000"}, {Name: "method", Value: method + ".return"}, {Name: "msg", Value: "支付回调"},
	}))
}

// Send delivers a notice and tells whether the receiver said that it has it.
func Send(ctx context.Context, client *http.Client, n Notice) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL, strings.NewReader(n.Form))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return resp.StatusCode == http.StatusOK && strings.TrimSpace(string(body)) == "success", err
}
