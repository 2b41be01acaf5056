package console

import (
	"strings"
	"testing"
	"time"

	"payagent/agent/browsertest"
	"payagent/agent/fleet"
	"payagent/agent/fleet/rollout"
	"payagent/uplink"
)

// TestPage looks at the console in a real browser: a wide screen and a
// telephone, both languages, 1,000 boxes.
func TestPage(t *testing.T) {
	s := newStandOver(t, func(s *stand) { s.fill(1000); s.rollout(nil) }, true, fleet.RoleOperate)
	chrome := browsertest.Start(t)
	b := browsertest.Open(t, chrome, s.server.URL+"/#t="+token, 1366, 900)
	b.Says("符合 1000，共 1000")
	s.say("H1/BOX0000/e/orders", fleet.Event{SpecVersion: "1.0", ID: "e-1", Type: "payagent.order.paid.v1", Subject: "MZ260314Q1W2E3R4T5Y6U7I8", Time: time.Now()}, false)
	if left := b.Text("location.href + document.body.innerHTML"); strings.Contains(left, token) {
		t.Error("the token stands in the address or on the page")
	}
	b.Wait(`document.querySelectorAll("#rows .row").length === 100`)
	first := b.Text(`[...document.querySelectorAll("#rows .row .where")].slice(0, 4).map((e) => e.firstChild.textContent).join(" ")`)
	if first != "BOX0000 BOX0004 BOX0006 BOX0005" {
		t.Error("not alarms first: ", first)
	}
	b.Says("审计记录无法写入")
	b.Says("曾为正常")
	b.Says("分批发布 v1.5.0")
	b.Says("好 10，观察 2，进行 1，坏 1，待 4")
	b.Fits(false, 13, 4.4)
	b.Shot("console-list")
	// Paging and filters.
	b.Truth(`($("next").click(), true)`)
	b.Says("第 101–200 台")
	b.Truth(`($("f_text").value = "box099", $("f_text").dispatchEvent(new Event("input")), true)`)
	b.Says("第 1–10 台，符合 10，共 1000")
	b.Truth(`($("filter").reset(), true)`)
	b.Says("符合 1000，共 1000")
	b.Truth(`(document.querySelector("#sums .pill.lost").click(), true)`)
	b.Wait(`document.querySelectorAll("#rows .row").length === 1`)
	b.Truth(`($("filter").reset(), true)`)
	b.Says("符合 1000，共 1000")
	// A change comes by itself, and the row one looks at keeps the focus.
	b.Truth(`(document.querySelectorAll("#rows .row")[5].focus(), true)`)
	s.status("H2/BOX0001", fleet.StateLost, "1.4.0")
	b.Wait(`[...document.querySelectorAll("#rows .row")].slice(0, 5).some((e) => e.innerText.includes("BOX0001"))`)
	// What nobody repeats becomes unknown although the stream goes on.
	b.Truth(`($("language").click(), true)`)
	b.Says("1–100 of 1000 chosen")
	b.Says("The audit cannot be written")
	b.Fits(false, 13, 4.4)
	b.Truth(`($("language").click(), true)`)

	// One box.
	b.Truth(`(document.querySelector("#rows .row").click(), true)`)
	for _, w := range []string{"BOX0000", "Honeywell 1470g", "config_sha256", "wear · %", "40%", "fetching", "payagent.order.paid.v1", "审计记录无法写入"} {
		b.Says(w)
	}
	b.Fits(false, 13, 4.4)
	b.Says("涉及")  // what a box says has names in the page's language
	b.Says("已退回") // and so have its codes
	b.Says("支付平台 (bank), 试用未通过")
	b.SaysNot("rolled_back")
	b.Shot("console-box")
	got := make(chan uplink.Message, 4)
	if _, err := s.boxes.Subscribe("payagent/H1/BOX0000/cmd/+/+/req", func(m uplink.Message) { got <- m }); err != nil {
		t.Fatal(err)
	}
	s.status("H1/BOX0000", fleet.StateReady, "1.4.0")
	b.Truth(`(document.querySelector("[data-verb=restart]").click(), true)`)
	b.Wait(`$("ask").open && $("askTitle").textContent.includes("BOX0000") && document.activeElement === $("askNo")`)
	b.Shot("console-confirm")
	// No, and asked again before the page hears that it was closed: it is sent
	// once, for the yes.
	b.Truth(`($("askNo").click(), document.querySelector("[data-verb=restart]").click(), $("ask").open)`)
	b.Truth(`($("askYes").click(), true)`)
	b.Says("已发送：重启程序 → BOX0000")
	if m := <-got; !strings.Contains(m.Topic, "/cmd/restart/") || len(got) != 0 {
		t.Error(m.Topic, len(got))
	}
	// A box that is lost: what it said last is marked as such.
	b.Truth(`(location.hash = "#/box/H2/BOX0004", true)`)
	b.Says("这台机器现在的情况不详")
	b.Truth(`(location.hash = "#/box/H2/NOBODY", true)`)
	b.Says("没有这台机器的消息")
	b.Truth(`(location.hash = "#/", true)`)

	// Roll-out: stopped, then asked to go on.
	s.rollout(func(st *rollout.State) { st.Phase, st.Why, st.At = rollout.Stopped, rollout.WhyLost, time.Now() })
	b.Says("自动停止")
	b.Says("有机器失联或状态变差")
	b.Truth(`(document.querySelector("[data-act=abort]").click(), true)`)
	b.Wait(`$("ask").open && $("askTitle").textContent.includes("v1.5.0")`)
	b.Truth(`($("askYes").click(), true)`)
	b.Says("已要求：中止 v1.5.0")

	// On a telephone.
	small := browsertest.Open(t, chrome, s.server.URL+"/#t="+token, 390, 844)
	small.Says("符合 1000，共 1000")
	small.Fits(false, 13, 4.4)
	small.Shot("console-phone")
	small.Truth(`(location.hash = "#/box/H1/BOX0000", true)`)
	small.Says("Honeywell 1470g")
	small.Fits(false, 13, 4.4)
	small.Shot("console-phone-box")
}

// TestOldIsUnknown: a page that hears nothing any more shows that, and no box
// as ready.
func TestOldIsUnknown(t *testing.T) {
	s := newStand(t, false)
	s.status("H1/B1", fleet.StateReady, "1.4.0")
	b := browsertest.Open(t, browsertest.Start(t), s.server.URL+"/#t="+token, 1200, 800)
	b.Says("只读")
	b.Wait(`document.querySelectorAll("#rows .pill.ready").length === 1`)
	b.Truth(`(stopStream(), true)`)
	b.Ahead(200_000)
	b.Truth(`(live(), drawRows(), true)`)
	b.Wait(`document.querySelectorAll("#rows .pill.ready").length === 0 && document.querySelectorAll("#rows .pill.unknown").length === 1`)
	b.Says("连接中断")
	// Without a token nothing is asked for.
	none := browsertest.Open(t, browsertest.Start(t), s.server.URL+"/", 1200, 800)
	none.Says("请用启动时给出的地址打开")
}
