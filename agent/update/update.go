// Package update exchanges the program while the tills are idle. The program of
// the package (the base) is never touched; versions of the fleet lie beside it
// under data_dir/updates, one folder each, and the base starts the one that is
// in use, or on trial (package trial), after it has checked size and hash anew
// from the very file that it then executes, and the signatures of what is on
// trial: one that was kept is trusted by its hash, whatever becomes of the keys.
//
// What may come: a version that two different keys of rôle release signed for
// this product and this kind of machine, that has not expired, is newer than
// the present one and not below the floor that earlier versions set. Only
// somebody on site may go back below that. docs/update.md tells the steps and
// what a power cut does at each.
//
// The swap is ours: minio/selfupdate neither syncs nor always leaves a program
// in place between its two renames, and TUF's metadata (go-tuf) would add 2.5
// MB for one file and rôles that the envelope of package signed already has.
package update

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"payagent/agent/clock"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
)

// Self is a program: what it is and for which machine.
type Self struct {
	Version  string // what is no fleet.Version, such as "dev", is older than any
	OS, Arch string // as Go writes them
	Cgo      bool
	Store    uint32 // the store format that it writes
}

// Options say where updates are and who may make them.
type Options struct {
	Dir  string // data_dir/updates
	Self Self   // this process
	// Base is the version of the package's program; Self's where this process
	// is the package's.
	Base string
	// BaseFile is where the package's program lies; empty where it is not known.
	BaseFile string
	// Started is the version as which the base started this process, empty for
	// the base itself.
	Started string
	Keys    []signed.Key
	Disk    trial.Disk    // nil for the real one
	Clock   *clock.Keeper // nil for the machine's clock
}

// book is what state.json holds.
type book struct {
	trial.State
	Floor string `json:"floor,omitempty"` // nothing older is taken
}

// Updates are the updates of a box. Its methods may be called from any
// goroutine. Only the process that serves writes the state; commands beside it
// leave a [Request].
type Updates struct {
	o    Options
	file trial.Book[book]
	mu   sync.Mutex
}

// Open prepares. It touches nothing.
func Open(o Options) *Updates {
	if o.Disk == nil {
		o.Disk = trial.OS{}
	}
	if o.Base == "" {
		o.Base = o.Self.Version
	}
	return &Updates{o: o, file: trial.Book[book]{Disk: o.Disk, Path: filepath.Join(o.Dir, "state.json")}}
}

// Any tells whether anything was ever updated here; false costs one look.
func Any(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "state.json"))
	return err == nil
}

func (u *Updates) folder(version string) string { return filepath.Join(u.o.Dir, version) }

func (u *Updates) program(version string) string {
	name := "payagent"
	if u.o.Self.OS == "windows" {
		name += ".exe"
	}
	return filepath.Join(u.folder(version), name)
}

// part is what was fetched of a version so far.
func (u *Updates) part(version string) string {
	return filepath.Join(u.folder(version), "program.part")
}

func (u *Updates) manifest(version string) string {
	return filepath.Join(u.folder(version), "manifest.json")
}

// State is what a box tells about its program (part of its twin).
type State struct {
	Running  string         `json:"running"`
	Base     string         `json:"base"`               // the package's
	Current  string         `json:"current,omitempty"`  // in use; empty: the package's
	Previous string         `json:"previous,omitempty"` // what rollback goes back to; "base" is the package's
	Trial    string         `json:"trial,omitempty"`    // must prove itself now, or at the next start
	Starts   int            `json:"starts,omitempty"`   // of the trial
	Floor    string         `json:"floor,omitempty"`
	Last     *trial.Verdict `json:"last,omitempty"`
}

// State reads the present state.
func (u *Updates) State() (State, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _, err := u.file.Load()
	s := State{Running: u.o.Self.Version, Base: u.o.Base, Current: b.Current.Version, Floor: b.Floor, Last: b.Last}
	if b.Previous != nil {
		s.Previous = b.Previous.Or("base")
	}
	if b.Trial != nil {
		s.Trial, s.Starts = b.Trial.Version, b.Trial.Starts
	}
	return s, err
}

// OnTrial gives the trial that this process is, nil if it is none.
func (u *Updates) OnTrial() (*trial.Trial, error) {
	if u.o.Started == "" {
		return nil, nil
	}
	b, _, err := u.file.Load()
	if err != nil || b.Trial == nil || b.Trial.Version != u.o.Started {
		return nil, err
	}
	return b.Trial, nil
}

// Accept opens a manifest and says whether its version may come here. With
// downgrade an older version may, also below the floor, as long as it can read
// the store; only people on site say so. Errors are a *trial.Refusal.
func (u *Updates) Accept(manifest []byte, downgrade bool) (fleet.Manifest, fleet.File, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _, err := u.file.Load()
	if err != nil {
		return fleet.Manifest{}, fleet.File{}, err
	}
	return u.accept(b, manifest, downgrade)
}

