package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/uplink"
	"payagent/uplink/either"
	"payagent/uplink/mqtt"
)

// This file is the second way to a platform (OFF-06): how two are made one, how
// the unused one is looked at, and what is told of it.

// The alarms of a second way.
const (
	alarmSecondWay     = "second_way"      // in use for long
	alarmSecondWayDown = "second_way_down" // it would not help now
)

const (
	// secondLong is how long the second way may be in use before it is an alarm.
	secondLong = 10 * time.Minute
	// spareEvery is how often the unused way is looked at: a spare that nobody
	// looks at is found broken on the day it is needed.
	spareEvery = 10 * time.Minute
	// spareFresh is how long a look counts (OBS-09), and spareWithin bounds one.
	spareFresh  = 3 * spareEvery
	spareWithin = 30 * time.Second
)

// fork is one platform with two ways.
type fork struct {
	platform string
	route    *either.Route
	turned   chan struct{} // new requests take the other way; what is known of the unused one is of the wrong one

	mu     sync.Mutex
	at     time.Time // of the last look at the unused way; zero: none counts
	second bool      // in use at that time
	bad    int       // looks in a row that found the unused way closed
}

// openWays opens the way out to one platform, or its two ways as one; f is then
// not nil. Each is wrapped on its own. changed is as either.Config has it.
func openWays(p config.Platform, k *clock.Keeper, open func() (*mqtt.Tunnel, error), wrap func(config.Platform, uplink.Route) uplink.Route,
	changed func(second bool, why error)) (_ uplink.Route, f *fork, err error) {
	var list []uplink.Route
	for _, w := range p.Ways() {
		way, err := openWay(w, k, open)
		if err != nil {
			for _, o := range list {
				_ = o.Close() // nothing is under way
			}
			return nil, nil, err
		}
		if wrap != nil {
			way = wrap(w, way)
		}
		list = append(list, way)
	}
	if len(list) == 1 {
		return list[0], nil, nil
	}
	f = newFork(p.Name, list[0], list[1], changed)
	return f.route, f, nil
}

func newFork(platform string, first, second uplink.Route, changed func(second bool, why error)) *fork {
	f := &fork{platform: platform, turned: make(chan struct{}, 1)}
	f.route = either.New(either.Config{First: first, Second: second, Changed: func(second bool, why error) {
		select {
		case f.turned <- struct{}{}:
		default: // a look is due already
		}
		if changed != nil {
			changed(second, why)
		}
	}})
	return f
}

// openRoute opens the ways to one platform for the agent: answers' times are
// heard, and changes of the way are told.
func (b *assembly) openRoute(c config.Config, p config.Platform, parts how) (http.RoundTripper, error) {
	var last *skew
	wrap := func(w config.Platform, way uplink.Route) uplink.Route {
		if p.Traceparent {
			way = traced{way}
		}
		d := dated{Route: way, clock: b.clock}
		if w.Uplink != config.MQTT { // through the broker an answer is too old to tell seconds
			d.skew, last = &b.skew, &b.skew
		}
		return d
	}
	told := func(second bool, why error) { tellWay(b.log, p.Name, second, why) }
	way, f, err := openWays(p, b.clock, func() (*mqtt.Tunnel, error) { return b.openTunnel(c, parts) }, wrap, told)
	if err != nil {
		return nil, fmt.Errorf("cannot open the way to platform %s: %w", p.Name, err)
	}
	b.close = append(b.close, way)
	if f == nil {
		return way, nil
	}
	b.forks = append(b.forks, f)
	return forked{f.route, last}, nil
}

func tellWay(log *slog.Logger, platform string, second bool, why error) {
	if second {
		log.Warn("a platform is reached by its second way", "platform", platform, "error", why)
		return
	}
	log.Info("a platform is reached by its first way again", "platform", platform)
}

// forked is two ways whose answers' times are heard below.
type forked struct {
	*either.Route
	skew *skew
}

func (f forked) measured() *skew { return f.skew }

