// Package queue is the contract for the agent's durable memory: one log of
// records with cursors, found again by stream and by key, and a small second
// file of slots that survives the loss of the first. It knows nothing of
// orders, money or people; what a record holds is its writer's business.
//
// What every member promises and queuetest checks:
//
//   - Append returns after the batch is on disk (records, keys, closings and
//     slots together), or with an error after which the log is dead.
//   - After the first storage error nothing is written any more (fail-stop):
//     every later call gives ErrStopped. Whether the failed batch was written
//     is unknown until the log is opened again.
//   - A crash at any instant loses no acknowledged batch and shows no half one.
//   - A record that does not match its checksum is reported, never skipped.
package queue

import (
	"context"
	"errors"
)

// Seq numbers records from 1, without gaps, in the order they were written.
type Seq uint64

// Record is one fact to write.
type Record struct {
	Stream string   // what it belongs to, 1–64 bytes
	Keys   []string // secondary keys under which the stream is found again, each 1–128 bytes
	Data   []byte   // opaque, at most 64 KiB
}

// Slot is a few bytes kept in the second file, so that a stream is known even
// when the log is lost. Setting a slot again replaces it.
type Slot struct {
	Key  string // the stream, at most 64 bytes
	Data []byte // at most 160 bytes; nothing personal
}

// Batch is written whole or not at all. Slots are durable when Append returns;
// freed slots may come back after a crash, which is harmless.
type Batch struct {
	Records []Record
	Close   []string // streams that are finished: no longer listed by Open
	Slots   []Slot
	Free    []string // slots no longer needed
}

// Entry is a record as it was written.
type Entry struct {
	Seq    Seq
	Stream string
	Data   []byte
}

// Appender writes.
type Appender interface {
	// Append writes the batch durably and returns the number of its last
	// record. Calls from many goroutines share disk syncs.
	Append(ctx context.Context, b Batch) (Seq, error)
}

// Reader reads. No method holds a transaction open after it returned.
type Reader interface {
	// Stream returns a stream's entries in order; none is not an error.
	Stream(stream string) ([]Entry, error)
	// After returns up to limit entries with numbers greater than seq. first
	// is the oldest number still kept; a reader behind it has a gap.
	After(seq Seq, limit int) (entries []Entry, first Seq, err error)
	// Last is the number of the newest record, 0 if there is none.
	Last() Seq
}

// Finder finds streams.
type Finder interface {
	// Open lists the streams that are not closed, without reading others.
	Open() ([]string, error)
	// Find lists the streams written with the key, oldest first.
	Find(key string) ([]string, error)
	// Slots lists what the second file holds.
	Slots() ([]Slot, error)
}

// Cursors are named places in the log, kept durably. They deliver; they owe
// nothing: losing one repeats, never loses.
type Cursors interface {
	Cursor(name string) (Seq, error)
	SetCursor(name string, seq Seq) error
}

// Log is a whole member: the four parts above and Close.
type Log interface {
	Appender
	Reader
	Finder
	Cursors
	Close() error
}

// ErrStopped is wrapped by every call after a storage error.
var ErrStopped = errors.New("the store stopped after a storage error; restart the agent to open it again")

// ErrTooBig is wrapped when a batch breaks a bound of this package.
var ErrTooBig = errors.New("the record is larger than the store takes")

// ErrNewer is wrapped when the file may only be written by a newer program.
var ErrNewer = errors.New("the store was written by a newer program; install that version again")

// ErrDamaged is wrapped when a file cannot be trusted. The damaged file has
// been set aside under the name that the error gives.
var ErrDamaged = errors.New("the store is damaged")
