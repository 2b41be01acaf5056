package box

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Notes of commands. A thread per command, open until it is finished.
const (
	cmdThread  = "fleet-cmd-"
	noteTaken  = "fleet_command" // the command as it was signed: accepted
	noteState  = "fleet_state"
	noteResume = "fleet_resume" // what Do left for Resume
)

// takenNote is a command that was accepted.
type takenNote struct {
	Subject string `json:"subject"` // verb and id, for the audit
	Token   string `json:"token"`   // the key that signed first, for the audit
	Payload []byte `json:"payload"` // as it was signed
	Counter uint64 `json:"counter"`
}

// keyOf finds the commands of a key in the log.
func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "fleet:key:" + hex.EncodeToString(sum[:16])
}

// jobs are the commands that are not finished.
type jobs struct {
	mu      sync.Mutex
	live    map[string]*job
	found   []*job // not finished by the last start
	group   sync.WaitGroup
	disturb chan struct{} // one at a time
}

func (j *jobs) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.live)
}

// job is one command. state is under the lock of jobs.
type job struct {
	b     *Box
	c     fleet.Command
	hash  string
	state fleet.CommandState
	note  json.RawMessage // for Resume
	ends  bool            // Restart was called
	why   string
}

// remembered finds a command by its id; nil if it never came.
func (b *Box) remembered(id string) (*job, error) {
	b.jobs.mu.Lock()
	if j := b.jobs.live[id]; j != nil {
		c := *j
		b.jobs.mu.Unlock()
		return &c, nil
	}
	b.jobs.mu.Unlock()
	return b.readJob(id)
}

// readJob reads a command from the log.
func (b *Box) readJob(id string) (*job, error) {
	notes, err := b.o.Agent.Thread(cmdThread + id)
	if err != nil || len(notes) == 0 {
		return nil, err
	}
	j := &job{b: b}
	for _, n := range notes {
		switch n.Kind {
		case noteTaken:
			var t takenNote
			if err := json.Unmarshal(n.Data, &t); err != nil || json.Unmarshal(t.Payload, &j.c) != nil {
				return nil, fmt.Errorf("cannot read command %s in record %d; report this", id, n.Seq)
			}
			sum := sha256.Sum256(t.Payload)
			j.hash = hex.EncodeToString(sum[:])
			j.state = fleet.CommandState{ID: j.c.ID, Verb: j.c.Verb, State: fleet.Accepted, At: atWall(n.At.Wall)}
		case noteState:
			if err := json.Unmarshal(n.Data, &j.state); err != nil {
				return nil, fmt.Errorf("cannot read the state of command %s in record %d; report this", id, n.Seq)
			}
		case noteResume:
			j.note = n.Data
		}
	}
	return j, nil
}

// beginJobs finds what the last start did not finish, and the keys' counters.
func (b *Box) beginJobs() error {
	for _, k := range b.o.Keys {
		threads, err := b.o.Agent.Threads(keyOf(k.ID))
		if err != nil {
			return err
		}
		// Commands of one key grow, so the newest says it all.
		if len(threads) == 0 {
			continue
		}
		j, err := b.readJob(strings.TrimPrefix(threads[len(threads)-1], cmdThread))
		if err != nil {
			return err
		}
		if j != nil {
			b.raiseCounter(k.ID, j.c)
		}
	}
	open, err := b.o.Agent.OpenThreads()
	if err != nil {
		return err
	}
	for _, name := range open {
		id, ours := strings.CutPrefix(name, cmdThread)
		if !ours {
			continue
		}
		j, err := b.readJob(id)
		if err != nil {
			return err
		}
		b.jobs.live[id] = j
		b.jobs.found = append(b.jobs.found, j)
	}
	var kept []keptState
	b.book.read(func(v *bookData) { kept = append(kept, v.States...) })
	for _, k := range kept {
		b.showState(k.State)
	}
	for _, j := range b.jobs.found {
		b.keepState(j.state)
		b.showState(j.state)
	}
	return nil
}

// resumeJobs goes on with them.
func (b *Box) resumeJobs(ctx context.Context) {
	for _, j := range b.jobs.found {
		if j.state.State == fleet.Running {
			b.jobs.group.Go(func() { j.resume(ctx) })
		} else {
			b.jobs.group.Go(func() { j.run(ctx) })
		}
	}
	b.jobs.found = nil
}

func (b *Box) raiseCounter(key string, c fleet.Command) {
	b.book.edit(func(v *bookData) { v.Counters[key] = max(v.Counters[key], c.Counter) })
	if err := b.o.Clock.Signed(c.Issued); err != nil {
		b.log.Error("the time of a command could not be remembered; check disk and rights", "error", err)
	}
}

