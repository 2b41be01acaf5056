package service

import (
	"context"
	"io"
	"log/slog"
	"time"
)

// Inhibitor keeps the machine from being shut down or put to sleep while
// something is in hand.
type Inhibitor struct {
	// Hold takes the lock; closing what it returns gives it back.
	Hold func(ctx context.Context) (io.Closer, error)
	// InHand tells whether there is reason to hold it.
	InHand func() bool
	// Changed is closed when InHand may have changed.
	Changed func() <-chan struct{}
	// Again is how often InHand is asked without a change.
	Again time.Duration
	// Logger is told that the lock cannot be had, and why, when the reason is a new one.
	Logger *slog.Logger
}

// Run takes and gives back the lock until ctx ends. Nobody waits for it: a
// machine that gives no lock costs a payment nothing. It is taken once at the
// start, so that a machine that gives none is known before the first payment,
// and whoever has to judge (polkit) has been started.
func (i Inhibitor) Run(ctx context.Context) {
	var lock io.Closer
	told := ""
	release := func() {
		if lock != nil {
			if err := lock.Close(); err != nil {
				i.Logger.Warn("the shutdown lock could not be given back", "error", err)
			}
			lock = nil
		}
	}
	defer release()
	tick := time.NewTicker(i.Again)
	defer tick.Stop()
	for first := true; ; first = false {
		changed := i.Changed()
		hand := i.InHand()
		switch {
		case !hand && !first:
		case lock == nil:
			var err error
			if lock, err = i.Hold(ctx); err != nil {
				lock = nil
				if told != err.Error() && ctx.Err() == nil {
					told = err.Error()
					i.Logger.Warn("the machine can be shut down in the middle of a payment", "error", err)
				}
			}
		}
		if !hand {
			release()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}
