package devices

import (
	"context"
	"errors"
	"time"
)

// Counts is what a scanner counted since it was made; it never holds text
// (DEV-15).
type Counts struct {
	Good    uint64    // codes handed out
	Bad     uint64    // codes dropped: noise, too short, too long, broken
	Cut     uint64    // codes given up unfinished
	Doubles uint64    // codes suppressed as read twice
	Settled uint64    // codes dropped because they came right after opening
	Unread  uint64    // codes dropped because nobody asked for them in time
	Lost    uint64    // times that the operating system lost input
	Opens   uint64    // times the device was opened
	Last    time.Time // when the last code came; zero if none did
}

// Plus adds up two counts.
func (c Counts) Plus(o Counts) Counts {
	last := c.Last
	if o.Last.After(last) {
		last = o.Last
	}
	return Counts{c.Good + o.Good, c.Bad + o.Bad, c.Cut + o.Cut, c.Doubles + o.Doubles, c.Settled + o.Settled,
		c.Unread + o.Unread, c.Lost + o.Lost, c.Opens + o.Opens, last}
}

// Counting is a scanner that keeps counts. Safe for concurrent use.
type Counting interface{ Counts() Counts }

// Placed is a device that knows which physical device it opened.
type Placed interface{ Place() Found }

// Acting is a device with actions of its profile: "trigger", "stop", "beep"
// and the like, a closed list of fixed bytes (DEV-17). There are no raw writes.
// Do is safe for concurrent use and ends with its context.
type Acting interface {
	Actions() []string // sorted
	Do(ctx context.Context, action string) error
}

// ErrNoAction is wrapped for an action that a device does not have.
var ErrNoAction = errors.New("the device has no such action; payagent devices list shows what it has")
