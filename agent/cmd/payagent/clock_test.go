package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/platforms"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// TestClockOfTheWays: what is known of the time counts for platforms, HIS and
// the broker, not the machine's clock alone (OFF-10).
func TestClockOfTheWays(t *testing.T) {
	authority, err := uplinktest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	server := s.URL
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Config{DataDir: t.TempDir()}
	p := config.Platform{URL: server, CAFile: ca, DialTimeout: time.Minute}
	reach := func() error {
		way, err := openWay(p, clockOf(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = way.Close() }()
		return way.Reach(t.Context())
	}
	if err := reach(); err != nil {
		t.Fatal(err)
	}
	// A time was seen at which this certificate has ended: the clock is behind,
	// whatever it says.
	if err := os.WriteFile(filepath.Join(c.DataDir, "last-seen"), []byte(pair.Leaf.NotAfter.Add(48*time.Hour).UTC().Format(time.RFC3339)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reach(); !errors.As(err, new(*uplink.WrongClock)) || !platforms.ClockWrong(err) || !platforms.NeverLeft(err) || !strings.Contains(err.Error(), "set this machine's clock") {
		t.Error(err)
	}
	downloads, err := downloads(config.Config{Fleet: config.Fleet{CAFile: ca}}, clockOf(c))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := downloads.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
		t.Error("a download goes by the machine's clock")
	}
}

// TestDatesAreHeard: a platform's answer over TLS that agrees with the clock is
// remembered, also where the way is too slow to tell seconds.
func TestDatesAreHeard(t *testing.T) {
	c := config.Config{DataDir: t.TempDir()}
	k := clockOf(c)
	now := time.Now().UTC().Truncate(time.Second)
	answer := func(scheme string, at time.Time) {
		d := dated{Route: answers(at), clock: k}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://pay.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := d.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	doubt := func() { k.Doubt(now.Add(time.Hour), now.Add(2*time.Hour)) }
	doubt()
	answer("http", now)
	answer("https", now.Add(30*24*time.Hour))
	if !k.Wrong() {
		t.Error("an answer in the clear, or one that is alone with its time, was believed")
	}
	answer("https", now)
	if k.Wrong() {
		t.Error("an answer that agrees was not heard")
	}
}

// answers is a way whose answers carry a date.
type answers time.Time

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Date": {time.Time(a).Format(http.TimeFormat)}}, Body: http.NoBody}, nil
}

func (answers) Reach(context.Context) error { return nil }

func (answers) Close() error { return nil }
