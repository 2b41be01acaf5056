package box

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/clock"
	"payagent/agent/fleet"
	"payagent/agent/fleet/sealed"
	"payagent/agent/signed"
	"payagent/queue"
	"payagent/uplink"
)

// Options are the parts. All are required unless it says otherwise.
type Options struct {
	Agent   *agent.Agent
	Cursors queue.Cursors
	// Dir is a folder of its own for what must outlast the store.
	Dir string
	// Keys may sign commands; without any, the box reports and takes none.
	Keys []signed.Key
	// PubAck lets the broker's word count as delivered (fleet.ack: puback).
	PubAck bool
	// HubKey seals patients to the hub; nil: they never leave the box.
	HubKey *sealed.Public
	Lock   Lock
	Verbs  []Verb
	// Start is this start of the program.
	Start Start
	// Clock is the time as it is known: no command that has expired by it is
	// carried out, whatever the machine's clock says. Nil: the agent's clock and
	// what signed commands show, remembered in Dir.
	Clock *clock.Keeper
	// Twin gives the parts of the inventory that the agent does not know of, by
	// name (disk, clock, certificates, …); nil for none. It may take a second.
	Twin func(ctx context.Context) map[string]any
	// Conditions gives alarms that last as long as they are given here; nil for
	// none. It is asked every few seconds and must not wait.
	Conditions func() []agent.Alarm
	// Lasting are the codes that Conditions may give.
	Lasting []string
	// Hurry is called when a backlog begins to be told and what it gives when that
	// ends; nil for none.
	Hurry func() (end func())
	// End ends the process so that the service manager starts it again.
	End func(why string)
	// Logger may be nil.
	Logger *slog.Logger
}

// Box is one box of a fleet. Make it with New.
type Box struct {
	o     Options
	log   *slog.Logger
	place fleet.Place
	every time.Duration
	verbs map[string]Verb
	bus   uplink.Bus
	board *board
	book  *book
	stats stats
	jobs  jobs

	heard chan struct{} // closed when listen has subscribed

	alarms, orders *stream
	epoch          string
	ready          chan struct{} // closed when the place in the log is known

	mu       sync.Mutex
	conn     *conn
	changed  chan struct{} // closed when conn changed or an ack came
	acks     map[string]uint64
	low      map[string]uint64 // the hub's last word where it is below acks
	status   fleet.Status
	counted  uint64 // the log's last record when status.Waiting was counted
	active   map[string]*active
	shown    map[string]string // what was put on the board without its time; belongs to watch
	bad      []time.Time       // commands that were not signed
	badTold  time.Time
	keptTold map[string]time.Time // by verb: the last alarm of a retained command; belongs to command
	quiet    bool                 // nothing waited once since the start
	unheard  time.Time            // since when events are told and nothing is acknowledged
}

// conn is one connection to the broker; ctx ends with it.
type conn struct {
	ctx context.Context
	n   uint64
}

// New prepares a box. Open the bus with Start.Will and OnUp, then call Run.
func New(o Options) (*Box, error) {
	b := &Box{o: o, log: o.Logger, place: o.Start.Place, every: o.Start.Every, verbs: map[string]Verb{}, changed: make(chan struct{}),
		acks: map[string]uint64{}, low: map[string]uint64{}, active: map[string]*active{}, shown: map[string]string{}, keptTold: map[string]time.Time{}, ready: make(chan struct{}), heard: make(chan struct{})}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	for _, v := range o.Verbs {
		if _, ok := fleet.RoleFor(v.Name); !ok || v.Do == nil || b.verbs[v.Name].Do != nil {
			return nil, fmt.Errorf("cannot take part in the fleet: verb %q has no rôle, does nothing or is there twice; report this", v.Name)
		}
		b.verbs[v.Name] = v
	}
	if b.o.Clock == nil {
		b.o.Clock = clock.Open(clock.Options{Dir: o.Dir, Wall: b.now})
	}
	b.board = newBoard(b.log, &b.stats)
	b.jobs.live = map[string]*job{}
	b.jobs.disturb = make(chan struct{}, 1)
	b.status = fleet.Status{State: fleet.StateInit, BootID: o.Start.Boot, Since: b.now(), Every: int(b.every / time.Second), Version: o.Start.Version}
	b.book = openBook(o.Dir, b.log)
	b.alarms = &stream{b: b, name: fleet.StreamAlarms, next: b.readAlarms}
	b.orders = &stream{b: b, name: fleet.StreamOrders, next: b.readOrders}
	return b, nil
}

// now is the wall time in UTC+8, for people.
func (b *Box) now() time.Time { return atWall(b.o.Agent.Now().Wall) }

func atWall(ms int64) time.Time {
	return time.UnixMilli(ms).In(time.FixedZone("", 8*60*60)) // one without a name is not made anew
}

