package clock

import (
	"testing"
	"time"
)

// TestSteps: what a wall clock gains or loses against the time since boot is a
// step, however long the machine slept in between; what drifts is none.
func TestSteps(t *testing.T) {
	begin := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		wall, boot, want time.Duration
	}{
		"still":   {5 * time.Second, 5 * time.Second, 0},
		"asleep":  {8 * time.Hour, 8 * time.Hour, 0},
		"drift":   {5*time.Second + 400*time.Millisecond, 5 * time.Second, 0},
		"ahead":   {5*time.Second + 31*time.Second, 5 * time.Second, 31 * time.Second},
		"back":    {5*time.Second - time.Hour, 5 * time.Second, -time.Hour},
		"in 1970": {-56 * 365 * 24 * time.Hour, 0, -56 * 365 * 24 * time.Hour},
	} {
		var s Steps
		if by := s.Look(begin, time.Hour); by != 0 {
			t.Errorf("%s: the first look says %v", name, by)
		}
		if by := s.Look(begin.Add(c.wall), time.Hour+c.boot); by != c.want {
			t.Errorf("%s: %v, not %v", name, by, c.want)
		}
		if by := s.Look(begin.Add(c.wall+time.Second), time.Hour+c.boot+time.Second); by != 0 {
			t.Errorf("%s: a step was told twice: %v", name, by)
		}
	}
}
