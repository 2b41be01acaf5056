package fleet_test

import (
	"testing"
	"time"

	"payagent/agent/fleet"
)

func TestBelieve(t *testing.T) {
	at := time.Date(2026, 3, 14, 10, 0, 0, 0, time.UTC)
	s := func(state, boot string, seq uint64, minute int) fleet.Status {
		return fleet.Status{State: state, BootID: boot, Seq: seq, At: at.Add(time.Duration(minute) * time.Minute)}
	}
	const ready, lost = fleet.StateReady, fleet.StateLost
	for name, x := range map[string]struct {
		known, said fleet.Status
		want        bool
	}{
		"nothing known":                        {fleet.Status{}, s(ready, "a", 1, 0), true},
		"nothing known, a will":                {fleet.Status{}, s(lost, "a", 1, 0), true},
		"repeated":                             {s(ready, "a", 1, 0), s(ready, "a", 1, 1), true},
		"overtaken":                            {s(ready, "a", 1, 1), s(ready, "a", 1, 0), false},
		"next connection":                      {s(ready, "a", 1, 1), s(ready, "a", 2, 2), true},
		"former connection":                    {s(ready, "a", 2, 1), s(ready, "a", 1, 2), false},
		"will of this connection":              {s(ready, "a", 2, 9), s(lost, "a", 2, 1), true},
		"will of a former connection":          {s(ready, "a", 3, 9), s(lost, "a", 2, 1), false},
		"back after the will, same connection": {s(lost, "a", 2, 1), s(ready, "a", 2, 0), true},
		"new start":                            {s(ready, "a", 7, 9), s(ready, "b", 1, 0), true},
		"will of the start before":             {s(ready, "b", 1, 9), s(lost, "a", 7, 1), false},
		"will of a start that was not seen":    {s(ready, "a", 7, 1), s(lost, "b", 1, 9), true},
	} {
		if got := fleet.Believe(x.known, x.said); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
