package conduct_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/conduct"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/signed"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// boxes are pretend boxes that check signatures and do what they are told once.
type boxes struct {
	t      *testing.T
	key    signed.Key
	mu     sync.Mutex
	got    map[string]string // by box
	done   int
	desire map[string]bool
	ends   func(box string) fleet.CommandState
	slow   bool // only the first that gets a document says so
}

func (b *boxes) open(broker *uplinktest.Broker, n int) (names []string, stop func()) {
	var buses []uplink.Bus
	for i := range n {
		name := fmt.Sprintf("B%02d", i)
		bus := broker.Bus(name, nil)
		buses = append(buses, bus)
		names = append(names, name)
		p := fleet.Place{Root: "payagent", Site: "H1", Box: name}
		say := func(topic string, v any) {
			data, err := json.Marshal(v)
			if err != nil {
				b.t.Error(err)
			}
			// In a goroutine of its own: a handler must not wait for the broker.
			go func() {
				err := bus.Publish(context.Background(), uplink.Message{Topic: topic, Payload: data, Retain: true})
				if err != nil && !errors.Is(err, uplink.ErrClosed) {
					b.t.Error(err)
				}
			}()
		}
		// One subscription, so that what arrives is seen in order.
		_, err := bus.Subscribe(p.Topic("#"), func(m uplink.Message) {
			_, levels, _ := fleet.Split("payagent", m.Topic)
			switch levels[0] {
			case "desired":
				b.mu.Lock()
				b.desire[name] = true
				mute := b.slow && len(b.desire) > 1
				b.mu.Unlock()
				if mute {
					return
				}
				say(p.Topic("reported", "config"), fleet.ReportedConfig{Version: "local", State: fleet.ConfigStaged, Document: 7})
			case "cmd":
				if levels[3] == "req" {
					b.command(p, m, say)
				}
			}
		})
		if err != nil {
			b.t.Fatal(err)
		}
		say(p.Topic("status"), fleet.Status{State: fleet.StateReady, BootID: "a", At: time.Now(), Every: 86400})
	}
	return names, func() {
		for _, bus := range buses {
			_ = bus.Close()
		}
	}
}

func (b *boxes) command(p fleet.Place, m uplink.Message, say func(string, any)) {
	d, err := signed.Open(m.Payload, fleet.TypeCommand, []signed.Key{b.key})
	if err != nil || m.Retain {
		b.t.Error("a command that no box takes:", err, m.Retain)
		return
	}
	var c fleet.Command
	if err := json.Unmarshal(d.Payload, &c); err != nil || c.Box != p.Box || c.Site != p.Site {
		b.t.Errorf("%+v %v", c, err)
	}
	b.mu.Lock()
	old := b.got[c.Box]
	b.got[c.Box] = string(d.Payload)
	if c.Verb == fleet.VerbConfigApply && !b.desire[c.Box] {
		b.t.Error("the command came before what it is to apply")
	}
	b.mu.Unlock()
	if old != "" && old != string(d.Payload) {
		b.t.Errorf("%s got another command of the same roll-out", c.Box)
	}
	if old != "" {
		return
	}
	s := fleet.CommandState{State: fleet.Succeeded}
	if b.ends != nil {
		s = b.ends(c.Box)
	}
	s.ID, s.Verb, s.At = c.ID, c.Verb, time.Now()
	say(p.Topic("cmd", c.Verb, c.ID, "state"), s)
}

type rig struct {
	*boxes
	broker *uplinktest.Broker
	bus    uplink.Bus
	w      *watch.Watch
	o      conduct.Options
	names  []string
}

func newRig(t *testing.T, n int) *rig {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{boxes: &boxes{t: t, key: signed.Key{ID: "k1", Public: public}, got: map[string]string{}, desire: map[string]bool{}}, broker: uplinktest.NewBroker()}
	var stop func()
	r.names, stop = r.open(r.broker, n)
	r.bus = r.broker.Bus("it", nil)
	if r.w, err = watch.Open(r.bus, watch.Options{Root: "payagent", Site: "H1", Limits: view.Usual()}); err != nil {
		t.Fatal(err)
	}
	if err := r.w.Settled(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	r.o = conduct.Options{Bus: r.bus, Watch: r.w, Root: "payagent", Keys: []signed.Private{{ID: "k1", Key: private}}}
	t.Cleanup(func() { r.w.Close(); stop(); _ = r.bus.Close(); r.broker.Close() })
	return r
}

func (r *rig) spec() rollout.Spec {
	return rollout.Spec{ID: "r1", Site: "H1", Verb: fleet.VerbUpdate, Args: json.RawMessage(`{"manifest":"eA=="}`), Boxes: r.names, Percent: []int{5, 30, 100}, SoakS: 60}
}

func (r *rig) kept() rollout.State {
	r.t.Helper()
	m, ok := r.broker.Retained(conduct.Topic("payagent", "H1", "r1"))
	if !ok {
		r.t.Fatal("no state is kept")
	}
	s, err := rollout.Decode(m.Payload)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) begin() *rollout.Rollout {
	r.t.Helper()
	ro, err := rollout.New(r.spec(), time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return ro
}

func TestRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 40)
		s, err := conduct.Run(t.Context(), r.begin(), r.o)
		if err != nil || s.Phase != rollout.Done || len(r.got) != 40 || r.kept().Phase != rollout.Done {
			t.Fatal(err, s.Phase, len(r.got))
		}
	})
}

