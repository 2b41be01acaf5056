package pages

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// saysNot fails if words are on the page now.
func (b *tab) saysNot(words ...string) {
	b.t.Helper()
	seen := b.text("document.body.innerText")
	for _, w := range words {
		if strings.Contains(seen, w) {
			b.t.Errorf("the page says %q: %s", w, seen)
		}
	}
}

// TestCashierShowsTheOpenOrder: whatever stands on the screen, an order that
// HIS opens at this till takes its place, with its hints and its outcome; what
// was typed comes back afterwards.
func TestCashierShowsTheOpenOrder(t *testing.T) {
	t.Parallel()
	chrome := browser(t)
	s := newStand(t, "counter")
	b := open(t, chrome, s.cashier(""), 1024, 768)
	b.wait(`document.querySelector('[data-channel="wechat"]') && document.activeElement.id === "f_name"`)
	for i, state := range []string{"canceled", "failed", "paid"} {
		former, next := counterNumber+"F"+state, counterNumber+"N"+state
		s.show(s.order(former, "waiting", object{"amount_fen": 12800}))
		b.says(former)
		s.show(s.order(former, state, object{"amount_fen": 12800}))
		b.wait(`document.querySelector('[data-state="` + state + `"]')`)
		s.show(s.order(next, "waiting", object{"amount_fen": 3300 + i, "bill": "B-next"}))
		b.says(next)
		b.says("33.0")
		b.says("不可以收现金")
		b.saysNot(former, "128.00")
		s.set(func() { s.till["note"] = s.note("wrong_wallet", "asked", "微信", "wallet", "支付宝") })
		b.says("选择的是微信，扫到的是支付宝")
		s.set(func() { delete(s.till, "note"); s.front(s.order(next, "failed", nil)) })
		b.says("确证未扣款")
		b.key(kb.Escape)
		b.wait(`!document.getElementById("form").hidden`)
	}

	// While somebody types.
	b.wait(`document.activeElement.id === "f_name"`)
	b.key("李四" + kb.Enter + "C77")
	s.show(s.order("T1", "waiting", object{"bill": "B-typed"}))
	b.says("等待用户扫码")
	if found := b.leftovers("李四", "C77"); len(found) > 0 {
		t.Errorf("another patient's %v stands behind the order", found)
	}
	s.show(s.order("T1", "canceled", object{"bill": "B-typed"}))
	b.says("可以收现金：订单已撤销")
	b.key(kb.Escape)
	b.says("刚才未提交的内容已恢复")
	if got := b.text(`document.getElementById("f_name").value + " " + document.getElementById("f_card_no").value + document.getElementById("f_bill").value`); got != "李四 C77" {
		t.Errorf("what was typed came back as %q", got)
	}
	b.key(kb.Escape)

	// While an old order is looked up.
	s.set(func() { s.orders["OLD"] = s.order("OLD", "paid", object{"bill": "B-old"}) })
	b.key(kb.F10)
	b.wait(`document.activeElement.id === "s_value"`)
	b.key("B-old" + kb.Enter)
	b.wait(`document.activeElement.hasAttribute("data-order")`)
	b.key(kb.Enter)
	b.says("支付成功")
	s.show(s.order("T2", "waiting", nil))
	b.says("等待用户扫码")
	b.says("本窗口有未完成的订单")
}

// TestCashierNextPatient: closing leaves an empty form; only taking the
// payment again fills in bill, amount and patient.
func TestCashierNextPatient(t *testing.T) {
	t.Parallel()
	chrome := browser(t)
	s := newStand(t, "counter")
	s.created = func(body object) (int, object) {
		o := s.order(counterNumber, "waiting", object{"bill": body["bill"], "amount_fen": body["amount_fen"]})
		s.front(o)
		return http.StatusCreated, o
	}
	b := open(t, chrome, s.cashier(fromHIS), 1024, 768)
	b.wait(`document.querySelector('[data-channel="wechat"]')`)
	fields := `["f_name", "f_card_no", "f_card_type", "f_bill", "f_amount"].map(function (i) { return document.getElementById(i).value; }).join(" ")`
	if got := b.text(fields); got != "张三丰 C00123456 1 B20260314001 128.50" {
		t.Errorf("HIS handed over %q", got)
	}
	for _, again := range []bool{true, false} {
		b.key(kb.F2)
		b.says("等待用户扫码")
		s.show(s.order(counterNumber, "failed", nil))
		b.says("确证未扣款")
		if again {
			b.key(kb.Enter)
			b.says("同一账单重新收款")
			if got := b.text(fields); got != "张三丰 C00123456 1 B20260314001 128.50" {
				t.Errorf("the second try begins with %q", got)
			}
			continue
		}
		b.key(kb.Escape)
		b.wait(`!document.getElementById("form").hidden`)
		if got := b.text(fields); strings.TrimSpace(got) != "" {
			t.Errorf("the next patient's form begins with %q", got)
		}
		if found := b.leftovers("张三丰", "C00123456", "B20260314001", "128.50"); len(found) > 0 {
			t.Errorf("the page still holds %v", found)
		}
	}
}

