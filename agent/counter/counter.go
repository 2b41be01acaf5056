// Package counter is the whole counter as a pure value: orders, bills, tills,
// scans and keys. [Counter.Step] takes one event and the time and gives back
// what must be done, as data; it does no I/O, reads no clock, draws no random
// number and starts no goroutine, so that the same events give the same
// effects, in a test as at the window.
//
// Recovery is not a second path: [Recover] hands over the open orders that the
// log held, and from then on they run through the same loop as new ones.
package counter

import (
	"container/heap"
	"maps"
	"slices"
	"sort"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// Config is what the counter must know. It never changes while it runs.
type Config struct {
	Tills     map[string]Till
	Platforms map[string]Platform
	Recognise func(text, symbology string) platforms.Scanned
	// DoubleRead is how long the same code read again counts as one read.
	DoubleRead time.Duration
	// CodeOnce is how long a payment code is remembered as used.
	CodeOnce time.Duration
	// CodeLimit is the age after which a code never leaves, whatever a
	// platform's own CodeAge says (invariant I11).
	CodeLimit time.Duration
	// RefundAlone is the sum of an order's refunds up to which one person may
	// give money back; above it a second one is needed. 0: one is enough.
	RefundAlone platforms.Fen
	Reverse     Reverse
	// Replaced: another box is in the place of this one; see Replace.
	Replaced bool
}

// Reverse says how the payment of an order that HIS could not book goes back.
type Reverse struct {
	With     order.Via          // ViaCancel by default
	Through  string             // platform that a cancel goes through; empty: the order's own
	Merchant platforms.Merchant // the credentials there
}

// Till is a place that takes money.
type Till struct {
	Name     string
	Online   bool          // no place where people stand: any number of orders at once, none in front
	TwoCodes time.Duration // hold a scan this long: another code in that time refuses both; 0 holds none
	// Devices says what each scanner is for, by name. One that is not named
	// counts as a pad.
	Devices map[string]Device
}

// Role says whose a scanner is.
type Role string

// The roles of scanners.
const (
	RolePad Role = "pad" // the patient's: payment codes only
	RoleGun Role = "gun" // the cashier's: payment codes and cards
)

// Device is what the counter knows of a scanner.
type Device struct {
	Role  Role
	NoPay bool // its codes never pay
}

// Platform is what the counter knows of a platform.
type Platform struct {
	Traits  platforms.Traits
	Policy  order.Policy
	Charge  bool
	Present map[platforms.Mode]bool // of the shown modes, which
	Refund  bool
}

// Counter is the state. It is not safe for concurrent use.
type Counter struct {
	cfg      Config
	now      order.Now
	out      []Effect
	orders   map[string]*entry
	bills    map[string][]string // bill → orders in memory, oldest first
	keys     map[string]string   // idempotency key → order in memory
	codes    map[string]string   // code hash → order in memory
	requests map[string]string   // refund number → order in memory
	flows    map[string]string   // HIS's flow id → order in memory
	hisBooks bool                // HIS has booked a payment of ours before
	linkUp   bool                // HIS can be reached
	linkAt   order.Instant
	tills    map[string]*till
	names    []string // of the tills, sorted
	down     map[string]bool
	clock    map[string]bool // of down: this machine's clock is why
	noToken  map[string]bool
	pending  map[uint64]pending
	rung     map[string]order.Instant // orders that a message had asked about a moment ago
	token    uint64
	seq      int
	grown    []*entry // orders changed in this step
	wakes    wakeHeap
	diskLow  bool
	stopped  bool
	ready    bool // recovered
	shown    Health
}

type entry struct {
	o       *order.Order
	seq     int // order of arrival
	wake    time.Duration
	endTok  uint64 // lookups up to this one may not know its last fact
	changed bool
	restore []order.Refund // refunds known from the slots only
	fetched bool           // a message had it fetched after its watch was over
	acks    []uint64       // replies that wait for what the platform answers
}

// New makes an empty counter. It answers requests once it got Recover.
func New(cfg Config) *Counter {
	c := &Counter{cfg: cfg, orders: map[string]*entry{}, bills: map[string][]string{}, keys: map[string]string{}, codes: map[string]string{}, requests: map[string]string{}, flows: map[string]string{},
		tills: map[string]*till{},
		down:  map[string]bool{}, clock: map[string]bool{}, noToken: map[string]bool{}, pending: map[uint64]pending{}, rung: map[string]order.Instant{}}
	c.names = slices.Sorted(maps.Keys(cfg.Tills))
	for _, name := range c.names {
		t := &till{cfg: cfg.Tills[name]}
		for _, device := range slices.Sorted(maps.Keys(t.cfg.Devices)) {
			t.gun = t.gun || t.cfg.Devices[device].Role == RoleGun
		}
		c.tills[name] = t
	}
	return c
}

// Step takes one event at one time and gives the effects, in order.
func (c *Counter) Step(now order.Now, ev Event) []Effect {
	c.now, c.out = now, nil
	c.wakeDue() // after a suspend, what is overdue comes before what is new
	if id, moves := c.movesElsewhere(ev); moves {
		c.reply(Reply{ID: id, Code: CodeReplaced})
		c.finish()
		return c.out
	}
	switch e := ev.(type) {
	case Create:
		c.create(e)
	case Scan:
		c.scan(e)
	case Claim:
		c.claim(e)
	case Retain:
		c.retain(e)
	case Release:
		c.release(e)
	case Act:
		c.act(e)
	case AskRefund:
		c.askRefund(e)
	case Told:
		c.told(e)
	case Book:
		c.book(e)
	case HisLink:
		c.hisLink(e.Up)
	case Decide:
		c.decide(e)
	case Propose:
		c.propose(e)
	case Adopt:
		c.adopt(e)
	case TakeOver:
		c.takeOver(e)
	case Replace:
		c.replace()
	case Notified:
		c.notified(e)
	case Authorise:
		c.authorise(e)
	case TokenDone:
		c.tokenDone(e)
	case Settle:
		c.settle(e)
	case Found:
		c.found(e)
	case PayDone:
		c.payDone(e)
	case QueryDone:
		c.queryDone(e)
	case CancelDone:
		c.heard(e.Order, e.Err, func(x *entry, _ Platform) order.Verdict {
			return x.o.HearCancel(c.now, e.Answer, e.Err)
		})
	case RefundDone:
		c.heard(e.Order, e.Err, func(x *entry, _ Platform) order.Verdict {
			return x.o.HearRefund(c.now, e.Request, e.Answer, e.Err)
		})
	case Reach:
		c.reach(e)
	case Token:
		c.setToken(e.Profile, e.OK)
	case Disk:
		c.diskLow = e.Low
	case Presence:
		if t := c.tills[e.Till]; t != nil && t.noScanner == e.Scanner {
			t.noScanner, t.dirty = !e.Scanner, true
		}
	case StorageFailed:
		c.stopped = true
	case ResolveAll:
		c.hurry("")
		c.reply(Reply{ID: e.Reply, Code: CodeAccepted})
	case Flush:
		c.reply(Reply{ID: e.Reply, Code: CodeDone})
	case Recover:
		c.recover(e)
	}
	c.wakeDue()
	c.finish()
	return c.out
}

// Deadline is the Mono at which a Tick will do something; order.Never if none.
func (c *Counter) Deadline() time.Duration {
	at := order.Never
	if len(c.wakes) > 0 {
		at = c.wakes[0].at
	}
	for _, name := range c.names {
		t := c.tills[name]
		if t.held != nil && t.held.order != "" {
			at = min(at, t.held.at+t.cfg.TwoCodes)
		}
		if due, ok := t.claims.due(); ok {
			at = min(at, due)
		}
	}
	return at
}

// Order gives a copy of an order that is in memory.
func (c *Counter) Order(no string) *order.Order {
	if x := c.orders[no]; x != nil {
		return x.o.Clone()
	}
	return nil
}

// OpenOrders lists the orders in memory, oldest first: the open ones and those
// still watched for late money.
func (c *Counter) OpenOrders() []*order.Order {
	var list []*order.Order
	for _, x := range c.sorted() {
		list = append(list, x.o.Clone())
	}
	return list
}

func (c *Counter) sorted() []*entry {
	list := slices.Collect(maps.Values(c.orders))
	sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
	return list
}

func (c *Counter) emit(e Effect) { c.out = append(c.out, e) }
func (c *Counter) reply(r Reply) {
	if r.ID != 0 {
		c.emit(r)
	}
}

func (c *Counter) platform(x *entry) Platform { return c.cfg.Platforms[x.o.Platform] }

// add takes an order into memory.
func (c *Counter) add(o *order.Order) *entry {
	c.seq++
	x := &entry{o: o, seq: c.seq, wake: order.Never}
	c.orders[o.No] = x
	if o.Bill != "" {
		c.bills[o.Bill] = append(c.bills[o.Bill], o.No)
	}
	c.index(x)
	c.linked(x)
	if t := c.tills[o.Till]; t != nil && o.State() == order.Queued {
		t.queue = append(t.queue, o.No)
	}
	c.touch(x)
	return x
}

// index keeps what memory finds orders by.
func (c *Counter) index(x *entry) {
	for _, k := range x.o.Keys {
		if k.Key != "" {
			c.keys[k.Key] = x.o.No
		}
	}
	if x.o.CodeHash != "" {
		c.codes[x.o.CodeHash] = x.o.No
	}
	for _, r := range x.o.Refunds {
		c.requests[r.Request] = x.o.No
	}
	for _, f := range flowsOf(x.o) {
		c.flows[f] = x.o.No
	}
}

// remove forgets an order; the log keeps it.
func (c *Counter) remove(x *entry) {
	delete(c.orders, x.o.No)
	for _, k := range x.o.Keys {
		delete(c.keys, k.Key)
	}
	delete(c.codes, x.o.CodeHash)
	for _, r := range x.o.Refunds {
		delete(c.requests, r.Request)
	}
	for _, f := range flowsOf(x.o) {
		delete(c.flows, f)
	}
	list := slices.DeleteFunc(c.bills[x.o.Bill], func(no string) bool { return no == x.o.No })
	if len(list) == 0 {
		delete(c.bills, x.o.Bill)
	} else {
		c.bills[x.o.Bill] = list
	}
}

// write applies a fact and puts it into the log. A fact that the order forbids
// would be a fault of this package; it is dropped and an alarm raised, because
// a wrong fact on disk is worse than a missing one.
func (c *Counter) write(x *entry, f order.Fact, w Write) bool {
	if err := x.o.Apply(f); err != nil {
		c.emit(Alarm{Code: "fact_refused", Order: x.o.No})
		return false
	}
	w.Order, w.Fact = x.o.No, &f
	c.emit(w)
	c.touch(x)
	c.index(x)
	x.endTok = c.token // a lookup under way may have missed this fact
	return true
}

func (c *Counter) touch(x *entry) {
	if !x.changed {
		x.changed = true
		c.grown = append(c.grown, x)
	}
}

func (c *Counter) fact(x *entry, k order.Kind) order.Fact {
	return order.Fact{Kind: k, Order: x.o.No, At: c.now.Instant}
}

// heard runs a judge over a reply and carries out its verdict.
func (c *Counter) heard(no string, err error, judge func(*entry, Platform) order.Verdict) {
	x := c.orders[no]
	if x == nil {
		return
	}
	p := c.platform(x)
	if r := x.o.Reversal(); x.o.Loop.Calling != order.VerbCancel || r == nil || !c.elsewhere(r.Refund) {
		c.noteReach(x, err) // else another platform was called
	}
	v := judge(x, p)
	c.carry(x, v)
	c.advance(x)
}

func (c *Counter) payDone(e PayDone) {
	c.heard(e.Order, e.Err, func(x *entry, p Platform) order.Verdict {
		v := x.o.HearPay(p.Traits, c.now, e.Verb, e.Answer, e.Err)
		if len(v.Facts) > 0 && e.Answer.QR != "" {
			x.o.Private.PayString = platforms.Hide(e.Answer.PayString)
		}
		return v
	})
}

func (c *Counter) carry(x *entry, v order.Verdict) {
	for _, f := range v.Facts {
		var w Write
		if f.Answer != nil && f.Answer.TradeNo != "" && f.Answer.TradeNo != x.o.TradeNo && len(f.Answer.TradeNo) <= 64 {
			w.Keys = tradeKeys(f.Answer.TradeNo)
		}
		if c.write(x, f, w) && f.Kind == order.KindDoubt {
			c.emit(Alarm{Code: AlarmDoubt, Order: x.o.No, Platform: x.o.Platform})
		}
	}
	if v.Alarm != "" {
		c.emit(Alarm{Code: v.Alarm, Order: x.o.No, Platform: x.o.Platform})
	}
	if x.o.State() == order.Paid {
		c.restore(x)
	}
}

// finish tells the world what changed, once per step: the tills that are free
// again, the orders that grew, the screens.
func (c *Counter) finish() {
	for _, x := range c.grown {
		x.changed = false
		if x.o.State().Final() {
			x.o.Private = order.Private{}
		}
		c.emit(Changed{Order: x.o.Clone()})
		if t := c.tills[x.o.Till]; t != nil && (t.front == x.o.No || t.last == x.o.No || x.o.Queued) {
			t.dirty = true
		}
	}
	c.grown = c.grown[:0]
	for _, name := range c.names {
		c.settleTill(c.tills[name])
	}
	h := Health{Down: trueKeys(c.down), Clock: trueKeys(c.clock), BadTokens: trueKeys(c.noToken), DiskLow: c.diskLow, Stopped: c.stopped, Replaced: c.cfg.Replaced}
	if !slices.Equal(h.Down, c.shown.Down) || !slices.Equal(h.Clock, c.shown.Clock) || !slices.Equal(h.BadTokens, c.shown.BadTokens) ||
		h.DiskLow != c.shown.DiskLow || h.Replaced != c.shown.Replaced || h.Stopped != c.shown.Stopped {
		c.shown = h
		c.emit(h)
	}
}

func trueKeys(m map[string]bool) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if m[k] {
			list = append(list, k)
		}
	}
	return list
}

