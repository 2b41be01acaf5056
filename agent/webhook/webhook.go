// Package webhook tells a HIS what became of its orders by calling one address
// of it (HIS-03, OFF-07): every end of an order, every doubt, refund and
// booking, as a signed CloudEvent, from the durable log.
//
// What it promises, and its tests check. Every event arrives at least once, a
// repeated one with the same id. The events of one bill arrive in order. It
// never gives up: pauses grow from 10 s to 10 min. While the HIS is away
// nothing is lost, because the log is the queue and only a cursor moves; what
// was pruned before it could be told is told as one gap. A bill that the HIS
// refuses while it takes others holds up nobody: after [asideAfter] such
// refusals it is set aside in a record of its own, and is tried on with its own
// pauses. Until then at most [window] events may pass it.
//
// It is beside the payments: nothing of the counter waits for it.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue"
)

// The schedule and the bounds.
const (
	firstPause  = 10 * time.Second
	longPause   = 10 * time.Minute
	window      = 256             // events that are read ahead of the oldest that was not taken
	asideAfter  = 3               // refusals of one bill while others are taken, until it is set aside
	workers     = 4               // bills that are told at the same time
	saveEvery   = 5 * time.Second // the cursor is written at most this often
	reachEvery  = 30 * time.Second
	alarmAfter  = 10 * time.Minute
	callTimeout = 20 * time.Second // one call, from dialling to the last byte
	maxAnswer   = 64 << 10         // bytes of an answer that are read
)

// AlarmCode is raised when the oldest event waits longer than ten minutes.
const AlarmCode = "his_webhook_waits"

// cursorName is the place in the log up to which everything was taken or set
// aside.
const cursorName = "his-webhook"

// Source is where events come from; *agent.Agent is one.
type Source interface {
	Events(seq uint64, limit int) (list []agent.Event, first uint64, err error)
	LastEvent() uint64
	Changed() <-chan struct{}
	Done() <-chan struct{}
}

// Notes keep the events that are set aside; *agent.Agent is one.
type Notes interface {
	NoteIn(ctx context.Context, thread string, done bool, kind string, keys []string, v any) error
	Thread(thread string) ([]agent.Note, error)
	OpenThreads() ([]string, error)
}

// Options are the parts. All are required unless it says otherwise.
type Options struct {
	Source  Source
	Notes   Notes
	Cursors queue.Cursors
	// Way carries the calls; it follows no redirects and repeats nothing.
	Way http.RoundTripper
	// Reach tries the way without a request, so that the link is known while
	// nothing is to be told; nil leaves it at what the last call said.
	Reach func(context.Context) error
	// URL is HIS's address.
	URL string
	// Secrets gives the keys to sign with: one, or two while the HIS changes
	// from one to the other. It is asked for every call.
	Secrets func() ([]platforms.Hidden, error)
	// From is the source of the events, a URI reference that is this box's own.
	From string
	// Show makes what HIS is told of an order: nothing of a patient.
	Show func(*order.Order) any
	// Took is given what HIS answered to an event of an order, once HIS took it.
	// An error means that the event is to be told again.
	Took func(ctx context.Context, o *order.Order, answer []byte) error
	// Age tells how old a fact is.
	Age func(order.Instant) time.Duration
	// Link is told whether HIS takes what it is told; nil for nobody.
	Link func(up bool)
	// Alarm raises an alarm by its code; nil for nobody.
	Alarm func(code string)
	// Logger may be nil.
	Logger *slog.Logger
}

// Deliverer tells one HIS. Make it with New.
type Deliverer struct {
	o     Options
	log   *slog.Logger
	stats stats

	// Everything below belongs to Run.
	read    uint64           // the last record read
	old     uint64           // records up to here may have been told before this start
	saved   uint64           // the cursor on disk
	savedAt time.Time        // when it was written
	items   []*item          // read, not taken and not set aside; by number
	lanes   map[string]*lane // by bill
	aside   map[uint64]bool  // numbers that are set aside
	busy    int              // calls under way
	taken   uint64           // events taken since the start
	done    chan result
	gate    gate
	turn    uint64    // calls so far
	link    *bool     // nil until something is known
	heard   time.Time // when the link was last looked at
	probing bool
	reached chan error
	alarmed bool
}

// item is one event that is owed.
type item struct {
	seq     uint64
	before  uint64 // where the cursor stands as long as this is owed
	gap     *gap   // events that are lost; nil for an order's event
	at      order.Instant
	aside   bool
	tries   int
	mayHave bool // it may have been told before this start
}

// lane is the events of one bill, told one after the other.
type lane struct {
	bill  string
	items []*item
	busy  bool
	fails int       // calls in vain since the last that was taken
	own   int       // those of them between which another bill was taken
	mark  uint64    // Deliverer.taken at the last failure
	next  time.Time // not before
	tried uint64    // turn of the last call
}

