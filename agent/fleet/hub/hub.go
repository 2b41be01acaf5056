package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/sealed"
	"payagent/uplink"
)

// Config says what the hub listens to and for how long it keeps it.
type Config struct {
	Root  string
	Sites []string // empty: every site that the broker lets it read
	// Boxes are site/box names that must have been heard, beside those that
	// were; Retired are those that are not waited for any more.
	Boxes, Retired []string
	// Accepted are the days of boxes for which somebody answers although events
	// are missing: site/box and day (2006-01-02).
	Accepted []Accepted
	// TrustGoodbye takes a box that said good-bye with nothing waiting as
	// complete until it is heard again.
	TrustGoodbye bool
	Key          sealed.Private // opens what is sealed
	PersonDays   int            // for how long that is kept
	KeepDays     int            // for how long anything is kept
	// Free tells how many bytes are free where the store is; nil where that is
	// not this machine.
	Free   func() (int64, error)
	Logger *slog.Logger
	Now    func() time.Time
}

// Accepted is a day of a box that counts as complete because somebody says so.
type Accepted struct{ Box, Day, Why string }

// Hub takes events in and answers for the hospital.
type Hub struct {
	cfg   Config
	store Store
	bus   uplink.Bus
	log   *slog.Logger
	queue chan uplink.Message

	mu        sync.Mutex
	streams   map[string]Stream
	holes     []Hole
	held      []Held // without their bytes
	heldBytes int
	stuck     map[string]stuck // streams that cannot go on
	statuses  map[string]heard
	trouble   error // of the last write
	listening bool
	counts    Counts
}

// heard is what a box said of itself last. received is zero where the broker
// had kept it for us.
type heard struct {
	fleet.Status
	received time.Time
}

// stuck is why a stream cannot go on, and since when.
type stuck struct {
	since  time.Time
	reason string // gap, unreadable
}

// Counts are the hub's figures since its start.
type Counts struct {
	Events, Repeated, Gaps, Refused, Batches, Failed uint64
}

// New makes a hub over a store and a bus; Run lets it work.
func New(cfg Config, store Store, bus uplink.Bus) (*Hub, error) {
	for _, site := range cfg.Sites {
		if err := fleet.CheckName(site); err != nil {
			return nil, fmt.Errorf("cannot serve this site: %w", err)
		}
	}
	if cfg.PersonDays < 1 || cfg.KeepDays < cfg.PersonDays {
		return nil, fmt.Errorf("cannot keep patients for %d days and orders for %d: write at least 1, and not more days for patients", cfg.PersonDays, cfg.KeepDays)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Hub{cfg: cfg, store: store, bus: bus, log: cfg.Logger, queue: make(chan uplink.Message, maxBatch),
		streams: map[string]Stream{}, stuck: map[string]stuck{}, statuses: map[string]heard{}}, nil
}

const (
	maxBatch    = 1000    // messages that are written together
	maxBytes    = 2 << 20 // of them, but for the last; a message holds up to 32 events
	retryPause  = 5 * time.Second
	houseTime   = time.Hour
	statusPause = 15 * time.Second // how often what statuses prove is written
	ackTime     = 10 * time.Second
)

// Run takes events in until ctx ends. An error is about the start only.
func (h *Hub) Run(ctx context.Context) error {
	if err := h.Load(ctx); err != nil {
		return err
	}
	if err := h.retake(ctx); err != nil {
		return err
	}
	sites := h.cfg.Sites
	if len(sites) == 0 {
		sites = []string{""}
	}
	for _, site := range sites {
		p := fleet.Place{Root: h.cfg.Root, Site: site}
		for _, filter := range []string{p.All(fleet.LevelEvent, "#"), p.All(fleet.LevelStatus)} {
			stop, err := h.bus.Subscribe(filter, func(m uplink.Message) {
				select {
				case h.queue <- m:
				case <-ctx.Done():
				}
			})
			if err != nil {
				return err
			}
			defer stop()
		}
	}
	h.mu.Lock()
	h.listening = true
	h.mu.Unlock()
	house, status := time.NewTicker(houseTime), time.NewTicker(statusPause)
	defer house.Stop()
	defer status.Stop()
	h.forget(ctx)
	l, changed := h.bus.Link()
	up := false
	for {
		if l.Up && !up {
			h.ackAll(ctx)
		}
		up = l.Up
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			l, changed = h.bus.Link()
		case m := <-h.queue:
			h.commit(ctx, h.gather(m))
		case <-status.C:
			h.commit(ctx, nil)
		case <-house.C:
			h.forget(ctx)
		}
	}
}

