package desired_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/desired"
	"payagent/agent/fleet"
	"payagent/agent/trial"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// idle is a payment lock that is free.
type idle struct{ c chan struct{} }

func (i idle) Free() (bool, string)     { return true, "" }
func (i idle) Changed() <-chan struct{} { return i.c }

// runner keeps what an order leaves.
type runner struct {
	note    json.RawMessage
	restart string
}

func (r *runner) Progress(int, string) {}
func (r *runner) Restart(why string)   { r.restart = why }
func (r *runner) Note(v any) (err error) {
	r.note, err = json.Marshal(v)
	return err
}

func service(restarted *atomic.Bool, health trial.Health) trial.Service {
	return trial.Service{Lock: idle{}, Look: func() trial.Health { return health }, Prove: time.Minute,
		Restart: func(string) { restarted.Store(true) }, Log: func(string, error) {}}
}

// TestOverABroker: a document that is retained at the broker is staged, applied
// by an order, proven for a minute, and told at each step; one that does not
// prove itself goes back.
func TestOverABroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBox(t)
		broker := uplinktest.NewBroker()
		defer broker.Close()
		ops := broker.Bus("ops", nil)
		place := fleet.Place{Root: "payagent", Site: "H1", Box: "B1"}
		desire := func(doc []byte) {
			t.Helper()
			if err := ops.Publish(t.Context(), uplink.Message{Topic: place.Topic("desired", "config"), Payload: doc, Retain: true}); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
			synctest.Wait()
		}
		told := func(state, version string) fleet.ReportedConfig {
			t.Helper()
			<-time.After(time.Second)
			synctest.Wait()
			m, _ := broker.Retained(place.Topic("reported", "config"))
			var r fleet.ReportedConfig
			if err := json.Unmarshal(m.Payload, &r); err != nil || r.State != state || r.Version != version {
				t.Fatalf("told %s, want %s in version %s: %v", m.Payload, state, version, err)
			}
			return r
		}
		// run is the process until stop.
		run := func(health trial.Health) (d *desired.Files, restarted *atomic.Bool, stop func()) {
			d, _ = x.start()
			bus := broker.Bus("box", nil)
			ctx, cancel := context.WithCancel(t.Context())
			restarted = new(atomic.Bool)
			done := make(chan struct{}, 2)
			go func() {
				if err := d.Link(ctx, bus, place, slog.New(slog.DiscardHandler)); err != nil {
					t.Error(err)
				}
				done <- struct{}{}
			}()
			go func() {
				d.Follow(ctx, service(restarted, health))
				done <- struct{}{}
			}()
			return d, restarted, func() {
				cancel()
				<-done
				<-done
				if err := bus.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		d, _, stop := run(healthy())
		told(fleet.ConfigNone, "local")
		desire(x.doc(1, named("one")+"nonsense: 1\n"))
		if r := told(fleet.ConfigRefused, "local"); r.Problems[0].Key != "nonsense" || r.Problems[0].Line == 0 {
			t.Error(r.Problems)
		}
		desire(x.doc(2, named("two")))
		told(fleet.ConfigStaged, "local")
		r := &runner{}
		if err := d.Order([]byte(`{"version":2}`), service(new(atomic.Bool), healthy()), r); err != nil || r.restart == "" {
			t.Fatal(err)
		}
		stop()

		d, restarted, stop := run(healthy())
		told(fleet.ConfigTrial, "2")
		<-time.After(57 * time.Second)
		told(fleet.ConfigTrial, "2")
		<-time.After(3 * time.Second)
		told(fleet.ConfigCommitted, "2")
		if got, err := d.Resume(t.Context(), r.note); err != nil || got.Version != "2" || restarted.Load() {
			t.Error(got, err)
		}
		broker.Forget() // the broker loses everything
		<-time.After(time.Minute)
		told(fleet.ConfigCommitted, "2")
		desire(x.doc(3, named("three")))
		if err := d.Order([]byte(`{"version":3}`), service(new(atomic.Bool), healthy()), r); err != nil {
			t.Fatal(err)
		}
		stop()

		ill := healthy()
		ill.Door = false
		began := time.Now()
		_, restarted, stop = run(ill)
		told(fleet.ConfigTrial, "3")
		for !restarted.Load() {
			<-time.After(time.Second)
			synctest.Wait()
		}
		if took := time.Since(began); took > 90*time.Second {
			t.Error("given up after", took)
		}
		stop()
		d, _, stop = run(healthy())
		if r := told(fleet.ConfigRolledBack, "2"); len(r.Missing) != 1 || r.Missing[0] != "door" {
			t.Error(r.Missing)
		}
		if _, err := d.Resume(t.Context(), r.note); code(err) != trial.NotProven {
			t.Error(err)
		}
		for args, want := range map[string]string{`{}`: "not_staged", `{"version":9}`: "not_staged", `{"version":"3"}`: "bad_args", `{"version":3,"force":true}`: "bad_args", `{"version":2}`: "not_staged"} {
			if err := d.Order([]byte(args), service(new(atomic.Bool), healthy()), &runner{}); code(err) != want {
				t.Errorf("%s: %v, want %s", args, err, want)
			}
		}
		if _, err := d.Resume(t.Context(), []byte(`{"version":"7"}`)); code(err) != "interrupted" {
			t.Error(err)
		}
		if _, err := d.Resume(t.Context(), nil); code(err) != "interrupted" {
			t.Error(err)
		}
		r = &runner{}
		if err := d.OrderBack(r); err != nil || r.restart == "" {
			t.Fatal(err)
		}
		stop()
		d, _, stop = run(healthy())
		told(fleet.ConfigRolledBack, "local")
		if got, err := d.Resume(t.Context(), r.note); err != nil || got.Version != "local" {
			t.Error(got, err)
		}
		// Asked for on the box: back once more, to 2.
		if err := trial.Ask(trial.OS{}, d.Dir(), trial.Request{Back: true}); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Second)
		stop()
		_, _, stop = run(healthy())
		told(fleet.ConfigRolledBack, "2")
		if _, ok, err := trial.Asked(trial.OS{}, x.dir); ok || err != nil {
			t.Error("the request stays", err)
		}
		stop()
		if err := ops.Close(); err != nil && !errors.Is(err, uplink.ErrClosed) {
			t.Error(err)
		}
	})
}

