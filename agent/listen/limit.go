package listen

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// maxStrangers is how many connections from addresses that are not allowed are
// told so at a time; further ones are closed. They take no place from those
// that are allowed.
const maxStrangers = 8

// limited lets only so many connections in at once; further ones wait in the
// kernel's queue.
type limited struct {
	net.Listener
	allowed   []netip.Prefix // none: all
	places    chan struct{}
	strangers chan struct{}
	closed    context.Context
	close     context.CancelFunc
}

func limit(l net.Listener, allowed []netip.Prefix) *limited {
	x := &limited{Listener: l, allowed: allowed, places: make(chan struct{}, maxConns), strangers: make(chan struct{}, maxStrangers)}
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
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		if len(l.allowed) == 0 || within(l.allowed, c.RemoteAddr().String()) {
			return &place{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
		}
		select {
		case l.strangers <- struct{}{}:
			<-l.places
			return &place{Conn: c, leave: sync.OnceFunc(func() { <-l.strangers })}, nil
		default:
			_ = c.Close() // enough of them are being told
		}
	}
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
