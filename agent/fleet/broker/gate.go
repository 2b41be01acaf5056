package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// helloTime is how long a client may take from its connection to its CONNECT.
const helloTime = 15 * time.Second

// gate is the listener of the library's server. Beyond the library's own it
// ends in order: when it is closed nobody comes in any more, those who have
// said nothing yet are not waited for, and everybody has left when Close
// returns.
type gate struct {
	from net.Listener
	tls  *tls.Config // nil: without
	log  *slog.Logger

	mu     sync.Mutex
	closed bool
	inside map[net.Conn]bool
	all    sync.WaitGroup
}

func (g *gate) Init(*slog.Logger) error { return nil }
func (g *gate) ID() string              { return "fleet" }
func (g *gate) Address() string         { return g.from.Addr().String() }
func (g *gate) Protocol() string        { return "tcp" }

// Serve lets clients in until Close.
func (g *gate) Serve(establish listeners.EstablishFn) {
	for {
		conn, err := g.from.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // this one only, e.g. too many files are open
			g.log.Warn("a client could not be let in", "error", err)
			if !g.pause() {
				return
			}
			continue
		}
		if !g.enter(conn) {
			_ = conn.Close()
			return
		}
		go func() {
			defer g.leave(conn)
			if err := g.attach(conn, establish); err != nil {
				g.log.Warn("a client left", "remote", conn.RemoteAddr().String(), "error", err)
			}
		}()
	}
}

// pause keeps a full machine from spinning; false when the gate was closed.
func (g *gate) pause() bool {
	time.Sleep(10 * time.Millisecond)
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.closed
}

func (g *gate) enter(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside[conn] = true
	g.all.Add(1)
	return true
}

func (g *gate) leave(conn net.Conn) {
	_ = conn.Close() // mostly closed already
	g.mu.Lock()
	delete(g.inside, conn)
	g.mu.Unlock()
	g.all.Done()
}

// attach greets a client and hands it to the library, which sets other
// deadlines once it knows the client.
func (g *gate) attach(conn net.Conn, establish listeners.EstablishFn) error {
	if err := conn.SetDeadline(time.Now().Add(helloTime)); err != nil {
		return err
	}
	if g.tls == nil {
		return establish(g.ID(), conn)
	}
	secure := tls.Server(conn, g.tls)
	if err := secure.HandshakeContext(context.Background()); err != nil { // ended by the deadline, or by Close
		return err
	}
	return establish(g.ID(), secure)
}

// Close implements listeners.Listener.
func (g *gate) Close(clients listeners.CloseFn) {
	_ = g.from.Close() // nobody comes any more, whatever it says
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	clients(g.ID())
	g.mu.Lock()
	for conn := range g.inside {
		_ = conn.Close()
	}
	g.mu.Unlock()
	g.all.Wait()
}
