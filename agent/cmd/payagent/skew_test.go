package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/config"
)

// TestGatewayTime: a timestamp is what the gateway's clock shows, up to a day
// away from ours; where none was measured over TLS it is ours.
func TestGatewayTime(t *testing.T) {
	for name, c := range map[string]struct {
		address     string
		ahead, want time.Duration
	}{
		"ahead":     {"https://gateway.test/", 2 * time.Hour, 2 * time.Hour},
		"behind":    {"https://gateway.test/", -2 * time.Hour, -2 * time.Hour},
		"years":     {"https://gateway.test/", 90000 * time.Hour, 24 * time.Hour},
		"no TLS":    {"http://gateway.test/", 2 * time.Hour, 0},
		"by broker": {"", 2 * time.Hour, 0},
	} {
		d := dated{skew: &skew{}}
		if name == "by broker" {
			d.skew = nil
			c.address = "https://gateway.test/"
		}
		d.Route = answers(time.Now().UTC().Add(c.ahead))
		r, err := http.NewRequest(http.MethodPost, c.address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.RoundTrip(r); err != nil {
			t.Fatal(err)
		}
		// An answer that takes more than 5 s tells nothing, so this fails on no
		// machine but one that stands still in between.
		if off := time.Until(gatewayClock(d)()) - c.want; off.Abs() > time.Minute {
			t.Errorf("%s: off by %v", name, off)
		}
	}
}

// TestClockIsWatched: a jump of the clock is a figure, a line of the log and an
// event that ends with itself, and what was measured before it is forgotten; a
// difference of 30 s and more to the platforms is an alarm for as long as it
// lasts, on a box in no fleet as well.
func TestClockIsWatched(t *testing.T) {
	file, _ := site(t)
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b, err := assemble(c, slog.New(slog.NewTextHandler(&log, nil)), storeOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	told := func() (list []string) {
		notes, _, _, err := b.agent.Notes(agent.NoteAlarm, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range notes {
			var a agent.Alarm
			if err := json.Unmarshal(n.Data, &a); err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprint(a.Code, " ", a.Subject, " ", a.Cleared))
		}
		return list
	}
	figures := func() string {
		var w bytes.Buffer
		if err := b.writeWayStats(&w); err != nil {
			t.Fatal(err)
		}
		return w.String()
	}
	w := clockWatch{b: b, alone: true, lasting: func() []agent.Alarm {
		return slices.DeleteFunc(b.lasting(c), func(a agent.Alarm) bool { return a.Code != alarmSkew })
	}}
	begin := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	b.skew.value, b.skew.known = 29*time.Second, true
	w.look(t.Context())
	w.step(t.Context(), begin, time.Hour)
	w.step(t.Context(), begin.Add(5*time.Second), time.Hour+5*time.Second)
	if list := told(); len(list) != 0 || !strings.Contains(figures(), "payagent_clock_skew_seconds 29.0\n") || !strings.Contains(figures(), "payagent_clock_steps_total 0\n") {
		t.Errorf("%v\n%s", list, figures())
	}
	w.step(t.Context(), begin.Add(time.Hour+10*time.Second), time.Hour+10*time.Second)
	want := []string{"clock_stepped +3600s false", "clock_stepped +3600s true"}
	if list := told(); !slices.Equal(list, want) || !strings.Contains(log.String(), "jumped") {
		t.Errorf("%v\n%s", list, log.String())
	}
	if strings.Contains(figures(), "clock_skew") || !strings.Contains(figures(), "payagent_clock_steps_total 1\n") {
		t.Errorf("after the jump:\n%s", figures())
	}
	b.skew.value, b.skew.known = -30*time.Second, true
	w.look(t.Context())
	w.look(t.Context())
	b.skew.value = time.Second
	w.look(t.Context())
	want = append(want, "clock_skew  false", "clock_skew  true")
	if list := told(); !slices.Equal(list, want) {
		t.Errorf("%v", list)
	}
}
