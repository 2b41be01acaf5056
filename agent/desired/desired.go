// Package desired brings a box the configuration that the fleet desires for it:
// signed, checked as strictly as a file that IT writes, tried for a while
// (package trial), and kept or given up.
//
// The file that --config names belongs to IT and is never written. What the
// fleet desires lies beside the data, under data_dir/config, and each start
// chooses: the fleet's configuration while IT's file is as it was when the
// fleet's was taken; IT's file as soon as IT changed it. What only the box can
// know (data_dir, its name, its certificate) always comes from IT's file.
package desired

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
)

// Options say where configurations are.
type Options struct {
	File string     // what --config names
	Disk trial.Disk // nil for the real one
	// Clock says what is known of the time; where it is remembered is found
	// out here. The zero value goes by the machine's clock and what the fleet
	// signed.
	Clock clock.Options
	// Drivers says what of a configuration the drivers of this program do not
	// understand. Nothing is opened or called; nil where nobody asks them.
	Drivers func(config.Config) error
}

// Terms are how documents are judged, once the configuration in effect is
// known.
type Terms struct {
	Keys  []signed.Key
	Place fleet.Place
	// Check finds what package config cannot: what drivers say of their
	// settings, and what open orders need. Nothing is opened or called.
	Check func(config.Config) error
}

// book is what state.json holds.
type book struct {
	trial.State
	Local    string    `json:"local,omitempty"` // the hash of IT's file that is known
	Highest  uint64    `json:"highest,omitempty"`
	Document *document `json:"document,omitempty"`
	Aside    *aside    `json:"aside,omitempty"`
}

// document is what is known of the newest one that was taken.
type document struct {
	Version uint64    `json:"version"`
	SHA256  string    `json:"sha256"`
	State   string    `json:"state"` // of fleet.ReportedConfig
	Since   time.Time `json:"since"`
	Keeps   []string  `json:"keeps,omitempty"`
	Missing []string  `json:"missing,omitempty"`
}

// Files are the configurations of a box. Its methods may be called from any
// goroutine. Only the process that serves writes the state.
type Files struct {
	o     Options
	dir   string
	clock *clock.Keeper
	file  trial.Book[book]

	mu      sync.Mutex
	terms   Terms
	now     Effective // what this process runs with
	refused *fleet.ReportedConfig
	changed chan struct{}
}

// Effective is the configuration that counts.
type Effective struct {
	Config  config.Config
	Version string // of the document, or fleet.ConfigLocal
	SHA256  string // of the text
	Text    []byte
	Trial   *trial.Trial // it must prove itself
}

// Open reads IT's file as far as it must: only where the data are.
func Open(o Options) (*Files, error) {
	if o.Disk == nil {
		o.Disk = trial.OS{}
	}
	d := &Files{o: o, changed: make(chan struct{})}
	data, err := d.local()
	if err != nil {
		return nil, err
	}
	g, err := config.Peek(data)
	if err != nil {
		// IT's file cannot be read at all: say it as config says it.
		if _, perr := config.Parse(o.File, data); perr != nil {
			err = perr
		}
		return nil, err
	}
	d.dir = filepath.Join(g.DataDir, "config")
	o.Clock.Dir, o.Clock.Disk = g.DataDir, o.Disk
	d.clock = clock.Open(o.Clock)
	d.file = trial.Book[book]{Disk: o.Disk, Path: filepath.Join(d.dir, "state.json")}
	return d, nil
}

// Clock is the time as it is known here.
func (d *Files) Clock() *clock.Keeper { return d.clock }

// Dir is where the fleet's configurations lie.
func (d *Files) Dir() string { return d.dir }

func (d *Files) local() ([]byte, error) { return config.Read(d.o.File) }

func (d *Files) text(version string) string {
	return filepath.Join(d.dir, version+".yaml")
}

func (d *Files) envelope() string { return filepath.Join(d.dir, "desired.json") }

// acceptedFile holds the hash of IT's file that IT accepted; see Accept.
func acceptedFile(dir string) string { return filepath.Join(dir, "accepted") }

// edited tells whether IT changed the file since it was last known.
func (d *Files) edited(b book, local []byte) bool {
	hash := fleet.HashText(local)
	if b.Local == "" || b.Local == hash {
		return false
	}
	accepted, err := d.o.Disk.ReadFile(acceptedFile(d.dir))
	return err != nil || string(accepted) != hash
}

