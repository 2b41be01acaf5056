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
//   - After Close every call but Close gives ErrStopped too.
package queue

import (
	"context"
	"errors"
	"fmt"
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
// freed slots may come back after a crash, which is harmless. Within a batch
// records come first, then closings, then freed slots, then set slots. Closing
// a stream or freeing a slot that does not exist is harmless.
//
// A record on a closed stream opens the stream again, unless its batch closes
// it too: what is written late (a refund) is owed again until it is closed.
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
	// record (Last, if it has none). Calls from many goroutines share disk
	// syncs. ctx is looked at until the batch is handed over; from then on
	// Append waits for the outcome, because a batch that may or may not have
	// been written is worse than a slow one.
	Append(ctx context.Context, b Batch) (Seq, error)
}

// Reader reads. No method holds a transaction open after it returned.
type Reader interface {
	// Stream returns a stream's entries in order; none is not an error.
	Stream(stream string) ([]Entry, error)
	// After returns up to limit entries with numbers greater than seq, in
	// order. first is the number from which on the log is complete (1 unless
	// something was pruned); nothing newer than Last is returned, because what
	// is not acknowledged yet may be gone after a power cut. A reader that has
	// seen less than first-1 has a
	// gap and continues at first. Older records that are still kept because
	// their stream is open are found by Stream only.
	After(seq Seq, limit int) (entries []Entry, first Seq, err error)
	// Last is the number of the newest record, 0 if there is none.
	Last() Seq
}

// Finder finds streams.
type Finder interface {
	// Open lists the streams that are not closed, oldest first, without
	// reading others.
	Open() ([]string, error)
	// Find lists the streams written with the key, oldest first.
	Find(key string) ([]string, error)
	// Slots lists what the second file holds, by key.
	Slots() ([]Slot, error)
}

// Cursors are named places in the log, kept durably, 0 until set. They deliver;
// they owe nothing: losing one repeats, never loses. A name has 1–64 bytes.
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

// The bounds of a batch. A batch that breaks one is refused with ErrTooBig
// before anything is written, and the log goes on.
const (
	MaxStream   = 64        // bytes of a stream's, slot's or cursor's name
	MaxKey      = 128       // bytes of a secondary key
	MaxKeys     = 16        // secondary keys of one record
	MaxData     = 64 << 10  // bytes of a record's data
	MaxSlotData = 160       // bytes of a slot's data
	MaxRecords  = 256       // records, closings, set and freed slots of one batch, each
	MaxBatch    = 512 << 10 // bytes of all records' data in one batch
)

// Check says whether a batch keeps the bounds. Members call it first, so that
// all refuse the same batches. Errors wrap ErrTooBig.
func Check(b Batch) error {
	if len(b.Records) > MaxRecords || len(b.Close) > MaxRecords || len(b.Slots) > MaxRecords || len(b.Free) > MaxRecords {
		return fmt.Errorf("cannot append a batch of more than %d parts; split it: %w", MaxRecords, ErrTooBig)
	}
	sum := 0
	for i, r := range b.Records {
		sum += len(r.Data)
		if err := CheckName(r.Stream); err != nil {
			return fmt.Errorf("cannot append record %d: %w", i, err)
		}
		if len(r.Data) > MaxData || len(r.Keys) > MaxKeys {
			return fmt.Errorf("cannot append record %d of %d bytes and %d keys, %d and %d are taken: %w", i, len(r.Data), len(r.Keys), MaxData, MaxKeys, ErrTooBig)
		}
		for _, k := range r.Keys {
			if len(k) == 0 || len(k) > MaxKey {
				return fmt.Errorf("cannot append record %d: a key has %d bytes, 1 to %d are taken: %w", i, len(k), MaxKey, ErrTooBig)
			}
		}
	}
	if sum > MaxBatch {
		return fmt.Errorf("cannot append %d bytes in one batch; split it: %w", sum, ErrTooBig)
	}
	for _, s := range b.Slots {
		if err := CheckName(s.Key); err != nil {
			return fmt.Errorf("cannot set a slot: %w", err)
		}
		if len(s.Data) > MaxSlotData {
			return fmt.Errorf("cannot set a slot of %d bytes, %d are taken: %w", len(s.Data), MaxSlotData, ErrTooBig)
		}
	}
	for _, names := range [][]string{b.Close, b.Free} {
		for _, n := range names {
			if err := CheckName(n); err != nil {
				return fmt.Errorf("cannot close or free: %w", err)
			}
		}
	}
	return nil
}

// CheckName says whether a stream's, slot's or cursor's name keeps the bounds.
// Errors wrap ErrTooBig.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > MaxStream {
		return fmt.Errorf("a name has %d bytes, 1 to %d are taken: %w", len(name), MaxStream, ErrTooBig)
	}
	return nil
}
