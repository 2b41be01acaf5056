package clock

import "time"

// leastStep is what counts as a jump. Between two looks a few seconds apart no
// daemon that moves a clock gently comes near it.
const leastStep = time.Second

// Steps notices that a wall clock was set: it moved by more or less than the
// time since boot did (OBS-06). The zero value has seen nothing yet. It is for
// one goroutine.
type Steps struct {
	wall time.Time
	boot time.Duration
	seen bool
}

// Look takes both clocks, read together, and tells by how much the wall clock
// jumped since the last look; zero where it did not.
func (s *Steps) Look(wall time.Time, boot time.Duration) time.Duration {
	wall = wall.Round(0) // without Go's own monotonic reading
	by := wall.Sub(s.wall) - (boot - s.boot)
	first := !s.seen
	s.wall, s.boot, s.seen = wall, boot, true
	if first || by.Abs() < leastStep {
		return 0
	}
	return by
}
