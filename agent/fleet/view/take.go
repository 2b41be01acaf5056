package view

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// Kinds of entries of a timeline.
const (
	KindState    = "state"    // Code: the new state; Text: reasons
	KindVersion  = "version"  // Code: the new version; Text: the old one
	KindAlarm    = "alarm"    // Code: the alarm
	KindCleared  = "cleared"  // Code: the alarm that ended
	KindEvent    = "event"    // Code: the event's type; Text: its subject
	KindCommand  = "command"  // Code: the verb; Text: state and reason; Note: its id
	KindReported = "reported" // Code: what the box reports anew; Text: its state
)

// Entry is a line of a box's timeline.
type Entry struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Code string    `json:"code"`
	Text string    `json:"text,omitempty"`
	Note string    `json:"note,omitempty"`
	// Late marks an event that the box could not send when it happened.
	Late bool `json:"late,omitempty"`
	id   string
}

// enter puts a line into the timeline, in order of time, once per id.
func (m *Model) enter(b *box, e Entry) bool {
	if e.id != "" && slices.ContainsFunc(b.entries, func(o Entry) bool { return o.id == e.id }) {
		return false
	}
	i, _ := slices.BinarySearchFunc(b.entries, e.At, func(o Entry, t time.Time) int {
		if o.At.After(t) {
			return 1
		}
		return -1
	})
	b.entries = slices.Insert(b.entries, i, e)
	if n := len(b.entries) - m.limits.Entries; n > 0 {
		b.entries = slices.Delete(b.entries, 0, n)
		b.dropped += uint64(n)
	}
	m.lines++
	m.latest = append(m.latest, Line{m.lines, m.taking, e})
	if n := len(m.latest) - maxLatest; n > 0 {
		m.latest = slices.Delete(m.latest, 0, n)
	}
	return true
}

// maxLatest bounds the newest lines of the whole fleet.
const maxLatest = 1000

// Line is an entry of some box's timeline; N counts them as they came to be
// known.
type Line struct {
	N uint64 `json:"n"`
	Key
	Entry
}

// Latest gives the lines after number n that are still kept, as they came.
func (m *Model) Latest(n uint64) []Line {
	i := len(m.latest)
	for i > 0 && m.latest[i-1].N > n {
		i--
	}
	return slices.Clone(m.latest[i:])
}

func (m *Model) takeAlarm(b *box, code string, payload []byte, retained bool, now time.Time) bool {
	_, had := b.alarms[code]
	if !m.keep(b, &b.alarms, code, payload, retained, now) {
		return false
	}
	// Raising and clearing while we listen are events, which come beside.
	if t := at(payload); retained && !had && !t.IsZero() && !t.After(now) {
		m.enter(b, Entry{At: t, Kind: KindAlarm, Code: code, id: KindAlarm + code})
	}
	return true
}

// takeEvents enters the event, or each of a batch.
func (m *Model) takeEvents(b *box, payload []byte) (changed bool) {
	for e, err := range fleet.Events(payload) {
		if err != nil {
			m.ignored++
			continue
		}
		changed = m.takeEvent(b, e) || changed
	}
	return changed
}

// takeEvent enters an event into the timeline. Nothing of its data is kept but
// the words that a person needs: an order's number is its subject.
func (m *Model) takeEvent(b *box, event []byte) bool {
	var e fleet.Event
	if json.Unmarshal(event, &e) != nil || e.ID == "" || e.Type == "" || e.Time.IsZero() {
		m.ignored++
		return false
	}
	line := Entry{At: e.Time, Kind: KindEvent, Code: clip(e.Type, 80), Text: clip(e.Subject, 80), Late: e.Historical, id: e.ID}
	var a fleet.AlarmData
	if e.Type == fleet.TypeAlarm && json.Unmarshal(e.Data, &a) == nil && a.Code != "" {
		line.Kind, line.Code, line.Text = KindAlarm, clip(a.Code, 80), clip(strings.TrimSpace(a.Platform+" "+a.Subject+" "+a.Order), 80)
		if a.State == fleet.Cleared {
			line.Kind = KindCleared
		}
	}
	return m.enter(b, line)
}

// rank orders the states of a command; final ones are alike.
func rank(state string) int {
	switch state {
	case fleet.Accepted:
		return 1
	case fleet.Running:
		return 2
	}
	return 3
}

// Final tells whether a command has come to its end.
func Final(state string) bool { return rank(state) == 3 }

func (m *Model) takeCommand(b *box, verb, id string, payload []byte, retained bool, now time.Time) bool {
	i := slices.IndexFunc(b.commands, func(c command) bool { return c.state.ID == id && c.state.Verb == verb })
	if len(payload) == 0 {
		if i < 0 {
			return false
		}
		b.commands = slices.Delete(b.commands, i, i+1)
		return true
	}
	var s fleet.CommandState
	if json.Unmarshal(payload, &s) != nil || s.ID != id || s.Verb != verb || len(id) > 128 {
		m.ignored++
		return false
	}
	if len(s.Result) > m.limits.Bytes {
		s.Result = m.cut(s.Result)
	}
	c := command{s, written(s.At, retained, now)}
	if i >= 0 {
		// A repetition or a late message takes nothing back.
		if old := b.commands[i].state; rank(s.State) < rank(old.State) || old.State == s.State && old.Progress == s.Progress && old.At.Equal(s.At) {
			return false
		}
		if b.commands[i].state.State == s.State {
			b.commands[i] = c
			return true
		}
		b.commands[i] = c
	} else {
		b.commands = append(b.commands, c)
		slices.SortStableFunc(b.commands, func(x, y command) int { return x.state.At.Compare(y.state.At) })
		if n := len(b.commands) - m.limits.Commands; n > 0 {
			b.commands = slices.Delete(b.commands, 0, n)
		}
	}
	m.enter(b, Entry{At: s.At, Kind: KindCommand, Code: verb, Text: strings.TrimSpace(s.State + " " + s.Reason), Note: id})
	return true
}

// Rollout is what somebody's roll-out said of itself last.
type Rollout struct {
	Site string `json:"site"`
	ID   string `json:"id"`
	Value
}

func (m *Model) keepRollout(k rolloutKey, payload []byte, retained bool, now time.Time) {
	if len(payload) == 0 {
		delete(m.rollouts, k)
		return
	}
	if !json.Valid(payload) || len(m.rollouts) >= maxRollouts {
		m.ignored++
		return
	}
	m.rollouts[k] = Value{Written: written(at(payload), retained, now), Data: slices.Clone(payload)}
}

// maxRollouts bounds the roll-outs that are kept.
const maxRollouts = 200

// Rollouts lists the roll-outs, the newest first.
func (m *Model) Rollouts() []Rollout {
	list := make([]Rollout, 0, len(m.rollouts))
	for k, v := range m.rollouts {
		list = append(list, Rollout{k.site, k.id, v})
	}
	slices.SortFunc(list, func(x, y Rollout) int {
		if c := y.Written.Compare(x.Written); c != 0 {
			return c
		}
		return strings.Compare(x.Site+x.ID, y.Site+y.ID)
	})
	return list
}
