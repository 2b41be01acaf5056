package uplinktest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy on loopback that misbehaves on demand.
type Proxy struct {
	Addr   string
	target string
	l      net.Listener

	mu      sync.Mutex
	refuse  bool
	stalled chan struct{} // nil: data flows; closed when it may flow again
	perByte time.Duration
	conns   map[net.Conn]net.Conn // ours by the client's
	opened  []time.Time
	closed  bool
}

// NewProxy starts a proxy to an address; it ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := newProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func newProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, l: l, conns: map[net.Conn]net.Conn{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p, nil
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	refuse := p.refuse || p.closed
	p.opened = append(p.opened, time.Now())
	p.mu.Unlock()
	if refuse {
		resetConn(client)
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		resetConn(client)
		return
	}
	p.mu.Lock()
	p.conns[client] = server
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(server, client) })
	both.Go(func() { p.pump(client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	p.mu.Unlock()
}

// resetConn ends a connection as a machine that has nothing there does.
func resetConn(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

func (p *Proxy) pump(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 8<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		stalled, perByte := p.stalled, p.perByte
		p.mu.Unlock()
		if stalled != nil {
			<-stalled
		}
		if perByte > 0 {
			<-time.After(time.Duration(n) * perByte)
		}
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// Refuse resets new connections from now on, or takes them again.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Cut resets the connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a, b := range p.conns {
		resetConn(a)
		resetConn(b)
	}
}

// Stall swallows everything while connections stay open, as a black hole does;
// false lets flow on what it swallowed.
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on && p.stalled == nil {
		p.stalled = make(chan struct{})
	} else if !on && p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// Slow makes every byte take that long; 0 ends it.
func (p *Proxy) Slow(perByte time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.perByte = perByte
}

// Opened gives when connections came.
func (p *Proxy) Opened() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.opened...)
}

// Close ends the proxy with its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Stall(false)
	p.l.Close()
	p.Cut()
}
