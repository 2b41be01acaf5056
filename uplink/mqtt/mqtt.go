package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"time"

	"payagent/uplink"
	"payagent/uplink/internal/judge"
)

// Config says how to reach the broker.
type Config struct {
	// Broker is mqtts://host:port or, without TLS, mqtt://host:port.
	Broker   string
	ClientID string
	// CA, Cert and Key give PEM; they are asked at every connect, so a renewed
	// certificate needs no restart. Cert and Key may be nil: then the client
	// shows none.
	CA, Cert, Key func() ([]byte, error)
	// ServerName is the name in the broker's certificate where it is not the
	// host of Broker.
	ServerName string
	// Now and Doubt judge the time of the broker's certificate, as package
	// uplink/https has them; nil for the machine's clock.
	Now   func() time.Time
	Doubt func(from, to time.Time) (at time.Time, wrong bool)
	// Will makes what the broker says for us when the n-th connection breaks
	// without a good-bye; nil, or a nil message, for nothing. It is asked at every
	// connect, because a will must tell which connection it belongs to: brokers
	// may send an old one late.
	Will func(n uint64) *uplink.Message
	// Phase gives how long to wait before the first connection, and after one
	// was lost; it is asked each time. Nil: uniform within Every. After an
	// attempt in vain the next comes Every later.
	Phase func() time.Duration
	// Every is the distance of attempts, default 40 s.
	Every time.Duration
	// OnUp runs after every connect, when the subscriptions are made again; n
	// counts connections from 1 (one that broke before that is counted too), ctx
	// ends with the connection. It may publish.
	OnUp func(ctx context.Context, n uint64)
	// Clean asks the broker to forget us when we go: for tools.
	Clean bool
	// Leave does not take messages that nobody here subscribed to: the broker
	// keeps them for the next connection of this name. For a glance in the
	// place of a program that does not run.
	Leave bool
	// KeepAlive is how often a silent connection is tried, in whole seconds,
	// default 25 s; a connection that does not answer 10 s later is given up.
	KeepAlive time.Duration
	// Window is how many messages may be on their way to the broker, default
	// 256.
	Window int
	Logger *slog.Logger
}

const (
	defaultEvery     = 40 * time.Second
	defaultKeepAlive = 25 * time.Second
	defaultWindow    = 256
	dialTimeout      = 10 * time.Second
	pingTimeout      = 10 * time.Second
	// writeTimeout is for each writeChunk bytes, so that a slow line is not
	// taken for a dead one.
	writeTimeout = 5 * time.Second
	writeChunk   = 16 << 10
	// handOverTimeout is how long paho may take to take a message; it waits for
	// nothing but the processor. On a connection that ended it takes this long
	// to let go of its caller.
	handOverTimeout = 2 * time.Second
	goodbyeTimeout  = 250 * time.Millisecond
	// subscribeTimeout is how long a broker may take to answer a SUBSCRIBE
	// before the connection is given up.
	subscribeTimeout = 10 * time.Second
	// manyKicks within kickMemory make the pace slower, by kickedSlower: two
	// clients with one name would otherwise keep throwing each other out. They
	// do that some twenty times in ten minutes; a broker that was started anew
	// a few times in a bad hour must not keep its clients waiting for it.
	manyKicks    = 8
	kickMemory   = 10 * time.Minute
	kickedSlower = 5
)

// Open gives a client that connects by itself, from now on until Close. Errors
// are about the configuration only.
func Open(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Broker)
	if err != nil || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Hostname() == "" || u.User != nil || u.Path != "" {
		return nil, errors.New("cannot use this address of a broker: write mqtts://host:8883")
	}
	if cfg.ClientID == "" || len(cfg.ClientID) > 128 {
		return nil, errors.New("cannot connect without a client id of 1 to 128 characters")
	}
	if u.Scheme == "mqtts" && cfg.CA == nil {
		return nil, errors.New("cannot trust a broker without an authority: name the file of the fleet's authority (ca_file)")
	}
	if (cfg.Cert == nil) != (cfg.Key == nil) {
		return nil, errors.New("cannot use a certificate without its key: name both files")
	}
	if cfg.Will != nil {
		if w := cfg.Will(1); w != nil {
			if err := uplink.CheckTopic(w.Topic); err != nil {
				return nil, err
			}
		}
	}
	if cfg.Every <= 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Phase == nil {
		cfg.Phase = func() time.Duration { return rand.N(cfg.Every) }
	}
	if cfg.KeepAlive < time.Second {
		cfg.KeepAlive = defaultKeepAlive
	}
	if cfg.Window <= 0 || cfg.Window > 32_000 {
		cfg.Window = defaultWindow
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := newClient(cfg, address(u), u.Scheme == "mqtts", u.Hostname())
	c.running.Go(c.run)
	return c, nil
}

func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "1883"
		if u.Scheme == "mqtts" {
			port = "8883"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dial opens the way to the broker, TLS included.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var settings *tls.Config
	if c.tls {
		var err error
		if settings, err = c.settings(); err != nil {
			return nil, err
		}
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
		if err != nil {
			return nil, fmt.Errorf("cannot reach the broker at %s: %w", c.address, err)
		}
		return raw, nil
	}
	if !c.tls {
		return dial(ctx)
	}
	conn, dialled, err := judge.Clock{Now: c.cfg.Now, Doubt: c.cfg.Doubt}.Handshake(ctx, settings, dial)
	switch {
	case err != nil && dialled:
		return nil, fmt.Errorf("cannot agree on TLS with the broker at %s: %w", c.address, err)
	case err != nil:
		return nil, err
	}
	return conn, nil
}

// settings reads authority, certificate and key anew.
func (c *Client) settings() (*tls.Config, error) {
	s := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.host, RootCAs: x509.NewCertPool()}
	if c.cfg.ServerName != "" {
		s.ServerName = c.cfg.ServerName
	}
	pem, err := c.cfg.CA()
	if err != nil {
		return nil, fmt.Errorf("cannot read the broker's authority: %w", err)
	}
	if !s.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("cannot read the broker's authority: the file holds no PEM certificate")
	}
	if c.cfg.Cert == nil {
		return s, nil
	}
	cert, err := c.cfg.Cert()
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate for the broker: %w", err)
	}
	key, err := c.cfg.Key()
	if err != nil {
		return nil, fmt.Errorf("cannot read the key for the broker: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New("cannot use certificate and key for the broker: they are damaged or do not belong together; enrol again")
	}
	s.Certificates = []tls.Certificate{pair}
	return s, nil
}
