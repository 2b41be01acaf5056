package lamp

import (
	"time"

	"payagent/devices"
)

// Output is a set of what is on.
type Output uint8

// The outputs.
const (
	Red Output = 1 << iota
	Yellow
	Green
	Buzzer
)

// Step is what is on, and for how long; 0 is until something changes.
type Step struct {
	On  Output
	For time.Duration
}

// Pattern is a signal: some steps once, then others over and over.
type Pattern struct {
	Once []Step
	Loop []Step
}

const (
	beep  = 100 * time.Millisecond
	long  = 600 * time.Millisecond
	blink = 250 * time.Millisecond // 2 Hz: more than three flashes a second may hurt people
)

// PatternOf is the signal of a state:
//
//	idle                nothing
//	waiting             yellow, slowly blinking: your turn
//	queued              yellow
//	paying, canceling   yellow, quickly blinking: wait
//	paid                green; one long beep
//	failed, canceled    red; three short beeps
//	in_doubt            red and yellow in turn; two beeps: ask the cashier, do not pay again
//	offline             a short red flash every three seconds
func PatternOf(state string) Pattern {
	steady := func(on Output) []Step { return []Step{{On: on}} }
	switch state {
	case "waiting":
		return Pattern{Loop: []Step{{Yellow, time.Second}, {0, time.Second}}}
	case "queued":
		return Pattern{Loop: steady(Yellow)}
	case "paying", "canceling":
		return Pattern{Loop: []Step{{Yellow, blink}, {0, blink}}}
	case "paid":
		return Pattern{Once: []Step{{Green | Buzzer, long}}, Loop: steady(Green)}
	case "failed", "canceled":
		return Pattern{Once: beeps(Red, 3), Loop: steady(Red)}
	case "in_doubt":
		return Pattern{Once: beeps(Red, 2), Loop: []Step{{Red, 2 * blink}, {Yellow, 2 * blink}}}
	case devices.StateOffline:
		return Pattern{Loop: []Step{{Red, beep}, {0, 3*time.Second - beep}}}
	}
	return Pattern{Loop: steady(0)}
}

// beeps are n short beeps while lamps are on.
func beeps(lamps Output, n int) []Step {
	var steps []Step
	for range n {
		steps = append(steps, Step{lamps | Buzzer, beep}, Step{lamps, beep})
	}
	return steps
}

// Next is the signal that begins when one screen follows another; false if the
// one before goes on. A code that was taken gives a short beep, before what
// the new state does; a scan that was refused gives two with red, and then the
// lamps go on as before.
func Next(before, now devices.Screen) (Pattern, bool) {
	p := PatternOf(now.State)
	switch {
	case before.State != now.State:
		read := (before.State == devices.StateIdle || before.State == "waiting") && (now.State == "queued" || now.State == "paying")
		if read {
			p.Once = []Step{{Yellow | Buzzer, beep}}
		}
		return p, true
	case now.Note != "" && now.Note != before.Note:
		p.Once = beeps(Red, 2)
		return p, true
	}
	return Pattern{}, false
}