func (u *Updates) accept(b book, manifest []byte, downgrade bool) (m fleet.Manifest, f fleet.File, err error) {
	if len(u.o.Keys) == 0 {
		return m, f, trial.Refuse("no_keys", "cannot take an update: the configuration names no keys; put two of rôle release under fleet.keys")
	}
	if m, err = fleet.OpenManifest(manifest, u.o.Keys, u.o.Clock.Now()); err != nil {
		return m, f, trial.Refuse(codeOf(err), "%v", err)
	}
	if f, err = m.For(u.o.Self.OS, u.o.Self.Arch, u.o.Self.Cgo); err != nil {
		return m, f, trial.Refuse("wrong_machine", "%v", err)
	}
	switch c := fleet.CompareVersions(m.Version, u.o.Self.Version); {
	case c == 0:
		return m, f, trial.Refuse("already", "version %s runs here already", m.Version)
	case m.Store < u.o.Self.Store:
		return m, f, trial.Refuse("store_newer", "cannot take version %s: it writes store format %d and the store has %d; an older program must not write it", m.Version, m.Store, u.o.Self.Store)
	case downgrade:
		return m, f, nil
	case c < 0:
		return m, f, trial.Refuse("older", "cannot take version %s: it is older than %s, which runs; on site, payagent update --downgrade takes it", m.Version, u.o.Self.Version)
	case b.Floor != "" && fleet.CompareVersions(m.Version, b.Floor) < 0:
		return m, f, trial.Refuse("below_floor", "cannot take version %s: it is below the floor %s", m.Version, b.Floor)
	}
	return m, f, nil
}

// codeOf gives the stable code of a refused document.
func codeOf(err error) string {
	switch {
	case errors.Is(err, fleet.ErrTwoKeys):
		return "two_keys"
	case errors.Is(err, fleet.ErrExpired):
		return "expired"
	case errors.Is(err, signed.ErrNotSigned):
		return "not_signed"
	}
	return "bad_document"
}

// Begin puts a staged version on trial: the next start starts it. before is
// what works now.
func (u *Updates) Begin(version string, downgrade bool, before trial.Health) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _, err := u.file.Load()
	if err != nil {
		return err
	}
	data, err := u.o.Disk.ReadFile(u.manifest(version))
	if err != nil {
		return trial.Refuse("not_staged", "cannot begin: version %s is not here: %v", version, err)
	}
	m, f, err := u.accept(b, data, downgrade)
	if err != nil {
		return err
	}
	if m.Version != version {
		return trial.Refuse("bad_document", "cannot begin: the manifest in the folder of version %s is that of %s", version, m.Version)
	}
	held, err := openProgram(u.program(version), f)
	if err != nil {
		return trial.Refuse(codeOfUse(err), "cannot begin: %v", err)
	}
	if err := held.Close(); err != nil {
		return err
	}
	e := trial.Entry{Version: version, SHA256: f.SHA256, Base: u.o.Base, Pinned: downgrade}
	if err := b.Begin(e, before, fmt.Sprint(u.o.Self.Store), u.o.Clock.Now()); err != nil {
		return trial.Refuse("busy", "%v", err)
	}
	return errors.Join(u.o.Clock.Signed(m.Issued), u.file.Save(b))
}

// Back goes back to the program before this one at the next start; a trial that
// has not ended is given up instead.
func (u *Updates) Back() error {
	return u.change(func(b *book) error {
		if b.Trial == nil && b.Previous != nil && !b.Previous.IsBase() {
			m, _, err := u.installed(*b.Previous, true)
			if err != nil {
				return trial.Refuse(codeOfUse(err), "cannot go back: %v", err)
			}
			if m.Store < u.o.Self.Store {
				return trial.Refuse("store_newer", "cannot go back to version %s: the store has format %d and it writes %d", m.Version, u.o.Self.Store, m.Store)
			}
			b.Previous.Pinned, b.Previous.Base = true, u.o.Base
		}
		if err := b.Back(u.o.Clock.Now()); err != nil {
			return trial.Refuse("nothing_before", "%v", err)
		}
		return nil
	})
}

// Judge ends the trial that this process is: nil keeps the program; anything
// missing, or a reason, gives it up. It returns whether the process must end so
// that another program is started.
func (u *Updates) Judge(reason string, missing []string) (restart bool, err error) {
	err = u.change(func(b *book) error {
		t := b.Trial
		if t == nil || t.Version != u.o.Started {
			return nil
		}
		if reason == "" && u.o.Started != u.o.Self.Version {
			reason = trial.WrongItself
		}
		if reason != "" || len(missing) > 0 {
			if reason == "" {
				reason = trial.NotProven
			}
			b.Fail(reason, missing, u.o.Clock.Now())
			restart = true
			return nil
		}
		m, _, err := u.installed(t.Entry, false)
		if err != nil {
			return err
		}
		b.Commit(u.o.Clock.Now())
		if fleet.CompareVersions(m.Floor, b.Floor) > 0 {
			b.Floor = m.Floor
		}
		return nil
	})
	return restart, err
}

func (u *Updates) change(do func(*book) error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _, err := u.file.Load()
	if err != nil {
		return err
	}
	if err := do(&b); err != nil {
		return err
	}
	return u.file.Save(b)
}

// Tidy removes the folders of versions that nobody needs any more, and what a
// crash left behind, but for the newest version of which a part was fetched:
// that is gone on with when it is ordered again. staged are not in the state
// yet and stay.
func (u *Updates) Tidy(staged ...string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _, err := u.file.Load()
	if err != nil {
		return err
	}
	list, err := os.ReadDir(u.o.Dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	var old []string
	newest, begun := u.o.Self.Version, ""
	for _, e := range list {
		if _, err := fleet.ParseVersion(e.Name()); err != nil || !e.IsDir() || b.Uses(e.Name()) || slices.Contains(staged, e.Name()) {
			continue
		}
		old = append(old, e.Name())
		if _, err := os.Lstat(u.part(e.Name())); err == nil && fleet.CompareVersions(e.Name(), newest) > 0 {
			newest, begun = e.Name(), e.Name()
		}
	}
	var errs []error
	for _, v := range old {
		if v != begun {
			errs = append(errs, u.o.Disk.RemoveAll(u.folder(v)))
		}
	}
	return errors.Join(errs...)
}
