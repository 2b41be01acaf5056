package fleet_test

import (
	"testing"
	"time"

	"payagent/agent/fleet"
)

// TestNewer: a will that comes late hides no box that is back (evcc #7801).
func TestNewer(t *testing.T) {
	at := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	st := func(boot string, seq uint64, state string, minute int) fleet.Status {
		return fleet.Status{BootID: boot, Seq: seq, State: state, At: at.Add(time.Duration(minute) * time.Minute)}
	}
	for name, c := range map[string]struct {
		known, next fleet.Status
		want        bool
	}{
		"the next minute":                     {st("a", 1, fleet.StateReady, 1), st("a", 1, fleet.StateReady, 2), true},
		"its own will":                        {st("a", 1, fleet.StateReady, 9), st("a", 1, fleet.StateLost, 0), true},
		"a new connection":                    {st("a", 1, fleet.StateLost, 0), st("a", 2, fleet.StateReady, 1), true},
		"an old connection's will":            {st("a", 2, fleet.StateReady, 1), st("a", 1, fleet.StateLost, 0), false},
		"an old connection's status":          {st("a", 2, fleet.StateReady, 1), st("a", 1, fleet.StateReady, 0), false},
		"a new start":                         {st("a", 7, fleet.StateReady, 1), st("b", 1, fleet.StateInit, 2), true},
		"the old process's will":              {st("b", 1, fleet.StateInit, 2), st("a", 7, fleet.StateLost, 0), false},
		"a new start after the clock was set": {st("a", 7, fleet.StateReady, 5), st("b", 1, fleet.StateInit, 0), true},
		"the new start's will":                {st("a", 7, fleet.StateReady, 1), st("b", 1, fleet.StateLost, 2), true},
	} {
		if got := fleet.Newer(&c.known, c.next); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !fleet.Newer(nil, st("a", 1, fleet.StateLost, 0)) {
		t.Error("the first is not believed")
	}
}

func TestPresence(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		state    string
		at       time.Duration
		received time.Duration // 0: retained
		want     string
	}{
		"fresh":                  {fleet.StateReady, time.Minute, time.Second, fleet.StateReady},
		"three intervals":        {fleet.StateAlert, 0, 3 * time.Minute, fleet.StateAlert},
		"older":                  {fleet.StateReady, 0, 3*time.Minute + 1, fleet.StateUnknown},
		"retained and old":       {fleet.StateReady, time.Hour, 0, fleet.StateUnknown},
		"retained and fresh":     {fleet.StateInit, time.Minute, 0, fleet.StateInit},
		"its clock is wrong":     {fleet.StateReady, 20 * 365 * 24 * time.Hour, time.Second, fleet.StateReady},
		"lost, and that is old":  {fleet.StateLost, 0, 24 * time.Hour, fleet.StateLost},
		"said good-bye":          {fleet.StateGone, 0, 24 * time.Hour, fleet.StateGone},
		"a word nobody knows":    {"sleeping", 0, time.Second, fleet.StateUnknown},
		"it lives in the future": {fleet.StateReady, -time.Hour, 0, fleet.StateReady},
	} {
		s := &fleet.Status{State: c.state, At: now.Add(-c.at), Every: 60}
		var received time.Time
		if c.received > 0 {
			received = now.Add(-c.received)
		}
		if got, _ := fleet.Presence(s, received, now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got, _ := fleet.Presence(nil, now, now); got != fleet.StateUnknown {
		t.Error(got)
	}
}
