package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// The bounds of the quarantine. What does not fit in is not acknowledged: the
// box keeps it, and its stream stands.
const (
	maxHeld      = 20_000
	maxHeldBox   = 2_000
	maxHeldBytes = 64 << 20
	maxHeldEvent = 64 << 10
	maxWhy       = 200
)

// Held is an event that this program does not understand, kept as it came until
// one does: a box may be newer than its hub.
type Held struct {
	Site, Box, Stream, Epoch string
	Seq                      uint64
	At                       time.Time // of the event
	Received                 time.Time
	Why                      string // what is not understood; quotes nothing of it
	Raw                      []byte `json:",omitempty"` // the event; what is sealed in it goes with ForgetPersons
}

// Same tells whether two are one event.
func (x Held) Same(y Held) bool {
	return x.Site == y.Site && x.Box == y.Box && x.Stream == y.Stream && x.Epoch == y.Epoch && x.Seq == y.Seq
}

// WithoutSealed is an event without what is sealed of a patient.
func WithoutSealed(raw []byte) []byte {
	all := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &all) != nil {
		return []byte("{}") // nothing that came in: it was read once
	}
	for name := range all {
		if strings.EqualFold(name, "sealed") {
			delete(all, name)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		return []byte("{}")
	}
	return out
}

// hold puts an event that cannot be read into a batch, if there is room.
func (h *Hub) hold(b *Batch, a arrival, why error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	count, ofBox, size := 0, 0, len(a.raw)
	for _, list := range [][]Held{h.held, b.Held} {
		for _, x := range list {
			count++
			size += len(x.Raw)
			if x.Site == a.place.Site && x.Box == a.place.Box {
				ofBox++
			}
		}
	}
	if len(a.raw) > maxHeldEvent || count >= maxHeld || ofBox >= maxHeldBox || size+h.heldBytes > maxHeldBytes {
		return false
	}
	e := a.event
	x := Held{Site: a.place.Site, Box: a.place.Box, Stream: a.stream, Epoch: e.Epoch, Seq: e.Sequence, At: e.Time, Received: h.cfg.Now(), Why: why.Error(), Raw: a.raw}
	if r := []rune(x.Why); len(r) > maxWhy {
		x.Why = string(r[:maxWhy])
	}
	b.Held = append(b.Held, x)
	h.log.Error("an event cannot be read; it is kept aside until a newer hub can: see payfleet hub quarantine", "box", x.Site+"/"+x.Box, "stream", x.Stream, "epoch", x.Epoch, "seq", x.Seq, "why", x.Why)
	return true
}

// remember notes what was put aside; the bytes stay on disk. The lock is held.
func (h *Hub) remember(list []Held) {
	for _, x := range list {
		h.heldBytes += len(x.Raw)
		x.Raw = nil
		h.held = append(h.held, x)
	}
}

// Quarantine gives what is kept aside, the oldest stream first, with its bytes.
func (h *Hub) Quarantine(ctx context.Context) (list []Held, err error) {
	err = h.store.Read(ctx, Query{Held: true}, func(i Item) error {
		if i.Held != nil {
			list = append(list, *i.Held)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the hub's quarantine: %w", err)
	}
	return list, nil
}

// retake takes what was kept aside and can be read now: this program may be
// newer than the one that put it there.
func (h *Hub) retake(ctx context.Context) error {
	list, err := h.Quarantine(ctx)
	if err != nil {
		return err
	}
	for len(list) > 0 {
		part := list[:min(len(list), maxBatch)]
		list = list[len(part):]
		var b Batch
		for _, x := range part {
			a, err := read(h.cfg.Root, fleet.Place{Root: h.cfg.Root, Site: x.Site, Box: x.Box}.Topic(fleet.LevelEvent, x.Stream), x.Raw)
			if err != nil || a.event.Epoch != x.Epoch || a.event.Sequence != x.Seq {
				continue
			}
			ev, o := a.facts()
			b.Events = append(b.Events, ev)
			if o != nil {
				b.Orders = append(b.Orders, *o)
			}
			if a.gap != nil {
				b.Holes = append(b.Holes, Hole{Site: x.Site, Box: x.Box, Name: x.Stream, Epoch: x.Epoch, From: a.gap.From, To: a.gap.To, Before: x.At, Reason: "pruned"})
			}
			b.Release = append(b.Release, x)
		}
		if len(b.Release) == 0 {
			continue
		}
		if err := h.store.Put(ctx, b); err != nil {
			return fmt.Errorf("cannot take what was kept aside: %w", err)
		}
		h.log.Info("events that an earlier hub could not read were taken", "events", len(b.Release))
		h.mu.Lock()
		h.counts.Events += uint64(len(b.Release))
		h.holes = append(h.holes, b.Holes...)
		h.held = slices.DeleteFunc(h.held, func(x Held) bool { return slices.ContainsFunc(b.Release, x.Same) })
		for _, x := range b.Release {
			h.heldBytes -= len(x.Raw)
		}
		h.mu.Unlock()
	}
	return nil
}

// unread gives, for each box of a site, since when its events of the days from
// from to to are kept aside. The lock is held.
func (h *Hub) unread(site string, from, to time.Time) map[string]time.Time {
	out := map[string]time.Time{}
	first, last := DayOf(from), DayOf(to)
	for _, x := range h.held {
		name, day := x.Site+"/"+x.Box, DayOf(x.At)
		if x.Site != site || x.Stream != fleet.StreamOrders || day < first || day > last || h.accepted(name, x.At, x.At) {
			continue
		}
		if at, ok := out[name]; !ok || x.At.Before(at) {
			out[name] = x.At
		}
	}
	return out
}

// quarantined is what GET /quarantine answers.
type quarantined struct {
	Site     string          `json:"site"`
	Box      string          `json:"box"`
	Stream   string          `json:"stream"`
	Epoch    string          `json:"epoch"`
	Seq      uint64          `json:"sequence"`
	At       time.Time       `json:"at"`
	Received time.Time       `json:"received"`
	Why      string          `json:"why"`
	Bytes    int             `json:"bytes"`
	Event    json.RawMessage `json:"event,omitempty"` // with ?raw=1
}

// WriteQuarantine writes what is kept aside as JSON, without what is sealed of
// patients; raw adds the events.
func (h *Hub) WriteQuarantine(ctx context.Context, w *bytes.Buffer, raw bool) error {
	list, err := h.Quarantine(ctx)
	if err != nil {
		return err
	}
	out := make([]quarantined, 0, len(list))
	for _, x := range list {
		q := quarantined{x.Site, x.Box, x.Stream, x.Epoch, x.Seq, x.At, x.Received, x.Why, len(x.Raw), nil}
		if raw {
			q.Event = WithoutSealed(x.Raw)
		}
		out = append(out, q)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"events": out, "most": maxHeld, "most_of_a_box": maxHeldBox})
}

func (h *Hub) serveQuarantine(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if err := h.WriteQuarantine(r.Context(), &body, r.URL.Query().Get("raw") == "1"); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body.Bytes()) // who asked has gone
}

// errData is wrapped where an event is of its place and in its order, but what
// it says is not understood here, e.g. because the box is newer than the hub.
// It is kept aside as it came, until a hub comes that can read it.
var errData = errors.New("what it says cannot be read; is the box newer than this hub?")
