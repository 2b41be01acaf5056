package pages

import (
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"payagent/agent/browsertest"
	"payagent/agent/words"
)

const counterNumber = "MZ260314Q1W2E3R4T5Y6U7I8"

func (s *stand) cashier(more string) string {
	return s.server.URL + "/cashier#t=" + token + "&till=counter1&operator_id=1001&operator_name=%E7%8E%8B%E6%94%B6%E8%B4%B9" + more
}

// fromHIS is what HIS hands over in the address.
const fromHIS = "&bill=B20260314001&amount_fen=12850&name=%E5%BC%A0%E4%B8%89%E4%B8%B0&card_no=C00123456&card_type=1&order_type=TREATMENT"

// TestCashierScreens looks at every screen at 1024×768, in the usual size of
// text and in the largest.
func TestCashierScreens(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	refunds := []object{{"refund_no": "RF0001", "amount_fen": 2850, "state": "done", "state_text": object{"zh": "退款成功", "en": "Refunded"}},
		{"refund_no": "RF0002", "amount_fen": 1000, "state": "in_doubt", "state_text": object{"zh": "退款待核实，请勿重复退款", "en": "Refund in doubt"}}}
	screens := []struct {
		name string
		o    func(s *stand, no string) object
		note string
		says []string
	}{
		{"waiting", func(s *stand, no string) object { return s.order(no, "waiting", nil) }, "",
			[]string{"等待用户扫码", "128.50", "不可以收现金", "请先撤销"}},
		{"waiting-refused", func(s *stand, no string) object { return s.order(no, "waiting", nil) }, "wrong_wallet",
			[]string{"选择的是微信，扫到的是支付宝，未发送"}},
		{"paying-early", func(s *stand, no string) object {
			return s.order(no, "paying", object{"mode": "charge", "actions_allowed": []string{"detach"}, "buttons_in_s": 8, "acts_in_s": 52})
		}, "", []string{"用户支付中", "8 秒后可校验、撤销", "约 52 秒后仍未支付则自动撤销", "请等待 42 秒"}},
		{"paying", func(s *stand, no string) object { return s.order(no, "paying", object{"mode": "charge"}) }, "",
			[]string{"用户支付中", "校验", "撤销"}},
		{"cancel-asked", func(s *stand, no string) object {
			return s.order(no, "paying", object{"cancel_requested": true, "cancel_in_s": 5, "actions_allowed": []string{"check", "detach"}})
		}, "", []string{"已受理撤销，5 秒后自动执行"}},
		{"canceling", func(s *stand, no string) object { return s.order(no, "canceling", nil) }, "", []string{"撤销中", "请等待 7 秒"}},
		{"in-doubt", func(s *stand, no string) object { return s.order(no, "in_doubt", nil) }, "",
			[]string{"待核实", "款项状态确认中，请勿再次", "不可以收现金"}},
		{"failed", func(s *stand, no string) object { return s.order(no, "failed", nil) }, "",
			[]string{"支付失败，请关闭当前页面后，重新支付", "余额不足", "可以收现金"}},
		{"canceled", func(s *stand, no string) object { return s.order(no, "canceled", object{"cancel_action": "close"}) }, "",
			[]string{"已撤销：已关闭，未扣款", "可以收现金"}},
		{"canceled-refund", func(s *stand, no string) object { return s.order(no, "canceled", object{"cancel_action": "refund"}) }, "",
			[]string{"已退回原账户"}},
		{"queued", func(s *stand, no string) object {
			return s.order(no, "queued", object{"valid_for_s": 540, "actions_allowed": []string{"confirm", "cancel", "detach"}})
		}, "", []string{"网络中断，已排队，未发送", "540 秒后排队过期"}},
		{"paid", func(s *stand, no string) object {
			return s.order(no, "paid", object{"refunds": refunds, "refunded_fen": 2850})
		}, "", []string{"支付成功", "秒后自动关闭", "不可以收现金"}},
	}
	for size := 2; size <= 3; size++ {
		t.Run(fmt.Sprintf("size %d", size), func(t *testing.T) {
			s := newStand(t, "counter")
			s.test = true
			s.till["test"] = true
			b := browsertest.Open(t, chrome, s.cashier(fromHIS), 1024, 768)
			b.Wait(`document.querySelector('[data-channel="unionpay"]')`)
			for range size + 1 {
				b.Truth(`(document.getElementById("larger").click(), true)`)
			}
			b.Wait(fmt.Sprintf(`document.documentElement.classList.contains("size-%d")`, size))
			b.Shot(fmt.Sprintf("cashier-%d-form", size))
			b.Fits(size < 3, 12, 4.5)
			for i, x := range screens {
				no := fmt.Sprintf("%s%02d", counterNumber, i)
				s.set(func() {
					delete(s.till, "note")
					s.till["online"] = x.name != "queued"
					if x.note != "" {
						s.till["note"] = s.note(x.note, "asked", "微信", "wallet", "支付宝")
					}
					s.front(s.order(no, "waiting", nil))
				})
				b.Says(no)
				s.set(func() { s.front(x.o(s, no)) })
				for _, w := range x.says {
					b.Says(w)
				}
				b.Shot(fmt.Sprintf("cashier-%d-%s", size, x.name))
				b.Fits(false, 12, 4.5)
				if !b.Truth(`document.getElementById("o_cash").getBoundingClientRect().bottom <= innerHeight && document.querySelector(".acts").getBoundingClientRect().bottom <= innerHeight`) {
					t.Errorf("%s: the answer about cash or the buttons cannot be seen", x.name)
				}
				if !b.Truth(`getComputedStyle(document.getElementById("watermark")).display === "flex"`) {
					t.Errorf("%s has no watermark", x.name)
				}
				// Whatever is shown, the next order begins with an empty screen.
				s.show(nil)
				if b.Truth(`document.querySelector('#order [data-act="close"]')`) {
					b.Key(kb.Escape)
				} else {
					s.set(func() { s.orders[no] = s.order(no, "canceled", nil) })
					b.Wait(`document.querySelector('#order [data-act="close"]')`)
					b.Key(kb.Escape)
				}
				b.Wait(`!document.getElementById("form").hidden`)
			}
		})
	}
}

