package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/platforms"
	"payagent/uplink/uplinktest"
)

// send sends one request by both ways as one.
func send(t *testing.T, f *fork) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://platform.invalid/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.route.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// TestSecondWayIsTold: figures, the state of the unused way and the alarms
// follow the way that is in use.
func TestSecondWayIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := uplinktest.NewScripted("first"), uplinktest.NewScripted("second")
		f := newFork("p", first, second, nil)
		b := &assembly{forks: []*fork{f}}
		defer func() { _ = f.route.Close() }()
		figures := func() string {
			var w bytes.Buffer
			if err := b.writeWayStats(&w); err != nil {
				t.Fatal(err)
			}
			return w.String()
		}
		want := func(when string, second bool, spare agent.Spare, alarm string, lines ...string) {
			t.Helper()
			w, ok := b.waysOf("p")
			if !ok || w.Second != second || w.Spare != spare {
				t.Errorf("%s: %+v", when, w)
			}
			code := ""
			for _, a := range b.wayAlarms() {
				code += a.Code + " " + a.Subject
			}
			if code != alarm {
				t.Errorf("%s: the alarms are %q", when, code)
			}
			for _, l := range lines {
				if !strings.Contains(figures(), l+"\n") {
					t.Errorf("%s: no line %q in\n%s", when, l, figures())
				}
			}
		}
		if _, ok := b.waysOf("other"); ok {
			t.Error("a platform with one way has two")
		}
		want("at the start", false, agent.SpareUnknown, "", `payagent_uplink_second{adapter="p"} 0`)
		if strings.Contains(figures(), "spare_up") {
			t.Error("what nobody looked at is told")
		}
		f.look(t.Context())
		want("looked at", false, agent.SpareUp, "", `payagent_uplink_spare_up{adapter="p"} 1`)
		second.Do(uplinktest.Refuses)
		f.look(t.Context())
		want("once closed", false, agent.SpareDown, "", `payagent_uplink_spare_up{adapter="p"} 0`)
		f.look(t.Context())
		want("twice closed", false, agent.SpareDown, "second_way_down p")
		second.Do(uplinktest.Answers)
		first.Do(uplinktest.Refuses)
		send(t, f)
		want("over", true, agent.SpareUnknown, "", `payagent_uplink_second{adapter="p"} 1`, `payagent_uplink_changes_total{adapter="p"} 1`)
		f.look(t.Context())
		want("the first is away", true, agent.SpareDown, "")
		time.Sleep(secondLong)
		want("for long", true, agent.SpareDown, "second_way p")
		time.Sleep(spareFresh)
		want("nobody looked", true, agent.SpareUnknown, "second_way p")
		first.Do(uplinktest.Answers)
		time.Sleep(time.Minute)
		want("back", false, agent.SpareUnknown, "", `payagent_uplink_second{adapter="p"} 0`, `payagent_uplink_changes_total{adapter="p"} 2`)
	})
}

// TestUnusedWayAfterAChange: the way that is not used any more is looked at at
// once, and does not wait for its turn nor for another platform's.
func TestUnusedWayAfterAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, stuck := uplinktest.NewScripted("first"), uplinktest.NewScripted("second"), uplinktest.NewScripted("stuck")
		stuck.Do(uplinktest.Stalls)
		var told []bool
		f := newFork("p", first, second, func(second bool, _ error) { told = append(told, second) })
		b := &assembly{forks: []*fork{newFork("other", stuck, stuck, nil), f}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.keepSpares(ctx) }()
		want := func(when string, second bool, spare agent.Spare) {
			t.Helper()
			synctest.Wait()
			if w, _ := b.waysOf("p"); w.Second != second || w.Spare != spare {
				t.Errorf("%s: %+v", when, w)
			}
		}
		want("at the start", false, agent.SpareUp)
		first.Do(uplinktest.Refuses)
		send(t, f)
		want("over", true, agent.SpareDown)
		first.Do(uplinktest.Answers)
		second.Do(uplinktest.Refuses)
		send(t, f)
		want("back", false, agent.SpareDown)
		second.Do(uplinktest.Answers)
		time.Sleep(spareEvery + time.Second)
		want("in its turn", false, agent.SpareUp)
		stop()
		if err := <-ended; err != nil || len(told) != 2 || !told[0] || told[1] {
			t.Errorf("%v, told %v", err, told)
		}
		for _, f := range b.forks {
			_ = f.route.Close()
		}
	})
}

// TestSecondWayIsOpened: what the configuration says of two ways is what the
// agent opens: the first leads nowhere, and the platform answers by the second.
func TestSecondWayIsOpened(t *testing.T) {
	file, _ := site(t)
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.TrimPrefix(addressOf(c.Platforms[0].URL), "http://")
	rewrite(t, file, "allow_plain_http: true", `allow_plain_http: true, dial_timeout: 1m, relay: "`+uplinktest.FreeAddress(t)+`", second_way: {relay: "`+at+`", from: "127.0.0.3"}`)
	if c, err = config.Load(file); err != nil {
		t.Fatal(err)
	}
	if err := checkMembers(c); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b := &assembly{log: slog.New(slog.NewTextHandler(&log, nil))}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	p := agent.Parts{Platforms: map[string]platforms.Platform{}}
	if err := b.openPlatforms(c, &p, storeOnly); err != nil {
		t.Fatal(err)
	}
	if err := p.Platforms["fwc"].(platforms.Prober).Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, ok := b.waysOf("fwc"); !ok || !w.Second {
		t.Errorf("%v %+v", ok, w)
	}
	if !strings.Contains(log.String(), "second way") || !strings.Contains(log.String(), "platform=fwc") {
		t.Errorf("the log says: %s", log.String())
	}
	// The doctor finds both: the first broken, the second well.
	s, end := examineConfig(file, c, nil)
	defer end()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if _, err := s.Platforms["fwc"].Ask(ctx); err == nil {
		t.Error("the first way is well")
	}
	if _, err := s.Platforms["fwc/second"].Ask(ctx); err != nil {
		t.Error("the second way:", err)
	}
}
