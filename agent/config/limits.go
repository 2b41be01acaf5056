package config

import "time"

// DoorLimits is what a program that has gone wrong is held up by, here and at
// the façades. Queries, cancels and whatever else ends an order are never held
// up.
type DoorLimits struct {
	// New orders a minute of one workstation (a token at a till); ten times as many at an online till. 0: no limit.
	Creates int
	// Refunds a minute of one workstation. 0: no limit.
	Refunds int
	// Wrong tokens from one address, with growing pauses between them, after which it is locked out; tokens that were used from there before go on. 0: never.
	WrongTokens int
	// How long the first lock-out takes; each further one twice as long, an hour at most.
	LockOut time.Duration
}

func (v validator) doorLimits() {
	l := v.Door.Limits
	for key, n := range map[string]int{"creates": l.Creates, "refunds": l.Refunds, "wrong_tokens": l.WrongTokens} {
		if n < 0 || n > 100000 {
			v.add("door.limits."+key, "write a number from 1 to 100000, or 0 for no limit")
		}
	}
	v.between("door.limits.lock_out", l.LockOut, time.Second, time.Hour)
}
