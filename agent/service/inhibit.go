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
	// Logger is told once that the lock cannot be had, and why.
	Logger *slog.Logger
}

// Run takes and gives back the lock until ctx ends. Nobody waits for it: a
// machine that gives no lock costs a payment nothing.
func (i Inhibitor) Run(ctx context.Context) {
	var lock io.Closer
	told := false
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
	for {
		changed := i.Changed()
		switch {
		case !i.InHand():
			release()
		case lock == nil:
			var err error
			if lock, err = i.Hold(ctx); err != nil {
				lock = nil
				if !told && ctx.Err() == nil {
					told = true
					i.Logger.Warn("the machine can be shut down in the middle of a payment", "error", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}
