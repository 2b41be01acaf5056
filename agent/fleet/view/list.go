package view

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// Row is one box in a list. State and everything beside it are as of the time
// that was asked for.
type Row struct {
	Key
	// State is the last one said, or unknown where that is too old.
	State string `json:"state"`
	// Said is the last one said, whatever its age.
	Said string `json:"said,omitempty"`
	// AgeS is the age of the status in seconds; -1 where it cannot be known.
	AgeS int64 `json:"age_s"`
	// StaleS is the age at which it is unknown.
	StaleS int64 `json:"stale_s"`
	// SinceS is how long State has been so; -1 where that is not known.
	SinceS  int64    `json:"since_s"`
	Version string   `json:"version,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
	Open    int      `json:"open_orders"`
	Waiting int      `json:"events_waiting"`
	Alarms  []string `json:"alarms,omitempty"` // codes, sorted
	// SkewS is by how many seconds the box's clock is ahead of ours, where a
	// live message told.
	SkewS int64 `json:"skew_s,omitempty"`
	// Generation counts the machines that had this name, as far as the present
	// one told; 0 where it is not known.
	Generation uint64 `json:"generation,omitempty"`
	// LeftOpen are orders of the machines before it that are not taken over.
	LeftOpen int `json:"left_open,omitempty"`
}

// Alarming tells whether a row needs a person.
func (r Row) Alarming() bool {
	return len(r.Alarms) > 0 || r.State == fleet.StateLost || r.State == fleet.StateUnknown || r.State == fleet.StateAlert
}

// Fresh tells whether what the box says of itself may be believed now.
func (r Row) Fresh() bool { return r.State != fleet.StateUnknown && r.State != fleet.StateLost }

func (b *box) row(k Key, now time.Time) Row {
	r := Row{Key: k, State: fleet.StateUnknown, AgeS: -1, SinceS: -1, StaleS: 3 * int64(b.status.Every)}
	for code := range b.alarms {
		r.Alarms = append(r.Alarms, code)
	}
	slices.Sort(r.Alarms)
	r.Generation, r.LeftOpen = b.succession()
	if !b.hasStatus {
		return r
	}
	r.Said, r.Version, r.Reasons, r.Open, r.Waiting = b.status.State, b.status.Version, b.status.Reasons, b.status.Open, b.status.Waiting
	// An alarm that is shown as one is no further reason.
	r.Reasons = slices.DeleteFunc(slices.Clone(r.Reasons), func(why string) bool {
		code, ok := strings.CutPrefix(why, "alarm:")
		return ok && slices.Contains(r.Alarms, code)
	})
	r.AgeS, r.SinceS = age(b.written, now), age(b.since, now)
	if b.live {
		r.SkewS = int64(b.skew / time.Second)
	}
	if !b.written.IsZero() || r.Said == fleet.StateLost || r.Said == fleet.StateGone {
		r.State, _ = fleet.Presence(&b.status, b.written, now)
	}
	if r.State == fleet.StateUnknown {
		r.SinceS = -1
	}
	return r
}

func age(t, now time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return int64(max(now.Sub(t), 0) / time.Second)
}

// Filter chooses boxes; empty fields choose all.
type Filter struct {
	Site    string
	State   string
	Version string
	Alarm   string // a code, or "any"
	Text    string // part of site, box, version, a reason or an alarm
}

func (f Filter) fits(r Row) bool {
	switch {
	case f.Site != "" && f.Site != r.Site, f.State != "" && f.State != r.State, f.Version != "" && f.Version != r.Version:
		return false
	case f.Alarm == "any" && len(r.Alarms) == 0, f.Alarm != "" && f.Alarm != "any" && !slices.Contains(r.Alarms, f.Alarm):
		return false
	case f.Text == "":
		return true
	}
	text := strings.ToLower(f.Text)
	for _, s := range slices.Concat([]string{r.Site, r.Box, r.Version, r.State}, r.Reasons, r.Alarms) {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// List is a part of the boxes that a filter chooses.
type List struct {
	Total    int            `json:"total"`    // of the fleet
	Chosen   int            `json:"chosen"`   // by the filter
	Alarming int            `json:"alarming"` // boxes of the fleet with an alarm
	States   map[string]int `json:"states"`   // of the whole fleet
	Versions map[string]int `json:"versions"` // of the whole fleet
	Alarms   map[string]int `json:"alarms"`   // boxes by alarm, whole fleet
	Sites    map[string]int `json:"sites"`
	Rows     []Row          `json:"rows"`
}

// weight orders rows: alarms first, then what nobody knows, then the rest.
func weight(r Row) int {
	w := 6
	switch r.State {
	case fleet.StateLost:
		w = 1
	case fleet.StateUnknown:
		w = 2
	case fleet.StateAlert:
		w = 3
	case fleet.StateInit:
		w = 4
	case fleet.StateGone:
		w = 5
	}
	if len(r.Alarms) > 0 {
		return 0
	}
	return w
}

// List gives the rows from offset on, at most limit, alarms first.
func (m *Model) List(f Filter, offset, limit int, now time.Time) List {
	l := List{Total: len(m.boxes), States: map[string]int{}, Versions: map[string]int{}, Alarms: map[string]int{}, Sites: map[string]int{}}
	rows := make([]Row, 0, min(len(m.boxes), 4096))
	for k, b := range m.boxes {
		r := b.row(k, now)
		l.States[r.State]++
		l.Sites[r.Site]++
		if r.Version != "" {
			l.Versions[r.Version]++
		}
		for _, a := range r.Alarms {
			l.Alarms[a]++
		}
		if len(r.Alarms) > 0 {
			l.Alarming++
		}
		if f.fits(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(x, y Row) int {
		return cmp.Or(cmp.Compare(weight(x), weight(y)), -cmp.Compare(len(x.Alarms), len(y.Alarms)), strings.Compare(x.Site, y.Site), strings.Compare(x.Box, y.Box))
	})
	l.Chosen = len(rows)
	offset = min(max(offset, 0), len(rows))
	l.Rows = slices.Clone(rows[offset:min(offset+max(limit, 0), len(rows))])
	return l
}

// Aged is a value with its age in seconds, -1 where it cannot be known.
type Aged struct {
	AgeS int64           `json:"age_s"`
	Data json.RawMessage `json:"data"`
}

// Command is what became of a command.
type Command struct {
	fleet.CommandState
	AgeS int64 `json:"age_s"`
}

// Box is everything that is known of one. Where Fresh is false, nobody vouches
// for twin, devices and alarms any more: they are shown as what was so once.
type Box struct {
	Row
	Fresh    bool            `json:"fresh"`
	Status   fleet.Status    `json:"status"`
	Twin     map[string]Aged `json:"twin"`
	Devices  map[string]Aged `json:"devices"`
	Can      map[string]Aged `json:"can"`
	Reported map[string]Aged `json:"reported"`
	Active   map[string]Aged `json:"active_alarms"`
	Commands []Command       `json:"commands"` // the newest first
	Timeline []Entry         `json:"timeline"` // the newest first
	Dropped  uint64          `json:"dropped,omitempty"`
}

// Box gives one box.
func (m *Model) Box(k Key, now time.Time) (Box, bool) {
	b := m.boxes[k]
	if b == nil {
		return Box{}, false
	}
	aged := func(from map[string]Value) map[string]Aged {
		to := make(map[string]Aged, len(from))
		for name, v := range from {
			to[name] = Aged{age(v.Written, now), v.Data}
		}
		return to
	}
	out := Box{Row: b.row(k, now), Status: b.status, Twin: aged(b.twin), Devices: aged(b.devices), Can: aged(b.caps), Reported: aged(b.reported),
		Active: aged(b.alarms), Timeline: append([]Entry{}, b.entries...), Commands: make([]Command, 0, len(b.commands)), Dropped: b.dropped}
	out.Fresh = out.Row.Fresh()
	for _, c := range b.commands {
		out.Commands = append(out.Commands, Command{c.state, age(c.written, now)})
	}
	slices.Reverse(out.Commands)
	slices.Reverse(out.Timeline)
	return out, true
}

// Boxes names every box that a filter chooses, sorted.
func (m *Model) Boxes(f Filter, now time.Time) []Key {
	var keys []Key
	for k, b := range m.boxes {
		if f.fits(b.row(k, now)) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(x, y Key) int { return cmp.Or(strings.Compare(x.Site, y.Site), strings.Compare(x.Box, y.Box)) })
	return keys
}

// Row gives the row of one box.
func (m *Model) Row(k Key, now time.Time) (Row, bool) {
	b := m.boxes[k]
	if b == nil {
		return Row{}, false
	}
	return b.row(k, now), true
}

// Reported gives what a box reports under a name; nil: nothing.
func (m *Model) Reported(k Key, name string) json.RawMessage {
	if b := m.boxes[k]; b != nil {
		return b.reported[name].Data
	}
	return nil
}

// Command gives what a box says of one command; nil: nothing yet.
func (m *Model) Command(k Key, verb, id string) *fleet.CommandState {
	b := m.boxes[k]
	if b == nil {
		return nil
	}
	i := slices.IndexFunc(b.commands, func(c command) bool { return c.state.ID == id && c.state.Verb == verb })
	if i < 0 {
		return nil
	}
	s := b.commands[i].state
	return &s
}