// TestBrokerOutage: a broker that is down speaks against a new configuration only
// where that changed how the broker is reached.
func TestBrokerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, c := range map[string]struct {
			fleet string
			want  string
		}{
			"nothing of the fleet": {"", fleet.ConfigCommitted},
			"not the connection":   {"fleet: {broker: \"mqtt://127.0.0.1:1\", accept_plain: true, idle: 5s}\n", fleet.ConfigCommitted},
			"another broker":       {"fleet: {broker: \"mqtt://127.0.0.2:1\", accept_plain: true}\n", fleet.ConfigRolledBack},
		} {
			x := newBox(t)
			d, _ := x.start()
			if err := errors.Join(d.Stage(x.doc(1, named("one")+c.fleet, x.a, x.b)), d.Apply(1, false, healthy())); err != nil {
				t.Fatal(what, err)
			}
			d, _ = x.start()
			down := healthy()
			down.Broker = false
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				d.Follow(ctx, service(new(atomic.Bool), down))
			}()
			<-time.After(2 * time.Minute)
			if r, err := d.Reported(); err != nil || r.State != c.want {
				t.Errorf("%s: %+v, want %s: %v", what, r, c.want, err)
			}
			stop()
			<-done
		}
	})
}

// TestDenied: a broker that refuses the subscription stops nothing on the box;
// the subscription is asked for again.
func TestDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBox(t)
		broker := uplinktest.NewBroker()
		defer broker.Close()
		place := fleet.Place{Root: "payagent", Site: "H1", Box: "B1"}
		bus := &picky{Bus: broker.Bus("box", nil)}
		bus.deny.Store(true)
		d, _ := x.start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Link(ctx, bus, place, slog.New(slog.DiscardHandler)) }()
		<-time.After(5 * time.Minute)
		select {
		case err := <-ended:
			t.Fatal("it ended, and every payment with it:", err)
		default:
		}
		if _, ok := broker.Retained(place.Topic("reported", "config")); !ok {
			t.Error("nothing is reported")
		}
		bus.deny.Store(false)
		ops := broker.Bus("ops", nil)
		if err := ops.Publish(t.Context(), uplink.Message{Topic: place.Topic("desired", "config"), Payload: x.doc(1, named("one")), Retain: true}); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		if r, err := d.Reported(); err != nil || r.State != fleet.ConfigStaged {
			t.Error(r.State, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := errors.Join(bus.Close(), ops.Close()); err != nil {
			t.Error(err)
		}
	})
}

// picky is a connection whose broker refuses subscriptions.
type picky struct {
	uplink.Bus
	deny atomic.Bool
}

func (p *picky) Subscribe(filter string, handle func(uplink.Message)) (func(), error) {
	if p.deny.Load() {
		return nil, errors.New("the broker refuses it")
	}
	return p.Bus.Subscribe(filter, handle)
}
