package agent

import "testing"

// TestInWindow goes through a day, also over midnight.
func TestInWindow(t *testing.T) {
	for _, c := range []struct{ from, to, free int }{
		{0, 24 * 60, 24 * 60}, {0, 0, 24 * 60}, {60, 60, 24 * 60}, {8 * 60, 9 * 60, 60}, {22 * 60, 5*60 + 30, 7*60 + 30}, {23*60 + 59, 0, 1},
	} {
		free := 0
		for m := range 24 * 60 {
			if inWindow(c.from, c.to, m) {
				free++
			}
		}
		if free != c.free || !inWindow(c.from, c.to, c.from) || c.from != c.to && c.to < 24*60 && inWindow(c.from, c.to, c.to) {
			t.Errorf("%d to %d: free for %d minutes, want %d", c.from, c.to, free, c.free)
		}
	}
}
