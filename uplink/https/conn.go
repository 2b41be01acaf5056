package https

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// errSealed is what a write gets after the outcome of its request was told.
var errSealed = errors.New("cannot write: the request was given up")

// counted counts the bytes that the operating system took. It lies below TLS,
// so that an encrypted half of a request counts too.
type counted struct {
	net.Conn
	taken atomic.Int64
	ended atomic.Bool // the other side's bytes came to an end
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.taken.Add(int64(max(n, 0)))
	return n, err
}

// once is the connection of exactly one request. It knows whether any byte of
// that request left, and after seal no further one can.
type once struct {
	_        [0]func() // never compared: no code is made for it
	net.Conn           // as the request sees it: TLS or not
	raw      *counted
	base     int64 // bytes of proxy and handshake, before the request

	mu      sync.Mutex
	sealed  bool
	writing int

	// speak is closed with the first write or Close. Reads wait for it: what a
	// server says before it was asked must not be taken for an answer, and
	// net/http would print it to the process's log.
	speak     chan struct{}
	speakOnce sync.Once
}

func newOnce(conn net.Conn, raw *counted) *once {
	return &once{Conn: conn, raw: raw, base: raw.taken.Load(), speak: make(chan struct{})}
}

func (c *once) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, errSealed
	}
	c.writing++
	c.mu.Unlock()
	c.speakOnce.Do(func() { close(c.speak) })
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	c.writing--
	c.mu.Unlock()
	return n, err
}

func (c *once) Read(p []byte) (int, error) {
	<-c.speak
	n, err := c.Conn.Read(p)
	// crypto/tls gives io.EOF both for a proper end (close_notify) and for a
	// connection that somebody cut between two records. Only in the second
	// case was the end of the bytes below reached. Without a length in its
	// head, a cut answer would look whole.
	if errors.Is(err, io.EOF) && c.Conn != net.Conn(c.raw) && c.raw.ended.Load() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *once) Close() error {
	c.speakOnce.Do(func() { close(c.speak) })
	return c.Conn.Close()
}

// seal forbids all further writes and tells whether any byte may have left. A
// write that is under way counts as left.
func (c *once) seal() (sent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.writing > 0 || c.raw.taken.Load() != c.base
}
