package main

import (
	"net/http"
	"testing"
	"time"
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