// wakeHeap finds the order that is due next. An entry may be stale: its time
// counts only while it equals the order's own.
type wake struct {
	at  time.Duration
	seq int
	no  string
}
type wakeHeap []wake

func (h wakeHeap) Len() int { return len(h) }
func (h wakeHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}
func (h wakeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *wakeHeap) Push(v any) { *h = append(*h, v.(wake)) }

// Pop removes the last element, for container/heap.
func (h *wakeHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	*h = old[:len(old)-1]
	return w
}

func (c *Counter) setWake(x *entry, at time.Duration) {
	if at == x.wake {
		return
	}
	x.wake = at
	if at != order.Never {
		heap.Push(&c.wakes, wake{at: at, seq: x.seq, no: x.o.No})
	}
}

// wakeDue advances the orders whose time has come and the scans held back.
func (c *Counter) wakeDue() {
	for len(c.wakes) > 0 && (c.wakes[0].at <= c.now.Mono || c.stale(c.wakes[0])) {
		w := heap.Pop(&c.wakes).(wake)
		if x := c.orders[w.no]; x != nil && x.wake == w.at && w.at <= c.now.Mono {
			x.wake = order.Never
			c.advance(x)
		}
	}
	for _, name := range c.names {
		c.releaseHeld(c.tills[name])
		c.tills[name].settleClaims(c.now.Mono)
	}
}

func (c *Counter) stale(w wake) bool {
	x := c.orders[w.no]
	return x == nil || x.wake != w.at
}
