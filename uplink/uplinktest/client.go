package uplinktest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"payagent/uplink"
)

// client is a member of uplink.Bus over a Broker. Its state is under the
// broker's lock.
type client struct {
	b        *Broker
	o        Client
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	outbound chan struct{} // something to send or to connect for
	inbound  chan struct{} // something to hand out
	running  sync.WaitGroup

	online  *session // nil while down
	conn    context.Context
	breakIt context.CancelFunc
	ups     uint64
	will    *uplink.Message // of this connection
	out     []*pending
	subs    []*sub
	link    uplink.Link
	since   time.Time
	changed chan struct{}
	kicks   []time.Time
	refused map[string]bool
	closed  bool
}

// pending is a message on its way to the broker.
type pending struct {
	m    uplink.Message
	sent bool       // on this connection
	done chan error // has room for the one result
	stop func() bool
}

// sub is one subscription.
type sub struct {
	filter string
	handle func(uplink.Message)
	queue  chan uplink.Message
	ctx    context.Context
	stop   context.CancelFunc
}

func newClient(b *Broker, o Client) *client {
	ctx, stop := context.WithCancel(context.Background())
	return &client{b: b, o: o, ctx: ctx, stop: stop, outbound: make(chan struct{}, 1), inbound: make(chan struct{}, 1),
		changed: make(chan struct{}), since: time.Now(), refused: map[string]bool{}, link: uplink.Link{Cause: "not connected yet"}}
}

func (c *client) start() {
	wake(c.outbound)
	c.running.Go(c.send)
	c.running.Go(c.receive)
}

// up is called by the broker when the client is connected; b.mu is held.
func (c *client) up(s *session) {
	c.online = s
	c.conn, c.breakIt = context.WithCancel(c.ctx)
	c.ups++
	c.will = nil
	if c.o.Will != nil {
		c.will = c.o.Will(c.ups)
	}
	for _, p := range c.out {
		p.sent = false
	}
	c.refused = map[string]bool{}
	for _, x := range c.subs {
		if !c.b.subscribe(s, x.filter) {
			c.refused[x.filter] = true
		}
	}
	c.tell(true, "")
	wake(c.inbound)
	if c.o.OnUp != nil {
		ctx, n := c.conn, c.ups
		c.running.Go(func() { c.o.OnUp(ctx, n) })
	}
}

// down is called by the broker when the connection is gone; b.mu is held.
func (c *client) down(why string) {
	c.online = nil
	c.breakIt()
	if why == "another client has our name" {
		c.kicks = append(c.kicks, time.Now())
	}
	c.tell(false, why)
	wake(c.outbound)
}

// tell changes the link; b.mu is held.
func (c *client) tell(up bool, cause string) {
	if up != c.link.Up {
		c.since = time.Now()
	}
	if up && len(c.refused) > 0 {
		cause = "the broker refuses a subscription"
	}
	c.link = uplink.Link{Up: up, Cause: cause}
	close(c.changed)
	c.changed = make(chan struct{})
}

// send connects and sends what waits, in order.
func (c *client) send() {
	for {
		c.b.mu.Lock()
		wait := time.Duration(0)
		if c.online == nil && !c.b.refuse && !c.closed {
			if n := len(c.kicks); n > 0 && time.Since(c.kicks[n-1]) < kickedPause {
				wait = kickedPause - time.Since(c.kicks[n-1])
			} else {
				c.b.connect(c)
			}
		}
		if c.online == nil && c.b.refuse && c.link.Cause != "the broker refuses connections" {
			c.tell(false, "the broker refuses connections")
		}
		f := c.b.faultsOf(c.o.Name)
		if i := slices.IndexFunc(c.out, func(p *pending) bool { return !p.sent }); c.online != nil && !f.stalled && i >= 0 {
			p, conn, delay := c.out[i], c.conn, f.delay
			if delay == 0 {
				c.pass(p, f)
				c.b.mu.Unlock()
				continue
			}
			c.b.mu.Unlock()
			if !pause(conn, delay) {
				continue
			}
			c.b.mu.Lock()
			if c.conn == conn && c.online != nil && slices.Contains(c.out, p) {
				c.pass(p, c.b.faultsOf(c.o.Name))
			}
			c.b.mu.Unlock()
			continue
		}
		c.b.mu.Unlock()
		var after <-chan time.Time
		if wait > 0 {
			after = time.After(wait)
		}
		select {
		case <-c.outbound:
		case <-after:
		case <-c.ctx.Done():
			return
		}
	}
}

// pass gives a message to the broker; b.mu is held.
func (c *client) pass(p *pending, f *faults) {
	p.sent = true
	c.b.route(p.m)
	if f.dropAcks > 0 && !p.m.Sample {
		f.dropAcks--
		return
	}
	c.finish(p, nil)
}

