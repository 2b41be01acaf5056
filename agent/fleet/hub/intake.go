package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// verdict is what becomes of an event.
type verdict int

const (
	take   verdict = iota // it joins what is here
	repeat                // it is here
	gap                   // something before it is missing
	refuse                // it is none of this place, or cannot be read
)

// arrival is an event that was read, with where it came from.
type arrival struct {
	place  fleet.Place
	stream string
	event  fleet.Event
	order  *fleet.OrderData
	gap    *fleet.Gap
	raw    []byte // of one that cannot be read
}

func (a arrival) key() string { return streamKey(a.place.Site, a.place.Box, a.stream) }

func streamKey(site, box, stream string) string { return site + "/" + box + "/" + stream }

// read takes a message apart. An error says what is wrong and quotes none of it;
// it wraps errData where only what the event says cannot be read.
func read(root, topic string, payload []byte) (a arrival, err error) {
	p, levels, ok := fleet.Split(root, topic)
	if !ok || len(levels) != 2 || levels[0] != fleet.LevelEvent || fleet.CheckName(p.Site) != nil || fleet.CheckName(p.Box) != nil || fleet.CheckName(levels[1]) != nil {
		return a, errors.New("it is not at the topic of an event")
	}
	a.place, a.stream = p, levels[1]
	strange := fleet.Unmarshal(payload, &a.event)
	if strange != nil {
		// Something may be new in it. Where it stands must be known, no more.
		a.event = fleet.Event{}
		if json.Unmarshal(payload, &a.event) != nil {
			return a, strange
		}
	}
	e := a.event
	switch {
	case e.Source != "/payagent/"+p.Site+"/"+p.Box:
		return a, errors.New("its source is another box than its topic")
	case !name(e.Epoch) || e.Sequence > math.MaxInt64 || e.Sequence == 0 || e.Previous >= e.Sequence || e.ID != fmt.Sprintf("%s-%d", e.Epoch, e.Sequence):
		return a, errors.New("its epoch, sequence, previous and id do not fit together")
	}
	switch {
	case strange != nil:
		return a, fmt.Errorf("%w: %w", errData, strange)
	case len(e.Sealed) > 16<<10:
		return a, fmt.Errorf("%w: what is sealed in it is too long", errData)
	case e.Type == fleet.TypeGap:
		a.gap = &fleet.Gap{}
		if err := fleet.Unmarshal(e.Data, a.gap); err != nil {
			return a, fmt.Errorf("%w: %w", errData, err)
		}
	case a.stream == fleet.StreamOrders:
		a.order = &fleet.OrderData{}
		if err := fleet.Unmarshal(e.Data, a.order); err != nil {
			return a, fmt.Errorf("%w: %w", errData, err)
		}
		if !name(a.order.Order.OutTradeNo) {
			return a, fmt.Errorf("%w: it is about no order", errData)
		}
	}
	return a, nil
}

// name tells whether a text may be part of a key.
func name(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// judge compares an event with how far its stream is here; the zero Stream is
// one that was never heard of. next is the stream with the event in it, hole
// what is missing before it for good.
func judge(s Stream, a arrival) (v verdict, next Stream, hole *Hole) {
	e := a.event
	next = Stream{Site: a.place.Site, Box: a.place.Box, Name: a.stream, Epoch: e.Epoch, Seq: e.Sequence, Last: e.Time, Until: s.Until}
	missing := func(reason string, from, to uint64) *Hole {
		// Without an event before it everything before is missing, too. The end
		// is drawn nearer by the event that follows: see narrow.
		after := later(s.Last, s.Until)
		if reason == "pruned" {
			after = s.Last
		}
		if after.After(e.Time) {
			after = e.Time
		}
		return &Hole{Site: a.place.Site, Box: a.place.Box, Name: a.stream, Epoch: e.Epoch, From: from, To: to, After: after, Before: e.Time, Reason: reason}
	}
	fresh := s.Epoch != e.Epoch
	switch {
	case !fresh && e.Sequence <= s.Seq:
		return repeat, s, nil
	case a.gap != nil && (fresh || e.Previous <= s.Seq || a.gap.From <= s.Seq+1):
		return take, next, missing("pruned", a.gap.From, a.gap.To)
	case fresh && e.Previous != 0, !fresh && e.Previous > s.Seq:
		return gap, s, nil
	case !fresh && e.Previous < s.Seq:
		// The box counts otherwise than it did: what lies between is not known.
		return gap, s, nil
	case fresh && s.Epoch != "":
		return take, next, missing("new_store", 0, 0)
	}
	if next.Last.Before(s.Last) {
		next.Last = s.Last
	}
	return take, next, nil
}

// narrow ends a hole of pruned facts at the event that follows it: what was
// pruned is older than what was kept.
func narrow(h Hole, a arrival) (Hole, bool) {
	e := a.event
	same := h.Site == a.place.Site && h.Box == a.place.Box && h.Name == a.stream && h.Epoch == e.Epoch
	if !same || h.Reason != "pruned" || a.gap != nil || e.Previous != h.To || !e.Time.Before(h.Before) {
		return h, false
	}
	h.Before = later(e.Time, h.After)
	return h, true
}

// facts makes the event and the order to be kept.
func (a arrival) facts() (Event, *Order) {
	e := a.event
	ev := Event{Site: a.place.Site, Box: a.place.Box, Stream: a.stream, Epoch: e.Epoch, Seq: e.Sequence, Type: e.Type, Subject: e.Subject, Time: e.Time, Data: e.Data}
	if a.order == nil {
		return ev, nil
	}
	o := &Order{Site: ev.Site, Box: ev.Box, Epoch: e.Epoch, Seq: e.Sequence, Rev: a.order.Rev, Changed: e.Time, Facts: a.order.Order}
	if e.Sealed != "" {
		o.Sealed, o.SealedIn = e.Sealed, e.ID
	}
	return ev, o
}

// quiet tells up to when a status proves that nothing was waiting.
func quiet(s fleet.Status, received time.Time) (time.Time, bool) {
	if s.Waiting != 0 || s.State == fleet.StateLost || s.At.IsZero() {
		return time.Time{}, false
	}
	if s.At.After(received) { // its clock is ahead
		return received, true
	}
	return s.At, true
}
