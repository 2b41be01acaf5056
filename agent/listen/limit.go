package listen

import (
	"context"
	"net"
	"sync"
)

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
