// Package bucket bounds how often something may happen.
package bucket

import "time"

// Bucket lets a burst through and then so many a second. It is not safe for
// concurrent use.
type Bucket struct {
	size, rate, left float64
	last             time.Time
}

// New gives a full one: size at once, rate per second in the long run.
func New(size, rate float64) Bucket { return Bucket{size: size, rate: rate, left: size} }

// Take tells whether it may happen now, and counts that.
func (b *Bucket) Take(now time.Time) bool {
	if !b.last.IsZero() {
		b.left = min(b.size, b.left+b.rate*now.Sub(b.last).Seconds())
	}
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
