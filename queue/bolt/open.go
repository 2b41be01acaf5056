package bolt

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"payagent/queue"

	bbolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Names of the files in a store's directory.
const (
	dbName      = "orders.db"
	slotName    = "intents.bin"
	lockName    = "store.lock"
	suspectName = dbName + ".suspect"
)

// ErrInUse is wrapped when somebody else has the store open.
var ErrInUse = errors.New("another agent is running on this store; stop it first")

// ErrRestart is wrapped when this process can no longer open the store but a
// new one can: end the process once.
var ErrRestart = errors.New("the store can only be opened by a new process; end this one and start it again")

// Options say how to open a store. Only Writer must be set.
type Options struct {
	// Writer is the format version of this program (1, 2, …). A file that
	// names a higher one as its oldest writer is refused with queue.ErrNewer.
	Writer uint32
	// Oldest is the oldest version that may write a file created now; 0 means 1.
	Oldest uint32
	// Budget is the most bytes that orders.db may have (its last wall: a write
	// beyond it stops the log); 0 means 1 GiB.
	Budget int64
	// CheckBytes bounds how many bytes of records, newest first, are checked
	// whole at Open; 0 means 64 MiB. Everything else is always checked.
	CheckBytes int64
	// CompactOver is the size in bytes from which on a file that is three
	// quarters free is compacted at Open; 0 means 8 MiB.
	CompactOver int64
	// FS is a seam for tests; nil means OS{}.
	FS FS
	// Logger gets what a maintainer wants to know; nil means none.
	Logger *slog.Logger
	// Now gives the time for the names of damaged files; nil means time.Now.
	Now func() time.Time
}

// Report says what Open found.
type Report struct {
	// Created: the directory held no store.
	Created bool
	// Damaged: the log was lost, Cause says how; it starts anew and empty.
	// Every order that was open is in Slots.
	Damaged bool
	// Fallback: the newest transaction may be lost; the rest is whole.
	Fallback bool
	// SlotsRewritten: the slot file was missing, bad or behind, and was
	// written anew from the log (after Damaged: from what was left of it).
	SlotsRewritten bool
	// SlotsLost counts slots that could not be read while they were needed
	// (Damaged or Fallback). Above 0, orders may exist that are not in Slots:
	// compare with the platforms' statements. -1: the whole file was lost.
	SlotsLost int
	// Compacted: the log file was made smaller.
	Compacted bool
	// Cause says in words what was wrong.
	Cause string
	// SetAside has the names, in the store's directory, of files set aside.
	SetAside []string
	// Slots are in doubt: they survived a log that was lost, and have been
	// neither set nor freed since, across restarts.
	Slots []queue.Slot
}

type opener struct {
	dir    string
	opts   Options
	fs     FS
	log    *slog.Logger
	report Report
}

func (o *opener) path(name string) string { return filepath.Join(o.dir, name) }