// TestRestartElsewhere: the program ends in the middle and another goes on from
// what the broker keeps.
func TestRestartElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 40)
		spec := r.spec()
		doc, err := fleet.SignConfig(fleet.NewDesired(7, "H1", r.names, "text: x", time.Now(), time.Now().Add(time.Hour), ""), r.o.Keys...)
		if err != nil {
			t.Fatal(err)
		}
		spec.Verb, spec.Document, r.o.Document = fleet.VerbConfigApply, fleet.HashText(doc), doc
		ro, err := rollout.New(spec, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			ctx, cancel := context.WithTimeout(t.Context(), 61*time.Second)
			s, err := conduct.Run(ctx, ro, r.o)
			cancel()
			if err == nil {
				if s.Phase != rollout.Done || len(r.got) != 40 {
					t.Fatal(s.Phase, len(r.got))
				}
				return
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if ro, err = rollout.Restore(r.kept()); err != nil {
				t.Fatal(err)
			}
		}
		t.Fatal("it never ends")
	})
}

func TestPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 40)
		ended := make(chan error, 1)
		ask := func(act string) {
			t.Helper()
			if err := conduct.Ask(t.Context(), r.bus, "payagent", "H1", "r1", conduct.Act{Act: act, By: "li"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second) // of the bubble's clock
			if m, ok := r.broker.Retained(conduct.Topic("payagent", "H1", "r1", "control")); ok && len(m.Payload) > 0 {
				t.Error("what was asked for is still there")
			}
		}
		// What was asked for before it began counts too.
		if err := conduct.Ask(t.Context(), r.bus, "payagent", "H1", "r1", conduct.Act{Act: conduct.Pause, By: "li"}); err != nil {
			t.Fatal(err)
		}
		go func() { _, err := conduct.Run(t.Context(), r.begin(), r.o); ended <- err }()
		time.Sleep(time.Hour)
		if s := r.kept(); s.Phase != rollout.Paused || s.By != "li" || len(r.got) > 2 {
			t.Fatalf("%s after %d", s.Phase, len(r.got))
		}
		ask(conduct.Resume)
		if s := r.kept(); s.Phase != rollout.Running {
			t.Fatal(s.Phase)
		}
		ask(conduct.Abort)
		if err := <-ended; err != nil || r.kept().Phase != rollout.Aborted || len(r.got) == 40 {
			t.Fatal(err, r.kept().Phase, len(r.got))
		}
		if err := conduct.Ask(t.Context(), r.bus, "payagent", "H1", "r1", conduct.Act{Act: "faster"}); err == nil {
			t.Error("anything may be asked for")
		}
	})
}

// TestStops: a stopped roll-out waits for a person, and nobody else gets anything.
func TestStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 40)
		r.ends = func(string) fleet.CommandState {
			return fleet.CommandState{State: fleet.Failed, Reason: "rolled_back"}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		_, err := conduct.Run(ctx, r.begin(), r.o)
		if s := r.kept(); err == nil || s.Phase != rollout.Stopped || s.Why != rollout.WhyRolledBack || len(r.got) != 2 {
			t.Fatalf("%v %s %s %d", err, s.Phase, s.Why, len(r.got))
		}
	})
}

// TestKeptFirst: what cannot be kept is not sent.
func TestKeptFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5)
		r.broker.Cut("it")
		r.broker.Refuse(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := conduct.Run(ctx, r.begin(), r.o)
		if err == nil || !strings.Contains(err.Error(), "roll-out") || len(r.got) != 0 {
			t.Fatal(err, len(r.got))
		}
	})
}

// TestStopsStaged: a box that has the document and not yet its command gets
// none once the roll-out has stopped, and counts as waiting again.
func TestStopsStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 40)
		r.slow = true
		r.ends = func(string) fleet.CommandState {
			return fleet.CommandState{State: fleet.Failed, Reason: "rolled_back"}
		}
		spec := r.spec()
		doc, err := fleet.SignConfig(fleet.NewDesired(7, "H1", r.names, "text: x", time.Now(), time.Now().Add(time.Hour), ""), r.o.Keys...)
		if err != nil {
			t.Fatal(err)
		}
		spec.Verb, spec.Document, r.o.Document = fleet.VerbConfigApply, fleet.HashText(doc), doc
		ro, err := rollout.New(spec, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		_, err = conduct.Run(ctx, ro, r.o)
		if s := r.kept(); err == nil || s.Phase != rollout.Stopped || len(r.got) != 1 || len(s.Under) != 0 {
			t.Fatalf("%v %s, %d commands, under way %v", err, s.Phase, len(r.got), s.Under)
		}
	})
}
