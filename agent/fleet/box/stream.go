package box

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"payagent/agent/fleet"
	"payagent/queue"
)

// The bounds of telling.
const (
	window    = 256               // events that are told and not acknowledged, per stream
	chunk     = fleet.BatchEvents // order events between two looks at the alarms
	saveEvery = 5 * time.Second
	firstWait = 30 * time.Second // for an ack, then the window is told again
	longWait  = 10 * time.Minute
	historic  = time.Minute
)

// hubSilent is how long the hub may acknowledge nothing while events wait,
// until it is an alarm.
const hubSilent = 10 * time.Minute

// stream tells one kind of events, in the order of the log. It belongs to tell.
type stream struct {
	b    *Box
	name string
	// next reads on: what there is after a record, up to which record it has
	// looked, and the oldest record still kept.
	next func(after uint64, limit int) (list []item, read, first uint64, err error)

	acked   uint64 // sequence of the last event acknowledged, 0 for none
	read    uint64 // records up to here were looked at
	saved   [2]uint64
	savedAt time.Time
	ready   []item
	batch   bytes.Buffer // the last message
	flight  []flown
	conn    *conn
	gen     context.Context // of what is under way
	stop    context.CancelFunc
	moved   time.Time // when something was acknowledged last, or telling began
	wait    time.Duration
	more    bool       // there may be records that were not looked at
	ahead   chan *look // gets what follows what is ready, while that is told; nil: nobody looks
	unheard time.Time  // since when something is told and nothing acknowledged; zero for nothing told
}

// item is one event that is owed. Telling begins anew behind before.
type item struct {
	_           [0]func() // never compared: no code is made for it
	seq, before uint64
	at          int64 // Unix ms
	kind        string
	subject     string
	data        any
	trace       string // of an order; empty
	sealed      string // the patient, for the hub; empty
}

// flown is an event that was handed to the broker.
type flown struct {
	seq, before uint64
	in          *message
}

func (s *stream) cursor() string     { return "fleet-" + s.name }
func (s *stream) readCursor() string { return "fleet-" + s.name + "-read" }

// begin reads where the last start stopped.
func (s *stream) begin() error {
	acked, err := s.b.o.Cursors.Cursor(s.cursor())
	if err != nil {
		return err
	}
	read, err := s.b.o.Cursors.Cursor(s.readCursor())
	if err != nil {
		return err
	}
	s.acked, s.read = uint64(acked), max(uint64(acked), uint64(read))
	s.b.mu.Lock()
	s.b.acks[s.name] = s.acked // a word below it is one of a hub that has less
	s.b.mu.Unlock()
	s.saved, s.moved, s.more = [2]uint64{uint64(acked), uint64(read)}, time.Now(), true
	return nil
}

// behind is where reading would begin after a restart.
func (s *stream) behind() uint64 {
	switch {
	case len(s.flight) > 0:
		return s.flight[0].before
	case len(s.ready) > 0:
		return s.ready[0].before
	}
	return s.read
}

// again begins anew behind the cursor.
func (s *stream) again() {
	s.read = s.behind()
	s.flight, s.ready, s.more = nil, nil, true
	if s.stop != nil {
		s.stop()
	}
	s.gen, s.stop = nil, nil
}

// settle takes in what was acknowledged, by the hub or by the broker.
func (s *stream) settle(ack uint64) {
	for i := range s.flight {
		m := s.flight[i].in
		if m.ack == nil {
			continue
		}
		select {
		case err := <-m.ack:
			m.ack, m.lost = nil, err != nil
			continue
		default:
		}
		break
	}
	done := 0
	for done < len(s.flight) {
		f := s.flight[done]
		if s.b.o.PubAck && (f.in.ack != nil || f.in.lost) || !s.b.o.PubAck && f.seq > ack {
			break
		}
		s.acked = f.seq
		done++
	}
	s.flight = s.flight[done:]
	if done > 0 {
		s.moved, s.wait, s.unheard = time.Now(), 0, time.Now()
		s.b.stats.add(&s.b.stats.acked, uint64(done))
	}
	if done > 0 && len(s.flight) == 0 {
		s.unheard = time.Time{}
	}
	// The hub may have more than we remember having told, after a loss of the
	// cursor: everything up to its word is durable there.
	if !s.b.o.PubAck && ack > s.acked && ack > s.read && ack <= s.b.o.Agent.LastEvent() {
		s.again()
		s.acked, s.read, s.unheard = ack, ack, time.Time{}
	}
}

