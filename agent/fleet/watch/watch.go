// Package watch keeps a model of the fleet (agent/fleet/view) up to date from
// a message bus, for everybody who looks at it at the same time.
package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"payagent/agent/fleet/view"
	"payagent/uplink"
)

// Options say what to watch.
type Options struct {
	Root string
	Site string // empty: all sites
	// Headlines takes only status and alarms of every box, for very large
	// fleets; the rest of a box is taken while somebody looks at it, see Look.
	Headlines bool
	Limits    view.Limits
	Now       func() time.Time // nil: time.Now
}

// Watch is a model that follows a bus.
type Watch struct {
	bus uplink.Bus
	o   Options

	mu      sync.Mutex
	model   *view.Model
	changed chan struct{} // closed at the next change
	kept    uint64        // how many messages came that the broker had kept
	stops   []func()
	looks   map[view.Key]*look
	taps    map[*tap]struct{}
}

type look struct {
	n     int
	stops []func()
}

type tap struct{ do func(uplink.Message) }

// Open subscribes. The model fills as messages arrive.
func Open(bus uplink.Bus, o Options) (*Watch, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &Watch{bus: bus, o: o, model: view.New(o.Root, o.Limits), changed: make(chan struct{}), looks: map[view.Key]*look{}, taps: map[*tap]struct{}{}}
	filters := view.Filters(o.Root, o.Site)
	if o.Headlines {
		filters = view.Headlines(o.Root, o.Site)
	}
	stops, err := w.subscribe(filters)
	if err != nil {
		return nil, err
	}
	w.stops = stops
	return w, nil
}

func (w *Watch) subscribe(filters []string) ([]func(), error) {
	var stops []func()
	for _, f := range filters {
		stop, err := w.bus.Subscribe(f, w.take)
		if err != nil {
			for _, s := range stops {
				s()
			}
			return nil, fmt.Errorf("cannot watch the fleet at %s; may this identity read it? %w", f, err)
		}
		stops = append(stops, stop)
	}
	return stops, nil
}

func (w *Watch) take(m uplink.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.o.Now()
	if m.Retain {
		w.kept++
	}
	for t := range w.taps {
		t.do(m)
	}
	if _, ok := w.model.Take(m.Topic, m.Payload, m.Retain, now); ok {
		w.wake()
	}
}

func (w *Watch) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Close ends the subscriptions; the bus stays.
func (w *Watch) Close() {
	w.mu.Lock()
	stops := w.stops
	for _, l := range w.looks {
		stops = append(stops, l.stops...)
	}
	w.stops, w.looks = nil, map[view.Key]*look{}
	w.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

// Do lets do look at the model, which is not to be kept; the channel is closed
// at the first change afterwards.
func (w *Watch) Do(do func(m *view.Model, now time.Time)) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	do(w.model, w.o.Now())
	return w.changed
}

// Tap calls do for every message that arrives, with the model locked, before
// it is taken in, until stop is called. do must not block nor call back.
func (w *Watch) Tap(do func(uplink.Message)) (stop func()) {
	t := &tap{do}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taps[t] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.taps, t)
	}
}

// Look takes in everything of one box until done is called; it does nothing
// where everything is taken in anyway.
func (w *Watch) Look(k view.Key) (done func(), err error) {
	if !w.o.Headlines {
		return func() {}, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.looks[k]
	if l == nil {
		// Subscribing does not deliver inside the call (uplink.Bus), so the lock
		// may be held.
		stops, err := w.subscribe(view.OneBox(w.o.Root, k))
		if err != nil {
			return nil, err
		}
		l = &look{stops: stops}
		w.looks[k] = l
	}
	l.n++
	return sync.OnceFunc(func() { w.unlook(k, l) }), nil
}

func (w *Watch) unlook(k view.Key, l *look) {
	w.mu.Lock()
	l.n--
	var stops []func()
	if l.n == 0 && w.looks[k] == l {
		stops = l.stops
		delete(w.looks, k)
	}
	w.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

// Settled waits until the connection is up and nothing that the broker keeps has
// arrived for as long as quiet: a broker does not say when it has sent it all.
// What boxes say meanwhile does not count, since a fleet is never silent.
func (w *Watch) Settled(ctx context.Context, quiet time.Duration) error {
	for {
		l, changed := w.bus.Link()
		if l.Up {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if l, _ := w.bus.Link(); l.Cause != "" {
				return fmt.Errorf("cannot reach the broker: %s", l.Cause)
			}
			return fmt.Errorf("cannot reach the broker: %w", context.Cause(ctx))
		}
	}
	kept := func() uint64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.kept
	}
	for before := kept(); ; {
		if err := Listen(ctx, quiet, func() bool { return kept() != before }); err != nil {
			return fmt.Errorf("cannot wait for the broker's messages to end: %w", err)
		}
		now := kept()
		if now == before {
			return nil
		}
		before = now
	}
}

// Listen waits until heard says yes, or quiet has passed. It looks several times:
// a process that was held up for as long as that has not been listening, and
// must have the time to read what came meanwhile.
func Listen(ctx context.Context, quiet time.Duration, heard func() bool) error {
	const looks = 8
	for range looks {
		if heard() {
			return nil
		}
		select {
		case <-time.After(quiet / looks):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Link is the state of the connection to the broker.
func (w *Watch) Link() uplink.Link {
	l, _ := w.bus.Link()
	return l
}
