package main

import (
	"crypto/rand"
	"net/http"

	"payagent/agent"
	"payagent/uplink"
)

// traced is a way out that tells the platform the trace of the order that a
// request is about (platforms[].traceparent). No platform's signature covers
// headers. Each request is a span of its own.
type traced struct{ uplink.Route }

// RoundTrip implements http.RoundTripper.
func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := agent.Trace(r.Context()); trace != "" {
		// The caller's request stays as it is.
		r = r.WithContext(r.Context())
		r.Header = r.Header.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		r.Header.Set("Traceparent", agent.Traceparent(trace, rand.Text()))
	}
	return t.Route.RoundTrip(r)
}