// busNow is the bus, nil before Run.
func (b *Box) busNow() uplink.Bus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bus
}

// topic names a topic of this box.
func (b *Box) topic(levels ...string) string { return b.place.Topic(levels...) }

// OnUp is called after every connect; ctx ends with the connection. It does not
// wait.
func (b *Box) OnUp(ctx context.Context, n uint64) {
	b.mu.Lock()
	b.conn = &conn{ctx, n}
	b.status.Seq = n
	b.ring()
	b.mu.Unlock()
	b.say()
	b.board.up(ctx)
}

// ring wakes the events. The lock is held.
func (b *Box) ring() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// online gives the connection, nil if there is none, and what is closed when
// something changed.
func (b *Box) online() (*conn, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == nil || b.conn.ctx.Err() != nil {
		return nil, b.changed
	}
	return b.conn, b.changed
}

// bye is how long the good-bye may take.
const bye = 2 * time.Second

// Run serves until the context or the agent ends. An error is the store's: the
// process must exit. The bus stays open: close it after Run.
func (b *Box) Run(ctx context.Context, bus uplink.Bus) error {
	b.mu.Lock()
	b.bus = bus
	b.mu.Unlock()
	if err := b.begin(ctx); err != nil {
		return fmt.Errorf("cannot take part in the fleet: %w", err)
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-b.o.Agent.Done():
			stop()
		case <-inner.Done():
		}
	}()
	requests := make(chan uplink.Message, 256)
	var group sync.WaitGroup
	var once sync.Once
	var failed error
	run := func(f func(context.Context) error) {
		group.Go(func() {
			if err := f(inner); err != nil {
				once.Do(func() { failed = err })
				stop()
			}
		})
	}
	run(b.tell)
	run(b.watch)
	run(func(ctx context.Context) error { b.board.run(ctx, bus); return nil })
	run(func(ctx context.Context) error { return b.listen(ctx, requests) })
	run(func(ctx context.Context) error { return b.command(ctx, requests) })
	group.Wait()
	b.jobs.group.Wait()
	b.leave(ctx)
	if failed != nil {
		return fmt.Errorf("cannot go on telling the fleet: %w", failed)
	}
	return nil
}

// begin finds the place in the log and what was not finished.
func (b *Box) begin(ctx context.Context) error {
	if err := b.beginEpoch(ctx); err != nil {
		return err
	}
	for _, s := range []*stream{b.alarms, b.orders} {
		if err := s.begin(); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.status.Acked = fleet.Ack{Epoch: b.epoch, Seq: b.orders.acked}
	b.mu.Unlock()
	close(b.ready)
	b.beginAlarms()
	b.showCan()
	return b.beginJobs()
}

// leave says good-bye: no will is to be believed then.
func (b *Box) leave(ctx context.Context) {
	b.mu.Lock()
	s := b.present()
	b.mu.Unlock()
	s.State, s.Since, s.Reasons = fleet.StateGone, s.At, nil
	if c, _ := b.online(); c != nil {
		if data, err := json.Marshal(s); err == nil {
			ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), bye)
			defer stop()
			if err := b.bus.Publish(ctx, uplink.Message{Topic: b.topic(fleet.LevelStatus), Payload: data, Retain: true}); err != nil {
				b.log.Info("the good-bye to the fleet did not arrive", "error", err)
			}
		}
	}
	b.book.save()
}

// subscribeAgain is the pause after a refused subscription.
const subscribeAgain = time.Minute

// listen subscribes to what the fleet says to this box.
func (b *Box) listen(ctx context.Context, requests chan<- uplink.Message) error {
	take := map[string]func(uplink.Message){
		b.topic(fleet.LevelAck, "+"): b.takeAck,
		b.topic(fleet.LevelCommand, "+", "+", "req"): func(m uplink.Message) {
			select {
			case requests <- m:
			default: // more than is handled is a flood; who is in earnest asks again
				b.log.Warn("a command was dropped, too many come at once")
			}
		},
	}
	var ends []func()
	defer func() {
		for _, end := range ends {
			end()
		}
	}()
	for len(take) > 0 {
		for filter, f := range take {
			end, err := b.bus.Subscribe(filter, f)
			if err == nil {
				ends = append(ends, end)
				delete(take, filter)
				continue
			}
			if errors.Is(err, uplink.ErrClosed) {
				return nil
			}
			b.log.Error("the broker refuses a subscription; see its access list in docs/mqtt.md", "filter", filter, "error", err)
		}
		if len(take) > 0 && !pause(ctx, subscribeAgain) {
			return nil
		}
	}
	close(b.heard)
	<-ctx.Done()
	return nil
}

// Listening is closed when Run has subscribed. What a broker kept for the box
// while it was away comes right after the connect, so connect after that.
func (b *Box) Listening() <-chan struct{} { return b.heard }

// pause waits; false when the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
