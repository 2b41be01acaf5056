package uplinktest

import (
	"context"
	"slices"
	"sync"
	"time"

	"payagent/uplink"
)

// Broker is a message broker in memory: retained messages, wildcards, wills,
// persistent sessions, acknowledgements, and faults on demand. Its clients are
// right members of uplink.Bus (the bus suite says so) that come back at once,
// without waiting for a phase of their own. It uses timers only for faults, so
// it works in a synctest bubble.
type Broker struct {
	mu       sync.Mutex
	sessions map[string]*session
	clients  []*client
	retained map[string]uplink.Message
	denied   []string
	refuse   bool
	faults   map[string]*faults // by client; "" is every client without its own
	accepted []uplink.Message
}

// faults is what goes wrong for a client.
type faults struct {
	delay, slow time.Duration
	dropAcks    int
	stalled     bool
}

// session is what the broker knows of a client, also while it is away.
type session struct {
	filters map[string]bool
	queue   []uplink.Message
	online  *client // nil while it is away
}

// kickedPause is how long a client stays away that another one with its name
// took over: two of them would otherwise never end.
const kickedPause = 40 * time.Second

// NewBroker starts a broker. Close ends it with all its clients.
func NewBroker() *Broker {
	return &Broker{sessions: map[string]*session{}, retained: map[string]uplink.Message{}, faults: map[string]*faults{}}
}

// Close closes every client.
func (b *Broker) Close() {
	b.mu.Lock()
	all := slices.Clone(b.clients)
	b.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// Client is how a client of the broker is opened.
type Client struct {
	Name string
	// Will makes the message that the broker sends if the n-th connection breaks
	// (n counts from 1); nil is no will. It is a function because a will must
	// tell which connection it belongs to (evcc #7801): uplink/mqtt's Config has
	// the same.
	Will func(n uint64) *uplink.Message
	// Clean asks the broker to forget the client when it goes.
	Clean bool
	// OnUp runs after every connect, n counts them from 1; ctx ends with the
	// connection.
	OnUp func(ctx context.Context, n uint64)
}

// Bus opens a client with a persistent session.
func (b *Broker) Bus(name string, will *uplink.Message) uplink.Bus {
	o := Client{Name: name}
	if will != nil {
		o.Will = func(uint64) *uplink.Message { return will }
	}
	return b.Open(o)
}

// Open opens a client.
func (b *Broker) Open(o Client) uplink.Bus {
	c := newClient(b, o)
	b.mu.Lock()
	b.clients = append(b.clients, c)
	b.mu.Unlock()
	c.start()
	return c
}

// Refuse refuses connections from now on (true) or takes them again. It breaks
// none: see Cut.
func (b *Broker) Refuse(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = on
	b.wakeAll()
}

// Cut breaks a client's connection without a good-bye, so that its will is
// sent; "" breaks all. It comes back unless the broker refuses it.
func (b *Broker) Cut(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n, s := range b.sessions {
		if s.online != nil && (name == "" || n == name) {
			b.drop(s.online, "the connection broke", true)
		}
	}
}

// Kill ends the broker and starts it anew: sessions with their subscriptions
// and waiting messages are gone, retained messages are not, no will is sent.
func (b *Broker) Kill() { b.die(false) }

// Forget is Kill, and the retained messages are gone too.
func (b *Broker) Forget() { b.die(true) }

func (b *Broker) die(all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.clients {
		b.drop(c, "the broker died", false)
	}
	b.sessions = map[string]*session{}
	if all {
		b.retained = map[string]uplink.Message{}
	}
}

// Deny forbids everybody what fits the filter, as mosquitto does it: a
// publication is acknowledged and thrown away, a subscription refused.
func (b *Broker) Deny(filter string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.denied = append(b.denied, filter)
}

// Delay makes every message of a client (or of all, "") reach the broker that
// much later; 0 ends it.
func (b *Broker) Delay(name string, d time.Duration) { b.fault(name, func(f *faults) { f.delay = d }) }

// Slow makes every message to a client take that long; 0 ends it.
func (b *Broker) Slow(name string, d time.Duration) { b.fault(name, func(f *faults) { f.slow = d }) }

// DropAck loses the next n acknowledgements to a client: the messages arrive,
// and are sent again when the connection has broken (see Cut).
func (b *Broker) DropAck(name string, n int) { b.fault(name, func(f *faults) { f.dropAcks = n }) }

// Stall swallows everything from and to a client while it looks connected,
// like a black hole; false lets it go on.
func (b *Broker) Stall(name string, on bool) { b.fault(name, func(f *faults) { f.stalled = on }) }

func (b *Broker) fault(name string, set func(*faults)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.faults[name]
	if f == nil {
		f = &faults{}
		b.faults[name] = f
	}
	set(f)
	b.wakeAll()
}

// faultsOf gives the faults of a client; b.mu is held.
func (b *Broker) faultsOf(name string) *faults {
	if f := b.faults[name]; f != nil {
		return f
	}
	if f := b.faults[""]; f != nil {
		return f
	}
	return &faults{}
}

// Retained gives the retained message at a topic.
func (b *Broker) Retained(topic string) (uplink.Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.retained[topic]
	return m, ok
}

// Accepted gives every message that the broker took, in order, repetitions
// included, whose topic fits the filter.
func (b *Broker) Accepted(filter string) []uplink.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []uplink.Message
	for _, m := range b.accepted {
		if uplink.Fits(filter, m.Topic) {
			out = append(out, m)
		}
	}
	return out
}

