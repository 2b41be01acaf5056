package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"payagent/agent/agenttest"
	"payagent/agent/browsertest"
	"payagent/agent/config"
)

// hospital is an agent that waits for HIS's bookings, with a limit for refunds.
func hospital(t *testing.T, change ...func(*config.Config)) *real {
	return newRealWith(t, func(c *config.Config) {
		c.Booking.Expect = true
		c.Limits.RefundAloneFen = 5000
		for i := range c.Platforms {
			c.Platforms[i].Policy.RefundSpacing = time.Second
		}
		for _, f := range change {
			f(c)
		}
	})
}

// paid takes a payment at a till, as HIS does, and gives its number.
func (r *real) paid(till, bill string, fen int) string {
	r.t.Helper()
	o := r.post("his", "key-"+bill, map[string]any{"bill": bill, "amount_fen": fen, "mode": "charge", "order_type": "TREATMENT", "till": till, "channel": "wechat",
		"subject": "门诊缴费", "patient": map[string]any{"name": "张三丰", "card_no": "C1", "card_type": "1"}, "operator": map[string]any{"id": "1001", "name": "王收费"}})
	no := o["out_trade_no"].(string)
	r.world.Banks[agenttest.Full].Pay(no)
	r.world.Pads[till].Show(fmt.Sprintf("13%s%08d", "4567890123"[:8], len(bill)*1000+fen))
	r.until(no, func(o map[string]any) bool { return o["state"] == "paid" })
	return no
}

// until waits for an order, by long polls.
func (r *real) until(no string, ok func(map[string]any) bool) {
	r.t.Helper()
	ctx, stop := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer stop()
	rev := 0
	for {
		o, err := r.world.Agent.Wait(ctx, no, rev)
		if err != nil || ctx.Err() != nil || o == nil {
			r.t.Fatalf("order %s: %v", no, err)
		}
		rev = o.Rev
		if ok(map[string]any{"state": string(o.State())}) {
			return
		}
	}
}

func (r *real) desk(token, more string) string {
	return r.server.URL + "/refund#t=" + r.tokens[token] + more
}

