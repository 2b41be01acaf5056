package agent

import (
	"slices"
	"sync"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
)

// memory is what readers see: the latest durable state of open orders, the
// tills' faces, health. Everything in it was written to disk before.
type memory struct {
	mu      sync.Mutex
	orders  map[string]*order.Order
	views   map[string]counter.View
	health  counter.Health
	alarms  []counter.Alarm
	replies map[uint64]chan counter.Reply
	next    uint64
	used    order.Instant            // when somebody last worked at a till
	touched order.Instant            // when something last happened at a till
	heard   map[string]order.Instant // platform → when it last answered a probe
	refused map[string]string        // profile → fingerprint of the token that was refused
	cards   map[string][]*kept       // till → cards that wait for the client that holds the scanner
	change  chan struct{}            // closed and replaced whenever something changed
	closed  bool
}

func newMemory() *memory {
	return &memory{orders: map[string]*order.Order{}, views: map[string]counter.View{}, heard: map[string]order.Instant{},
		replies: map[uint64]chan counter.Reply{}, refused: map[string]string{}, cards: map[string][]*kept{}, change: make(chan struct{})}
}

func (m *memory) lock() func() {
	m.mu.Lock()
	return m.mu.Unlock
}

// ring wakes everyone who waits for a change. The lock is held.
func (m *memory) ring() {
	if !m.closed {
		close(m.change)
		m.change = make(chan struct{})
	}
}

func (m *memory) close() {
	defer m.lock()()
	for till := range m.cards {
		m.dropCardsLocked(till, func(*kept) bool { return true })
	}
	if !m.closed {
		m.closed = true
		close(m.change)
	}
}

// refuse notes which token a platform refused, by its fingerprint.
func (m *memory) refuse(profile, mark string) {
	defer m.lock()()
	m.refused[profile] = mark
}

func (m *memory) refusedMark(profile string) string {
	defer m.lock()()
	return m.refused[profile]
}

// changed is closed at the next change.
func (m *memory) changed() <-chan struct{} {
	defer m.lock()()
	return m.change
}

func (m *memory) grew() {
	defer m.lock()()
	m.ring()
}

func (m *memory) put(o *order.Order) {
	defer m.lock()()
	m.orders[o.No] = o
	m.ring()
}

func (m *memory) drop(no string) {
	defer m.lock()()
	delete(m.orders, no)
}

func (m *memory) order(no string) *order.Order {
	defer m.lock()()
	return m.orders[no]
}

func (m *memory) open() []*order.Order {
	defer m.lock()()
	list := make([]*order.Order, 0, len(m.orders))
	for _, o := range m.orders {
		list = append(list, o)
	}
	return list
}

func (m *memory) show(v counter.View, now order.Now) {
	defer m.lock()()
	m.views[v.Till], m.touched = v, now.Instant
	m.dropCardsLocked(v.Till, func(k *kept) bool { return k.Session != v.Holder })
	m.ring()
}

func (m *memory) view(till string) (counter.View, bool) {
	defer m.lock()()
	v, ok := m.views[till]
	return v, ok
}

// inUse is how long a till counts as in use after somebody looked at it.
const inUse = 10 * time.Minute

// use notes that somebody works at a till.
func (m *memory) use(now order.Now) {
	defer m.lock()()
	m.used = now.Instant
}

// touch notes that something happened at a till that no screen shows.
func (m *memory) touch(now order.Now) {
	defer m.lock()()
	m.touched = now.Instant
}

// touchedWithin tells whether something happened at any till in the last d.
func (m *memory) touchedWithin(d time.Duration, now order.Now) bool {
	defer m.lock()()
	return m.touched != (order.Instant{}) && now.Age(m.touched) < d
}

// probed notes that a platform answered.
func (m *memory) probed(platform string, now order.Now) {
	defer m.lock()()
	m.heard[platform] = now.Instant
}

// heardOf tells whether a platform answered a moment ago.
func (m *memory) heardOf(platform string, now order.Now, within time.Duration) bool {
	defer m.lock()()
	at, ok := m.heard[platform]
	return ok && now.Age(at) < within
}

// lastHeard tells how long ago a platform answered.
func (m *memory) lastHeard(platform string, now order.Now) (time.Duration, bool) {
	defer m.lock()()
	at, ok := m.heard[platform]
	return now.Age(at), ok
}

// busy tells whether a till is in use: an order is open, or somebody looked at
// a till lately.
func (m *memory) busy(now order.Now) bool {
	defer m.lock()()
	if m.used.Boot == now.Boot && now.Age(m.used) < inUse {
		return true
	}
	for _, o := range m.orders {
		if !o.State().Final() {
			return true
		}
	}
	return false
}

func (m *memory) setHealth(h counter.Health) {
	defer m.lock()()
	m.health = h
	m.ring()
}

func (m *memory) getHealth() counter.Health {
	defer m.lock()()
	return m.health
}

// down tells whether the counter takes a platform for unreachable.
func (m *memory) down(platform string) bool {
	defer m.lock()()
	return slices.Contains(m.health.Down, platform)
}

func (m *memory) tokenBad(profile string) bool {
	defer m.lock()()
	for _, p := range m.health.BadTokens {
		if p == profile {
			return true
		}
	}
	return false
}

// keptAlarms bounds the alarms kept for people to look at.
const keptAlarms = 100

func (m *memory) alarm(a counter.Alarm) {
	defer m.lock()()
	m.alarms = append(m.alarms, a)
	if len(m.alarms) > keptAlarms {
		m.alarms = append([]counter.Alarm(nil), m.alarms[len(m.alarms)-keptAlarms:]...)
	}
	m.ring()
}

// expect opens a place for a reply.
func (m *memory) expect() (uint64, chan counter.Reply) {
	defer m.lock()()
	m.next++
	ch := make(chan counter.Reply, 1)
	m.replies[m.next] = ch
	return m.next, ch
}

func (m *memory) forget(id uint64) {
	defer m.lock()()
	delete(m.replies, id)
}

func (m *memory) answer(r counter.Reply) {
	defer m.lock()()
	if ch := m.replies[r.ID]; ch != nil {
		ch <- r
		delete(m.replies, r.ID)
	}
}