// deniedTopic tells whether a name fits what is denied; b.mu is held.
func (b *Broker) deniedTopic(topic string) bool {
	return slices.ContainsFunc(b.denied, func(f string) bool { return f == topic || uplink.Fits(f, topic) })
}

// route takes a message in; b.mu is held.
func (b *Broker) route(m uplink.Message) {
	if b.deniedTopic(m.Topic) {
		return
	}
	m.Payload = slices.Clone(m.Payload)
	b.accepted = append(b.accepted, m)
	if m.Retain {
		if len(m.Payload) == 0 {
			delete(b.retained, m.Topic)
		} else {
			b.retained[m.Topic] = m
		}
	}
	m.Retain = false
	for _, s := range b.sessions {
		if s.online == nil && m.Sample {
			continue
		}
		for f := range s.filters {
			if uplink.Fits(f, m.Topic) {
				s.queue = append(s.queue, m)
				break
			}
		}
		if s.online != nil {
			wake(s.online.inbound)
		}
	}
}

// connect brings a client up; b.mu is held.
func (b *Broker) connect(c *client) {
	s := b.sessions[c.o.Name]
	if s != nil && s.online != nil {
		b.drop(s.online, "another client has our name", true)
		s = b.sessions[c.o.Name]
	}
	if s == nil || c.o.Clean {
		s = &session{filters: map[string]bool{}}
		b.sessions[c.o.Name] = s
	}
	s.online = c
	c.up(s)
}

// subscribe is one SUBSCRIBE; false is a refusal. b.mu is held.
func (b *Broker) subscribe(s *session, filter string) bool {
	if b.deniedTopic(filter) {
		return false
	}
	s.filters[filter] = true
	var kept []string
	for topic := range b.retained {
		if uplink.Fits(filter, topic) {
			kept = append(kept, topic)
		}
	}
	slices.Sort(kept)
	for _, topic := range kept {
		s.queue = append(s.queue, b.retained[topic])
	}
	return true
}

// drop takes a client's connection away; b.mu is held.
func (b *Broker) drop(c *client, why string, will bool) {
	s := b.sessions[c.o.Name]
	if s == nil || s.online != c {
		return
	}
	s.online = nil
	if c.o.Clean {
		delete(b.sessions, c.o.Name)
	}
	c.down(why)
	if will && c.will != nil {
		b.route(*c.will)
	}
}

// wakeAll lets every client look again; b.mu is held.
func (b *Broker) wakeAll() {
	for _, c := range b.clients {
		wake(c.outbound)
		wake(c.inbound)
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
