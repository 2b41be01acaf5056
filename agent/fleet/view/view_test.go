package view

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
)

func begin() time.Time { return time.Date(2026, 3, 14, 10, 0, 0, 0, time.UTC) }

type rig struct {
	*testing.T
	m   *Model
	now time.Time
}

func newRig(t *testing.T) *rig { return &rig{t, New("payagent", Usual()), begin()} }

func (r *rig) after(d time.Duration) *rig { r.now = r.now.Add(d); return r }

func (r *rig) say(box, levels string, v any, retained bool) bool {
	r.Helper()
	data, ok := v.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(v); err != nil {
			r.Fatal(err)
		}
	}
	_, changed := r.m.Take("payagent/H1/"+box+"/"+levels, data, retained, r.now)
	return changed
}

func (r *rig) status(state, boot string, seq uint64) fleet.Status {
	return fleet.Status{State: state, BootID: boot, Seq: seq, Since: r.now, At: r.now, Every: 60, Version: "1.4.0"}
}

func (r *rig) row(box string) Row {
	row, _ := r.m.Row(Key{"H1", box}, r.now)
	return row
}

func (r *rig) want(box, state string, age int64) {
	r.Helper()
	if row := r.row(box); row.State != state || row.AgeS != age {
		r.Errorf("%s is %s, %d s old; want %s, %d", box, row.State, row.AgeS, state, age)
	}
}

// TestFreshness: a value older than three intervals is unknown, never the last
// good one.
func TestFreshness(t *testing.T) {
	r := newRig(t)
	r.say("B1", "status", r.status("ready", "a", 1), false)
	r.want("B1", "ready", 0)
	r.after(180*time.Second).want("B1", "ready", 180)
	r.after(time.Second).want("B1", "unknown", 181)
	if row := r.row("B1"); row.Said != "ready" || row.Fresh() || row.SinceS != -1 {
		t.Errorf("%+v", row)
	}
	b, _ := r.m.Box(Key{"H1", "B1"}, r.now)
	if b.Fresh {
		t.Error("nobody vouches for the box any more")
	}
	// An alarm of a box of which no status is known.
	r.say("B2", "a/disk_low", map[string]any{"since": r.now}, true)
	r.want("B2", "unknown", -1)
}

// TestKeptMessages: the age of what the broker had kept is not the age of our
// connection.
func TestKeptMessages(t *testing.T) {
	r := newRig(t)
	old := r.status("ready", "a", 1)
	r.after(time.Hour).say("B1", "status", old, true)
	r.want("B1", "unknown", 3600)
	r.say("B1", "status", r.status("ready", "a", 1), false)
	r.want("B1", "ready", 0)
	// A renewed connection makes nothing young again.
	kept := r.status("ready", "a", 1)
	r.after(2 * time.Minute)
	if r.say("B1", "status", kept, true) {
		t.Error("a repetition changed something")
	}
	r.want("B1", "ready", 120)
	// A clock that is ahead says nothing about the age of a kept message.
	ahead := r.status("ready", "x", 1)
	ahead.At = r.now.Add(2 * time.Hour)
	r.say("B3", "status", ahead, true)
	r.want("B3", "unknown", -1)
	r.say("B3", "status", ahead, false)
	r.want("B3", "ready", 0)
	if row := r.row("B3"); row.SkewS != 7200 {
		t.Errorf("skew %d", row.SkewS)
	}
}

func TestWills(t *testing.T) {
	r := newRig(t)
	first := r.status("ready", "a", 1)
	will := first
	will.State = fleet.StateLost
	r.say("B1", "status", first, false)
	r.after(time.Minute).say("B1", "status", r.status("ready", "a", 2), false)
	if r.say("B1", "status", will, false) {
		t.Error("the will of a former connection was believed")
	}
	r.want("B1", "ready", 0)
	will.Seq = 2
	r.after(time.Minute).say("B1", "status", will, false)
	r.want("B1", "lost", 0)
	// It stays lost; that is no last-good value.
	r.after(time.Hour).want("B1", "lost", 3600)
	if row := r.row("B1"); row.SinceS != 3600 {
		t.Errorf("lost for %d s", row.SinceS)
	}
	// Where we did not see it happen, nobody knows since when.
	r.say("B2", "status", will, true)
	if row := r.row("B2"); row.State != "lost" || row.SinceS != -1 {
		t.Errorf("%+v", row)
	}
}