// accept makes a command durable and begins it. An error is the store's.
func (b *Box) accept(ctx context.Context, r request) error {
	note := takenNote{Subject: r.c.Verb + " " + r.c.ID, Token: r.key, Payload: r.payload, Counter: r.c.Counter}
	if err := b.o.Agent.NoteIn(ctx, cmdThread+r.c.ID, false, noteTaken, []string{keyOf(r.key)}, note); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	b.raiseCounter(r.key, r.c)
	b.book.save()
	j := &job{b: b, c: r.c, hash: r.hash, state: fleet.CommandState{ID: r.c.ID, Verb: r.c.Verb, State: fleet.Accepted, At: b.now()}}
	b.jobs.mu.Lock()
	b.jobs.live[r.c.ID] = j
	b.jobs.mu.Unlock()
	b.stats.add(&b.stats.accepted, 1)
	b.log.Info("a command of the fleet is accepted", "verb", r.c.Verb, "id", r.c.ID, "key", r.key)
	b.keepState(j.state)
	b.showState(j.state)
	b.jobs.group.Go(func() { j.run(ctx) })
	return nil
}

// keepState remembers what the broker shows, so that it is shown again after a
// restart and cleared when nobody needs it any more.
func (b *Box) keepState(s fleet.CommandState) {
	var gone []keptState
	b.book.edit(func(v *bookData) {
		at := -1
		for i, k := range v.States {
			if k.State.ID == s.ID && k.State.Verb == s.Verb {
				at = i
			}
		}
		k := keptState{State: s, Until: b.now().Add(stateShown)}
		if at >= 0 {
			v.States[at] = k
		} else {
			v.States = append(v.States, k)
		}
		if over := len(v.States) - statesKept; over > 0 {
			gone = append(gone, v.States[:over]...)
			v.States = append([]keptState(nil), v.States[over:]...)
		}
	})
	b.clearStates(gone)
}

// forgetStates clears at the broker what is older than a week.
func (b *Box) forgetStates() {
	now := b.now()
	var gone []keptState
	b.book.read(func(v *bookData) {
		for _, k := range v.States {
			if now.After(k.Until) {
				gone = append(gone, k)
			}
		}
	})
	if len(gone) == 0 {
		return
	}
	b.book.edit(func(v *bookData) {
		var left []keptState
		for _, k := range v.States {
			if !now.After(k.Until) {
				left = append(left, k)
			}
		}
		v.States = left
	})
	b.clearStates(gone)
}

func (b *Box) clearStates(list []keptState) {
	for _, k := range list {
		b.board.put(b.topic(fleet.LevelCommand, k.State.Verb, k.State.ID, "state"), nil)
	}
}

// showState writes a command's state.
func (b *Box) showState(s fleet.CommandState) {
	b.board.put(b.topic(fleet.LevelCommand, s.Verb, s.ID, "state"), stateData(s))
}

// maxResult bounds a result within a state.
const maxResult = 8 << 10

func stateData(s fleet.CommandState) []byte {
	data, err := json.Marshal(s)
	if err != nil {
		s.Result = nil
		data, _ = json.Marshal(s)
	}
	return data
}

// set changes what is known of a job, and shows it.
func (j *job) set(change func(s *fleet.CommandState)) fleet.CommandState {
	j.b.jobs.mu.Lock()
	change(&j.state)
	j.state.At = j.b.now()
	s := j.state
	j.b.jobs.mu.Unlock()
	j.b.keepState(s)
	j.b.showState(s)
	return s
}

// lockLook is how often the payment lock is looked at again.
const lockLook = 5 * time.Second

// run waits for its turn and carries the command out.
func (j *job) run(ctx context.Context) {
	b := j.b
	v := b.verbs[j.c.Verb]
	if v.Do == nil { // another version of the program took it
		j.finish(ctx, fleet.Failed, WhyVerb, "this version of the program has no such verb", nil)
		return
	}
	if v.Disturbs {
		if !j.turn(ctx) {
			return
		}
		defer func() { <-b.jobs.disturb }()
	}
	if !b.o.Clock.Now().Before(j.c.Expires) {
		j.finish(ctx, fleet.Expired, WhyExpired, "it expired before its turn came", nil)
		return
	}
	s := j.set(func(s *fleet.CommandState) { s.State, s.Reason, s.Text = fleet.Running, "", "" })
	if !j.write(ctx, false, noteState, s) {
		return
	}
	result, err := v.Do(ctx, j.c, j)
	j.ended(ctx, result, err)
}

