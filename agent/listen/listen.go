// Package listen opens addresses and serves a handler on them: the door for
// HIS, and the listeners that stand beside it (façade, books, callback), each
// with its own addresses, certificate and list of clients.
//
// Only the addresses named are opened, never a whole machine; all of them or
// none. Headers, bodies, times and the number of connections are bounded. An
// address that is not loopback needs a certificate, or the word that it may go
// without; a renewed certificate counts for the next connection. Where client certificates are asked for, every address asks.
package listen

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"payagent/agent/config"
)

// The limits of a connection. Headers are small and come at once; a body has
// MaxBody at most.
const (
	MaxBody       = 64 << 10
	headerBytes   = 16 << 10
	headerTimeout = 5 * time.Second
	bodyTimeout   = 15 * time.Second
	answerTimeout = 30 * time.Second
	idleTimeout   = 60 * time.Second
	stopTimeout   = 2 * time.Second
	maxConns      = 256 // of one address
)

// Options say what is opened, and for whom.
type Options struct {
	// Key is the section of the configuration, for errors: "door", "facade".
	Key string
	// At is that section.
	At config.Listener
	// Programs refuses whatever a browser sends (Origin, Sec-Fetch-Site) and
	// bounds bodies at MaxBody: nothing behind this listener is a page.
	Programs bool
	// Answer is how long an answer may take; 0 for 30 seconds. A handler may
	// move its own deadline with http.ResponseController.
	Answer time.Duration
	// Logger is told what was opened and refused; nil for nobody.
	Logger *slog.Logger
	// Opened is called with the addresses once all are open; nil for nobody.
	Opened func(addresses []string)
}

// Serve opens the addresses and serves what handler makes for them until the
// context ends; then it stops taking requests, lets those under way finish for
// two seconds and cuts off the rest. The context of every request ends with
// it. Errors say which address could not be opened and what to do; then
// nothing is open.
func Serve(ctx context.Context, o Options, handler func(addresses []string) http.Handler) error {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	allowed, err := networks(o)
	if err != nil {
		return err
	}
	list, err := open(ctx, o, allowed, log)
	if err != nil {
		return err
	}
	var addresses []string
	for _, l := range list {
		addresses = append(addresses, l.Addr().String())
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	if o.Answer <= 0 {
		o.Answer = answerTimeout
	}
	server := &http.Server{
		Handler:        guard(handler(addresses), o, allowed, log),
		MaxHeaderBytes: headerBytes, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout,
		WriteTimeout: o.Answer, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return inner }, // ends waits and streams
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, len(list))
	var group sync.WaitGroup
	for _, l := range list {
		log.Info("open", "section", o.Key, "address", l.Addr().String())
		group.Go(func() { failed <- server.Serve(l) })
	}
	if o.Opened != nil {
		o.Opened(addresses)
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
		err = fmt.Errorf("cannot go on serving %s; the service manager starts the agent again: %w", o.Key, err)
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

// networks reads the list of clients.
func networks(o Options) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range o.At.Allow {
		p, err := config.ParseNetwork(s)
		if err != nil {
			return nil, fmt.Errorf("cannot open %s: %q is not a network; write it as 10.1.2.0/24 or 10.1.2.3", o.Key, s)
		}
		list = append(list, p)
	}
	return list, nil
}

// open opens all addresses or none.
func open(ctx context.Context, o Options, allowed []netip.Prefix, log *slog.Logger) (list []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range list {
				_ = l.Close() // nothing was served yet
			}
			list = nil
		}
	}()
	if len(o.At.Listen) == 0 {
		return nil, fmt.Errorf("cannot open %s: %s.listen names no address", o.Key, o.Key)
	}
	var secure *tls.Config
	if o.At.TLS.Cert != "" {
		if secure, err = secured(o, log); err != nil {
			return nil, err
		}
	} else if o.At.ClientCA != "" {
		return nil, fmt.Errorf("cannot open %s: client_ca asks for client certificates, which needs %s.tls", o.Key, o.Key)
	}
	for _, at := range o.At.Listen {
		ap, err := netip.ParseAddrPort(at)
		if err != nil || ap.Addr().IsUnspecified() {
			return list, fmt.Errorf("cannot open %s: name one address of this machine, IP:port", at)
		}
		local := ap.Addr().IsLoopback()
		if !local && secure == nil && !o.At.AcceptPlainHTTP {
			return list, fmt.Errorf("cannot open %s: it is not loopback; give %s.tls a certificate, or write accept_plain_http: true", at, o.Key)
		}
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", at)
		if err != nil {
			return list, fmt.Errorf("cannot open %s; is it an address of this machine, and free? %w", at, err)
		}
		l = limit(l, allowed)
		if secure != nil && (!local || o.At.ClientCA != "") {
			l = tls.NewListener(l, secure)
		}
		list = append(list, l)
	}
	return list, nil
}
