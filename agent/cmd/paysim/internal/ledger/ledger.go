// Package ledger keeps the truth of the pretend world in a file: one JSON
// object per line, appended and never changed, each with a checksum.
//
// A line is {"sum":"<CRC-32 of rec, hex>","rec":{…}}, and rec holds either a
// session (a process that began to serve the world) or a bank entry. What was
// not synced when the power went may leave a damaged tail: it is moved to a
// file beside the ledger, reported and cut. Damage anywhere before good lines
// is no tail: then Open refuses, because cutting would lose truth.
//
// The first failed write or sync ends the file's life: from then on every call
// gives that error, and only opening it again finds out what is on the disk.
package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"payagent/platforms/bank"
)

// Session is the beginning of a process that serves the world: at wall time
// Wall the world's clock stood at At and went on Scale times as fast.
type Session struct {
	Wall  time.Time     `json:"wall"`
	At    time.Duration `json:"at_ns"`
	Scale float64       `json:"scale"`
}

// Content is what a ledger holds.
type Content struct {
	Sessions []Session
	Entries  []bank.Entry
	// Cut is how many bytes of a damaged tail were found, zero for none.
	Cut int
}

type record struct {
	Session *Session    `json:"session,omitempty"`
	Entry   *bank.Entry `json:"entry,omitempty"`
}

type line struct {
	Sum string          `json:"sum"`
	Rec json.RawMessage `json:"rec"`
}

// ErrDamaged is wrapped when damage lies before good lines.
var ErrDamaged = errors.New("the ledger is damaged before its tail")

// maxLine bounds one line, in bytes; an entry takes about one thousand.
const maxLine = 64 << 10

// Read gives the content of the ledger at path and changes nothing. A ledger
// that is being written may show the line just being written as a tail.
func Read(path string) (Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return Content{}, fmt.Errorf("cannot read the ledger; name the folder given to serve -data: %w", err)
	}
	defer func() { _ = f.Close() }()
	c, _, err := read(f)
	return c, err
}

// read decodes lines; good is the length of the good part in bytes.
func read(r io.Reader) (c Content, good int64, err error) {
	in := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		text, err := in.ReadSlice('\n')
		if len(text) == 0 && errors.Is(err, io.EOF) {
			return c, good, nil
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return c, good, fmt.Errorf("cannot read the ledger; check the disk: %w", err)
		}
		rec, ok := decode(text)
		if !ok || err != nil {
			rest, later, err := tail(in, text)
			if err == nil && later {
				err = fmt.Errorf("cannot use the ledger: line %d is damaged and good lines follow; keep the file for a look and start with another -data: %w", n, ErrDamaged)
			}
			c.Cut = rest
			return c, good, err
		}
		good += int64(len(text))
		if rec.Session != nil {
			c.Sessions = append(c.Sessions, *rec.Session)
		} else {
			c.Entries = append(c.Entries, *rec.Entry)
		}
	}
}

// tail measures what follows a bad line and looks for good lines in it.
func tail(in *bufio.Reader, bad []byte) (size int, good bool, err error) {
	size = len(bad)
	for {
		text, err := in.ReadSlice('\n')
		size += len(text)
		if _, ok := decode(text); ok {
			good = true
		}
		if errors.Is(err, io.EOF) {
			return size, good, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return size, good, fmt.Errorf("cannot read the ledger; check the disk: %w", err)
		}
	}
}

func decode(text []byte) (record, bool) {
	body, whole := bytes.CutSuffix(text, []byte("\n"))
	if !whole {
		return record{}, false
	}
	var l line
	if json.Unmarshal(body, &l) != nil || l.Sum != sum(l.Rec) {
		return record{}, false
	}
	var r record
	if json.Unmarshal(l.Rec, &r) != nil || (r.Session == nil) == (r.Entry == nil) {
		return record{}, false
	}
	return r, true
}

