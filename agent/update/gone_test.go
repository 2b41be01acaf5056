package update_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"payagent/agent/fleet"
	"payagent/agent/trial"
	"payagent/agent/trial/trialtest"
	"payagent/agent/update"
)

// take is what a virus scanner does to a version's program.
func (w *world) take(version string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, version, "payagent")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) keep(u *update.Updates, version string) *update.Updates {
	w.t.Helper()
	if err := w.install(u, version); err != nil {
		w.t.Fatal(err)
	}
	got, onTrial, next := w.boot("1.0.0")
	if got != version || !onTrial {
		w.t.Fatal("not on trial", got, onTrial)
	}
	if _, err := next.Judge("", nil); err != nil {
		w.t.Fatal(err)
	}
	return next
}

func (w *world) want(u *update.Updates, current, last string, gone ...string) {
	w.t.Helper()
	st, err := u.State()
	if err != nil {
		w.t.Fatal(err)
	}
	reason := ""
	if st.Last != nil && !st.Last.Good {
		reason = st.Last.Version + " " + st.Last.Reason
	}
	if st.Current != current || st.Trial != "" || reason != last {
		w.t.Errorf("the state is %+v, last %q; want %q in use, last %q", st, reason, current, last)
	}
	if got, err := u.Gone(); err != nil || !slices.Equal(got, gone) {
		w.t.Errorf("gone are %v %v, want %v", got, err, gone)
	}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *trial.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("%v, want the code %s", err, code)
	}
}

// TestTakenAway: whatever a virus scanner takes at whatever step, the last good
// version starts, it is told as what it is, and the next start changes nothing
// more.
func TestTakenAway(t *testing.T) {
	for name, c := range map[string]struct {
		do            func(w *world, u *update.Updates) // 1.0.0 is the package's and runs
		runs          string
		current, last string
	}{
		"before the trial begins": {func(w *world, u *update.Updates) {
			if _, err := u.Stage(t.Context(), w.sign(w.release("1.1.0")), false, []update.Source{w}, nil); err != nil {
				t.Fatal(err)
			}
			w.take("1.1.0")
			refused(t, u.Begin("1.1.0", false, healthy()), trial.Gone)
		}, "1.0.0", "", ""},
		"before it is started": {func(w *world, u *update.Updates) {
			if err := w.install(u, "1.1.0"); err != nil {
				t.Fatal(err)
			}
			w.take("1.1.0")
		}, "1.0.0", "", "1.1.0 program_gone"},
		"with its folder": {func(w *world, u *update.Updates) {
			if err := w.install(u, "1.1.0"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(w.dir, "1.1.0"), filepath.Join(t.TempDir(), "quarantine")); err != nil {
				t.Fatal(err)
			}
		}, "1.0.0", "", "1.1.0 program_gone"},
		"cannot be opened": {func(w *world, u *update.Updates) {
			if err := w.install(u, "1.1.0"); err != nil {
				t.Fatal(err)
			}
			w.take("1.1.0")
			if err := os.Symlink("payagent", filepath.Join(w.dir, "1.1.0", "payagent")); err != nil {
				t.Fatal(err)
			}
		}, "1.0.0", "", "1.1.0 program_gone"},
		"in the middle of the trial": {func(w *world, u *update.Updates) {
			if err := w.install(u, "1.1.0"); err != nil {
				t.Fatal(err)
			}
			w.boot("1.0.0")
			w.take("1.1.0")
		}, "1.0.0", "", "1.1.0 program_gone"},
		"in use": {func(w *world, u *update.Updates) {
			w.keep(u, "1.1.0")
			w.take("1.1.0")
		}, "1.0.0", "", "1.1.0 program_gone"},
		"in use, with one behind it": {func(w *world, u *update.Updates) {
			w.keep(w.keep(u, "1.1.0"), "1.2.0")
			w.take("1.2.0")
		}, "1.1.0", "1.1.0", "1.2.0 program_gone"},
		"in use, and the one behind it": {func(w *world, u *update.Updates) {
			w.keep(w.keep(u, "1.1.0"), "1.2.0")
			w.take("1.2.0")
			w.take("1.1.0")
		}, "1.0.0", "", "1.1.0 program_gone"},
		"on trial, and the one in use": {func(w *world, u *update.Updates) {
			if err := w.install(w.keep(u, "1.1.0"), "1.2.0"); err != nil {
				t.Fatal(err)
			}
			w.take("1.2.0")
			w.take("1.1.0")
		}, "1.0.0", "", "1.1.0 program_gone"},
		"would not start": {func(w *world, u *update.Updates) {
			if err := w.install(u, "1.1.0"); err != nil {
				t.Fatal(err)
			}
			c, err := u.Boot()
			if err != nil {
				t.Fatal(err)
			}
			w.take("1.1.0")
			if err := errors.Join(u.Unstartable(c), c.File.Close()); err != nil {
				t.Fatal(err)
			}
		}, "1.0.0", "", "1.1.0 program_gone"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, _, u := w.boot("1.0.0")
			c.do(w, u)
			for range 5 { // a box that is switched on every morning
				got, onTrial, u := w.boot("1.0.0")
				if got != c.runs || onTrial {
					t.Fatalf("%s runs, on trial %v; want %s", got, onTrial, c.runs)
				}
				w.want(u, c.current, c.last)
			}
		})
	}
}

