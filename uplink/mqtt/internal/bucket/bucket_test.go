package bucket

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	b, now := New(3, 2), time.Unix(1_000_000, 0)
	count := func() (n int) {
		for range 10 {
			if b.Take(now) {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{0, 3}, {0, 0}, {499 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 2}, {time.Hour, 3}} {
		now = now.Add(step.wait)
		if got := count(); got != step.want {
			t.Errorf("after %v more: %d times, want %d", step.wait, got, step.want)
		}
	}
}
