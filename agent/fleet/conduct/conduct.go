// Package conduct carries a roll-out (agent/fleet/rollout) out: it looks at the
// boxes, keeps the roll-out's state at the broker before anything is sent, and
// does what people ask for.
//
// The state is retained at <root>/<site>/_fleet/rollout/<id>, the document that
// goes to the boxes at …/<id>/document, and what people ask for at
// …/<id>/control, so that the program can be restarted elsewhere and a console
// shows it.
package conduct

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/send"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/signed"
	"payagent/uplink"
)

// Act is what a person asks for.
type Act struct {
	Act string    `json:"act"` // pause, resume or abort
	By  string    `json:"by"`
	At  time.Time `json:"at"`
}

// The acts.
const (
	Pause  = "pause"
	Resume = "resume"
	Abort  = "abort"
)

// Options say how.
type Options struct {
	Bus   uplink.Bus
	Watch *watch.Watch
	Root  string
	Keys  []signed.Private
	// Document goes to desired/config of each box before its command.
	Document []byte
	// Every is how often boxes are looked at; zero: 5 s.
	Every time.Duration
	Now   func() time.Time // nil: time.Now
	// Tell is called with every new state.
	Tell func(rollout.State)
}

// Topic is where something about a roll-out stands.
func Topic(root, site, id string, more ...string) string {
	return fleet.Place{Root: root, Site: site, Box: view.Fleet}.Topic(append([]string{view.LevelRollout, id}, more...)...)
}

