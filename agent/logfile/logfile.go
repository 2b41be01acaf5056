// Package logfile is a log file that cannot fill the disk: it is turned over by
// bytes, never by time, so a clock that jumps changes nothing (OBS-04). It is
// for machines without a journal; elsewhere the log goes to standard error.
package logfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// File is an open log file. It is safe for concurrent use.
type File struct {
	mu   sync.Mutex
	path string
	max  int64
	keep int
	f    *os.File
	size int64
}

// Open opens or creates the file, readable by its owner alone. It is turned
// over before it would grow past max bytes; keep older files stay beside it as
// path.1 (the newest) to path.keep.
func Open(path string, max int64, keep int) (*File, error) {
	if max < 4096 || keep < 0 {
		return nil, fmt.Errorf("cannot open log file %s: give at least 4096 bytes and no negative number of old files", path)
	}
	l := &File{path: path, max: max, keep: keep}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("cannot make the log's directory; check its rights: %w", err)
	}
	return l, l.open()
}

func (l *File) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the log file; check its rights: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Write appends one line. A line longer than the whole file may be is cut.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return 0, os.ErrClosed
	}
	line := p
	if int64(len(line)) > l.max {
		line = line[:l.max]
	}
	if l.size+int64(len(line)) > l.max {
		if err := l.turn(); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(line)
	l.size += int64(n)
	if err != nil {
		return n, err
	}
	return len(p), nil
}

// turn moves the file aside and begins a new one. What cannot be moved is
// overwritten: a log must not stop a payment, nor fill the disk.
func (l *File) turn() error {
	if err := l.f.Close(); err != nil {
		return err
	}
	l.f = nil
	name := func(n int) string { return l.path + "." + strconv.Itoa(n) }
	for n := l.keep; n > 1; n-- {
		_ = os.Rename(name(n-1), name(n))
	}
	if l.keep > 0 {
		_ = os.Rename(l.path, name(1))
	}
	if err := os.Truncate(l.path, 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot turn the log file over: %w", err)
	}
	return l.open()
}

// Close closes the file; later writes fail.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}
