package trial

import (
	"context"
	"fmt"
	"time"
)

// Lock is the payment lock: whether the tills may be disturbed. agent.Quiet is
// one.
type Lock interface {
	Free() (ok bool, why string)
	Changed() <-chan struct{}
}

// Await waits until the lock is free. wait, which may be nil, is told each new
// reason.
func Await(ctx context.Context, l Lock, wait func(why string)) error {
	last := ""
	for {
		changed := l.Changed()
		ok, why := l.Free()
		if ok {
			return nil
		}
		if why != last && wait != nil {
			wait(why)
		}
		last = why
		timer := time.NewTimer(2 * time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("the tills were not free: %s: %w", why, ctx.Err())
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Refusal is an error with a stable code, for whoever ordered something.
type Refusal struct{ Code, Text string }

// Error gives the words.
func (r *Refusal) Error() string { return r.Text }

// Refuse makes one.
func Refuse(code, format string, args ...any) error {
	return &Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Runner is what an order from the fleet may do besides its own work;
// agent/fleet/box has one for each command.
type Runner interface {
	Progress(percent int, text string)
	Note(v any) error
	Restart(why string)
}
