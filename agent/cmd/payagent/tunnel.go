package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/agent/seal"
	"payagent/uplink"
	"payagent/uplink/mqtt"
)

// This file is the way of platforms with uplink: mqtt: a tunnel through the
// broker to payfleet relay (docs/relay.md), shared by all of them.

// openTunnel opens the tunnel once, over the process's one connection to the
// broker. What only reads the store connects to nothing.
func (b *assembly) openTunnel(c config.Config, parts how) (*mqtt.Tunnel, error) {
	if b.tunnel != nil {
		return b.tunnel, nil
	}
	if parts == storeOnly {
		return unconnected(c)()
	}
	if err := b.openBus(c); err != nil {
		return nil, err
	}
	wakes := make(chan [2]string, 16)
	tunnel, err := newTunnel(c, b.bus, func(platform, order string) {
		select {
		case wakes <- [2]string{platform, order}:
		default: // the schedule asks all the same
		}
	})
	if err != nil {
		return nil, err
	}
	b.tunnel = tunnel
	b.close = append(b.close, tunnel)
	b.beside = append(b.beside, func(ctx context.Context) error {
		b.wake(ctx, c, wakes)
		return nil
	})
	return tunnel, nil
}

// newTunnel makes the tunnel over a bus. The certificate is read anew for every
// exchange, so a renewed one needs no restart; while it is being renewed the one
// before is shown.
func newTunnel(c config.Config, bus uplink.Bus, woken func(platform, order string)) (*mqtt.Tunnel, error) {
	f := c.Fleet
	key, err := base64.StdEncoding.DecodeString(f.RelayKey)
	if err != nil {
		return nil, fmt.Errorf("cannot use fleet.relay_key: %w", err)
	}
	give := seal.Pairs(f.CertFile, f.KeyFile)
	if give == nil {
		return nil, errors.New("cannot reach the relay without a certificate: set fleet.cert_file and fleet.key_file, and run payagent enrol")
	}
	return mqtt.NewTunnel(mqtt.TunnelConfig{Bus: bus, Root: f.Root, Site: f.Site, Box: f.Box, RelayKey: key, Woken: woken,
		Identity: func() (tls.Certificate, error) {
			pair, err := give()
			if err != nil {
				return pair, fmt.Errorf("cannot use this box's certificate; run payagent enrol: %w", err)
			}
			return pair, nil
		}})
}

// wake brings queries forward for what the relay says. One order of several
// platforms behind one address is looked for at each.
func (b *assembly) wake(ctx context.Context, c config.Config, wakes <-chan [2]string) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-wakes:
			for _, p := range c.Platforms {
				if !p.Over(config.MQTT) || addressOf(p.URL) != w[0] {
					continue
				}
				one, stop := context.WithTimeout(ctx, 10*time.Second)
				if err := b.agent.Wake(one, p.Name, w[1]); err != nil {
					b.log.Warn("a wake-up was not taken; the platform is asked by schedule", "platform", p.Name, "error", err)
				}
				stop()
			}
		}
	}
}

// addressOf gives scheme://host:port as the relay writes it.
func addressOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// unconnected gives a tunnel for commands that check settings or read the
// store: everything is checked, nothing is connected.
func unconnected(c config.Config) func() (*mqtt.Tunnel, error) {
	return func() (*mqtt.Tunnel, error) { return newTunnel(c, noBus{}, nil) }
}

// noBus is a bus that is never up.
type noBus struct{}

var errNoBus = errors.New("this command does not connect to the broker")

func (noBus) Publish(context.Context, uplink.Message) error { return errNoBus }

func (noBus) Send(context.Context, uplink.Message) <-chan error {
	done := make(chan error, 1)
	done <- errNoBus
	return done
}

func (noBus) Subscribe(string, func(uplink.Message)) (func(), error) { return func() {}, nil }

func (noBus) Link() (uplink.Link, <-chan struct{}) {
	return uplink.Link{Cause: errNoBus.Error()}, make(chan struct{})
}

func (noBus) Close() error { return nil }
