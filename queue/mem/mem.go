// Package mem is the simplest queue member: everything in memory, nothing on
// disk. It is for tests and simulations and shows what the contract asks.
//
// A Disk stands for the directory: what was appended to it is there for the
// next Open, whether or not the log before it was closed. It has no goroutine
// and no clock, so that a simulation stays deterministic.
package mem

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"payagent/queue"
)

// Disk holds what survives the end of a log. The zero value is empty.
type Disk struct {
	mu      sync.Mutex
	entries []queue.Entry
	streams map[string]queue.Seq            // number of the first record
	open    map[string]bool                 // not closed
	keys    map[string]map[string]queue.Seq // key → stream → number of the record that brought it
	slots   map[string][]byte
	cursors map[string]queue.Seq
}

// Copy returns what a crash now would leave: everything acknowledged.
func (d *Disk) Copy() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &Disk{entries: slices.Clone(d.entries)}
	c.init()
	for k, v := range d.streams {
		c.streams[k] = v
	}
	for k := range d.open {
		c.open[k] = true
	}
	for k, m := range d.keys {
		c.keys[k] = make(map[string]queue.Seq, len(m))
		for s, n := range m {
			c.keys[k][s] = n
		}
	}
	for k, v := range d.slots {
		c.slots[k] = slices.Clone(v)
	}
	for k, v := range d.cursors {
		c.cursors[k] = v
	}
	return c
}

func (d *Disk) init() {
	if d.streams == nil {
		d.streams = map[string]queue.Seq{}
		d.open = map[string]bool{}
		d.keys = map[string]map[string]queue.Seq{}
		d.slots = map[string][]byte{}
		d.cursors = map[string]queue.Seq{}
	}
}

// Log is an open Disk. It implements queue.Log and is safe for concurrent use.
type Log struct {
	disk   *Disk
	closed bool // guarded by disk.mu
}

// Open opens a disk. Logs opened on one disk see each other's records; unlike
// a real store it has no lock.
func Open(d *Disk) *Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.init()
	return &Log{disk: d}
}

// lock takes the disk, or says that the log is closed.
func (l *Log) lock() error {
	l.disk.mu.Lock()
	if l.closed {
		l.disk.mu.Unlock()
		return fmt.Errorf("cannot use a closed log: %w", queue.ErrStopped)
	}
	return nil
}

// Append implements queue.Appender.
func (l *Log) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("cannot append: %w", err)
	}
	if err := queue.Check(b); err != nil {
		return 0, err
	}
	if err := l.lock(); err != nil {
		return 0, err
	}
	d := l.disk
	defer d.mu.Unlock()
	for _, r := range b.Records {
		n := queue.Seq(len(d.entries) + 1)
		d.entries = append(d.entries, queue.Entry{Seq: n, Stream: r.Stream, Data: append([]byte{}, r.Data...)})
		if _, ok := d.streams[r.Stream]; !ok {
			d.streams[r.Stream] = n
		}
		d.open[r.Stream] = true
		for _, k := range r.Keys {
			if d.keys[k] == nil {
				d.keys[k] = map[string]queue.Seq{}
			}
			if _, ok := d.keys[k][r.Stream]; !ok {
				d.keys[k][r.Stream] = n
			}
		}
	}
	for _, s := range b.Close {
		delete(d.open, s)
	}
	for _, k := range b.Free {
		delete(d.slots, k)
	}
	for _, s := range b.Slots {
		d.slots[s.Key] = append([]byte{}, s.Data...)
	}
	return queue.Seq(len(d.entries)), nil
}

// Stream implements queue.Reader.
func (l *Log) Stream(stream string) ([]queue.Entry, error) {
	if err := l.lock(); err != nil {
		return nil, err
	}
	defer l.disk.mu.Unlock()
	var out []queue.Entry
	for _, e := range l.disk.entries {
		if e.Stream == stream {
			e.Data = slices.Clone(e.Data)
			out = append(out, e)
		}
	}
	return out, nil
}

// After implements queue.Reader. Nothing is ever pruned: first is 1.
func (l *Log) After(seq queue.Seq, limit int) ([]queue.Entry, queue.Seq, error) {
	if err := l.lock(); err != nil {
		return nil, 0, err
	}
	defer l.disk.mu.Unlock()
	var out []queue.Entry
	for i := uint64(seq); i < uint64(len(l.disk.entries)) && len(out) < limit; i++ {
		e := l.disk.entries[i]
		e.Data = slices.Clone(e.Data)
		out = append(out, e)
	}
	return out, 1, nil
}

// Last implements queue.Reader.
func (l *Log) Last() queue.Seq {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	return queue.Seq(len(l.disk.entries))
}

// Open implements queue.Finder.
func (l *Log) Open() ([]string, error) {
	if err := l.lock(); err != nil {
		return nil, err
	}
	defer l.disk.mu.Unlock()
	out := make([]string, 0, len(l.disk.open))
	for s := range l.disk.open {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return l.disk.streams[out[i]] < l.disk.streams[out[j]] })
	return out, nil
}

// Find implements queue.Finder.
func (l *Log) Find(key string) ([]string, error) {
	if err := l.lock(); err != nil {
		return nil, err
	}
	defer l.disk.mu.Unlock()
	m := l.disk.keys[key]
	out := make([]string, 0, len(m))
	for s := range m {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return m[out[i]] < m[out[j]] })
	return out, nil
}

// Slots implements queue.Finder.
func (l *Log) Slots() ([]queue.Slot, error) {
	if err := l.lock(); err != nil {
		return nil, err
	}
	defer l.disk.mu.Unlock()
	out := make([]queue.Slot, 0, len(l.disk.slots))
	for k, v := range l.disk.slots {
		out = append(out, queue.Slot{Key: k, Data: slices.Clone(v)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, nil
}

// Cursor implements queue.Cursors.
func (l *Log) Cursor(name string) (queue.Seq, error) {
	if err := queue.CheckName(name); err != nil {
		return 0, fmt.Errorf("cannot read a cursor: %w", err)
	}
	if err := l.lock(); err != nil {
		return 0, err
	}
	defer l.disk.mu.Unlock()
	return l.disk.cursors[name], nil
}

// SetCursor implements queue.Cursors.
func (l *Log) SetCursor(name string, seq queue.Seq) error {
	if err := queue.CheckName(name); err != nil {
		return fmt.Errorf("cannot set a cursor: %w", err)
	}
	if err := l.lock(); err != nil {
		return err
	}
	defer l.disk.mu.Unlock()
	l.disk.cursors[name] = seq
	return nil
}

// Close ends the log; the disk keeps what it holds. Closing twice is harmless.
func (l *Log) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	l.closed = true
	return nil
}