// look looks at the unused way.
func (f *fork) look(ctx context.Context) {
	second := f.route.State().Second
	ctx, stop := context.WithTimeout(ctx, spareWithin)
	defer stop()
	err := f.route.Spare(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.second != second {
		f.bad = 0
	}
	f.at, f.second = time.Now(), second
	if f.bad++; err == nil {
		f.bad = 0
	}
}

// state is what is known of both ways.
func (f *fork) state() (w agent.Ways, bad int) {
	s := f.route.State()
	w = agent.Ways{Second: s.Second, For: s.For, Spare: agent.SpareUnknown}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at.IsZero() || time.Since(f.at) > spareFresh || f.second != s.Second {
		return w, 0
	}
	w.Spare = agent.SpareUp
	if f.bad > 0 {
		w.Spare = agent.SpareDown
	}
	return w, f.bad
}

// waysOf is agent.Parts.Ways.
func (b *assembly) waysOf(platform string) (agent.Ways, bool) {
	for _, f := range b.forks {
		if f.platform == platform {
			w, _ := f.state()
			return w, true
		}
	}
	return agent.Ways{}, false
}

// keepSpares looks at the unused ways until ctx ends, at once where they changed.
func (b *assembly) keepSpares(ctx context.Context) error {
	var all sync.WaitGroup
	for _, f := range b.forks {
		all.Go(func() { f.keep(ctx) })
	}
	all.Wait()
	return wait(ctx)
}

func (f *fork) keep(ctx context.Context) {
	tick := time.NewTicker(spareEvery)
	defer tick.Stop()
	for {
		f.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-f.turned:
		case <-tick.C:
		}
	}
}

// wayAlarms are the alarms of second ways that last now.
func (b *assembly) wayAlarms() []agent.Alarm {
	var list []agent.Alarm
	for _, f := range b.forks {
		w, bad := f.state()
		switch {
		case w.Second && w.For >= secondLong:
			list = append(list, agent.Alarm{Code: alarmSecondWay, Subject: f.platform})
		case !w.Second && bad > 1:
			list = append(list, agent.Alarm{Code: alarmSecondWayDown, Subject: f.platform})
		}
	}
	return list
}

// wayHelp says what the figures of ways and clock mean.
func wayHelp() [][3]string {
	return [][3]string{
		{"payagent_uplink_second", "gauge", "1 while a platform is reached by its second way; only platforms with two."},                             // adapter
		{"payagent_uplink_changes_total", "counter", "Changes between the first and the second way to a platform."},                                  // adapter
		{"payagent_uplink_spare_up", "gauge", "1 if the unused way could be opened when it was last looked at; missing where that is too long ago."}, // adapter
		{"payagent_clock_skew_seconds", "gauge", "How far the platforms' clock is ahead of this machine's, by the Date of answers over TLS; missing where none was heard."},
		{"payagent_clock_steps_total", "counter", "Times that the machine's clock was seen to jump by a second or more since the start."},
	}
}

// writeWayStats writes them.
func (b *assembly) writeWayStats(w io.Writer) error {
	lines := make([][]string, len(wayHelp()))
	flag := func(on bool) string {
		if on {
			return "1"
		}
		return "0"
	}
	for _, f := range b.forks {
		label := fmt.Sprintf("{adapter=%q} ", f.platform)
		s, _ := f.state()
		lines[0] = append(lines[0], label+flag(s.Second))
		lines[1] = append(lines[1], label+fmt.Sprint(f.route.State().Changes))
		if s.Spare != agent.SpareUnknown {
			lines[2] = append(lines[2], label+flag(s.Spare == agent.SpareUp))
		}
	}
	if s, ok := b.skew.get(); ok {
		lines[3] = append(lines[3], fmt.Sprintf(" %.1f", s.Seconds()))
	}
	lines[4] = append(lines[4], fmt.Sprint(" ", b.steps.Load()))
	for i, h := range wayHelp() {
		if len(lines[i]) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "# HELP %[1]s %[3]s\n# TYPE %[1]s %[2]s\n", h[0], h[1], h[2]); err != nil {
			return err
		}
		for _, l := range lines[i] {
			if _, err := fmt.Fprintf(w, "%s%s\n", h[0], l); err != nil {
				return err
			}
		}
	}
	return nil
}
