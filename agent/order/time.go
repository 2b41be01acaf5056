package order

import "time"

// Instant is a point in time as a fact keeps it: wall time for people, and for
// decisions the boot it happened in and the time since that boot, including
// suspend. Wall clocks jump; nothing is ever decided by Wall.
type Instant struct {
	Wall int64         `json:"wall"` // Unix milliseconds
	Boot string        `json:"boot"` // boot id of the machine
	Mono time.Duration `json:"mono"` // since that boot, nanoseconds
}

// Now is the present: an instant, and when this process began.
type Now struct {
	Instant
	Start time.Duration // Mono at which this process started
}

// Age is how long ago an instant was. What happened before this boot happened
// an unknown time ago; it counts from the start of this process, which is
// never too long, so nothing is done too early.
func (n Now) Age(t Instant) time.Duration {
	if t.Boot != n.Boot {
		return n.Mono - n.Start
	}
	return n.Mono - t.Mono
}

// due gives the Mono at which something that happened at t is age old.
func (n Now) due(t Instant, age time.Duration) time.Duration {
	if t.Boot != n.Boot {
		return n.Start + age
	}
	return t.Mono + age
}
