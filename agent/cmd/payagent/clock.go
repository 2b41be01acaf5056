package main

import (
	"context"
	"time"

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

// keepClock writes down what is learnt of the time, and says once when the
// machine's clock is found wrong. In a fleet the box says it for as long as it
// lasts.
func (b *assembly) keepClock(fleet bool) {
	b.beside = append(b.beside, func(ctx context.Context) error {
		b.clock.Run(ctx, func(err error) { b.log.Error("the time that was seen could not be written down", "error", err) })
		return nil
	})
	b.beside = append(b.beside, func(ctx context.Context) error {
		tick := time.NewTicker(clockEvery)
		defer tick.Stop()
		told := false
		for {
			if wrong := b.clock.Wrong(); wrong && !told {
				b.log.Error("the machine's clock is wrong; certificates are verified at the latest time that is known; set the clock", "wall", time.Now(), "known", b.clock.Now())
				if !fleet {
					b.agent.RaiseAlarm(alarmClock)
				}
				told = true
			} else if !wrong {
				told = false
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// clockEvery is how often the clock is looked at.
const clockEvery = 30 * time.Second
