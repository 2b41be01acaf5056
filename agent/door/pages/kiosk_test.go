package pages

import (
	"fmt"
	"slices"
	"testing"

	"payagent/agent/browsertest"
)

func (s *stand) kiosk(more string) string {
	return s.server.URL + "/kiosk#t=" + token + "&till=kiosk1" + more
}

const number = "ZJMZ260314A1B2C3D4E5F6G7H8"

// panels are the sizes the kiosk page must fit: 10" to 24", both ways up.
var panels = []struct {
	name          string
	width, height int64
}{{"10in-wide", 1280, 800}, {"10in-tall", 800, 1280}, {"24in-wide", 1920, 1080}, {"24in-tall", 1080, 1920}, {"15in", 1024, 768}}

// TestKioskScreens looks at every screen on every panel, with the longest
// content it may have.
func TestKioskScreens(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	present := object{"mode": "present", "channel": "", "qr_expires_in_s": 118}
	screens := []struct {
		name, screen string
		set          func(s *stand, no string)
	}{
		{"idle", "idle", func(s *stand, no string) { s.show(nil) }},
		{"waiting", "waiting", func(s *stand, no string) { s.show(s.order(no, "waiting", object{"channel": ""})) }},
		{"waiting-refused", "waiting", func(s *stand, no string) {
			s.show(s.order(no, "waiting", nil))
			s.set(func() { s.till["note"] = s.note("wrong_wallet", "asked", "微信", "wallet", "支付宝") })
		}},
		{"qr-soon", "qr", func(s *stand, no string) { s.show(s.order(no, "paying", object{"mode": "present"})) }},
		{"qr", "qr", func(s *stand, no string) {
			s.set(func() {
				s.code = "https://qr.alipay.com/bax08431xyz0123456789abcdef"
				s.front(s.order(no, "paying", present))
			})
		}},
		{"paying", "paying", func(s *stand, no string) { s.show(s.order(no, "paying", nil)) }},
		{"canceling", "canceling", func(s *stand, no string) {
			s.show(s.order(no, "paying", object{"mode": "present", "cancel_requested": true, "cancel_in_s": 6}))
		}},
		{"in-doubt", "doubt", func(s *stand, no string) { s.show(s.order(no, "in_doubt", nil)) }},
		{"registering", "registering", func(s *stand, no string) { s.show(s.order(no, "paid", s.booked("pending", nil))) }},
		{"register-long", "registerLong", func(s *stand, no string) { s.show(s.order(no, "paid", s.booked("pending_long", nil))) }},
		{"going-back", "goingBack", func(s *stand, no string) { s.show(s.order(no, "paid", s.booked("going_back", nil))) }},
		{"back-doubt", "backDoubt", func(s *stand, no string) { s.show(s.order(no, "paid", s.booked("back_in_doubt", nil))) }},
		{"given-back", "givenBack", func(s *stand, no string) { s.show(s.order(no, "paid", s.booked("given_back", nil))) }},
		{"queued", "queued", func(s *stand, no string) {
			s.show(s.order(no, "queued", object{"valid_for_s": 580, "actions_allowed": []string{"confirm", "cancel"}}))
			s.set(func() { s.till["online"] = false })
		}},
		{"queued-back", "queued", func(s *stand, no string) {
			s.show(s.order(no, "queued", object{"valid_for_s": 512, "actions_allowed": []string{"confirm", "cancel"}}))
			s.set(func() { s.till["online"] = true })
		}},
	}
	for _, p := range panels {
		t.Run(p.name, func(t *testing.T) {
			s := newStand(t, "kiosk")
			s.test = true
			s.till["test"] = true
			b := browsertest.Open(t, chrome, s.kiosk(""), p.width, p.height)
			for _, x := range screens {
				x.set(s, number)
				b.Wait(fmt.Sprintf(`document.querySelector('[data-screen="%s"]')`, x.screen))
				switch x.name {
				case "qr":
					b.Wait(`document.querySelector(".qr img") && document.querySelector(".qr img").complete`)
				case "waiting-refused":
					b.Says("请出示微信的付款码")
				case "queued-back":
					b.Says("网络已恢复")
				case "queued":
					b.Says("恢复后可继续")
				}
				img := b.Shot("kiosk-" + p.name + "-" + x.name)
				b.Fits(true, 28, 7)
				if !b.Truth(`getComputedStyle(document.getElementById("watermark")).display === "flex" && document.getElementById("watermark").innerText.indexOf("测试") >= 0`) {
					t.Errorf("%s has no watermark", x.name)
				}
				if x.name != "qr" {
					if b.Truth(`document.querySelector("img")`) {
						t.Errorf("%s has a picture", x.name)
					}
				} else if got := browsertest.Reads(img); got != s.code {
					t.Errorf("the code on the screen says %q", got)
				}
				s.set(func() { delete(s.till, "note") })
			}
			for _, state := range []string{"paid", "failed", "canceled"} {
				no := number + state[:2]
				s.show(s.order(no, "paying", object{"mode": "charge"}))
				b.Wait(`document.querySelector('[data-screen="paying"]')`)
				s.show(s.order(no, state, nil))
				b.Wait(fmt.Sprintf(`document.querySelector('[data-screen="%s"]')`, state))
				b.Shot("kiosk-" + p.name + "-" + state)
				b.Fits(true, 28, 7)
			}
			// 还在吗?
			s.set(func() { s.code = ""; s.front(s.order(number+"ask", "paying", present)) })
			b.Wait(`document.querySelector('[data-screen="qr"]')`)
			b.Ahead(61000)
			b.Wait(`!document.getElementById("ask").hidden`)
			b.Shot("kiosk-" + p.name + "-ask")
			b.Fits(true, 28, 7)
			if p.width > 1280 || p.height > 1280 {
				return // what fits a small panel in English fits a large one
			}
			b.Truth(`(document.getElementById("language").click(), true)`)
			for _, x := range screens {
				x.set(s, number+"en")
				b.Wait(fmt.Sprintf(`document.querySelector('[data-screen="%s"]')`, x.screen))
				b.Fits(true, 28, 7)
				b.Shot("kiosk-" + p.name + "-en-" + x.name)
				s.set(func() { delete(s.till, "note") })
			}
		})
	}
}