// Ask asks whoever carries the roll-out out to do something. The broker keeps
// it until it is done.
func Ask(ctx context.Context, bus uplink.Bus, root, site, id string, a Act) error {
	if a.Act != Pause && a.Act != Resume && a.Act != Abort {
		return fmt.Errorf("cannot do %q with a roll-out; pause, resume or abort it", a.Act)
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return bus.Publish(ctx, uplink.Message{Topic: Topic(root, site, id, "control"), Payload: data, Retain: true})
}

// Run carries a roll-out out until it is over or ctx ends; then it can be gone
// on with from the last state. Only one may do so at a time.
func Run(ctx context.Context, r *rollout.Rollout, o Options) (rollout.State, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	c := &conductor{Options: o, r: r, spec: r.State().Spec, woken: make(chan struct{}, 1), staging: map[string]staged{}}
	stop, err := o.Bus.Subscribe(Topic(o.Root, c.spec.Site, c.spec.ID, "control"), c.take)
	if err != nil {
		return r.State(), fmt.Errorf("cannot hear what people want of the roll-out: %w", err)
	}
	defer stop()
	if err := c.begin(ctx); err != nil {
		return r.State(), err
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for {
		if err := c.step(ctx); err != nil {
			return r.State(), err
		}
		if s := r.State(); s.Over() && (s.Phase == rollout.Done || len(s.Under) == 0) {
			return s, nil
		}
		select {
		case <-tick.C:
		case <-c.woken:
		case <-ctx.Done():
			return r.State(), ctx.Err()
		}
	}
}

type conductor struct {
	Options
	r     *rollout.Rollout
	spec  rollout.Spec
	woken chan struct{}
	// version is that of the document.
	version uint64

	// staging are boxes that have the document and have not reported it yet.
	staging map[string]staged

	mu   sync.Mutex
	acts []Act
}

type staged struct {
	send  rollout.Send
	since time.Time
}

// stageTime is how long a box may take to report a document before its command
// is sent all the same: then the box says why it refuses.
const stageTime = 2 * time.Minute

func (c *conductor) take(m uplink.Message) {
	var a Act
	if len(m.Payload) == 0 || json.Unmarshal(m.Payload, &a) != nil {
		return
	}
	c.mu.Lock()
	c.acts = append(c.acts, a)
	c.mu.Unlock()
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// begin keeps the document and the first state before anything else.
func (c *conductor) begin(ctx context.Context) error {
	if (len(c.Document) > 0) != (c.spec.Document != "") || c.spec.Document != "" && fleet.HashText(c.Document) != c.spec.Document {
		return errors.New("cannot roll out: this is not the document that the roll-out began with")
	}
	if len(c.Document) > 0 {
		d, err := fleet.PeekDesired(c.Document)
		if err != nil {
			return err
		}
		c.version = d.Version
		if err := c.publish(ctx, Topic(c.Root, c.spec.Site, c.spec.ID, "document"), c.Document, true); err != nil {
			return err
		}
	}
	return c.keep(ctx)
}

func (c *conductor) publish(ctx context.Context, topic string, data []byte, retain bool) error {
	if err := c.Bus.Publish(ctx, uplink.Message{Topic: topic, Payload: data, Retain: retain}); err != nil {
		return fmt.Errorf("cannot bring the roll-out to the broker; start it again to go on with it: %w", err)
	}
	return nil
}

func (c *conductor) keep(ctx context.Context) error {
	s := c.r.State()
	data, err := s.Encode()
	if err != nil {
		return err
	}
	if c.Tell != nil {
		c.Tell(s)
	}
	return c.publish(ctx, Topic(c.Root, c.spec.Site, c.spec.ID), data, true)
}

func (c *conductor) step(ctx context.Context) error {
	now := c.Now()
	c.mu.Lock()
	acts := c.acts
	c.acts = nil
	c.mu.Unlock()
	for _, a := range acts {
		switch a.Act {
		case Pause:
			c.r.Pause(a.By, now)
		case Resume:
			c.r.Resume(a.By, now)
		case Abort:
			c.r.Abort(a.By, now)
		}
	}
	var sends []rollout.Send
	changed := false
	c.Watch.Do(func(m *view.Model, now time.Time) {
		sends, changed = c.r.Step(now, func(box string) rollout.Sight {
			k := view.Key{Site: c.spec.Site, Box: box}
			row, _ := m.Row(k, now)
			s := rollout.Sight{State: row.State, Command: m.Command(k, c.spec.Verb, c.spec.ID)}
			if s.State == "" {
				s.State = fleet.StateUnknown
			}
			return s
		})
	})
	if c.r.State().Phase != rollout.Running {
		// Whoever only has the document was sent nothing, and gets nothing now.
		for box := range c.staging {
			c.r.Withdraw(box, now)
			delete(c.staging, box)
			changed = true
		}
	}
	if changed || len(acts) > 0 {
		// Kept before it is sent: a restart must not send anything else.
		if err := c.keep(ctx); err != nil {
			return err
		}
	}
	if len(acts) > 0 {
		if err := c.publish(ctx, Topic(c.Root, c.spec.Site, c.spec.ID, "control"), nil, true); err != nil {
			return err
		}
	}
	for _, s := range sends {
		if len(c.Document) == 0 {
			if err := c.send(ctx, s); err != nil {
				return err
			}
			continue
		}
		// A command that overtakes its document is refused.
		p := fleet.Place{Root: c.Root, Site: c.spec.Site, Box: s.Box}
		if err := c.publish(ctx, p.Topic(fleet.LevelDesired, "config"), c.Document, true); err != nil {
			return err
		}
		c.staging[s.Box] = staged{s, now}
	}
	return c.sendStaged(ctx, now)
}

// sendStaged sends the commands of boxes that have taken the document in.
func (c *conductor) sendStaged(ctx context.Context, now time.Time) error {
	for box, s := range c.staging {
		var r fleet.ReportedConfig
		c.Watch.Do(func(m *view.Model, _ time.Time) {
			_ = json.Unmarshal(m.Reported(view.Key{Site: c.spec.Site, Box: box}, "config"), &r) // nothing yet
		})
		if r.Document < c.version && now.Sub(s.since) < stageTime {
			continue
		}
		delete(c.staging, box)
		if err := c.send(ctx, s.send); err != nil {
			return err
		}
	}
	return nil
}

func (c *conductor) send(ctx context.Context, s rollout.Send) error {
	p := fleet.Place{Root: c.Root, Site: c.spec.Site, Box: s.Box}
	document, err := send.Sign(fleet.Command{Site: c.spec.Site, Box: s.Box, ID: s.ID, Verb: c.spec.Verb, Args: c.spec.Args, Counter: s.Counter, Issued: s.Issued, Expires: s.Expires}, c.Keys...)
	if err != nil {
		return err
	}
	return c.publish(ctx, p.Topic(fleet.LevelCommand, c.spec.Verb, s.ID, "req"), document, false)
}
