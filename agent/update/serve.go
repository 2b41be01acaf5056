package update

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Service is what the serving process gives to the updates.
type Service struct {
	Lock    trial.Lock
	Look    func() trial.Health // what works now
	Prove   time.Duration       // how long a trial must prove itself
	Restart func(why string)    // ends the process; it is started again
	Log     func(text string, err error)
}

// Follow proves the trial that this process may be and does what commands
// beside it ask for, until ctx ends.
func (u *Updates) Follow(ctx context.Context, s Service) {
	if !u.prove(ctx, s) {
		return
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		r, ok, err := trial.Asked(u.o.Disk, u.o.Dir)
		if err != nil {
			s.Log("a request to update could not be read", err)
		}
		if ok {
			err := u.switchTo(ctx, s, r)
			if ctx.Err() != nil {
				return // it is asked for still
			}
			if err = errors.Join(err, trial.Answered(u.o.Disk, u.o.Dir)); err == nil {
				s.Restart("update")
				return
			}
			s.Log("an update that was asked for was not begun", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// prove is false when the process is to end.
func (u *Updates) prove(ctx context.Context, s Service) bool {
	t, err := u.OnTrial()
	if err != nil {
		s.Log("the state of updates cannot be read", err)
	}
	if t == nil {
		if err := u.Tidy(); err != nil {
			s.Log("programs that are not needed could not be removed", err)
		}
		return true
	}
	missing, err := trial.Prove(ctx, s.Prove, t.Before, s.Look)
	if err != nil {
		return false // stopped: the next start begins the proof anew
	}
	restart, err := u.Judge("", missing)
	switch {
	case err != nil:
		s.Log("the verdict on the new program could not be written", err)
	case restart:
		s.Log(fmt.Sprintf("the new program did not prove itself; the one before it is started: %v", missing), nil)
	default:
		s.Log("the new program has proven itself", nil)
		return true
	}
	// In front of an open order there are a few seconds to end it.
	wait, stop := context.WithTimeout(ctx, backGrace)
	defer stop()
	_ = trial.Await(wait, s.Lock, nil) // it goes on in any case
	s.Restart("rollback")
	return false
}

// backGrace bounds how long a program that failed waits for open orders before
// it makes place: with its end and the other's start it stays under the 30 s.
const backGrace = 15 * time.Second

// switchTo begins a trial, or goes back, when the tills are free. The process
// must restart after it.
func (u *Updates) switchTo(ctx context.Context, s Service, r trial.Request) error {
	if err := trial.Await(ctx, s.Lock, nil); err != nil {
		return err
	}
	if r.Back {
		return u.Back()
	}
	return u.Begin(r.Version, r.Downgrade, s.Look())
}

// Args are the arguments of the verb update: the manifest, an envelope in
// standard base64.
type Args struct {
	Manifest []byte `json:"manifest"`
}

// Schema is the JSON schema of Args.
const Schema = `{"type":"object","required":["manifest"],"additionalProperties":false,"properties":{"manifest":{"type":"string","contentEncoding":"base64","description":"a DSSE envelope of type application/vnd.payagent.update.v1+json, signed by two keys of role release"}}}`

// note is what is kept of an order over the restart.
type note struct {
	Version string `json:"version"`
}

// Result is what is told of a finished update.
type Result struct {
	Version string `json:"version"`
	State   State  `json:"state"`
}

// Order carries out the verb update: it fetches, waits for the payment lock,
// puts the version on trial and restarts. sources names where a file may come
// from.
func (u *Updates) Order(ctx context.Context, args json.RawMessage, s Service, r trial.Runner, sources func(fleet.File) []Source) error {
	var a Args
	if err := fleet.Unmarshal(args, &a); err != nil {
		return trial.Refuse("bad_args", "%v", err)
	}
	m, f, err := u.Accept(a.Manifest, false)
	if err != nil {
		return err
	}
	r.Progress(0, "version "+m.Version)
	last := 0
	_, err = u.Stage(ctx, a.Manifest, false, sources(f), func(percent int) {
		if percent >= last+10 {
			last = percent
			r.Progress(percent*8/10, "fetching")
		}
	})
	if err != nil {
		return err
	}
	r.Progress(80, "waiting for the tills")
	if err := trial.Await(ctx, s.Lock, func(why string) { r.Progress(80, "waiting: "+why) }); err != nil {
		return err
	}
	// Noted first: an order that was cut off in between did not begin.
	if err := r.Note(note{m.Version}); err != nil {
		return err
	}
	if err := u.Begin(m.Version, false, s.Look()); err != nil {
		return err
	}
	r.Restart("update to " + m.Version)
	return nil
}

// Resume tells how an order went on after the restart, when it is decided.
func (u *Updates) Resume(ctx context.Context, raw json.RawMessage) (Result, error) {
	var n note
	if raw == nil || json.Unmarshal(raw, &n) != nil || n.Version == "" {
		return Result{}, trial.Refuse("interrupted", "the update was interrupted before it began; order it again")
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		st, err := u.State()
		if err != nil {
			return Result{}, err
		}
		switch {
		case st.Trial == n.Version:
		case st.Current == n.Version:
			return Result{n.Version, st}, nil
		case st.Last != nil && st.Last.Version == n.Version:
			return Result{}, trial.Refuse(st.Last.Reason, "version %s was given up (%s): %v; version %s runs", n.Version, st.Last.Reason, st.Last.Missing, st.Running)
		default:
			return Result{}, trial.Refuse("interrupted", "the update was interrupted before it began; order it again")
		}
		select {
		case <-ctx.Done():
			return Result{}, ctx.Err()
		case <-tick.C:
		}
	}
}
