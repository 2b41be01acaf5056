package update_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/clock"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
	"payagent/agent/trial/trialtest"
	"payagent/agent/update"
)

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func key(id string, n byte, roles ...string) (signed.Private, signed.Key) {
	p := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return signed.Private{ID: id, Key: p}, signed.Key{ID: id, Roles: roles, Public: p.Public().(ed25519.PublicKey)}
}

// world is a vendor with two keys and releases in memory.
type world struct {
	t    *testing.T
	dir  string
	a, b signed.Private
	keys []signed.Key
	bins map[string][]byte // by version
	disk trial.Disk
	now  time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "updates"), bins: map[string][]byte{}, now: now}
	var ka, kb, kc signed.Key
	w.a, ka = key("rel-1", 1, fleet.RoleRelease)
	w.b, kb = key("rel-2", 2, fleet.RoleRelease)
	_, kc = key("ops", 3, fleet.RoleOperate)
	w.keys = []signed.Key{ka, kb, kc}
	return w
}

// self is the program of a version on the box.
func self(version string) update.Self {
	return update.Self{Version: version, OS: "linux", Arch: "arm64", Store: 1}
}

func (w *world) release(version string) fleet.Manifest {
	if w.bins[version] == nil {
		w.bins[version] = bytes.Repeat([]byte(version+" "), 1000)
	}
	data := w.bins[version]
	return fleet.Manifest{Product: "payagent", Version: version, Floor: "0.1.0", Issued: now.AddDate(0, 0, -1), Expires: now.AddDate(0, 1, 0), Store: 1,
		Files: []fleet.File{{Name: "payagent-" + version, OS: "linux", Arch: "arm64", Size: int64(len(data)), SHA256: fleet.HashText(data)}}}
}

