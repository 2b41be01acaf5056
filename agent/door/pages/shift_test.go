package pages

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"payagent/agent/agenttest"
	"payagent/agent/browsertest"
	"payagent/platforms"
)

func (r *real) shift(token, more string) string {
	return r.server.URL + "/shift#t=" + r.tokens[token] + more
}

// TestRealShift opens a shift, takes payments, closes it and looks at the
// printed sheet, by keyboard alone.
func TestRealShift(t *testing.T) {
	t.Parallel()
	r := hospital(t)
	chrome := browsertest.Start(t)
	b := browsertest.Open(t, chrome, r.shift("cashier", "&till=w1"), 1024, 768)
	b.Says("请先填写操作员工号")
	b.Wait(`document.activeElement.id === "operator"`)
	b.Shot("shift-empty")
	b.Fits(true, 12, 4.5)
	b.Key("1001" + kb.Enter)
	b.Says("操作员 1001 没有未结的班次")
	b.Key(kb.F2)
	b.Says("操作员 1001 当班中")
	b.Says("0.00")

	r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001", Patient: platforms.Patient{Name: platforms.Hide("张三丰")}})
	r.world.Book(t, "MZ1", "F1", "")
	r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "ZY2", Fen: 10, Channel: platforms.Alipay, By: "1001"})
	r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ3", Fen: 77, By: "3003"})
	r.world.GiveBack(t, "MZ1", "R1", 50, "1001")
	b.Do(browsertest.Reload())
	b.Says("当面付-微信")
	b.Says("128.10") // 128.50 and 0.10 less 0.50
	b.Says("已收款、HIS 未入账的订单：1 笔")
	b.Says("ZY2")
	b.Shot("shift-running")
	b.Fits(false, 12, 4.5)

	// Closing asks twice, and a double click is one press.
	b.Hold(true)
	b.Key(kb.F9)
	b.Says("再按一次结班")
	b.Key(kb.F9)
	b.Says("当班中")
	b.Hold(false)
	b.Ahead(700)
	b.Key(kb.F9)
	b.Says("已结班。请打印结算单")
	b.Says("当面付班次结算单")
	b.Says("128.10")
	if rows := b.Text(`Array.from(document.querySelectorAll("#byChannel tbody tr")).map(function (r) { return r.innerText.split(/\s+/).join(" "); }).join("|")`); rows != "当面付-微信 1 128.50 1 0.50 0.00 128.00|当面付-支付宝 1 0.10 0 0.00 0.00 0.10" {
		t.Errorf("the channels are %q", rows)
	}
	if rows := b.Text(`document.querySelector("#byBusiness tbody").innerText.split(/\s+/).join(" ")`); strings.TrimSpace(rows) != "门诊 1 128.50 1 0.50 0.00 128.00 住院 1 0.10 0 0.00 0.00 0.10" {
		t.Errorf("the businesses are %q", rows)
	}
	b.Shot("shift-closed")
	b.Fits(false, 12, 4.5)

	// On paper: the sheet and nothing else, with room to sign.
	media(b, "print")
	b.Wait(`getComputedStyle(document.querySelector("header")).display === "none" && getComputedStyle(document.querySelector(".sign")).display === "flex"`)
	b.SaysNot("结班 F9", "F8")
	b.Says("收费员签字")
	b.Shot("shift-paper")
	media(b, "")
	b.Text(`(window.print = function () { window.printed = true; }, "")`)
	b.Key(kb.F8)
	b.Wait(`window.printed === true`)

	// After a reload the closed shift can be looked at again, and another one
	// opened.
	b.Do(browsertest.Reload())
	b.Says("操作员 1001 没有未结的班次")
	b.Wait(`document.querySelector("[data-shift]")`)
	b.Text(`(document.querySelector("[data-shift]").click(), "")`)
	b.Says("当面付班次结算单")
	b.Key(kb.F2)
	b.Says("当班中")
	if found := b.Leftovers("张三丰", r.tokens["cashier"][3:]); len(found) > 1 {
		t.Errorf("%v stand in the page", found)
	}

	// In English.
	b.Text(`(document.getElementById("language").click(), "")`)
	b.Says("Shift so far")
	b.Says("Operator 1001 is on shift since")
	b.Shot("shift-english")
	b.Fits(false, 12, 4.5)
}

// TestRealDay shows the report of a day for what the token may see.
func TestRealDay(t *testing.T) {
	t.Parallel()
	today := func() string { return time.Now().In(time.FixedZone("", 8*3600)).Format(time.DateOnly) }
	var r *real
	var day string
	for day != today() { // not over a midnight
		day, r = today(), hospital(t)
		r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001"})
		r.world.Take(t, agenttest.Payment{Till: agenttest.K1, No: "ZJMZ2", Fen: 100, Channel: platforms.Alipay})
	}
	chrome := browsertest.Start(t)
	report := func(b *browsertest.Tab) { // of that day, whichever the page begins with
		b.Key(kb.F4)
		b.Wait(`document.activeElement.id === "y_day" && document.activeElement.value !== ""`)
		b.Truth(fmt.Sprintf(`(document.getElementById("y_day").value = %q, true)`, day))
	}
	b := browsertest.Open(t, chrome, r.shift("his", "&operator_id=1001"), 1024, 768)
	b.Says("没有未结的班次")
	report(b)
	b.Key(kb.Enter)
	b.Says("当面付收入日报")
	b.Says("129.50")
	b.Says("自助机门诊")
	b.Says("1号自助机")
	b.Says("已收款、HIS 未入账的订单：2 笔")
	b.Shot("shift-day")
	b.Fits(false, 12, 4.5)
	b.Text(`(document.getElementById("y_till").value = "k1", document.getElementById("y_go").click(), "")`)
	b.Wait(`!document.getElementById("sheet").innerText.includes("129.50")`)
	b.Says("1.00")

	own := browsertest.Open(t, chrome, r.shift("cashier", "&operator_id=1001"), 1024, 768)
	report(own)
	own.Wait(`document.querySelectorAll("#y_till option").length === 1`)
	own.Key(kb.Enter)
	own.Says("128.50")
	own.SaysNot("自助机")

	desk := browsertest.Open(t, chrome, r.shift("desk", ""), 1024, 768)
	desk.Says("没有收款权限")
	none := browsertest.Open(t, chrome, r.server.URL+"/shift", 1024, 768)
	none.Says("没有有效的令牌")
}

// media shows the page as it is printed, or again as on the screen.
func media(b *browsertest.Tab, kind string) {
	b.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind})
		return err
	}))
}
