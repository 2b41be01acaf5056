package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"sort"

	"payagent/uplink"
)

// conn is one connection with the paho client that runs it.
type conn struct {
	c      *Client
	paho   paho.Client
	ctx    context.Context // ends with the connection, with its cause
	end    context.CancelCauseFunc
	abort  func() bool // stops what would cut the connection short
	wire   *wire
	toSend chan struct{}
	syncs  chan syncing
	own    sync.WaitGroup
	taking sync.Mutex // held while a message goes to its handlers

	mu       sync.Mutex
	current  *pending            // what is in paho's Publish now
	onTheWay map[string]*pending // by the key in paho's store
}

// syncing asks that the broker's view of one filter is made ours.
type syncing struct {
	filter string
	ok     chan bool // has room; nil: nobody waits
}

// store watches paho's own: an outgoing message's key is deleted when its
// PUBACK has come, and only then.
type store struct {
	paho.Store
	conn *conn
}

// Put sees the number that paho gave the message that is being published.
func (s store) Put(key string, p packets.ControlPacket) {
	if _, ok := p.(*packets.PublishPacket); ok && strings.HasPrefix(key, "o.") {
		s.conn.mu.Lock()
		if s.conn.current != nil {
			s.conn.onTheWay[key] = s.conn.current
			s.conn.current = nil
		}
		s.conn.mu.Unlock()
	}
	s.Store.Put(key, p)
}

// Del sees the PUBACK.
func (s store) Del(key string) {
	s.Store.Del(key)
	s.conn.mu.Lock()
	p := s.conn.onTheWay[key]
	delete(s.conn.onTheWay, key)
	s.conn.mu.Unlock()
	if p == nil {
		return
	}
	c := s.conn.c
	c.mu.Lock()
	c.finish(p, nil)
	c.mu.Unlock()
	wake(s.conn.toSend)
}

// connect makes a connection, up to the broker's CONNACK.
func (c *Client) connect() (*conn, error) {
	x := &conn{c: c, toSend: make(chan struct{}, 1), syncs: make(chan syncing), onTheWay: map[string]*pending{}}
	x.ctx, x.end = context.WithCancelCause(c.ctx)
	var dialled error
	o := paho.NewClientOptions()
	o.AddBroker("tcp://" + c.address)
	o.SetClientID(c.cfg.ClientID)
	o.SetProtocolVersion(4)
	o.SetCleanSession(c.cfg.Clean)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetConnectTimeout(dialTimeout)
	o.SetKeepAlive(c.cfg.KeepAlive)
	o.SetPingTimeout(min(pingTimeout, 2*c.cfg.KeepAlive))
	o.SetWriteTimeout(handOverTimeout)
	o.SetOrderMatters(true)
	o.SetAutoAckDisabled(true)
	o.SetStore(store{Store: paho.NewOrderedMemoryStore(), conn: x})
	o.SetDefaultPublishHandler(x.receive)
	c.mu.Lock()
	n := c.ups + 1
	c.mu.Unlock()
	if c.cfg.Will != nil {
		if w := c.cfg.Will(n); w != nil {
			o.SetBinaryWill(w.Topic, w.Payload, qos(*w), w.Retain)
		}
	}
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		var raw net.Conn
		if raw, dialled = c.dial(x.ctx); dialled != nil {
			return nil, dialled
		}
		x.wire = newWire(x.ctx, raw, x.end, func() { wake(x.toSend) })
		x.abort = context.AfterFunc(x.ctx, func() { raw.Close() })
		return x.wire, nil
	})
	x.paho = paho.NewClient(o)
	token := x.paho.Connect()
	<-token.Done() // bounded: dialling and CONNACK have their times
	if err := token.Error(); err != nil {
		x.end(err)
		if dialled != nil {
			return nil, dialled
		}
		if c.ctx.Err() != nil {
			return nil, fmt.Errorf("cannot connect: %w", uplink.ErrClosed)
		}
		return nil, fmt.Errorf("the broker at %s took the connection and refused us (%w); see that its access list knows this name", c.address, err)
	}
	c.mu.Lock()
	c.ups = n // from now on the broker has this connection's will
	c.mu.Unlock()
	return x, nil
}

