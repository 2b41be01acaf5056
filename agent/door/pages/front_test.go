package pages

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"payagent/agent/browsertest"
)

// TestCashierShowsTheOpenOrder: whatever stands on the screen, an order that
// HIS opens at this till takes its place, with its hints and its outcome; what
// was typed comes back afterwards.
func TestCashierShowsTheOpenOrder(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	b := browsertest.Open(t, chrome, s.cashier(""), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]') && document.activeElement.id === "f_name"`)
	for i, state := range []string{"canceled", "failed", "paid"} {
		former, next := counterNumber+"F"+state, counterNumber+"N"+state
		s.show(s.order(former, "waiting", object{"amount_fen": 12800}))
		b.Says(former)
		s.show(s.order(former, state, object{"amount_fen": 12800}))
		b.Wait(`document.querySelector('[data-state="` + state + `"]')`)
		s.show(s.order(next, "waiting", object{"amount_fen": 3300 + i, "bill": "B-next"}))
		b.Says(next)
		b.Says("33.0")
		b.Says("不可以收现金")
		b.SaysNot(former, "128.00")
		s.set(func() { s.till["note"] = s.note("wrong_wallet", "asked", "微信", "wallet", "支付宝") })
		b.Says("选择的是微信，扫到的是支付宝")
		s.set(func() { delete(s.till, "note"); s.front(s.order(next, "failed", nil)) })
		b.Says("确证未扣款")
		b.Key(kb.Escape)
		b.Wait(`!document.getElementById("form").hidden`)
	}

	// While somebody types.
	b.Wait(`document.activeElement.id === "f_name"`)
	b.Key("李四" + kb.Enter + "C77")
	s.show(s.order("T1", "waiting", object{"bill": "B-typed"}))
	b.Says("等待用户扫码")
	if found := b.Leftovers("李四", "C77"); len(found) > 0 {
		t.Errorf("another patient's %v stands behind the order", found)
	}
	s.show(s.order("T1", "canceled", object{"bill": "B-typed"}))
	b.Says("可以收现金：订单已撤销")
	b.Key(kb.Escape)
	b.Says("刚才未提交的内容已恢复")
	if got := b.Text(`document.getElementById("f_name").value + " " + document.getElementById("f_card_no").value + document.getElementById("f_bill").value`); got != "李四 C77" {
		t.Errorf("what was typed came back as %q", got)
	}
	b.Key(kb.Escape)

	// While an old order is looked up.
	s.set(func() { s.orders["OLD"] = s.order("OLD", "paid", object{"bill": "B-old"}) })
	b.Key(kb.F10)
	b.Wait(`document.activeElement.id === "s_value"`)
	b.Key("B-old" + kb.Enter)
	b.Wait(`document.activeElement.hasAttribute("data-order")`)
	b.Key(kb.Enter)
	b.Says("支付成功")
	s.show(s.order("T2", "waiting", nil))
	b.Says("等待用户扫码")
	b.Says("本窗口有未完成的订单")
}

