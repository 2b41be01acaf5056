package main

import (
	"net/http"
	"sync"
	"time"

	"payagent/agent/clock"
	"payagent/uplink"
)

// skew is by how much the platforms' clocks are ahead of this one, as their
// answers over TLS say.
type skew struct {
	mu    sync.Mutex
	value time.Duration
	known bool
}

// forget takes back what was measured.
func (s *skew) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
}

func (s *skew) get() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.known
}

// dated is a way out that looks at the time in answers.
type dated struct {
	uplink.Route
	skew  *skew         // nil: not measured
	clock *clock.Keeper // learns that a time has passed
}

func (d dated) measured() *skew { return d.skew }

// RoundTrip implements http.RoundTripper.
func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	begin := time.Now()
	resp, err := d.Route.RoundTrip(r)
	if err != nil || r.URL.Scheme != "https" {
		return resp, err
	}
	at, bad := http.ParseTime(resp.Header.Get("Date"))
	took := time.Since(begin)
	if bad != nil || took > 5*time.Second { // a slow answer tells little
		return resp, nil
	}
	d.clock.Heard(at)
	if d.skew == nil {
		return resp, nil
	}
	d.skew.mu.Lock()
	defer d.skew.mu.Unlock()
	// The header has whole seconds: on average it is half a second behind.
	d.skew.value, d.skew.known = at.Add(500*time.Millisecond).Sub(begin.Add(took/2)), true
	return resp, nil
}
