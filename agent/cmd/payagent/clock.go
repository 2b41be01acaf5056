package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"payagent/agent"
	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/machine"
	"payagent/agent/trial"
)

// alarmClock says that the machine's clock must be set.
const alarmClock = "clock_wrong"

// clocks is how this machine's time is judged.
func clocks() clock.Options { return clock.Options{Made: clock.Made(), RTC: machine.RTC} }

// clockOf gives the time as it is known on this box.
func clockOf(c config.Config) *clock.Keeper {
	o := clocks()
	o.Dir, o.Disk = c.DataDir, trial.OS{}
	return clock.Open(o)
}

// The events of the clock.
const alarmStep = "clock_stepped"

// keepClock writes down what is learnt of the time, looks whether the machine's
// clock jumps, and says what is wrong with this box: in a fleet the box does
// that itself (conditions).
func (b *assembly) keepClock(c config.Config) {
	b.beside = append(b.beside, func(ctx context.Context) error {
		b.clock.Run(ctx, func(err error) { b.log.Error("the time that was seen could not be written down", "error", err) })
		return nil
	})
	b.beside = append(b.beside, func(ctx context.Context) error {
		tick := time.NewTicker(stepEvery)
		defer tick.Stop()
		w := clockWatch{b: b, alone: !c.Fleet.On(), lasting: func() []agent.Alarm { return b.lasting(c) }}
		for n := 0; ; n++ {
			now := b.agent.Now()
			w.step(ctx, time.UnixMilli(now.Wall), now.Mono)
			if n%stepsPerLook == 0 {
				w.look(ctx)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// stepEvery is how often the clock is compared with the time since boot, and
// stepsPerLook how many of these make a look at the rest.
const (
	stepEvery    = 5 * time.Second
	stepsPerLook = 6
)

// clockWatch says what is found. It is for one goroutine.
type clockWatch struct {
	b       *assembly
	alone   bool // in no fleet
	lasting func() []agent.Alarm
	steps   clock.Steps
	wrong   bool
	told    []agent.Alarm
}

// step tells that the clock jumped: in the log, and as an event that ends with
// itself.
func (w *clockWatch) step(ctx context.Context, wall time.Time, boot time.Duration) {
	by := w.steps.Look(wall, boot)
	if by == 0 {
		return
	}
	b := w.b
	b.steps.Add(1)
	b.skew.forget() // measured by the clock that was
	seconds := fmt.Sprintf("%+.0fs", by.Seconds())
	b.log.Warn("the machine's clock jumped", "by", seconds, "wall", wall)
	x := agent.Alarm{Code: alarmStep, Subject: seconds}
	err := b.agent.TellAlarm(ctx, x)
	if err == nil {
		x.Cleared = true
		err = b.agent.TellAlarm(ctx, x)
	}
	if err != nil {
		b.log.Error("an event could not be written down", "code", alarmStep, "error", err)
	}
}

// look says in the log that the clock is wrong, and raises and clears the alarms
// of a box that is in no fleet.
func (w *clockWatch) look(ctx context.Context) {
	b := w.b
	wrong := b.clock.Wrong()
	if wrong && !w.wrong {
		b.log.Error("the machine's clock is wrong; certificates are verified at the latest time that is known; set the clock", "wall", time.Now(), "known", b.clock.Now())
	}
	w.wrong = wrong
	if !w.alone {
		return
	}
	now := w.lasting()
	tell := func(x agent.Alarm) {
		if err := b.agent.TellAlarm(ctx, x); err != nil {
			b.log.Error("an alarm could not be written down", "code", x.Code, "error", err)
		}
	}
	for _, x := range now {
		if !slices.Contains(w.told, x) {
			tell(x)
		}
	}
	for _, x := range w.told {
		if !slices.Contains(now, x) {
			x.Cleared = true
			tell(x)
		}
	}
	w.told = now
}
