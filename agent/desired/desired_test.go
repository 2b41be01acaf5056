package desired_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/desired"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
	"payagent/agent/trial/trialtest"
)

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// body is a configuration that works, without what is the box's own.
const body = `
site: {hospital_id: "H1", name: %s}
platforms: [{name: p, driver: fwc, url: "https://pay.example"}]
merchants: [{profile: m, platform: p, token_file: /secrets/m}]
routes: [{merchant: m}]
tills: [{name: t, kind: counter, device_no: "1", operator: {id: "1", name: W}}]
`

type box struct {
	t    *testing.T
	file string
	dir  string // data_dir/config
	a, b signed.Private
	keys []signed.Key
	disk trial.Disk
	now  time.Time
	bad  error // what the drivers say

	foreign string // the site whose configuration the drivers do not understand
}

func own(dir string) string {
	return fmt.Sprintf("data_dir: %s\nfleet: {broker: \"mqtt://127.0.0.1:1\", accept_plain: true, site: H1, box: B1}\n", dir)
}

func newBox(t *testing.T) *box {
	dir := t.TempDir()
	x := &box{t: t, file: filepath.Join(dir, "payagent.yaml"), dir: filepath.Join(dir, "data", "config"), now: now}
	for i, id := range []string{"conf-1", "conf-2"} {
		p := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		x.keys = append(x.keys, signed.Key{ID: id, Roles: []string{fleet.RoleConfig}, Public: p.Public().(ed25519.PublicKey)})
		if i == 0 {
			x.a = signed.Private{ID: id, Key: p}
		} else {
			x.b = signed.Private{ID: id, Key: p}
		}
	}
	x.write(own(filepath.Join(dir, "data")) + fmt.Sprintf(body, "base"))
	return x
}