// TestKioskDegraded: the screen says what is wrong, is never blank, and comes
// back by itself.
func TestKioskDegraded(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "kiosk")
	b := browsertest.Open(t, chrome, s.kiosk(""), 1280, 800)
	b.Says("请先选择要缴费的项目")
	s.set(func() { s.reasons = []object{{"code": "platform_unreachable", "name": "fwc"}} })
	b.Ahead(6000)
	b.Says("网络中断，暂时无法扫码支付")
	b.Says("请到人工收费窗口缴费")
	b.Shot("kiosk-offline")
	b.Fits(true, 28, 7)
	s.set(func() { s.reasons = []object{{"code": "platform_unreachable", "name": "another"}} })
	b.Ahead(6000)
	b.Says("请先选择要缴费的项目")
	s.set(func() { s.reasons = []object{{"code": "disk_low"}} })
	b.Ahead(6000)
	b.Says("自助缴费暂停服务")
	b.Shot("kiosk-out")
	s.set(func() { s.reasons = nil })
	b.Ahead(6000)
	b.Says("请先选择要缴费的项目")

	// The agent is gone while nobody pays, and while somebody does.
	s.set(func() { s.silent = true })
	b.Ahead(16000)
	b.Says("自助缴费暂停服务")
	s.set(func() {
		s.silent = false
		s.code = "wxp://f2f0abc"
		s.front(s.order(number, "paying", object{"mode": "present", "qr_expires_in_s": 100}))
	})
	b.Wait(`document.querySelector(".qr img")`)
	s.set(func() { s.silent = true })
	b.Ahead(6000)
	b.Says("暂时无法确认支付结果，请勿再次支付")
	b.Says(number[len(number)-6:])
	b.Wait(`!document.querySelector(".qr img")`)
	b.Shot("kiosk-unsure")
	b.Fits(true, 28, 7)
	s.set(func() { s.silent = false })
	b.Wait(`document.querySelector(".qr img")`)

	// A QR code that does not come: words, not a spinner.
	s.set(func() { s.code = ""; s.front(s.order(number+"2", "paying", object{"mode": "present"})) })
	b.Says("正在取得二维码")
	for range 4 { // in steps, or the page thinks that nobody answers
		s.told()
		b.Ahead(4000)
	}
	b.Says("取得二维码较慢")

	for _, bad := range []string{"/kiosk", "/kiosk#t=wrong&till=kiosk1"} {
		x := browsertest.Open(t, chrome, s.server.URL+bad, 800, 1280)
		x.Says("自助缴费暂停服务")
		x.Says("本页没有有效的令牌")
		x.Fits(true, 28, 7)
	}
}

