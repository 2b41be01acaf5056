package desired

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Follow proves the configuration that may be on trial and does what commands
// beside the service ask for, until ctx ends.
func (d *Files) Follow(ctx context.Context, s trial.Service) {
	if t := d.OnTrial(); t != nil && !s.Carry(ctx, "configuration", t, d.Judge) {
		return
	}
	if err := d.Tidy(); err != nil {
		s.Log("configurations that are not needed could not be removed", err)
	}
	s.Requests(ctx, d.o.Disk, d.dir, func(r trial.Request) error {
		if !r.Back {
			return trial.Refuse("bad_args", "cannot do what was asked for: it is unknown here")
		}
		return d.Back()
	})
}

// Args are the arguments of the verb config.apply.
type Args struct {
	Version   uint64 `json:"version"`
	OverLocal bool   `json:"over_local,omitempty"`
}

// Schema is the JSON schema of Args, BackSchema that of config.rollback's.
const (
	Schema     = `{"type":"object","required":["version"],"additionalProperties":false,"properties":{"version":{"type":"integer","minimum":1,"description":"the version of the document at desired/config"},"over_local":{"type":"boolean","description":"also over a file that was changed on the box"}}}`
	BackSchema = `{"type":"object","additionalProperties":false,"properties":{}}`
)

// note is what is kept of an order over the restart.
type note struct {
	Version string `json:"version"` // that was begun, or that was left
	Back    bool   `json:"back,omitempty"`
}

// Order carries out the verb config.apply. The tills must be free.
func (d *Files) Order(args json.RawMessage, s trial.Service, r trial.Runner) error {
	var a Args
	if err := fleet.Unmarshal(args, &a); err != nil {
		return trial.Refuse("bad_args", "%v", err)
	}
	// Noted first: an order that was cut off in between did not begin.
	if err := r.Note(note{Version: strconv.FormatUint(a.Version, 10)}); err != nil {
		return err
	}
	if err := d.Apply(a.Version, a.OverLocal, s.Look()); err != nil {
		return err
	}
	r.Restart("configuration " + strconv.FormatUint(a.Version, 10))
	return nil
}

// OrderBack carries out the verb config.rollback. The tills must be free.
func (d *Files) OrderBack(r trial.Runner) error {
	left := d.Aside()
	if left == "" {
		d.mu.Lock()
		left = d.now.Version
		d.mu.Unlock()
	}
	if err := r.Note(note{Version: left, Back: true}); err != nil {
		return err
	}
	if err := d.Back(); err != nil {
		return err
	}
	r.Restart("configuration rollback")
	return nil
}

// Resume tells how an order went on after the restart, when it is decided.
func (d *Files) Resume(ctx context.Context, raw json.RawMessage) (fleet.ReportedConfig, error) {
	var n note
	interrupted := trial.Refuse("interrupted", "the order was interrupted before it began; order it again")
	if raw == nil || json.Unmarshal(raw, &n) != nil || n.Version == "" {
		return fleet.ReportedConfig{}, interrupted
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r, err := d.Reported()
		if err != nil {
			return r, err
		}
		b, _, err := d.load()
		if err != nil {
			return r, err
		}
		switch {
		case n.Back && r.Version != n.Version:
			return r, nil
		case n.Back:
			return r, interrupted
		case b.Trial != nil && b.Trial.Version == n.Version:
		case b.Current.Version == n.Version:
			return r, nil
		case b.Last != nil && b.Last.Version == n.Version:
			return r, trial.Refuse(b.Last.Reason, "configuration %s was given up (%s): %v; %s is in effect", n.Version, b.Last.Reason, b.Last.Missing, r.Version)
		default:
			return r, interrupted
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
	}
}