// TestRealDesk gives money back by keyboard alone: below the limit at once,
// above it after a second person at another computer agreed. What the page is
// asked twice moves money once.
func TestRealDesk(t *testing.T) {
	t.Parallel()
	r := hospital(t)
	no := r.paid(agenttest.W1, "B1", 12850)
	r.send("his", "/v1/orders/"+no+"/booking", "", map[string]any{"result": "booked", "his_flow_id": "SJ0001", "cost_type": "自费"})
	r.paid(agenttest.W2, "B2", 700)
	chrome := browsertest.Start(t)
	b := browsertest.Open(t, chrome, r.desk("desk", ""), 1024, 768)
	b.Wait(`document.activeElement && document.activeElement.id === "d_value"`)
	b.Shot("desk-empty")
	b.Fits(true, 12, 4.5)
	b.Wait(`document.getElementById("tab_doubt").hidden`) // not with this token

	// By the receipt.
	b.Text(`(document.getElementById("d_by").value = "flow", document.getElementById("d_by").dispatchEvent(new Event("change")), "")`)
	b.Key("SJ9999" + kb.Enter)
	b.Says("本机没有找到")
	b.Text(`(document.getElementById("d_value").value = "", document.getElementById("d_value").focus(), "")`)
	b.Key("SJ0001" + kb.Enter)
	b.Says("可退 ￥128.50")
	b.Says("HIS 已入账")
	b.Says("合计超过 50.00 元需要另一个人复核")
	b.Wait(`document.activeElement.id === "r_sum"`)
	b.Shot("desk-found")
	b.Fits(false, 12, 4.5)
	b.Key("28.50" + kb.Enter)
	b.Wait(`document.activeElement.id === "r_reason"`)
	b.Key("多收" + kb.Enter)
	b.Wait(`document.activeElement.id === "r_go"`)
	b.Key(kb.F9)
	b.Says("请先填写操作员工号")
	b.Wait(`document.activeElement.id === "operator"`)
	b.Key("2001")
	b.Hold(true)
	b.Key(kb.F9)
	b.Says("再按一次确认：退 28.50 元")
	b.Shot("desk-sure")
	b.Key(kb.F9) // the second half of a double click is not a second decision
	if n := len(r.world.Banks[agenttest.Full].Calls("refund")); n != 0 {
		t.Fatalf("%d refunds left", n)
	}
	b.Hold(false)
	b.Ahead(700)
	b.Key(kb.F9)
	b.Says("退款成功")
	b.Says("可退 ￥100.00")
	b.Shot("desk-done")

	// Above the limit; and the page is loaded anew in between.
	b.Key(kb.Escape)
	b.Do(browsertest.Reload())
	b.Wait(`document.activeElement && document.activeElement.id === "d_value"`)
	b.Text(`(document.getElementById("d_by").value = "trade_end", document.getElementById("d_by").dispatchEvent(new Event("change")), "")`)
	b.Key(no[len(no)-4:] + kb.Enter)
	b.Wait(`document.activeElement.id === "r_sum"`)
	b.Do(browsertest.Reload())
	b.Wait(`document.activeElement && document.activeElement.id === "r_sum"`)
	b.Key("100" + kb.Enter + "退号")
	b.Key(kb.F9)
	b.Says("再按一次确认：退 100.00 元")
	b.Ahead(700)
	b.Key(kb.F9)
	b.Says("等待另一位工作人员复核")
	b.Says("没有可退金额")
	b.Shot("desk-waits")
	b.Key(kb.F3)
	b.Says("待复核")
	b.Wait(`document.querySelector("#a_list button")`)
	b.Key(kb.Enter)
	b.Wait(`document.getElementById("p_yes")`)
	b.Text(`(document.getElementById("operator").value = "3001", "")`)
	b.Key(kb.F8)
	b.Says("再按一次确认：同意退 100.00 元")
	b.Ahead(700)
	b.Key(kb.F8)
	b.Says("需要在另一台电脑上") // the same token cannot be two persons
	b.Shot("desk-same-token")

	c := browsertest.Open(t, chrome, r.desk("head", "&operator_id=3001&operator_name=%E7%BB%84%E9%95%BF"), 1024, 768)
	c.Wait(`document.getElementById("n_await").textContent === "1"`)
	c.Key(kb.F3)
	c.Wait(`document.activeElement.getAttribute("data-case")`)
	c.Shot("await-list")
	c.Fits(false, 12, 4.5)
	c.Key(kb.Enter)
	c.Says("退号")
	c.Says("2001")
	c.Shot("await-case")
	c.Key(kb.F9)
	c.Says("不同意请写明原因")
	c.Key(kb.F8)
	c.Ahead(700)
	c.Key(kb.F8)
	c.Says("已同意")
	c.Says("没有等待复核的退款")
	c.Shot("await-agreed")
	b.Key(kb.F2)
	b.Says("退款成功")
	b.Wait(`document.querySelectorAll("#d_lines .done").length === 2`)
	b.Says("组长 3001")
	b.Shot("desk-approved")
	if n := len(r.world.Banks[agenttest.Full].Calls("refund")); n != 2 {
		t.Errorf("%d refunds on the wire, want 2", n)
	}
	if found := b.Leftovers("张三丰", "张*丰"); len(found) > 0 {
		t.Errorf("the desk holds a patient: %v", found)
	}
	b.Text(`(document.getElementById("language").click(), "")`)
	b.Says("Refund desk")
	b.Shot("desk-english")
	b.Fits(false, 12, 4.5)
}

// TestRealForeign gives back what another till took: asked for at the platform,
// shown, taken up, refunded.
func TestRealForeign(t *testing.T) {
	t.Parallel()
	r := hospital(t)
	r.world.Banks[agenttest.Full].Elsewhere("WINDOW9", "WINDOW9", 2350)
	b := browsertest.Open(t, browsertest.Start(t), r.desk("desk", "&operator_id=2001&operator_name=%E9%80%80%E8%B4%B9%E5%91%98"), 1024, 768)
	b.Wait(`document.activeElement && document.activeElement.id === "d_value"`)
	b.Text(`(document.getElementById("d_by").value = "order", document.getElementById("d_by").dispatchEvent(new Event("change")), "")`)
	b.Key("WINDOW9" + kb.Enter)
	b.Says("可到支付平台查询")
	b.Text(`(document.getElementById("d_merchant").value = "window", "")`)
	b.Shot("foreign-ask")
	b.Fits(false, 12, 4.5)
	b.Key(kb.F6)
	b.Says("外部订单")
	b.Says("可退 ￥23.50")
	b.Says("平台：已支付")
	b.Shot("foreign-found")
	b.Fits(false, 12, 4.5)
	b.Do(browsertest.Reload()) // the question is asked again
	b.Says("外部订单")
	b.Wait(`document.activeElement.id === "d_take"`)
	b.Key(kb.F9)
	b.Wait(`document.activeElement.id === "r_sum"`)
	b.Key(kb.Enter + "在别的窗口交的费" + kb.Enter)
	b.Key(kb.F9)
	b.Ahead(700)
	b.Key(kb.F9)
	b.Says("退款成功")
	b.Says("没有可退金额")
	b.Shot("foreign-done")
}