// fill reads and hands to the broker what the window has room for, limit events
// at most. more tells that there is more to do at once.
func (s *stream) fill(c *conn, limit int) (more bool, err error) {
	if s.conn != c {
		s.again()
		s.conn, s.wait, s.moved = c, 0, time.Now()
	}
	if s.gen == nil {
		s.gen, s.stop = context.WithCancel(c.ctx)
	}
	for limit > 0 && len(s.flight) < window {
		// In a backlog only whole batches leave: what the window has room for at
		// the moment may be one event, and would be one event ever after.
		if len(s.ready) < fleet.BatchEvents && s.more {
			if s.more, err = s.load(); err != nil {
				return false, err
			}
			if s.more && len(s.ready) < fleet.BatchEvents {
				return true, nil
			}
		}
		n := min(limit, len(s.ready), fleet.BatchEvents)
		if n == 0 || n > window-len(s.flight) {
			return false, nil
		}
		if n, err = s.send(n); err != nil {
			return false, err
		}
		limit -= n
	}
	return limit == 0, nil
}

// previous is the sequence of the event before the next one.
func (s *stream) previous() uint64 {
	if n := len(s.flight); n > 0 {
		return s.flight[n-1].seq
	}
	return s.acked
}

// readAhead is how many records are looked at in one go.
const readAhead = 256

// look is what next gave after a record.
type look struct {
	after       uint64
	list        []item
	read, first uint64
	err         error
}

func (s *stream) look(after uint64) *look {
	l := &look{after: after}
	l.list, l.read, l.first, l.err = s.next(after, readAhead)
	return l
}

// rest waits until nobody looks ahead, and gives what was seen; nil for nothing.
func (s *stream) rest() (l *look) {
	if s.ahead != nil {
		l = <-s.ahead
		s.ahead = nil
	}
	return l
}

// load reads on. A stretch of the log that is gone becomes one gap. In a backlog
// the next stretch is read while this one is told.
func (s *stream) load() (more bool, err error) {
	l := s.rest()
	if l == nil || l.after != s.read || l.err != nil {
		l = s.look(s.read)
	}
	list, read, first, err := l.list, l.read, l.first, l.err
	if err != nil {
		return false, err
	}
	if first > s.read+1 {
		g := fleet.Gap{From: s.read + 1, To: first - 1, Reason: "pruned"}
		s.ready = append(s.ready, item{seq: g.To, before: s.read, at: s.b.o.Agent.Now().Wall, kind: fleet.TypeGap, subject: s.name, data: g})
		s.read = g.To
		s.b.stats.add(&s.b.stats.gaps, 1)
		return true, nil
	}
	before := s.read
	for i := range list {
		list[i].before = before
		before = list[i].seq
	}
	s.ready, s.read = append(s.ready, list...), read
	more = read < s.b.o.Agent.LastEvent()
	if more && len(list) > 0 {
		ahead := make(chan *look, 1)
		s.ahead = ahead
		go func() { ahead <- s.look(read) }()
	}
	return more, nil
}

// late tells again what nobody acknowledged, with growing pauses.
func (s *stream) late() {
	// A hub that says by itself that it has less is not made to wait for the next
	// payment. Where the broker's word counts, it is no reason.
	asked := len(s.flight) == 0 && !s.b.o.PubAck && s.b.less(s.name)
	if len(s.flight) == 0 && !asked || time.Since(s.moved) < s.pause() {
		return
	}
	if !asked {
		s.b.log.Info("events are told again, nobody acknowledged them", "stream", s.name, "events", len(s.flight))
		s.b.stats.add(&s.b.stats.again, 1)
	}
	s.wait, s.moved = min(2*s.pause(), longWait), time.Now()
	s.again()
	if low, ok := s.b.lower(s.name); ok && low < s.acked {
		// The hub is new, or was put back from a copy: it gets all of it again.
		s.b.log.Warn("the hub has less than it acknowledged; events are told anew", "stream", s.name, "hub", low, "box", s.acked)
		s.acked, s.read, s.saved[1] = low, low, low
	}
}

func (s *stream) pause() time.Duration { return max(s.wait, firstWait) }

// save writes the cursors, now and then.
func (s *stream) save(always bool) error {
	at := [2]uint64{s.acked, s.saved[1]}
	if len(s.flight) == 0 && len(s.ready) == 0 {
		at[1] = s.read
	}
	if at == s.saved || !always && time.Since(s.savedAt) < saveEvery {
		return nil
	}
	if at[0] != s.saved[0] {
		if err := s.b.o.Cursors.SetCursor(s.cursor(), queue.Seq(at[0])); err != nil {
			return err
		}
	}
	// Reading on costs little: records without events are no reason to write.
	if at[0] != s.saved[0] || at[1] > s.saved[1]+readFar {
		if err := s.b.o.Cursors.SetCursor(s.readCursor(), queue.Seq(at[1])); err != nil {
			return err
		}
		s.saved = at
	}
	s.savedAt = time.Now()
	return nil
}