// TestTakenFromBehind: the version behind the one in use is missed while it is
// not needed, and going back to it is refused.
func TestTakenFromBehind(t *testing.T) {
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	u = w.keep(w.keep(u, "1.1.0"), "1.2.0")
	w.want(u, "1.2.0", "")
	w.take("1.1.0")
	w.want(u, "1.2.0", "", "1.1.0")
	refused(t, u.Back(), trial.Gone)
	if got, _, _ := w.boot("1.0.0"); got != "1.2.0" {
		t.Error(got, "runs")
	}
}

// TestPutBack: a program that was taken while it runs is put back by the same
// update once more, but for other bytes.
func TestPutBack(t *testing.T) {
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	u = w.keep(u, "1.1.0")
	w.take("1.1.0")
	w.want(u, "1.1.0", "", "1.1.0")

	good := w.bins["1.1.0"]
	w.bins["1.1.0"] = []byte("others, signed as well")
	_, err := u.Stage(t.Context(), w.sign(w.release("1.1.0")), false, []update.Source{w}, nil)
	refused(t, err, "already")
	w.want(u, "1.1.0", "", "1.1.0")
	w.bins["1.1.0"] = good
	_, err = u.Stage(t.Context(), w.sign(w.release("1.1.0")), false, []update.Source{w}, nil)
	refused(t, err, "already")
	w.want(u, "1.1.0", "")
	if got, onTrial, _ := w.boot("1.0.0"); got != "1.1.0" || onTrial {
		t.Error(got, onTrial)
	}
}

// TestBaseTaken: the package's program is missed, too.
func TestBaseTaken(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "payagent")
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	u := update.Open(update.Options{Dir: w.dir, Self: self("1.0.0"), BaseFile: file, Clock: w.clock()})
	w.want(u, "", "")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.want(u, "", "", "base")
}

// TestOrderTakenAway: the verb update ends with the code, and does not begin
// again by itself.
func TestOrderTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, _, u := w.boot("1.0.0")
		from := func(fleet.File) []update.Source { return []update.Source{w} }
		l, r := &trialtest.Lock{}, &runner{}
		if err := u.Order(t.Context(), args(w.sign(w.release("1.1.0"))), service(l, healthy(), r), r, from); err != nil {
			t.Fatal(err)
		}
		w.take("1.1.0")
		got, _, u := w.boot("1.0.0")
		_, err := u.Resume(context.Background(), r.note)
		refused(t, err, trial.Gone)
		if got != "1.0.0" {
			t.Error(got, "runs")
		}
	})
}
