package https_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"go.uber.org/goleak"

	"payagent/uplink"
	"payagent/uplink/https"
	"payagent/uplink/uplinktest"
)

// TestMain takes DNS away from the whole package: every way must work without
// it, and whoever looks a name up fails.
func TestMain(m *testing.M) {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("there is no DNS here")
	}}
	goleak.VerifyTestMain(m)
}

func config(t uplinktest.Target) https.Config {
	return https.Config{BaseURL: t.URL, CAPEM: t.CAPEM, AllowPlainHTTP: len(t.CAPEM) == 0, DialTimeout: time.Minute}
}

func hostOf(t uplinktest.Target) string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// through opens by way of a proxy of the given kind.
func through(kind, user, password string) uplinktest.Opener {
	return func(t uplinktest.Target) (uplink.Route, func(), error) {
		wanted := ""
		if user != "" {
			wanted = user + ":" + password
		}
		f, err := startFront(kind, hostOf(t), t.Address, wanted, "")
		if err != nil {
			return nil, nil, err
		}
		c := config(t)
		c.Proxy = https.Proxy{Kind: kind, Address: f.address(), User: user, Password: https.NewPassword(password)}
		r, err := https.New(c)
		return r, f.close, err
	}
}

func direct(t uplinktest.Target) (uplink.Route, func(), error) {
	r, err := https.New(config(t))
	return r, nil, err
}

func relay(t uplinktest.Target) (uplink.Route, func(), error) {
	c := config(t)
	c.Relay = t.Address
	r, err := https.New(c)
	return r, nil, err
}

func TestSuite(t *testing.T) {
	for name, m := range map[string]uplinktest.Member{
		"direct":            {Open: direct, ByNumber: true},
		"direct plain":      {Open: direct, ByNumber: true, Plain: true},
		"relay":             {Open: relay},
		"relay plain":       {Open: relay, Plain: true},
		"connect":           {Open: through("connect", "box", "s3cret:word")},
		"connect plain":     {Open: through("connect", "", ""), Plain: true},
		"connect by number": {Open: through("connect", "", ""), ByNumber: true},
		"socks5":            {Open: through("socks5", "box", "s3cret")},
		"socks5 plain":      {Open: through("socks5", "", ""), Plain: true},
	} {
		t.Run(name, func(t *testing.T) { uplinktest.Test(t, m) })
	}
}
