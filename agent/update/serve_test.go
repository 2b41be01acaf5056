package update_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
	"payagent/agent/trial/trialtest"
	"payagent/agent/update"
)

// runner keeps what an order leaves.
type runner struct {
	mu        sync.Mutex
	note      json.RawMessage
	restarted atomic.Bool
	said      []string
}

func (r *runner) Progress(_ int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, text)
}
func (r *runner) Restart(string) { r.restarted.Store(true) }
func (r *runner) Note(v any) (err error) {
	r.note, err = json.Marshal(v)
	return err
}

func service(l trial.Lock, h trial.Health, r *runner) trial.Service {
	return trial.Service{Lock: l, Look: func() trial.Health { return h }, Prove: time.Minute, Restart: r.Restart, Log: func(string, error) {}}
}

func args(manifest []byte) []byte {
	data, _ := json.Marshal(update.Args{Manifest: manifest})
	return data
}

// TestOrder: the verb update fetches, waits for the tills, restarts, and tells
// how it went when that is known.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, _, u := w.boot("1.0.0")
		from := func(fleet.File) []update.Source { return []update.Source{w} }
		l, r := &trialtest.Lock{}, &runner{}
		l.Set(true)
		done := make(chan error, 1)
		go func() {
			done <- u.Order(t.Context(), args(w.sign(w.release("1.1.0"))), service(l, healthy(), r), r, from)
		}()
		<-time.After(time.Hour)
		synctest.Wait()
		if st, err := u.State(); err != nil || st.Trial != "" || r.restarted.Load() {
			t.Fatal("switched while an order is open", st, err)
		}
		l.Set(false)
		if err := <-done; err != nil || !r.restarted.Load() {
			t.Fatal(err)
		}
		_, onTrial, u := w.boot("1.0.0")
		if !onTrial {
			t.Fatal("not on trial")
		}
		told := make(chan error, 1)
		go func() {
			_, err := u.Resume(t.Context(), r.note)
			told <- err
		}()
		ctx, stop := context.WithCancel(t.Context())
		go u.Follow(ctx, service(l, healthy(), r))
		began := time.Now()
		if err := <-told; err != nil || time.Since(began) < time.Minute || time.Since(began) > 75*time.Second {
			t.Error(err, time.Since(began))
		}
		stop()
		synctest.Wait()

		// One that does not prove itself, and whose verdict waits for an order.
		if err := u.Order(t.Context(), args(w.sign(w.release("1.2.0"))), service(l, healthy(), r), r, from); err != nil {
			t.Fatal(err)
		}
		_, _, u = w.boot("1.0.0")
		ill := healthy()
		ill.Platforms = map[string]bool{"p": false}
		r2 := &runner{}
		l.Set(true)
		began = time.Now()
		go u.Follow(t.Context(), service(l, ill, r2))
		for !r2.restarted.Load() {
			<-time.After(time.Second)
			synctest.Wait()
		}
		if took := time.Since(began); took > 75*time.Second+20*time.Second {
			t.Error("back after", took)
		}
		_, _, u = w.boot("1.0.0")
		if res, err := u.Resume(t.Context(), r.note); code(err) != trial.NotProven {
			t.Error(res, err)
		}
		for text, want := range map[string]string{`{}`: "not_signed", `{"manifest":1}`: "bad_args", `{"manifest":"","x":1}`: "bad_args"} {
			if err := u.Order(t.Context(), []byte(text), service(l, healthy(), r), r, from); code(err) != want {
				t.Errorf("%s: %v", text, err)
			}
		}
		if _, err := u.Resume(t.Context(), nil); code(err) != "interrupted" {
			t.Error(err)
		}
		if _, err := u.Resume(t.Context(), []byte(`{"version":"9.9.9"}`)); code(err) != "interrupted" {
			t.Error(err)
		}
	})
}

// TestBrokerOutage: a broker that is down while a new program must prove itself
// does not speak against it: whether it can report has no say.
func TestBrokerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, _, u := w.boot("1.0.0")
		w.mustInstall(u, "1.1.0")
		_, _, u = w.boot("1.0.0")
		down, r := healthy(), &runner{}
		down.Broker = false
		ctx, stop := context.WithCancel(t.Context())
		go u.Follow(ctx, service(&trialtest.Lock{}, down, r))
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if st, err := u.State(); err != nil || st.Current != "1.1.0" || r.restarted.Load() {
			t.Errorf("%+v %v", st, err)
		}
		stop()
		synctest.Wait()
	})
}

// TestAsked: a command beside the service stages a version and asks; the
// service takes it when the tills are free, and going back is asked for too.
func TestAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, _, u := w.boot("1.0.0")
		l, r := &trialtest.Lock{}, &runner{}
		l.Set(true)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go u.Follow(ctx, service(l, healthy(), r))
		synctest.Wait()
		beside := w.base("1.0.0")
		if _, err := beside.Stage(t.Context(), w.sign(w.release("1.1.0")), false, []update.Source{w}, nil); err != nil {
			t.Fatal(err)
		}
		if err := trial.Ask(trial.OS{}, w.dir, trial.Request{Version: "1.1.0"}); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if r.restarted.Load() {
			t.Fatal("not waited for the tills")
		}
		l.Set(false)
		<-time.After(10 * time.Second)
		synctest.Wait()
		if !r.restarted.Load() {
			t.Fatal("nothing happened")
		}
		_, onTrial, u := w.boot("1.0.0")
		if _, err := u.Judge("", nil); err != nil || !onTrial {
			t.Fatal(err)
		}
		_, _, u = w.boot("1.0.0")
		r = &runner{}
		go u.Follow(ctx, service(l, healthy(), r))
		// What cannot be done is answered, and the service goes on.
		if err := trial.Ask(trial.OS{}, w.dir, trial.Request{Version: "7.0.0"}); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		if _, ok, err := trial.Asked(trial.OS{}, w.dir); ok || err != nil || r.restarted.Load() {
			t.Error(ok, err)
		}
		if err := trial.Ask(trial.OS{}, w.dir, trial.Request{Back: true}); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		synctest.Wait()
		if v, _, _ := w.boot("1.0.0"); v != "1.0.0" || !r.restarted.Load() {
			t.Error(v)
		}
	})
}
