package judge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"payagent/uplink"
	"payagent/uplink/internal/judge"
)

var (
	from = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	to   = time.Date(2027, time.March, 1, 0, 0, 0, 0, time.UTC)
)

// server is a TLS server whose certificate counts from and to, of an authority
// that counts much longer.
type server struct {
	pair  tls.Certificate
	roots *x509.CertPool
	conns int
}

func newServer(t *testing.T) *server {
	t.Helper()
	make1 := func(tmpl, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parent == nil {
			parent, signer = tmpl, key
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key
	}
	ca, caKey := make1(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: from.AddDate(-5, 0, 0),
		NotAfter: to.AddDate(15, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	leaf, key := make1(&x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"pay.example"}, NotBefore: from, NotAfter: to,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, caKey)
	s := &server{pair: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, roots: x509.NewCertPool()}
	s.roots.AddCert(ca)
	return s
}

func (s *server) dial(context.Context) (net.Conn, error) {
	s.conns++
	near, far := net.Pipe()
	go func() {
		c := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{s.pair}})
		_ = c.Handshake()
		_, _ = c.Read(make([]byte, 1))
		_ = far.Close()
	}()
	return near, nil
}

// TestDates: certificates are verified at the time that is given; the clock is
// blamed where nothing else is wrong and the caller says so, and a forgery or a
// wrong name is never the clock's fault.
func TestDates(t *testing.T) {
	s, other := newServer(t), newServer(t)
	blame := func(time.Time, time.Time) (time.Time, bool) { return time.Time{}, true }
	forgive := func(from, _ time.Time) (time.Time, bool) { return from, true }
	acquit := func(time.Time, time.Time) (time.Time, bool) { return time.Time{}, false }
	never := func(time.Time, time.Time) (time.Time, bool) {
		t.Error("asked about a certificate that is wrong in more than its dates")
		return from, true
	}
	past, good, future := time.Unix(0, 0), from.AddDate(0, 6, 0), time.Date(2038, time.January, 20, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		now         time.Time
		doubt       func(from, to time.Time) (time.Time, bool)
		roots       *x509.CertPool
		host        string
		want, clock bool
		conns       int
	}{
		"in time":                    {good, never, s.roots, "pay.example", true, false, 1},
		"1970, known to be wrong":    {past, forgive, s.roots, "pay.example", true, false, 2},
		"1970, nobody knows":         {past, nil, s.roots, "pay.example", false, false, 1},
		"1970, refused":              {past, blame, s.roots, "pay.example", false, true, 1},
		"2038":                       {future, blame, s.roots, "pay.example", false, true, 1},
		"ended, the clock is right":  {future, acquit, s.roots, "pay.example", false, false, 1},
		"1970 and a forgery":         {past, never, other.roots, "pay.example", false, false, 1},
		"1970 and another's":         {past, never, s.roots, "other.example", false, false, 1},
		"2038 and a forgery":         {future, never, other.roots, "pay.example", false, false, 1},
		"in time and a forgery":      {good, never, other.roots, "pay.example", false, false, 1},
		"ended, forgiven at its end": {future, func(_, to time.Time) (time.Time, bool) { return to.Add(time.Second), true }, s.roots, "pay.example", false, true, 2},
	} {
		s.conns = 0
		conn, dialled, err := judge.Clock{Now: func() time.Time { return c.now }, Doubt: c.doubt}.Handshake(t.Context(), &tls.Config{RootCAs: c.roots, ServerName: c.host}, s.dial)
		var blamed *uplink.WrongClock
		if (err == nil) != c.want || !dialled || errors.As(err, &blamed) != c.clock || s.conns != c.conns {
			t.Errorf("%s: %v after %d connections", name, err, s.conns)
		}
		var clock interface{ ClockWrong() bool }
		if errors.As(err, &clock) != c.clock {
			t.Errorf("%s: %v does not say whose fault it is", name, err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
	gone := errors.New("no route")
	_, dialled, err := judge.Clock{}.Handshake(t.Context(), &tls.Config{}, func(context.Context) (net.Conn, error) { return nil, gone })
	if dialled || !errors.Is(err, gone) {
		t.Error(dialled, err)
	}
}