// Accept is IT's word that its file as it stands is meant: documents of the
// fleet are taken again. It may run beside the service.
func (d *Files) Accept() (hash string, err error) {
	local, err := d.local()
	if err != nil {
		return "", err
	}
	hash = fleet.HashText(local)
	return hash, errors.Join(d.o.Disk.MkdirAll(d.dir), d.o.Disk.WriteFile(acceptedFile(d.dir), []byte(hash)))
}

// Look gives what counts now, for commands beside the service. Nothing is
// written, and nothing is on trial here. Whoever may not read the data gets
// IT's file.
func (d *Files) Look() (Effective, error) {
	local, err := d.local()
	if err != nil {
		return Effective{}, err
	}
	b, _, err := d.load()
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return Effective{}, err
	}
	if err == nil && !d.edited(b, local) {
		for _, x := range []*trial.Entry{&b.Current, b.Previous} { // as Start would choose
			if x == nil || x.IsBase() {
				break
			}
			if e, err := d.open(*x, local); err == nil {
				return e, nil
			}
		}
	}
	return d.open(trial.Entry{}, local)
}

// Keys are those that may sign now, without understanding the rest of what
// counts: it may be written for a newer program than this one.
func (d *Files) Keys() ([]config.FleetKey, error) {
	local, err := d.local()
	if err != nil {
		return nil, err
	}
	own, err := config.Peek(local)
	if err != nil {
		return nil, err
	}
	if b, _, err := d.load(); err == nil && !d.edited(b, local) {
		counts := b.Current
		if b.Aside != nil { // the program that is to come may be its
			counts = b.Aside.Entry
		}
		if text, err := d.o.Disk.ReadFile(d.text(counts.Version)); err == nil && !counts.IsBase() && fleet.HashText(text) == counts.SHA256 {
			g, err := config.Peek(text)
			if err != nil || g.Broker != "" {
				return g.Keys, err
			}
		}
	}
	return own.Keys, nil
}

// DataDir is where the data are.
func (d *Files) DataDir() string { return filepath.Dir(d.dir) }

// load is the book without moving a damaged one.
func (d *Files) load() (b book, damaged bool, err error) {
	data, err := d.o.Disk.ReadFile(d.file.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, false, nil
	}
	if err != nil {
		return b, false, err
	}
	if json.Unmarshal(data, &b) != nil {
		return book{}, true, nil
	}
	return b, false, nil
}

// open reads one configuration: IT's file for the base.
func (d *Files) open(e trial.Entry, local []byte) (Effective, error) {
	if e.IsBase() {
		c, err := config.Parse(d.o.File, local)
		if err == nil {
			err = c.Validate()
		}
		return Effective{Config: c, Version: fleet.ConfigLocal, SHA256: fleet.HashText(local), Text: local}, err
	}
	text, err := d.o.Disk.ReadFile(d.text(e.Version))
	if err != nil {
		return Effective{}, fmt.Errorf("cannot use configuration %s: %w", e.Version, err)
	}
	if fleet.HashText(text) != e.SHA256 {
		return Effective{}, fmt.Errorf("cannot use configuration %s: it is not as it was signed", e.Version)
	}
	c, _, err := d.parse(d.text(e.Version), text, local)
	if err != nil {
		err = fmt.Errorf("cannot use configuration %s: %w: %w", e.Version, errForeign, err)
	}
	return Effective{Config: c, Version: e.Version, SHA256: e.SHA256, Text: text}, err
}

// parse reads a configuration of the fleet as it would be here.
func (d *Files) parse(name string, text, local []byte) (config.Config, []string, error) {
	own, err := config.Parse(d.o.File, local)
	if err != nil {
		return config.Config{}, nil, err
	}
	c, err := config.Parse(name, text)
	if err != nil {
		return config.Config{}, nil, err
	}
	c, kept := c.At(own)
	if err := c.Validate(); err != nil || d.o.Drivers == nil {
		return c, kept, err
	}
	return c, kept, d.o.Drivers(c)
}

// Start chooses the configuration of this process. A trial is counted on disk
// before it is returned. Whatever is wrong with the fleet's configurations
// ends with one that works, at last IT's file: notes are for the log; an error
// means that IT's file itself cannot be used.
func (d *Files) Start() (e Effective, notes []error, err error) { return d.start(false) }

