// Package way is what all ways out to a platform do alike: they name hosts in
// one way, send to their own host only, and end their calls when they are
// closed.
package way

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Host gives host:port of an address in lower case, with the scheme's own port
// filled in (443 for any scheme but http).
func Host(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if strings.EqualFold(u.Scheme, "http") {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// Base gives scheme://host:port of an address, the same way.
func Base(u *url.URL) string { return strings.ToLower(u.Scheme) + "://" + Host(u) }

// Mine refuses requests for any other scheme and host than base, which is of
// [Base]: a way carries one platform's certificate and proxy, and an address
// that came from outside must not ride on them.
func Mine(req *http.Request, base string) error {
	switch {
	case req.URL == nil || Base(req.URL) != base:
		return fmt.Errorf("cannot send to another host than %s by this way; configure one for it", base)
	case req.Host != "" && req.Host != req.URL.Host:
		return errors.New("cannot send with a Host header that differs from the address")
	case req.URL.User != nil:
		return errors.New("cannot send to an address that holds a user")
	}
	return nil
}

// ErrClosed is what calls get after Close.
var ErrClosed = errors.New("cannot use this way any more: it was closed")

// Calls are the calls under way. It is safe for concurrent use.
type Calls struct {
	ctx     context.Context // ends with Close
	stop    context.CancelCauseFunc
	mu      sync.Mutex
	running sync.WaitGroup
}

// NewCalls gives none yet. Close releases what it holds.
func NewCalls() *Calls {
	c := &Calls{}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	return c
}

// Begin counts a call in and ties its context to Close; done, to be called
// once, counts it out. It fails after Close and when ctx is over.
func (c *Calls) Begin(ctx context.Context) (_ context.Context, done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return nil, nil, ErrClosed
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	c.running.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(c.ctx, func() { cancel(ErrClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
		c.running.Done()
	}, nil
}

// Close ends running calls, waits for them and fails later ones.
func (c *Calls) Close() {
	c.mu.Lock()
	c.stop(ErrClosed)
	c.mu.Unlock()
	c.running.Wait()
}
