// Package view is what is known of a fleet, built from the messages that the
// broker keeps and passes on: a pure model, without a connection or a clock.
//
// Nothing in it is shown as fact longer than it can be one: every value has an
// age, and what a box says of itself is unknown when its status is older than
// three of the intervals at which it promised to repeat it (OBS-09).
//
// Memory is bounded per box, see [Limits]: below 1 KB for a box of which only
// status and alarms are taken in (1 GB for 1,000,000), below 32 KB for one whose
// twin, devices, commands and events are too; TestMemory holds it to that.
package view

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// Limits bounds what is kept of one box. What is over is dropped, oldest
// first where there is an order, and counted in [Box.Dropped].
type Limits struct {
	Entries  int // of the timeline
	Commands int
	Values   int // of twin, devices, capabilities and alarms, each
	Bytes    int // of one value; a longer one is kept as a note of its length
	Boxes    int // altogether
}

// Usual are limits for a console.
func Usual() Limits {
	return Limits{Entries: 200, Commands: 40, Values: 64, Bytes: 16 << 10, Boxes: 2_000_000}
}

// Key names a box.
type Key struct {
	Site string `json:"site"`
	Box  string `json:"box"`
}

// Model is the fleet as far as messages tell. It is not safe for concurrent
// use.
type Model struct {
	root     string
	limits   Limits
	boxes    map[Key]*box
	rollouts map[rolloutKey]Value
	latest   []Line
	lines    uint64
	taking   Key // whose message is being taken
	revision uint64
	ignored  uint64
}

type rolloutKey struct{ site, id string }

// Fleet is the level in the place of a box under which the fleet side keeps
// what concerns a whole site, such as roll-outs. No box has that name.
const Fleet = "_fleet"

// LevelRollout is retained at <root>/<site>/_fleet/rollout/<id>.
const LevelRollout = "rollout"

// Value is something a box said, as it said it.
type Value struct {
	// Written is when, by our clock as far as that can be known; zero where it
	// cannot (a kept message of a clock that is ahead).
	Written time.Time       `json:"written"`
	Data    json.RawMessage `json:"data"`
}

// box is what is kept of one.
type box struct {
	status    fleet.Status
	written   time.Time // of status
	since     time.Time // of its state, by our clock where we saw it begin
	skew      time.Duration
	live      bool // skew was measured
	twin      map[string]Value
	devices   map[string]Value
	caps      map[string]Value
	reported  map[string]Value
	alarms    map[string]Value
	open      map[uint64]int // orders by the generation that left them
	commands  []command
	entries   []Entry
	dropped   uint64
	revision  uint64
	hasStatus bool
}

type command struct {
	state   fleet.CommandState
	written time.Time
}

// New makes an empty model for the topics below root.
func New(root string, l Limits) *Model {
	return &Model{root: root, limits: l, boxes: map[Key]*box{}, rollouts: map[rolloutKey]Value{}}
}

// Filters are what a model wants to be told: everything of every box of a
// site (of all sites where it is empty) but requests and samples.
func Filters(root, site string) []string {
	p := fleet.Place{Root: root, Site: site}
	all := Headlines(root, site)
	for _, levels := range [][]string{{fleet.LevelTwin, "#"}, {fleet.LevelDevice, "#"}, {fleet.LevelCan, "#"}, {fleet.LevelReported, "#"},
		{fleet.LevelOpen, "+"}, {fleet.LevelEvent, "#"}, {fleet.LevelCommand, "+", "+", "state"}} {
		all = append(all, p.All(levels...))
	}
	return all
}

// Headlines are the filters for a list of a very large fleet: status and
// alarms, and the roll-outs.
func Headlines(root, site string) []string {
	p := fleet.Place{Root: root, Site: site}
	if site == "" {
		site = "+"
	}
	return []string{p.All(fleet.LevelStatus), p.All(fleet.LevelAlarm, "#"), root + "/" + site + "/" + Fleet + "/" + LevelRollout + "/+"}
}