func (w *world) sign(m fleet.Manifest) []byte {
	w.t.Helper()
	data, err := fleet.SignManifest(m, w.a, w.b)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// Open makes the world a source.
func (w *world) Open(_ context.Context, f fleet.File, offset int64) (io.ReadCloser, int64, error) {
	data, ok := w.bins[strings.TrimPrefix(f.Name, "payagent-")]
	if !ok {
		return nil, 0, errors.New("no such file")
	}
	return io.NopCloser(bytes.NewReader(data[offset:])), offset, nil
}

// clock is the box's, as a process finds it.
func (w *world) clock() *clock.Keeper {
	disk := w.disk
	if disk == nil {
		disk = trial.OS{}
	}
	return clock.Open(clock.Options{Dir: filepath.Dir(w.dir), Disk: disk, Wall: func() time.Time { return w.now }})
}

// base is the process of the package's program, and run one that it started.
func (w *world) base(version string) *update.Updates {
	return update.Open(update.Options{Dir: w.dir, Self: self(version), Keys: w.keys, Disk: w.disk, Clock: w.clock()})
}

func (w *world) run(version, base string) *update.Updates {
	started := version
	if version == base {
		started = ""
	}
	return update.Open(update.Options{Dir: w.dir, Self: self(version), Base: base, Started: started, Keys: w.keys, Disk: w.disk, Clock: w.clock()})
}

// boot starts the box and gives the version that runs.
func (w *world) boot(base string) (string, bool, *update.Updates) {
	w.t.Helper()
	b := w.base(base)
	c, err := b.Boot()
	if err != nil {
		w.t.Log("boot:", err)
	}
	if c.Entry.IsBase() {
		if c.File != nil || c.Trial {
			w.t.Fatal("the base with a file, or on trial")
		}
		return base, false, b
	}
	data, err := io.ReadAll(c.File)
	if err != nil || !bytes.Equal(data, w.bins[c.Entry.Version]) {
		w.t.Fatalf("version %s would start with other bytes: %v", c.Entry.Version, err)
	}
	if err := c.File.Close(); err != nil {
		w.t.Fatal(err)
	}
	return c.Entry.Version, c.Trial, w.run(c.Entry.Version, base)
}

func healthy() trial.Health {
	return trial.Health{Store: true, Door: true, Broker: true, Platforms: map[string]bool{"p": true}, Scanners: map[string]bool{"s": true}}
}

func (w *world) install(u *update.Updates, version string) error {
	data := w.sign(w.release(version))
	if _, err := u.Stage(w.t.Context(), data, false, []update.Source{w}, nil); err != nil {
		return err
	}
	return u.Begin(version, false, healthy())
}

func (w *world) mustInstall(u *update.Updates, version string) {
	w.t.Helper()
	if err := w.install(u, version); err != nil {
		w.t.Fatal(err)
	}
}

func code(err error) string {
	var r *trial.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return fmt.Sprint(err)
}

func expect(t *testing.T, u *update.Updates, want update.State) {
	t.Helper()
	got, err := u.State()
	got.Last = nil
	if err != nil || got != want {
		t.Errorf("state %+v, want %+v: %v", got, want, err)
	}
}

func TestUpdateAndBack(t *testing.T) {
	w := newWorld(t)
	v, _, u := w.boot("1.0.0")
	if v != "1.0.0" || update.Any(w.dir) {
		t.Fatal("a box without updates starts", v)
	}
	w.mustInstall(u, "1.1.0")
	v, onTrial, u := w.boot("1.0.0")
	if v != "1.1.0" || !onTrial {
		t.Fatal(v, onTrial)
	}
	if again, err := u.Judge("", nil); err != nil || again {
		t.Fatal(again, err)
	}
	expect(t, u, update.State{Running: "1.1.0", Base: "1.0.0", Current: "1.1.0", Previous: "base", Floor: "0.1.0"})
	v, onTrial, u = w.boot("1.0.0")
	if v != "1.1.0" || onTrial {
		t.Fatal(v, onTrial)
	}
	w.mustInstall(u, "1.2.0")
	_, _, u = w.boot("1.0.0")
	if again, err := u.Judge("", []string{"scanner:s"}); err != nil || !again {
		t.Fatal("a trial that misses its scanner is kept", again, err)
	}
	v, onTrial, u = w.boot("1.0.0")
	if v != "1.1.0" || onTrial {
		t.Fatal(v, onTrial)
	}
	if st, _ := u.State(); st.Last == nil || st.Last.Good || st.Last.Version != "1.2.0" || st.Last.Reason != trial.NotProven || st.Last.Missing[0] != "scanner:s" {
		t.Error(st.Last)
	}
	w.mustInstall(u, "1.3.0")
	_, _, u = w.boot("1.0.0")
	if _, err := u.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	if err := u.Back(); err != nil {
		t.Fatal(err)
	}
	if v, _, u = w.boot("1.0.0"); v != "1.1.0" {
		t.Fatal("after going back runs", v)
	}
	if err := u.Back(); err != nil {
		t.Fatal(err)
	}
	if v, _, u = w.boot("1.0.0"); v != "1.3.0" {
		t.Fatal("after going back twice runs", v)
	}
	if err := u.Tidy(); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(w.dir)
	if err != nil || len(list) != 3 { // 1.1.0, 1.3.0, state.json
		t.Error(list, err)
	}
}

// TestPackageWins: a package with a newer program takes the place of what the
// fleet installed; one that is older does not.
func TestPackageWins(t *testing.T) {
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	w.mustInstall(u, "1.2.0")
	_, _, u = w.boot("1.0.0")
	if _, err := u.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	if v, _, _ := w.boot("1.1.0"); v != "1.2.0" {
		t.Error("an older package won:", v)
	}
	v, _, u := w.boot("1.3.0")
	if v != "1.3.0" {
		t.Fatal("a newer package lost to", v)
	}
	expect(t, u, update.State{Running: "1.3.0", Base: "1.3.0", Floor: "0.1.0"})
	// On trial while the package is upgraded: the same.
	w.mustInstall(u, "1.4.0")
	if v, _, _ := w.boot("1.4.0"); v != "1.4.0" {
		t.Error(v)
	}
	if v, _, _ := w.boot("1.4.0"); v != "1.4.0" {
		t.Error(v)
	}
	if _, onTrial, _ := w.boot("1.3.0"); onTrial {
		t.Error("a trial that was given up came back")
	}
}

// TestThreeStarts: what crashes, hangs until the watchdog comes, or loses its
// power three times is not started a fourth time.
func TestThreeStarts(t *testing.T) {
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	w.mustInstall(u, "1.1.0")
	for i := range 3 {
		if v, onTrial, _ := w.boot("1.0.0"); v != "1.1.0" || !onTrial {
			t.Fatal(i, v, onTrial)
		}
	}
	v, onTrial, u := w.boot("1.0.0")
	if v != "1.0.0" || onTrial {
		t.Fatal("a fourth start:", v)
	}
	if st, _ := u.State(); st.Last.Reason != trial.NotStarted {
		t.Error(st.Last)
	}
	w.mustInstall(u, "1.1.0") // somebody may order it again
	if v, _, _ := w.boot("1.0.0"); v != "1.1.0" {
		t.Error(v)
	}
}

// TestUncounted: a trial that cannot be counted is not started, or it could go
// on for ever.
func TestUncounted(t *testing.T) {
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	w.mustInstall(u, "1.1.0")
	w.disk = trialtest.Full{}
	for range 5 {
		if v, onTrial, _ := w.boot("1.0.0"); v != "1.0.0" || onTrial {
			t.Fatal(v, onTrial)
		}
	}
	w.disk = nil
	if v, onTrial, _ := w.boot("1.0.0"); v != "1.1.0" || !onTrial {
		t.Error("with room again:", v)
	}
}

func TestWrongVersionInside(t *testing.T) {
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	w.mustInstall(u, "1.1.0")
	w.boot("1.0.0")
	liar := update.Open(update.Options{Dir: w.dir, Self: self("1.0.5"), Base: "1.0.0", Started: "1.1.0", Keys: w.keys, Clock: clock.Open(clock.Options{Wall: func() time.Time { return now }})})
	if again, err := liar.Judge("", nil); err != nil || !again {
		t.Error("a program that is another version than was signed is kept", err)
	}
	if v, _, u := w.boot("1.0.0"); v != "1.0.0" {
		t.Error(v, u)
	}
}

// TestDowngrade: only somebody on site takes an older version, and a package
// that comes later wins over it.
func TestDowngrade(t *testing.T) {
	w := newWorld(t)
	m := w.release("1.5.0")
	m.Floor = "1.4.0"
	_, _, u := w.boot("1.4.0")
	if _, err := u.Stage(t.Context(), w.sign(m), false, []update.Source{w}, nil); err != nil {
		t.Fatal(err)
	}
	if err := u.Begin("1.5.0", false, healthy()); err != nil {
		t.Fatal(err)
	}
	_, _, u = w.boot("1.4.0")
	if _, err := u.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	if err := w.install(u, "1.3.0"); code(err) != "older" {
		t.Fatal(err)
	}
	data := w.sign(w.release("1.3.0"))
	if _, err := u.Stage(t.Context(), data, true, []update.Source{w}, nil); err != nil {
		t.Fatal(err)
	}
	if err := u.Begin("1.3.0", false, healthy()); code(err) != "older" {
		t.Fatal("begun without the flag:", err)
	}
	if err := u.Begin("1.3.0", true, healthy()); err != nil {
		t.Fatal(err)
	}
	v, onTrial, u := w.boot("1.4.0")
	if v != "1.3.0" || !onTrial {
		t.Fatal(v)
	}
	if _, err := u.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	if v, _, u = w.boot("1.4.0"); v != "1.3.0" {
		t.Fatal(v)
	}
	if err := w.install(u, "1.3.5"); code(err) != "below_floor" {
		t.Error("the floor was forgotten:", err)
	}
	if v, _, _ := w.boot("1.4.1"); v != "1.4.1" {
		t.Error("the next package did not win:", v)
	}
}

// TestStoreFormat: no older store format over a newer one, also with the flag.
func TestStoreFormat(t *testing.T) {
	w := newWorld(t)
	s := self("2.0.0")
	s.Store = 2
	u := update.Open(update.Options{Dir: w.dir, Self: s, Keys: w.keys, Clock: clock.Open(clock.Options{Wall: func() time.Time { return now }})})
	if _, _, err := u.Accept(w.sign(w.release("1.0.0")), true); code(err) != "store_newer" {
		t.Error(err)
	}
}

// TestKeyTakenAway: trust is decided when a version is kept. It goes on without
// the keys that signed it, as does the one before it, by their hashes; what has
// not proven itself, what is not here yet and other bytes do not.
func TestKeyTakenAway(t *testing.T) {
	t.Parallel()
	_, other := key("rel-3", 9, fleet.RoleRelease)
	for name, left := range map[string]func(w *world) []signed.Key{
		"none":  func(*world) []signed.Key { return nil },
		"one":   func(w *world) []signed.Key { return []signed.Key{w.keys[1]} },
		"other": func(w *world) []signed.Key { return []signed.Key{w.keys[1], other} },
	} {
		w := newWorld(t)
		_, _, u := w.boot("1.0.0")
		for _, v := range []string{"1.1.0", "1.2.0"} {
			w.mustInstall(u, v)
			_, _, u = w.boot("1.0.0")
			if _, err := u.Judge("", nil); err != nil {
				t.Fatal(name, err)
			}
		}
		w.mustInstall(u, "1.3.0")
		w.keys = left(w)
		for range 2 {
			c, err := w.base("1.0.0").Boot()
			if c.Entry.Version != "1.2.0" || c.Trial || c.File == nil {
				t.Fatalf("%s: %+v starts: %v", name, c.Entry, err)
			}
			if !errors.Is(err, signed.ErrNotSigned) && !errors.Is(err, fleet.ErrTwoKeys) {
				t.Errorf("%s: nobody is told: %v", name, err)
			}
			if err := c.File.Close(); err != nil {
				t.Fatal(err)
			}
		}
		_, _, u = w.boot("1.0.0")
		if st, err := u.State(); err != nil || st.Last.Version != "1.3.0" || st.Last.Reason != trial.Unusable {
			t.Errorf("%s: a trial that the keys do not sign: %+v %v", name, st, err)
		}
		if err := w.install(u, "1.4.0"); err == nil {
			t.Error(name, "a new version by old keys is taken")
		}
		if err := u.Back(); err != nil {
			t.Fatal(name, err)
		}
		v, _, _ := w.boot("1.0.0")
		if v != "1.1.0" {
			t.Fatal(name, "after going back starts", v)
		}
		// Other bytes in its place, with a manifest that fits them.
		w.bins["1.1.0"] = bytes.Repeat([]byte("thief"), 1000)
		if err := errors.Join(os.WriteFile(filepath.Join(w.dir, "1.1.0", "payagent"), w.bins["1.1.0"], 0o700),
			os.WriteFile(filepath.Join(w.dir, "1.1.0", "manifest.json"), w.sign(w.release("1.1.0")), 0o600)); err != nil {
			t.Fatal(err)
		}
		if v, _, _ = w.boot("1.0.0"); v == "1.1.0" {
			t.Fatal(name, "other bytes start")
		}
	}
}

// TestSignedAnew: signatures of other keys take the place of those of a key that
// is about to be taken away.
func TestSignedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	w.mustInstall(u, "1.1.0")
	_, _, u = w.boot("1.0.0")
	if _, err := u.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	c, kc := key("rel-3", 9, fleet.RoleRelease)
	w.keys = append(w.keys, kc)
	_, _, u = w.boot("1.0.0")
	data, err := fleet.SignManifest(w.release("1.1.0"), w.b, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Stage(t.Context(), data, false, []update.Source{w}, nil); code(err) != "already" {
		t.Fatal(err)
	}
	w.keys = []signed.Key{w.keys[1], kc}
	if choice, err := w.base("1.0.0").Boot(); err != nil || choice.Entry.Version != "1.1.0" {
		t.Error("newly signed, and started is", choice.Entry, err)
	} else if err := choice.File.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamaged: whatever is wrong in the folder, something starts.
func TestDamaged(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(w *world) error{
		"program": func(w *world) error {
			return os.WriteFile(filepath.Join(w.dir, "1.1.0", "payagent"), []byte("x"), 0o700)
		},
		"bit": func(w *world) error {
			data := bytes.Clone(w.bins["1.1.0"])
			data[500] ^= 1
			return os.WriteFile(filepath.Join(w.dir, "1.1.0", "payagent"), data, 0o700)
		},
		"no program": func(w *world) error { return os.Remove(filepath.Join(w.dir, "1.1.0", "payagent")) },
		"manifest": func(w *world) error {
			return os.WriteFile(filepath.Join(w.dir, "1.1.0", "manifest.json"), []byte("{"), 0o600)
		},
		"no manifest": func(w *world) error { return os.Remove(filepath.Join(w.dir, "1.1.0", "manifest.json")) },
		"other": func(w *world) error {
			return os.WriteFile(filepath.Join(w.dir, "1.1.0", "manifest.json"), w.sign(w.release("1.2.0")), 0o600)
		},
		"state":    func(w *world) error { return os.WriteFile(filepath.Join(w.dir, "state.json"), []byte("{"), 0o600) },
		"no state": func(w *world) error { return os.Remove(filepath.Join(w.dir, "state.json")) },
		"all":      func(w *world) error { return os.RemoveAll(w.dir) },
	} {
		for _, proven := range []bool{true, false} {
			w := newWorld(t)
			_, _, u := w.boot("1.0.0")
			w.mustInstall(u, "1.1.0")
			if proven {
				_, _, u = w.boot("1.0.0")
				if _, err := u.Judge("", nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := spoil(w); err != nil {
				t.Fatal(name, err)
			}
			for range 2 {
				var v string
				v, _, u = w.boot("1.0.0")
				if v != "1.0.0" {
					t.Errorf("%s (proven: %v): %s starts", name, proven, v)
				}
				if st, err := u.State(); err != nil || st.Trial != "" || st.Current != "" {
					t.Errorf("%s: %+v %v", name, st, err)
				}
			}
			if err := w.install(u, "1.1.0"); err != nil {
				t.Errorf("%s: cannot be mended: %v", name, err)
			}
		}
	}
}

// TestPowerCut cuts the power before and after every step on the disk of an
// update that works out and of one that does not, in between boots again, and
// looks that a whole program of the right version starts every time, and that
// the same update can be made in the end.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	steps := 0
	for _, good := range []bool{true, false} {
		for at := 1; ; at++ {
			cut := false
			for _, after := range []bool{false, true} {
				w := newWorld(t)
				d := &trialtest.Disk{At: at, After: after}
				w.disk = d
				history := w.live(good)
				cut = cut || d.Cut()
				w.disk = nil
				v, onTrial, u := w.boot("1.0.0")
				if v != "1.0.0" && v != "1.1.0" || v == "1.1.0" && !onTrial && !good {
					t.Fatalf("step %d (after: %v): %s starts, on trial: %v, after %s", at, after, v, onTrial, history)
				}
				if strings.HasSuffix(history, "kept") && v != "1.1.0" {
					t.Fatalf("step %d: a version that was kept is lost", at)
				}
				if v == "1.1.0" {
					if _, err := u.Judge("", nil); err != nil {
						t.Fatal(err)
					}
				} else {
					w.mustInstall(u, "1.1.0")
					if _, _, u = w.boot("1.0.0"); true {
						if _, err := u.Judge("", nil); err != nil {
							t.Fatal(err)
						}
					}
				}
				if v, onTrial, u := w.boot("1.0.0"); v != "1.1.0" || onTrial || u.Tidy() != nil {
					t.Fatalf("step %d (after: %v): in the end %s runs, on trial: %v", at, after, v, onTrial)
				}
			}
			if !cut {
				break
			}
			steps++
		}
	}
	if steps < 12 {
		t.Errorf("only %d steps: the disk is not cut at each of them", steps)
	}
	t.Logf("%d steps, before and after each", steps)
}

// live makes one update until the power is cut, and says how far it came.
func (w *world) live(good bool) string {
	_, _, u := w.boot("1.0.0")
	if w.install(u, "1.1.0") != nil {
		return "not begun"
	}
	v, onTrial, u := w.boot("1.0.0")
	if v != "1.1.0" || !onTrial {
		return "not started"
	}
	missing := []string{"store"}
	if good {
		missing = nil
	}
	if _, err := u.Judge("", missing); err != nil {
		return "not judged"
	}
	if !good {
		return "given up"
	}
	_ = u.Tidy()
	return "kept"
}
