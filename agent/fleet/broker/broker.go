// Package broker is a small message broker for trying the fleet out and for a
// hospital with one server: MQTT 3.1.1 and 5 on mochi-mqtt, with the rights
// that the fleet needs built in. For larger sites take mosquitto, EMQX or
// VerneMQ (docs/fleet-at-scale.md).
//
// What it keeps over a restart is what is retained, on disk before it is
// acknowledged. Messages that wait for a client that is away live in memory
// only: boxes send their events again until the hub acknowledges them, and a
// roll-out its commands; a single command sent to a box that is away is lost
// with the broker.
package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// MaxPacket bounds a packet: a message (uplink.MaxPayload) with its topic.
const MaxPacket = 600 << 10

// Config says how the broker serves.
type Config struct {
	Listener net.Listener // closed by the broker
	// TLS asks every client for a certificate of the fleet's authority and knows
	// it by that. Nil: whoever reaches Listener may do anything, so it must be on
	// loopback.
	TLS *tls.Config
	// Root is the first level of every topic.
	Root string
	// Revoked tells whether a certificate was revoked. It is asked at every
	// handshake, where an error refuses too, and by Recheck. Nil: none is.
	Revoked func(*x509.Certificate) (bool, error)
	// Roles gives the rôle of a fleet-side identity by its certificate's common
	// name; see Roles. Boxes need none.
	Roles map[string]string
	// File keeps what is retained; empty: in memory only.
	File   string
	Logger *slog.Logger
}

// Broker serves until Close.
type Broker struct {
	server *mqtt.Server
	kept   *keeper
	addr   string
	gone   func(*x509.Certificate) (bool, error)
	once   sync.Once
	err    error
}

// Open starts serving.
func Open(cfg Config) (*Broker, error) {
	if cfg.Listener == nil || cfg.Root == "" {
		return nil, errors.New("cannot start the broker without a listener and the first level of topics")
	}
	if cfg.TLS == nil && !onLoopback(cfg.Listener.Addr()) {
		return nil, fmt.Errorf("cannot serve %s without TLS: everybody on the network could command every box; give it certificates, or listen on 127.0.0.1", cfg.Listener.Addr())
	}
	for name, role := range cfg.Roles {
		if _, ok := rights(role); !ok {
			return nil, fmt.Errorf("cannot give %s the rôle %q; the rôles are %v", name, role, Roles())
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	door := &gate{from: cfg.Listener, log: cfg.Logger, inside: map[net.Conn]bool{}}
	if cfg.TLS != nil {
		if cfg.TLS.ClientAuth != tls.RequireAndVerifyClientCert || cfg.TLS.ClientCAs == nil {
			return nil, errors.New("cannot start the broker: its TLS must require a client certificate of the fleet's authority")
		}
		door.tls = refusing(cfg.TLS, cfg.Revoked, cfg.Logger)
	}
	limits := mqtt.NewDefaultServerCapabilities()
	limits.MaximumMessageExpiryInterval = 0 // what is retained stays until it is cleared
	limits.MaximumSessionExpiryInterval = 7 * 24 * 3600
	limits.MaximumClientWritesPending = 1 << 17 // everything retained goes to a console at once
	limits.MaximumInflight = 1<<16 - 1
	limits.MaximumPacketSize = MaxPacket
	limits.MaximumQos = 1
	b := &Broker{addr: cfg.Listener.Addr().String(), gone: cfg.Revoked, server: mqtt.New(&mqtt.Options{Capabilities: limits, Logger: cfg.Logger, SysTopicResendInterval: 3600})}
	if err := b.server.AddHook(&guard{root: cfg.Root, roles: cfg.Roles, open: cfg.TLS == nil, log: cfg.Logger}, nil); err != nil {
		return nil, fmt.Errorf("cannot start the broker: %w", err)
	}
	if cfg.File != "" {
		var err error
		if b.kept, err = openKeeper(cfg.File, cfg.Logger); err != nil {
			return nil, err
		}
		if err := b.server.AddHook(b.kept, nil); err != nil {
			return nil, errors.Join(err, b.kept.close())
		}
	}
	if err := b.server.AddListener(door); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the broker: %w", err), b.closeFile())
	}
	if err := b.server.Serve(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the broker: %w", err), b.closeFile())
	}
	return b, nil
}

func (b *Broker) closeFile() error {
	if b.kept == nil {
		return nil
	}
	return b.kept.close()
}

// Failed is closed when something could not be kept on disk: the broker must
// end, since it would acknowledge what it forgets.
func (b *Broker) Failed() <-chan struct{} {
	if b.kept == nil {
		return nil
	}
	return b.kept.failed
}

// Addr is where it listens.
func (b *Broker) Addr() string { return b.addr }

// Clients counts the connections.
func (b *Broker) Clients() int {
	n := 0
	for _, c := range b.server.Clients.GetAll() {
		if !c.Closed() {
			n++
		}
	}
	return n
}

// Close ends all connections.
func (b *Broker) Close() error {
	b.once.Do(func() { b.err = errors.Join(b.server.Close(), b.closeFile()) })
	return b.err
}

func onLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}