// TestLostAnswer: the answer to a refund is lost and the page is loaded anew;
// the same button asks with the same key.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	r := hospital(t)
	no := r.paid(agenttest.W1, "B1", 900)
	r.send("his", "/v1/orders/"+no+"/booking", "", map[string]any{"result": "booked", "his_flow_id": "SJ1"})
	var lose atomic.Bool
	lose.Store(true)
	inner := r.server.Config.Handler
	var keys []string
	r.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodPost || !strings.HasSuffix(q.URL.Path, "/refunds") {
			inner.ServeHTTP(w, q)
			return
		}
		keys = append(keys, q.Header.Get("Idempotency-Key"))
		if !lose.Swap(false) {
			inner.ServeHTTP(w, q)
			return
		}
		inner.ServeHTTP(httptest.NewRecorder(), q) // taken, and nobody hears of it
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	b := browsertest.Open(t, browsertest.Start(t), r.desk("desk", "&operator_id=2001&operator_name=T&bill=B1"), 1024, 768)
	b.Wait(`document.activeElement && document.activeElement.id === "r_sum"`)
	b.Key(kb.Enter + "退号")
	b.Key(kb.F9)
	b.Ahead(700)
	b.Key(kb.F9)
	b.Says("不知道退款是否登记")
	b.Shot("desk-unsure")
	b.Do(browsertest.Reload())
	b.Says("退款成功") // the order tells
	if n := len(r.world.Banks[agenttest.Full].Calls("refund")); n != 1 {
		t.Errorf("%d refunds on the wire", n)
	}
	if len(keys) != 1 {
		t.Errorf("asked %d times", len(keys))
	}
}

// TestRealResolution: what is in doubt is resolved by evidence and two persons.
func TestRealResolution(t *testing.T) {
	t.Parallel()
	r := hospital(t, func(c *config.Config) {
		for i := range c.Platforms {
			c.Platforms[i].Policy.Horizon = 2 * time.Second
			c.Platforms[i].Policy.HorizonWeChat = 2 * time.Second
			c.Platforms[i].Policy.CancelNotBefore = time.Second
			c.Platforms[i].Policy.FirstQuery = time.Second
			c.Platforms[i].Policy.QuickCancels = 1
			c.Platforms[i].Policy.Backoff = []time.Duration{time.Second}
		}
	})
	r.world.Banks[agenttest.Full].Deafen(true)
	o := r.post("his", "k", map[string]any{"bill": "B7", "amount_fen": 3300, "mode": "charge", "order_type": "TREATMENT", "till": agenttest.W1, "channel": "wechat", "subject": "门诊缴费", "auth_code": "134567890123456789"})
	no := o["out_trade_no"].(string)
	r.until(no, func(o map[string]any) bool { return o["state"] == "in_doubt" })
	chrome := browsertest.Start(t)
	b := browsertest.Open(t, chrome, r.desk("head", "&operator_id=5001&operator_name=%E8%B4%A2%E5%8A%A1%E4%B8%80"), 1024, 768)
	b.Wait(`document.getElementById("n_doubt").textContent === "1"`)
	b.Key(kb.F4)
	b.Wait(`document.activeElement.getAttribute("data-case")`)
	b.Key(kb.Enter)
	b.Wait(`document.activeElement.id === "p_outcome"`)
	b.Shot("doubt-form")
	b.Fits(false, 12, 4.5)
	b.Key(kb.F8)
	b.Says("请填写依据和说明")
	b.Text(`(document.getElementById("p_outcome").value = "paid", document.getElementById("p_outcome").focus(), "")`)
	b.Key(kb.Enter + "42000012345" + kb.Enter + "平台对账单第 12 行" + kb.Enter + "后台显示已支付" + kb.Enter)
	b.Key(kb.F8)
	b.Says("等待另一人确认")
	b.Shot("doubt-proposed")
	c := browsertest.Open(t, chrome, r.desk("finance", "&operator_id=5002&operator_name=%E8%B4%A2%E5%8A%A1%E4%BA%8C"), 1024, 768)
	c.Wait(`document.activeElement.getAttribute("data-case")`) // the only list of this token
	c.Key(kb.Enter)
	c.Says("平台对账单第 12 行")
	c.Says("已支付，款已到账")
	c.Shot("doubt-confirm")
	c.Fits(false, 12, 4.5)
	c.Key(kb.F8)
	c.Says("再按一次确认")
	c.Ahead(700)
	c.Key(kb.F8)
	c.Says("已确认，订单已结束")
	c.Says("没有待核实的订单")
	r.until(no, func(o map[string]any) bool { return o["state"] == "paid" })
	c.Shot("doubt-done")
}

