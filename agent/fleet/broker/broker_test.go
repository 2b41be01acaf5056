package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/pem"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
	"payagent/uplink"
	"payagent/uplink/mqtt"
)

func TestWithin(t *testing.T) {
	for _, x := range []struct {
		outer, filter string
		want          bool
	}{
		{"+/+/status", "+/+/status", true}, {"+/+/status", "H1/+/status", true}, {"+/+/status", "H1/B1/status", true},
		{"H1/B1/cmd/#", "H1/B1/cmd/+/+/req", true}, {"H1/B1/cmd/#", "H1/B1/#", false}, {"H1/B1/cmd/#", "H1/+/cmd/#", false},
		{"H1/B1/cmd/#", "#", false}, {"+/+/cmd/+/+/state", "+/+/cmd/+/+/+", false}, {"+/+/cmd/+/+/state", "+/+/cmd/#", false},
		{"+/+/cmd/+/+/state", "+/+/cmd/+/+/state", true}, {"H1/B1/status", "H1/B1/status/x", false}, {"H1/B1/a/#", "H1/B1/a/x", true},
	} {
		if got := within(x.outer, x.filter); got != x.want {
			t.Errorf("%s within %s: %v", x.filter, x.outer, got)
		}
	}
}

// site is a broker with TLS and an authority.
type site struct {
	*testing.T
	authority *ca.Authority
	crl       string // the broker's copy of the list
	addr      string
	broker    *Broker
	certs     map[string]creds // of boxes
	ups       map[uplink.Bus]*atomic.Uint64
}

type creds struct {
	key  []byte
	cert string
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newSite(t *testing.T) *site {
	t.Helper()
	a, err := ca.Init(t.TempDir(), "authority", ca.Bounds{Sites: []string{"H1"}}, fleet.Settings{Broker: "mqtts://127.0.0.1:8883"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	key, cert, err := a.Server([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(cert.PEM), key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.Certificate())
	dir := t.TempDir()
	s := &site{T: t, authority: a, crl: filepath.Join(dir, "crl.pem"), certs: map[string]creds{}, ups: map[uplink.Bus]*atomic.Uint64{}}
	s.renew()
	roots := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(roots, a.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	revoked, err := ca.OpenRevocations(s.crl, roots)
	if err != nil {
		t.Fatal(err)
	}
	l := listener(t)
	s.addr = "mqtts://" + l.Addr().String()
	s.broker, err = Open(Config{Listener: l, Root: "payagent", Revoked: revoked.Revoked, TLS: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12},
		Roles: map[string]string{"ops": RoleOperate, "eyes": RoleWatch, "hub-1": RoleHub}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// renew gives the broker the authority's list of revoked certificates.
func (s *site) renew() {
	s.Helper()
	data, err := s.authority.CRL()
	if err == nil {
		err = os.WriteFile(s.crl, data, 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) connect(id string, key []byte, cert string, will *uplink.Message) uplink.Bus {
	s.Helper()
	give := func(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }
	cfg := mqtt.Config{Broker: s.addr, ClientID: id, CA: give(s.authority.Certificate()), Cert: give([]byte(cert)), Key: give(key), Clean: true,
		Phase: func() time.Duration { return 0 }, Every: 50 * time.Millisecond}
	ups := &atomic.Uint64{}
	cfg.OnUp = func(_ context.Context, n uint64) { ups.Store(n) }
	if will != nil {
		cfg.Will = func(uint64) *uplink.Message { return will }
	}
	bus, err := mqtt.Open(cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = bus.Close() })
	s.ups[bus] = ups
	return bus
}

// stayed makes sure that a client has its first connection still.
func (s *site) stayed(bus uplink.Bus) {
	s.Helper()
	if l, _ := bus.Link(); s.ups[bus].Load() > 1 || !l.Up {
		s.Errorf("has had %d connections: %+v", s.ups[bus].Load(), l)
	}
}

func (s *site) client(name, id string) uplink.Bus {
	s.Helper()
	key, cert, err := s.authority.Client(name)
	if err != nil {
		s.Fatal(err)
	}
	return s.connect(id, key, cert.PEM, nil)
}

func (s *site) box(name, id string, will *uplink.Message) uplink.Bus {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		s.Fatal(err)
	}
	got, err := s.authority.Sign(fleet.EnrolRequest{CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))}, "H1", name)
	if err != nil {
		s.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.Fatal(err)
	}
	p := creds{pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), got.Certificate}
	s.certs[name] = p
	return s.connect(id, p.key, p.cert, will)
}

func up(t *testing.T, bus uplink.Bus) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		l, changed := bus.Link()
		if l.Up {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Until(end)):
			t.Fatal("no connection: ", l.Cause)
		}
	}
}

// refused waits until the broker has said no, and ends the attempts.
func refused(t *testing.T, bus uplink.Bus) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		l, changed := bus.Link()
		if l.Up {
			t.Fatal("was let in")
		}
		if l.Cause != "" {
			_ = bus.Close()
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Until(end)):
			t.Fatal("nothing happens")
		}
	}
}

