package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"payagent/agent"
	"payagent/queue"
)

// gapLane holds the gaps; no bill has an empty name.
const gapLane = ""

// An event that is set aside is a thread of notes in the log, open until HIS
// took it. It names the event; what is told is read from the log.
const (
	asideThread = "his-webhook:"
	asideKind   = "his_webhook_aside"
	takenKind   = "his_webhook_taken"
)

type asideNote struct {
	Seq  uint64 `json:"seq"`
	Bill string `json:"bill"`
}

func asideName(seq uint64) string { return asideThread + strconv.FormatUint(seq, 10) }

// begin reads where the last start stopped, and what was set aside.
func (d *Deliverer) begin() error {
	at, err := d.o.Cursors.Cursor(cursorName)
	if err != nil {
		return err
	}
	d.read, d.saved, d.old = uint64(at), uint64(at), d.o.Source.LastEvent()
	open, err := d.o.Notes.OpenThreads()
	if err != nil {
		return err
	}
	for _, name := range open {
		if !strings.HasPrefix(name, asideThread) {
			continue
		}
		notes, err := d.o.Notes.Thread(name)
		if err != nil {
			return err
		}
		var n asideNote
		if len(notes) == 0 || json.Unmarshal(notes[0].Data, &n) != nil {
			return fmt.Errorf("the note %s cannot be read; report this", name)
		}
		it := &item{seq: n.Seq, aside: true, mayHave: true}
		if ev, ok, err := d.load(n.Seq); err != nil {
			return err
		} else if ok {
			it.at = ev.At
		}
		l := d.lane(n.Bill)
		l.items, d.aside[n.Seq] = append(l.items, it), true
	}
	for _, l := range d.lanes {
		sort.Slice(l.items, func(i, j int) bool { return l.items[i].seq < l.items[j].seq })
	}
	return nil
}

// load reads one event; false if it was pruned.
func (d *Deliverer) load(seq uint64) (agent.Event, bool, error) {
	list, _, err := d.o.Source.Events(seq-1, 1)
	if err != nil || len(list) == 0 || list[0].Seq != seq {
		return agent.Event{}, false, err
	}
	return list[0], true, nil
}

func (d *Deliverer) lane(bill string) *lane {
	if d.lanes[bill] == nil {
		d.lanes[bill] = &lane{bill: bill}
	}
	return d.lanes[bill]
}

// fill reads ahead, as far as the window allows.
func (d *Deliverer) fill() error {
	for len(d.items) < window {
		list, first, err := d.o.Source.Events(d.read, 64)
		if err != nil {
			return err
		}
		if first > d.read+1 {
			d.add(gapLane, &item{seq: first - 1, before: d.read, gap: &gap{From: d.read + 1, To: first - 1, Reason: "pruned"}})
			d.read = first - 1
		}
		if last := d.o.Source.LastEvent(); d.read > last {
			// The store was exchanged: nothing of it was told yet.
			d.add(gapLane, &item{seq: last, before: last, gap: &gap{From: last + 1, To: d.read, Reason: "unknown_position"}})
			d.read = last
		}
		if len(list) == 0 {
			// Records that are no order's are passed over by Events.
			return nil
		}
		for _, e := range list {
			if e.Seq <= d.read {
				continue
			}
			if e.News() != "" && !d.aside[e.Seq] {
				if err := d.take(e); err != nil {
					return err
				}
			}
			d.read = e.Seq
			if len(d.items) >= window {
				return nil
			}
		}
	}
	return nil
}

// take puts an event at the end of its bill's lane. Behind one that was set
// aside it is set aside as well, because a bill's events stay in order.
func (d *Deliverer) take(e agent.Event) error {
	bill := e.Order.Bill
	if bill == "" {
		bill = e.Order.No
	}
	it := &item{seq: e.Seq, before: d.read, at: e.At, mayHave: e.Seq <= d.old}
	l := d.lane(bill)
	if len(l.items) > 0 && l.items[0].aside {
		return d.setAside(l, it)
	}
	d.add(bill, it)
	return nil
}

func (d *Deliverer) add(bill string, it *item) {
	l := d.lane(bill)
	l.items = append(l.items, it)
	d.items = append(d.items, it)
}

// setAside makes events of a lane durable beside the cursor. It is written even
// while stopping: the cursor will pass these events.
func (d *Deliverer) setAside(l *lane, more ...*item) error {
	for _, it := range more {
		if err := d.o.Notes.NoteIn(context.Background(), asideName(it.seq), false, asideKind, nil, asideNote{Seq: it.seq, Bill: l.bill}); err != nil {
			return err
		}
		it.aside, d.aside[it.seq] = true, true
		if !slices.Contains(l.items, it) {
			l.items = append(l.items, it)
		}
	}
	d.items = slices.DeleteFunc(d.items, func(it *item) bool { return it.aside })
	return nil
}

// cursor is the number up to which nothing is owed, but what is set aside.
func (d *Deliverer) cursor() uint64 {
	at := d.read
	for _, it := range d.items {
		at = min(at, it.before)
	}
	return at
}

