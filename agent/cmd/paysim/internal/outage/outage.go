// Package outage is a network that can be cut: a listener whose other side is
// refused, reset or left in silence, and a handler that keeps silent with it.
//
// A black hole on loopback cannot drop packets: connections are accepted by the
// kernel and then nothing is read or answered. What arrived in the hole is lost
// for good, also when the network is back; nothing is delivered late.
package outage

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// Mode is how the network is.
type Mode string

// The modes.
const (
	Up        Mode = "up"
	Refuse    Mode = "refuse"    // nobody listens: connection refused
	Reset     Mode = "reset"     // connections are accepted and reset at their first byte
	BlackHole Mode = "blackhole" // connections are accepted, and nothing ever comes
)

// ErrMode is returned for a mode that is none of the four.
var ErrMode = errors.New("cannot set the network: choose up, refuse, reset or blackhole")

// Gate is a TCP listener that can be cut. Its address stays the same.
type Gate struct {
	addr *net.TCPAddr

	mu      sync.Mutex
	mode    Mode
	ln      net.Listener // nil while refused
	conns   map[net.Conn]bool
	held    map[net.Conn]bool // accepted and given to nobody
	hole    chan struct{}
	changed chan struct{} // closed when ln or closed changes
	closed  bool
}

// Listen opens a gate, up.
func Listen(addr string) (*Gate, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s; choose another port: %w", addr, err)
	}
	tcp, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		_ = ln.Close()
		return nil, fmt.Errorf("cannot listen on %s: it is no TCP address", addr)
	}
	return &Gate{addr: tcp, mode: Up, ln: ln, conns: map[net.Conn]bool{}, held: map[net.Conn]bool{}, changed: make(chan struct{})}, nil
}

// Addr is the address, also while nobody listens.
func (g *Gate) Addr() net.Addr { return g.addr }

// Mode tells how the network is.
func (g *Gate) Mode() Mode {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mode
}

// Set changes the network; when it returns, the change holds for connections
// old and new.
func (g *Gate) Set(m Mode) error {
	switch m {
	case Up, Refuse, Reset, BlackHole:
	default:
		return ErrMode
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return net.ErrClosed
	}
	if m == g.mode {
		return nil
	}
	if g.ln == nil {
		ln, err := net.Listen("tcp", g.addr.String())
		if err != nil {
			return fmt.Errorf("cannot bring the network back; see who took the port: %w", err)
		}
		g.ln = ln
		g.tell()
	}
	for c := range g.held {
		kill(c)
	}
	clear(g.held)
	if g.hole != nil {
		close(g.hole)
		g.hole = nil
	}
	g.mode = m
	switch m {
	case Up:
	case BlackHole:
		g.hole = make(chan struct{})
	case Refuse:
		_ = g.ln.Close()
		g.ln = nil
		g.tell()
		fallthrough
	case Reset:
		for c := range g.conns {
			kill(c)
		}
	}
	return nil
}

// tell wakes Accept; g.mu is held.
func (g *Gate) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// kill closes with a reset.
func kill(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Accept waits for a connection that gets through.
func (g *Gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		ln, changed, closed := g.ln, g.changed, g.closed
		g.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		if ln == nil {
			<-changed
			continue
		}
		c, err := ln.Accept()
		if err == nil {
			if g.admit(c) {
				return c, nil
			}
			continue
		}
		g.mu.Lock()
		same := g.ln == ln && !g.closed
		g.mu.Unlock()
		if same {
			return nil, err
		}
	}
}

func (g *Gate) admit(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed, g.mode == Refuse:
		kill(c)
	case g.mode == BlackHole:
		g.held[c] = true
	case g.mode == Reset:
		g.held[c] = true
		go g.resetAtFirstByte(c)
	default:
		g.conns[c] = true
		return true
	}
	return false
}

// resetAtFirstByte lets a caller connect and begin to write, so that it meets
// a reset connection and not one that could not be made.
func (g *Gate) resetAtFirstByte(c net.Conn) {
	_, _ = c.Read(make([]byte, 1))
	kill(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, c)
}

// ConnState belongs into the http.Server's field of that name: it forgets
// connections that are gone.
func (g *Gate) ConnState(c net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.conns, c)
	}
}

// Close ends the gate and all its connections.
func (g *Gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	if g.ln != nil {
		_ = g.ln.Close()
	}
	for c := range g.conns {
		kill(c)
	}
	for c := range g.held {
		kill(c)
	}
	if g.hole != nil {
		close(g.hole)
		g.hole = nil
	}
	g.tell()
	return nil
}

// silent gives a channel that is closed when the black hole is over, or nil.
func (g *Gate) silent() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hole
}

// Wrap makes a handler keep silent in the black hole: a request that arrives
// on an old connection is lost before the handler sees it, an answer that is
// ready is lost on its way.
func (g *Gate) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.swallow(r)
		h.ServeHTTP(&hushed{ResponseWriter: w, gate: g, req: r}, r)
	})
}

// swallow waits in the hole and then breaks the connection.
func (g *Gate) swallow(r *http.Request) {
	over := g.silent()
	if over == nil {
		return
	}
	select {
	case <-over:
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler) // how net/http is told to break a connection
}

type hushed struct {
	http.ResponseWriter
	gate *Gate
	req  *http.Request
}

func (h *hushed) WriteHeader(status int) {
	h.gate.swallow(h.req)
	h.ResponseWriter.WriteHeader(status)
}

func (h *hushed) Write(p []byte) (int, error) {
	h.gate.swallow(h.req)
	return h.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach flushing and hijacking.
func (h *hushed) Unwrap() http.ResponseWriter { return h.ResponseWriter }