// write is IT at the box.
func (x *box) write(text string) {
	x.t.Helper()
	if err := os.WriteFile(x.file, []byte(text), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

func (x *box) local() string {
	data, err := os.ReadFile(x.file)
	if err != nil {
		x.t.Fatal(err)
	}
	return string(data)
}

// open is a process that begins, or a command beside the service.
func (x *box) open() *desired.Files {
	x.t.Helper()
	d, err := desired.Open(desired.Options{File: x.file, Disk: x.disk, Clock: clock.Options{Wall: func() time.Time { return x.now }},
		Drivers: func(c config.Config) error {
			if x.foreign != "" && c.Site.Name == x.foreign {
				return errors.New("there is no such option")
			}
			return nil
		}})
	if err != nil {
		x.t.Fatal(err)
	}
	return d
}

// start is a start of the process.
func (x *box) start() (*desired.Files, desired.Effective) {
	x.t.Helper()
	d := x.open()
	e, notes, err := d.Start()
	if err != nil {
		x.t.Fatal(err)
	}
	for _, n := range notes {
		x.t.Log("start:", n)
	}
	d.Serve(desired.Terms{Keys: x.keys, Place: fleet.Place{Root: "payagent", Site: "H1", Box: "B1"}, Check: func(config.Config) error { return x.bad }})
	return d, e
}

func (x *box) doc(version uint64, text string, keys ...signed.Private) []byte {
	x.t.Helper()
	if keys == nil {
		keys = []signed.Private{x.a}
	}
	data, err := fleet.SignConfig(fleet.NewDesired(version, "H1", []string{"B1"}, text, now.Add(-time.Hour), now.AddDate(0, 0, 7), ""), keys...)
	if err != nil {
		x.t.Fatal(err)
	}
	return data
}

func named(name string) string { return fmt.Sprintf(body, name) }

func healthy() trial.Health { return trial.Health{Store: true, Door: true, Broker: true} }

func code(err error) string {
	var r *trial.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return fmt.Sprint(err)
}

func (x *box) apply(d *desired.Files, version uint64, name string) error {
	if err := d.Stage(x.doc(version, named(name))); err != nil {
		return err
	}
	return d.Apply(version, false, healthy())
}

// commit brings the box onto a document.
func (x *box) commit(version uint64, name string) *desired.Files {
	x.t.Helper()
	d, _ := x.start()
	if err := x.apply(d, version, name); err != nil {
		x.t.Fatal(err)
	}
	d, e := x.start()
	if e.Config.Site.Name != name || e.Trial == nil {
		x.t.Fatal("on trial is", e.Config.Site.Name, e.Trial)
	}
	if again, err := d.Judge("", nil); err != nil || again {
		x.t.Fatal(again, err)
	}
	return d
}

func reported(t *testing.T, d *desired.Files, version, state string, document uint64, previous string) fleet.ReportedConfig {
	t.Helper()
	r, err := d.Reported()
	if err != nil || r.Version != version || r.State != state || r.Document != document || r.Previous != previous {
		t.Errorf("reported %+v, want version %s, %s of %d, before it %q: %v", r, version, state, document, previous, err)
	}
	return r
}

func TestStagedTriedKept(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	d, e := x.start()
	if e.Version != "local" || e.Config.Site.Name != "base" {
		t.Fatal(e.Version)
	}
	reported(t, d, "local", fleet.ConfigNone, 0, "")
	if err := d.Stage(x.doc(7, named("seven"))); err != nil {
		t.Fatal(err)
	}
	reported(t, d, "local", fleet.ConfigStaged, 7, "")
	if _, e := x.start(); e.Version != "local" {
		t.Fatal("took effect without config.apply")
	}
	d = x.commit(8, "eight")
	r := reported(t, d, "8", fleet.ConfigCommitted, 8, "local")
	if r.SHA256 != fleet.HashText([]byte(named("eight"))) || r.Edited {
		t.Error(r)
	}
	d, e = x.start()
	if e.Version != "8" || e.Trial != nil || e.Config.Fleet.Box != "B1" || e.Config.DataDir != filepath.Dir(x.dir) {
		t.Error(e.Version, e.Config.Fleet)
	}
	d = x.commit(9, "nine")
	reported(t, d, "9", fleet.ConfigCommitted, 9, "8")
	if err := d.Tidy(); err != nil {
		t.Fatal(err)
	}
	var left []string
	list, err := os.ReadDir(x.dir)
	for _, f := range list {
		left = append(left, f.Name())
	}
	if err != nil || !slices.Equal(left, []string{"8.yaml", "9.yaml", "desired.json", "state.json"}) {
		t.Error(left, err)
	}
	eight, err := os.ReadFile(filepath.Join(x.dir, "8.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text []byte
		want string
	}{{[]byte("spoiled"), "invalid"}, {eight, "<nil>"}} {
		if err := os.WriteFile(filepath.Join(x.dir, "8.yaml"), c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Back(); code(err) != c.want {
			t.Fatal(err)
		}
	}
	beside, err := desired.Open(desired.Options{File: x.file})
	if err != nil {
		t.Fatal(err)
	}
	reported(t, beside, "8", fleet.ConfigRolledBack, 9, "9")
	if d, e = x.start(); e.Config.Site.Name != "eight" || e.Trial != nil {
		t.Error(e.Version)
	}
	reported(t, d, "8", fleet.ConfigRolledBack, 9, "9")
	if err := d.Back(); err != nil {
		t.Fatal(err)
	}
	if d, e = x.start(); e.Config.Site.Name != "nine" || e.Trial != nil {
		t.Error(e.Version)
	}
	reported(t, d, "9", fleet.ConfigCommitted, 9, "8")
	if x.local() != own(filepath.Dir(x.dir))+named("base") {
		t.Error("IT's file was written")
	}
}

func TestGivenUp(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	x.commit(1, "one")
	d, _ := x.start()
	if err := x.apply(d, 2, "two"); err != nil {
		t.Fatal(err)
	}
	d, _ = x.start()
	if again, err := d.Judge("", []string{"platform:p"}); err != nil || !again {
		t.Fatal(again, err)
	}
	d, e := x.start()
	if e.Config.Site.Name != "one" {
		t.Fatal(e.Version)
	}
	if r := reported(t, d, "1", fleet.ConfigRolledBack, 2, "local"); !slices.Equal(r.Missing, []string{"platform:p"}) {
		t.Error(r.Missing)
	}
	// Ordered again, it crashes three times.
	if err := d.Apply(2, false, healthy()); err != nil {
		t.Fatal(err)
	}
	for range trial.MaxStarts {
		if _, e := x.start(); e.Config.Site.Name != "two" {
			t.Fatal(e.Version)
		}
	}
	if d, e = x.start(); e.Config.Site.Name != "one" {
		t.Fatal("a fourth start of what never worked")
	}
	if r := reported(t, d, "1", fleet.ConfigRolledBack, 2, "local"); !slices.Equal(r.Missing, []string{trial.NotStarted}) {
		t.Error(r.Missing)
	}
}

// TestRefused: what is not taken, and how it is told.
func TestRefused(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	d := x.commit(5, "five")
	_, stranger, _ := ed25519.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	for name, c := range map[string]struct {
		doc  []byte
		want string
		key  string
	}{
		"lower":          {x.doc(4, named("four")), "older", ""},
		"other text":     {x.doc(5, named("other")), "older", ""},
		"stranger":       {x.doc(6, named("six"), signed.Private{ID: "conf-1", Key: stranger}), "not_signed", ""},
		"garbage":        {[]byte("{"), "not_signed", ""},
		"unknown key":    {x.doc(6, named("six")+"secret_token: abc\n"), "invalid", "secret_token"},
		"inline secret":  {x.doc(6, strings.Replace(named("six"), "token_file: /secrets/m", "token: abc", 1)), "invalid", "merchants[0].token"},
		"makes no sense": {x.doc(6, strings.Replace(named("six"), "kind: counter", "kind: shop", 1)), "invalid", "tills[0].kind"},
		"platform":       {x.doc(6, strings.Replace(named("six"), "https://pay.example", "https://thief.example", 1)), "two_keys", "platforms[0].url"},
		"merchant":       {x.doc(6, strings.Replace(named("six"), "/secrets/m", "/secrets/other", 1)), "two_keys", "merchants[0].token_file"},
		"listener":       {x.doc(6, named("six")+"door: {listen: [\"127.0.0.1:9\"]}\n"), "two_keys", "door.listen[0]"},
		"fleet":          {x.doc(6, named("six")+"fleet: {broker: \"mqtt://127.0.0.2:1\", accept_plain: true}\n"), "two_keys", "fleet.broker"},
	} {
		if err := d.Stage(c.doc); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
			continue
		}
		r, err := d.Reported()
		if err != nil || r.State != fleet.ConfigRefused || r.Version != "5" || len(r.Problems) == 0 {
			t.Errorf("%s: reported %+v %v", name, r, err)
			continue
		}
		if c.key != "" && !slices.ContainsFunc(r.Problems, func(p fleet.Problem) bool { return p.Key == c.key && p.Line > 0 && p.Text != "" }) {
			t.Errorf("%s: no problem names %s with its line: %+v", name, c.key, r.Problems)
		}
		if err := d.Apply(6, false, healthy()); code(err) != "not_staged" {
			t.Errorf("%s can be applied: %v", name, err)
		}
	}
	x.bad = errors.New("open orders run under merchant profiles that are gone")
	if err := d.Stage(x.doc(6, named("six"))); code(err) != "invalid" {
		t.Error("what the drivers refuse is staged:", err)
	}
	x.bad = nil
	if err := d.Stage(x.doc(6, strings.Replace(named("six"), "https://pay.example", "https://new.example", 1), x.a, x.b)); err != nil {
		t.Error("two signatures are not enough:", err)
	}
	reported(t, d, "5", fleet.ConfigStaged, 6, "local")
	x.bad = errors.New("an order came meanwhile")
	if err := d.Apply(6, false, healthy()); code(err) != "invalid" {
		t.Error("applied without a second look:", err)
	}
	x.bad = nil
	x.now = now.AddDate(1, 0, 0)
	if err := d.Apply(6, false, healthy()); code(err) != "expired" {
		t.Error("applied too late:", err)
	}
	// A clock that was set back makes it no younger.
	passed := func(days int) {
		x.now = now.AddDate(0, 0, days)
		if err := d.Clock().Signed(x.now); err != nil {
			t.Fatal(err)
		}
		x.now = now
	}
	passed(6)
	if err := d.Apply(6, false, healthy()); err != nil {
		t.Error("in time, and not applied:", err)
	}
	passed(8)
	if d, e := x.start(); e.Config.Platforms[0].URL != "https://new.example" {
		t.Error("what began in time has to prove itself, and does not run:", e.Version)
	} else if again, err := d.Judge("", nil); err != nil || again {
		t.Error("what is in effect expired:", err)
	}
	if err := d.Stage(x.doc(7, named("seven"))); code(err) != "expired" {
		t.Error(err)
	}
}

// TestEditedOnSite: what IT writes on the box counts and stays.
func TestEditedOnSite(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	x.commit(1, "one")
	base := x.local()
	d, _ := x.start()
	if err := x.apply(d, 2, "two"); err != nil {
		t.Fatal(err)
	}
	x.write(own(filepath.Dir(x.dir)) + named("by hand"))
	if r, err := d.Reported(); err != nil || !r.Edited {
		t.Error("not seen while running:", err)
	}
	d, e := x.start()
	if e.Version != "local" || e.Config.Site.Name != "by hand" {
		t.Fatal("IT's file does not count:", e.Version)
	}
	r := reported(t, d, "local", fleet.ConfigRolledBack, 2, "1")
	if !r.Edited || r.SHA256 != fleet.HashText([]byte(x.local())) {
		t.Error(r)
	}
	if err := x.apply(d, 3, "three"); code(err) != "edited" {
		t.Fatal(err)
	}
	if err := d.Back(); code(err) != "edited" {
		t.Fatal(err)
	}
	if _, err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Reported(); err != nil || r.Edited {
		t.Error("accepted, and still edited", err)
	}
	d, e = x.start()
	if e.Config.Site.Name != "by hand" {
		t.Fatal("accepting took it out of effect")
	}
	if err := d.Apply(3, false, healthy()); err != nil {
		t.Fatal(err)
	}
	d, e = x.start()
	if e.Config.Site.Name != "three" {
		t.Fatal(e.Version)
	}
	if _, err := d.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	// Once more, and taken over by the fleet's own word.
	x.write(base)
	d, e = x.start()
	if e.Config.Site.Name != "base" {
		t.Fatal(e.Version)
	}
	if err := d.Stage(x.doc(4, named("four"))); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(4, true, healthy()); err != nil {
		t.Fatal(err)
	}
	if _, e = x.start(); e.Config.Site.Name != "four" {
		t.Fatal(e.Version)
	}
}

// TestUncounted: a trial that cannot be counted is not begun.
func TestUncounted(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	x.commit(1, "one")
	d, _ := x.start()
	if err := x.apply(d, 2, "two"); err != nil {
		t.Fatal(err)
	}
	x.disk = trialtest.Full{}
	for range 5 {
		if _, e := x.start(); e.Config.Site.Name != "one" || e.Trial != nil {
			t.Fatal(e.Version)
		}
	}
	x.disk = nil
	if _, e := x.start(); e.Config.Site.Name != "two" || e.Trial == nil {
		t.Error("with room again:", e.Version)
	}
}

// TestBrokenFiles: whatever is wrong with the fleet's files, IT's file works.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(dir string) error{
		"text":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "1.yaml"), []byte("x"), 0o600) },
		"no text":  func(dir string) error { return os.Remove(filepath.Join(dir, "1.yaml")) },
		"state":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "state.json"), []byte("x"), 0o600) },
		"no state": func(dir string) error { return os.Remove(filepath.Join(dir, "state.json")) },
		"all":      os.RemoveAll,
	} {
		x := newBox(t)
		x.commit(1, "one")
		if err := spoil(x.dir); err != nil {
			t.Fatal(name, err)
		}
		if _, e := x.start(); e.Config.Site.Name != "base" {
			t.Errorf("%s: in effect is %s", name, e.Version)
		}
		d, _ := x.start()
		if err := x.apply(d, 2, "two"); err != nil {
			t.Errorf("%s: cannot be mended: %v", name, err)
		}
	}
	x := newBox(t)
	x.commit(1, "one")
	x.write("tills: [")
	if d, err := desired.Open(desired.Options{File: x.file}); err == nil || d != nil || !strings.Contains(err.Error(), "payagent.yaml") {
		t.Error("IT's own mistake is hidden:", err)
	}
}

