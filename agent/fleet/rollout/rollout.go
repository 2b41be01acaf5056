// Package rollout brings something new to many boxes in stages: to a few
// first, to more only when those reported success and stayed healthy for a
// while, and to nobody else as soon as something goes wrong (FLT-11).
//
// It is pure: what is seen of the boxes and the time come in with [Rollout.Step],
// what is to be sent comes out. Its state is one JSON document of a few bytes
// per box, from which it goes on after a restart: what was under way is sent
// again byte for byte, which a box takes once.
package rollout

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// MaxBoxes bounds a roll-out, so that its state fits into a message. A roll-out
// is of one site.
const MaxBoxes = 20_000

// Spec is what a roll-out is to do. It never changes.
type Spec struct {
	ID    string          `json:"id"` // also the id of the command on every box
	Site  string          `json:"site"`
	Verb  string          `json:"verb"`
	Args  json.RawMessage `json:"args,omitempty"`
	Note  string          `json:"note,omitempty"`
	Boxes []string        `json:"boxes"`           // nobody else ever gets anything
	First []string        `json:"first,omitempty"` // go before all others: the site's trial tills
	// Percent are the stages, e.g. 1, 10, 100. Every stage has at least one box.
	Percent []int `json:"percent"`
	// SoakS is how long the boxes of a stage must stay healthy before the next.
	SoakS int64 `json:"soak_s"`
	// AnswerS is how long after its sending a command may stay without an end.
	AnswerS int64 `json:"answer_s"`
	// LostS is how long a box may be away, or worse off than before, after it
	// was sent the command, before it counts as lost. Restarting takes a while.
	LostS int64 `json:"lost_s"`
	// ExpiresS is how long a command may wait at a box for its moment.
	ExpiresS int64 `json:"expires_s"`
	// FailPercent of a stage's boxes may fail; one more stops the roll-out. One
	// that was rolled back or lost always does.
	FailPercent int `json:"fail_percent"`
	// Parallel is how many boxes may be under way at once.
	Parallel int `json:"parallel"`
	// GiveUpS is how long boxes that are away are waited for altogether.
	GiveUpS int64 `json:"give_up_s"`
	// Document is the SHA-256 of the document that goes to desired/config before
	// the command, in hex; empty for none.
	Document string `json:"document,omitempty"`
}

// Fill gives every number that is missing its usual value.
func (s *Spec) Fill() {
	set := func(to *int64, d time.Duration) {
		if *to == 0 {
			*to = int64(d / time.Second)
		}
	}
	set(&s.SoakS, 30*time.Minute)
	set(&s.AnswerS, 26*time.Hour)
	set(&s.LostS, 10*time.Minute)
	set(&s.ExpiresS, 24*time.Hour)
	set(&s.GiveUpS, 7*24*time.Hour)
	if len(s.Percent) == 0 {
		s.Percent = []int{1, 10, 100}
	}
	if s.Parallel == 0 {
		s.Parallel = 50
	}
}

// Check tells what is wrong with a spec.
func (s Spec) Check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("cannot roll out: %s", fmt.Sprintf(format, args...))
	}
	for _, name := range slices.Concat([]string{s.ID, s.Site}, s.Boxes) {
		if err := fleet.CheckName(name); err != nil {
			return wrong("%v", err)
		}
	}
	if len(s.ID) > 38 {
		return wrong("its id has %d characters; boxes take 38", len(s.ID))
	}
	if _, ok := fleet.RoleFor(s.Verb); !ok {
		return wrong("there is no verb %q", s.Verb)
	}
	if len(s.Boxes) == 0 || len(s.Boxes) > MaxBoxes {
		return wrong("it is for %d boxes; choose 1 to %d of one site", len(s.Boxes), MaxBoxes)
	}
	seen := make(map[string]bool, len(s.Boxes))
	for _, b := range s.Boxes {
		if seen[b] {
			return wrong("box %s is named twice", b)
		}
		seen[b] = true
	}
	for i, b := range s.First {
		if !seen[b] || slices.Contains(s.First[:i], b) {
			return wrong("box %s, which is to go first, is not one of the boxes, or named twice", b)
		}
	}
	for i, p := range s.Percent {
		if p < 1 || p > 100 || i > 0 && p <= s.Percent[i-1] {
			return wrong("stages grow from 1 to 100 percent, such as 1,10,100")
		}
	}
	if n := len(s.Percent); n == 0 || s.Percent[n-1] != 100 {
		return wrong("the last stage is 100 percent; choose fewer boxes to stop before")
	}
	if s.SoakS < 0 || s.AnswerS <= 0 || s.LostS <= 0 || s.ExpiresS <= 0 || s.ExpiresS > 7*24*3600 || s.GiveUpS <= 0 || s.Parallel < 1 || s.FailPercent < 0 || s.FailPercent > 50 {
		return wrong("times are positive, commands expire within 7 days, at least one box is under way at once, and 0 to 50 percent may fail")
	}
	if len(s.Args) > 38<<10 || len(s.Note) > 1000 {
		return wrong("what is to be sent is too long")
	}
	return nil
}