// TestKioskQRLeaves: no code stays on the screen once its order cannot be paid
// by it, and none is left in the document.
func TestKioskQRLeaves(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	ends := map[string]func(s *stand){
		"paid":      func(s *stand) { s.show(s.order(number, "paid", nil)) },
		"failed":    func(s *stand) { s.show(s.order(number, "failed", nil)) },
		"canceled":  func(s *stand) { s.show(s.order(number, "canceled", nil)) },
		"canceling": func(s *stand) { s.show(s.order(number, "paying", object{"mode": "present", "cancel_requested": true})) },
		"in doubt":  func(s *stand) { s.show(s.order(number, "in_doubt", object{"mode": "present"})) },
		"detached":  func(s *stand) { s.show(nil) },
		"expired":   func(s *stand) { s.show(s.order(number, "paying", object{"mode": "present"})) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, "kiosk")
			s.code = "https://qr.alipay.com/bax01234567890"
			b := browsertest.Open(t, chrome, s.kiosk(""), 1280, 800)
			s.show(s.order(number, "paying", object{"mode": "present", "qr_expires_in_s": 90}))
			b.Wait(`document.querySelector(".qr img")`)
			// The page notes when it was told and when the code was gone, by how often
			// it came to its own clock of 50 ms: a machine that holds it up counts not.
			b.Truth(`(function () {
				const real = window.fetch;
				let ticks = 1;
				setInterval(function () { ticks++; }, 50);
				const hear = function (a) { return a.clone().text().then(function (t) { if (!window.told && t.indexOf('"qr_expires_in_s":90') < 0) { window.told = ticks; } return a; }); };
				window.fetch = function (p) { const got = real.apply(window, arguments); return String(p).indexOf("/v1/tills/") === 0 ? got.then(hear) : got; };
				new MutationObserver(function () { if (!document.querySelector(".qr img")) { window.gone = window.gone || ticks; } }).observe(document.body, { subtree: true, childList: true });
				return true;
			})()`)
			end(s)
			b.Wait(`!document.querySelector("img")`)
			b.Wait(`window.gone && window.told`)
			if b.Truth(`window.gone - window.told > 10`) {
				t.Errorf("gone only %s times 50 ms after the agent's answer, want 500 ms at most", b.Text(`String(window.gone - window.told)`))
			}
			if browsertest.Reads(b.Shot("kiosk-gone")) != "" {
				t.Error("a code can still be read")
			}
		})
	}
	t.Run("countdown", func(t *testing.T) {
		s := newStand(t, "kiosk")
		s.code = "https://qr.alipay.com/bax01234567890"
		b := browsertest.Open(t, chrome, s.kiosk(""), 1280, 800)
		s.show(s.order(number, "paying", object{"mode": "present", "qr_expires_in_s": 3}))
		b.Wait(`document.querySelector(".qr img")`)
		b.Says("剩余")
		s.set(func() { s.silent = true }) // nobody tells the page; its own countdown ends
		b.Ahead(3000)
		b.Wait(`!document.querySelector("img")`)
	})
}