// Open opens or creates the store in dir. It returns an error only when there
// is no store afterwards: damage is in the report. Errors wrap ErrInUse,
// ErrRestart, queue.ErrNewer or the machine's error.
func Open(dir string, opts Options) (*Log, Report, error) {
	o := &opener{dir: dir, opts: opts, fs: opts.FS, log: opts.Logger}
	if o.fs == nil {
		o.fs = OS{}
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.opts.Now == nil {
		o.opts.Now = time.Now
	}
	if o.opts.Budget <= 0 {
		o.opts.Budget = 1 << 30
	}
	if o.opts.CheckBytes <= 0 {
		o.opts.CheckBytes = 64 << 20
	}
	if o.opts.CompactOver <= 0 {
		o.opts.CompactOver = 8 << 20
	}
	o.opts.Oldest = max(o.opts.Oldest, 1)
	if opts.Writer < o.opts.Oldest {
		return nil, Report{}, fmt.Errorf("cannot open the store: writer version %d is below oldest version %d; set Options.Writer", opts.Writer, o.opts.Oldest)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Report{}, fmt.Errorf("cannot make the store's directory; check its rights: %w", err)
	}
	lock, err := o.lock()
	if err != nil {
		return nil, Report{}, err
	}
	l, err := o.open()
	if errors.Is(err, ErrRestart) {
		// The file passed the check and failed all the same; it now carries
		// the marker. Where files in use can be renamed, no restart is needed.
		o.log.Error("the store failed while it was opened", "error", err)
		l, err = o.open()
	}
	if err != nil {
		if errors.Is(err, berrors.ErrTimeout) {
			err = errors.Join(err, ErrInUse)
		}
		return nil, o.report, errors.Join(fmt.Errorf("cannot open the store in %s: %w", dir, err), lock.Close())
	}
	l.lock = lock
	go l.run()
	return l, o.report, nil
}

// lock waits up to a second for a program that is just ending.
func (o *opener) lock() (*os.File, error) {
	f, err := o.fs.OpenDB(o.path(lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the store; check the directory's rights: %w", err)
	}
	for try := 0; ; try++ {
		ok, err := lockFile(f)
		if ok {
			return f, nil
		}
		if err != nil || try == 20 {
			if err == nil {
				err = ErrInUse
			}
			return nil, errors.Join(fmt.Errorf("cannot lock the store: %w", err), f.Close())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (o *opener) open() (*Log, error) {
	for _, name := range []string{dbName + ".new", dbName + ".compact", slotName + ".new"} {
		if err := removeIfThere(o.fs, o.path(name)); err != nil {
			return nil, err
		}
	}
	scan, err := readSlots(o.fs, o.path(slotName))
	if err != nil {
		return nil, err
	}
	o.report = Report{SetAside: o.report.SetAside}
	if scan != nil && scan.newer {
		return nil, queue.ErrNewer
	}
	info, err := o.check(scan)
	switch {
	case err == nil:
	case errors.Is(err, queue.ErrDamaged):
		if info, err = o.renew(scan, err); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	if info.size > o.opts.CompactOver && info.live < info.size/4 && !info.fallback {
		if err := o.compact(); err != nil {
			o.log.Warn("the store could not be compacted and stays as it is", "error", err)
		}
	}
	db, err := o.openBolt()
	if err != nil {
		return nil, err
	}
	l, err := o.finish(db, info, scan)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

// check decides whether the log file can be trusted. A missing file beside no
// slots is created. The error wraps queue.ErrDamaged if a new one is needed.
func (o *opener) check(scan *slotScan) (checked, error) {
	whole := o.opts.CheckBytes
	suspect, err := o.suspect()
	if err != nil {
		return checked{}, err
	}
	n, err := size(o.fs, o.path(dbName))
	switch {
	case err != nil:
		return checked{}, err
	case n < 0 && scan == nil && suspect == "":
		o.report.Created = true
		var gen [16]byte
		rand.Read(gen[:])
		if err := o.create(gen, nil); err != nil {
			return checked{}, err
		}
	case n < 0:
		return checked{}, damaged("%s is missing", dbName)
	case n == 0:
		return checked{}, damaged("%s is empty", dbName)
	case suspect == suspectOpen:
		return checked{}, damaged("%s ended the program while it was opened", dbName)
	case suspect != "":
		whole = 1 << 62
	}
	f, err := o.fs.Open(o.path(dbName), os.O_RDONLY, 0)
	if err != nil {
		return checked{}, err
	}
	defer f.Close()
	info, err := checkFile(f, o.opts.Writer, whole)
	if err != nil {
		return checked{}, err
	}
	if scan != nil && scan.header && scan.gen != info.format.generation {
		return checked{}, damaged("%s belongs to another %s", dbName, slotName)
	}
	if info.fallback {
		o.report.Fallback = true
		o.report.Cause = "one of the two meta pages of " + dbName + " was bad"
		o.countLost(scan)
	}
	return info, nil
}

func (o *opener) countLost(scan *slotScan) {
	if scan == nil || !scan.header && len(scan.used) == 0 {
		o.report.SlotsLost = -1
		return
	}
	o.report.SlotsLost = scan.lost
}

// renew sets a damaged log aside and makes a new one that holds the slots.
func (o *opener) renew(scan *slotScan, cause error) (checked, error) {
	o.log.Error("the store is damaged and starts anew", "error", cause)
	o.report.Damaged, o.report.Cause = true, cause.Error()
	o.countLost(scan)
	if n, err := size(o.fs, o.path(dbName)); err != nil || n >= 0 {
		if err := o.setAside(dbName); err != nil {
			return checked{}, errors.Join(cause, err)
		}
	}
	if err := removeIfThere(o.fs, o.path(suspectName)); err != nil {
		return checked{}, errors.Join(cause, err)
	}
	var gen [16]byte
	rand.Read(gen[:])
	slots := map[string][]byte{}
	if scan != nil {
		if scan.header {
			gen = scan.gen
		}
		for k, p := range scan.used {
			slots[k] = p.data
		}
	}
	if err := o.create(gen, slots); err != nil {
		return checked{}, errors.Join(cause, err)
	}
	return checked{format: format{generation: gen}}, nil
}

// setAside renames a file so that a person can look at it later.
func (o *opener) setAside(name string) error {
	stamp := o.opts.Now().UTC().Format("20060102T150405Z")
	to := name + ".damaged-" + stamp
	for i := 2; ; i++ {
		n, err := size(o.fs, o.path(to))
		if err != nil {
			return err
		}
		if n < 0 {
			break
		}
		to = fmt.Sprintf("%s.damaged-%s-%d", name, stamp, i)
	}
	if err := replace(o.fs, o.path(name), o.path(to)); err != nil {
		return fmt.Errorf("cannot set the damaged %s aside; move it by hand: %w", name, err)
	}
	o.report.SetAside = append(o.report.SetAside, to)
	return nil
}

// What orders.db.suspect says.
const (
	suspectOpen = "open" // bbolt failed on the file: set it aside
	suspectRead = "read" // a record failed its checksum: check every byte
)

func (o *opener) suspect() (string, error) {
	f, err := o.fs.Open(o.path(suspectName), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	b := make([]byte, 4)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		n = 0
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	if string(b[:n]) == suspectOpen {
		return suspectOpen, nil
	}
	return suspectRead, nil
}

// leaveSuspect writes the marker. Its failure is joined to a worse error, so
// that it is seen; without the marker the next Open merely checks less.
func leaveSuspect(fsys FS, dir, why string) error {
	f, err := fsys.Open(filepath.Join(dir, suspectName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(writeFull(f, []byte(why), 0), f.Sync(), f.Close(), fsys.SyncDir(dir))
}

// openBolt opens the checked file. Should bbolt panic all the same, its lock
// is lost to this process: the file is set aside by the next start.
func (o *opener) openBolt() (*bbolt.DB, error) {
	db, err := openBolt(o.fs, o.path(dbName), o.opts.Budget)
	var p panicked
	if errors.As(err, &p) {
		err = errors.Join(err, ErrRestart, leaveSuspect(o.fs, o.dir, suspectOpen))
	}
	return db, err
}

func openBolt(fsys FS, path string, budget int64) (db *bbolt.DB, err error) {
	err = guard(func() error {
		var err error
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:        time.Second,
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
			MaxSize:        int(min(budget, int64(^uint(0)>>1))),
			OpenFile:       fsys.OpenDB,
		})
		return err
	})
	return db, err
}

// finish reads what the log keeps in memory, brings the slot file into line
// and reads the open streams once.
func (o *opener) finish(db *bbolt.DB, info checked, scan *slotScan) (*Log, error) {
	l := newLog(o, db)
	err := guard(func() error {
		if info.fallback {
			if err := o.adoptSlots(l, scan); err != nil {
				return err
			}
		}
		return l.load()
	})
	if err != nil {
		return nil, err
	}
	if err := o.alignSlots(l, scan); err != nil {
		return nil, err
	}
	if l.slots, err = openSlots(o.fs, o.path(slotName)); err != nil {
		return nil, err
	}
	o.report.Slots = l.doubted
	if err := l.readOpen(); err != nil {
		return nil, errors.Join(err, ErrRestart, leaveSuspect(o.fs, o.dir, suspectOpen), l.slots.abandon())
	}
	if err := removeIfThere(o.fs, o.path(suspectName)); err != nil {
		return nil, errors.Join(err, l.slots.abandon())
	}
	return l, nil
}

// adoptSlots takes slots that the log does not agree with into it, in doubt,
// when the log's newest transaction may be lost.
func (o *opener) adoptSlots(l *Log, scan *slotScan) error {
	if scan == nil {
		return nil
	}
	return l.db.Update(func(tx *bbolt.Tx) error {
		t, err := newTxn(tx)
		if err != nil {
			return err
		}
		for k, p := range scan.used {
			if v := t.b[bSlots].Get([]byte(k)); v != nil {
				if _, data, err := decodeSlot([]byte(k), v); err == nil && string(data) == string(p.data) {
					continue
				}
			}
			if err := t.put(bSlots, []byte(k), encodeSlot([]byte(k), true, p.data)); err != nil {
				return err
			}
		}
		return t.end()
	})
}

// alignSlots writes the slot file anew unless it says exactly what the log says.
func (o *opener) alignSlots(l *Log, scan *slotScan) error {
	same := scan != nil && scan.header && scan.bad == 0 && scan.gen == l.generation && len(scan.used) == len(l.slotData)
	for k, d := range l.slotData {
		if !same {
			break
		}
		p, ok := scan.used[k]
		same = ok && string(p.data) == string(d)
	}
	if same {
		return nil
	}
	if scan != nil && !scan.header {
		if err := o.setAside(slotName); err != nil {
			return err
		}
	}
	o.report.SlotsRewritten = !o.report.Created
	if err := createSlots(o.fs, o.path(slotName), l.generation, l.slotData); err != nil {
		return fmt.Errorf("cannot write %s; free some disk space: %w", slotName, err)
	}
	return nil
}
