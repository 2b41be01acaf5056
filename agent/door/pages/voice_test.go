package pages

import (
	"fmt"
	"testing"

	"payagent/agent/browsertest"
)

// voices stands in for the browser's voices and writes down what it is told to
// say.
func voices(langs string) string {
	return fmt.Sprintf(`(function () {
  const said = window.testSaid = [];
  const synth = new EventTarget();
  let list = %s.map(function (l) { return { lang: l, name: l }; });
  synth.getVoices = function () { return list; };
  synth.speak = function (u) { said.push(u.lang + " " + u.text); };
  synth.cancel = function () {};
  window.testVoices = function (l) { list = l.map(function (x) { return { lang: x, name: x }; }); synth.dispatchEvent(new Event("voiceschanged")); };
  Object.defineProperty(window, "speechSynthesis", { value: synth, configurable: true });
  window.SpeechSynthesisUtterance = function (text) { this.text = text; };
})()`, langs)
}

func said(b *browsertest.Tab) string {
	return b.Text(`window.testSaid.join("; ")`)
}

// settled waits until the page has asked the agent again and drawn what it said.
func settled(b *browsertest.Tab) {
	b.Wait(`(window.testPolls = window.testPolls || performance.getEntriesByType("resource").length, performance.getEntriesByType("resource").length > window.testPolls + 1) && (window.testPolls = 0, true)`)
}

// TestKioskSpeaks: what the agent says is said once for each change, in
// Chinese by default, never of an order that is not on the screen.
func TestKioskSpeaks(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "kiosk")
	b := browsertest.Open(t, chrome, s.kiosk(""), 1280, 800, voices(`["en-US", "zh-TW", "zh-CN"]`))
	b.Says("请先选择要缴费的项目")
	settled(b)
	if got := said(b); got != "" {
		t.Errorf("said to nobody: %s", got)
	}
	s.show(s.order(number, "waiting", nil))
	b.Wait(`window.testSaid.length > 0`)
	settled(b)
	s.set(func() { s.till["note"] = s.note("insurance") }) // another drawing, no other words
	b.Says("这是医保码")
	settled(b)
	const first = "zh-CN 请出示付款码，收您一百二十八元五角"
	if got := said(b); got != first {
		t.Errorf("said %s", got)
	}
	s.set(func() { delete(s.till, "note"); s.front(s.order(number, "paying", nil)) })
	b.Wait(`document.querySelector('[data-screen="paying"]')`)
	s.show(s.order(number, "paid", nil))
	b.Wait(`window.testSaid.length > 1`)
	settled(b)
	const second = "; zh-CN 支付成功，收款一百二十八元五角"
	if got := said(b); got != first+second {
		t.Errorf("said %s", got)
	}
	// The result leaves, and with it all that was personal.
	b.Ahead(9000)
	b.Wait(`document.querySelector('[data-screen="idle"]')`)
	settled(b)
	if found := b.Leftovers("张*丰", "128.50", "一百二十八"); len(found) > 0 {
		t.Errorf("left on the page: %v", found)
	}
	if got := said(b); got != first+second {
		t.Errorf("said %s", got)
	}
	// A QR code is spoken of when it is there.
	s.show(s.order(number+"Q", "paying", object{"mode": "present"}))
	b.Wait(`document.querySelector('[data-screen="qr"]')`)
	settled(b)
	if got := said(b); got != first+second {
		t.Errorf("said %s", got)
	}
	s.set(func() {
		s.code = "https://qr.alipay.com/bax08431xyz0123456789abcdef"
		s.front(s.order(number+"Q", "paying", object{"mode": "present", "qr_expires_in_s": 100}))
	})
	b.Wait(`window.testSaid.length === 3 && window.testSaid[2] === "zh-CN 请扫码支付，一百二十八元五角"`)
	s.show(s.order(number+"Q", "in_doubt", nil))
	b.Wait(`window.testSaid.length === 4 && window.testSaid[3] === "zh-CN 正在确认，请勿再次支付"`)
	// In English, and not the same thing again for the other language.
	b.Truth(`(document.getElementById("language").click(), true)`)
	settled(b)
	s.show(s.order(number+"E", "waiting", nil))
	b.Wait(`window.testSaid.length === 5 && window.testSaid[4] === "en-US Please show your payment code, 128.50 yuan"`)
	// Muted.
	b.Truth(`(document.getElementById("voice").click(), true)`)
	s.show(s.order(number+"M", "waiting", nil))
	settled(b)
	b.Truth(`(document.getElementById("voice").click(), true)`)
	s.show(s.order(number+"M", "paid", nil))
	b.Wait(`window.testSaid.length > 5`)
	if got := b.Text(`window.testSaid.slice(5).join("; ")`); got != "en-US Paid, 128.50 yuan" {
		t.Errorf("said %s", got)
	}
}

// TestKioskSilent: no Chinese voice, no sound; a voice that comes late is used
// for what is fresh; the address can switch it off.
func TestKioskSilent(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "kiosk")
	b := browsertest.Open(t, chrome, s.kiosk(""), 1280, 800, voices(`["en-US"]`))
	s.show(s.order(number, "waiting", nil))
	b.Says("请出示付款码")
	settled(b)
	b.Ahead(4000)
	b.Truth(`(window.testVoices(["en-US", "zh-CN"]), true)`)
	if got := said(b); got != "" {
		t.Errorf("said too late: %s", got)
	}
	b.Truth(`(window.testVoices([]), true)`)
	s.show(s.order(number, "failed", nil))
	b.Says("未扣款")
	b.Truth(`(window.testVoices(["zh-CN"]), true)`)
	if got := said(b); got != "zh-CN 支付未成功，请看收费员" {
		t.Errorf("said %s", got)
	}
	off := newStand(t, "kiosk")
	b = browsertest.Open(t, chrome, off.kiosk("&voice=off"), 1280, 800, voices(`["zh-CN"]`))
	off.show(off.order(number, "waiting", nil))
	b.Says("请出示付款码")
	settled(b)
	if got := said(b); got != "" {
		t.Errorf("said although it is switched off: %s", got)
	}
	if !b.Truth(`document.getElementById("voice").getAttribute("aria-pressed") === "false"`) {
		t.Error("the button does not say so")
	}
}
