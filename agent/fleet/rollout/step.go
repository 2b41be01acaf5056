package rollout

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"payagent/agent/fleet"
)

// Rollout is a roll-out under way.
type Rollout struct {
	s     State
	order []string
	ends  []int
	boxes []byte
	alert []byte
	// bad is since when a box that was sent something has been away or worse
	// off, well since when one that succeeded has been well. They are not kept:
	// after a restart of this program these clocks begin anew.
	bad, well map[string]time.Time
	// asked is when a command of which nothing was heard was last sent.
	asked map[string]time.Time
}

// Sight is what is seen of a box.
type Sight struct {
	State string // as fleet.Presence has it now
	// Command is what the box says of this roll-out's command; nil: nothing yet.
	Command *fleet.CommandState
}

// Send is a command for one box. The same Send twice makes the same bytes.
type Send struct {
	Box     string
	ID      string
	Issued  time.Time
	Expires time.Time
	Counter uint64
}

// again is after how long a command of which nothing was heard is sent again.
const again = 5 * time.Minute

// New begins a roll-out.
func New(spec Spec, now time.Time) (*Rollout, error) {
	spec.Fill()
	if err := spec.Check(); err != nil {
		return nil, err
	}
	n := len(spec.Boxes)
	return restore(State{Spec: spec, Phase: Running, Began: now, At: now, Under: map[string]int64{}, Reasons: map[string]string{},
		Boxes: string(bytes.Repeat([]byte{Waiting}, n)), Alert: string(bytes.Repeat([]byte{'0'}, n))}), nil
}

// Restore goes on with a roll-out that was kept.
func Restore(s State) (*Rollout, error) {
	data, err := s.Encode()
	if err != nil {
		return nil, err
	}
	if s, err = Decode(data); err != nil {
		return nil, err
	}
	return restore(s), nil
}

func restore(s State) *Rollout {
	if s.Under == nil {
		s.Under = map[string]int64{}
	}
	if s.Reasons == nil {
		s.Reasons = map[string]string{}
	}
	return &Rollout{s: s, order: s.Spec.order(), ends: s.Spec.ends(), boxes: []byte(s.Boxes), alert: []byte(s.Alert), bad: map[string]time.Time{}, well: map[string]time.Time{}, asked: map[string]time.Time{}}
}

// State is what is to be kept.
func (r *Rollout) State() State {
	s := r.s
	s.Boxes, s.Alert = string(r.boxes), string(r.alert)
	s.Under, s.Reasons, s.Away = maps.Clone(s.Under), maps.Clone(s.Reasons), slices.Clone(s.Away)
	return s
}

// Pause stops sending until somebody resumes.
func (r *Rollout) Pause(by string, now time.Time) { r.person(by, Paused, now, Running) }

// Resume goes on after a pause or a stop. What failed before is forgiven: only
// what fails anew stops again.
func (r *Rollout) Resume(by string, now time.Time) {
	if r.s.Phase == Stopped {
		for i, c := range r.boxes {
			if isBad(c) {
				r.boxes[i] = c - 'a' + 'A'
			}
		}
	}
	r.person(by, Running, now, Paused, Stopped)
}

// Abort ends it for good. What is under way cannot be called back.
func (r *Rollout) Abort(by string, now time.Time) {
	r.person(by, Aborted, now, Running, Paused, Stopped)
}

// Withdraw takes back that a box was sent its command: it was not, and waits
// again.
func (r *Rollout) Withdraw(box string, now time.Time) {
	i := slices.Index(r.order, box)
	if i < 0 || r.boxes[i] != Sent {
		return
	}
	r.end(i, Waiting, "")
	r.s.At = now
}

func (r *Rollout) person(by, phase string, now time.Time, from ...string) {
	if slices.Contains(from, r.s.Phase) {
		r.s.Phase, r.s.By, r.s.Why, r.s.At = phase, by, "", now
	}
}

