package update

import (
	"context"
	"encoding/json"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Follow proves the trial that this process may be and does what commands
// beside it ask for, until ctx ends.
func (u *Updates) Follow(ctx context.Context, s trial.Service) {
	t, err := u.OnTrial()
	if err != nil {
		s.Log("the state of updates cannot be read", err)
	}
	if t != nil {
		t.Before.Broker = false // whether it can report has no say (FLT-10)
	}
	if t != nil && !s.Carry(ctx, "program", t, u.Judge) {
		return
	}
	if r, ok, err := trial.Asked(u.o.Disk, u.o.Dir); err == nil {
		var staged []string
		if ok {
			staged = append(staged, r.Version)
		}
		if err := u.Tidy(staged...); err != nil {
			s.Log("programs that are not needed could not be removed", err)
		}
	}
	s.Requests(ctx, u.o.Disk, u.o.Dir, func(r trial.Request) error {
		if r.Back {
			return u.Back()
		}
		return u.Begin(r.Version, r.Downgrade, s.Look())
	})
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
func (u *Updates) Order(ctx context.Context, args json.RawMessage, s trial.Service, r trial.Runner, sources func(fleet.File) []Source) error {
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