// StartOnTrial is Start for a program that must prove itself still. Where it
// cannot use what the fleet's configuration says, that is an error, and nothing
// is given up: the program before it can.
func (d *Files) StartOnTrial() (e Effective, notes []error, err error) { return d.start(true) }

func (d *Files) start(onProof bool) (e Effective, notes []error, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	local, err := d.local()
	if err != nil {
		return Effective{}, nil, err
	}
	b, damaged, err := d.file.Load()
	if err != nil {
		return Effective{}, nil, err
	}
	if damaged {
		notes = append(notes, errors.New("the state of the configurations was damaged and set aside; the file on the box counts"))
	}
	before, now := written(b), d.clock.Now()
	if d.edited(b, local) {
		b.giveUpAside(trial.Superseded, now)
		b.Fail(trial.Superseded, nil, now)
		b.settle(now)
		if !b.Current.IsBase() {
			old := b.Current
			b.Current, b.Previous = trial.Entry{}, &old
			notes = append(notes, fmt.Errorf("%s was changed on this box: it counts, and not configuration %s of the fleet", d.o.File, old.Version))
		}
	} else if hash := fleet.HashText(local); b.Local != hash && (b.Local != "" || fleetOn(local)) {
		b.Local = hash
	}
	if note := d.bring(&b, local, now); note != nil {
		notes = append(notes, note)
	}
	for {
		chosen, onTrial := b.Start(now)
		b.settle(now)
		e, err = d.open(chosen, local)
		if err != nil && !chosen.IsBase() && onProof {
			return Effective{}, notes, fmt.Errorf("cannot start this program, which must prove itself, with the configuration in effect: %w", err)
		}
		if err != nil && !chosen.IsBase() {
			notes = append(notes, err)
			switch {
			case onTrial:
				b.Fail(trial.Unusable, nil, now)
			case errors.Is(err, errForeign):
				b.putAside(now)
			default:
				b.Drop(trial.Unusable, now)
			}
			b.settle(now)
			continue
		}
		if onTrial {
			t := *b.Trial
			e.Trial = &t
		}
		if written(b) != before {
			serr := errors.Join(d.o.Disk.MkdirAll(d.dir), d.file.Save(b))
			if serr != nil {
				notes = append(notes, serr)
			}
			if serr != nil && onTrial { // a trial that is not counted could go on for ever
				b.Fail(trial.Unusable, nil, now)
				b.settle(now)
				before = written(b)
				continue
			}
		}
		d.now = e
		return e, notes, err
	}
}

func fleetOn(local []byte) bool {
	c, err := config.Parse("", local)
	return err == nil && c.Fleet.On()
}

// settle says of the document what became of its trial.
func (b *book) settle(now time.Time) {
	doc, last := b.Document, b.Last
	if doc == nil || last == nil || doc.State != fleet.ConfigTrial || b.Trial != nil || last.Version != strconv.FormatUint(doc.Version, 10) {
		return
	}
	doc.State, doc.Missing, doc.Since = fleet.ConfigRolledBack, last.Missing, now
	if last.Good {
		doc.State = fleet.ConfigCommitted
	} else if len(doc.Missing) == 0 {
		doc.Missing = []string{last.Reason}
	}
}

// written is b as it would be on disk.
func written(b book) string {
	data, _ := json.Marshal(b) // its types always encode
	return string(data)
}

// Serve says how documents are judged from now on.
func (d *Files) Serve(t Terms) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.terms = t
}

// Tidy removes the texts that nobody needs any more.
func (d *Files) Tidy() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, _, err := d.file.Load()
	if err != nil {
		return err
	}
	list, err := os.ReadDir(d.dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var errs []error
	for _, f := range list {
		version, ok := cutYAML(f.Name())
		if ok && !b.uses(version) {
			errs = append(errs, d.o.Disk.RemoveAll(d.text(version)))
		}
	}
	return errors.Join(errs...)
}

func cutYAML(name string) (version string, ok bool) {
	version, ok = name[:max(0, len(name)-len(".yaml"))], filepath.Ext(name) == ".yaml"
	if _, err := strconv.ParseUint(version, 10, 64); err != nil {
		return "", false
	}
	return version, ok
}
