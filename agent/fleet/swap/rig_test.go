package swap_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
	"payagent/agent/fleet/swap"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

func place() fleet.Place { return fleet.Place{Root: "payagent", Site: "H1", Box: "B1"} }

// site is a hospital: an authority, a broker, a bank.
type site struct {
	t         testing.TB
	authority *ca.Authority
	broker    *uplinktest.Broker
	bank      *agenttest.Bank
}

func newSite(t testing.TB) *site {
	s := &site{t: t, authority: newAuthority(t), broker: uplinktest.NewBroker(), bank: agenttest.NewBank()}
	t.Cleanup(s.broker.Close)
	return s
}

func newAuthority(t testing.TB) *ca.Authority {
	a, err := ca.Init(filepath.Join(t.TempDir(), "ca"), "fleet", ca.Bounds{Sites: []string{"H1"}, Domains: []string{"hospital.example"}}, fleet.Settings{Broker: "mqtts://b:8883"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// identity enrols a box anew.
func identity(t testing.TB, a *ca.Authority, box string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	e, err := a.Sign(fleet.EnrolRequest{CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}, "H1", box)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode([]byte(e.Certificate))
	leaf, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{b.Bytes}, PrivateKey: key, Leaf: leaf}
}

// machine is a machine with what outlasts a start of its program.
type machine struct {
	s    *site
	pair tls.Certificate
	disk *mem.Disk
	dir  string

	world  *agenttest.World
	bus    uplink.Bus
	swap   *swap.Swap
	ctx    context.Context
	stop   func()
	ended  chan struct{}
	alarms []string
	left   bool
	mu     sync.Mutex

	wrapBus     func(uplink.Bus) uplink.Bus
	wrapCounter func(swap.Counter) swap.Counter
	broker      *uplinktest.Broker
	unreachable bool // the authority
	taken       int
}

// enrols makes a machine with the next enrolment of the box.
func (s *site) enrols() *machine {
	m := &machine{s: s, pair: identity(s.t, s.authority, "B1"), disk: &mem.Disk{}, dir: s.t.TempDir(), broker: s.broker}
	m.keepCert()
	return m
}

// keepCert puts the certificate where the next start looks for it.
func (m *machine) keepCert() {
	if err := os.WriteFile(m.cert(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.pair.Leaf.Raw}), 0o600); err != nil {
		m.s.t.Fatal(err)
	}
}

func (m *machine) cert() string { return filepath.Join(m.dir, "cert.pem") }

func (m *machine) start() {
	t := m.s.t
	t.Helper()
	replaced, err := swap.Replaced(m.dir, m.cert())
	if err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&safe{b: &logs}, nil))
	m.world = agenttest.Start(t, agenttest.Options{Log: mem.Open(m.disk), Replaced: replaced, Config: func(c *config.Config) { c.Booking.Expect = true },
		Platforms: map[string]platforms.Platform{agenttest.Full: agenttest.Whole(m.s.bank)}})
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.ended = make(chan struct{})
	t.Cleanup(m.stop) // a bubble whose test failed ends, too
	if replaced {     // such a box stays away from the broker
		close(m.ended)
		m.bus = nil
		return
	}
	bus := m.broker.Bus("B1", nil)
	m.bus = bus
	t.Cleanup(func() { _ = bus.Close() })
	o := swap.Options{Counter: m.world.Agent, Place: place(), Dir: m.dir, Logger: logger,
		Pair:      func() (tls.Certificate, error) { return m.pair, nil },
		Authority: func() ([]byte, error) { return m.s.authority.Certificate(), nil },
		Newest: func(context.Context) ([]byte, error) {
			if m.unreachable {
				return nil, errors.New("unreachable")
			}
			i, err := m.s.authority.Newest("H1", "B1")
			return []byte(i.PEM), err
		},
		Alarm: func(code string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.alarms = append(m.alarms, code)
		},
		Leave: func() {
			m.mu.Lock()
			m.left = true
			m.mu.Unlock()
			if err := m.bus.Close(); err != nil {
				t.Error(err)
			}
		}}
	if m.wrapCounter != nil {
		o.Counter = m.wrapCounter(o.Counter)
	}
	if m.wrapBus != nil {
		bus = m.wrapBus(bus)
	}
	if m.swap, err = swap.New(o); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.ended)
		m.swap.Run(m.ctx, bus)
	}()
}

// die ends everything at once and keeps what was on disk at this moment.
func (m *machine) die() {
	m.disk = m.disk.Copy()
	m.broker.Cut("B1")
	m.end()
}

func (m *machine) end() {
	m.stop()
	<-m.ended
	if m.bus != nil {
		if err := m.bus.Close(); err != nil {
			m.s.t.Error(err)
		}
	}
	m.world.Stop()
}

func (m *machine) raised(code string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.alarms, code)
}

func (m *machine) hasLeft() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left
}

type safe struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

const (
	payer    = "患者张三丰"
	authCode = "1300000000000047"
	bill     = "BILL-1"
)

// collect asks for a payment with the payer's code at hand.
func (m *machine) collect(bill string) (code string, o *order.Order) {
	m.s.t.Helper()
	m.taken++
	r, err := m.world.Agent.Collect(context.Background(), agent.Request{Key: platforms.Hide("k" + bill), Body: platforms.Hide("b"), Bill: bill, Amount: 4200, Mode: platforms.ModeCharge,
		OrderType: "TREATMENT", Till: agenttest.W1, AuthCode: platforms.Hide(authCode + strconv.Itoa(10+m.taken)), Subject: "挂号", Patient: platforms.Patient{Name: platforms.Hide(payer), CardNo: platforms.Hide("CARD-99887766")}})
	if err != nil {
		m.s.t.Fatal(err)
	}
	return r.Code, r.Order
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// listed reads what stands at the broker under a generation, nil for nothing.
func (s *site) listed(generation string) *swap.List {
	s.t.Helper()
	m, ok := s.broker.Retained(place().Topic("open", generation))
	if !ok || len(m.Payload) == 0 {
		return nil
	}
	var x swap.Message
	var l swap.List
	if err := json.Unmarshal(m.Payload, &x); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(x.Payload, &l); err != nil {
		s.t.Fatal(err)
	}
	return &l
}
