package order

import (
	"testing"
	"time"

	"payagent/platforms"
)

// TestCountdowns: what is shown to count down is what Next will do, at every
// second of an order's way.
func TestCountdowns(t *testing.T) {
	p := Policy{ManualAfter: 10 * time.Second, Horizon: 60 * time.Second, HorizonWeChat: 45 * time.Second, CancelNotBefore: 15 * time.Second}
	at := func(s int) Now {
		return Now{Instant: Instant{Boot: "b", Mono: time.Duration(s) * time.Second, Wall: int64(s) * 1000}}
	}
	sent := at(0).Instant
	made := Created{Mode: platforms.ModeCharge, ScanWait: 120 * time.Second, ValidFor: 600 * time.Second}
	person := &Person{}
	for _, c := range []struct {
		name    string
		o       Order
		at      int
		buttons int
		acts    int // -1: nothing to count
	}{
		{"waits for a scan", Order{Created: made, CreatedAt: sent}, 20, 0, 100},
		{"waited too long", Order{Created: made, CreatedAt: sent}, 130, 0, 0},
		{"waits, cancel asked", Order{Created: made, CreatedAt: sent, CancelAsked: person}, 20, 0, -1},
		{"just sent", Order{Created: made, CreatedAt: sent, SentAt: &sent}, 3, 7, 57},
		{"buttons are there", Order{Created: made, CreatedAt: sent, SentAt: &sent}, 10, 0, 50},
		{"wechat", Order{Created: made, CreatedAt: sent, SentAt: &sent, CodeChannel: platforms.WeChat}, 12, 0, 33},
		{"cancel asked", Order{Created: made, CreatedAt: sent, SentAt: &sent, CancelAsked: person}, 3, 7, -1},
		{"refused", Order{Created: made, CreatedAt: sent, SentAt: &sent, Refused: true}, 3, 7, -1},
		{"overdue", Order{Created: made, CreatedAt: sent, SentAt: &sent}, 61, 0, -1},
		{"canceling", Order{Created: made, CreatedAt: sent, SentAt: &sent, CancelSent: &sent}, 3, 0, -1},
		{"in doubt", Order{Created: made, CreatedAt: sent, SentAt: &sent, Doubt: "no_key"}, 3, 0, -1},
		{"paid", Order{Created: made, CreatedAt: sent, SentAt: &sent, Outcome: Paid}, 3, 0, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := at(c.at)
			if got := c.o.ButtonsIn(p, now); got != time.Duration(c.buttons)*time.Second {
				t.Errorf("buttons in %v, want %d s", got, c.buttons)
			}
			left, ok := c.o.ActsIn(p, now)
			if ok != (c.acts >= 0) || ok && left != time.Duration(c.acts)*time.Second {
				t.Errorf("acts in %v %t, want %d s", left, ok, c.acts)
			}
			offered := false
			for _, a := range c.o.Actions(p, now, false) {
				offered = offered || a == ActCheck
			}
			if c.o.State() == Paying && offered != (c.buttons == 0) {
				t.Errorf("check offered: %t", offered)
			}
		})
	}
	queued := made
	queued.Queued = true
	o := Order{Created: queued, CreatedAt: sent}
	if left, ok := o.ActsIn(p, at(100)); !ok || left != 500*time.Second {
		t.Errorf("queued: %v %t", left, ok)
	}
}