// TestProgramOnTrial: a new program that must prove itself and cannot use the
// configuration in effect gives up and not the configuration: the program
// before it works with that.
func TestProgramOnTrial(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	x.commit(1, "one")
	text := filepath.Join(x.dir, "1.yaml")
	good, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, append(good, '#'), 0o600); err != nil { // stands for what this program does not understand
		t.Fatal(err)
	}
	state, err := os.ReadFile(filepath.Join(x.dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := desired.Open(desired.Options{File: x.file})
	if err != nil {
		t.Fatal(err)
	}
	if e, _, err := d.StartOnTrial(); err == nil {
		t.Errorf("it starts with %s", e.Version)
	}
	if after, err := os.ReadFile(filepath.Join(x.dir, "state.json")); err != nil || !bytes.Equal(state, after) {
		t.Errorf("it wrote the state anew: %s, %v", after, err)
	}
	if err := os.WriteFile(text, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, e := x.start(); e.Config.Site.Name != "one" {
		t.Error("the program before it has", e.Version)
	}
}

// TestKeys: the keys that count are those of the configuration in effect as it
// is here: where a document names no broker, the whole section is the box's.
func TestKeys(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	const key = `{id: %s, roles: [release], public: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`
	x.write(strings.Replace(x.local(), "box: B1", "box: B1, keys: ["+fmt.Sprintf(key, "its")+"]", 1))
	keys := func() (list []string) {
		t.Helper()
		d, err := desired.Open(desired.Options{File: x.file})
		if err != nil {
			t.Fatal(err)
		}
		all, err := d.Keys()
		if err != nil {
			t.Fatal(err)
		}
		_, e := x.start()
		for i, k := range all {
			list = append(list, k.ID)
			if len(e.Config.Fleet.Keys) != len(all) || e.Config.Fleet.Keys[i].ID != k.ID {
				t.Errorf("%+v are not the keys of the configuration in effect, %+v", all, e.Config.Fleet.Keys)
			}
		}
		return list
	}
	if got := keys(); !slices.Equal(got, []string{"its"}) {
		t.Error("IT's file:", got)
	}
	x.commit(1, "one")
	if got := keys(); !slices.Equal(got, []string{"its"}) {
		t.Error("a document that says nothing of the fleet took the box's keys away:", got)
	}
	d, _ := x.start()
	doc := named("two") + "fleet: {broker: \"mqtt://127.0.0.1:1\", accept_plain: true, keys: [" + fmt.Sprintf(key, "other") + "]}\n"
	if err := errors.Join(d.Stage(x.doc(2, doc, x.a, x.b)), d.Apply(2, false, healthy())); err != nil {
		t.Fatal(err)
	}
	if d, _ = x.start(); d == nil {
		t.Fatal("no start")
	}
	if _, err := d.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	if got := keys(); !slices.Equal(got, []string{"other"}) {
		t.Error("a document with keys of its own:", got)
	}
}

// TestPowerCut cuts the power before and after every step on the disk.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	steps := 0
	for _, good := range []bool{true, false} {
		for at := 1; ; at++ {
			cut := false
			for _, after := range []bool{false, true} {
				x := newBox(t)
				d := &trialtest.Disk{At: at, After: after}
				x.disk = d
				came := x.live(good)
				cut = cut || d.Cut()
				x.disk = nil
				f, e := x.start()
				name := e.Config.Site.Name
				if name != "base" && (name != "one" || e.Trial == nil && came != "kept" && came != "judging") || came == "kept" && name != "one" {
					t.Fatalf("step %d (after: %v), came to %q: in effect is %s, on trial: %v", at, after, came, name, e.Trial)
				}
				if e.Trial != nil {
					if _, err := f.Judge("", nil); err != nil {
						t.Fatal(err)
					}
				} else if name == "base" {
					if err := x.apply(f, 9, "one"); err != nil {
						t.Fatalf("step %d (after: %v): cannot go on: %v", at, after, err)
					}
					f, _ = x.start()
					if _, err := f.Judge("", nil); err != nil {
						t.Fatal(err)
					}
				}
				if f, e := x.start(); e.Config.Site.Name != "one" || e.Trial != nil || f.Tidy() != nil {
					t.Fatalf("step %d (after: %v): in the end %s", at, after, e.Version)
				}
			}
			if !cut {
				break
			}
			steps++
		}
	}
	if steps < 14 {
		t.Errorf("only %d steps", steps)
	}
}

func (x *box) live(good bool) string {
	open := func() *desired.Files {
		d, err := desired.Open(desired.Options{File: x.file, Disk: x.disk, Clock: clock.Options{Wall: func() time.Time { return x.now }}})
		if err != nil {
			x.t.Fatal(err)
		}
		if _, _, err := d.Start(); err != nil {
			return nil
		}
		d.Serve(desired.Terms{Keys: x.keys, Place: fleet.Place{Site: "H1", Box: "B1"}})
		return d
	}
	d := open()
	if d == nil || x.apply(d, 1, "one") != nil {
		return "not begun"
	}
	if d = open(); d == nil {
		return "not started"
	}
	missing := []string{"store"}
	if good {
		missing = nil
	}
	if _, err := d.Judge("", missing); err != nil {
		if good {
			return "judging"
		}
		return "giving up"
	}
	if !good {
		return "given up"
	}
	_ = d.Tidy()
	return "kept"
}

// TestOneKeyNames: the keys that one signature may change exist.
func TestOneKeyNames(t *testing.T) {
	t.Parallel()
	a, err := config.Demo()
	if err != nil {
		t.Fatal(err)
	}
	if list := desired.TwoKeys(a, a); list != nil {
		t.Error(list)
	}
	b, err := config.Demo()
	if err != nil {
		t.Fatal(err)
	}
	b.Site.Name, b.Log.Level, b.Policy.QueryEvery, b.Booking.PromptAfter, b.Limits.MaxFen, b.Finance.AuditDays = "x", "debug", 1, 1, 1, 1
	b.Tills[0].DeviceNo, b.Codes.DoubleRead, b.Store.RetentionDays, b.Platforms[0].ProbeEvery = "x", 1, 1, 1
	if list := desired.TwoKeys(a, b); list != nil {
		t.Error("one signature should do for", list)
	}
	for key, change := range map[string]func(*config.Config){
		"limits.refund_alone_fen":       func(c *config.Config) { c.Limits.RefundAloneFen++ },
		"tills[1].reverse_on_silence":   func(c *config.Config) { c.Tills[1].ReverseOnSilence = !c.Tills[1].ReverseOnSilence },
		"booking.expect":                func(c *config.Config) { c.Booking.Expect = !c.Booking.Expect },
		"platforms[0].allow_plain_http": func(c *config.Config) { c.Platforms[0].AllowPlainHTTP = !c.Platforms[0].AllowPlainHTTP },
		"platforms[0].pins[0]":          func(c *config.Config) { c.Platforms[0].Pins = []string{"x"} },
		"platforms[0].ca_file":          func(c *config.Config) { c.Platforms[0].CAFile = "x" },
		"platforms[0].relay":            func(c *config.Config) { c.Platforms[0].Relay = "x" },
		"log.file":                      func(c *config.Config) { c.Log.File = "x" },
		"routes[0].merchant":            func(c *config.Config) { c.Routes[0].Merchant = "x" },
		"callback.listen[0]":            func(c *config.Config) { c.Callback.Listen = []string{"x"} },
		"books.listen[0]":               func(c *config.Config) { c.Books.Listen = []string{"x"} },
		"facade.listen[0]":              func(c *config.Config) { c.Facade.Listen = []string{"x"} },
		"fleet.idle":                    func(c *config.Config) { c.Fleet.Idle++ },
		"devices.models_dir":            func(c *config.Config) { c.Devices.ModelsDir = "x" },
	} {
		c, err := config.Demo()
		if err != nil {
			t.Fatal(err)
		}
		change(&c)
		if list := desired.TwoKeys(a, c); !slices.Contains(list, key) {
			t.Errorf("one signature may change %s: %v", key, list)
		}
	}
}

// TestAside: a configuration in effect that this program cannot read, because a
// newer program took it and this one is back, is kept aside, told, and in force
// again when a program is back that can; what this one can read runs meanwhile.
func TestAside(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	x.commit(1, "one")
	x.commit(2, "two")
	state := filepath.Join(x.dir, "state.json")
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	// become makes the second configuration one of another program's.
	become := func(text string) {
		t.Helper()
		was := fleet.HashText([]byte(read(filepath.Join(x.dir, "2.yaml"))))
		book := strings.ReplaceAll(read(state), was, fleet.HashText([]byte(text)))
		for name, data := range map[string]string{filepath.Join(x.dir, "2.yaml"): text, state: book} {
			if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	future := named("two") + "from_the_future: {a: 1}\n"
	become(future)
	before := read(state)
	beside, err := desired.Open(desired.Options{File: x.file})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := beside.Look(); err != nil || e.Config.Site.Name != "one" {
		t.Error("a command beside the service has", e.Version, err)
	}
	if read(state) != before {
		t.Error("a look wrote the state")
	}
	for range 3 { // as often as it starts
		d, e := x.start()
		if e.Config.Site.Name != "one" || e.Trial != nil || d.Aside() != "2" {
			t.Fatalf("in effect is %s, aside %q", e.Version, d.Aside())
		}
		if r := reported(t, d, "1", fleet.ConfigAside, 2, ""); r.Aside != "2" {
			t.Error(r)
		}
		if err := d.Tidy(); err != nil {
			t.Fatal(err)
		}
	}
	if read(filepath.Join(x.dir, "2.yaml")) != future {
		t.Fatal("the file that was kept aside is not as it was")
	}
	// A newer one that cannot be read either is refused and changes nothing.
	d, _ := x.start()
	if err := d.Stage(x.doc(3, future)); code(err) != "invalid" {
		t.Fatal(err)
	}
	// The newer program is back.
	become(named("two"))
	d, err = desired.Open(desired.Options{File: x.file})
	if err != nil {
		t.Fatal(err)
	}
	if e, _, err := d.StartOnTrial(); err != nil || e.Config.Site.Name != "two" || e.Trial != nil || d.Aside() != "" {
		t.Fatal("with the newer program in effect is", e.Version, err)
	}
	d, e := x.start()
	if e.Config.Site.Name != "two" {
		t.Fatal(e.Version)
	}
	if r := reported(t, d, "2", fleet.ConfigCommitted, 2, "1"); r.Aside != "" {
		t.Error(r)
	}
	// What ends it: another configuration that proved itself, IT's word on the
	// box, the word to go back, and damage.
	for name, end := range map[string]func(d *desired.Files){
		"another": func(*desired.Files) { x.commit(9, "nine") },
		"IT":      func(*desired.Files) { x.write(x.local() + "# edited\n") },
		"back": func(d *desired.Files) {
			if err := d.Back(); err != nil {
				t.Error(err)
			}
		},
		"damage": func(*desired.Files) {
			if err := os.WriteFile(filepath.Join(x.dir, "2.yaml"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		x = newBox(t)
		state = filepath.Join(x.dir, "state.json")
		x.commit(1, "one")
		x.commit(2, "two")
		become(future)
		d, _ = x.start()
		end(d)
		if d, _ = x.start(); d.Aside() != "" {
			t.Errorf("%s: still aside is %s", name, d.Aside())
		}
		if name != "damage" {
			become(named("two"))
		}
		if _, e := x.start(); e.Config.Site.Name == "two" {
			t.Errorf("%s: what was given up is in force again", name)
		}
	}
}

// TestAsideForDrivers: what only the drivers of a newer program understand is kept
// aside as well, and does not keep this one from its start.
func TestAsideForDrivers(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	x.commit(1, "one")
	x.commit(2, "two")
	x.foreign = "two"
	if e, err := x.open().Look(); err != nil || e.Config.Site.Name != "one" {
		t.Error("a command beside the service has", e.Version, err)
	}
	if _, _, err := x.open().StartOnTrial(); err == nil {
		t.Error("a program that must prove itself goes on without the configuration in effect")
	}
	d, e := x.start()
	if e.Config.Site.Name != "one" || d.Aside() != "2" {
		t.Fatalf("in effect is %s, aside %q", e.Version, d.Aside())
	}
	reported(t, d, "1", fleet.ConfigAside, 2, "")
	if err := d.Stage(x.doc(3, named("two"))); code(err) != "invalid" {
		t.Error(err)
	}
	x.foreign = ""
	if d, e = x.start(); e.Config.Site.Name != "two" || d.Aside() != "" {
		t.Error("with the newer program in effect is", e.Version)
	}
}

// TestAllAside: where nothing of the fleet's can be read IT's file works, and
// nothing is lost.
func TestAllAside(t *testing.T) {
	t.Parallel()
	x := newBox(t)
	x.commit(1, "one")
	x.commit(2, "two")
	state := filepath.Join(x.dir, "state.json")
	for _, future := range []bool{true, false} {
		data, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		for version, name := range map[string]string{"1": "one", "2": "two"} {
			texts := []string{named(name), named(name) + "from_the_future: 1\n"}
			if !future {
				slices.Reverse(texts)
			}
			data = bytes.ReplaceAll(data, []byte(fleet.HashText([]byte(texts[0]))), []byte(fleet.HashText([]byte(texts[1]))))
			if err := os.WriteFile(filepath.Join(x.dir, version+".yaml"), []byte(texts[1]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(state, data, 0o600); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "base", false: "two"}[future]
		d, e := x.start()
		if e.Config.Site.Name != want {
			t.Fatal(future, e.Version)
		}
		if err := d.Tidy(); err != nil {
			t.Fatal(err)
		}
	}
	d, _ := x.start()
	if err := d.Back(); err != nil {
		t.Fatal(err)
	}
	if _, e := x.start(); e.Config.Site.Name != "one" {
		t.Error("what was before it is", e.Version)
	}
}
