// Package https is the direct way to a platform: HTTP/1.1 over TLS, where
// configured through an HTTP CONNECT or SOCKS5 proxy, to a fixed relay address,
// with an authority or pinned keys of one's own, and without asking DNS where
// addresses are given as numbers.
//
// Every request gets a connection of its own and is written there once. Idle
// connections are not kept: one that died unseen turns a cancel into an
// unknown outcome, and net/http prints what arrives on an idle connection to
// the process's log, where answers must never be. The price is a handshake per
// request, which a query every few seconds can pay.
//
// The connection is made before the request is handed to net/http, so that an
// error from before is known to be [uplink.NotSent]; afterwards the bytes that
// left are counted.
package https

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"payagent/uplink"
	"payagent/uplink/internal/judge"
	"payagent/uplink/internal/way"
)

// maxHead bounds the head of an answer, in bytes.
const maxHead = 32 << 10

// Route is the direct way to one platform. It is safe for concurrent use.
type Route struct {
	target      target
	tls         *tls.Config
	clock       judge.Clock
	proxy       Proxy
	dial        dialer
	dialTimeout time.Duration
	timeout     time.Duration
	transport   *http.Transport
	calls       *way.Calls
}

var _ uplink.Route = (*Route)(nil)

// New checks the configuration, reads the certificates and gives the way. It
// opens no connection. Errors name the setting that is wrong.
func New(cfg Config) (*Route, error) {
	t, err := cfg.target()
	if err != nil {
		return nil, err
	}
	secure, err := cfg.tls(t)
	if err != nil {
		return nil, err
	}
	dial, err := dialFrom(cfg.From)
	if err != nil {
		return nil, err
	}
	r := &Route{
		target:      t,
		tls:         secure,
		clock:       judge.Clock{Now: cfg.Now, Doubt: cfg.Doubt},
		proxy:       cfg.Proxy,
		dialTimeout: orElse(cfg.DialTimeout, 5*time.Second),
		timeout:     orElse(cfg.ResponseTimeout, 70*time.Second),
		dial:        dial,
		calls:       way.NewCalls(),
	}
	var only http.Protocols
	only.SetHTTP1(true)
	r.transport = &http.Transport{
		Proxy:                  nil, // the environment has no say
		DialContext:            handOver,
		DialTLSContext:         handOver,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		Protocols:              &only,
	}
	return r, nil
}

func orElse(d, other time.Duration) time.Duration {
	if d <= 0 {
		return other
	}
	return d
}

// connKey is the context key under which RoundTrip gives its connection to
// net/http.
type connKey struct{}

// handed is a connection that can be taken once.
type handed struct {
	mu   sync.Mutex
	conn *once
}

// handOver is all that net/http may dial. A second try finds nothing: that
// makes a replay on another connection impossible.
func handOver(ctx context.Context, _, _ string) (net.Conn, error) {
	h, ok := ctx.Value(connKey{}).(*handed)
	if !ok {
		return nil, errors.New("cannot dial outside of a request")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == nil {
		return nil, errors.New("cannot write a request on a second connection")
	}
	conn := h.conn
	h.conn = nil
	return conn, nil
}

// RoundTrip sends one request on a connection of its own and gives the whole
// answer: the body is read before it returns. Redirects are answers like any
// other. A *uplink.NotSent error proves that no byte of the request left; after
// any other error the outcome is unknown.
func (r *Route) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		// A RoundTripper closes the body on every path.
		defer func() { _ = req.Body.Close() }()
	}
	ctx, done, err := r.calls.Begin(req.Context())
	if err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	defer done()
	if err := way.Mine(req, r.target.scheme+"://"+r.target.host); err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	conn, err := r.open(ctx)
	if err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	defer func() { _ = conn.Close() }()

	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	out := req.Clone(context.WithValue(ctx, connKey{}, &handed{conn: conn}))
	out.GetBody = nil // nothing to replay with
	resp, err := r.exchange(out)
	if err == nil {
		return resp, nil
	}
	err = withCause(ctx, err)
	if !conn.seal() {
		return nil, &uplink.NotSent{Err: err}
	}
	return nil, fmt.Errorf("cannot tell the outcome, the request was on its way to the platform; ask by query: %w", err)
}

func (r *Route) exchange(req *http.Request) (*http.Response, error) {
	resp, err := r.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, errors.New("the server changed the protocol unasked")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.target.maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer was cut: %w", err)
	}
	if int64(len(body)) > r.target.maxBody {
		return nil, fmt.Errorf("the answer is longer than %d bytes", r.target.maxBody)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// Reach opens the way up to and including TLS and closes it again; nothing of
// a request is written. The time is bounded by Config.DialTimeout. A server
// that dislikes our client certificate under TLS 1.3 says so only to the first
// request, which Reach cannot see.
func (r *Route) Reach(ctx context.Context) error {
	ctx, done, err := r.calls.Begin(ctx)
	if err != nil {
		return &uplink.NotSent{Err: err}
	}
	defer done()
	conn, err := r.open(ctx)
	if err != nil {
		return &uplink.NotSent{Err: err}
	}
	_ = conn.Close()
	return nil
}

// Look opens the way as Reach does and tells what TLS agreed on; nil where the
// way is plain HTTP.
func (r *Route) Look(ctx context.Context) (*tls.ConnectionState, error) {
	ctx, done, err := r.calls.Begin(ctx)
	if err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	defer done()
	conn, err := r.open(ctx)
	if err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	defer func() { _ = conn.Close() }()
	if secure, ok := conn.Conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		return &state, nil
	}
	return nil, nil
}

// Close ends running calls, waits for them and fails later ones.
func (r *Route) Close() error {
	r.calls.Close()
	r.transport.CloseIdleConnections()
	return nil
}