// TestCashierByKeyboard takes payments without a mouse: from what HIS handed
// over to 支付成功, and through a failed one to a second try.
func TestCashierByKeyboard(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	made := 0
	s.created = func(body object) (int, object) {
		made++
		o := s.order(fmt.Sprintf("%s%d", counterNumber, made), "waiting", object{"bill": body["bill"], "channel": body["channel"], "amount_fen": body["amount_fen"]})
		s.front(o)
		return http.StatusCreated, o
	}
	b := browsertest.Open(t, chrome, s.cashier(fromHIS+"&phone=13800000000&memo=%E9%97%A8%E8%AF%8A"), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	if b.Truth(`location.hash !== ""`) || len(b.Leftovers("13800000000", "t="+token)) > 0 {
		t.Error("the address or the page holds what it should not")
	}
	b.Key(kb.F2)
	b.Says("等待用户扫码")
	list := s.posted("/v1/orders")
	if len(list) != 1 {
		t.Fatalf("%d orders asked for", len(list))
	}
	want := object{"bill": "B20260314001", "amount_fen": 12850.0, "mode": "charge", "order_type": "TREATMENT", "till": "counter1", "channel": "wechat", "subject": "门诊缴费", "memo": "门诊"}
	for k, v := range want {
		if list[0].body[k] != v {
			t.Errorf("%s = %v, want %v", k, list[0].body[k], v)
		}
	}
	if p := list[0].body["patient"].(object); p["name"] != "张三丰" || p["card_no"] != "C00123456" || p["phone"] != "13800000000" {
		t.Errorf("patient: %v", p)
	}
	if op := list[0].body["operator"].(object); op["id"] != "1001" || op["name"] != "王收费" {
		t.Errorf("operator: %v", op)
	}

	// A code typed by a scanner at the wrong place, Enter and all, does nothing.
	// All in one turn of the page, as no machine under load can delay it.
	if !b.Truth(`(function () {
		const x = document.querySelector('[data-act="detach"]');
		const type = function (k) { return x.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true, cancelable: true })); };
		x.focus();
		Array.from("134567890123456789").forEach(type);
		return !type("Enter");
	})()`) {
		t.Error("the Enter of a scanner reaches the button")
	}
	b.Says("等待用户扫码")
	if len(s.posted("/detach")) > 0 {
		t.Error("a scanner's Enter pressed a button")
	}

	// 用户支付中: 校验 and 撤销 by their keys, when the agent offers them.
	no := counterNumber + "1"
	s.acted = func(no, name string) (int, object) {
		o := s.order(no, "paying", object{"rev": len(s.posts) + 50})
		if name == "cancel" {
			o["cancel_requested"], o["cancel_in_s"], o["actions_allowed"] = true, 3, []string{"check"}
		}
		s.front(o)
		return http.StatusAccepted, o
	}
	s.show(s.order(no, "paying", object{"actions_allowed": []string{"detach"}}))
	b.Says("用户支付中")
	b.Key(kb.F8)
	b.Key(kb.F9)
	s.show(s.order(no, "paying", nil))
	b.Wait(`document.querySelector('[data-act="check"]')`)
	if n := len(s.posted("/check")) + len(s.posted("/cancel")); n != 0 {
		t.Errorf("%d calls by keys whose buttons the agent did not offer", n)
	}
	b.Key(kb.F8)
	b.Wait(`!document.querySelector('#order button').disabled`)
	b.Key(kb.F9)
	b.Says("已受理撤销")
	if c, x := s.arrived("/check"), s.arrived("/cancel"); len(c) != 1 || len(x) != 1 || x[0].body["operator"] == nil {
		t.Errorf("checks %v, cancels %v", c, x)
	}

	// 支付失败 stays, then offers the same bill under a new key.
	s.show(s.order(no, "failed", nil))
	b.Says("余额不足")
	b.Ahead(600000)
	b.Says("余额不足")
	b.Key(kb.Enter)
	b.Says("同一账单重新收款")
	if got := b.Text(`document.getElementById("f_bill").value + " " + document.getElementById("f_amount").value + " " + document.activeElement.getAttribute("data-channel")`); got != "B20260314001 128.50 wechat" {
		t.Errorf("the second try begins with %q", got)
	}
	b.Key(kb.F3)
	b.Says("等待用户扫码")
	list = s.posted("/v1/orders")
	if len(list) != 2 || list[0].key == list[1].key || list[1].key == "" || list[1].body["bill"] != "B20260314001" || list[1].body["channel"] != "alipay" {
		t.Errorf("second try: %v", list)
	}

	// 支付成功 closes by itself and leaves nothing.
	s.show(s.order(counterNumber+"2", "paid", nil))
	b.Says("支付成功")
	b.Ahead(7000)
	b.Says("支付成功")
	b.Ahead(1500)
	b.Wait(`!document.getElementById("form").hidden`)
	if found := b.Leftovers("张三丰", "张*丰", "C00123456", "B20260314001", "128.50", "13800000000"); len(found) > 0 {
		t.Errorf("after the payment the page still holds %v", found)
	}
	// The till still tells of the paid order; it does not come back.
	s.set(func() {})
	b.Do(browsertest.Reload())
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	if b.Truth(`document.getElementById("form").hidden`) {
		t.Error("a paid and closed order came back")
	}
}

// TestCashierTypes: everything can be typed, Enter leads from field to field,
// and what is wrong is said at its field.
func TestCashierTypes(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	s.created = func(body object) (int, object) {
		if body["patient"].(object)["card_no"] == nil {
			return http.StatusUnprocessableEntity, s.problem("field_invalid", object{"field": "patient.card_no", "detail": object{"zh": "字段 patient.card_no 不合要求", "en": "x"}})
		}
		o := s.order(counterNumber, "waiting", object{"amount_fen": body["amount_fen"]})
		s.front(o)
		return http.StatusCreated, o
	}
	b := browsertest.Open(t, chrome, s.cashier(""), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]') && document.activeElement.id === "f_name"`)
	b.Key("李四" + kb.Enter)
	b.Wait(`document.activeElement.id === "f_card_no"`)
	b.Key(kb.F2)
	b.Says("请填写账单号")
	b.Wait(`document.activeElement.id === "f_bill"`)
	b.Key("B7" + kb.Enter + kb.Enter)
	b.Wait(`document.activeElement.id === "f_amount"`)
	b.Key("1.234" + kb.F2)
	b.Says("金额应为正数，最多两位小数")
	b.Key(kb.Backspace + kb.Enter)
	b.Wait(`document.activeElement.getAttribute("data-channel") === "wechat"`)
	b.Key(kb.Enter)
	b.Says("请填写卡号")
	if b.Truth(`document.body.innerText.indexOf("信息科") >= 0`) {
		t.Error("a field that the cashier can fill sends them to the IT department")
	}
	b.Says("不能据此判断")
	b.Wait(`document.activeElement.id === "f_card_no"`)
	b.Shot("cashier-refused")
	b.Fits(true, 12, 4.5)
	b.Key("C9" + kb.F2)
	b.Says("等待用户扫码")
	list := s.posted("/v1/orders")
	if last := list[len(list)-1].body; last["amount_fen"] != 123.0 || last["bill"] != "B7" {
		t.Errorf("asked for %v", last)
	}
	if len(list) != 2 || list[0].key == list[1].key {
		t.Errorf("a corrected request needs a key of its own: %v", list)
	}
	// Kinds of fees that go to another platform have its wallets only.
	b.Do(browsertest.Reload())
	b.Says("等待用户扫码")
	s.show(s.order(counterNumber, "canceled", nil))
	b.Says("已撤销")
	b.Key(kb.Escape)
	b.Wait(`!document.getElementById("form").hidden && document.querySelector('[data-channel="unionpay"]')`)
	b.Truth(`(function () { const x = document.getElementById("f_order_type"); x.value = "APPOINTMENT"; x.dispatchEvent(new Event("change")); return true; })()`)
	b.Wait(`!document.querySelector('[data-channel="unionpay"]')`)
}

// TestCashierDoubleClicks: pressing twice, a lost answer, a repeated answer:
// one order.
func TestCashierDoubleClicks(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	lost := true
	s.created = func(object) (int, object) {
		if lost {
			lost = false
			return 0, nil // the connection is cut
		}
		o := s.order(counterNumber, "waiting", nil)
		s.front(o)
		return http.StatusCreated, o
	}
	b := browsertest.Open(t, chrome, s.cashier(fromHIS), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	b.Truth(`(function () { const x = document.querySelector('[data-channel="wechat"]'); x.click(); x.click(); document.querySelector('[data-channel="alipay"]').click(); return true; })()`)
	b.Says("没有收到应答")
	b.Says("请勿改收现金")
	b.Shot("cashier-unsure")
	b.Key(kb.F2)
	b.Says("等待用户扫码")
	list := s.posted("/v1/orders")
	if len(list) != 2 || list[0].key != list[1].key || len(list[0].key) < 32 {
		t.Errorf("the lost request was repeated with another key: %v", list)
	}
	s.acted = func(no, _ string) (int, object) {
		o := s.order(no, "paying", object{"cancel_requested": true})
		s.front(o)
		return http.StatusAccepted, o
	}
	s.show(s.order(counterNumber, "paying", nil))
	b.Wait(`document.querySelector('[data-act="cancel"]')`)
	b.Truth(`(function () { const x = document.querySelector('[data-act="cancel"]'); x.click(); x.click(); return true; })()`)
	b.Says("已受理撤销")
	if n := len(s.arrived("/cancel")); n != 1 {
		t.Errorf("canceled %d times", n)
	}
}

// TestCashierReload: F5 in any state shows that state again; an order that was
// made elsewhere appears by itself.
func TestCashierReload(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	b := browsertest.Open(t, chrome, s.cashier(""), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	s.show(s.order(counterNumber, "waiting", nil))
	b.Says("等待用户扫码")
	for _, x := range []struct{ state, says string }{{"waiting", "等待用户扫码"}, {"paying", "用户支付中"}, {"canceling", "撤销中"}, {"in_doubt", "待核实"}, {"failed", "支付失败"}, {"paid", "支付成功"}} {
		s.show(s.order(counterNumber, x.state, nil))
		b.Says(x.says)
		b.Do(browsertest.Reload())
		b.Says(x.says)
		b.Says(counterNumber)
	}
	// A silent agent: no old answer about cash stays on the screen.
	s.show(s.order(counterNumber, "failed", nil))
	b.Says("可以收现金：确证未扣款")
	s.set(func() { s.silent = true })
	b.Ahead(6000)
	b.Says("暂时无法确认状态，不要收现金")
	b.Says("无法连接本机支付服务")
	b.Shot("cashier-silent")
	s.set(func() { s.silent = false })
	b.Says("确证未扣款")
}

// TestCashierOffline: refused with the reason, queued on request, confirmed
// when the platform is back.
func TestCashierOffline(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	s.reasons = []object{{"code": "platform_unreachable", "name": "fwc", "say": object{"zh": "支付平台无法连接，未发送任何请求", "en": "x"}, "next_action": object{"zh": "可改收现金或稍后再试", "en": "x"}}}
	s.created = func(body object) (int, object) {
		if body["when_offline"] != "queue" {
			return http.StatusServiceUnavailable, s.problem("platform_unreachable", object{"safe_to_take_cash": s.safety("yes", "cash_failed", 0)})
		}
		o := s.order(counterNumber, "queued", object{"valid_for_s": 600, "actions_allowed": []string{"confirm", "cancel", "detach"}})
		s.till["online"], s.till["queued"] = false, 1
		s.front(o)
		return http.StatusAccepted, o
	}
	s.acted = func(no, name string) (int, object) {
		o := s.order(no, "waiting", nil)
		s.front(o)
		return http.StatusOK, o
	}
	b := browsertest.Open(t, chrome, s.cashier(fromHIS), 1024, 768)
	b.Says("支付平台无法连接，未发送任何请求 · fwc")
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	b.Key(kb.F2)
	b.Says("可以收现金：确证未扣款")
	b.Shot("cashier-offline")
	b.Fits(true, 12, 4.5)
	b.Key(kb.F9)
	b.Says("网络中断，已排队，未发送")
	b.Says("离线排队 1 笔")
	if b.Truth(`document.querySelector('[data-act="confirm"]')`) {
		t.Error("it can be confirmed before the platform is back")
	}
	if list := s.posted("/v1/orders"); len(list) != 2 || list[0].key == list[1].key || list[1].body["channel"] != "wechat" {
		t.Errorf("queued by %v", list)
	}
	s.set(func() { s.till["online"] = true; s.reasons = nil })
	b.Says("平台已恢复，继续收款？")
	b.Shot("cashier-back")
	b.Key(kb.Enter)
	b.Says("等待用户扫码")
	if n := len(s.arrived("/confirm")); n != 1 {
		t.Errorf("confirmed %d times", n)
	}
}

// TestCashierSearch finds an order and gives part of it back.
func TestCashierSearch(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	for i, state := range []string{"failed", "paid"} {
		no := fmt.Sprintf("%s%d", counterNumber, i)
		s.orders[no] = s.order(no, state, object{"bill": "B42"})
	}
	no := counterNumber + "1"
	s.acted = func(no, name string) (int, object) {
		o := s.order(no, "paid", object{"bill": "B42", "rev": 99, "refundable_fen": 10000, "refunds": []object{{"refund_no": "R1", "amount_fen": 2850, "state": "requested", "state_text": object{"zh": "退款已登记", "en": "Refund registered"}}}})
		s.orders[no] = o
		return http.StatusAccepted, object{"refund": o["refunds"].([]object)[0], "order": o}
	}
	b := browsertest.Open(t, chrome, s.cashier(""), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	b.Key(kb.F10)
	b.Wait(`document.activeElement.id === "s_value"`)
	b.Key("nothing" + kb.Enter)
	b.Says("没有找到订单")
	b.Truth(`(document.getElementById("s_value").value = "", document.getElementById("s_value").focus(), true)`)
	b.Key("B42" + kb.Enter)
	b.Wait(`document.querySelectorAll("#s_list button").length === 2 && document.activeElement.hasAttribute("data-order")`)
	b.Shot("cashier-search")
	b.Fits(true, 12, 4.5)
	if !b.Truth(fmt.Sprintf(`document.activeElement.getAttribute("data-order") === %q`, no)) {
		b.Key(kb.ArrowDown)
	}
	b.Wait(fmt.Sprintf(`document.activeElement.getAttribute("data-order") === %q`, no))
	b.Key(kb.Enter)
	b.Says("4200002026031409265300012345")
	b.Says("平台时钟")
	b.Ahead(20000)
	b.Says("支付成功") // one that was looked up does not close by itself
	b.Key(kb.F2)
	b.Wait(`document.activeElement.id === "r_sum"`)
	b.Says("可退 128.50 元")
	b.Key("28.50") // over what is selected
	b.Key(kb.Enter)
	b.Wait(`document.activeElement.id === "r_reason"`)
	b.Key(kb.Enter)
	b.Says("请填写退款原因")
	b.Shot("cashier-refund")
	b.Fits(false, 12, 4.5)
	b.Key("多收" + kb.Enter)
	b.Says("退款已登记")
	list := s.arrived("/refunds")
	if len(list) != 1 || list[0].key == "" || list[0].body["amount_fen"] != 2850.0 || list[0].body["reason"] != "多收" || list[0].body["operator"] == nil {
		t.Errorf("refunds: %v", list)
	}
	b.Key(kb.Escape)
	b.Wait(`!document.getElementById("form").hidden`)
}

// TestCashierWithoutRight: a page without a token says what to do.
func TestCashierWithoutRight(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	for address, says := range map[string]string{"/cashier": "本页没有有效的令牌", "/cashier#t=wrong&till=counter1": "本页没有有效的令牌", "/cashier#t=" + token + "&till=other": "本页的令牌无权"} {
		b := browsertest.Open(t, chrome, s.server.URL+address, 1024, 768)
		b.Says(says)
		b.Fits(true, 12, 4.5)
	}
	b := browsertest.Open(t, chrome, s.cashier("&lang=en"), 1024, 768)
	b.Says("Pay by WeChat")
	b.Shot("cashier-en")
	b.Key(kb.F10)
	b.Says("Search by")
}

// booked is what the door says of a paid order's place in HIS's books.
func (s *stand) booked(stage string, more object) object {
	e, ok := s.words.Find(words.Booking, stage)
	if !ok {
		s.t.Errorf("the catalogue has no stage %s", stage)
	}
	state := map[string]string{"pending": "pending", "pending_long": "pending", "booked": "booked", "insurance_split": "insurance_split"}[stage]
	if state == "" {
		state = "failed"
	}
	b := object{"state": state, "stage": stage, "text": e.Cashier}
	if state == "pending" {
		b["prompt_in_s"] = 0
	}
	o := object{"booking": b, "message": e.Cashier, "next_action": e.Next, "patient_message": e.Patient}
	maps.Copy(o, more)
	return o
}

// TestCashierUntilBooked: paid is not done. The page waits for HIS's word, says
// what to do when it does not come, follows the money on its way back, and
// calls cash safe only at the end; a payment that was closed unbooked is not
// forgotten.
func TestCashierUntilBooked(t *testing.T) {
	t.Parallel()
	s := newStand(t, "counter")
	b := browsertest.Open(t, browsertest.Start(t), s.cashier(""), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	s.show(s.order(counterNumber, "waiting", nil))
	b.Says("等待用户扫码")
	show := func(stage string, more object) {
		t.Helper()
		s.show(s.order(counterNumber, "paid", s.booked(stage, more)))
		b.Wait(`document.querySelector('[data-stage="` + stage + `"]')`)
	}
	show("pending", object{"booking": object{"state": "pending", "stage": "pending", "text": s.booked("pending", nil)["booking"].(object)["text"], "prompt_in_s": 42}})
	b.Says("支付成功，等待 HIS 入账")
	b.Says("42 秒后仍未入账会提醒")
	b.Ahead(20000) // and does not close by itself
	b.Shot("cashier-booking-pending")
	b.Fits(false, 12, 4.5)
	show("pending_long", nil)
	b.Says("在 HIS 中查看这笔账单")
	b.Says("不可以收现金")
	b.Shot("cashier-booking-long")
	b.Fits(false, 12, 4.5)
	back := object{"refund_no": "LR1", "amount_fen": 12850, "state": "sent", "state_text": object{"zh": "退款处理中", "en": "Refund under way"}}
	show("going_back", object{"refunds": []object{back}, "actions_allowed": []string{}, "safe_to_take_cash": s.safety("wait", "cash_reversing", 5)})
	b.Says("HIS 处理失败，正在原路退回")
	b.Wait(`document.querySelector("#o_progress .now").textContent === "正在退回原账户"`)
	b.Says("请等待 5 秒")
	b.Shot("cashier-booking-back")
	b.Fits(false, 12, 4.5)
	show("back_in_doubt", object{"safe_to_take_cash": s.safety("no", "cash_in_doubt", 0), "actions_allowed": []string{}})
	b.Says("退回结果待核实")
	b.Shot("cashier-booking-doubt")
	show("given_back", object{"refunded_fen": 12850, "actions_allowed": []string{"retry"}, "safe_to_take_cash": s.safety("yes", "cash_refunded", 0)})
	b.Says("款项已原路退回")
	b.Says("可以收现金")
	b.Says("关闭并重新收款")
	b.Ahead(20000)
	b.Shot("cashier-booking-given-back")
	b.Fits(false, 12, 4.5)
	show("booked", object{"booking": object{"state": "booked", "stage": "booked", "text": object{"zh": "支付成功，HIS 已入账", "en": "Paid and booked by HIS"}, "his_flow_id": "SJ0001"}})
	b.Says("HIS 已入账")
	b.Says("SJ0001")
	b.Says("秒后自动关闭")
	b.Ahead(9000)
	b.Wait(`!document.getElementById("form").hidden`)

	// One that was closed before HIS booked it.
	lost := s.order(counterNumber+"9", "paid", s.booked("pending_long", object{"bill": "B9"}))
	s.set(func() { s.orders[counterNumber+"9"] = lost; s.front(nil) })
	b.Ahead(25000)
	b.Says("有 1 笔已收款，HIS 没有入账")
	b.Shot("cashier-unbooked")
	b.Fits(false, 12, 4.5)
	b.Key(kb.F7)
	b.Wait(`document.activeElement.getAttribute("data-order") === "` + counterNumber + `9"`)
	b.Key(kb.Enter)
	b.Says("在 HIS 中查看这笔账单")
	b.Key(kb.Escape)
	b.Wait(`!document.getElementById("form").hidden`)
	s.set(func() { delete(s.orders, counterNumber+"9") })
	b.Ahead(25000)
	b.Wait(`document.getElementById("unbooked").hidden`)
}
