package rollout

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
)

func begin() time.Time { return time.Date(2026, 3, 14, 22, 0, 0, 0, time.UTC) }

// world is boxes that do what they are told, or something else.
type world struct {
	t     *testing.T
	now   time.Time
	boxes map[string]*till
	ids   []string
	sends int
	extra map[string]bool // boxes that must never get anything
}

type till struct {
	state   string
	command *fleet.CommandState
	got     string // the send it took
	end     fleet.CommandState
	after   time.Duration // from getting the command to its end
	at      time.Time
	dies    bool // away for good after the command
	sickens bool // worse off than before after the command
}

func newWorld(t *testing.T, n int) *world {
	w := &world{t: t, now: begin(), boxes: map[string]*till{}}
	for i := range n {
		id := fmt.Sprintf("B%05d", i)
		w.ids = append(w.ids, id)
		w.boxes[id] = &till{state: fleet.StateReady, end: fleet.CommandState{State: fleet.Succeeded}, after: 2 * time.Minute}
	}
	return w
}

func (w *world) spec(percent ...int) Spec {
	return Spec{ID: "r1", Site: "H1", Verb: fleet.VerbUpdate, Boxes: w.ids, Percent: percent, SoakS: 600, FailPercent: 2, Parallel: 500}
}

func (w *world) look(box string) Sight {
	b := w.boxes[box]
	if b.command != nil && !b.at.IsZero() && w.now.Sub(b.at) >= b.after {
		end := b.end
		b.command = &end
		switch {
		case b.dies:
			b.state = fleet.StateLost
		case b.sickens:
			b.state = fleet.StateAlert
		}
	}
	return Sight{b.state, b.command}
}

// step takes one step and delivers what is sent.
func (w *world) step(r *Rollout) bool {
	w.t.Helper()
	send, changed := r.Step(w.now, w.look)
	for _, s := range send {
		b := w.boxes[s.Box]
		if b == nil || w.extra[s.Box] {
			w.t.Fatalf("sent to %s, which is outside", s.Box)
		}
		if b.state != fleet.StateReady && b.state != fleet.StateAlert {
			w.t.Fatalf("sent to %s, which is %s", s.Box, b.state)
		}
		text, _ := json.Marshal(s)
		if b.got != "" && b.got != string(text) {
			w.t.Fatalf("a second, different command for %s: %s, then %s", s.Box, b.got, text)
		}
		if b.got == "" {
			w.sends++
			b.got, b.at, b.command = string(text), w.now, &fleet.CommandState{State: fleet.Accepted}
		}
	}
	return changed
}

// run steps every 30 seconds until the phase is other than running.
func (w *world) run(r *Rollout, limit time.Duration) State {
	w.t.Helper()
	for end := w.now.Add(limit); w.now.Before(end); w.now = w.now.Add(30 * time.Second) {
		w.step(r)
		if s := r.State(); s.Phase != Running {
			return s
		}
	}
	return r.State()
}