func encode(r record) ([]byte, error) {
	rec, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "{\"sum\":%q,\"rec\":%s}\n", sum(rec), rec), nil
}

func sum(rec []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(rec)) }

// disk is the part of *os.File that a File uses.
type disk interface {
	io.WriteCloser
	Sync() error
}

// File is a ledger that is being written. It is safe for use by several
// goroutines.
type File struct {
	unlock func()
	failed chan struct{}

	mu    sync.Mutex // writes
	out   disk
	lines int64
	err   error

	syncing sync.Mutex // one sync at a time; whoever waits is mostly served by it
	synced  int64
}

// Open opens or makes the ledger at path for writing, with what it holds. One
// process at a time may have it open.
func Open(path string) (*File, Content, error) {
	unlock, err := lock(path + ".lock")
	if err != nil {
		return nil, Content{}, fmt.Errorf("cannot open the ledger: another paysim serves this folder; stop it or name another -data: %w", err)
	}
	f, c, err := open(path)
	if err != nil {
		unlock()
		return nil, c, err
	}
	return &File{out: f, unlock: unlock, failed: make(chan struct{})}, c, nil
}

func open(path string) (*os.File, Content, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, Content{}, fmt.Errorf("cannot open the ledger; check the folder -data: %w", err)
	}
	c, good, err := read(f)
	if err == nil && c.Cut > 0 {
		err = cut(f, path, good)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = f.Close()
		return nil, c, err
	}
	return f, c, nil
}

// cut moves the damaged tail aside, durably, before it is cut.
func cut(f *os.File, path string, good int64) error {
	fail := func(err error) error {
		return fmt.Errorf("cannot cut the ledger's damaged tail; check the disk: %w", err)
	}
	aside, err := os.OpenFile(path+".cut", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fail(err)
	}
	_, err = f.Seek(good, io.SeekStart)
	if err == nil {
		_, err = io.Copy(aside, f)
	}
	if err == nil {
		err = aside.Sync()
	}
	if e := aside.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot open the folder of the ledger: %w", err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("cannot sync the folder of the ledger; check the disk: %w", err)
	}
	return nil
}

// Begin writes a session.
func (f *File) Begin(s Session) error { return f.write(record{Session: &s}) }

// Append writes an entry; it is durable after the next Sync. An error is also
// given by every later Sync.
func (f *File) Append(e bank.Entry) error { return f.write(record{Entry: &e}) }

func (f *File) write(r record) error {
	text, err := encode(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if err == nil {
		_, err = f.out.Write(text)
	}
	if err != nil {
		return f.fail(fmt.Errorf("cannot write the ledger; stop and look at the disk: %w", err))
	}
	f.lines++
	return nil
}

// fail remembers the first error; f.mu is held.
func (f *File) fail(err error) error {
	if f.err == nil {
		f.err = err
		close(f.failed)
	}
	return f.err
}

// Sync makes everything appended before it durable. Calls that come together
// share one sync of the disk.
func (f *File) Sync() error {
	f.mu.Lock()
	want, err := f.lines, f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	f.syncing.Lock()
	defer f.syncing.Unlock()
	if f.synced >= want {
		return nil
	}
	f.mu.Lock()
	want, err = f.lines, f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if err := f.out.Sync(); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.fail(fmt.Errorf("cannot sync the ledger; stop and look at the disk: %w", err))
	}
	f.synced = want
	return nil
}

// Failed is closed when the ledger cannot be written any more.
func (f *File) Failed() <-chan struct{} { return f.failed }

// Close syncs and closes. Calls after it fail.
func (f *File) Close() error {
	err := f.Sync()
	f.syncing.Lock()
	defer f.syncing.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out == nil {
		return err
	}
	if e := f.out.Close(); err == nil && e != nil {
		err = fmt.Errorf("cannot close the ledger: %w", e)
	}
	if f.err == nil {
		f.err = errors.New("cannot write the ledger: it is closed")
	}
	f.out = nil
	f.unlock()
	return err
}
