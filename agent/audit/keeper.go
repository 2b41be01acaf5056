package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"payagent/queue"
)

// Journal is what is audited: the log of orders and its cursors.
type Journal interface {
	After(seq queue.Seq, limit int) (entries []queue.Entry, first queue.Seq, err error)
	Last() queue.Seq
	queue.Cursors
}

// cursor is the name of the audit's place in the log. The files themselves say
// how far they go; the cursor says how far they once went, so that files that
// were cut off are noticed.
const cursor = "audit"

// batch is how many records are read at once.
const batch = 256

// Options say where and how the audit is kept.
type Options struct {
	Dir  string // of the files; made if it is missing
	Key  []byte // for the hashes, at least 16 bytes
	Keep int    // files kept, one for each day on which something happened
	// Anchor is told the end of each day's file once it is known: its last
	// line's number and hash; at a start that of the day before the newest
	// file, with fresh false. nil for nobody.
	Anchor func(day string, n uint64, hash string, fresh bool)
	// Broken is told once, when lines that had been written are found gone or
	// the log is found to be another one. nil for nobody.
	Broken func(code string)
}

// Keeper writes the files. One process has one of a folder.
type Keeper struct {
	o   Options
	log Journal
	chainer

	mu     sync.Mutex
	file   *os.File
	number int    // of the file
	day    string // of the file
	n      uint64 // of the last line
	prev   string // its hash
	seq    queue.Seq
	epoch  int
	set    queue.Seq // what the cursor says
	last   Line      // of a record
	bad    bool      // the end of the files is not known: not begun, or a write failed
}

// Open makes the keeper of a folder. The first CatchUp takes up the files where
// they end: a last line that was torn by a loss of power is cut off, and its
// record is described again.
func Open(log Journal, o Options) (*Keeper, error) {
	if len(o.Key) < 16 {
		return nil, errors.New("cannot keep an audit: its key is missing")
	}
	if o.Anchor == nil {
		o.Anchor = func(string, uint64, string, bool) {}
	}
	if o.Broken == nil {
		o.Broken = func(string) {}
	}
	return &Keeper{o: o, log: log, chainer: chainer{o.Key}, bad: true}, nil
}

// begin finds where the files end, at the start and after a write that failed.
func (k *Keeper) begin() error {
	if k.file != nil {
		_ = k.file.Close() // what it failed to write is looked at anew
		k.file = nil
	}
	if err := os.MkdirAll(k.o.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the audit's folder; check data_dir and its owner: %w", err)
	}
	if err := k.resume(); err != nil {
		return err
	}
	return k.compare()
}

// resume reads the end of the newest file.
func (k *Keeper) resume() error {
	k.number, k.day, k.n, k.prev, k.seq, k.epoch, k.last = 0, "", 0, k.genesis(), 0, 0, Line{}
	names, err := files(k.o.Dir)
	if err != nil {
		return err
	}
	for i := len(names) - 1; i >= 0; i-- {
		path := filepath.Join(k.o.Dir, names[i])
		f, err := os.OpenFile(path, os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("cannot open the audit; check the owner of %s: %w", k.o.Dir, err)
		}
		before := ""
		if i > 0 {
			_, before, _ = parseName(names[i-1])
		}
		whole, err := k.scan(f, before)
		if err == nil && whole > 0 {
			k.file = f
			k.number, k.day, _ = parseName(names[i])
			if k.last.Digest == "" && i > 0 {
				if err := k.lastOf(filepath.Join(k.o.Dir, names[i-1])); err != nil {
					return err
				}
			}
			if err = f.Truncate(whole); err == nil {
				_, err = f.Seek(whole, io.SeekStart)
			}
			if err != nil {
				return fmt.Errorf("cannot mend the end of %s; check the disk: %w", path, err)
			}
			return nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("cannot read %s; move it away and keep it, then start again: %w", path, err)
		}
		// Power was lost before the file had its first line.
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("cannot remove an empty audit file; check the owner of %s: %w", k.o.Dir, err)
		}
	}
	return nil
}

