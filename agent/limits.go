package agent

import (
	"context"
	"time"

	"payagent/agent/config"
	"payagent/agent/limits"
)

// Limits are what the callers of door and façades are held up by (door.limits).
func (a *Agent) Limits() *limits.Limits { return a.limits }

// Turn takes a payment (create) or a refund out of what a program may begin at a
// till.
func (a *Agent) Turn(program, what, till string) limits.Turn {
	conf, known := a.cfg.TillNamed(till)
	if !known { // it is refused anyhow
		till = ""
	}
	return a.limits.Turn(program, what, till, known && conf.Kind == config.Online)
}

// TooOften tells people of a workstation that has to wait, once in a while.
func (a *Agent) TooOften(ctx context.Context, t limits.Turn, trace string) {
	if t.Fresh {
		a.warn(ctx, "door_rate_limited", t.Who, "a workstation asks too often", trace)
	}
}

// WrongToken counts a wrong token or secret from an address, and tells people
// where a lock-out begins. It gives how long the address has to wait before
// another one is looked at.
func (a *Agent) WrongToken(ctx context.Context, from, trace string) time.Duration {
	wait, locked := a.limits.Wrong(from)
	if locked {
		a.warn(ctx, "door_locked_out", from, "an address is locked out: too many wrong tokens", trace)
	}
	return wait
}

// warn raises an alarm that is about no order.
func (a *Agent) warn(ctx context.Context, code, subject, why, trace string) {
	a.log.Warn(why, "subject", subject, "trace", trace)
	if err := a.TellAlarm(context.WithoutCancel(ctx), Alarm{Code: code, Subject: subject}); err != nil {
		a.log.Error("an alarm could not be written down", "code", code, "error", err)
	}
}
