// Package ids is the relay's durable memory of exchanges: one bbolt file, one
// entry of 32 bytes per exchange, nothing else. The file has a random name of
// its own, so that a new file is never taken for the old one.
package ids

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// File is the open file. It is safe for concurrent use; what several exchanges
// add at once is one sync of the disk.
type File struct {
	db   *bbolt.DB
	name [16]byte
	most int
	now  int // ids added since the last Turn, about
}

// Most is how many exchanges fit between two turns: at 100 a second and ten
// minutes, a sixteenth of it is used. What comes on top is refused.
const Most = 1 << 20

// ErrFull is returned when more exchanges come than Most.
var ErrFull = fmt.Errorf("the store of ids is full: more than %d exchanges in ten minutes", Most)

const (
	meta    = "meta"
	keyName = "name"
	keyTurn = "turn"
)

func halves() [2]string { return [2]string{"ids0", "ids1"} }

// Open opens the file or makes it. Another relay with the same file is an
// error. A file whose making was interrupted is made anew: nothing had been
// written into it, and it gets another name.
func Open(path string) (*File, error) {
	if unused(path) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("cannot make the store of ids %s anew: %w", path, err)
		}
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("cannot open the store of ids %s; does another relay run with it, and is the folder writable? "+
			"If the file is damaged, move it away; what is under way is unknown then: %w", path, err)
	}
	db.MaxBatchDelay = time.Millisecond
	f := &File{db: db, most: Most}
	err = db.Update(func(tx *bbolt.Tx) error {
		first, _ := tx.Cursor().First()
		fresh := first == nil
		for _, b := range append([]string{meta}, halves()[0], halves()[1]) {
			if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
				return err
			}
		}
		m := tx.Bucket([]byte(meta))
		name := m.Get([]byte(keyName))
		switch {
		case len(name) == len(f.name):
			copy(f.name[:], name)
		case !fresh:
			return errors.New("it is not a relay's store of ids")
		default:
			if _, err := rand.Read(f.name[:]); err != nil {
				return err
			}
			if err := m.Put([]byte(keyName), f.name[:]); err != nil {
				return err
			}
		}
		f.now = young(tx).Stats().KeyN
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the store of ids %s: %w", path, err), db.Close())
	}
	return f, nil
}

// unused tells whether a file was cut off while the library made it, before our
// first transaction, which makes it longer. The library itself would stumble
// over such a file.
func unused(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > int64(4*os.Getpagesize()) {
		return false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	return len(bytes.Trim(data, "\x00")) == 0 || len(data) >= 20 && binary.NativeEndian.Uint32(data[16:]) == magic
}

// magic is in every file of the library, in its header.
const magic = 0xED0CDAED

// Name is the file's own name.
func (f *File) Name() [16]byte { return f.name }

// turn tells which half is the young one.
func turn(tx *bbolt.Tx) int {
	if v := tx.Bucket([]byte(meta)).Get([]byte(keyTurn)); len(v) == 1 {
		return int(v[0] & 1)
	}
	return 0
}

func young(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket([]byte(halves()[turn(tx)])) }

// Add implements relay.Store.
func (f *File) Add(id [32]byte) (fresh bool, err error) {
	err = f.db.Batch(func(tx *bbolt.Tx) error {
		fresh = true
		for _, half := range halves() {
			if tx.Bucket([]byte(half)).Get(id[:]) != nil {
				fresh = false
				return nil
			}
		}
		if f.now >= f.most {
			return ErrFull
		}
		f.now++ // a transaction that fails counts too much, never too little
		return young(tx).Put(id[:], []byte{1})
	})
	return fresh && err == nil, err
}

// Has implements relay.Store.
func (f *File) Has(id [32]byte) (has bool, err error) {
	err = f.db.View(func(tx *bbolt.Tx) error {
		for _, half := range halves() {
			has = has || tx.Bucket([]byte(half)).Get(id[:]) != nil
		}
		return nil
	})
	return has, err
}

// Turn implements relay.Store: the older half is emptied and becomes the young
// one.
func (f *File) Turn() error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		next := 1 - turn(tx)
		half := []byte(halves()[next])
		if err := tx.DeleteBucket(half); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(half); err != nil {
			return err
		}
		f.now = 0
		return tx.Bucket([]byte(meta)).Put([]byte(keyTurn), []byte{byte(next)})
	})
}

// Close closes the file.
func (f *File) Close() error { return f.db.Close() }