// scan notes where a file ends and how many of its bytes are whole lines. A
// line that cannot be read is left for verify to find. before is the day of the
// file before.
func (k *Keeper) scan(f *os.File, before string) (whole int64, err error) {
	err = lines(f, func(text []byte) error {
		whole += int64(len(text)) + 1
		l, _, stated, err := parse(text)
		if err != nil {
			return nil //nolint:nilerr // verify tells it
		}
		k.n, k.prev, k.epoch = l.N, stated, l.Epoch
		if l.Kind == KindDay && before != "" {
			k.o.Anchor(before, l.N-1, l.Prev, false)
		}
		if l.Seq > 0 {
			k.seq = queue.Seq(l.Seq)
		}
		if l.Digest != "" {
			k.last = l
		}
		return nil
	})
	return whole, err
}

// lastOf takes the last record from the file before, where the newest has none
// yet.
func (k *Keeper) lastOf(path string) error {
	return each(path, func(text []byte) error {
		if l, _, _, err := parse(text); err == nil && l.Digest != "" && l.Epoch == k.epoch {
			k.last = l
		}
		return nil
	})
}

// compare looks whether files and log still belong together.
func (k *Keeper) compare() error {
	set, err := k.log.Cursor(cursor)
	if err != nil {
		return fmt.Errorf("cannot read the audit's place in the log: %w", err)
	}
	k.set = set
	same, err := k.sameLog()
	switch {
	case err != nil:
		return err
	case !same:
		k.epoch++
		k.seq, k.set = 0, 0
		if err := k.add(Line{Kind: KindReplaced, At: k.last.At}); err != nil {
			return err
		}
		k.o.Broken("audit_log_replaced")
	case set > k.seq:
		if err := k.add(Line{Kind: KindLost, Seq: uint64(k.seq), At: k.last.At, Reason: fmt.Sprint(set)}); err != nil {
			return err
		}
		k.o.Broken("audit_lines_lost")
	}
	return nil
}

// sameLog tells whether the last record that was audited is still in its place.
func (k *Keeper) sameLog() (bool, error) {
	if k.last.Digest == "" {
		return true, nil
	}
	if queue.Seq(k.last.Seq) > k.log.Last() {
		return false, nil
	}
	list, first, err := k.log.After(queue.Seq(k.last.Seq)-1, 1)
	if err != nil {
		return false, fmt.Errorf("cannot compare audit and log: %w", err)
	}
	if first > queue.Seq(k.last.Seq) {
		return true, nil // pruned since
	}
	return len(list) == 1 && k.digest(list[0]) == k.last.Digest, nil
}

// CatchUp describes what was added to the log, and returns when it is on disk.
// After an error it may be called again: it takes up where the files end.
func (k *Keeper) CatchUp(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bad {
		if err := k.begin(); err != nil {
			return err
		}
	}
	k.bad = true
	err := k.catchUp(ctx)
	k.bad = err != nil && ctx.Err() == nil
	return err
}

