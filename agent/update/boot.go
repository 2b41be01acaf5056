package update

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Choice is what a start starts.
type Choice struct {
	// File is the program, open and checked; nil: the package's own goes on.
	// Whoever starts it starts this file and not its name.
	File  *os.File
	Entry trial.Entry
	Trial bool
}

// Boot chooses the program at the start of the package's. Trials are counted on
// disk before they are returned. Whatever is wrong here ends with an older
// program that works, at last the package's own: an error is for the log.
func (u *Updates) Boot() (Choice, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, damaged, err := u.file.Load()
	if err != nil {
		return Choice{}, err
	}
	var errs []error
	if damaged {
		errs = append(errs, fmt.Errorf("the state of updates was damaged and set aside; the package's program goes on"))
	}
	before := text(b)
	for {
		if u.baseWins(b.Current) {
			b.ToBase(trial.Superseded, u.o.Clock.Now())
		}
		if b.Trial != nil && u.baseWins(b.Trial.Entry) {
			b.Fail(trial.Superseded, nil, u.o.Clock.Now())
		}
		e, onTrial := b.Start(u.o.Clock.Now())
		var f *os.File
		if !e.IsBase() {
			if _, f, err = u.installedOpen(e, !onTrial); err != nil {
				errs = append(errs, err)
				if onTrial {
					b.Fail(reasonOf(err), nil, u.o.Clock.Now())
				} else {
					b.Drop(reasonOf(err), u.o.Clock.Now())
				}
				continue
			}
		}
		if !e.IsBase() && !onTrial {
			errs = append(errs, u.untrusted(e))
		}
		if text(b) == before {
			return Choice{f, e, onTrial}, errors.Join(errs...)
		}
		if err := u.file.Save(b); err != nil {
			errs = append(errs, err)
			if onTrial { // a trial that is not counted could go on for ever
				errs = append(errs, f.Close())
				b.Fail(trial.Unusable, nil, u.o.Clock.Now())
				before = text(b)
				continue
			}
		}
		return Choice{f, e, onTrial}, errors.Join(errs...)
	}
}

// text is b as it would be written.
func text(b book) string {
	data, _ := json.Marshal(b) // its types always encode
	return string(data)
}

// Unstartable is told when the system would not start what Boot chose.
func (u *Updates) Unstartable(c Choice) error {
	_, f, err := u.installedOpen(c.Entry, !c.Trial)
	if err == nil {
		err = f.Close()
	}
	return u.change(func(b *book) error {
		if c.Trial {
			b.Fail(reasonOf(err), nil, u.o.Clock.Now())
		} else {
			b.Drop(reasonOf(err), u.o.Clock.Now())
		}
		return nil
	})
}

// baseWins tells whether the package's program is to be preferred: it is as new
// or newer, or came after somebody chose an older one.
func (u *Updates) baseWins(e trial.Entry) bool {
	switch {
	case e.IsBase():
		return false
	case e.Pinned:
		return e.Base != u.o.Self.Version
	}
	return fleet.CompareVersions(e.Version, u.o.Self.Version) <= 0
}

// installed checks that a version lies here as it was signed. Expiry does not
// count any more. kept tells that it has proven itself: that it may run was
// decided then, and its hash is in the state; keys that were taken out of the
// configuration since do not count.
func (u *Updates) installed(e trial.Entry, kept bool) (fleet.Manifest, fleet.File, error) {
	m, f, err := u.installedOpen(e, kept)
	if err != nil {
		return m, fleet.File{}, err
	}
	file, err := m.For(u.o.Self.OS, u.o.Self.Arch, u.o.Self.Cgo)
	return m, file, errors.Join(err, f.Close())
}

func (u *Updates) installedOpen(e trial.Entry, kept bool) (fleet.Manifest, *os.File, error) {
	data, err := u.o.Disk.ReadFile(u.manifest(e.Version))
	if err != nil {
		return fleet.Manifest{}, nil, fmt.Errorf("cannot use version %s: its manifest is away: %w: %w", e.Version, errGone, err)
	}
	var m fleet.Manifest
	if kept {
		m, err = fleet.PeekManifest(data)
	} else {
		m, err = fleet.OpenManifest(data, u.o.Keys, time.Time{})
	}
	if err != nil {
		return m, nil, fmt.Errorf("cannot use version %s: %w", e.Version, err)
	}
	file, err := m.For(u.o.Self.OS, u.o.Self.Arch, u.o.Self.Cgo)
	if err == nil && (m.Version != e.Version || file.SHA256 != e.SHA256) {
		err = fmt.Errorf("its manifest is another one")
	}
	if err != nil {
		return m, nil, fmt.Errorf("cannot use version %s: %w", e.Version, err)
	}
	f, err := openProgram(u.program(e.Version), file)
	return m, f, err
}

// untrusted tells that the keys of the configuration would not let a version
// come any more that is in use.
func (u *Updates) untrusted(e trial.Entry) error {
	data, err := u.o.Disk.ReadFile(u.manifest(e.Version))
	if err == nil {
		_, err = fleet.OpenManifest(data, u.o.Keys, time.Time{})
	}
	if err != nil {
		return fmt.Errorf("version %s goes on, it was kept before; the keys of the configuration would not let it come any more: %w", e.Version, err)
	}
	return nil
}

// errNotAsSigned is wrapped when a program is not the one that was signed.
var errNotAsSigned = errors.New("the program is not the one that was signed")

// errGone is wrapped when a program is not there or cannot be opened or read.
var errGone = errors.New("the file has vanished or is held; a virus scanner does that: look at its quarantine, and except the folder from it (docs/update.md)")

// reasonOf gives the reason of a verdict on a program that could not be used.
func reasonOf(err error) string {
	if errors.Is(err, errGone) {
		return trial.Gone
	}
	return trial.Unusable
}

// codeOfUse is reasonOf for a refusal.
func codeOfUse(err error) string {
	if errors.Is(err, errGone) {
		return trial.Gone
	}
	return "not_as_signed"
}

// Gone lists the versions whose programs were checked and are away now, or
// cannot be opened: those on trial, in use and behind it, and "base" for the
// package's where its file is known.
func (u *Updates) Gone() ([]string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _, err := u.file.Load()
	var list []string
	look := func(name, path string) {
		f, err := openShut(path)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			list = append(list, name)
		}
	}
	if b.Trial != nil {
		look(b.Trial.Version, u.program(b.Trial.Version))
	}
	for _, e := range []*trial.Entry{&b.Current, b.Previous} {
		if e != nil && !e.IsBase() {
			look(e.Version, u.program(e.Version))
		}
	}
	if u.o.BaseFile != "" {
		look("base", u.o.BaseFile)
	}
	return list, err
}

// openProgram opens a program and checks size and hash from the open file, and
// returns it standing at its beginning.
func openProgram(path string, want fleet.File) (_ *os.File, err error) {
	f, err := openShut(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the program: %w: %w", errGone, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != want.Size {
		return nil, fmt.Errorf("%w: %s has %d bytes, not %d", errNotAsSigned, path, info.Size(), want.Size)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, want.Size+1)); err != nil {
		return nil, fmt.Errorf("cannot read the program: %w: %w", errGone, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return nil, fmt.Errorf("%w: %s has another hash", errNotAsSigned, path)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return f, nil
}