func start(t *testing.T, spec Spec) *Rollout {
	t.Helper()
	r, err := New(spec, begin())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStages: 10,000 boxes, 1 % of them fail; every stage waits for the one
// before, and the whole comes to an end.
func TestStages(t *testing.T) {
	w := newWorld(t, 10_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, id := range w.ids { // in their order: those of the first stage are the same each time
		b := w.boxes[id]
		b.after = time.Duration(rng.IntN(600)) * time.Second
		if rng.IntN(100) == 0 {
			b.end = fleet.CommandState{State: fleet.Failed, Reason: "download"}
		}
	}
	r := start(t, w.spec(1, 10, 100))
	stage := 0
	for range 4000 {
		w.step(r)
		s := r.State()
		if s.Stage != stage {
			if s.Stage != stage+1 {
				t.Fatal("a stage was left out")
			}
			if st := s.Stages()[stage]; st.Waiting+st.Sent+st.Soaking != 0 || st.Good < st.Boxes*9/10 {
				t.Fatalf("stage %d began after %+v", s.Stage, st)
			}
			stage = s.Stage
		}
		if len(s.Under) > 500 {
			t.Fatal(len(s.Under), "boxes are under way at once")
		}
		if turn := s.Spec.ends()[stage]; w.sends > turn {
			t.Fatalf("%d were sent, %d have their turn", w.sends, turn)
		}
		if s.Phase == Done {
			break
		}
		w.now = w.now.Add(30 * time.Second)
	}
	s := r.State()
	if s.Phase != Done || s.Why != "" || w.sends != 10_000 {
		t.Fatalf("%s %s %+v after %s", s.Phase, s.Why, s.Stages(), w.now.Sub(begin()))
	}
	if data, err := s.Encode(); err != nil || len(data) > 256<<10 {
		t.Errorf("the state has %d bytes, %v", len(data), err)
	}
}

func TestSizesOfStages(t *testing.T) {
	for _, x := range []struct {
		boxes, first int
		percent      []int
		want         string
	}{{10_000, 0, []int{1, 10, 100}, "[100 1000 10000]"}, {3, 0, []int{1, 10, 100}, "[1 2 3]"}, {1, 0, []int{1, 10, 100}, "[1 1 1]"},
		{20, 0, []int{1, 10, 100}, "[1 2 20]"}, {20, 5, []int{1, 10, 100}, "[5 6 20]"}, {7, 0, []int{100}, "[7]"}, {101, 0, []int{1, 100}, "[2 101]"}} {
		s := Spec{Percent: x.percent, Boxes: make([]string, x.boxes), First: make([]string, x.first)}
		if got := fmt.Sprint(s.ends()); got != x.want {
			t.Errorf("%+v: %s", x, got)
		}
	}
	w := newWorld(t, 200)
	s := w.spec(1, 100)
	s.First = []string{"B00007", "B00003"}
	order := s.order()
	if order[0] != "B00007" || order[1] != "B00003" || len(order) != 200 {
		t.Error(order[:5])
	}
	other := s
	other.ID = "r2"
	if slices.Equal(order, other.order()) || !slices.Equal(order, s.order()) {
		t.Error("the order is not one by roll-out and box")
	}
}

// TestStopsByItself: whatever goes wrong in the first stage stays there.
func TestStopsByItself(t *testing.T) {
	for name, x := range map[string]struct {
		bad   till
		why   string
		sends int
	}{
		"failed":          {till{end: fleet.CommandState{State: fleet.Failed, Reason: "download"}}, WhyFailures, 1},
		"refused":         {till{end: fleet.CommandState{State: fleet.Refused, Reason: "not_signed"}}, WhyFailures, 1},
		"expired":         {till{end: fleet.CommandState{State: fleet.Expired}}, WhyFailures, 1},
		"rolled back":     {till{end: fleet.CommandState{State: fleet.Failed, Reason: "not_proven"}}, WhyRolledBack, 1},
		"does not return": {till{end: fleet.CommandState{State: fleet.Succeeded}, dies: true}, WhyLost, 1},
		"dies in between": {till{end: fleet.CommandState{State: fleet.Running}, dies: true}, WhyLost, 1},
		"worse off":       {till{end: fleet.CommandState{State: fleet.Succeeded}, sickens: true}, WhyLost, 1},
		"says nothing":    {till{end: fleet.CommandState{State: fleet.Running}}, WhyLost, 1},
	} {
		w := newWorld(t, 100)
		spec := w.spec(1, 10, 100)
		*w.boxes[spec.order()[0]] = x.bad
		w.boxes[spec.order()[0]].state = fleet.StateReady
		s := w.run(start(t, spec), 72*time.Hour)
		if s.Phase != Stopped || s.Why != x.why || w.sends != x.sends {
			t.Errorf("%s: %s %s after %d", name, s.Phase, s.Why, w.sends)
		}
	}
}

// TestShare: up to 2 % of a stage may fail, the next one stops; one lost box
// among thousands stops too.
func TestShare(t *testing.T) {
	for _, x := range []struct {
		failed, lost int
		phase, why   string
	}{{4, 0, Done, ""}, {5, 0, Stopped, WhyFailures}, {0, 1, Stopped, WhyLost}} {
		w := newWorld(t, 200)
		spec := w.spec(1, 10, 100)
		order := spec.order()
		for i := range x.failed {
			w.boxes[order[100+i]].end = fleet.CommandState{State: fleet.Failed}
		}
		for i := range x.lost {
			w.boxes[order[150+i]].dies = true
		}
		if s := w.run(start(t, spec), 72*time.Hour); s.Phase != x.phase || s.Why != x.why {
			t.Errorf("%+v: %s %s", x, s.Phase, s.Why)
		}
	}
}

// TestSoak: the next stage waits until everything has been well for the time,
// without a break.
func TestSoak(t *testing.T) {
	w := newWorld(t, 100)
	spec := w.spec(1, 100)
	canary := w.boxes[spec.order()[0]]
	r := start(t, spec)
	for m := 0; m < 60; m++ {
		switch m {
		case 9: // seven minutes after it succeeded
			canary.state = fleet.StateLost
		case 12:
			canary.state = fleet.StateReady
		}
		w.step(r)
		if want := map[bool]int{false: 1, true: 100}[m >= 23]; w.sends != want {
			t.Fatalf("minute %d: %d were sent, want %d", m, w.sends, want)
		}
		w.now = w.now.Add(time.Minute)
	}
}

// TestAway: boxes that are not there hold nobody up, are sent to when they are
// back, and a stage of nobody else proves nothing.
func TestAway(t *testing.T) {
	w := newWorld(t, 100)
	spec := w.spec(1, 10, 100)
	order := spec.order()
	canary, late := w.boxes[order[0]], w.boxes[order[50]]
	canary.state, late.state = fleet.StateUnknown, fleet.StateGone
	r := start(t, spec)
	if s := w.run(r, time.Hour); w.sends != 0 || s.AwayCount != 1 || !slices.Equal(s.Away, order[:1]) {
		t.Fatalf("%d were sent although the first is away: %+v", w.sends, s)
	}
	canary.state = fleet.StateReady
	if s := w.run(r, 3*time.Hour); s.Phase != Running || w.sends != 99 || s.AwayCount != 1 {
		t.Fatalf("%+v after %d", s, w.sends)
	}
	late.state = fleet.StateAlert // was so before the command, so it is as well as it was
	if s := w.run(r, time.Hour); s.Phase != Done || w.sends != 100 {
		t.Fatalf("%+v", s)
	}
	w = newWorld(t, 10)
	w.boxes[w.ids[3]].state = fleet.StateLost
	if s := w.run(start(t, w.spec(100)), 9*24*time.Hour); s.Phase != Done || s.Why != WhyGaveUp || w.sends != 9 {
		t.Fatalf("%+v", s)
	}
}

// TestNightIsNoFault: a till of a former stage that is switched off later is
// no loss.
func TestNightIsNoFault(t *testing.T) {
	w := newWorld(t, 100)
	spec := w.spec(1, 10, 100)
	w.boxes[spec.order()[99]].state = fleet.StateLost
	r := start(t, spec)
	w.run(r, 3*time.Hour)
	for _, box := range spec.order()[:50] {
		w.boxes[box].state = fleet.StateGone
	}
	if s := w.run(r, 12*time.Hour); s.Phase != Running {
		t.Fatalf("%s %s", s.Phase, s.Why)
	}
}

func TestPeople(t *testing.T) {
	w := newWorld(t, 100)
	spec := w.spec(1, 10, 100)
	r := start(t, spec)
	w.step(r)
	r.Pause("li", w.now)
	if s := w.run(r, time.Hour); s.Phase != Paused || s.By != "li" || w.sends != 1 {
		t.Fatalf("%+v", s)
	}
	// What was under way is seen to its end all the same.
	for range 60 {
		w.step(r)
		w.now = w.now.Add(time.Minute)
	}
	if s := r.State(); s.Stages()[0].Good != 1 || w.sends != 1 {
		t.Fatalf("%+v", s.Stages())
	}
	r.Resume("li", w.now)
	w.step(r)
	w.step(r)
	if w.sends == 1 {
		t.Fatal("it does not go on")
	}
	r.Abort("wang", w.now)
	before := w.sends
	if s := w.run(r, time.Hour); s.Phase != Aborted || s.By != "wang" || w.sends != before {
		t.Fatalf("%+v", s)
	}
	if r.Resume("li", w.now); r.State().Phase != Aborted {
		t.Fatal("an aborted roll-out was resumed")
	}
}

// TestResumeForgives: after a stop only what fails anew stops again.
func TestResumeForgives(t *testing.T) {
	w := newWorld(t, 100)
	spec := w.spec(1, 10, 100)
	order := spec.order()
	w.boxes[order[0]].end = fleet.CommandState{State: fleet.Failed, Reason: "rolled_back"}
	w.boxes[order[60]].end = fleet.CommandState{State: fleet.Failed, Reason: "rolled_back"}
	r := start(t, spec)
	if s := w.run(r, time.Hour); s.Why != WhyRolledBack || s.Reasons[order[0]] != "rolled_back" {
		t.Fatalf("%+v", s)
	}
	r.Resume("li", w.now)
	if s := w.run(r, 10*time.Hour); s.Phase != Stopped || s.Why != WhyRolledBack || w.sends != 60+40 {
		t.Fatalf("%s %s %d", s.Phase, s.Why, w.sends)
	}
	r.Resume("li", w.now)
	if s := w.run(r, 10*time.Hour); s.Phase != Done {
		t.Fatalf("%s %s %+v", s.Phase, s.Why, s.Stages())
	}
}

// TestRestarts: the controller is killed after every step, and what it had sent
// is lost on the way half of the time. Every box takes one command once.
func TestRestarts(t *testing.T) {
	w := newWorld(t, 300)
	spec := w.spec(1, 10, 100)
	r := start(t, spec)
	r.s.Spec.SoakS = 0 // its clock begins anew at each restart
	rng := rand.New(rand.NewPCG(3, 4))
	sent := map[string]string{}
	for range 2000 {
		send, _ := r.Step(w.now, w.look)
		for _, s := range send {
			text, _ := json.Marshal(s)
			if old, ok := sent[s.Box]; ok && old != string(text) {
				t.Fatalf("%s, then %s", old, text)
			}
			sent[s.Box] = string(text)
			if b := w.boxes[s.Box]; rng.IntN(2) == 0 && b.got == "" {
				b.got, b.at, b.command = string(text), w.now, &fleet.CommandState{State: fleet.Accepted}
			}
		}
		data, err := r.State().Encode()
		if err != nil {
			t.Fatal(err)
		}
		s, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = Restore(s); err != nil {
			t.Fatal(err)
		}
		if s.Phase == Done {
			break
		}
		w.now = w.now.Add(time.Minute)
	}
	if s := r.State(); s.Phase != Done || len(sent) != 300 {
		t.Fatalf("%s %+v", s.Phase, s.Stages())
	}
}

// TestRandom: whatever boxes do, nothing leaves for a box outside, nor beyond
// the stage, nor after a stop.
func TestRandom(t *testing.T) {
	states := []string{fleet.StateReady, fleet.StateReady, fleet.StateReady, fleet.StateReady, fleet.StateAlert, fleet.StateLost, fleet.StateUnknown, fleet.StateGone, fleet.StateInit}
	ends := []string{fleet.Succeeded, fleet.Succeeded, fleet.Succeeded, fleet.Succeeded, fleet.Failed, fleet.Refused, fleet.Expired}
	phases := map[string]int{}
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, 1+rng.IntN(60))
		w.extra = map[string]bool{}
		spec := w.spec(1, 10, 100)
		spec.FailPercent = rng.IntN(30)
		keep := spec.Boxes[:0:0]
		for _, b := range spec.Boxes {
			if rng.IntN(5) > 0 || len(keep) == 0 {
				keep = append(keep, b)
			} else {
				w.extra[b] = true
			}
		}
		spec.Boxes = keep
		for _, id := range w.ids {
			b := w.boxes[id]
			b.end.State = ends[rng.IntN(len(ends))]
			if rng.IntN(4) > 0 {
				b.end.State = fleet.Succeeded
			}
		}
		r := start(t, spec)
		for range 600 {
			b := w.boxes[w.ids[rng.IntN(len(w.ids))]]
			b.state = states[rng.IntN(len(states))]
			before, sends := r.State(), w.sends
			w.step(r)
			s := r.State()
			if w.sends > sends && (s.Phase == Stopped || before.Phase != Running) {
				t.Fatalf("seed %d: sent while %s, then %s", seed, before.Phase, s.Phase)
			}
			for i, c := range s.Boxes {
				if c != Waiting && i >= spec.ends()[s.Stage] {
					t.Fatalf("seed %d: box %d had its turn in stage %d", seed, i, s.Stage)
				}
			}
			if s.Phase == Stopped && before.Phase == Running {
				phases[Stopped]++
			}
			if s.Phase == Stopped && rng.IntN(3) == 0 {
				r.Resume("x", w.now)
			}
			w.now = w.now.Add(time.Minute)
		}
		phases[r.State().Phase]++
	}
	if phases[Done] == 0 || phases[Stopped] == 0 {
		t.Error("the seeds show too little", phases)
	}
}