func (k *Keeper) catchUp(ctx context.Context) error {
	for ctx.Err() == nil {
		list, first, err := k.log.After(k.seq, batch)
		if err != nil {
			return fmt.Errorf("cannot read the log for the audit: %w", err)
		}
		if len(list) == 0 {
			break
		}
		if first > k.seq+1 {
			if err := k.add(Line{Kind: KindPruned, Seq: uint64(first) - 1, At: describe(list[0]).At}); err != nil {
				return err
			}
		}
		for _, e := range list {
			l := describe(e)
			l.Digest = k.digest(e)
			if err := k.add(l); err != nil {
				return err
			}
			k.seq = e.Seq
		}
		if err := k.sync(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Mark makes the place durable in the log. It costs the log a commit, so it is
// done seldom; the files say the same.
func (k *Keeper) Mark() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seq == k.set {
		return nil
	}
	if err := k.log.SetCursor(cursor, k.seq); err != nil {
		return fmt.Errorf("cannot note the audit's place: %w", err)
	}
	k.set = k.seq
	return nil
}

// Head is the number and the hash of the last line.
func (k *Keeper) Head() (n uint64, hash string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n, k.prev
}

// Close closes the file.
func (k *Keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	err := errors.Join(k.file.Sync(), k.file.Close())
	k.file = nil
	return err
}

func (k *Keeper) sync() error {
	if err := k.file.Sync(); err != nil {
		return fmt.Errorf("cannot write the audit; check the disk: %w", err)
	}
	return nil
}

// slack is how far a record may be behind the file's day: records of one
// moment are stamped by several goroutines.
const slack = time.Hour

// add writes a line, into the next file when its day is another one.
func (k *Keeper) add(l Line) error {
	at, err := time.Parse(time.RFC3339, l.At)
	if err != nil {
		at = time.UnixMilli(0)
		l.At = at.In(zone()).Format(time.RFC3339)
	}
	day := DayOf(at)
	if k.file == nil || day != k.day && DayOf(at.Add(slack)) != k.day {
		if err := k.turn(day, l.At); err != nil {
			return err
		}
	}
	return k.put(l)
}

func (k *Keeper) put(l Line) error {
	l.N, l.Epoch = k.n+1, k.epoch
	text, hash, err := k.text(k.prev, l)
	if err != nil {
		return err
	}
	if _, err := k.file.Write(text); err != nil {
		return fmt.Errorf("cannot write the audit; check the disk: %w", err)
	}
	k.n, k.prev = l.N, hash
	if l.Digest != "" {
		k.last = l
	}
	return nil
}

// turn ends a file and begins the next.
func (k *Keeper) turn(day, at string) error {
	if k.file != nil {
		if err := k.sync(); err != nil {
			return err
		}
		if err := k.file.Close(); err != nil {
			return fmt.Errorf("cannot end the audit of a day; check the disk: %w", err)
		}
		k.file = nil
		k.o.Anchor(k.day, k.n, k.prev, true)
	}
	f, err := os.OpenFile(filepath.Join(k.o.Dir, fileName(k.number+1, day)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot begin the audit of a day; check the disk and the owner of %s: %w", k.o.Dir, err)
	}
	k.file, k.number, k.day = f, k.number+1, day
	if err := k.put(Line{Kind: KindDay, At: at, Seq: uint64(k.seq), Subject: day, Prev: k.prev}); err != nil {
		return err
	}
	if err := errors.Join(k.sync(), syncDir(k.o.Dir)); err != nil {
		return fmt.Errorf("cannot begin the audit of a day; check the disk: %w", err)
	}
	return k.prune()
}

// prune removes the oldest files. It counts files and looks at no clock: one
// that jumped ahead must not make the agent forget.
func (k *Keeper) prune() error {
	names, err := files(k.o.Dir)
	if err != nil || k.o.Keep <= 0 {
		return err
	}
	for _, name := range names[:max(0, len(names)-k.o.Keep)] {
		if err := os.Remove(filepath.Join(k.o.Dir, name)); err != nil {
			return fmt.Errorf("cannot remove an old audit file; check the owner of %s: %w", k.o.Dir, err)
		}
	}
	return nil
}

// files lists the audit files of a folder, oldest first.
func files(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list the audit; check the owner of %s: %w", dir, err)
	}
	var names []string
	for _, e := range list {
		if _, _, ok := parseName(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(x, y string) int {
		a, _, _ := parseName(x)
		b, _, _ := parseName(y)
		if a != b {
			return a - b
		}
		return strings.Compare(x, y)
	})
	return names, nil
}

// lines gives a file's whole lines, without their line feeds. What stands
// behind the last line feed is passed over.
func lines(r io.Reader, yield func(text []byte) error) error {
	var rest []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		rest = append(rest, buf[:n]...)
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			if err := yield(rest[:i]); err != nil {
				return err
			}
			rest = rest[i+1:]
		}
		if len(rest) > 1<<20 {
			return errLine
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
