package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCures: where one check finds different things, each has the cure that
// helps.
func TestCures(t *testing.T) {
	handshake := func(err error) error { return fmt.Errorf("cannot agree on TLS with 10.0.0.5:443: %w", err) }
	missing := filepath.Join(t.TempDir(), "none.pem")
	for name, c := range map[string]struct {
		id, cure string
		do       func(b *box)
	}{
		"somebody else's configuration": {"config.valid", "sudo -u payagent", func(b *box) {
			b.ConfigErr = fmt.Errorf("cannot open: %w", &fs.PathError{Op: "open", Path: b.File, Err: fs.ErrPermission})
		}},
		"no configuration": {"config.valid", "payagent init", func(b *box) {
			b.ConfigErr = fmt.Errorf("cannot open: %w", &fs.PathError{Op: "open", Path: b.File, Err: fs.ErrNotExist})
		}},
		"a file of the configuration's": {"config.valid", "config check", func(b *box) {
			b.ConfigErr = fmt.Errorf("cannot open: %w", &fs.PathError{Op: "open", Path: missing, Err: fs.ErrNotExist})
		}},
		"a wrong line":             {"config.valid", "config check", func(b *box) { b.ConfigErr = errors.New("line 3: door.lisen") }},
		"no certificate at a door": {"certificates.listeners", "does not start", func(b *box) { b.Config.Door.TLS.Cert = missing }},
		"another door's key": {"certificates.listeners", "does not start", func(b *box) {
			_, b.Config.Door.TLS.Key, _ = certificateFor(t, noon.Add(-time.Hour), noon.Add(900*time.Hour))
		}},
		"not enrolled": {"certificates.fleet", "payagent enrol", func(b *box) { b.Config.Fleet.CertFile = missing }},
		"a door's key is shut": {"certificates.listeners", "does not start", func(b *box) {
			key := filepath.Join(t.TempDir(), "key.pem")
			must(t, os.WriteFile(key, []byte("no key"), 0o600))
			b.Config.Door.TLS.Key = key
		}},
		"nothing listens": {"net.tcp", "front-end", func(b *box) {
			b.dial = func(string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			}
		}},
		"no TLS there": {"net.tls", "port", func(b *box) {
			b.looks("direct", handshake(errors.New("tls: first record does not look like a TLS handshake")))
		}},
		"cut off":             {"net.tls", "firewall", func(b *box) { b.looks("direct", handshake(errors.New("EOF"))) }},
		"wants a certificate": {"net.platform", "client_cert", func(b *box) { b.asks("direct", time.Time{}, errors.New("remote error: tls: certificate required")) }},
		"does not take ours": {"net.platform", "client_cert", func(b *box) {
			b.asks("direct", time.Time{}, errors.New("remote error: tls: unknown certificate authority"))
		}},
		"the platform is down": {"net.platform", "token", func(b *box) { b.asks("direct", time.Time{}, errors.New("HTTP 502")) }},
	} {
		b := well(t)
		c.do(b)
		found := false
		for _, f := range b.run(t, c.id).Findings {
			if f.ID == c.id && f.Level == Fail {
				found = strings.Contains(f.Cure.EN, c.cure) && f.Cure.ZH != ""
			}
		}
		if !found {
			t.Errorf("%s: the cure does not say %q: %+v", name, c.cure, b.run(t, c.id).Findings)
		}
	}
}

// TestUnusable: a check that a wrong configuration keeps from looking does not
// pass for a good one.
func TestUnusable(t *testing.T) {
	b := well(t)
	b.ConfigErr = errors.New("line 3: door.lisen")
	for _, only := range []string{"process.ports", GroupNet} {
		r := b.run(t, only)
		if r.Worst != Fail || r.ExitCode() != 2 || len(r.Findings) < 2 || r.Findings[0].ID != "config.valid" {
			t.Errorf("%s: %+v", only, r)
		}
	}
	for _, only := range []string{"", GroupConfig, "config.valid"} {
		if got := levels(b.run(t, only), "config.valid"); !slices.Equal(got, []string{Fail}) {
			t.Errorf("%q: %v", only, got)
		}
	}
	if r := b.run(t, "clock.year"); r.Worst != OK || len(r.Findings) != 1 {
		t.Errorf("%+v", r) // it needs no configuration
	}
}