func TestIdentities(t *testing.T) {
	s := newSite(t)
	box, ops := s.box("B1", "B1", nil), s.client("ops", fleet.ClientID("ops", "ls-1"))
	up(t, box)
	up(t, ops)
	// A box may be called as if it were a program of ops: it keeps its place.
	twin := s.box("ops-ls-2", "ops-ls-2", nil)
	up(t, twin)
	for _, id := range []string{"ops-ls-2", "B1", "ops:", "opsx", "eyes:ls"} {
		refused(t, s.client("ops", id))
	}
	refused(t, s.box("B7", fleet.ClientID("B7", "ls"), nil))
	refused(t, s.box("B8", fleet.ClientID("ops", "ls"), nil))
	for _, bus := range []uplink.Bus{box, ops, twin} {
		s.stayed(bus)
	}
	refused(t, s.box("B2", "B3", nil))
	refused(t, s.box("B4", "B4-2", nil))
	refused(t, s.client("nobody", "nobody"))
	refused(t, s.box("B5", "B5", &uplink.Message{Topic: "payagent/H1/B1/status", Payload: []byte("x"), Retain: true}))
	up(t, s.box("B6", "B6", &uplink.Message{Topic: "payagent/H1/B6/status", Payload: []byte("x"), Retain: true}))
}

