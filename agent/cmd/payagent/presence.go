package main

import (
	"log/slog"
	"sync"

	"payagent/agent"
	"payagent/devices"
)

// scanners passes on which scanners are there. They are opened before the
// agent exists, so what they say until then is kept.
type scanners struct {
	mu    sync.Mutex
	agent *agent.Agent
	early []presence
}

type presence struct {
	till string
	devices.Presence
}

// notify gives the function that one scanner of a till reports to.
func (s *scanners) notify(till string, log *slog.Logger) func(devices.Presence) {
	return func(p devices.Presence) {
		log.Info("scanner", "device", p.Device, "present", p.Present, "error", p.Err)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.agent == nil {
			s.early = append(s.early, presence{till, p})
			return
		}
		s.agent.Presence(till, p)
	}
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
