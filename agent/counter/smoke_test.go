package counter

import (
	"testing"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

func testConfig() Config {
	return Config{
		Tills: map[string]Till{"w1": {Name: "w1"}},
		Platforms: map[string]Platform{"p": {Policy: order.DefaultPolicy(), Charge: true, Present: map[platforms.Mode]bool{platforms.ModePresent: true}, Refund: true,
			Traits: platforms.Traits{FindsByNumber: true, Channels: []platforms.Channel{platforms.WeChat, platforms.Alipay}}}},
		Recognise: func(text, _ string) platforms.Scanned {
			return platforms.Scanned{Code: platforms.AuthCode{Hidden: platforms.Hide(text), Kind: platforms.KindWeChat},
				Channel: platforms.WeChat, Payable: true}
		},
		DoubleRead: 3 * time.Second, CodeOnce: 24 * time.Hour, CodeLimit: 45 * time.Second,
	}
}

type world struct {
	t   *testing.T
	c   *Counter
	now order.Now
}

func (w *world) step(ev Event) []Effect {
	out := w.c.Step(w.now, ev)
	for _, e := range out {
		w.t.Logf("%6.1fs %T %+v", w.now.Mono.Seconds(), e, e)
	}
	return out
}

func (w *world) until(d time.Duration) []Effect {
	var all []Effect
	for w.c.Deadline() <= d {
		w.now.Mono = max(w.now.Mono, w.c.Deadline())
		all = append(all, w.step(Tick{})...)
	}
	w.now.Mono = d
	return all
}

func one[T Effect](t *testing.T, list []Effect) T {
	t.Helper()
	var got []T
	for _, e := range list {
		if x, ok := e.(T); ok {
			got = append(got, x)
		}
	}
	if len(got) != 1 {
		t.Fatalf("want one %T, got %d in %v", *new(T), len(got), list)
	}
	return got[0]
}

func (w *world) open(no, bill string) {
	w.t.Helper()
	l := one[Lookup](w.t, w.step(Create{Reply: 1, No: no, Spec: order.Created{Bill: bill, Amount: 100, Mode: platforms.ModeCharge,
		Till: "w1", Platform: "p", ScanWait: 2 * time.Minute, Key: order.IdemKey{Key: "k" + no, Body: "b"}}}))
	if r := one[Reply](w.t, w.step(Found{Token: l.Token})); r.Code != CodeCreated {
		w.t.Fatal(r.Code)
	}
}

func TestScanToPaid(t *testing.T) {
	w := &world{t: t, c: New(testConfig())}
	w.now.Boot = "b"
	w.step(Recover{})
	w.open("N1", "B1")
	l := one[Lookup](t, w.step(Scan{Till: "w1", Code: Code{Text: platforms.Hide("134567890123456789"), Hash: "h1"}}))
	c := one[Call](t, w.step(Found{Token: l.Token}))
	if c.Verb != order.VerbCharge {
		t.Fatal(c)
	}
	w.step(PayDone{Order: "N1", Verb: order.VerbCharge, Answer: platforms.Answer{Status: platforms.Pending, AskNow: true, OrderNo: "N1"}})
	out := w.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}})
	if ch := one[Changed](t, out); ch.Order.State() != order.Paid {
		t.Fatal(ch.Order.State())
	}
}

func TestUnansweredIsCanceled(t *testing.T) {
	w := &world{t: t, c: New(testConfig())}
	w.now.Boot = "b"
	w.step(Recover{})
	w.open("N1", "B1")
	l := one[Lookup](t, w.step(Scan{Till: "w1", Code: Code{Text: platforms.Hide("134567890123456789"), Hash: "h1"}}))
	w.step(Found{Token: l.Token})
	var out []Effect
	for calls := 0; calls < 20; calls++ {
		for _, e := range out {
			if c, ok := e.(Call); ok && c.Verb == order.VerbCancel {
				calls = 99
			}
		}
		if calls < 20 {
			w.until(w.c.Deadline())
			out = w.step(QueryDone{Order: "N1", Answer: platforms.Answer{Status: platforms.Pending}})
		}
	}
	if s := w.now.Mono; s < 45*time.Second || s > 46*time.Second {
		t.Fatal(s)
	}
	out = w.step(CancelDone{Order: "N1", Answer: platforms.Cancellation{Done: true, Action: platforms.ActionClose}})
	if ch := one[Changed](t, out); ch.Order.State() != order.Canceled {
		t.Fatal(ch.Order.State())
	}
}

func TestUnpluggedScannerIsSaidAndTheOrderStays(t *testing.T) {
	w := &world{t: t, c: New(testConfig())}
	w.now.Boot = "b"
	w.step(Recover{})
	w.open("N1", "B1")
	gone := one[Screen](t, w.step(Presence{Till: "w1"}))
	if gone.View.Note != NoteScannerGone || !gone.View.Armed || gone.View.Order.State() != order.Waiting {
		t.Fatalf("%+v", gone.View)
	}
	if out := w.step(Presence{Till: "w1"}); len(out) != 0 {
		t.Fatal("the same news twice", out)
	}
	back := one[Screen](t, w.step(Presence{Till: "w1", Scanner: true}))
	if back.View.Note != "" || !back.View.Armed {
		t.Fatalf("%+v", back.View)
	}
	l := one[Lookup](t, w.step(Scan{Till: "w1", Code: Code{Text: platforms.Hide("134567890123456789"), Hash: "h1"}}))
	if c := one[Call](t, w.step(Found{Token: l.Token})); c.Verb != order.VerbCharge {
		t.Fatal(c)
	}
}

// A patient is early: the phone lies on the scanner while the cashier still
// types, is read once a second, and must not be lifted first.
func TestPhoneBeforeItsOrder(t *testing.T) {
	w := &world{t: t, c: New(testConfig())}
	w.now.Boot = "b"
	w.step(Recover{})
	early := Scan{Till: "w1", Code: Code{Text: platforms.Hide("134567890123456789"), Hash: "h1"}}
	if got := one[Screen](t, w.step(early)); got.View.Note != NoteNotWaiting {
		t.Fatal(got.View.Note)
	}
	w.now.Mono += time.Second
	if got := has[Screen](w.step(early)); len(got) > 0 {
		t.Fatal("the same read is said twice")
	}
	w.open("N1", "B1")
	w.now.Mono += time.Second
	l := one[Lookup](t, w.step(early))
	one[Call](t, w.step(Found{Token: l.Token}))
	// It still lies there while it pays and after: it is the same read.
	for range 3 {
		w.now.Mono += time.Second
		if got := w.step(early); len(has[Call](got)) > 0 || len(has[Lookup](got)) > 0 {
			t.Fatal(got)
		}
	}
	w.step(PayDone{Order: "N1", Verb: order.VerbCharge, Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "N1", Amount: 100, HasAmount: true}})
	for range 3 {
		w.now.Mono += time.Second
		if got := has[Screen](w.step(early)); len(got) > 0 {
			t.Fatal("a phone that was not taken away changes the result on the screen", got[0].View.Note)
		}
	}
}
