package pages

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"payagent/agent/agenttest"
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
	chrome := browser(t)
	b := open(t, chrome, r.shift("cashier", "&till=w1"), 1024, 768)
	b.says("请先填写操作员工号")
	b.wait(`document.activeElement.id === "operator"`)
	b.shot("shift-empty")
	b.fits(true, 12, 4.5)
	b.key("1001" + kb.Enter)
	b.says("操作员 1001 没有未结的班次")
	b.key(kb.F2)
	b.says("操作员 1001 当班中")
	b.says("0.00")

	r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001", Patient: platforms.Patient{Name: platforms.Hide("张三丰")}})
	r.world.Book(t, "MZ1", "F1", "")
	r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "ZY2", Fen: 10, Channel: platforms.Alipay, By: "1001"})
	r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ3", Fen: 77, By: "3003"})
	r.world.GiveBack(t, "MZ1", "R1", 50, "1001")
	b.do(reload())
	b.says("当面付-微信")
	b.says("128.10") // 128.50 and 0.10 less 0.50
	b.says("已收款、HIS 未入账的订单：1 笔")
	b.says("ZY2")
	b.shot("shift-running")
	b.fits(false, 12, 4.5)

	// Closing asks twice, and a double click is one press.
	b.hold(true)
	b.key(kb.F9)
	b.says("再按一次结班")
	b.key(kb.F9)
	b.says("当班中")
	b.hold(false)
	b.ahead(700)
	b.key(kb.F9)
	b.says("已结班。请打印结算单")
	b.says("当面付班次结算单")
	b.says("128.10")
	if rows := b.text(`Array.from(document.querySelectorAll("#byChannel tbody tr")).map(function (r) { return r.innerText.split(/\s+/).join(" "); }).join("|")`); rows != "当面付-微信 1 128.50 1 0.50 0.00 128.00|当面付-支付宝 1 0.10 0 0.00 0.00 0.10" {
		t.Errorf("the channels are %q", rows)
	}
	if rows := b.text(`document.querySelector("#byBusiness tbody").innerText.split(/\s+/).join(" ")`); strings.TrimSpace(rows) != "门诊 1 128.50 1 0.50 0.00 128.00 住院 1 0.10 0 0.00 0.00 0.10" {
		t.Errorf("the businesses are %q", rows)
	}
	b.shot("shift-closed")
	b.fits(false, 12, 4.5)

	// On paper: the sheet and nothing else, with room to sign.
	b.media("print")
	b.wait(`getComputedStyle(document.querySelector("header")).display === "none" && getComputedStyle(document.querySelector(".sign")).display === "flex"`)
	b.saysNot("结班 F9", "F8")
	b.says("收费员签字")
	b.shot("shift-paper")
	b.media("")
	b.text(`(window.print = function () { window.printed = true; }, "")`)
	b.key(kb.F8)
	b.wait(`window.printed === true`)

	// After a reload the closed shift can be looked at again, and another one
	// opened.
	b.do(reload())
	b.says("操作员 1001 没有未结的班次")
	b.wait(`document.querySelector("[data-shift]")`)
	b.text(`(document.querySelector("[data-shift]").click(), "")`)
	b.says("当面付班次结算单")
	b.key(kb.F2)
	b.says("当班中")
	if found := b.leftovers("张三丰", r.tokens["cashier"][3:]); len(found) > 1 {
		t.Errorf("%v stand in the page", found)
	}

	// In English.
	b.text(`(document.getElementById("language").click(), "")`)
	b.says("Shift so far")
	b.says("Operator 1001 is on shift since")
	b.shot("shift-english")
	b.fits(false, 12, 4.5)
}

// TestRealDay shows the report of a day for what the token may see.
func TestRealDay(t *testing.T) {
	t.Parallel()
	r := hospital(t)
	r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001"})
	r.world.Take(t, agenttest.Payment{Till: agenttest.K1, No: "ZJMZ2", Fen: 100, Channel: platforms.Alipay})
	chrome := browser(t)
	b := open(t, chrome, r.shift("his", "&operator_id=1001"), 1024, 768)
	b.says("没有未结的班次")
	b.key(kb.F4)
	b.wait(`document.activeElement.id === "y_day" && document.activeElement.value !== ""`)
	b.key(kb.Enter)
	b.says("当面付收入日报")
	b.says("129.50")
	b.says("自助机门诊")
	b.says("1号自助机")
	b.says("已收款、HIS 未入账的订单：2 笔")
	b.shot("shift-day")
	b.fits(false, 12, 4.5)
	b.text(`(document.getElementById("y_till").value = "k1", document.getElementById("y_go").click(), "")`)
	b.wait(`!document.getElementById("sheet").innerText.includes("129.50")`)
	b.says("1.00")

	own := open(t, chrome, r.shift("cashier", "&operator_id=1001"), 1024, 768)
	own.key(kb.F4)
	own.wait(`document.querySelectorAll("#y_till option").length === 1`)
	own.key(kb.Enter)
	own.says("128.50")
	own.saysNot("自助机")

	desk := open(t, chrome, r.shift("desk", ""), 1024, 768)
	desk.says("没有收款权限")
	none := open(t, chrome, r.server.URL+"/shift", 1024, 768)
	none.says("没有有效的令牌")
}

// media shows the page as it is printed, or again as on the screen.
func (b *tab) media(kind string) {
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind})
		return err
	}))
}