// stay makes the subscriptions, then sends what waits until the connection
// ends. It returns why it ended, when nothing of it runs any more.
func (x *conn) stay() error {
	c := x.c
	x.abort()
	gone := make(chan struct{})
	context.AfterFunc(x.ctx, func() {
		defer close(gone)
		c.mu.Lock()
		polite := c.closed
		c.mu.Unlock()
		if polite {
			x.paho.Disconnect(250)
		}
		// Without a good-bye the broker publishes our will.
		x.wire.Close()
	})
	defer func() { <-gone }()
	c.mu.Lock()
	var filters []string
	for _, s := range c.subs {
		if !slices.Contains(filters, s.filter) {
			filters = append(filters, s.filter)
		}
	}
	c.mu.Unlock()
	refused := map[string]bool{}
	if !x.subscribe(filters, refused) {
		<-x.ctx.Done()
		return context.Cause(x.ctx)
	}
	c.mu.Lock()
	if !c.closed {
		c.conn = x
		c.refused = refused
		c.tell(true, "")
		// What was subscribed to or stopped meanwhile.
		for _, s := range c.subs {
			if !slices.Contains(filters, s.filter) {
				x.syncLater(s.filter)
			}
		}
		for _, f := range filters {
			if !c.wanted(f) {
				x.syncLater(f)
			}
		}
	}
	n, address := c.ups, c.address
	c.mu.Unlock()
	c.cfg.Logger.Info("connected to the broker", "address", address, "connection", n)
	if c.cfg.OnUp != nil {
		x.own.Go(func() { c.cfg.OnUp(x.ctx, n) })
	}
	x.own.Go(x.subscriber)
	x.own.Go(x.send)
	<-x.ctx.Done()
	x.own.Wait()
	// What this connection read last must not come after what the next one reads.
	x.taking.Lock()
	defer x.taking.Unlock()
	return context.Cause(x.ctx)
}

// send gives paho one message after the other, with at most Window on their
// way.
func (x *conn) send() {
	for {
		p := x.next()
		if p == nil {
			select {
			case <-x.toSend:
				continue
			case <-x.ctx.Done():
				return
			}
		}
		token := x.paho.Publish(p.m.Topic, qos(p.m), p.m.Retain, p.m.Payload)
		if p.m.Sample {
			select {
			case <-token.Done():
			case <-x.ctx.Done():
				return // it is taken back
			}
		}
		select {
		case <-token.Done():
			if err := token.Error(); err != nil {
				// Not written, or written in part: nothing may overtake it here.
				x.end(err)
				return
			}
		default:
		}
		if p.m.Sample {
			x.mu.Lock()
			x.current = nil
			x.mu.Unlock()
			x.c.mu.Lock()
			x.c.finish(p, nil)
			x.c.mu.Unlock()
		}
	}
}

// next takes the oldest unsent message, nil while there is none or the window
// is full.
func (x *conn) next() *pending {
	c := x.c
	c.mu.Lock()
	defer c.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx.Err() != nil || c.conn != x || x.wire.full() || len(x.onTheWay) >= c.cfg.Window {
		return nil
	}
	front := c.unsent.Front()
	if front == nil {
		return nil
	}
	p := front.Value.(*pending)
	c.unsent.Remove(front)
	p.at = nil
	x.current = p
	return p
}

// takeBack gives what is on its way, oldest first, without what was given up.
// c.mu is held.
func (x *conn) takeBack() []*pending {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []*pending
	if x.current != nil {
		x.onTheWay["current"] = x.current
		x.current = nil
	}
	for key, p := range x.onTheWay {
		delete(x.onTheWay, key)
		if !p.ended {
			out = append(out, p)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].serial < out[j].serial })
	return out
}