// TestBatchedEvents: each event of a batch is entered, once; an ill one costs
// its neighbours nothing.
func TestBatchedEvents(t *testing.T) {
	r := newRig(t)
	r.say("B1", "status", r.status("ready", "a", 1), true)
	event := func(id string) fleet.Event {
		return fleet.Event{ID: id, Type: "payagent.order.paid.v1", Subject: id, Time: r.now}
	}
	r.say("B1", "e/orders", event("s-1"), false)
	more := []any{event("s-1"), 1, event("s-3")}
	if r.say("B1", "e/orders", more, false) {
		t.Error("something was entered that cannot be told apart")
	}
	more = []any{event("s-1"), event("s-2"), event(""), map[string]any{"id": 7}, event("s-3")}
	if !r.say("B1", "e/orders", more, false) || r.say("B1", "e/orders", more, false) {
		t.Error("what is new is entered, once")
	}
	b, _ := r.m.Box(Key{"H1", "B1"}, r.now)
	got := ""
	for _, e := range b.Timeline {
		got += e.Text + "|"
	}
	if got != "s-3|s-2|s-1|" {
		t.Error(got)
	}
}

func TestTimeline(t *testing.T) {
	r := newRig(t)
	r.say("B1", "status", r.status("ready", "a", 1), true)
	e := fleet.Event{SpecVersion: "1.0", ID: "s-7", Type: "payagent.order.paid.v1", Subject: "MZ1", Time: r.now.Add(5 * time.Second)}
	r.after(10*time.Second).say("B1", "e/orders", e, false)
	if r.say("B1", "e/orders", e, false) {
		t.Error("a repeated event was entered twice")
	}
	r.say("B1", "a/disk_low", map[string]any{"since": r.now}, false)
	alarm := func(id, state string) fleet.Event {
		data, err := json.Marshal(fleet.AlarmData{Code: "disk_low", State: state, Subject: "queue"})
		if err != nil {
			t.Fatal(err)
		}
		return fleet.Event{ID: id, Type: fleet.TypeAlarm, Time: r.now, Data: data}
	}
	r.say("B1", "e/alarms", alarm("a-1", fleet.Raised), false)
	r.after(time.Second).say("B1", "a/disk_low", []byte{}, false)
	r.say("B1", "e/alarms", alarm("a-2", fleet.Cleared), false)
	if r.say("B1", "a/disk_low", []byte{}, false) {
		t.Error("an alarm ended twice")
	}
	r.after(time.Second).say("B1", "status", r.status("alert", "b", 1), false)
	late := e
	late.ID, late.Time, late.Historical = "s-8", begin().Add(2*time.Second), true
	r.say("B1", "e/orders", late, false)
	b, _ := r.m.Box(Key{"H1", "B1"}, r.now)
	got := ""
	for _, e := range b.Timeline {
		got += e.Kind + " " + e.Code + " " + e.Note + "|"
	}
	const want = "state alert restarted|cleared disk_low |alarm disk_low |event payagent.order.paid.v1 |event payagent.order.paid.v1 |"
	if got != want || !b.Timeline[4].Late {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if l := r.m.Latest(2); len(l) != 3 || l[0].N != 3 || l[2].Box != "B1" || !l[2].Late {
		t.Errorf("the latest are %+v", l)
	}
}

func TestCommands(t *testing.T) {
	r := newRig(t)
	state := func(id, state string, progress int) fleet.CommandState {
		return fleet.CommandState{ID: id, Verb: "restart", State: state, Progress: progress, At: r.now}
	}
	topic := "cmd/restart/c1/state"
	r.say("B1", topic, state("c1", fleet.Accepted, 0), false)
	r.after(time.Second).say("B1", topic, state("c1", fleet.Running, 10), false)
	r.after(time.Second).say("B1", topic, state("c1", fleet.Running, 50), false)
	r.after(time.Second).say("B1", topic, state("c1", fleet.Succeeded, 0), false)
	if r.say("B1", topic, state("c1", fleet.Running, 60), false) {
		t.Error("a final state was taken back")
	}
	if r.say("B1", topic, state("other", fleet.Failed, 0), false) {
		t.Error("a state was taken under another command's topic")
	}
	b, _ := r.m.Box(Key{"H1", "B1"}, r.now)
	if len(b.Commands) != 1 || b.Commands[0].State != fleet.Succeeded || len(b.Timeline) != 3 {
		t.Errorf("%+v", b)
	}
	if r.say("B1", topic, []byte{}, false); r.m.Len() != 0 {
		t.Error("a box of which nothing is left is still there")
	}
}

func TestListAndFilter(t *testing.T) {
	r := newRig(t)
	for i := range 30 {
		r.say(fmt.Sprintf("B%02d", i), "status", r.status("ready", "a", 1), false)
	}
	bad := r.status("lost", "a", 1)
	r.say("B20", "status", bad, false)
	r.say("B25", "a/clock_skew", map[string]any{"severity": "major"}, false)
	skewed := r.status("ready", "a", 1)
	skewed.Reasons = []string{"alarm:clock_skew", "scanner_absent:counter1.gun"}
	r.say("B25", "status", skewed, false)
	if got := r.row("B25").Reasons; len(got) != 1 || got[0] != "scanner_absent:counter1.gun" {
		t.Error(got)
	}
	old := r.status("ready", "a", 1)
	old.Version, old.Every = "1.3.9", 600
	r.say("B11", "status", old, false)
	l := r.m.List(Filter{}, 0, 5, r.now)
	if l.Total != 30 || l.Chosen != 30 || len(l.Rows) != 5 || l.Rows[0].Box != "B25" || l.Rows[1].Box != "B20" || l.Rows[2].Box != "B00" {
		t.Errorf("%+v", l)
	}
	if l.States["ready"] != 29 || l.States["lost"] != 1 || l.Versions["1.3.9"] != 1 || l.Alarms["clock_skew"] != 1 || l.Sites["H1"] != 30 {
		t.Errorf("%+v", l)
	}
	for _, x := range []struct {
		f    Filter
		want int
	}{{Filter{State: "lost"}, 1}, {Filter{Version: "1.3.9"}, 1}, {Filter{Alarm: "any"}, 1}, {Filter{Alarm: "clock_skew"}, 1}, {Filter{Alarm: "x"}, 0},
		{Filter{Text: "b1"}, 10}, {Filter{Text: "SKEW"}, 1}, {Filter{Site: "H2"}, 0}, {Filter{State: "ready", Text: "B2"}, 9}} {
		if got := r.m.List(x.f, 0, 100, r.now); got.Chosen != x.want {
			t.Errorf("%+v chooses %d, want %d", x.f, got.Chosen, x.want)
		}
	}
	if l := r.m.List(Filter{}, 28, 5, r.now); len(l.Rows) != 2 {
		t.Error(len(l.Rows))
	}
	if l := r.m.List(Filter{}, 99, 5, r.now); len(l.Rows) != 0 {
		t.Error(len(l.Rows))
	}
	r.after(4 * time.Minute)
	if l := r.m.List(Filter{State: "unknown"}, 0, 5, r.now); l.Chosen != 28 || l.States["ready"] != 1 {
		t.Errorf("after four minutes: %+v", l.States)
	}
}

// TestBounds: whatever a box sends, what is kept of it is bounded.
func TestBounds(t *testing.T) {
	r := newRig(t)
	l := Limits{Entries: 5, Commands: 3, Values: 4, Bytes: 400, Boxes: 2}
	r.m = New("payagent", l)
	r.say("B1", "status", r.status("ready", "a", 1), false)
	for i := range 20 {
		r.after(time.Second)
		r.say("B1", fmt.Sprintf("twin/p%d", i), map[string]int{"n": i}, false)
		r.say("B1", fmt.Sprintf("a/c%d", i), map[string]int{"n": i}, false)
		r.say("B1", "e/orders", fleet.Event{ID: fmt.Sprint(i), Type: "t", Time: r.now}, false)
		id := fmt.Sprint(i)
		r.say("B1", "cmd/restart/"+id+"/state", fleet.CommandState{ID: id, Verb: "restart", State: fleet.Failed, At: r.now}, false)
	}
	r.say("B1", "dev/counter1.gun", map[string]string{"x": strings.Repeat("y", 900)}, false)
	r.say("B1", "dev/counter1.lamp", []byte("not JSON"), false)
	b, _ := r.m.Box(Key{"H1", "B1"}, r.now)
	if len(b.Twin) != 4 || len(b.Active) != 4 || len(b.Timeline) != 5 || len(b.Commands) != 3 || b.Dropped == 0 {
		t.Errorf("%d %d %d %d", len(b.Twin), len(b.Active), len(b.Timeline), len(b.Commands))
	}
	if s := string(b.Devices["counter1.gun"].Data); !strings.Contains(s, "not_shown_bytes") {
		t.Error(s)
	}
	if b.Commands[0].ID != "19" || b.Timeline[0].Note != "19" {
		t.Error("the newest are not kept")
	}
	r.say("B2", "status", r.status("ready", "a", 1), false)
	if r.say("B3", "status", r.status("ready", "a", 1), false) || r.m.Len() != 2 {
		t.Error("more boxes than the limit")
	}
}

func TestRollouts(t *testing.T) {
	r := newRig(t)
	r.say("_fleet", "rollout/r1", map[string]any{"phase": "running", "at": r.now}, true)
	r.after(time.Second).say("_fleet", "rollout/r2", map[string]any{"phase": "done", "at": r.now}, false)
	if l := r.m.Rollouts(); len(l) != 2 || l[0].ID != "r2" || l[1].Site != "H1" {
		t.Errorf("%+v", l)
	}
	r.say("_fleet", "rollout/r1", []byte{}, false)
	if len(r.m.Rollouts()) != 1 || r.m.Len() != 0 {
		t.Error("a roll-out was not taken away, or counts as a box")
	}
}

// TestMemory holds the package comment to its sums.
func TestMemory(t *testing.T) {
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	for _, x := range []struct {
		full  bool
		boxes int
		limit uint64
	}{{false, 5000, 1 << 10}, {true, 150, 32 << 10}} {
		r := newRig(t)
		before := heap()
		for i := range x.boxes {
			box := fmt.Sprintf("BOX%07d", i)
			s := r.status("ready", fmt.Sprintf("boot-%020d", i), 1)
			s.Reasons = []string{"platform_down"}
			r.say(box, "status", s, true)
			if !x.full {
				continue
			}
			for _, part := range []string{"agent", "os", "disk", "clock", "config", "certificate"} {
				r.say(box, "twin/"+part, map[string]any{"at": r.now, "text": strings.Repeat("x", 300)}, true)
			}
			for d := range 4 {
				r.say(box, fmt.Sprintf("dev/counter1.d%d", d), map[string]any{"at": r.now, "state": "up", "text": strings.Repeat("x", 200)}, true)
			}
			for c := range 9 {
				r.say(box, fmt.Sprintf("cap/verb%d", c), map[string]any{"schema": strings.Repeat("x", 200)}, true)
			}
			for c := range 10 {
				id := fmt.Sprintf("command-%020d", c)
				r.say(box, "cmd/restart/"+id+"/state", fleet.CommandState{ID: id, Verb: "restart", State: fleet.Succeeded, At: r.now}, true)
			}
			for e := range 50 {
				r.say(box, "e/orders", fleet.Event{ID: fmt.Sprintf("%030d", e), Type: "payagent.order.paid.v1", Subject: "MZ260314Q1W2E3R4T5Y6U7I8", Time: r.now}, false)
			}
		}
		per := (heap() - before) / uint64(x.boxes)
		t.Logf("full %v: %d bytes for each of %d boxes", x.full, per, r.m.Len())
		if per > x.limit {
			t.Errorf("a box takes %d bytes, over %d", per, x.limit)
		}
		runtime.KeepAlive(r)
	}
}

func FuzzTake(f *testing.F) {
	f.Add("payagent/H1/B1/status", []byte(`{"state":"ready","boot_id":"a","seq":1,"at":"2026-03-14T10:00:00Z","every_s":60}`))
	f.Add("payagent/H1/B1/cmd/restart/1/state", []byte(`{"cmd_id":"1","verb":"restart","state":"running"}`))
	f.Add("payagent/H1/B1/e/orders", []byte(`{"id":"1","type":"t","time":"2026-03-14T10:00:00Z"}`))
	f.Add("payagent/H1/B1/a/x", []byte(`{"since":"2026-03-14T10:00:00Z"}`))
	f.Add("payagent/H1/_fleet/rollout/x", []byte(`{}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		m := New("payagent", Usual())
		for _, retained := range []bool{true, false} {
			if k, ok := m.Take(topic, payload, retained, begin()); ok && k.Box != Fleet {
				b, ok := m.Box(k, begin())
				if _, err := json.Marshal(b); err != nil {
					t.Error(err)
				}
				_ = ok // an empty message may have ended it
			}
			m.List(Filter{Text: "x"}, 0, 10, begin())
		}
	})
}