// finish ends a message's way once; b.mu is held.
func (c *client) finish(p *pending, err error) {
	if i := slices.Index(c.out, p); i >= 0 {
		c.out = slices.Delete(c.out, i, i+1)
		p.stop()
		p.done <- err
	}
}

// receive hands out what the broker has for us, in order.
func (c *client) receive() {
	for {
		c.b.mu.Lock()
		f := c.b.faultsOf(c.o.Name)
		s, conn, slow := c.online, c.conn, f.slow
		if s == nil || f.stalled || len(s.queue) == 0 {
			c.b.mu.Unlock()
			select {
			case <-c.inbound:
				continue
			case <-c.ctx.Done():
				return
			}
		}
		m := s.queue[0]
		var to []*sub
		for _, x := range c.subs {
			if uplink.Fits(x.filter, m.Topic) {
				to = append(to, x)
			}
		}
		c.b.mu.Unlock()
		if slow > 0 && !pause(conn, slow) {
			continue
		}
		for _, x := range to {
			select {
			case x.queue <- m:
			case <-x.ctx.Done():
			}
		}
		// Taken off only now: what a broken connection interrupts comes again.
		c.b.mu.Lock()
		if c.online == s && len(s.queue) > 0 {
			s.queue = s.queue[1:]
		}
		c.b.mu.Unlock()
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Publish implements uplink.Bus.
func (c *client) Publish(ctx context.Context, m uplink.Message) error { return <-c.Send(ctx, m) }

// Send implements uplink.Bus.
func (c *client) Send(ctx context.Context, m uplink.Message) <-chan error {
	p := &pending{m: m, done: make(chan error, 1)}
	p.m.Payload = slices.Clone(m.Payload)
	err := uplink.CheckTopic(m.Topic)
	if err == nil && len(m.Payload) > uplink.MaxPayload {
		err = fmt.Errorf("cannot publish %d bytes to %s: a message has at most %d", len(m.Payload), m.Topic, uplink.MaxPayload)
	}
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("cannot publish: %w", ctx.Err())
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if err == nil && c.closed {
		err = fmt.Errorf("cannot publish: %w", uplink.ErrClosed)
	}
	if err != nil {
		p.done <- err
		return p.done
	}
	c.out = append(c.out, p)
	p.stop = context.AfterFunc(ctx, func() {
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		c.finish(p, fmt.Errorf("cannot tell whether the broker has it: %w (%s)", ctx.Err(), c.link.Cause))
	})
	wake(c.outbound)
	return p.done
}

// Subscribe implements uplink.Bus.
func (c *client) Subscribe(filter string, handle func(uplink.Message)) (func(), error) {
	if err := uplink.CheckFilter(filter); err != nil {
		return nil, err
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("cannot subscribe: %w", uplink.ErrClosed)
	}
	x := &sub{filter: filter, handle: handle, queue: make(chan uplink.Message, uplink.Backlog)}
	x.ctx, x.stop = context.WithCancel(c.ctx)
	c.subs = append(c.subs, x)
	if c.online != nil {
		if !c.b.subscribe(c.online, filter) {
			c.remove(x)
			return nil, fmt.Errorf("cannot subscribe to %s: the broker refuses it; see its access list", filter)
		}
		wake(c.inbound)
	}
	c.running.Go(func() {
		for {
			select {
			case m := <-x.queue:
				if x.ctx.Err() == nil {
					x.handle(m)
				}
			case <-x.ctx.Done():
				return
			}
		}
	})
	return func() {
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		c.remove(x)
	}, nil
}

// remove ends a subscription; b.mu is held.
func (c *client) remove(x *sub) {
	x.stop()
	c.subs = slices.DeleteFunc(c.subs, func(o *sub) bool { return o == x })
	if c.online != nil && !slices.ContainsFunc(c.subs, func(o *sub) bool { return o.filter == x.filter }) {
		delete(c.online.filters, x.filter)
	}
}

// Link implements uplink.Bus.
func (c *client) Link() (uplink.Link, <-chan struct{}) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	l := c.link
	l.Since = time.Since(c.since)
	for _, at := range c.kicks {
		if time.Since(at) < 10*time.Minute {
			l.Kicked++
		}
	}
	return l, c.changed
}

// Close implements uplink.Bus.
func (c *client) Close() error {
	c.b.mu.Lock()
	if c.closed {
		c.b.mu.Unlock()
		return nil
	}
	c.closed = true
	c.b.drop(c, "closed", false)
	c.b.clients = slices.DeleteFunc(c.b.clients, func(o *client) bool { return o == c })
	for len(c.out) > 0 {
		c.finish(c.out[0], fmt.Errorf("cannot tell whether the broker has it: %w", uplink.ErrClosed))
	}
	c.tell(false, "closed")
	c.stop()
	c.b.mu.Unlock()
	return nil
}