// TestRevoked: a box whose certificate was revoked is thrown off once the broker
// has the renewed list, and not let in again; others stay. A list that cannot be
// read throws off nobody and lets nobody in.
func TestRevoked(t *testing.T) {
	s := newSite(t)
	will := &uplink.Message{Topic: "payagent/H1/B1/status", Payload: []byte("lost"), Retain: true}
	stolen, other, eyes := s.box("B1", "B1", will), s.box("B2", "B2", nil), s.client("eyes", "eyes")
	for _, bus := range []uplink.Bus{stolen, other, eyes} {
		up(t, bus)
	}
	wills := make(chan uplink.Message, 1)
	if _, err := eyes.Subscribe("payagent/+/+/status", func(m uplink.Message) { wills <- m }); err != nil {
		t.Fatal(err)
	}
	recheck := func() []string {
		t.Helper()
		ids, err := s.broker.Recheck()
		if err != nil {
			t.Error(err)
		}
		return ids
	}
	if ids := recheck(); len(ids) > 0 {
		t.Error("thrown off without a reason:", ids)
	}
	if _, err := s.authority.Revoke("B1", "stolen"); err != nil {
		t.Fatal(err)
	}
	if ids := recheck(); len(ids) > 0 {
		t.Error("thrown off before the list was renewed:", ids)
	}
	s.renew()
	if ids := recheck(); len(ids) != 1 || ids[0] != "B1" {
		t.Error("thrown off:", ids)
	}
	if m := <-wills; m.Topic != will.Topic || string(m.Payload) != "lost" {
		t.Errorf("%+v", m)
	}
	refused(t, s.connect("B1", s.certs["B1"].key, s.certs["B1"].cert, nil))
	refused(t, s.client("eyes", "B1")) // nor does anybody else take its place
	if err := os.WriteFile(s.crl, []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.broker.Recheck(); err == nil {
		t.Error("a spoilt list was taken")
	}
	refused(t, s.box("B3", "B3", nil))
	s.renew()
	up(t, s.box("B4", "B4", nil))
	s.stayed(other)
	s.stayed(eyes)
	if l, _ := stolen.Link(); l.Up || s.ups[stolen].Load() > 1 {
		t.Errorf("the stolen one was let in again: %+v", l)
	}
}

// forbidden marks a message that should not have arrived.
func forbidden(m uplink.Message) string {
	if string(m.Payload) == `"forbidden"` {
		return " forbidden"
	}
	return ""
}

// TestRights: what a box writes elsewhere arrives nowhere, and it hears nothing
// that is for another.
func TestRights(t *testing.T) {
	s := newSite(t)
	box, other, ops, eyes := s.box("B1", "B1", nil), s.box("B2", "B2", nil), s.client("ops", "ops"), s.client("eyes", "eyes")
	for _, bus := range []uplink.Bus{box, other, ops, eyes} {
		up(t, bus)
	}
	seen := make(chan string, 10)
	if _, err := eyes.Subscribe("payagent/+/+/status", func(m uplink.Message) { seen <- m.Topic + forbidden(m) }); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 10)
	if _, err := other.Subscribe("payagent/H1/B2/cmd/+/+/req", func(m uplink.Message) { heard <- m.Topic + forbidden(m) }); err != nil {
		t.Fatal(err)
	}
	_, _ = other.Subscribe("payagent/H1/B1/cmd/+/+/req", func(m uplink.Message) { heard <- "foreign " + m.Topic }) // refused now or later
	say := func(bus uplink.Bus, topic string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return bus.Publish(ctx, uplink.Message{Topic: topic, Payload: []byte("{}"), Retain: true})
	}
	if err := say(other, "payagent/H1/B2/status"); err != nil {
		t.Fatal(err)
	}
	// The broker ends the connection of a 3.1.1 client that writes where it must
	// not; what follows from another arrives, the forbidden never.
	for _, x := range []struct {
		bus   uplink.Bus
		topic string
	}{{box, "payagent/H1/B2/status"}, {box, "payagent/H1/B2/cmd/restart/1/req"}, {eyes, "payagent/H1/B2/cmd/restart/1/req"}} {
		down := make(chan struct{})
		l, changed := x.bus.Link()
		if !l.Up {
			up(t, x.bus)
			_, changed = x.bus.Link()
		}
		go func() { <-changed; close(down) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		result := make(chan error, 1)
		go func() { result <- x.bus.Publish(ctx, uplink.Message{Topic: x.topic, Payload: []byte(`"forbidden"`)}) }()
		select {
		case <-down:
		case err := <-result:
			if err == nil {
				t.Errorf("%s was taken", x.topic)
			}
		}
		cancel()
	}
	if err := say(ops, "payagent/H1/B2/cmd/restart/1/req"); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "payagent/H1/B2/cmd/restart/1/req" {
		t.Error(got)
	}
	if got := <-seen; got != "payagent/H1/B2/status" {
		t.Error(got)
	}
	// What may come can come again with a new connection.
	for _, c := range []chan string{heard, seen} {
		for len(c) > 0 {
			if got := <-c; strings.Contains(got, "forbidden") || strings.Contains(got, "foreign") {
				t.Error("arrived:", got)
			}
		}
	}
}

func open(t *testing.T, file string) (*Broker, uplink.Bus) {
	t.Helper()
	l := listener(t)
	b, err := Open(Config{Listener: l, Root: "payagent", File: file})
	if err != nil {
		t.Fatal(err)
	}
	bus := client(t, b)
	up(t, bus)
	return b, bus
}

var clients atomic.Int32

func client(t *testing.T, b *Broker) uplink.Bus {
	t.Helper()
	bus, err := mqtt.Open(mqtt.Config{Broker: "mqtt://" + b.Addr(), ClientID: fmt.Sprint("x", clients.Add(1)), Clean: true, Phase: func() time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return bus
}

// TestKept: what was acknowledged as retained is there after a restart, what
// was cleared is not.
func TestKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broker.db")
	b, bus := open(t, file)
	for i := range 50 {
		if err := bus.Publish(t.Context(), uplink.Message{Topic: fmt.Sprintf("payagent/H1/B%d/status", i), Payload: []byte(fmt.Sprint(i)), Retain: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.Publish(t.Context(), uplink.Message{Topic: "payagent/H1/B7/status", Retain: true}); err != nil {
		t.Fatal(err)
	}
	_ = bus.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, bus = open(t, file)
	defer func() { _ = bus.Close(); _ = b.Close() }()
	got := make(chan uplink.Message, 100)
	if _, err := bus.Subscribe("payagent/+/+/status", func(m uplink.Message) { got <- m }); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 49 {
		select {
		case m := <-got:
			if !m.Retain || m.Topic != "payagent/H1/B"+string(m.Payload)+"/status" {
				t.Errorf("%+v", m)
			}
			seen[m.Topic] = true
		case <-time.After(time.Minute):
			t.Fatal("only", len(seen), "are there")
		}
	}
	if len(seen) != 49 || seen["payagent/H1/B7/status"] {
		t.Error(len(seen))
	}
}

// TestEndsAtOnce: whoever connected and says nothing is not waited for.
func TestEndsAtOnce(t *testing.T) {
	s := newSite(t)
	for range 3 {
		conn, err := net.Dial("tcp", s.broker.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	up(t, s.box("B1", "B1", nil)) // and so the three were let in before it
	done := make(chan error, 1)
	go func() { done <- s.broker.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for clients that say nothing")
	}
}

// TestManySubscriptions: a client that subscribes to one thing after the other
// is given all that is retained, while it is still being given the first.
func TestManySubscriptions(t *testing.T) {
	b, bus := open(t, "")
	defer func() { _ = bus.Close(); _ = b.Close() }()
	const kinds, each = 12, 30
	for k := range kinds {
		for i := range each {
			if err := bus.Publish(t.Context(), uplink.Message{Topic: fmt.Sprintf("payagent/H1/B%d/k%d", i, k), Payload: []byte("x"), Retain: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := client(t, b)
	defer func() { _ = other.Close() }()
	got := make(chan string, kinds*each)
	for k := range kinds {
		if _, err := other.Subscribe(fmt.Sprintf("payagent/+/+/k%d", k), func(m uplink.Message) { got <- m.Topic }); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for len(seen) < kinds*each {
		select {
		case topic := <-got:
			seen[topic] = true
		case <-time.After(time.Minute):
			l, _ := other.Link()
			t.Fatalf("only %d of %d are there: %s", len(seen), kinds*each, l.Cause)
		}
	}
}

func TestRefusedConfigs(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := Open(Config{Listener: l, Root: "payagent"}); err == nil {
		t.Error("a broker without TLS for everybody")
	}
	own := listener(t)
	defer func() { _ = own.Close() }()
	if _, err := Open(Config{Listener: own, Root: "payagent", TLS: &tls.Config{}}); err == nil {
		t.Error("TLS without client certificates")
	}
	if _, err := Open(Config{Listener: own, Root: "payagent", Roles: map[string]string{"x": "king"}}); err == nil {
		t.Error("an unknown rôle")
	}
}
