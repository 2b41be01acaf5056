// Package relaytest is an authority for boxes, a relay with its store of ids in
// memory, and boxes that reach platforms through it, over any broker. It is for
// tests only.
package relaytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"sync"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
)

// Authority issues certificates to boxes. They are valid for a century, so that
// tests may live at any time.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleet authority"},
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	ca, err = x509.ParseCertificate(der)
	return &Authority{ca, key}, err
}

// PEM is its certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Pool is the authority alone.
func (a *Authority) Pool() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool, nil
}

// Issue makes a certificate with a key; change, where it is not nil, changes
// what is issued.
func (a *Authority) Issue(box string, change func(*x509.Certificate)) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: box}, URIs: []*url.URL{{Scheme: "payagent", Host: Hospital, Path: "/" + box}},
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(leaf)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, key.Public(), a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// Store is a store of ids that outlives the relay, as a disk would.
type Store struct {
	Name [16]byte

	mu         sync.Mutex
	young, old map[[32]byte]bool
	broken     bool
}

// NewStore makes an empty one.
func NewStore() *Store {
	s := &Store{young: map[[32]byte]bool{}, old: map[[32]byte]bool{}}
	_, _ = rand.Read(s.Name[:]) // never fails
	return s
}

// Break makes every later Add and Has fail (true) or work again.
func (s *Store) Break(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = on
}

// Add implements relay.Store.
func (s *Store) Add(id [32]byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return false, errors.New("the disk is full")
	}
	fresh := !s.young[id] && !s.old[id]
	s.young[id] = true
	return fresh, nil
}

// Has implements relay.Store.
func (s *Store) Has(id [32]byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return false, errors.New("the disk cannot be read")
	}
	return s.young[id] || s.old[id], nil
}

// Turn implements relay.Store.
func (s *Store) Turn() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old, s.young = s.young, map[[32]byte]bool{}
	return nil
}

// Len is how many ids are remembered.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.young) + len(s.old)
}

// Site is one hospital's relay with all it needs.
type Site struct {
	Authority *Authority
	Key       []byte // the relay's private key
	Store     *Store
}

// Names in topics.
const (
	Root     = "payagent"
	Hospital = "H1"
	Box      = "B1"
)

// NewSite makes one.
func NewSite() (*Site, error) {
	a, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	key, err := relay.NewKey()
	return &Site{Authority: a, Key: key, Store: NewStore()}, err
}

// Relay starts the site's relay on a bus. change may be nil.
func (s *Site) Relay(bus uplink.Bus, platforms []relay.Platform, change func(*relay.Config)) (*relay.Relay, error) {
	cfg := relay.Config{Bus: bus, Root: Root, Sites: []string{Hospital}, Keys: [][]byte{s.Key}, Roots: s.Authority.Pool,
		Platforms: platforms, Store: s.Store, StoreName: s.Store.Name}
	if change != nil {
		change(&cfg)
	}
	return relay.New(cfg)
}

// Tunnel makes a box's way to the relay. change may be nil.
func (s *Site) Tunnel(bus uplink.Bus, box string, change func(*mqtt.TunnelConfig)) (*mqtt.Tunnel, error) {
	public, err := relay.PublicKey(s.Key)
	if err != nil {
		return nil, err
	}
	pair, err := s.Authority.Issue(box, nil)
	if err != nil {
		return nil, err
	}
	cfg := mqtt.TunnelConfig{Bus: bus, Root: Root, Site: Hospital, Box: box, RelayKey: public,
		Identity: func() (tls.Certificate, error) { return pair, nil }}
	if change != nil {
		change(&cfg)
	}
	return mqtt.NewTunnel(cfg)
}