// readFar is how many records without an event are read anew after a restart,
// at most, rather than noting the place.
const readFar = 2000

// settleFor is how long what changed is left alone: a payment that is being
// made comes first, and its records are read once.
const settleFor = 250 * time.Millisecond

// tell is the loop of both streams: alarms go first.
func (b *Box) tell(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer b.alarms.rest()
	defer b.orders.rest()
	changed := b.o.Agent.Changed()
	var look time.Time // when what changed is looked at; zero for nothing changed
	var calm func()    // ends the hurry; nil for none
	defer func() { b.hurry(false, &calm) }()
	for {
		if !look.IsZero() && !time.Now().Before(look) {
			changed, look = b.o.Agent.Changed(), time.Time{}
			b.alarms.more, b.orders.more = true, true
		}
		c, rung := b.online()
		b.hurry(c != nil && b.o.Agent.LastEvent() > b.orders.read+readAhead, &calm)
		var down <-chan struct{}
		more, err := false, error(nil)
		b.mu.Lock()
		ackAlarms, ackOrders := b.acks[fleet.StreamAlarms], b.acks[fleet.StreamOrders]
		b.mu.Unlock()
		b.alarms.settle(ackAlarms)
		b.orders.settle(ackOrders)
		if c != nil {
			down = c.ctx.Done()
			if more, err = b.alarms.fill(c, window); err == nil && !more {
				more, err = b.orders.fill(c, chunk)
			}
			b.alarms.late()
			b.orders.late()
		}
		if err == nil {
			err = b.keep(ctx.Err() != nil)
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if more {
			continue
		}
		wait := saveEvery
		if !look.IsZero() {
			wait = max(time.Until(look), 0)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-changed:
			changed, look = nil, time.Now().Add(settleFor)
		case <-rung:
		case <-down:
		case err := <-b.alarms.oldest():
			b.alarms.took(err)
		case err := <-b.orders.oldest():
			b.orders.took(err)
		case <-timer.C:
		}
	}
}

// hurry begins or ends one.
func (b *Box) hurry(on bool, calm *func()) {
	switch {
	case on && *calm == nil && b.o.Hurry != nil:
		*calm = b.o.Hurry()
	case !on && *calm != nil:
		(*calm)()
		*calm = nil
	}
}

// oldest is the channel of the first message whose fate at the broker is open.
func (s *stream) oldest() <-chan error {
	for _, f := range s.flight {
		if f.in.ack != nil {
			return f.in.ack
		}
	}
	return nil
}

func (s *stream) took(err error) {
	for _, f := range s.flight {
		if f.in.ack != nil {
			f.in.ack, f.in.lost = nil, err != nil
			return
		}
	}
}

// keep writes cursors and how far events were told.
func (b *Box) keep(always bool) error {
	high := uint64(0)
	for _, s := range []*stream{b.alarms, b.orders} {
		if err := s.save(always); err != nil {
			return fmt.Errorf("cannot note how far events were told: %w", err)
		}
		high = max(high, s.previous())
	}
	known := uint64(0)
	b.book.read(func(v *bookData) { known = v.High })
	if high > known {
		b.book.edit(func(v *bookData) { v.High = high })
	}
	if b.count() {
		b.say()
	}
	return nil
}

// count finds what waits. It is true once, when all that a start found has been
// acknowledged: the fleet need not wait for the next status to know.
func (b *Box) count() (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counted = b.o.Agent.LastEvent()
	b.status.Waiting, b.status.Acked = b.owed(b.counted), fleet.Ack{Epoch: b.epoch, Seq: b.orders.acked}
	b.unheard = time.Time{}
	for _, s := range []*stream{b.alarms, b.orders} {
		if !s.unheard.IsZero() && (b.unheard.IsZero() || s.unheard.Before(b.unheard)) {
			b.unheard = s.unheard
		}
	}
	first = b.status.Waiting == 0 && !b.quiet
	b.quiet = b.quiet || first
	return first
}

// silent tells whether the hub has acknowledged nothing for long, although it
// could.
func (b *Box) silent() bool {
	l, _ := b.bus.Link()
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.o.PubAck && l.Up && l.Since >= hubSilent && !b.unheard.IsZero() && time.Since(b.unheard) >= hubSilent
}

// owed is how many records up to last may hold events that nobody acknowledged.
// It belongs to tell.
func (b *Box) owed(last uint64) int {
	n := 0
	for _, s := range []*stream{b.alarms, b.orders} {
		n += len(s.flight) + len(s.ready)
	}
	if last > b.orders.read {
		n += int(last - b.orders.read)
	}
	return n
}

func (b *Box) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status.Waiting
}