// OneBox are the filters for everything else of one box, beside Headlines.
func OneBox(root string, k Key) []string {
	p := fleet.Place{Root: root, Site: k.Site, Box: k.Box}
	return []string{p.Topic(fleet.LevelTwin, "#"), p.Topic(fleet.LevelDevice, "#"), p.Topic(fleet.LevelCan, "#"), p.Topic(fleet.LevelReported, "#"), p.Topic(fleet.LevelOpen, "+"),
		p.Topic(fleet.LevelEvent, "#"), p.Topic(fleet.LevelCommand, "+", "+", "state")}
}

// Revision grows with every change.
func (m *Model) Revision() uint64 { return m.revision }

// Ignored counts messages that could not be read.
func (m *Model) Ignored() uint64 { return m.ignored }

// Len is the number of boxes.
func (m *Model) Len() int { return len(m.boxes) }

// Take takes a message in. retained says that the broker had kept it, so that
// now says nothing about its age. It tells which box it changed; ok is false
// where nothing changed.
func (m *Model) Take(topic string, payload []byte, retained bool, now time.Time) (k Key, ok bool) {
	p, levels, ok := fleet.Split(m.root, topic)
	if !ok {
		return Key{}, false
	}
	k = Key{p.Site, p.Box}
	if p.Box == Fleet {
		if len(levels) != 2 || levels[0] != LevelRollout {
			return k, false
		}
		m.keepRollout(rolloutKey{p.Site, levels[1]}, payload, retained, now)
		m.revision++
		return k, true
	}
	b := m.boxes[k]
	if b == nil {
		// An empty message ends something that we never knew.
		if len(payload) == 0 || len(m.boxes) >= m.limits.Boxes {
			return k, false
		}
		b = &box{}
	}
	m.taking = k
	if !m.into(b, levels, payload, retained, now) {
		return k, false
	}
	m.boxes[k] = b
	m.revision++
	b.revision = m.revision
	if b.empty() {
		delete(m.boxes, k)
	}
	return k, true
}

// empty: everything that was kept of the box has been cleared at the broker,
// as is done with a box that is gone for good.
func (b *box) empty() bool {
	return !b.hasStatus && len(b.twin)+len(b.devices)+len(b.caps)+len(b.reported)+len(b.alarms)+len(b.open)+len(b.commands) == 0
}

// into is Take for one box.
func (m *Model) into(b *box, levels []string, payload []byte, retained bool, now time.Time) bool {
	name := strings.Join(levels[1:], "/")
	switch levels[0] {
	case fleet.LevelStatus:
		return len(levels) == 1 && m.takeStatus(b, payload, retained, now)
	case fleet.LevelTwin:
		return m.keep(b, &b.twin, name, payload, retained, now)
	case fleet.LevelDevice:
		return m.keep(b, &b.devices, name, payload, retained, now)
	case fleet.LevelCan:
		return m.keep(b, &b.caps, name, payload, retained, now)
	case fleet.LevelReported:
		old, had := b.reported[name]
		if !m.keep(b, &b.reported, name, payload, retained, now) {
			return false
		}
		if !retained && had && !bytes.Equal(old.Data, b.reported[name].Data) {
			m.enter(b, Entry{At: now, Kind: KindReported, Code: name, Text: clip(word(payload, "state"), 80)})
		}
		return true
	case fleet.LevelOpen:
		return m.takeOpen(b, name, payload)
	case fleet.LevelAlarm:
		return m.takeAlarm(b, name, payload, retained, now)
	case fleet.LevelEvent:
		return m.takeEvents(b, payload)
	case fleet.LevelCommand:
		return len(levels) == 4 && levels[3] == "state" && m.takeCommand(b, levels[1], levels[2], payload, retained, now)
	}
	return false
}