// isBad tells of a bad end that nobody has forgiven.
func isBad(c byte) bool {
	return c >= 'a' && c <= 'z' && c != Sent && c != Soaking && c != Good
}

// Step takes in what is seen of the boxes now and gives what is to be sent.
// Before it is sent, State must have been kept; changed tells whether it is
// other than after the last step. Without anything new a step every few
// seconds is enough.
func (r *Rollout) Step(now time.Time, look func(box string) Sight) (send []Send, changed bool) {
	if r.s.Over() && len(r.s.Under) == 0 {
		return nil, false
	}
	before := r.mark()
	r.collect(now, look)
	if r.s.Phase == Running {
		r.judge()
	}
	if r.s.Phase == Running {
		send = r.advance(now, look)
	}
	if r.s.Phase == Running {
		send = append(send, r.repeat(now, look, send)...)
	}
	if before != r.mark() {
		r.s.At, changed = now, true
	}
	return send, changed
}

// mark is what of the state a step can change, as a text to compare.
func (r *Rollout) mark() string {
	s := r.s
	return fmt.Sprint(s.Phase, s.Why, s.Stage, s.AwayCount, s.Last, len(s.Under)) + string(r.boxes)
}

// collect takes in what the boxes answered and how they are.
func (r *Rollout) collect(now time.Time, look func(string) Sight) {
	for i, box := range r.order[:r.ends[r.s.Stage]] {
		if r.boxes[i] != Sent && r.boxes[i] != Soaking {
			continue
		}
		sight := look(box)
		if r.boxes[i] == Sent {
			if end, why := ended(sight.Command); end != Sent {
				r.end(i, end, why)
			} else if now.Sub(time.UnixMicro(r.s.Under[box])) > seconds(r.s.Spec.AnswerS) {
				r.end(i, Lost, "no_answer")
			}
		}
		if r.boxes[i] == Sent || r.boxes[i] == Soaking {
			r.health(i, sight.State, now)
		}
	}
}