// receive takes a message from paho, which reads no further until it returns,
// and acknowledges it when it is with its handlers. After the end of the
// connection it takes nothing more: the broker still has what was not
// acknowledged, and sends it again in its place.
func (x *conn) receive(_ paho.Client, m paho.Message) {
	x.taking.Lock()
	defer x.taking.Unlock()
	if x.ctx.Err() != nil {
		return
	}
	msg := uplink.Message{Topic: m.Topic(), Payload: m.Payload(), Retain: m.Retained(), Sample: m.Qos() == 0}
	fitting := x.c.fitting(msg.Topic)
	if len(fitting) == 0 && x.c.cfg.Leave {
		return
	}
	for _, s := range fitting {
		select {
		case s.queue <- msg:
		case <-s.ctx.Done():
		case <-x.ctx.Done():
			return
		}
	}
	m.Ack()
}

// sync makes the broker's view of a filter ours and waits for the answer;
// false is a refusal. A connection that ends meanwhile is none.
func (x *conn) sync(filter string) bool {
	ok := make(chan bool, 1)
	select {
	case x.syncs <- syncing{filter, ok}:
	case <-x.ctx.Done():
		return true
	}
	select {
	case answer := <-ok:
		return answer
	case <-x.ctx.Done():
		return true
	}
}

// syncLater is sync for who cannot wait.
func (x *conn) syncLater(filter string) {
	go func() {
		select {
		case x.syncs <- syncing{filter: filter}:
		case <-x.ctx.Done():
		}
	}()
}

// subscriber does what sync asks for, one after the other, so that a
// subscription that follows its own end does not overtake it.
func (x *conn) subscriber() {
	for {
		select {
		case s := <-x.syncs:
			x.syncNow(s)
		case <-x.ctx.Done():
			return
		}
	}
}

func (x *conn) syncNow(s syncing) {
	c := x.c
	c.mu.Lock()
	wanted := c.wanted(s.filter)
	c.mu.Unlock()
	if !wanted {
		x.answered(x.paho.Unsubscribe(s.filter))
		if s.ok != nil {
			s.ok <- true
		}
		return
	}
	refused := map[string]bool{}
	if !x.subscribe([]string{s.filter}, refused) {
		return
	}
	if s.ok != nil {
		s.ok <- !refused[s.filter]
		return
	}
	c.mu.Lock()
	if refused[s.filter] && c.conn == x {
		c.refused[s.filter] = true
		c.tell(true, "")
	}
	c.mu.Unlock()
}

// subscribe asks for filters, one packet each, and waits for all answers. The
// refused ones are put into refused; false means that the connection is no
// good any more.
func (x *conn) subscribe(filters []string, refused map[string]bool) bool {
	var tokens []*paho.SubscribeToken
	for _, f := range filters {
		t, ok := x.paho.Subscribe(f, 1, nil).(*paho.SubscribeToken)
		if !ok {
			x.end(errors.New("the MQTT library gives no answer to a subscription"))
			return false
		}
		tokens = append(tokens, t)
	}
	for i, t := range tokens {
		if !x.answered(t) {
			return false
		}
		if code, ok := t.Result()[filters[i]]; !ok || code == 0x80 {
			refused[filters[i]] = true
		}
	}
	return true
}

// answered waits for a token, and gives the connection up if it does not come.
func (x *conn) answered(t paho.Token) bool {
	timer := time.NewTimer(subscribeTimeout)
	defer timer.Stop()
	select {
	case <-t.Done():
		if t.Error() == nil {
			return true
		}
		x.end(t.Error())
	case <-timer.C:
		x.end(errors.New("the broker does not answer a subscription"))
	case <-x.ctx.Done():
	}
	return false
}

func qos(m uplink.Message) byte {
	if m.Sample {
		return 0
	}
	return 1
}
