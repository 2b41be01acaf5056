package fwc_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc/fwctest"
)

// sim is a way to a simulator without a socket; it keeps the last reply.
type sim struct {
	bank *bank.Bank
	rt   http.RoundTripper

	mu    sync.Mutex
	clock time.Duration
	last  string
}

func newSim(_ testing.TB, opt fwctest.Options) *sim {
	s := &sim{bank: bank.New(bank.Options{}), clock: time.Second}
	opt.Now = s.now
	s.rt = wire.Direct(fwctest.Handler(s.bank, opt))
	return s
}

func (s *sim) now() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *sim) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock += d
}

func (s *sim) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.rt.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	s.mu.Lock()
	s.last = string(b)
	s.mu.Unlock()
	resp.Body = io.NopCloser(strings.NewReader(string(b)))
	return resp, err
}
