package framing

import (
	"hash/maphash"
	"time"
)

// Doubles recognises a code that a scanner reads again while the phone is
// still in front of it. It keeps no text, only a keyed sum of it.
type Doubles struct {
	window time.Duration
	seed   maphash.Seed
	seen   []read
	count  uint64
}

type read struct {
	sum uint64
	at  time.Time
}

// maxSeen bounds what Doubles remembers; more codes than that within one
// window are not shown to one scanner.
const maxSeen = 32

// NewDoubles suppresses the same text within window of when it was last let
// through; 0 or less suppresses nothing. A code that stays in view comes once
// per window: a phone may lie on the scanner before its order exists.
func NewDoubles(window time.Duration) *Doubles {
	return &Doubles{window: window, seed: maphash.MakeSeed()}
}

// Again tells whether text was let through within the window before at, and
// notes it if not.
func (d *Doubles) Again(text string, at time.Time) bool {
	if d.window <= 0 {
		return false
	}
	kept := d.seen[:0]
	for _, r := range d.seen {
		if at.Sub(r.at) < d.window {
			kept = append(kept, r)
		}
	}
	d.seen = kept
	sum := maphash.String(d.seed, text)
	for i := range d.seen {
		if d.seen[i].sum == sum {
			d.count++
			return true
		}
	}
	if len(d.seen) == maxSeen {
		d.seen = append(d.seen[:0], d.seen[1:]...)
	}
	d.seen = append(d.seen, read{sum, at})
	return false
}

// Count is how many codes were recognised as read again.
func (d *Doubles) Count() uint64 { return d.count }
