package audit

import (
	"context"
	"time"
)

// Pace says how often the files follow the log.
type Pace struct {
	Every time.Duration // at most this long behind
	Mark  time.Duration // between two notes of the place in the log
}

// Run follows the log until ctx ends, then once more. changed gives a channel
// that is closed when something may have been written. An error is told and
// met by trying again; a payment never waits for the audit.
func (k *Keeper) Run(ctx context.Context, p Pace, changed func() <-chan struct{}, failed func(error)) {
	tick, mark := time.NewTicker(p.Every), time.NewTicker(p.Mark)
	defer tick.Stop()
	defer mark.Stop()
	try := func(ctx context.Context, more bool) {
		err := k.CatchUp(ctx)
		if err == nil && more {
			err = k.Mark()
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
	for first := true; ; first = false {
		news := changed()
		try(ctx, first)
		select {
		case <-ctx.Done():
		case <-news:
			// What comes close together is written together.
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		case <-mark.C:
			try(ctx, true)
		}
		if ctx.Err() != nil {
			try(context.WithoutCancel(ctx), true)
			return
		}
	}
}