func TestRefusedSpecs(t *testing.T) {
	good := newWorld(t, 3).spec(1, 100)
	for name, change := range map[string]func(*Spec){
		"verb":      func(s *Spec) { s.Verb = "refund" },
		"no boxes":  func(s *Spec) { s.Boxes = nil },
		"twice":     func(s *Spec) { s.Boxes = []string{"a", "a"} },
		"outside":   func(s *Spec) { s.First = []string{"other"} },
		"shrinking": func(s *Spec) { s.Percent = []int{10, 1, 100} },
		"not all":   func(s *Spec) { s.Percent = []int{1, 10} },
		"name":      func(s *Spec) { s.ID = "a/b" },
		"too many":  func(s *Spec) { s.FailPercent = 60 },
		"expiry":    func(s *Spec) { s.ExpiresS = 8 * 24 * 3600 },
	} {
		s := good
		change(&s)
		if _, err := New(s, begin()); err == nil || !strings.HasPrefix(err.Error(), "cannot roll out") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r, err := New(Spec{ID: "r1", Site: "H1", Verb: "update", Boxes: []string{"a", "b", "c"}}, begin())
	if err != nil {
		f.Fatal(err)
	}
	data, err := r.State().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		r, err := Restore(s)
		if err != nil {
			return
		}
		r.Step(begin(), func(string) Sight { return Sight{State: fleet.StateReady} })
		s.Stages()
	})
}