// health watches a box that was sent something: too long away, or worse off
// than before, and it is lost; well for long enough after it succeeded, and it
// is good.
func (r *Rollout) health(i int, state string, now time.Time) {
	box := r.order[i]
	if state != fleet.StateReady && (state != fleet.StateAlert || r.alert[i] != '1') {
		delete(r.well, box)
		if since, ok := r.bad[box]; !ok {
			r.bad[box] = now
		} else if now.Sub(since) > seconds(r.s.Spec.LostS) {
			r.end(i, Lost, state)
		}
		return
	}
	delete(r.bad, box)
	if r.boxes[i] != Soaking {
		return
	}
	if _, ok := r.well[box]; !ok {
		r.well[box] = now
	}
	if now.Sub(r.well[box]) >= seconds(r.s.Spec.SoakS) {
		r.end(i, Good, "")
	}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// ended reads the end of a command; Sent while it has none.
func ended(c *fleet.CommandState) (letter byte, why string) {
	if c == nil {
		return Sent, ""
	}
	switch c.State {
	case fleet.Succeeded:
		return Soaking, ""
	case fleet.Refused:
		return Refused, c.Reason
	case fleet.Expired:
		return Expired, c.Reason
	case fleet.Failed:
		// The codes of agent/trial: what was begun did not prove itself.
		if slices.Contains([]string{"rolled_back", "not_proven", "not_started", "start_failed", "unusable", "program_gone", "wrong_version", "taken_back"}, c.Reason) {
			return RolledBack, c.Reason
		}
		return Failed, c.Reason
	}
	return Sent, ""
}

func (r *Rollout) end(i int, letter byte, why string) {
	box := r.order[i]
	r.boxes[i] = letter
	for _, m := range []map[string]time.Time{r.bad, r.well, r.asked} {
		delete(m, box)
	}
	delete(r.s.Under, box)
	if isBad(letter) && len(r.s.Reasons) < 200 {
		r.s.Reasons[box] = why
	}
}

// judge stops the roll-out where too much went wrong.
func (r *Rollout) judge() {
	boxes := r.boxes[:r.ends[r.s.Stage]]
	bad := 0
	for _, c := range boxes {
		if isBad(c) {
			bad++
		}
	}
	switch {
	case slices.Contains(boxes, RolledBack):
		r.s.Why = WhyRolledBack
	case slices.Contains(boxes, Lost):
		r.s.Why = WhyLost
	case bad > len(boxes)*r.s.Spec.FailPercent/100:
		r.s.Why = WhyFailures
	default:
		return
	}
	r.s.Phase = Stopped
}

// proof tells whether a box lets a stage go on: it is good, or a person took it
// upon himself to go on in spite of it.
func proof(c byte) bool { return c == Good || c >= 'A' && c <= 'Z' }

func online(state string) bool { return state == fleet.StateReady || state == fleet.StateAlert }

// advance sends to those whose turn it is, or goes on to the next stage.
func (r *Rollout) advance(now time.Time, look func(string) Sight) (send []Send) {
	end, begin := r.ends[r.s.Stage], 0
	if r.s.Stage > 0 {
		begin = r.ends[r.s.Stage-1]
	}
	r.s.Away, r.s.AwayCount = nil, 0
	room := r.s.Spec.Parallel - len(r.s.Under)
	waits := false // a box that is there waits for room
	for i, box := range r.order[:end] {
		if r.boxes[i] != Waiting {
			continue
		}
		sight := look(box)
		switch {
		case !online(sight.State):
			if r.s.AwayCount++; len(r.s.Away) < 50 {
				r.s.Away = append(r.s.Away, box)
			}
		case room <= 0:
			waits = true
		default:
			room--
			r.boxes[i] = Sent
			if sight.State == fleet.StateAlert {
				r.alert[i] = '1'
			}
			r.s.Last = max(r.s.Last+1, now.UnixMicro())
			r.s.Under[box], r.asked[box] = r.s.Last, now
			send = append(send, r.send(box))
		}
	}
	over := now.Sub(r.s.Began) > seconds(r.s.Spec.GiveUpS)
	last := r.s.Stage == len(r.ends)-1
	switch {
	case waits || len(r.s.Under) > 0 || slices.Contains(r.boxes[:end], Soaking):
	case over && r.s.AwayCount > 0:
		r.s.Phase, r.s.Why = Done, WhyGaveUp
	case begin < end && !slices.ContainsFunc(r.boxes[begin:end], proof):
		// Nobody of this stage has tried it yet, and those who were there failed:
		// that proves nothing, even where so few may fail.
		if r.s.AwayCount == 0 {
			r.s.Phase, r.s.Why = Stopped, WhyFailures
		}
	case !last:
		r.s.Stage++
	case r.s.AwayCount == 0:
		r.s.Phase = Done
	}
	return send
}

func (r *Rollout) send(box string) Send {
	at := time.UnixMicro(r.s.Under[box]).UTC()
	return Send{Box: box, ID: r.s.Spec.ID, Issued: at, Expires: at.Add(time.Duration(r.s.Spec.ExpiresS) * time.Second), Counter: uint64(r.s.Under[box])}
}

// repeat sends again, byte for byte, what nothing was heard of: after a restart
// of this program at once, else after a while.
func (r *Rollout) repeat(now time.Time, look func(string) Sight, fresh []Send) (send []Send) {
	for _, box := range slices.Sorted(maps.Keys(r.s.Under)) {
		if t, ok := r.asked[box]; ok && now.Sub(t) < again || slices.ContainsFunc(fresh, func(s Send) bool { return s.Box == box }) {
			continue
		}
		if s := look(box); s.Command == nil && online(s.State) {
			r.asked[box] = now
			send = append(send, r.send(box))
		}
	}
	return send
}