// TestRealBooking: at the window and at the kiosk, with the real agent, a
// payment that HIS books and one that it cannot.
func TestRealBooking(t *testing.T) {
	t.Parallel()
	r := hospital(t, func(c *config.Config) {
		c.Booking.PromptAfter = 5 * time.Minute
		for i := range c.Platforms {
			c.Platforms[i].Policy.CancelNotBefore = time.Second
		}
	})
	chrome := browsertest.Start(t)
	b := browsertest.Open(t, chrome, r.server.URL+"/cashier#t="+r.tokens["cashier"]+"&operator_id=1001&operator_name=T", 1024, 768)
	b.Says("1号窗口")
	book := func(no string, body map[string]any) { r.send("his", "/v1/orders/"+no+"/booking", "", body) }
	one := r.paid(agenttest.W1, "B1", 12850)
	b.Says("等待 HIS 入账")
	r.world.Ahead(t, 5*time.Minute)
	b.Says("HIS 迟迟没有入账")
	b.Says("在 HIS 中查看这笔账单")
	b.Shot("real-unbooked")
	book(one, map[string]any{"result": "booked", "his_flow_id": "SJ1"})
	b.Says("支付成功，HIS 已入账")
	b.Says("秒后自动关闭")
	b.Key(kb.Escape)
	two := r.paid(agenttest.W1, "B2", 700)
	b.Says(two)
	book(two, map[string]any{"result": "failed", "reason": "号源已满"})
	b.Says("款项已原路退回")
	b.Says("号源已满")
	b.Says("可以收现金")
	b.Shot("real-given-back")
	b.Fits(false, 12, 4.5)

	k := browsertest.Open(t, chrome, r.server.URL+"/kiosk#t="+r.tokens["kiosk"]+"&till=k1", 1080, 1920)
	k.Says("请先选择要缴费的项目")
	for _, booked := range []bool{true, false} {
		bill := map[bool]string{true: "K1", false: "K2"}[booked]
		o := r.post("kiosk", "key-"+bill, map[string]any{"bill": bill, "amount_fen": 700, "mode": "present", "aggregated": true, "order_type": "TREATMENT", "till": "k1",
			"subject": "门诊缴费", "patient": map[string]any{"name": "张三丰", "card_no": "C1", "card_type": "1"}})
		no := o["out_trade_no"].(string)
		k.Wait(`document.querySelector('[data-screen="qr"]')`)
		r.world.Banks[agenttest.Full].Pay(no)
		k.Wait(`document.querySelector('[data-screen="registering"], [data-screen="registerLong"]')`)
		if booked {
			book(no, map[string]any{"result": "booked", "his_flow_id": "SJ" + bill})
			k.Says("支付成功，已登记")
			k.Wait(`document.querySelector('[data-screen="paid"]')`)
		} else {
			book(no, map[string]any{"result": "failed", "reason": "号源已满"})
			k.Says("款项已原路退回，请到人工窗口办理")
			k.Shot("real-kiosk-given-back")
		}
		k.Text(`(document.querySelector('[data-act="kDone"]').click(), "")`)
		k.Wait(`document.querySelector('[data-screen="idle"]')`)
	}
}
