package limits_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/agent/limits"
)

// TestBounded: whoever guesses from very many addresses, or begins something
// under very many names, fills no memory; the addresses that guessed last stay
// known.
func TestBounded(t *testing.T) {
	var now time.Duration
	l := limits.New(config.DoorLimits{Creates: 1, WrongTokens: 1, LockOut: time.Hour}, func() time.Duration { return now })
	for n := range 3000 {
		now += time.Millisecond
		if _, locked := l.Wrong(fmt.Sprint("a", n)); !locked {
			t.Fatal(n)
		}
	}
	list := l.List()
	if len(list) != 1024 || !slices.ContainsFunc(list, func(h limits.Held) bool { return h.Subject == "a2999" }) || slices.ContainsFunc(list, func(h limits.Held) bool { return h.Subject == "a0" }) {
		t.Errorf("%d addresses", len(list))
	}
	l = limits.New(config.DoorLimits{Creates: 1}, func() time.Duration { return now })
	for n := range 10000 {
		who := fmt.Sprint("t", n)
		if a, b := l.Turn(who, "create", "w1", false), l.Turn(who, "create", "w1", false); a.Wait != 0 || b.Wait != time.Minute || !b.Fresh {
			t.Fatal(n, a, b)
		}
	}
	if n := len(l.List()); n > 4096 {
		t.Errorf("%d workstations", n)
	}
}