// order is how boxes come one after the other: those that go first, then by a
// hash of roll-out and box, so that no box is always the first to suffer and a
// restart changes nothing.
func (s Spec) order() []string {
	type hashed struct {
		sum [sha256.Size]byte
		box string
	}
	rest := make([]hashed, 0, len(s.Boxes))
	for _, b := range s.Boxes {
		if !slices.Contains(s.First, b) {
			rest = append(rest, hashed{sha256.Sum256([]byte(s.ID + "\n" + b)), b})
		}
	}
	slices.SortFunc(rest, func(x, y hashed) int { return bytes.Compare(x.sum[:], y.sum[:]) })
	list := slices.Clone(s.First)
	for _, h := range rest {
		list = append(list, h.box)
	}
	return list
}

// ends gives how many boxes have had their turn at the end of each stage.
func (s Spec) ends() []int {
	n, ends := len(s.Boxes), []int(nil)
	for i, p := range s.Percent {
		end := (n*p + 99) / 100
		if i == 0 {
			end = max(end, len(s.First))
		} else {
			end = max(end, min(ends[i-1]+1, n))
		}
		ends = append(ends, end)
	}
	return ends
}

// The phases of a roll-out.
const (
	Running = "running"
	Paused  = "paused"  // a person said so
	Stopped = "stopped" // it stopped by itself; see Why
	Aborted = "aborted" // a person said so; for good
	Done    = "done"
)

// What became of a box; one letter each in State.Boxes. A bad end in capitals
// has been forgiven: somebody resumed the roll-out in spite of it.
const (
	Waiting    = '.'
	Sent       = 'o'
	Soaking    = 's' // succeeded, and is watched for a while
	Good       = 'g' // and stayed healthy
	Failed     = 'f'
	Refused    = 'r'
	Expired    = 'x'
	RolledBack = 'b'
	Lost       = 'l'
)

// State is a roll-out as it is kept.
type State struct {
	Spec  Spec      `json:"spec"`
	Phase string    `json:"phase"`
	Why   string    `json:"why,omitempty"` // a code, see WhyCodes
	By    string    `json:"by,omitempty"`  // who paused or aborted
	Began time.Time `json:"began"`
	At    time.Time `json:"at"`    // of the last change
	Stage int       `json:"stage"` // from 0
	// Boxes has a letter for each box, in the order of their turns.
	Boxes string `json:"boxes"`
	// Alert has a '1' for each box that had an alert before it was sent anything.
	Alert string `json:"alert"`
	// Under are the boxes under way and when each was sent its command, in
	// microseconds since 1970: issue time and counter of the command.
	Under map[string]int64 `json:"under,omitempty"`
	// Reasons tell why boxes failed, of the first 200.
	Reasons map[string]string `json:"reasons,omitempty"`
	// Away are boxes whose turn it is and that are not there, the first 50.
	Away []string `json:"away,omitempty"`
	// AwayCount is how many those are altogether.
	AwayCount int `json:"away_count,omitempty"`
	// Last is the last counter that was given out.
	Last int64 `json:"last"`
}

// Codes of State.Why.
const (
	WhyFailures   = "failures"    // more failed than may
	WhyRolledBack = "rolled_back" // a box went back to what it had
	WhyLost       = "lost"        // a box did not come back, or worse off
	WhyGaveUp     = "gave_up"     // done, but some boxes were never there
)

// Encode writes the state.
func (s State) Encode() ([]byte, error) { return json.Marshal(s) }

// Decode reads a state and checks it.
func Decode(data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("cannot read the roll-out: %w", err)
	}
	if err := s.Spec.Check(); err != nil {
		return State{}, err
	}
	n := len(s.Spec.Boxes)
	if len(s.Boxes) != n || len(s.Alert) != n || strings.Trim(s.Boxes, ".osgfrxblFRXBL") != "" || s.Stage < 0 || s.Stage >= len(s.Spec.Percent) ||
		!slices.Contains([]string{Running, Paused, Stopped, Aborted, Done}, s.Phase) {
		return State{}, errors.New("cannot read the roll-out: its parts do not fit together")
	}
	return s, nil
}

// Over tells whether nothing will be sent any more.
func (s State) Over() bool { return s.Phase == Done || s.Phase == Aborted }

// Stage is a stage's sum.
type Stage struct {
	Percent int `json:"percent"`
	Boxes   int `json:"boxes"` // that have their turn in this stage
	Waiting int `json:"waiting"`
	Sent    int `json:"sent"`
	Soaking int `json:"soaking"`
	Good    int `json:"good"`
	Bad     int `json:"bad"`
}

// Stages sums up every stage.
func (s State) Stages() []Stage {
	var list []Stage
	from := 0
	for i, end := range s.Spec.ends() {
		st := Stage{Percent: s.Spec.Percent[i], Boxes: end - from}
		for _, c := range s.Boxes[from:end] {
			switch c {
			case Waiting:
				st.Waiting++
			case Sent:
				st.Sent++
			case Soaking:
				st.Soaking++
			case Good:
				st.Good++
			default:
				st.Bad++
			}
		}
		list, from = append(list, st), end
	}
	return list
}

// Of gives the letter of every box by name.
func (s State) Of() map[string]byte {
	of := make(map[string]byte, len(s.Boxes))
	for i, box := range s.Spec.order() {
		of[box] = s.Boxes[i]
	}
	return of
}