// takeStatus believes a status, or a will, by the rule of package fleet.
func (m *Model) takeStatus(b *box, payload []byte, retained bool, now time.Time) bool {
	if len(payload) == 0 {
		had := b.hasStatus
		b.hasStatus, b.status, b.written = false, fleet.Status{}, time.Time{}
		return had
	}
	var s fleet.Status
	if len(payload) > m.limits.Bytes || json.Unmarshal(payload, &s) != nil || s.State == "" || len(s.Reasons) > m.limits.Values {
		m.ignored++
		return false
	}
	if b.hasStatus && !fleet.Newer(&b.status, s) {
		return false
	}
	s.Every = min(max(s.Every, 1), 24*3600)
	if retained && b.hasStatus && s.At.Equal(b.status.At) && s.State == b.status.State && s.BootID == b.status.BootID {
		return false // the connection was renewed; it is as old as it was
	}
	changed := !b.hasStatus || b.status.State != s.State || b.status.BootID != s.BootID
	if changed {
		if b.since = s.Since; !retained {
			b.since = now
		} else if s.State == fleet.StateLost {
			b.since = time.Time{} // a will was written before what it tells of
		}
	}
	if b.hasStatus && changed {
		e := Entry{At: b.since, Kind: KindState, Code: s.State, Text: strings.Join(s.Reasons, " ")}
		if e.At.IsZero() {
			e.At = now
		}
		if b.status.BootID != s.BootID && s.State != fleet.StateLost {
			e.Note = "restarted"
		}
		m.enter(b, e)
	}
	if b.hasStatus && b.status.Version != s.Version && s.Version != "" && b.status.Version != "" {
		m.enter(b, Entry{At: now, Kind: KindVersion, Code: s.Version, Text: b.status.Version})
	}
	b.status, b.hasStatus, b.written = s, true, written(s.At, retained, now)
	if !retained && s.State != fleet.StateLost && !s.At.IsZero() {
		b.skew, b.live = s.At.Sub(now), true
	}
	return true
}

// ahead is by how much a box's clock may be ahead of ours before the time of
// a kept message says nothing about its age.
const ahead = time.Minute

// written is when a message was written, by our clock.
func written(at time.Time, retained bool, now time.Time) time.Time {
	switch {
	case !retained:
		return now
	case at.After(now.Add(ahead)):
		return time.Time{}
	case at.After(now):
		return now
	}
	return at
}

// keep takes a value that is retained under a name; empty ends it.
func (m *Model) keep(b *box, into *map[string]Value, name string, payload []byte, retained bool, now time.Time) bool {
	old, had := (*into)[name]
	if len(payload) == 0 {
		delete(*into, name)
		return had
	}
	if name == "" || len(name) > 128 {
		m.ignored++
		return false
	}
	if !had && len(*into) >= m.limits.Values {
		b.dropped++
		return false
	}
	data := m.cut(payload)
	if retained && had && bytes.Equal(old.Data, data) {
		return false
	}
	if *into == nil {
		*into = map[string]Value{}
	}
	(*into)[name] = Value{Written: written(at(payload), retained, now), Data: data}
	return true
}

// cut copies a payload that is JSON and not too long; of another it keeps how
// long it was.
func (m *Model) cut(payload []byte) json.RawMessage {
	if len(payload) <= m.limits.Bytes && json.Valid(payload) {
		return bytes.Clone(payload)
	}
	m.ignored++
	note, err := json.Marshal(map[string]any{"not_shown_bytes": len(payload)})
	if err != nil {
		return nil
	}
	return note
}

// at reads the time that a payload carries; zero where it has none.
func at(payload []byte) time.Time {
	var v struct {
		At    time.Time `json:"at"`
		Since time.Time `json:"since"`
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return time.Time{}
	}
	if v.At.IsZero() {
		return v.Since
	}
	return v.At
}

// word reads one text of an object.
func word(payload []byte, name string) string {
	var v map[string]json.RawMessage
	var text string
	if json.Unmarshal(payload, &v) != nil || json.Unmarshal(v[name], &text) != nil {
		return ""
	}
	return text
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
