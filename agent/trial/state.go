// Package trial is how something new takes the place of something that works,
// on a machine that may lose its power at any moment: it is tried, proves
// itself for a while, and is kept or given up. Programs (agent/update) and
// configurations (agent/desired) are exchanged by the same steps.
//
// There is always something that works: the base, which came with the package
// or was written by IT and is never touched here; the version in use; and the
// one before it. What they are is one small file. A trial is counted in that
// file before it starts; after three starts without proof the version in use
// is started instead. So a crash, a hang that a watchdog ends, and a cut of the
// power all lead back by themselves.
package trial

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Entry is one version of what is exchanged. The zero Entry is the base.
type Entry struct {
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
	// Base names the base beside which the entry was taken; a base that came
	// later may win over it.
	Base string `json:"base,omitempty"`
	// Pinned: somebody on site chose it although it is older.
	Pinned bool `json:"pinned,omitempty"`
}

// IsBase tells whether the entry is the base.
func (e Entry) IsBase() bool { return e.Version == "" }

// Trial is an entry that must prove itself.
type Trial struct {
	Entry
	Starts int       `json:"starts"` // begun so far
	Before Health    `json:"before"` // what worked before it
	Since  time.Time `json:"since"`
	// Mark is the owner's, e.g. the store's format before.
	Mark string `json:"mark,omitempty"`
}

// Verdict is how the last trial ended.
type Verdict struct {
	Version string    `json:"version"`
	Good    bool      `json:"good"`
	Reason  string    `json:"reason,omitempty"`  // a code; see the constants
	Missing []string  `json:"missing,omitempty"` // what did not work, see Health.Missing
	At      time.Time `json:"at"`
}

// The reasons of verdicts that are not good.
const (
	NotProven   = "not_proven"    // ran, and something that worked before did not
	NotStarted  = "not_started"   // three starts without proof: it crashed, hung, or the power was cut
	Unusable    = "unusable"      // not as it was signed, or cannot be started
	Gone        = "program_gone"  // vanished or cannot be opened after it was checked: a virus scanner took it
	Superseded  = "superseded"    // the base is newer, or IT changed it
	TakenBack   = "taken_back"    // somebody ordered to go back
	StartFailed = "start_failed"  // ended with an error before it had proven itself
	WrongItself = "wrong_version" // says that it is another version than was signed
)

// MaxStarts is how often something is started that has not proven itself.
const MaxStarts = 3

// State is what is in use, what was before it, and what is tried. It is a
// value; a [Book] keeps it on disk.
type State struct {
	Current  Entry    `json:"current"`
	Previous *Entry   `json:"previous,omitempty"` // the good one before Current
	Trial    *Trial   `json:"trial,omitempty"`
	Last     *Verdict `json:"last,omitempty"`
}

// Begin puts e on trial.
func (s *State) Begin(e Entry, before Health, mark string, now time.Time) error {
	if s.Trial != nil {
		return fmt.Errorf("cannot begin: version %s is still on trial; wait until it has proven itself", s.Trial.Version)
	}
	s.Trial = &Trial{Entry: e, Before: before, Since: now, Mark: mark}
	return nil
}

// Start says what to start now, and counts it where it is a trial. The state
// must be durable before what it says is done.
func (s *State) Start(now time.Time) (e Entry, onTrial bool) {
	if s.Trial == nil {
		return s.Current, false
	}
	if s.Trial.Starts >= MaxStarts {
		s.Fail(NotStarted, nil, now)
		return s.Current, false
	}
	s.Trial.Starts++
	return s.Trial.Entry, true
}

// Commit keeps what was tried.
func (s *State) Commit(now time.Time) {
	if s.Trial == nil {
		return
	}
	old := s.Current
	s.Last = &Verdict{Version: s.Trial.Version, Good: true, At: now}
	s.Current, s.Previous, s.Trial = s.Trial.Entry, &old, nil
}

// Fail gives up what was tried.
func (s *State) Fail(reason string, missing []string, now time.Time) {
	if s.Trial == nil {
		return
	}
	s.Last = &Verdict{Version: s.Trial.Version, Reason: reason, Missing: missing, At: now}
	s.Trial = nil
}

// Back goes to what was before; what was in use becomes what was before.
func (s *State) Back(now time.Time) error {
	switch {
	case s.Trial != nil:
		s.Fail(TakenBack, nil, now)
		return nil
	case s.Previous == nil:
		return errors.New("cannot go back: there is nothing before the version in use")
	}
	old := s.Current
	s.Last = &Verdict{Version: old.Version, Reason: TakenBack, At: now}
	s.Current, s.Previous = *s.Previous, &old
	return nil
}

// Drop gives up the version in use for what stands behind it: the previous one
// if that is another than the base, else the base.
func (s *State) Drop(reason string, now time.Time) {
	s.Last = &Verdict{Version: s.Current.Version, Reason: reason, At: now}
	next := Entry{}
	if s.Previous != nil {
		next = *s.Previous
	}
	s.Current, s.Previous = next, nil
}

// ToBase gives up the version in use, and what was before it, for the base.
func (s *State) ToBase(reason string, now time.Time) {
	s.Last = &Verdict{Version: s.Current.Version, Reason: reason, At: now}
	s.Current, s.Previous = Entry{}, nil
}

// Uses tells whether a version is needed still.
func (s State) Uses(version string) bool {
	return s.Current.Version == version || s.Previous != nil && s.Previous.Version == version || s.Trial != nil && s.Trial.Version == version
}

// Health is what works on a box. The keys of the tables are what is configured.
type Health struct {
	Store     bool            `json:"store"`
	Door      bool            `json:"door"`
	Broker    bool            `json:"broker"`
	Platforms map[string]bool `json:"platforms,omitempty"`
	Scanners  map[string]bool `json:"scanners,omitempty"`
}

// Missing lists what a trial has not shown: store and door always, and
// everything else that worked before and is still configured. Whoever begins a
// trial that is not about the broker leaves that out of before: a failure to
// report never leads back.
func (h Health) Missing(before Health) []string {
	var list []string
	if !h.Store {
		list = append(list, "store")
	}
	if !h.Door {
		list = append(list, "door")
	}
	if before.Broker && !h.Broker {
		list = append(list, "broker")
	}
	for _, t := range []struct {
		word          string
		now, formerly map[string]bool
	}{{"platform", h.Platforms, before.Platforms}, {"scanner", h.Scanners, before.Scanners}} {
		n := len(list)
		for name, worked := range t.formerly {
			if works, configured := t.now[name]; worked && configured && !works {
				list = append(list, t.word+":"+name)
			}
		}
		slices.Sort(list[n:])
	}
	return list
}

// Book keeps a value with a State in it in one file.
type Book[T any] struct {
	Disk Disk
	Path string
}

// Load reads the file. One that is not there is the zero value; one that cannot
// be read is moved aside, told by damaged, and the zero value too: the base
// works without it.
func (b Book[T]) Load() (v T, damaged bool, err error) {
	data, err := b.Disk.ReadFile(b.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return v, false, nil
	}
	if err != nil {
		return v, false, fmt.Errorf("cannot read %s; check its owner and the disk: %w", b.Path, err)
	}
	if err := json.Unmarshal(data, &v); err == nil {
		return v, false, nil
	}
	var none T
	return none, true, b.Disk.Rename(b.Path, b.Path+".damaged")
}

// Save makes v durable.
func (b Book[T]) Save(v T) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return b.Disk.WriteFile(b.Path, append(data, '\n'))
}

// Or gives e's version, or a word for the base.
func (e Entry) Or(base string) string { return cmp.Or(e.Version, base) }
