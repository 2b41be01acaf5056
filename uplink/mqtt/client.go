package mqtt

import (
	"container/list"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"payagent/uplink"
)

// Client is a connection to a broker that keeps itself up: a uplink.Bus.
type Client struct {
	cfg     Config
	address string
	host    string
	tls     bool
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	serial   uint64     // of the last message
	unsent   *list.List // of *pending, by serial
	subs     []*subscription
	refused  map[string]bool
	conn     *conn // nil while down
	ups      uint64
	link     uplink.Link
	since    time.Time
	changed  chan struct{}
	kicks    []time.Time
	lastLost *lost // how the last connection ended; nil after an attempt in vain
}

// pending is a message whose PUBACK has not been seen.
type pending struct {
	m      uplink.Message
	serial uint64
	at     *list.Element // its place among the unsent; nil while it is on its way
	done   chan error    // has room for the one result
	ended  bool
	stop   func() bool // forgets the context
}

// subscription is one handler with its messages.
type subscription struct {
	filter string
	queue  chan uplink.Message
	ctx    context.Context
	stop   context.CancelFunc
}

func newClient(cfg Config, address string, tls bool, host string) *Client {
	c := &Client{cfg: cfg, address: address, tls: tls, host: host, unsent: list.New(), refused: map[string]bool{},
		changed: make(chan struct{}), since: time.Now(), link: uplink.Link{Cause: "not connected yet"}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Publish implements uplink.Bus.
func (c *Client) Publish(ctx context.Context, m uplink.Message) error { return <-c.Send(ctx, m) }

// Send implements uplink.Bus.
func (c *Client) Send(ctx context.Context, m uplink.Message) <-chan error {
	p := &pending{m: m, done: make(chan error, 1)}
	err := uplink.CheckTopic(m.Topic)
	if err == nil && len(m.Payload) > uplink.MaxPayload {
		err = fmt.Errorf("cannot publish %d bytes to %s: a message has at most %d", len(m.Payload), m.Topic, uplink.MaxPayload)
	}
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("cannot publish: %w", ctx.Err())
	}
	p.m.Payload = slices.Clone(m.Payload)
	if p.m.Payload == nil {
		p.m.Payload = []byte{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.closed {
		err = fmt.Errorf("cannot publish: %w", uplink.ErrClosed)
	}
	if err != nil {
		p.done <- err
		return p.done
	}
	c.serial++
	p.serial = c.serial
	p.at = c.unsent.PushBack(p)
	if ctx.Done() != nil {
		p.stop = context.AfterFunc(ctx, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			cause := c.link.Cause
			if cause == "" {
				cause = "the broker does not answer"
			}
			c.finish(p, fmt.Errorf("cannot tell whether the broker has it: %w (%s)", ctx.Err(), cause))
		})
	}
	if c.conn != nil {
		wake(c.conn.toSend)
	}
	return p.done
}

// finish ends a message's way, once; c.mu is held.
func (c *Client) finish(p *pending, err error) {
	if p.ended {
		return
	}
	p.ended = true
	if p.at != nil {
		c.unsent.Remove(p.at)
		p.at = nil
	}
	if p.stop != nil {
		p.stop()
	}
	p.done <- err
}

// Subscribe implements uplink.Bus. While the connection is up it waits for the
// broker's answer, so it may take as long as a round trip.
func (c *Client) Subscribe(filter string, handle func(uplink.Message)) (func(), error) {
	if err := uplink.CheckFilter(filter); err != nil {
		return nil, err
	}
	s := &subscription{filter: filter, queue: make(chan uplink.Message, uplink.Backlog)}
	s.ctx, s.stop = context.WithCancel(c.ctx)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		s.stop()
		return nil, fmt.Errorf("cannot subscribe: %w", uplink.ErrClosed)
	}
	c.subs = append(c.subs, s)
	conn := c.conn
	c.mu.Unlock()
	go func() {
		for {
			select {
			case m := <-s.queue:
				if s.ctx.Err() == nil {
					handle(m)
				}
			case <-s.ctx.Done():
				return
			}
		}
	}()
	if conn != nil && !conn.sync(filter) {
		c.remove(s)
		return nil, fmt.Errorf("cannot subscribe to %s: the broker refuses it; see its access list", filter)
	}
	return func() {
		if c.remove(s) {
			c.mu.Lock()
			conn := c.conn
			c.mu.Unlock()
			if conn != nil {
				conn.syncLater(filter)
			}
		}
	}, nil
}

// remove ends a subscription; false: it had been ended before.
func (c *Client) remove(s *subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.stop()
	i := slices.Index(c.subs, s)
	if i < 0 {
		return false
	}
	c.subs = slices.Delete(c.subs, i, i+1)
	if !c.wanted(s.filter) && c.refused[s.filter] {
		delete(c.refused, s.filter)
		c.tell(c.link.Up, "")
	}
	return true
}

// wanted tells whether anybody subscribes to filter; c.mu is held.
func (c *Client) wanted(filter string) bool {
	return slices.ContainsFunc(c.subs, func(s *subscription) bool { return s.filter == filter })
}

// fitting gives the subscriptions that a topic is for.
func (c *Client) fitting(topic string) []*subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*subscription
	for _, s := range c.subs {
		if uplink.Fits(s.filter, topic) {
			out = append(out, s)
		}
	}
	return out
}

// Link implements uplink.Bus. A connection that the broker ended soon and let
// us make again at the first attempt counts as kicked; a broker that restarts
// quickly and often looks the same, so a few mean nothing.
func (c *Client) Link() (uplink.Link, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.link
	l.Since = time.Since(c.since)
	l.Kicked = c.kicked()
	return l, c.changed
}

// kicked counts what happened within kickMemory; c.mu is held.
func (c *Client) kicked() int {
	c.kicks = slices.DeleteFunc(c.kicks, func(at time.Time) bool { return time.Since(at) > kickMemory })
	return len(c.kicks)
}

// tell changes the link; c.mu is held.
func (c *Client) tell(up bool, cause string) {
	if up && cause == "" && len(c.refused) > 0 {
		cause = "the broker refuses subscriptions: " + strings.Join(slices.Sorted(maps.Keys(c.refused)), ", ")
	}
	if up != c.link.Up {
		c.since = time.Now()
	}
	c.link = uplink.Link{Up: up, Cause: cause}
	close(c.changed)
	c.changed = make(chan struct{})
}

// Close implements uplink.Bus: it says good-bye to the broker and waits until
// the connection has ended, 4 s at most.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	conn := c.conn
	c.conn = nil
	var waiting []*pending
	for e := c.unsent.Front(); e != nil; e = e.Next() {
		waiting = append(waiting, e.Value.(*pending))
	}
	if conn != nil {
		waiting = append(waiting, conn.takeBack()...)
	}
	for _, p := range waiting {
		c.finish(p, fmt.Errorf("cannot tell whether the broker has it: %w", uplink.ErrClosed))
	}
	for _, s := range c.subs {
		s.stop()
	}
	c.tell(false, "closed")
	c.mu.Unlock()
	c.stop() // a connection says good-bye when it sees this
	ended := make(chan struct{})
	go func() { c.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(4 * time.Second):
	}
	return nil
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
