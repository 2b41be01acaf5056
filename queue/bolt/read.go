package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"payagent/queue"

	bbolt "go.etcd.io/bbolt"
)

// view reads inside one short transaction. Any error is a storage error: it
// stops the log, and damage is noted for the next Open.
func (l *Log) view(fn func(*bbolt.Tx) error) error {
	if err := l.why(); err != nil {
		return err
	}
	err := guard(func() error { return l.db.View(fn) })
	if err == nil {
		return nil
	}
	if why := l.why(); why != nil { // closed or stopped meanwhile
		return why
	}
	l.stop(l.mark(fmt.Errorf("%s: %w", dbName, err)))
	return l.why()
}

// Stream implements queue.Reader.
func (l *Log) Stream(stream string) ([]queue.Entry, error) {
	var out []queue.Entry
	err := l.view(func(tx *bbolt.Tx) error {
		v := tx.Bucket([]byte(bStreams)).Get([]byte(stream))
		if v == nil {
			return nil
		}
		h, err := decodeHead([]byte(stream), v)
		if err != nil {
			return damaged("stream %q: %w", stream, err)
		}
		return chain(tx.Bucket([]byte(bLog)), stream, h, func(seq uint64, r record) error {
			out = append(out, queue.Entry{Seq: queue.Seq(seq), Stream: stream, Data: r.data})
			l.walked(tx, 1)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(out)
	return out, nil
}

// roomFor is about how long a record's data is, in bytes.
const roomFor = 256

// After implements queue.Reader.
func (l *Log) After(seq queue.Seq, limit int) ([]queue.Entry, queue.Seq, error) {
	var out []queue.Entry
	var first queue.Seq
	err := l.view(func(tx *bbolt.Tx) error {
		st, err := decodeState(tx.Bucket([]byte(bMeta)).Get([]byte(kState)))
		if err != nil {
			return damaged("the description of the file: %w", err)
		}
		first = queue.Seq(st.first)
		// The library shows a commit a moment before its last sync has returned,
		// and before the slots that belong to it are safe.
		last := min(st.last, l.last.Load())
		if uint64(seq) >= last {
			return nil
		}
		want := max(uint64(seq)+1, st.first)
		if want <= last && limit > 0 {
			out = make([]queue.Entry, 0, min(uint64(limit), last-want+1))
		}
		// What many records hold is copied into few pieces of memory, and the name
		// that follows itself is kept once.
		var room []byte
		name := ""
		c := tx.Bucket([]byte(bLog)).Cursor()
		for k, v := c.Seek(be64(want)); len(out) < limit && want <= last; k, v = c.Next() {
			if len(k) != 8 || binary.BigEndian.Uint64(k) != want {
				return damaged("record %d is missing", want)
			}
			f, err := formOf(want, k, v)
			if err == nil && (name == "" || string(f.stream) != name) {
				name = string(f.stream)
				if queue.CheckName(name) != nil {
					err = errShape
				}
			}
			if err != nil {
				return damaged("record %d: %w", want, err)
			}
			if len(room)+len(f.data) > cap(room) {
				room = make([]byte, 0, max(len(f.data), roomFor*min(64, cap(out)-len(out)-1)))
			}
			at := len(room)
			room = append(room, f.data...)
			out = append(out, queue.Entry{Seq: queue.Seq(want), Stream: name, Data: room[at:len(room):len(room)]})
			want++
		}
		l.walked(tx, len(out))
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return out, first, nil
}

// pagesFor is after how many records the pages that were read are given back:
// about 2 MB of them.
const pagesFor = 4096

// walked gives pages of the file back when many records were read. Otherwise a
// walk over the whole log, as at every start, stays in the process's memory for
// good, although nobody reads there again; the kernel has them in its cache.
func (l *Log) walked(tx *bbolt.Tx, records int) {
	if l.read.Add(int64(records)) < pagesFor {
		return
	}
	l.read.Store(0)
	l.giveBack(tx)
}

// giveBack needs a transaction, which keeps the library from moving the mapping
// meanwhile.
func (l *Log) giveBack(tx *bbolt.Tx) { dropPages(tx.DB().Info().Data, tx.Size()) }

// GiveBack takes the pages of the file out of the process's memory, for times
// when nothing is read; the next reads bring back what they need.
func (l *Log) GiveBack() error {
	return l.view(func(tx *bbolt.Tx) error {
		l.giveBack(tx)
		return nil
	})
}

// Last implements queue.Reader.
func (l *Log) Last() queue.Seq { return queue.Seq(l.last.Load()) }

type named struct {
	name string
	seq  uint64
}

// byAge gives the names, oldest first.
func byAge(list []named) []string {
	sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.name
	}
	return out
}

// Open implements queue.Finder.
func (l *Log) Open() ([]string, error) {
	var list []named
	err := l.view(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bOpen)).ForEach(func(k, v []byte) error {
			seq, err := unsealSeq(bOpen, k, v)
			if err != nil {
				return damaged("open stream %q: %w", k, err)
			}
			list = append(list, named{string(k), seq})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return byAge(list), nil
}

// Find implements queue.Finder.
func (l *Log) Find(key string) ([]string, error) {
	if len(key) == 0 || len(key) > queue.MaxKey {
		return nil, nil // no record can have it
	}
	var list []named
	err := l.view(func(tx *bbolt.Tx) error {
		p := keyPrefix(key)
		c := tx.Bucket([]byte(bKeys)).Cursor()
		for k, v := c.Seek(p); bytes.HasPrefix(k, p); k, v = c.Next() {
			seq, err := unsealSeq(bKeys, k, v)
			if err != nil {
				return damaged("a key's element: %w", err)
			}
			list = append(list, named{string(k[len(p):]), seq})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return byAge(list), nil
}

// Slots implements queue.Finder. Slots in doubt are among them.
func (l *Log) Slots() ([]queue.Slot, error) {
	var out []queue.Slot
	err := l.view(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bSlots)).ForEach(func(k, v []byte) error {
			_, data, err := decodeSlot(k, v)
			if err != nil {
				return damaged("slot %q: %w", k, err)
			}
			out = append(out, queue.Slot{Key: string(k), Data: data})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Cursor implements queue.Cursors.
func (l *Log) Cursor(name string) (queue.Seq, error) {
	if err := queue.CheckName(name); err != nil {
		return 0, fmt.Errorf("cannot read a cursor: %w", err)
	}
	var seq uint64
	err := l.view(func(tx *bbolt.Tx) error {
		v := tx.Bucket([]byte(bCursors)).Get([]byte(name))
		if v == nil {
			return nil
		}
		var err error
		if seq, err = unsealSeq(bCursors, []byte(name), v); err != nil {
			return damaged("cursor %q: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return queue.Seq(seq), nil
}

// Prune drops the closed streams whose last record is older than before, with
// their keys; streams that reach over it or are open stay whole. It returns how
// many were dropped. After then tells readers left behind where to continue.
// It works in small commits between those of appends.
func (l *Log) Prune(ctx context.Context, before queue.Seq) (streams int, err error) {
	for from := uint64(1); from != 0; {
		var next uint64
		var n int
		err := l.do(ctx, &request{apply: func(t *txn) error {
			var err error
			next, n, err = t.prune(from, uint64(before))
			return err
		}})
		if err != nil {
			return streams, err
		}
		streams += n
		from = next
	}
	return streams, nil
}

// load reads what the writer keeps in memory.
func (l *Log) load() error {
	return l.db.View(func(tx *bbolt.Tx) error {
		defer l.giveBack(tx) // the library read every page to know which are free
		t, err := newTxn(tx)
		if err != nil {
			return err
		}
		f, err := decodeFormat(t.b[bMeta].Get([]byte(kFormat)))
		if err != nil {
			return err
		}
		l.generation, l.state = f.generation, t.state
		l.last.Store(t.state.last)
		l.slotData = map[string][]byte{}
		return t.b[bSlots].ForEach(func(k, v []byte) error {
			doubt, data, err := decodeSlot(k, v)
			if err != nil {
				return err
			}
			l.slotData[string(k)] = data
			if doubt {
				l.doubted = append(l.doubted, queue.Slot{Key: string(k), Data: data})
			}
			return nil
		})
	})
}

// readOpen reads every open stream once: what is still owed must be readable.
func (l *Log) readOpen() error {
	open, err := l.Open()
	for _, s := range open {
		if err != nil {
			break
		}
		_, err = l.Stream(s)
	}
	if err != nil {
		return errors.Join(errors.New("an open stream cannot be read"), err)
	}
	return nil
}