// TestKioskCancel: the patient may always leave, by the button or by going.
func TestKioskCancel(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	start := func(t *testing.T) (*stand, *browsertest.Tab) {
		s := newStand(t, "kiosk")
		s.code = "https://qr.alipay.com/bax01234567890"
		s.acted = func(no, name string) (int, object) {
			if name != "cancel" {
				t.Errorf("the page pressed %s", name)
			}
			o := s.order(no, "paying", object{"mode": "present", "cancel_requested": true})
			s.front(o)
			return 202, o
		}
		b := browsertest.Open(t, chrome, s.kiosk(""), 1280, 800)
		s.show(s.order(number, "paying", object{"mode": "present", "qr_expires_in_s": 90}))
		b.Wait(`document.querySelector(".qr img")`)
		return s, b
	}
	t.Run("button", func(t *testing.T) {
		s, b := start(t)
		b.Truth(`(function () { const x = document.querySelector('[data-act="kCancel"]'); x.click(); x.click(); return true; })()`)
		b.Wait(`!document.querySelector("img") && document.querySelector('[data-screen="canceling"]')`)
		b.Says("请勿再支付")
		if list := s.arrived("/cancel"); len(list) != 1 || list[0].body["reason"] != "patient" {
			t.Errorf("cancels: %v", list)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		s, b := start(t)
		b.Ahead(59000)
		if !b.Truth(`document.getElementById("ask").hidden`) {
			t.Error("asked too early")
		}
		b.Ahead(1500)
		b.Says("您还在吗？")
		if len(s.posted("/cancel")) > 0 {
			t.Error("canceled before asking")
		}
		b.Truth(`(document.querySelector('#ask [data-act="kGoOn"]').click(), true)`)
		b.Wait(`document.getElementById("ask").hidden`)
		b.Ahead(60500)
		b.Says("您还在吗？")
		b.Ahead(20000)
		b.Wait(`document.querySelector('[data-screen="canceling"]')`)
		if list := s.arrived("/cancel"); len(list) != 1 || list[0].path != "/v1/orders/"+number+"/cancel" {
			t.Errorf("cancels: %v", list)
		}
	})
}

// TestKioskForgets: nothing of a patient is left after the result, and the
// next one never sees it.
func TestKioskForgets(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "kiosk")
	b := browsertest.Open(t, chrome, s.kiosk(""), 1280, 800)
	personal := []string{"张*丰", "128.50", token + "x", "B20260314001"}
	for i, state := range []string{"paid", "failed", "canceled"} {
		no := fmt.Sprintf("%s%d", number, i)
		s.show(s.order(no, "paying", nil))
		b.Says("张*丰")
		b.Says("128.50")
		s.show(s.order(no, state, nil))
		b.Wait(fmt.Sprintf(`document.querySelector('[data-screen="%s"]')`, state))
		b.Says("秒后返回首页")
		b.Ahead(8000)
		b.Wait(`document.querySelector('[data-screen="idle"]')`)
		if found := b.Leftovers(personal...); len(found) > 0 {
			t.Errorf("after %s the page still holds %v", state, found)
		}
		// The till still tells of it; neither time nor a reload brings it back.
		b.Do(browsertest.Reload())
		b.Wait(`document.querySelector('[data-screen="idle"]')`)
		if found := b.Leftovers(personal...); len(found) > 0 {
			t.Errorf("after %s and a reload the page holds %v", state, found)
		}
	}
	// In doubt: the look-up code for a minute, then the machine is free.
	s.acted = func(_, name string) (int, object) {
		if name != "detach" {
			t.Errorf("the page pressed %s", name)
		}
		s.front(nil)
		return 200, s.order(number, "in_doubt", object{"detached": true})
	}
	s.show(s.order(number, "in_doubt", nil))
	b.Says("款项状态确认中，请勿再次支付")
	b.Says(number[len(number)-6:])
	b.Ahead(60000)
	b.Wait(`document.querySelector('[data-screen="idle"]')`)
	if list := s.arrived("/detach"); len(list) != 1 {
		t.Errorf("detached %d times", len(list))
	}
	if found := b.Leftovers(append(personal, number[len(number)-6:])...); slices.Contains(found, "张*丰") || slices.Contains(found, "128.50") {
		t.Errorf("after an order in doubt the page holds %v", found)
	}
}

// TestKioskReload: a reload in the middle shows the same order again, and the
// token is neither in the address nor in the history.
func TestKioskReload(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "kiosk")
	s.code = "https://qr.alipay.com/bax01234567890"
	b := browsertest.Open(t, chrome, s.kiosk("&hold=8"), 1280, 800)
	s.show(s.order(number, "paying", object{"mode": "present", "qr_expires_in_s": 90}))
	b.Wait(`document.querySelector(".qr img")`)
	b.Do(browsertest.Reload())
	b.Wait(`document.querySelector(".qr img")`)
	if b.Truth(`location.hash !== "" || location.search !== "" || history.length > 2`) {
		t.Errorf("the address still says something: %s", b.Text("location.href"))
	}
	s.show(s.order(number, "paid", nil))
	b.Wait(`document.querySelector('[data-screen="paid"]')`)
	b.Do(browsertest.Reload())
	b.Wait(`document.querySelector('[data-screen="paid"]')`)
	// The stream is taken up behind the last event.
	s.server.CloseClientConnections()
	s.show(nil)
	b.Wait(`document.querySelector('[data-screen="idle"]')`)
}

