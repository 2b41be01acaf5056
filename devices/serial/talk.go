package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"payagent/devices"
)

// Alive is a question by which a scanner shows that it still works. Where a
// scanner hangs without an error, nothing else tells (DEV-08).
//
// A scanner that never answered since it was opened may not know the question,
// so silence counts only for one that did. Every scanned byte is a sign of
// life too. At most Every + Within pass until a silent one is said to be gone.
type Alive struct {
	Ask []byte // empty: nothing is asked
	// Answer is how the answer begins. With the protocol ssi it is compared
	// from the opcode on.
	Answer []byte
	Every  time.Duration // between two questions; default 20 s, at least 1 s
	Within time.Duration // how long the answer may take; default 5 s, at least 100 ms
}

// errSilent says why a scanner that gives no error is gone.
var errSilent = errors.New("it does not answer any more although its port is open; if this comes again, plug it in directly and switch USB power saving off")

// mostJobs is how many actions may wait; more are of no use to anybody.
const mostJobs = 8

// hearer is a decoder that tells answers from codes.
type hearer interface {
	Heard() uint64 // how many answers came
	Expect(bool)   // a question was asked, or its answer is not waited for
}

// replier is a decoder whose protocol has to answer the device.
type replier interface{ Replies() [][]byte }

// job is one command to send.
type job struct {
	ctx    context.Context
	data   []byte
	result chan error // has room for the result
}

// timed is a port whose read time-out can be set.
type timed interface {
	SetReadTimeout(time.Duration) error
}

// talker is a port that writes between two reads, so that one goroutine makes
// every call to the port.
type talker struct {
	io.ReadCloser
	out     io.Writer
	replier replier // nil if the protocol needs none
	hearer  hearer  // nil if answers are no matter
	pause   time.Duration
	alive   Alive

	// Of the goroutine that reads.
	patience time.Duration
	set      time.Duration // the read time-out set last
	wrote    time.Time     // when a command was sent last
	came     time.Time     // when bytes came last
	rest     time.Time     // from when on the next question is counted
	asked    time.Time     // when a question was asked that has no answer yet
	heard    uint64        // answers so far
	answered bool          // it has ever answered

	mu     sync.Mutex
	jobs   []job
	closed bool
}

// SetReadTimeout notes the longest wait of one Read.
func (t *talker) SetReadTimeout(d time.Duration) error {
	t.patience = d
	return nil
}

// Read sends what is due and then reads.
func (t *talker) Read(p []byte) (int, error) {
	now := time.Now()
	if t.rest.IsZero() {
		t.rest = now
	}
	if err := t.send(now); err != nil {
		return 0, err
	}
	if err := t.check(now); err != nil {
		return 0, err
	}
	if err := t.wait(now); err != nil {
		return 0, err
	}
	n, err := t.ReadCloser.Read(p)
	if n > 0 {
		t.came = time.Now()
	}
	return n, err
}

// wait sets the read time-out: shorter where a command is due before.
func (t *talker) wait(now time.Time) error {
	setter, ok := t.ReadCloser.(timed)
	if !ok {
		return nil
	}
	d := t.patience
	if t.waiting() {
		d = min(d, max(t.wrote.Add(t.pause).Sub(now), time.Millisecond))
	}
	if d == t.set {
		return nil
	}
	t.set = d
	return setter.SetReadTimeout(d)
}

func (t *talker) waiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.jobs) > 0
}

// send writes what the protocol has to answer, and the next command if the
// pause since the last one is over.
func (t *talker) send(now time.Time) error {
	if t.replier != nil {
		for _, p := range t.replier.Replies() {
			if err := t.write(p); err != nil {
				return err
			}
		}
	}
	if now.Sub(t.wrote) < t.pause {
		return nil
	}
	j, ok := t.next()
	if !ok {
		return nil
	}
	t.wrote = now
	err := t.write(j.data)
	j.result <- err
	return err
}

// next takes the first command that somebody still waits for.
func (t *talker) next() (job, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.jobs) > 0 {
		j := t.jobs[0]
		t.jobs = t.jobs[1:]
		if j.ctx.Err() == nil {
			return j, true
		}
		j.result <- j.ctx.Err()
	}
	return job{}, false
}

func (t *talker) write(p []byte) error {
	n, err := t.out.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("it takes no command: %w", err)
	}
	return nil
}

// check asks whether the scanner is alive, and tells when it is not.
func (t *talker) check(now time.Time) error {
	if len(t.alive.Ask) == 0 {
		return nil
	}
	if n := t.hearer.Heard(); n != t.heard {
		t.heard, t.answered, t.asked, t.rest = n, true, time.Time{}, now
	}
	if t.came.After(t.rest) {
		t.rest = t.came
	}
	if !t.asked.IsZero() {
		if now.Sub(t.asked) < t.alive.Within {
			return nil
		}
		if t.answered && t.came.Before(t.asked) {
			return errSilent
		}
		t.hearer.Expect(false)
		t.asked, t.rest = time.Time{}, now
		return nil
	}
	if now.Sub(t.rest) < t.alive.Every || now.Sub(t.wrote) < t.pause || t.waiting() {
		return nil
	}
	t.wrote, t.asked = now, now
	t.hearer.Expect(true)
	return t.write(t.alive.Ask)
}

// Close closes the port and ends what waits to be sent.
func (t *talker) Close() error {
	t.mu.Lock()
	t.closed = true
	for _, j := range t.jobs {
		j.result <- devices.ErrGone
	}
	t.jobs = nil
	t.mu.Unlock()
	return t.ReadCloser.Close()
}

// put lets one command wait for its turn.
func (t *talker) put(j job) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return devices.ErrGone
	case len(t.jobs) >= mostJobs:
		return errors.New("too many commands wait already; try again in a second")
	}
	t.jobs = append(t.jobs, j)
	return nil
}

// Actions implements devices.Acting.
func (s Scanner) Actions() []string { return slices.Sorted(maps.Keys(s.actions)) }

// Do implements devices.Acting: it sends the action's bytes between two reads
// and waits until they are sent, not for an answer.
func (s Scanner) Do(ctx context.Context, action string) error {
	data, ok := s.actions[action]
	if !ok {
		return fmt.Errorf("cannot do %s with scanner %s: %w", action, s.name, devices.ErrNoAction)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j := job{ctx: ctx, data: data, result: make(chan error, 1)}
	err := s.talker.put(j)
	if err == nil {
		select {
		case err = <-j.result:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("cannot do %s with scanner %s: %w", action, s.name, err)
}