// gate stands between the lanes and a HIS that takes nothing: then one call at
// a time finds out whether it is back.
type gate struct {
	shut   bool
	step   int // pauses so far
	at     time.Time
	failed map[string]bool // the bills that were called in vain since it was shut
}

type result struct {
	lane  *lane
	item  *item
	probe bool
	err   error
}

// New prepares a deliverer.
func New(o Options) *Deliverer {
	d := &Deliverer{o: o, log: o.Logger, lanes: map[string]*lane{}, aside: map[uint64]bool{}, done: make(chan result, workers), reached: make(chan error, 1)}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	return d
}

// Run tells HIS until the context or the agent ends. An error is the store's:
// the process must exit.
func (d *Deliverer) Run(ctx context.Context) error {
	if err := d.begin(); err != nil {
		return fmt.Errorf("cannot tell HIS of orders: %w", err)
	}
	calls, stop := context.WithCancel(ctx)
	defer stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		changed := d.o.Source.Changed()
		if err := d.round(calls); err != nil {
			d.end(stop)
			return fmt.Errorf("cannot tell HIS of orders: %w", err)
		}
		timer.Reset(d.pause())
		var err error
		select {
		case <-ctx.Done():
			return d.end(stop)
		case <-d.o.Source.Done():
			return d.end(stop)
		case r := <-d.done:
			err = d.settle(r)
		case failed := <-d.reached:
			d.probing = false
			d.linked(failed == nil && !d.gate.shut)
		case <-changed:
		case <-timer.C:
		}
		if err != nil {
			d.end(stop)
			return fmt.Errorf("cannot tell HIS of orders: %w", err)
		}
	}
}

// round reads what is new, calls whoever is due, and keeps the books.
func (d *Deliverer) round(ctx context.Context) error {
	if err := d.fill(); err != nil {
		return err
	}
	d.start(ctx)
	d.watch(ctx)
	d.count()
	if time.Since(d.savedAt) >= saveEvery {
		return d.save()
	}
	return nil
}

// end waits for the calls under way, whose outcome still counts, and writes the
// cursor.
func (d *Deliverer) end(stop context.CancelFunc) error {
	stop()
	var errs []error
	for d.busy > 0 {
		errs = append(errs, d.settle(<-d.done))
	}
	if d.probing {
		<-d.reached
	}
	return errors.Join(append(errs, d.save())...)
}

// pause is how long nothing has to be done unless something happens.
func (d *Deliverer) pause() time.Duration {
	next := time.Now().Add(time.Minute)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if d.cursor() != d.saved {
		sooner(d.savedAt.Add(saveEvery))
	}
	if d.o.Reach != nil && !d.probing && !d.gate.shut {
		sooner(d.heard.Add(reachEvery))
	}
	switch {
	case d.busy == workers || d.gate.shut && d.busy > 0:
	case d.gate.shut && d.otherVoice() != nil:
		sooner(time.Now())
	case d.gate.shut && len(d.lanes) > 0:
		sooner(d.gate.at)
	case !d.gate.shut:
		for _, l := range d.lanes {
			if !l.busy {
				sooner(l.next)
			}
		}
	}
	return max(time.Until(next), 0)
}

// watch keeps the state of the link fresh while nothing is told.
func (d *Deliverer) watch(ctx context.Context) {
	if d.o.Reach == nil || d.probing || d.gate.shut || time.Since(d.heard) < reachEvery {
		return
	}
	d.probing, d.heard = true, time.Now()
	go func() {
		ctx, stop := context.WithTimeout(ctx, callTimeout)
		defer stop()
		d.reached <- d.o.Reach(ctx)
	}()
}

// linked notes whether HIS takes what it is told.
func (d *Deliverer) linked(up bool) {
	d.heard = time.Now()
	if d.link != nil && *d.link == up {
		return
	}
	d.link = &up
	d.log.Info("link to HIS", "up", up)
	if d.o.Link != nil {
		d.o.Link(up)
	}
}

// count keeps the figures and raises the alarm.
func (d *Deliverer) count() {
	waiting, oldest := 0, time.Duration(0)
	for _, l := range d.lanes {
		waiting += len(l.items)
		for _, it := range l.items {
			oldest = max(oldest, d.o.Age(it.at))
		}
	}
	unread := d.o.Source.LastEvent() - min(d.read, d.o.Source.LastEvent())
	d.stats.set(waiting, len(d.aside), int(unread), oldest, d.link != nil && *d.link)
	late := oldest > alarmAfter
	if late && !d.alarmed {
		d.log.Warn("HIS has not taken an event for more than ten minutes", "waiting", waiting, "oldest_s", int(oldest.Seconds()))
		if d.o.Alarm != nil {
			d.o.Alarm(AlarmCode)
		}
	}
	d.alarmed = late
}
