package agent

import (
	"context"
	"slices"
	"time"

	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/devices"
	"payagent/platforms"
)

// read takes scans from one scanner of a till. The scanner member supervises
// its device; an error that ends Scan for good is reported and ends the read.
func (a *Agent) read(ctx context.Context, till string, s Scanner) {
	defer s.Close()
	for {
		scan, err := s.Scan(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			a.log.Error("scanner stopped", "till", till, "device", s.Name, "error", err)
			a.Presence(till, devices.Presence{Device: s.Name, Err: err})
			return
		}
		a.stats.read(till)
		a.gears.read(s.Name, a.Now())
		if !a.post(ctx, counter.Scan{Till: till, Device: s.Name, Code: a.code(scan.Text.Reveal(), scan.Symbology)}) {
			return
		}
	}
}

const (
	// displayLimit is how long a display may take before it is left behind; it
	// sees the latest screen when it is back. Nothing waits for a display.
	displayLimit = 2 * time.Second
	// displayAgain is the pause before a display that failed is tried again.
	displayAgain = 2 * time.Second
	// resultShown is how long a result stays on a display (DSP-02).
	resultShown = 8 * time.Second
	// testShown is how long a test screen stays.
	testShown = 3 * time.Second
)

// show keeps one display in step with its till.
func (a *Agent) show(ctx context.Context, till string, d Display) {
	defer d.Close()
	g := a.gears.find(d.Name)
	var last devices.Screen
	shown, testUntil := false, time.Duration(0)
	for {
		changed := a.memory.changed()
		v, _ := a.memory.view(till)
		want, wake := a.screenOf(v)
		if left := testUntil - a.Now().Mono; left > 0 {
			if a.free(v) {
				want, wake = testScreen(), left
			} else {
				testUntil = 0 // whoever pays now comes first
			}
		}
		if !shown || want != last {
			if shown = a.showOne(ctx, d, want); !shown {
				wake = displayAgain
			}
			last = want
		}
		switch a.waitShow(ctx, changed, g.test, wake) {
		case showTest:
			testUntil = a.Now().Mono + testShown
		case showEnd:
			return
		}
	}
}

// What ends the wait of a display.
type showNext int

const (
	showAgain showNext = iota
	showTest
	showEnd
)

func (a *Agent) waitShow(ctx context.Context, changed, test <-chan struct{}, wake time.Duration) showNext {
	var due <-chan time.Time
	if wake > 0 {
		timer := time.NewTimer(wake)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	case <-test:
		return showTest
	case <-ctx.Done():
		return showEnd
	case <-a.dead:
		return showEnd
	}
	return showAgain
}

// free tells whether no payment, nor the result of one, is on a till's displays.
func (a *Agent) free(v counter.View) bool {
	return v.Order == nil || v.Order.State().Final() && a.Now().Age(v.Order.EndedAt) >= resultShown
}

// showOne shows one screen; false if the display did not take it.
func (a *Agent) showOne(ctx context.Context, d Display, s devices.Screen) bool {
	call, stop := context.WithTimeout(ctx, displayLimit)
	defer stop()
	err := d.Show(call, s)
	if ctx.Err() != nil {
		return true
	}
	reason := ""
	if err != nil {
		if reason = reasonOf(err); reason == "cannot_open" {
			reason = "display_failed"
		}
	}
	if g, _, changed := a.gears.set(d.Name, err == nil, reason, devices.Found{}, a.Now().Wall); changed {
		a.stats.present(g.Name, err == nil)
		a.memory.grew()
		if err != nil {
			a.log.Warn("display failed", "till", g.Till, "device", g.Name, "error", err)
		}
	}
	return err == nil
}

// testScreen is one of a waiting order: idle displays show no amount and idle
// lamps no light.
func testScreen() devices.Screen {
	return devices.Screen{State: string(order.Waiting), Title: "显示测试", Line: "一二三 123", TitleEN: "Display test", LineEN: "ABC 123",
		Amount: "123.45", Speech: "显示测试", Test: true}
}

// screenOf makes what displays show of a till, and says after how long it
// changes by itself; 0 for never.
func (a *Agent) screenOf(v counter.View) (s devices.Screen, wake time.Duration) {
	s = devices.Screen{State: devices.StateIdle, Test: a.cfg.Site.Test, Note: v.Note}
	o, now := v.Order, a.Now()
	if o != nil && o.State().Final() {
		// Nothing of the former patient stays for the next to see.
		if wake = resultShown - now.Age(o.EndedAt); wake <= 0 {
			o, wake = nil, 0
		}
	}
	title, line, speech := words.Idle(), words.Text{}, words.Text{}
	switch {
	case o == nil && a.offline(v.Till):
		s.State, title = devices.StateOffline, words.Offline()
	case o == nil:
	case o.State() == order.Waiting && !v.Online:
		s.State, title, s.Amount = devices.StateOffline, words.Offline(), o.Amount.Yuan()
	default:
		s.State, s.Amount, title = string(o.State()), o.Amount.Yuan(), a.Say(o).Patient
		speech = a.Speech(v)
		if !o.State().Final() {
			name := words.Masked(a.patient(o))
			line = words.Text{ZH: name, EN: name}
		}
		if left := o.QREnds(a.shape.Platforms[o.Platform].Policy, now); left > 0 {
			s.QR, wake = o.QR, left
		}
	}
	if v.Note != "" && (o == nil || !o.State().Final()) {
		line = a.SayNote(v).Patient
	}
	s.Title, s.TitleEN, s.Line, s.LineEN, s.Speech = title.ZH, title.EN, line.ZH, line.EN, speech.ZH
	return s, wake
}

// patient is the payer's name as HIS gave it.
func (a *Agent) patient(o *order.Order) string {
	if name := o.Private.Patient.Name; !name.Empty() {
		return name.Reveal()
	}
	return a.unseal(o).Patient.Name.Reveal()
}

// offline tells whether nothing can be paid at a till: every platform that its
// orders go to is away.
func (a *Agent) offline(till string) bool {
	down := a.Health().Down
	if len(down) == 0 {
		return false
	}
	t, _ := a.cfg.TillNamed(till)
	kinds := t.OrderTypes
	if len(kinds) == 0 {
		for name := range a.cfg.OrderTypes {
			kinds = append(kinds, name)
		}
	}
	any := false
	for _, mode := range t.Modes {
		for _, kind := range kinds {
			p, _, err := a.cfg.RouteFor(config.Query{Till: till, Mode: platforms.Mode(mode), OrderType: kind})
			if err != nil {
				continue
			}
			if any = true; !slices.Contains(down, p.Name) {
				return false
			}
		}
	}
	return any
}