// TestKioskConfirm: the patient says whether a queued order goes on.
func TestKioskConfirm(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "kiosk")
	s.acted = func(no, name string) (int, object) {
		o := s.order(no, "paying", object{"mode": "present"})
		s.front(o)
		return 202, o
	}
	b := browsertest.Open(t, chrome, s.kiosk(""), 800, 1280)
	s.show(s.order(number, "queued", object{"valid_for_s": 500, "actions_allowed": []string{"confirm", "cancel"}}))
	s.set(func() { s.till["online"] = false })
	b.Says("恢复后可继续")
	if b.Truth(`document.querySelector('[data-act="kGoOn"]')`) {
		t.Error("it can be confirmed before the platform is back")
	}
	s.set(func() { s.till["online"] = true })
	b.Wait(`document.querySelector('[data-act="kGoOn"]')`)
	b.Truth(`(document.querySelector('[data-act="kGoOn"]').click(), true)`)
	b.Wait(`document.querySelector('[data-screen="qr"]')`)
	if list := s.arrived("/confirm"); len(list) != 1 {
		t.Errorf("confirmed %d times", len(list))
	}
}

// TestKioskNamesTheWallet: a code for one wallet names that wallet, a code for
// several names all of them.
func TestKioskNamesTheWallet(t *testing.T) {
	t.Parallel()
	chrome := browsertest.Start(t)
	s := newStand(t, "kiosk")
	s.code = "https://qr.invalid/x"
	b := browsertest.Open(t, chrome, s.kiosk(""), 1080, 1920)
	for i, x := range []struct {
		channel    string
		aggregated bool
		says       string
	}{{"wechat", false, "打开微信，"}, {"alipay", false, "打开支付宝，"}, {"unionpay", false, "打开云闪付，"}, {"", true, "打开微信、支付宝或云闪付，"}} {
		s.show(s.order(fmt.Sprintf("%s%d", number, i), "paying", object{"mode": "present", "channel": x.channel, "aggregated": x.aggregated, "qr_expires_in_s": 100}))
		b.Says(x.says)
	}
}

// TestKioskUntilBooked: paid is not success before HIS booked it. The screen
// waits as long as it must, ends when it is booked, and says what to do when the
// money went back; an agent that fell silent is never taken for a success.
func TestKioskUntilBooked(t *testing.T) {
	t.Parallel()
	s := newStand(t, "kiosk")
	b := browsertest.Open(t, browsertest.Start(t), s.kiosk("&hold=8"), 1080, 1920)
	b.Wait(`document.querySelector('[data-screen="idle"]')`)
	s.show(s.order(number, "waiting", nil))
	b.Wait(`document.querySelector('[data-screen="waiting"]')`)
	s.show(s.order(number, "paid", s.booked("pending", nil)))
	b.Says("支付成功，正在登记，请稍候")
	if b.Truth(`document.querySelector("#stage .paid")`) {
		t.Error("it looks like success before HIS booked it")
	}
	b.Ahead(30000) // the next patient waits for this one's booking
	b.Wait(`document.querySelector('[data-screen="registering"], [data-screen="unsure"]')`)
	s.show(s.order(number, "paid", s.booked("booked", nil)))
	b.Wait(`document.querySelector('[data-screen="paid"]')`)
	b.Says("支付成功，已登记")
	b.Ahead(8500)
	b.Wait(`document.querySelector('[data-screen="idle"]')`)

	other := number[:len(number)-1] + "Z"
	s.show(s.order(other, "waiting", nil))
	b.Wait(`document.querySelector('[data-screen="waiting"]')`)
	s.show(s.order(other, "paid", s.booked("going_back", nil)))
	b.Says("款项正在原路退回")
	b.Wait(`document.querySelector('[data-act="kKnown"]')`)
	s.show(s.order(other, "paid", s.booked("given_back", object{"refunded_fen": 12850})))
	b.Says("款项已原路退回，请到人工窗口办理")
	b.Ahead(10000)
	b.Wait(`document.querySelector('[data-screen="givenBack"]')`) // it is more to read
	b.Ahead(11000)
	b.Wait(`document.querySelector('[data-screen="idle"]')`)

	third := number[:len(number)-1] + "Y"
	s.show(s.order(third, "waiting", nil))
	b.Wait(`document.querySelector('[data-screen="waiting"]')`)
	s.show(s.order(third, "paid", s.booked("pending", nil)))
	b.Wait(`document.querySelector('[data-screen="registering"]')`)
	s.set(func() { s.silent = true })
	b.Ahead(6000)
	b.Wait(`document.querySelector('[data-screen="unsure"]')`)
	b.Says("暂时无法确认支付结果")
}
