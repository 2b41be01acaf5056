package enrol

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// Options are what an enrolment needs.
type Options struct {
	Files Files
	URL   string // https://host:port of payfleet ca serve
	Code  fleet.Code
	// Site and Box are what the configuration says already, or empty.
	Site, Box string
	Now       func() time.Time
	// Doubt says at which moment to verify a server's certificate that does
	// not count now, as clock.Keeper has it; nil: at none.
	Doubt func(from, to time.Time) (at time.Time, wrong bool)
}

// Refused is what the authority answered. The words for its code are in the
// group enrol.
type Refused struct{ fleet.EnrolProblem }

// Error names the code.
func (r *Refused) Error() string { return "the authority refused: " + r.Code }

// ErrClock is wrapped where the box's clock is the reason.
var ErrClock = errors.New("the clock of this box is wrong")

// Enrol gets the first certificate with a code. It may be repeated with the
// same code until it succeeds.
func Enrol(ctx context.Context, o Options) (fleet.Settings, error) {
	base, err := baseURL(o.URL)
	if err != nil {
		return fleet.Settings{}, err
	}
	if err := o.Files.Resume(); err != nil {
		return fleet.Settings{}, err
	}
	if s, ok := done(o); ok {
		return s, nil
	}
	csr, err := o.Files.request(o.Box)
	if err != nil {
		return fleet.Settings{}, err
	}
	var ca *x509.Certificate
	now := o.Now()
	client := clientOf(&tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: base.Hostname(),
		// The authority is known by the code alone, which VerifyConnection
		// compares before anything is sent.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			var err error
			ca, err = verifyByCode(cs, base.Hostname(), o, now)
			return err
		}})
	var e fleet.Enrolled
	if err := post(ctx, client, base, fleet.PathEnrol, fleet.EnrolRequest{Code: o.Code.String(), Site: o.Site, Box: o.Box, CSR: csr}, &e); err != nil {
		return fleet.Settings{}, err
	}
	if ca == nil {
		return fleet.Settings{}, errors.New("cannot enrol: the authority was not seen")
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if err := checkNames(e.Settings, o.Site, o.Box); err != nil {
		return fleet.Settings{}, err
	}
	return e.Settings, o.Files.settle(e, roots, certPEM(ca.Raw), now, idText(o.Code))
}

// verifyByCode finds the authority that the code names in what the server
// showed, and has it vouch for the server.
func verifyByCode(cs tls.ConnectionState, host string, o Options, now time.Time) (*x509.Certificate, error) {
	for _, c := range cs.PeerCertificates[1:] {
		if !o.Code.Names(c.RawSubjectPublicKeyInfo) || !c.IsCA {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(c)
		leaf := cs.PeerCertificates[0]
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now})
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired && o.Doubt != nil {
			if at, _ := o.Doubt(leaf.NotBefore, leaf.NotAfter); !at.IsZero() {
				_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: at})
			}
		}
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return nil, fmt.Errorf("cannot enrol: %w, or the authority's certificate has ended: here it is %s, the certificate counts from %s to %s; set the clock and try again",
				ErrClock, now.Format(time.RFC3339), leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))
		}
		if err != nil {
			return nil, fmt.Errorf("cannot enrol: the server's certificate is not good for the address in --url: %w", err)
		}
		return c, nil
	}
	return nil, errors.New("cannot enrol: this is not the authority that the code names; check --url and the code (somebody may stand in between)")
}

// made is what is noted of an enrolment, so that it can be ended later.
type made struct {
	Code     string         `json:"code"` // which code, not the code
	Settings fleet.Settings `json:"settings"`
}

func (f Files) note() string { return filepath.Join(f.dir(), "enrolled.json") }

func idText(c fleet.Code) string { return fmt.Sprintf("%x", c.ID[:]) }

// done tells whether this code got the certificate that is there.
func done(o Options) (fleet.Settings, bool) {
	var m made
	data, err := os.ReadFile(o.Files.note())
	if err != nil || fleet.Unmarshal(data, &m) != nil || m.Code != idText(o.Code) {
		return m.Settings, false
	}
	if _, err := os.Stat(o.Files.pending()); err == nil {
		return m.Settings, false // still under way
	}
	_, err = o.Files.Pair()
	return m.Settings, err == nil
}

// settle notes the settings and puts the answer in place.
func (f Files) settle(e fleet.Enrolled, roots *x509.CertPool, authority []byte, now time.Time, code string) error {
	data, err := json.MarshalIndent(made{Code: code, Settings: e.Settings}, "", "  ")
	if err != nil {
		return err
	}
	if err := seal.WriteFile(f.note(), append(data, '\n')); err != nil {
		return err
	}
	if err := seal.GiveTo(f.dir(), f.note()); err != nil {
		return err
	}
	_, err = f.take(e, roots, authority, now)
	return err
}

func checkNames(s fleet.Settings, site, box string) error {
	if site != "" && s.Site != site || box != "" && s.Box != box {
		return fmt.Errorf("cannot enrol: the certificate is for %s/%s, this box is configured as %s/%s; correct fleet.site and fleet.box, or take the right code", s.Site, s.Box, site, box)
	}
	if fleet.CheckName(s.Site) != nil || fleet.CheckName(s.Box) != nil {
		return errors.New("cannot enrol: the answer names no box")
	}
	return nil
}

// Request makes the file that travels to the authority on a USB stick.
func Request(f Files, site, box string) ([]byte, error) {
	if err := f.Resume(); err != nil {
		return nil, err
	}
	csr, err := f.request(box)
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(fleet.EnrolRequest{Site: site, Box: box, CSR: csr}, "", "  ")
	return append(data, '\n'), err
}

// Accept takes the file that came back. The fingerprint of its authority is
// given for a person to compare; nothing else vouches for it.
func Accept(o Options, data []byte) (fleet.Settings, [16]byte, error) {
	var none [16]byte
	var e fleet.Enrolled
	if err := fleet.Unmarshal(data, &e); err != nil {
		return e.Settings, none, err
	}
	ca, roots, err := authorityOf(e.Authority)
	if err != nil {
		return e.Settings, none, err
	}
	if err := checkNames(e.Settings, o.Site, o.Box); err != nil {
		return e.Settings, none, err
	}
	return e.Settings, fleet.Fingerprint(ca.RawSubjectPublicKeyInfo), o.Files.settle(e, roots, certPEM(ca.Raw), o.Now(), "file")
}

func baseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("cannot use the authority's address; write https://host:port, as payfleet ca serve prints it")
	}
	return u, nil
}

// maxAnswer bounds what an authority may answer, in bytes.
const maxAnswer = 256 << 10

func clientOf(c *tls.Config) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: nil, TLSClientConfig: c, DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}}
}

// post asks the authority. A refusal is a [*Refused].
func post(ctx context.Context, c *http.Client, base *url.URL, path string, ask, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base.Scheme+"://"+base.Host+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("cannot ask the authority: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	if err != nil {
		return fmt.Errorf("cannot ask the authority; is payfleet ca serve running, and reachable from here? %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(data) > maxAnswer {
		return errors.New("cannot read the authority's answer; try again with the same code")
	}
	if resp.StatusCode != http.StatusOK {
		var p fleet.EnrolProblem
		if fleet.Unmarshal(data, &p) != nil || p.Code == "" {
			return fmt.Errorf("cannot ask the authority: it answered %d; check the address", resp.StatusCode)
		}
		return &Refused{p}
	}
	return fleet.Unmarshal(data, answer)
}
