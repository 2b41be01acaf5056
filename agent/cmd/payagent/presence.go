package main

import (
	"fmt"
	"log/slog"
	"sync"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/devices"
)

// scanners passes on which scanners are there. They are opened before the
// agent exists, so what they say until then is kept.
type scanners struct {
	mu     sync.Mutex
	agent  *agent.Agent
	early  []presence
	places *places
	till   map[string]string // by device
}

type presence struct {
	till string
	devices.Presence
}

// remember begins to compare serial numbers with those of earlier.
func (s *scanners) remember(c config.Config, log *slog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places = openPlaces(placesFile(c), log)
	s.till = map[string]string{}
	for _, t := range c.Tills {
		for _, d := range t.Scanners {
			s.till[d.Name] = t.Name
		}
	}
}

// notify gives the function that one scanner of a till reports to.
func (s *scanners) notify(till string, log *slog.Logger) func(devices.Presence) {
	return func(p devices.Presence) {
		log.Info("scanner", "device", p.Device, "present", p.Present, "port", p.Found.Port, "id", p.Found.ID(), "error", p.Err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pass(presence{till, p})
		if s.places == nil {
			return
		}
		if !p.Present {
			s.places.gone(p.Device)
			return
		}
		other := s.places.seen(p.Device, p.Found)
		if other == "" {
			return
		}
		log.Warn("two scanners have changed places; payments go by where a scanner is plugged in, so check that each stands at its till",
			"device", p.Device, "till", till, "other", other, "other_till", s.till[other])
		swapped := func(device, with string) {
			s.pass(presence{s.till[device], devices.Presence{Device: device, Present: true, Found: s.places.found(device),
				Err: fmt.Errorf("%w: with %s", devices.ErrSwapped, with), At: p.At}})
		}
		swapped(p.Device, other)
		swapped(other, p.Device)
	}
}

// armed gives the function that tells whether a till waits for a scan.
func (s *scanners) armed(till string) func() bool {
	return func() bool {
		s.mu.Lock()
		a := s.agent
		s.mu.Unlock()
		if a == nil {
			return false
		}
		v, _ := a.View(till)
		return v.Armed
	}
}

// pass hands one presence on, or keeps it for the agent. The caller holds mu.
func (s *scanners) pass(p presence) {
	if s.agent == nil {
		s.early = append(s.early, p)
		return
	}
	s.agent.Presence(p.till, p.Presence)
}

// tell hands over the agent.
func (s *scanners) tell(a *agent.Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent = a
	for _, p := range s.early {
		a.Presence(p.till, p.Presence)
	}
	s.early = nil
}

// Close waits until what is known of places is written.
func (s *scanners) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places != nil {
		s.places.wait()
	}
	return nil
}