func (d *Deliverer) save() error {
	at := d.cursor()
	if at == d.saved {
		return nil
	}
	if err := d.o.Cursors.SetCursor(cursorName, queue.Seq(at)); err != nil {
		return err
	}
	d.saved, d.savedAt = at, time.Now()
	return nil
}

// start calls whoever is due: through a shut gate one at a time.
func (d *Deliverer) start(ctx context.Context) {
	now := time.Now()
	if d.gate.shut {
		if d.busy > 0 {
			return
		}
		l := d.otherVoice()
		if l == nil && !now.Before(d.gate.at) {
			l = d.longestAgo()
		}
		if l != nil {
			d.call(ctx, l, true)
		}
		return
	}
	var due []*lane
	for _, l := range d.lanes {
		if !l.busy && !now.Before(l.next) {
			due = append(due, l)
		}
	}
	sort.Slice(due, func(i, j int) bool { return due[i].items[0].seq < due[j].items[0].seq })
	if g := d.lanes[gapLane]; g != nil && g.fails == 0 {
		due = slices.DeleteFunc(due, func(l *lane) bool { return l != g }) // first of all: it says from where on to listen
	}
	for _, l := range due {
		if d.busy < workers {
			d.call(ctx, l, false)
		}
	}
}

// otherVoice is a lane to ask with at once, where all that failed since the
// gate was shut is one bill: it may be that bill and not the HIS.
func (d *Deliverer) otherVoice() *lane {
	if len(d.gate.failed) != 1 {
		return nil
	}
	var best *lane
	for _, l := range d.lanes {
		if !l.busy && !d.gate.failed[l.bill] && l.own == 0 && (best == nil || l.items[0].seq < best.items[0].seq) {
			best = l
		}
	}
	return best
}

// longestAgo is the lane to find out with when the pause is over: not one that
// HIS refuses by itself, if there is another.
func (d *Deliverer) longestAgo() *lane {
	var best *lane
	for _, l := range d.lanes {
		if best == nil || cmp.Or(cmp.Compare(min(l.own, 1), min(best.own, 1)), cmp.Compare(l.tried, best.tried), cmp.Compare(l.items[0].seq, best.items[0].seq)) < 0 {
			best = l
		}
	}
	return best
}

func (d *Deliverer) call(ctx context.Context, l *lane, probe bool) {
	it := l.items[0]
	d.turn++
	l.busy, l.tried = true, d.turn
	it.tries++
	d.busy++
	tries, repeated := it.tries, it.mayHave || it.tries > 1
	go func() {
		d.done <- result{lane: l, item: it, probe: probe, err: d.tell(ctx, it, tries, repeated)}
	}()
}

// settle takes in what became of a call.
func (d *Deliverer) settle(r result) error {
	d.busy--
	l, now := r.lane, time.Now()
	l.busy = false
	d.stats.add(r.err == nil)
	if r.err != nil {
		return d.failed(r, now)
	}
	d.taken++
	l.items = l.items[1:]
	l.fails, l.own, l.next = 0, 0, time.Time{}
	if len(l.items) == 0 {
		delete(d.lanes, l.bill)
	}
	if d.gate.shut && len(d.gate.failed) > 1 { // HIS is back: nobody waits for the pauses of its absence
		for _, other := range d.lanes {
			if other.own == 0 {
				other.next = time.Time{}
			}
		}
	}
	d.gate = gate{}
	d.linked(true)
	if r.item.aside {
		delete(d.aside, r.item.seq)
		return d.o.Notes.NoteIn(context.Background(), asideName(r.item.seq), true, takenKind, nil, struct{}{})
	}
	d.items = slices.DeleteFunc(d.items, func(it *item) bool { return it == r.item })
	return nil
}

// failed decides whether it is the HIS that is away, or one bill that it does
// not take.
func (d *Deliverer) failed(r result, now time.Time) error {
	l := r.lane
	if l.fails > 0 && d.taken > l.mark {
		l.own++
	}
	l.mark = d.taken
	l.fails++
	pause := pauseAfter(l.fails)
	l.next = now.Add(pause)
	d.log.Info("HIS did not take an event", "seq", r.item.seq, "tries", r.item.tries, "pause_s", int(pause.Seconds()), "error", r.err)
	switch {
	case r.probe:
		// A call before its time, with another bill, makes no pause longer.
		if !now.Before(d.gate.at) {
			d.gate.step++
		}
		d.gate.failed[l.bill] = true
		d.gate.at = now.Add(pauseAfter(d.gate.step))
	case d.gate.shut:
		d.gate.failed[l.bill] = true
	case l.own == 0:
		d.gate = gate{shut: true, step: 1, at: now.Add(firstPause), failed: map[string]bool{l.bill: true}}
	}
	if d.gate.shut && d.otherVoice() == nil || errors.Is(r.err, errNoAnswer) {
		d.linked(false)
	}
	if l.own >= asideAfter && !r.item.aside && r.item.gap == nil {
		d.log.Warn("HIS refuses one bill's event while it takes others; it is set aside and tried on", "seq", r.item.seq)
		return d.setAside(l, l.items...)
	}
	return nil
}

// pauseAfter grows from 10 s to 10 min.
func pauseAfter(fails int) time.Duration {
	return min(firstPause<<min(max(fails-1, 0), 8), longPause)
}
