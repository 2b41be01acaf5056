// Package relaytest is a relay with its authority and its store of ids in
// memory, and boxes that reach platforms through it, over any broker. It is for
// tests only.
package relaytest

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"sync"

	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/uplinktest"
)

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
	Authority *uplinktest.Authority
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
	a, err := uplinktest.NewAuthority()
	if err != nil {
		return nil, err
	}
	key, err := relay.NewKey()
	return &Site{Authority: a, Key: key, Store: NewStore()}, err
}

// Identity makes a box's certificate and key, as the fleet's authority does.
// change, where it is not nil, changes what is issued.
func Identity(a *uplinktest.Authority, box string, change func(*x509.Certificate)) (tls.Certificate, error) {
	return a.Make(box, func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "payagent", Host: Hospital, Path: "/" + box}}
		c.DNSNames, c.IPAddresses, c.ExtKeyUsage = nil, nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if change != nil {
			change(c)
		}
	})
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
	pair, err := Identity(s.Authority, box, nil)
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
