package door

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/config"
)

// The limits of a connection. Headers are small and come at once; a body has
// 64 KiB at most.
const (
	headerBytes   = 16 << 10
	headerTimeout = 5 * time.Second
	bodyTimeout   = 15 * time.Second
	answerTimeout = 30 * time.Second
	idleTimeout   = 60 * time.Second
	stopTimeout   = 2 * time.Second
	maxConns      = 256 // of one address
)

// Serve opens the addresses of door.listen, and no others, and serves until
// the context ends. An address that is not loopback is opened with TLS, or
// without it only where accept_plain_http says so, with a warning at every
// start. Errors say which address could not be opened and what to do; then
// nothing is open.
func Serve(ctx context.Context, a *agent.Agent, opts Options) error {
	for _, x := range a.Config().Warnings() {
		if opts.Logger != nil {
			opts.Logger.Warn("standing warning", "code", x.Code, "text", x.EN)
		}
	}
	return serve(ctx, a.Config().Door, opts, func(o Options) http.Handler { return New(a, o) })
}

// serve opens the addresses and serves what handler makes for them.
func serve(ctx context.Context, c config.Door, opts Options, handler func(Options) http.Handler) error {
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	list, err := open(ctx, c)
	if err != nil {
		return err
	}
	opts.Addresses = nil
	for _, l := range list {
		opts.Addresses = append(opts.Addresses, l.Addr().String())
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{
		Handler: handler(opts), MaxHeaderBytes: headerBytes, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout,
		WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return inner }, // ends waits and streams
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, len(list))
	var group sync.WaitGroup
	for _, l := range list {
		log.Info("door open", "address", l.Addr().String())
		group.Go(func() { failed <- server.Serve(l) })
	}
	if opts.Opened != nil {
		opts.Opened(opts.Addresses)
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
		err = fmt.Errorf("cannot go on serving; the service manager starts the agent again: %w", err)
	}
	stop()
	end, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if server.Shutdown(end) != nil {
		_ = server.Close() // whoever still talks after two seconds is cut off
	}
	group.Wait()
	return err
}

// open opens all addresses or none.
func open(ctx context.Context, c config.Door) (list []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range list {
				_ = l.Close() // nothing was served yet
			}
			list = nil
		}
	}()
	if len(c.Listen) == 0 {
		return nil, errors.New("cannot open the door: door.listen names no address")
	}
	var secure *tls.Config
	if c.TLS.Cert != "" {
		if secure, err = secured(c.TLS); err != nil {
			return nil, err
		}
	}
	for _, at := range c.Listen {
		ap, err := netip.ParseAddrPort(at)
		if err != nil || ap.Addr().IsUnspecified() {
			return list, fmt.Errorf("cannot open %s: name one address of this machine, IP:port", at)
		}
		local := ap.Addr().IsLoopback()
		if !local && secure == nil && !c.AcceptPlainHTTP {
			return list, fmt.Errorf("cannot open %s: it is not loopback; give door.tls a certificate, or write accept_plain_http: true", at)
		}
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", at)
		if err != nil {
			return list, fmt.Errorf("cannot open %s; is it an address of this machine, and free? %w", at, err)
		}
		l = limit(l)
		if !local && secure != nil {
			l = tls.NewListener(l, secure)
		}
		list = append(list, l)
	}
	return list, nil
}

func secured(c config.TLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot open the door: door.tls does not hold a certificate and its key; renew the files: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// limited lets only so many connections in at once; further ones wait in the
// kernel's queue.
type limited struct {
	net.Listener
	places chan struct{}
	closed context.Context
	close  context.CancelFunc
}

func limit(l net.Listener) *limited {
	x := &limited{Listener: l, places: make(chan struct{}, maxConns)}
	x.closed, x.close = context.WithCancel(context.Background())
	return x
}

// Accept waits for a place, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &place{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

// Close stops accepting.
func (l *limited) Close() error {
	l.close()
	return l.Listener.Close()
}

// place is a connection that gives its place back.
type place struct {
	net.Conn
	leave func()
}

// Close gives the place back.
func (p *place) Close() error {
	err := p.Conn.Close()
	p.leave()
	return err
}
