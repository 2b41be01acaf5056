// Package judge makes TLS handshakes on a machine whose clock may be wrong: a
// certificate is always verified, at a time that the caller gives, and where
// its dates alone are against it the caller says whether the clock is to blame.
package judge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"payagent/uplink"
)

// Clock is how the time of certificates is judged. The zero value goes by the
// machine's clock and blames nobody.
type Clock struct {
	// Now is the time that certificates are verified at; nil for time.Now.
	Now func() time.Time
	// Doubt is asked about a certificate that is good in all but its dates:
	// whether the clock is what is wrong, and at which moment the certificate
	// may be verified instead (zero: at none). Nil blames nothing.
	Doubt func(from, to time.Time) (at time.Time, wrong bool)
}

func (c Clock) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// Handshake dials and agrees on TLS. settings stays as it is. Where Doubt
// gives another moment a second connection is made, and verified at that. An
// error that the clock is to blame for is a *uplink.WrongClock; whatever dial
// says comes back as it is, with dialled false.
func (c Clock) Handshake(ctx context.Context, settings *tls.Config, dial func(context.Context) (net.Conn, error)) (conn *tls.Conn, dialled bool, err error) {
	now := c.now()
	conn, dialled, err = at(ctx, settings, now, dial)
	from, to, ok := dates(err, settings, now)
	if !ok || c.Doubt == nil {
		return conn, dialled, err
	}
	again, wrong := c.Doubt(from, to)
	if !again.IsZero() {
		conn, dialled, err = at(ctx, settings, again, dial)
	}
	if err == nil || !wrong || !dialled {
		return conn, dialled, err
	}
	return nil, true, &uplink.WrongClock{Err: fmt.Errorf("the server's certificate counts from %s to %s, and here it is %s (where that is right, the certificate has ended): %w",
		from.Format(time.DateTime), to.Format(time.DateTime), now.UTC().Format(time.DateTime), err)}
}

// at makes one connection and verifies it at one moment.
func at(ctx context.Context, settings *tls.Config, now time.Time, dial func(context.Context) (net.Conn, error)) (*tls.Conn, bool, error) {
	raw, err := dial(ctx)
	if err != nil {
		return nil, false, err
	}
	settings = settings.Clone()
	settings.Time = func() time.Time { return now }
	conn := tls.Client(raw, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, true, err
	}
	return conn, true, nil
}

// dates tells from when to when the server's certificate counts, where nothing
// but that was against it.
func dates(err error, settings *tls.Config, now time.Time) (from, to time.Time, ok bool) {
	var failed *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &failed) || !errors.As(err, &invalid) || invalid.Reason != x509.Expired || len(failed.UnverifiedCertificates) == 0 {
		return from, to, false
	}
	leaf := failed.UnverifiedCertificates[0]
	if !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter) {
		return from, to, false // another of the chain
	}
	o := x509.VerifyOptions{Roots: settings.RootCAs, DNSName: settings.ServerName, Intermediates: x509.NewCertPool(), CurrentTime: leaf.NotBefore}
	if now.After(leaf.NotAfter) {
		o.CurrentTime = leaf.NotAfter
	}
	for _, c := range failed.UnverifiedCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(o); err != nil {
		return from, to, false
	}
	return leaf.NotBefore, leaf.NotAfter, true
}