// TestCashierNextPatient: closing leaves an empty form; only taking the
// payment again fills in bill, amount and patient.
func TestCashierNextPatient(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	s.created = func(body object) (int, object) {
		o := s.order(counterNumber, "waiting", object{"bill": body["bill"], "amount_fen": body["amount_fen"]})
		s.front(o)
		return http.StatusCreated, o
	}
	b := browsertest.Open(t, chrome, s.cashier(fromHIS), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	fields := `["f_name", "f_card_no", "f_card_type", "f_bill", "f_amount"].map(function (i) { return document.getElementById(i).value; }).join(" ")`
	if got := b.Text(fields); got != "张三丰 C00123456 1 B20260314001 128.50" {
		t.Errorf("HIS handed over %q", got)
	}
	for _, again := range []bool{true, false} {
		b.Key(kb.F2)
		b.Says("等待用户扫码")
		s.show(s.order(counterNumber, "failed", nil))
		b.Says("确证未扣款")
		if again {
			b.Key(kb.Enter)
			b.Says("同一账单重新收款")
			if got := b.Text(fields); got != "张三丰 C00123456 1 B20260314001 128.50" {
				t.Errorf("the second try begins with %q", got)
			}
			continue
		}
		b.Key(kb.Escape)
		b.Wait(`!document.getElementById("form").hidden`)
		if got := b.Text(fields); strings.TrimSpace(got) != "" {
			t.Errorf("the next patient's form begins with %q", got)
		}
		if found := b.Leftovers("张三丰", "C00123456", "B20260314001", "128.50"); len(found) > 0 {
			t.Errorf("the page still holds %v", found)
		}
	}
}

// TestCashierQueueList: orders that wait for the network are listed, with what
// may be done about them now, by keys.
func TestCashierQueueList(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
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
	b := browsertest.Open(t, chrome, s.cashier(""), 1024, 768)
	for _, w := range []string{"B-Q1", "11.00", "B-Q2", "22.00", "已等待 2 分", "平台尚未恢复"} {
		b.Says(w)
	}
	b.SaysNot("B-Q3", "继续收款")
	b.Shot("cashier-queue-offline")
	b.Fits(false, 12, 4.5)
	// Away: an order can still be given up, and cash is then judged.
	b.Key(kb.F6)
	b.Wait(`document.activeElement.getAttribute("data-queue") === "cancel" && document.activeElement.getAttribute("data-no") === "Q1"`)
	b.Key(kb.Enter)
	b.Says("已撤销")
	b.Says("可以收现金：订单已撤销")
	b.Key(kb.Escape)
	b.Wait(`!document.getElementById("form").hidden`)
	b.Says("B-Q2")
	b.Wait(`document.getElementById("queueList").innerText.indexOf("B-Q1") < 0`)
	// Back: it is announced and can be gone on with.
	s.set(func() { s.till["online"] = true })
	b.Says("平台已恢复，继续收款？")
	b.Shot("cashier-queue-back")
	b.Fits(false, 12, 4.5)
	b.Key(kb.F6)
	b.Wait(`document.activeElement.getAttribute("data-queue") === "confirm"`)
	b.Key(kb.ArrowDown)
	b.Wait(`document.activeElement.getAttribute("data-queue") === "cancel"`)
	b.Key(kb.ArrowUp)
	b.Wait(`document.activeElement.getAttribute("data-queue") === "confirm"`)
	b.Key(kb.Enter)
	b.Says("等待用户扫码")
	if c, x := s.arrived("/Q2/confirm"), s.arrived("/Q1/cancel"); len(c) != 1 || len(x) != 1 {
		t.Errorf("confirmed %v, canceled %v", c, x)
	}
}

// TestCashierCountsOnce: seconds on the screen run, and nothing beside them
// says another number.
func TestCashierCountsOnce(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	b := browsertest.Open(t, chrome, s.cashier(""), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	s.show(s.order(counterNumber, "paying", object{"mode": "charge", "actions_allowed": []string{"detach"}, "buttons_in_s": 8, "acts_in_s": 52}))
	b.Says("8 秒后可校验、撤销")
	b.Says("平台仍可能扣款")
	b.SaysNot("10 秒后", "约 42 秒")
	s.show(s.order(counterNumber, "paying", object{"mode": "charge", "acts_in_s": 42}))
	b.Wait(`document.querySelector('[data-act="check"]')`)
	b.SaysNot("10 秒后", "秒后可校验", "请等待约")
}

// TestCashierFields: what the platform needs is asked for by its name at its
// field; what no cashier can mend keeps the general sentence.
func TestCashierFields(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "counter")
	field := ""
	s.created = func(object) (int, object) {
		return http.StatusUnprocessableEntity, s.problem("field_invalid", object{"field": field})
	}
	b := browsertest.Open(t, chrome, s.cashier("&bill=B1&amount_fen=100&card_type=id_card"), 1024, 768)
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	if got := b.Text(`(function (x) { return x.tagName + " " + x.value + " " + x.selectedOptions[0].text + " " + x.options.length; })(document.getElementById("f_card_type"))`); got != "SELECT id_card 身份证 8" {
		t.Errorf("the card type is %q", got)
	}
	for _, x := range []struct{ field, says, at string }{
		{"patient.name", "请填写姓名", "f_name"}, {"patient.card_no", "请填写卡号", "f_card_no"}, {"patient.admission_no", "请填写住院号", "f_admission_no"},
		{"patient.card_type", "请填写正确的卡类型", "f_card_type"}, {"bill", "请填写正确的账单号", "f_bill"}, {"amount_fen", "请填写正确的金额", "f_amount"},
		{"operator.id", "请填写收费员工号", "f_operator"}, {"subject", "请填写收费项目", "f_subject"}, {"patient.phone", "请填写手机号", "f_phone"},
	} {
		s.set(func() { field = x.field })
		b.Key(kb.F2)
		b.Says(x.says)
		b.Wait(`document.activeElement.id === "` + x.at + `"`)
		b.SaysNot("信息科")
	}
	s.set(func() { field = "merchant.app_id" })
	b.Key(kb.F2)
	b.Says("信息科")
}