// Load reads how far everything is; Run does it by itself. It is for who asks a
// hub that does not run.
func (h *Hub) Load(ctx context.Context) error {
	streams, holes := map[string]Stream{}, []Hole(nil)
	err := h.store.Read(ctx, Query{Streams: true}, func(i Item) error {
		if i.Stream != nil {
			streams[streamKey(i.Stream.Site, i.Stream.Box, i.Stream.Name)] = *i.Stream
		}
		if i.Hole != nil {
			holes = append(holes, *i.Hole)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the hub's store: %w", err)
	}
	held, err := h.Quarantine(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams, h.holes, h.held, h.heldBytes = streams, holes, nil, 0
	h.remember(held)
	return nil
}

// gather takes what waits, so that one write serves many events.
func (h *Hub) gather(first uplink.Message) []uplink.Message {
	list := []uplink.Message{first}
	for size := len(first.Payload); len(list) < maxBatch && size < maxBytes; {
		select {
		case m := <-h.queue:
			list = append(list, m)
			size += len(m.Payload)
		default:
			return list
		}
	}
	return list
}

// commit takes messages in: what joins is written as one batch, then
// acknowledged.
func (h *Hub) commit(ctx context.Context, list []uplink.Message) {
	var b Batch
	touched := map[string]bool{} // streams to acknowledge
	lagging := map[string]fleet.Ack{}
	moved := map[string]Stream{}
	at := func(key string) Stream {
		if s, ok := moved[key]; ok {
			return s
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.streams[key]
	}
	var gaps, unreadable []string
	var counts Counts
	for _, m := range list {
		if _, levels, ok := fleet.Split(h.cfg.Root, m.Topic); ok && len(levels) == 1 && levels[0] == fleet.LevelStatus {
			lacks, ok := h.status(m, at, moved)
			if !ok {
				counts.Refused++
			}
			for key, ack := range lacks {
				lagging[key] = ack
			}
			continue
		}
		for event, err := range fleet.Events(m.Payload) {
			var a arrival
			if err == nil {
				a, err = read(h.cfg.Root, m.Topic, event)
			}
			unread := errors.Is(err, errData)
			if err != nil {
				counts.Refused++
			}
			if err != nil && !unread {
				h.log.Warn("an event was refused", "topic", m.Topic, "error", err)
				continue
			}
			v, next, hole := judge(at(a.key()), a)
			switch v {
			case repeat:
				counts.Repeated++
				touched[a.key()] = true
			case gap:
				counts.Gaps++
				gaps = append(gaps, a.key())
				lagging[a.key()] = fleet.Ack{Epoch: a.event.Epoch, Seq: seqIn(at(a.key()), a.event.Epoch)}
			case take:
				if unread {
					if a.raw = bytes.Clone(event); !h.hold(&b, a, err) {
						unreadable = append(unreadable, a.key())
						continue
					}
				} else {
					counts.Events++
					ev, o := a.facts()
					b.Events = append(b.Events, ev)
					if o != nil {
						b.Orders = append(b.Orders, *o)
					}
				}
				b.Holes = append(b.Holes, h.narrowed(b.Holes, a)...)
				if hole != nil {
					b.Holes = append(b.Holes, *hole)
					h.log.Error("events are missing for good", "box", a.place.Site+"/"+a.place.Box, "reason", hole.Reason, "from", hole.From, "to", hole.To)
				}
				moved[a.key()] = next
				touched[a.key()] = true
				delete(lagging, a.key())
			}
		}
	}
	for _, s := range moved {
		b.Streams = append(b.Streams, s)
	}
	if len(b.Streams) > 0 {
		if err := h.store.Put(ctx, b); err != nil {
			h.failed(ctx, err)
			return
		}
	}
	h.mu.Lock()
	for key, s := range moved {
		if known := h.streams[key]; known.Seq != s.Seq || known.Epoch != s.Epoch {
			delete(h.stuck, key)
		}
		h.streams[key] = s
	}
	h.remember(b.Held)
	for _, x := range b.Holes {
		h.holes = slices.DeleteFunc(h.holes, func(y Hole) bool {
			return x.Site == y.Site && x.Box == y.Box && x.Name == y.Name && x.Epoch == y.Epoch && x.From == y.From && x.Reason == y.Reason
		})
		h.holes = append(h.holes, x)
	}
	for _, key := range gaps {
		if _, known := h.stuck[key]; !known && lagging[key].Epoch != "" {
			h.stuck[key] = stuck{h.cfg.Now(), "gap"}
			h.log.Warn("events are missing; the box is told how far the hub is", "stream", key, "seq", lagging[key].Seq)
		}
	}
	for _, key := range unreadable {
		if h.stuck[key].reason != "unreadable" {
			h.stuck[key] = stuck{h.cfg.Now(), "unreadable"}
			h.log.Error("a box's events cannot be read, and the quarantine is full; the box keeps them, update the hub", "stream", key)
		}
	}
	h.trouble = nil
	h.counts.Events += counts.Events
	h.counts.Repeated += counts.Repeated
	h.counts.Gaps += counts.Gaps
	h.counts.Refused += counts.Refused
	if len(b.Events) > 0 {
		h.counts.Batches++
	}
	acks := lagging
	for key := range touched {
		s := h.streams[key]
		acks[key] = fleet.Ack{Epoch: s.Epoch, Seq: s.Seq}
	}
	h.mu.Unlock()
	h.acknowledge(ctx, acks)
}

// narrowed gives the holes, of those known and of this batch's, whose end an
// event tells.
func (h *Hub) narrowed(batch []Hole, a arrival) (out []Hole) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range slices.Concat(h.holes, batch) {
		if y, ok := narrow(x, a); ok {
			out = append(out, y)
		}
	}
	return out
}

func seqIn(s Stream, epoch string) uint64 {
	if s.Epoch != epoch {
		return 0
	}
	return s.Seq
}

// failed drops what could not be written: it is not acknowledged, so it comes
// again. What is on disk is asked of the disk.
func (h *Hub) failed(ctx context.Context, err error) {
	h.mu.Lock()
	h.trouble = err
	h.counts.Failed++
	h.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	h.log.Error("the hub's store cannot be written; nothing is acknowledged", "error", err)
	for {
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return
		}
		if err := h.Load(ctx); err == nil {
			h.ackAll(ctx) // boxes begin anew behind what is there
			return
		}
	}
}

// status takes in what a box says of itself; false: it is no status. lacks is
// what to tell a box that was acknowledged more than is here: the hub is new,
// or was put back from a copy. Its word that nothing waits proves nothing then.
func (h *Hub) status(m uplink.Message, at func(string) Stream, moved map[string]Stream) (lacks map[string]fleet.Ack, ok bool) {
	p, _, _ := fleet.Split(h.cfg.Root, m.Topic)
	var s fleet.Status
	if len(m.Payload) == 0 {
		return nil, true // it was cleared
	}
	if fleet.Unmarshal(m.Payload, &s) != nil || fleet.CheckName(p.Site) != nil || fleet.CheckName(p.Box) != nil {
		return nil, false
	}
	name := p.Site + "/" + p.Box
	h.mu.Lock()
	var known *fleet.Status
	if k, ok := h.statuses[name]; ok {
		known = &k.Status
	}
	believed := fleet.Newer(known, s)
	if believed {
		k := heard{Status: s}
		if !m.Retain {
			k.received = h.cfg.Now()
		}
		h.statuses[name] = k
	}
	h.mu.Unlock()
	if !believed {
		return nil, true
	}
	key := streamKey(p.Site, p.Box, fleet.StreamOrders)
	x := at(key)
	x.Site, x.Box, x.Name = p.Site, p.Box, fleet.StreamOrders
	until, ok := quiet(s, h.cfg.Now())
	if s.Acked.Seq > seqIn(x, s.Acked.Epoch) {
		lacks, ok = map[string]fleet.Ack{key: {Epoch: s.Acked.Epoch, Seq: seqIn(x, s.Acked.Epoch)}}, false
	}
	if ok && until.After(x.Until) {
		x.Until = until
		moved[key] = x
	} else if x.Epoch == "" && x.Until.IsZero() {
		moved[key] = x // from now on it is known, and waited for
	}
	return lacks, true
}

// ackAll says how far the hub is with everything.
func (h *Hub) ackAll(ctx context.Context) {
	acks := map[string]fleet.Ack{}
	h.mu.Lock()
	for key, s := range h.streams {
		if s.Epoch != "" {
			acks[key] = fleet.Ack{Epoch: s.Epoch, Seq: s.Seq}
		}
	}
	h.mu.Unlock()
	h.acknowledge(ctx, acks)
}

// acknowledge publishes acks. One that is lost is said again with the next
// event, or when the box asks by sending again.
func (h *Hub) acknowledge(ctx context.Context, acks map[string]fleet.Ack) {
	keys := make([]string, 0, len(acks))
	for key := range acks {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		payload, err := json.Marshal(acks[key])
		if err != nil {
			continue
		}
		site, box, stream := cut(key)
		once, cancel := context.WithTimeout(ctx, ackTime)
		done := h.bus.Send(once, uplink.Message{Topic: fleet.Place{Root: h.cfg.Root, Site: site, Box: box}.Topic(fleet.LevelAck, stream), Payload: payload})
		go func() {
			<-done // lost or not: see above
			cancel()
		}()
	}
}

// forget drops what is too old.
func (h *Hub) forget(ctx context.Context) {
	now := h.cfg.Now()
	b := Batch{ForgetPersons: now.AddDate(0, 0, -h.cfg.PersonDays), ForgetAll: now.AddDate(0, 0, -h.cfg.KeepDays)}
	if err := h.store.Put(ctx, b); err != nil {
		h.log.Error("the hub cannot forget what is too old", "error", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holes = slices.DeleteFunc(h.holes, func(x Hole) bool { return x.Before.Before(b.ForgetAll) })
	h.held = slices.DeleteFunc(h.held, func(x Held) bool { return x.At.Before(b.ForgetAll) })
}
