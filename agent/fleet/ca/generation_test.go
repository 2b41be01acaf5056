package ca_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
)

func enrolled(t *testing.T, a *ca.Authority, code fleet.Code) (*x509.Certificate, string) {
	t.Helper()
	e, err := a.Enrol(fleet.EnrolRequest{Code: code.String(), CSR: csr(t, newKey(t), "box-1")})
	var no *ca.Refusal
	if errors.As(err, &no) {
		return nil, no.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode([]byte(e.Certificate))
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c, ""
}

func code(t *testing.T, a *ca.Authority) fleet.Code {
	t.Helper()
	c, err := a.Code("H1", "box-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGenerations: each enrolment of a box is the next one, and an earlier one
// is renewed no more.
func TestGenerations(t *testing.T) {
	a, _ := newAuthority(t)
	first, _ := enrolled(t, a, code(t, a))
	if g := fleet.Generation(first); g != 1 || first.Subject.SerialNumber != "" {
		t.Fatal(g, first.Subject)
	}
	e, err := a.Renew(first, fleet.RenewRequest{CSR: csr(t, newKey(t), "")})
	if err != nil {
		t.Fatal(err)
	}
	if g := fleet.Generation(certOf(t, e.Certificate)); g != 1 {
		t.Fatal("a renewal is the same box:", g)
	}
	second, _ := enrolled(t, a, code(t, a))
	if g := fleet.Generation(second); g != 2 {
		t.Fatal(g)
	}
	var no *ca.Refusal
	if _, err := a.Renew(first, fleet.RenewRequest{CSR: csr(t, newKey(t), "")}); !errors.As(err, &no) || no.Code != fleet.EnrolReplaced {
		t.Fatal(err)
	}
	if e, err = a.Renew(second, fleet.RenewRequest{CSR: csr(t, newKey(t), "")}); err != nil || fleet.Generation(certOf(t, e.Certificate)) != 2 {
		t.Fatal(err)
	}
	// By USB it is the same, and the same request again is the same enrolment.
	key := newKey(t)
	for range 2 {
		e, err := a.Sign(fleet.EnrolRequest{CSR: csr(t, key, "box-1")}, "H1", "box-1")
		if err != nil || fleet.Generation(certOf(t, e.Certificate)) != 3 {
			t.Fatal(err)
		}
	}
	ended, err := a.RevokeReplaced("H1", "box-1", "swapped")
	if err != nil || len(ended) != 4 { // two certificates each of two generations
		t.Fatal(len(ended), err)
	}
	if i, err := a.Newest("H1", "box-1"); err != nil || i.Generation != 3 || i.Revoked != nil {
		t.Fatal(i, err)
	}
}

func certOf(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	b, _ := pem.Decode([]byte(text))
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTwoAdopters: two boxes with one code, and two with a code each for the
// same place: one of them gets it.
func TestTwoAdopters(t *testing.T) {
	for name, codes := range map[string]func(a *ca.Authority) [2]fleet.Code{
		"one code":  func(a *ca.Authority) [2]fleet.Code { c := code(t, a); return [2]fleet.Code{c, c} },
		"two codes": func(a *ca.Authority) [2]fleet.Code { return [2]fleet.Code{code(t, a), code(t, a)} },
	} {
		a, dir := newAuthority(t)
		enrolled(t, a, code(t, a))
		use := codes(a)
		var got [2]*x509.Certificate
		var why [2]string
		var group sync.WaitGroup
		for i := range use {
			other, err := ca.Open(dir, time.Now) // as another process has it
			if err != nil {
				t.Fatal(err)
			}
			group.Go(func() { got[i], why[i] = enrolled(t, other, use[i]) })
		}
		group.Wait()
		if (got[0] == nil) == (got[1] == nil) {
			t.Fatal(name, got, why)
		}
		if w := why[0] + why[1]; w != fleet.EnrolUsed && w != fleet.EnrolReplaced {
			t.Error(name, w)
		}
		// Whoever lost needs a new code, and is then the next one.
		if c, why := enrolled(t, a, code(t, a)); c == nil || fleet.Generation(c) != 3 {
			t.Error(name, why)
		}
	}
}

func TestNewestIsShown(t *testing.T) {
	a, _ := newAuthority(t)
	s, err := ca.NewServer(a, []string{"localhost"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	get := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, fleet.PathNewest+query, nil))
		return w
	}
	if w := get("?site=H1&box=box-1"); w.Code != http.StatusForbidden {
		t.Error(w.Code)
	}
	enrolled(t, a, code(t, a))
	enrolled(t, a, code(t, a))
	if w := get("?site=H1&box=box-1"); w.Code != http.StatusOK || fleet.Generation(certOf(t, w.Body.String())) != 2 {
		t.Error(w.Code, w.Body)
	}
}