// TestCashierQueueList: orders that wait for the network are listed, with what
// may be done about them now, by keys.
func TestCashierQueueList(t *testing.T) {
	t.Parallel()
	chrome := browser(t)
	s := newStand(t, "counter")
	s.till["online"], s.till["queued"] = false, 2
	for i, no := range []string{"Q1", "Q2"} {
		s.orders[no] = s.order(no, "queued", object{"bill": "B-" + no, "amount_fen": 1100 + 1100*i, "age_ms": 125000, "valid_for_s": 475, "actions_allowed": []string{"confirm", "cancel", "detach"}})
	}
	s.orders["Q3"] = s.order("Q3", "queued", object{"bill": "B-Q3", "till": "counter2"})
	s.till["order"], s.till["state"] = s.orders["Q1"], "queued"
	s.acted = func(no, name string) (int, object) {
		s.till["queued"] = s.till["queued"].(int) - 1
		o := s.order(no, map[string]string{"confirm": "waiting", "cancel": "canceled"}[name], object{"bill": "B-" + no})
		s.orders[no] = o
		s.front(o)
		return http.StatusOK, o
	}
	b := open(t, chrome, s.cashier(""), 1024, 768)
	for _, w := range []string{"B-Q1", "11.00", "B-Q2", "22.00", "已等待 2 分", "平台尚未恢复"} {
		b.says(w)
	}
	b.saysNot("B-Q3", "继续收款")
	b.shot("cashier-queue-offline")
	b.fits(false, 12, 4.5)
	// Away: an order can still be given up, and cash is then judged.
	b.key(kb.F6)
	b.wait(`document.activeElement.getAttribute("data-queue") === "cancel" && document.activeElement.getAttribute("data-no") === "Q1"`)
	b.key(kb.Enter)
	b.says("已撤销")
	b.says("可以收现金：订单已撤销")
	b.key(kb.Escape)
	b.wait(`!document.getElementById("form").hidden`)
	b.says("B-Q2")
	b.wait(`document.getElementById("queueList").innerText.indexOf("B-Q1") < 0`)
	// Back: it is announced and can be gone on with.
	s.set(func() { s.till["online"] = true })
	b.says("平台已恢复，继续收款？")
	b.shot("cashier-queue-back")
	b.fits(false, 12, 4.5)
	b.key(kb.F6)
	b.wait(`document.activeElement.getAttribute("data-queue") === "confirm"`)
	b.key(kb.ArrowDown)
	b.wait(`document.activeElement.getAttribute("data-queue") === "cancel"`)
	b.key(kb.ArrowUp)
	b.wait(`document.activeElement.getAttribute("data-queue") === "confirm"`)
	b.key(kb.Enter)
	b.says("等待用户扫码")
	if c, x := s.arrived("/Q2/confirm"), s.arrived("/Q1/cancel"); len(c) != 1 || len(x) != 1 {
		t.Errorf("confirmed %v, canceled %v", c, x)
	}
}

// TestCashierCountsOnce: seconds on the screen run, and nothing beside them
// says another number.
func TestCashierCountsOnce(t *testing.T) {
	t.Parallel()
	chrome := browser(t)
	s := newStand(t, "counter")
	b := open(t, chrome, s.cashier(""), 1024, 768)
	b.wait(`document.querySelector('[data-channel="wechat"]')`)
	s.show(s.order(counterNumber, "paying", object{"mode": "charge", "actions_allowed": []string{"detach"}, "buttons_in_s": 8, "acts_in_s": 52}))
	b.says("8 秒后可校验、撤销")
	b.says("平台仍可能扣款")
	b.saysNot("10 秒后", "约 42 秒")
	s.show(s.order(counterNumber, "paying", object{"mode": "charge", "acts_in_s": 42}))
	b.wait(`document.querySelector('[data-act="check"]')`)
	b.saysNot("10 秒后", "秒后可校验", "请等待约")
}

// TestCashierFields: what the platform needs is asked for by its name at its
// field; what no cashier can mend keeps the general sentence.
func TestCashierFields(t *testing.T) {
	t.Parallel()
	chrome := browser(t)
	s := newStand(t, "counter")
	field := ""
	s.created = func(object) (int, object) {
		return http.StatusUnprocessableEntity, s.problem("field_invalid", object{"field": field})
	}
	b := open(t, chrome, s.cashier("&bill=B1&amount_fen=100&card_type=id_card"), 1024, 768)
	b.wait(`document.querySelector('[data-channel="wechat"]')`)
	if got := b.text(`(function (x) { return x.tagName + " " + x.value + " " + x.selectedOptions[0].text + " " + x.options.length; })(document.getElementById("f_card_type"))`); got != "SELECT id_card 身份证 8" {
		t.Errorf("the card type is %q", got)
	}
	for _, x := range []struct{ field, says, at string }{
		{"patient.name", "请填写姓名", "f_name"}, {"patient.card_no", "请填写卡号", "f_card_no"}, {"patient.admission_no", "请填写住院号", "f_admission_no"},
		{"patient.card_type", "请填写正确的卡类型", "f_card_type"}, {"bill", "请填写正确的账单号", "f_bill"}, {"amount_fen", "请填写正确的金额", "f_amount"},
		{"operator.id", "请填写收费员工号", "f_operator"}, {"subject", "请填写收费项目", "f_subject"}, {"patient.phone", "请填写手机号", "f_phone"},
	} {
		s.set(func() { field = x.field })
		b.key(kb.F2)
		b.says(x.says)
		b.wait(`document.activeElement.id === "` + x.at + `"`)
		b.saysNot("信息科")
	}
	s.set(func() { field = "merchant.app_id" })
	b.key(kb.F2)
	b.says("信息科")
}
