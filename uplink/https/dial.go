package https

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/net/proxy"
)

// dialer is net.Dialer's method; a test may stand in.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// DialContext makes it a proxy.ContextDialer.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// Dial makes it a proxy.Dialer; SOCKS5 takes DialContext where there is one.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d(context.Background(), network, address)
}

// open gives a connection on which nothing of a request was written yet:
// through the proxy, with TLS done. No name is looked up here where relay or
// proxy decide.
func (r *Route) open(ctx context.Context) (*once, error) {
	ctx, cancel := context.WithTimeout(ctx, r.dialTimeout)
	defer cancel()
	var raw *counted
	dial := func(ctx context.Context) (net.Conn, error) {
		conn, err := r.tunnel(ctx)
		if err != nil {
			return nil, err
		}
		raw = &counted{Conn: conn}
		return raw, nil
	}
	if r.tls == nil {
		if _, err := dial(ctx); err != nil {
			return nil, withCause(ctx, err)
		}
		return newOnce(raw, raw), nil
	}
	secure, dialled, err := r.clock.Handshake(ctx, r.tls, dial)
	switch {
	case err != nil && dialled:
		return nil, withCause(ctx, fmt.Errorf("cannot agree on TLS with %s: %w", r.target.host, err))
	case err != nil:
		return nil, withCause(ctx, err)
	}
	return newOnce(secure, raw), nil
}

// withCause makes an error that a context caused say so, whatever the layer
// below made of it.
func withCause(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil && errors.Is(err, os.ErrDeadlineExceeded) {
		// The socket's clock rang a moment before the context's.
		cause = context.DeadlineExceeded
	}
	if cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}

func (r *Route) tunnel(ctx context.Context) (net.Conn, error) {
	switch r.proxy.Kind {
	case ProxyConnect:
		conn, err := r.dial(ctx, "tcp", r.proxy.Address)
		if err != nil {
			return nil, fmt.Errorf("cannot reach the proxy: %w", err)
		}
		if err := r.connect(ctx, conn); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	case ProxySOCKS5:
		var auth *proxy.Auth
		if r.proxy.User != "" {
			auth = &proxy.Auth{User: r.proxy.User, Password: r.proxy.Password.reveal()}
		}
		d, err := proxy.SOCKS5("tcp", r.proxy.Address, auth, r.dial)
		if err != nil {
			return nil, fmt.Errorf("cannot use the SOCKS5 proxy: %w", err)
		}
		with, ok := d.(proxy.ContextDialer)
		if !ok {
			return nil, errors.New("cannot use the SOCKS5 proxy: its dialler cannot be stopped")
		}
		conn, err := with.DialContext(ctx, "tcp", r.target.dial)
		if err != nil {
			return nil, fmt.Errorf("cannot pass the SOCKS5 proxy: %w", err)
		}
		return conn, nil
	default:
		return r.dial(ctx, "tcp", r.target.dial)
	}
}

// maxProxyHead bounds the proxy's answer to CONNECT, in bytes.
const maxProxyHead = 16 << 10

// connect asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6).
func (r *Route) connect(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	ask := "CONNECT " + r.target.dial + " HTTP/1.1\r\nHost: " + r.target.dial + "\r\n"
	if r.proxy.User != "" {
		pair := base64.StdEncoding.EncodeToString([]byte(r.proxy.User + ":" + r.proxy.Password.reveal()))
		ask += "Proxy-Authorization: Basic " + pair + "\r\n"
	}
	if _, err := conn.Write([]byte(ask + "\r\n")); err != nil {
		return fmt.Errorf("cannot ask the proxy: %w", err)
	}
	// Byte by byte up to the empty line: what follows belongs to the tunnel.
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if len(head) >= maxProxyHead {
			return errors.New("cannot pass the proxy: its answer is too long; check that the address is an HTTP proxy")
		}
		n, err := conn.Read(one)
		head = append(head, one[:n]...)
		if err != nil {
			return fmt.Errorf("cannot pass the proxy: it gave no whole answer: %w", err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return errors.New("cannot pass the proxy: it does not speak HTTP; check its address and kind")
	}
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return errors.New("cannot pass the proxy: it wants other credentials (407); check proxy user and password")
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("cannot pass the proxy: it answered %d; check that it may connect to %s", resp.StatusCode, r.target.dial)
	}
	if !stop() {
		return context.Cause(ctx)
	}
	return conn.SetDeadline(time.Time{})
}