// turn waits until no other command disturbs and the payment lock is free;
// false if the command is over.
func (j *job) turn(ctx context.Context) bool {
	b := j.b
	held := false
	var why string
	for {
		if held || len(b.jobs.disturb) == 0 {
			select {
			case b.jobs.disturb <- struct{}{}:
				held = true
			default:
			}
		}
		now := WhyBusy
		changed := b.o.Lock.Changed()
		if held {
			ok, reason := b.o.Lock.Free()
			if ok && b.o.Clock.Now().Before(j.c.Expires) {
				return true
			}
			now = reason
		}
		if !b.o.Clock.Now().Before(j.c.Expires) {
			if held {
				<-b.jobs.disturb
			}
			j.finish(ctx, fleet.Expired, WhyLock, "it expired while it waited: "+now, nil)
			return false
		}
		if now != why {
			why = now
			j.set(func(s *fleet.CommandState) { s.Reason, s.Text = WhyLock, now })
		}
		timer := time.NewTimer(lockLook)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			if held {
				<-b.jobs.disturb
			}
			return false
		}
	}
}

// resume ends a command that the last start had begun.
func (j *job) resume(ctx context.Context) {
	v := j.b.verbs[j.c.Verb]
	if v.Resume == nil {
		j.finish(ctx, fleet.Failed, WhyRestart, "the program was restarted while it was carried out", nil)
		return
	}
	result, err := v.Resume(ctx, j.c, j.note)
	j.ended(ctx, result, err)
}

// ended writes down how it went, unless the process is about to end.
func (j *job) ended(ctx context.Context, result any, err error) {
	switch {
	case j.ends:
		j.b.book.save()
		// Since the lock was free something took its time, and a patient may have
		// been faster. What was begun is durable and waits for the end with us.
		wait := func(why string) {
			j.set(func(s *fleet.CommandState) { s.Reason, s.Text = WhyLock, why })
		}
		if trial.Await(ctx, j.b.o.Lock, wait) == nil {
			j.b.o.End(j.why)
		}
	case err != nil && ctx.Err() != nil: // the box stops; the next start goes on
	case err != nil:
		code, text := failureOf(err)
		j.finish(ctx, fleet.Failed, code, text, nil)
	default:
		j.finish(ctx, fleet.Succeeded, "", "", result)
	}
}

// finish makes the end durable and shows it.
func (j *job) finish(ctx context.Context, state, reason, text string, result any) {
	b := j.b
	b.jobs.mu.Lock()
	s := j.state
	b.jobs.mu.Unlock()
	s.State, s.Reason, s.Text, s.At = state, reason, text, b.now()
	if result != nil {
		if data, err := json.Marshal(result); err == nil && len(data) <= maxResult {
			s.Result = data
		}
	}
	if state == fleet.Succeeded {
		s.Progress = 100
	}
	// What happened is written also while stopping: else it would happen twice.
	if !j.write(context.WithoutCancel(ctx), true, noteState, s) {
		return
	}
	b.jobs.mu.Lock()
	j.state = s
	delete(b.jobs.live, s.ID)
	b.jobs.mu.Unlock()
	b.keepState(s)
	b.showState(s)
	b.log.Info("a command of the fleet has ended", "verb", s.Verb, "id", s.ID, "state", s.State, "reason", s.Reason)
	if state == fleet.Succeeded {
		b.stats.add(&b.stats.done, 1)
	} else {
		b.stats.add(&b.stats.failures, 1)
	}
}

// write notes something in the command's thread. Where the store fails the
// agent ends the process by itself.
func (j *job) write(ctx context.Context, done bool, kind string, v any) bool {
	err := j.b.o.Agent.NoteIn(ctx, cmdThread+j.c.ID, done, kind, nil, v)
	if err != nil {
		j.b.log.Error("a command's state could not be written", "id", j.c.ID, "error", err)
	}
	return err == nil
}

// Progress implements Runner.
func (j *job) Progress(percent int, text string) {
	j.b.jobs.mu.Lock()
	j.state.Progress, j.state.Text, j.state.At = min(max(percent, 0), 100), text, j.b.now()
	s := j.state
	j.b.jobs.mu.Unlock()
	j.b.showState(s)
}

// Note implements Runner.
func (j *job) Note(v any) error {
	if err := j.b.o.Agent.NoteIn(context.Background(), cmdThread+j.c.ID, false, noteResume, nil, v); err != nil {
		return fmt.Errorf("cannot note how far the command is: %w", err)
	}
	return nil
}

// Restart implements Runner.
func (j *job) Restart(why string) { j.ends, j.why = true, why }
