package watch_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

func publish(t *testing.T, bus uplink.Bus, topic string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Publish(t.Context(), uplink.Message{Topic: topic, Payload: data, Retain: true}); err != nil {
		t.Fatal(err)
	}
}

func row(w *watch.Watch, box string) (r view.Row) {
	w.Do(func(m *view.Model, now time.Time) { r, _ = m.Row(view.Key{Site: "H1", Box: box}, now) })
	return r
}

func open(t *testing.T, bus uplink.Bus, headlines bool) *watch.Watch {
	t.Helper()
	w, err := watch.Open(bus, watch.Options{Root: "payagent", Limits: view.Usual(), Headlines: headlines})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Settled(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := uplinktest.NewBroker()
		defer broker.Close()
		box, it := broker.Bus("B1", nil), broker.Bus("it", nil)
		defer func() { _ = box.Close(); _ = it.Close() }()
		publish(t, box, "payagent/H1/B1/status", fleet.Status{State: "ready", BootID: "a", At: time.Now(), Every: 60})
		publish(t, box, "payagent/H1/B1/twin/os", map[string]string{"kernel": "6.12"})
		w := open(t, it, false)
		defer w.Close()
		if r := row(w, "B1"); r.State != "ready" {
			t.Errorf("%+v", r)
		}
		changed := w.Do(func(*view.Model, time.Time) {})
		publish(t, box, "payagent/H1/B1/status", fleet.Status{State: "alert", BootID: "a", At: time.Now().Add(time.Second), Every: 60})
		<-changed
		if r := row(w, "B1"); r.State != "alert" {
			t.Errorf("%+v", r)
		}
	})
}

// TestHeadlines: of a large fleet only what is looked at is taken in whole.
func TestHeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := uplinktest.NewBroker()
		defer broker.Close()
		box, it := broker.Bus("B1", nil), broker.Bus("it", nil)
		defer func() { _ = box.Close(); _ = it.Close() }()
		publish(t, box, "payagent/H1/B1/status", fleet.Status{State: "ready", BootID: "a", At: time.Now(), Every: 60})
		publish(t, box, "payagent/H1/B1/twin/os", map[string]string{"kernel": "6.12"})
		w := open(t, it, true)
		defer w.Close()
		k := view.Key{Site: "H1", Box: "B1"}
		twin := func() (n int) {
			w.Do(func(m *view.Model, now time.Time) { b, _ := m.Box(k, now); n = len(b.Twin) })
			return n
		}
		if row(w, "B1").State != "ready" || twin() != 0 {
			t.Error("the headlines are not what was taken in")
		}
		done, err := w.Look(k)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Settled(t.Context(), time.Second); err != nil || twin() != 1 {
			t.Error("looking at a box shows nothing more", err)
		}
		done()
		done()
	})
}

func TestNoBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := uplinktest.NewBroker()
		defer broker.Close()
		broker.Refuse(true)
		it := broker.Bus("it", nil)
		defer func() { _ = it.Close() }()
		w, err := watch.Open(it, watch.Options{Root: "payagent", Limits: view.Usual()})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := w.Settled(ctx, time.Second); err == nil || !strings.Contains(err.Error(), "cannot reach the broker") {
			t.Error(err)
		}
	})
}

// TestSettlesInABusyFleet: a fleet is never silent. What boxes say meanwhile
// does not put off the moment at which all that the broker kept is here.
func TestSettlesInABusyFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := uplinktest.NewBroker()
		defer broker.Close()
		box, it := broker.Bus("B1", nil), broker.Bus("it", nil)
		defer func() { _ = box.Close(); _ = it.Close() }()
		publish(t, box, "payagent/H1/B1/status", fleet.Status{State: "ready", BootID: "a", At: time.Now(), Every: 60})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for seq := uint64(1); ctx.Err() == nil; seq++ {
				publish(t, box, "payagent/H1/B1/status", fleet.Status{State: "ready", BootID: "a", Seq: seq, At: time.Now(), Every: 60})
				select {
				case <-time.After(300 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}()
		w, err := watch.Open(it, watch.Options{Root: "payagent", Limits: view.Usual()})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := w.Settled(ctx, time.Second); err != nil {
			t.Error(err)
		}
		if r := row(w, "B1"); r.State != "ready" {
			t.Errorf("%+v", r)
		}
		cancel()
		<-done
	})
}
