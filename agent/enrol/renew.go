package enrol

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"payagent/agent/fleet"
)

// How often it is looked whether a certificate is due, and how often a
// certificate is asked for that seems to be from the future.
const (
	lookEvery  = time.Hour
	doubtEvery = 24 * time.Hour
)

// Renewer renews the box's certificate at two thirds of its life.
type Renewer struct {
	Files  Files
	URL    string // fleet.ca_url
	Now    func() time.Time
	Logger *slog.Logger

	mu sync.Mutex // one renewal at a time
}

// Renewed is the outcome of a renewal.
type Renewed struct {
	NotAfter time.Time `json:"not_after"`
	// New is false where the authority said that it is not yet time.
	New bool `json:"renewed"`
}

// Renew asks for the next certificate. With ifDue the authority decides by its
// own clock whether it is time.
//
// A box's clock may be wrong, so a server's certificate that does not count
// now is believed all the same where it counted at some moment at which the
// box's own could be renewed. Everything else about it is checked as ever.
func (r *Renewer) Renew(ctx context.Context, ifDue bool) (Renewed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	base, err := baseURL(r.URL)
	if err != nil {
		return Renewed{}, err
	}
	if err := r.Files.Resume(); err != nil {
		return Renewed{}, err
	}
	pair, err := r.Files.Pair()
	if err != nil {
		return Renewed{}, err
	}
	old := pair.Leaf
	roots, err := r.roots()
	if err != nil {
		return Renewed{}, err
	}
	now := r.Now()
	csr, err := r.Files.request(old.Subject.CommonName)
	if err != nil {
		return Renewed{}, err
	}
	client := clientOf(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: base.Hostname(),
		InsecureSkipVerify: true, // VerifyConnection verifies, at another time
		VerifyConnection:   func(cs tls.ConnectionState) error { return verifyAt(cs, base.Hostname(), roots, old, now) },
		// Shown whatever authorities the server names.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }})
	var e fleet.Enrolled
	err = post(ctx, client, base, fleet.PathRenew, fleet.RenewRequest{CSR: csr, IfDue: ifDue}, &e)
	var no *Refused
	if errors.As(err, &no) && no.Code == fleet.EnrolNotDue {
		return Renewed{NotAfter: old.NotAfter}, nil
	}
	if err != nil {
		return Renewed{}, err
	}
	if len(old.URIs) != 1 || old.URIs[0].String() != "payagent://"+e.Settings.Site+"/"+e.Settings.Box {
		return Renewed{}, errors.New("cannot use the answer: it is for another box")
	}
	cert, err := r.Files.take(e, roots, nil, now)
	if err != nil {
		return Renewed{}, err
	}
	return Renewed{NotAfter: cert.NotAfter, New: true}, nil
}

// Newest asks the authority for the certificate of the newest enrolment of this
// box's name, PEM. It is the caller's to verify.
func (r *Renewer) Newest(ctx context.Context) ([]byte, error) {
	base, err := baseURL(r.URL)
	if err != nil {
		return nil, err
	}
	own, err := r.Files.Current()
	if err != nil {
		return nil, err
	}
	if len(own.URIs) != 1 {
		return nil, errors.New("cannot ask about this box: its certificate names none")
	}
	roots, err := r.roots()
	if err != nil {
		return nil, err
	}
	now := r.Now()
	client := clientOf(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: base.Hostname(),
		InsecureSkipVerify: true, // VerifyConnection verifies, at another time
		VerifyConnection:   func(cs tls.ConnectionState) error { return verifyAt(cs, base.Hostname(), roots, own, now) }})
	q := url.Values{"site": {own.URIs[0].Host}, "box": {own.Subject.CommonName}}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, base.Scheme+"://"+base.Host+fleet.PathNewest+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(ask)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the authority about this box: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("cannot ask the authority about this box: it answered %d", resp.StatusCode)
	}
	return data, err
}

func (r *Renewer) roots() (*x509.CertPool, error) {
	authority, err := os.ReadFile(r.Files.CA)
	if err != nil {
		return nil, fmt.Errorf("cannot read the fleet's authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("cannot use %s: it holds no certificate", r.Files.CA)
	}
	return roots, nil
}

// grace is how long after its end a certificate can be renewed, as package ca
// has it.
const grace = 30 * 24 * time.Hour

// verifyAt checks a server's certificate at a moment when it counts, provided
// that the box's own could be renewed then; otherwise at the present time.
func verifyAt(cs tls.ConnectionState, host string, roots *x509.CertPool, own *x509.Certificate, now time.Time) error {
	leaf := cs.PeerCertificates[0]
	now, _ = judgedAt(own, leaf.NotBefore, leaf.NotAfter, now)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now})
	return err
}

// judgedAt chooses the moment. moved tells that it is not the present one.
func judgedAt(own *x509.Certificate, from, to, now time.Time) (at time.Time, moved bool) {
	if !now.Before(from) && !now.After(to) {
		return now, false
	}
	if from.Before(own.NotBefore) {
		from = own.NotBefore
	}
	if end := own.NotAfter.Add(grace); to.After(end) {
		to = end
	}
	if from.After(to) {
		return now, false // the two never counted together
	}
	return clamp(now, from, to), true
}

// due tells whether to ask, and whether the clock leaves it open.
func due(c *x509.Certificate, now time.Time) (ask, doubtful bool) {
	if now.Before(c.NotBefore) {
		return true, true // the clock is behind: the authority knows better
	}
	return !now.Before(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)), now.After(c.NotAfter)
}

// Run renews until ctx ends. A failure is tried again every hour; payments
// never depend on it.
func (r *Renewer) Run(ctx context.Context) {
	wait := time.Minute + rand.N(4*time.Minute) // not every box of a site at once
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = lookEvery + rand.N(lookEvery/6)
		cert, err := r.Files.Current()
		if err != nil {
			r.Logger.Error("the box's certificate cannot be read", "error", err)
			continue
		}
		ask, doubtful := due(cert, r.Now())
		if !ask {
			continue
		}
		switch got, err := r.Renew(ctx, true); {
		case err != nil:
			r.Logger.Warn("the box's certificate could not be renewed; it is tried again in an hour", "not_after", cert.NotAfter, "error", err)
		case got.New:
			r.Logger.Info("the box's certificate was renewed", "not_after", got.NotAfter)
		case doubtful:
			r.Logger.Warn("the authority says that the certificate is not due: the clock of this box is wrong", "now", r.Now())
			wait = doubtEvery
		}
	}
}
