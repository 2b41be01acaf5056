// Package boltstore keeps a hub's memory in one bbolt file.
package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"payagent/agent/fleet/hub"
)

// Store is a hub.Store in a file.
type Store struct{ db *bbolt.DB }

// ErrBusy is wrapped where another process has the file open.
var ErrBusy = errors.New("the hub's file is in use")

// The buckets. Levels of a key are separated by a zero byte, which no name has.
const (
	streams = "streams" // site box name → Stream
	holes   = "holes"   // site box name epoch from reason → Hole
	orders  = "orders"  // site box number → Order
	numbers = "numbers" // number site box → nothing
	days    = "days"    // day site box number → nothing
	events  = "events"  // day site box stream epoch seq → Event
	held    = "held"    // site box stream epoch seq → Held
	meta    = "meta"
	// persons is until which day patients were forgotten.
	persons = "persons"
)

// Open opens or makes the file.
func Open(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if errors.Is(err, bbolt.ErrTimeout) { //nolint:staticcheck // the name that the package documents
		return nil, fmt.Errorf("cannot open %s: %w; payfleet hub is running", path, ErrBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the hub's file %s; look at disk and permissions: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{streams, holes, orders, numbers, days, events, held, meta} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("cannot prepare the hub's file %s: %w", path, err)
	}
	return &Store{db}, nil
}

// Close implements hub.Store.
func (s *Store) Close() error { return s.db.Close() }

func key(levels ...string) []byte { return []byte(strings.Join(levels, "\x00")) }

func put(b *bbolt.Bucket, k []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(k, data)
}

// Put implements hub.Store.
func (s *Store) Put(ctx context.Context, b hub.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, x := range b.Streams {
			if err := put(tx.Bucket([]byte(streams)), key(x.Site, x.Box, x.Name), x); err != nil {
				return err
			}
		}
		for _, x := range b.Holes {
			if err := put(tx.Bucket([]byte(holes)), key(x.Site, x.Box, x.Name, x.Epoch, fmt.Sprintf("%020d", x.From), x.Reason), x); err != nil {
				return err
			}
		}
		for _, x := range b.Events {
			if err := put(tx.Bucket([]byte(events)), binary.BigEndian.AppendUint64(key(hub.DayOf(x.Time), x.Site, x.Box, x.Stream, x.Epoch, ""), x.Seq), x); err != nil {
				return err
			}
		}
		for _, x := range b.Held {
			if err := put(tx.Bucket([]byte(held)), heldKey(x), x); err != nil {
				return err
			}
		}
		for _, x := range b.Release {
			if err := tx.Bucket([]byte(held)).Delete(heldKey(x)); err != nil {
				return err
			}
		}
		for _, x := range b.Orders {
			if err := merge(tx, x); err != nil {
				return err
			}
		}
		if !b.ForgetPersons.IsZero() {
			if err := forgetPersons(tx, b.ForgetPersons); err != nil {
				return err
			}
		}
		if !b.ForgetAll.IsZero() {
			return forgetAll(tx, b.ForgetAll)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot write the hub's file: %w", err)
	}
	return nil
}

func heldKey(x hub.Held) []byte {
	return binary.BigEndian.AppendUint64(key(x.Site, x.Box, x.Stream, x.Epoch, ""), x.Seq)
}

func get(tx *bbolt.Tx, site, box, no string) (o hub.Order, ok bool, err error) {
	data := tx.Bucket([]byte(orders)).Get(key(site, box, no))
	if data == nil {
		return o, false, nil
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, false, fmt.Errorf("cannot read an order in the hub's file, it is damaged: %w", err)
	}
	return o, true, nil
}

// merge puts an order in its place, with what leads to it.
func merge(tx *bbolt.Tx, next hub.Order) error {
	no := next.Facts.OutTradeNo
	old, ok, err := get(tx, next.Site, next.Box, no)
	if err != nil {
		return err
	}
	if ok {
		next = hub.Merge(old, next)
		for _, day := range old.Days() {
			if err := tx.Bucket([]byte(days)).Delete(key(day, next.Site, next.Box, no)); err != nil {
				return err
			}
		}
	}
	// What comes late, of a day whose patients were forgotten, is looked at again.
	if day := []byte(hub.DayOf(next.Changed)); next.Sealed != "" && bytes.Compare(day, tx.Bucket([]byte(meta)).Get([]byte(persons))) < 0 {
		if err := tx.Bucket([]byte(meta)).Put([]byte(persons), day); err != nil {
			return err
		}
	}
	for _, day := range next.Days() {
		if err := tx.Bucket([]byte(days)).Put(key(day, next.Site, next.Box, no), nil); err != nil {
			return err
		}
	}
	if err := tx.Bucket([]byte(numbers)).Put(key(no, next.Site, next.Box), nil); err != nil {
		return err
	}
	return put(tx.Bucket([]byte(orders)), key(next.Site, next.Box, no), next)
}

// forgetPersons clears what was sealed. It begins where it ended last: an order
// is found under the day of its last change.
func forgetPersons(tx *bbolt.Tx, before time.Time) error {
	from := tx.Bucket([]byte(meta)).Get([]byte(persons))
	last := hub.DayOf(before)
	var clear []hub.Order
	err := each(tx.Bucket([]byte(days)), from, func(parts []string) (bool, error) {
		if parts[0] > last {
			return false, nil
		}
		o, ok, err := get(tx, parts[1], parts[2], parts[3])
		if err == nil && ok && o.Sealed != "" && o.Changed.Before(before) {
			clear = append(clear, o)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if err := openHeld(tx, before); err != nil {
		return err
	}
	for _, o := range clear {
		o.Sealed, o.SealedIn = "", ""
		if err := put(tx.Bucket([]byte(orders)), key(o.Site, o.Box, o.Facts.OutTradeNo), o); err != nil {
			return err
		}
	}
	return tx.Bucket([]byte(meta)).Put([]byte(persons), []byte(last))
}

// openHeld takes what is sealed out of what is held from before a moment.
func openHeld(tx *bbolt.Tx, before time.Time) error {
	var old []hub.Held
	err := readHeld(tx, hub.Query{}, func(i hub.Item) error {
		if raw := hub.WithoutSealed(i.Held.Raw); i.Held.At.Before(before) && !bytes.Equal(raw, i.Held.Raw) {
			i.Held.Raw = raw
			old = append(old, *i.Held)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, x := range old {
		if err := put(tx.Bucket([]byte(held)), heldKey(x), x); err != nil {
			return err
		}
	}
	return nil
}

func readHeld(tx *bbolt.Tx, q hub.Query, yield func(hub.Item) error) error {
	c := tx.Bucket([]byte(held)).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var x hub.Held
		if err := json.Unmarshal(v, &x); err != nil {
			return fmt.Errorf("cannot read an event that is held in the hub's file, it is damaged: %w", err)
		}
		if q.Site == "" || q.Site == x.Site {
			if err := yield(hub.Item{Held: &x}); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetAll drops what is too old.
func forgetAll(tx *bbolt.Tx, before time.Time) error {
	last := hub.DayOf(before)
	var old []hub.Order
	err := each(tx.Bucket([]byte(days)), nil, func(parts []string) (bool, error) {
		if parts[0] > last {
			return false, nil
		}
		o, ok, err := get(tx, parts[1], parts[2], parts[3])
		if err == nil && ok && o.Changed.Before(before) {
			old = append(old, o)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	for _, o := range old {
		no := o.Facts.OutTradeNo
		for _, day := range o.Days() {
			if err := tx.Bucket([]byte(days)).Delete(key(day, o.Site, o.Box, no)); err != nil {
				return err
			}
		}
		if err := tx.Bucket([]byte(numbers)).Delete(key(no, o.Site, o.Box)); err != nil {
			return err
		}
		if err := tx.Bucket([]byte(orders)).Delete(key(o.Site, o.Box, no)); err != nil {
			return err
		}
	}
	if err := drop(tx.Bucket([]byte(events)), func(k, _ []byte) (bool, bool) { return string(k) < last, string(k) < last }); err != nil {
		return err
	}
	if err := drop(tx.Bucket([]byte(held)), func(_, v []byte) (bool, bool) {
		var x hub.Held
		return json.Unmarshal(v, &x) == nil && x.At.Before(before), true
	}); err != nil {
		return err
	}
	return drop(tx.Bucket([]byte(holes)), func(_, v []byte) (bool, bool) {
		var h hub.Hole
		return json.Unmarshal(v, &h) == nil && h.Before.Before(before), true
	})
}

// drop deletes what which says, as long as it says to go on.
func drop(b *bbolt.Bucket, which func(k, v []byte) (gone, more bool)) error {
	var keys [][]byte
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		gone, more := which(k, v)
		if gone {
			keys = append(keys, bytes.Clone(k))
		}
		if !more {
			break
		}
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// each gives the levels of every key from one on, until yield says no more.
func each(b *bbolt.Bucket, from []byte, yield func(parts []string) (bool, error)) error {
	c := b.Cursor()
	for k, _ := c.Seek(from); k != nil; k, _ = c.Next() {
		if more, err := yield(strings.Split(string(k), "\x00")); err != nil || !more {
			return err
		}
	}
	return nil
}

// Read implements hub.Store.
func (s *Store) Read(ctx context.Context, q hub.Query, yield func(hub.Item) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		switch {
		case q.Streams:
			return readStreams(tx, q, yield)
		case q.Held:
			return readHeld(tx, q, yield)
		case q.No != "":
			var found [][2]string
			prefix := append(key(q.No), 0)
			c := tx.Bucket([]byte(numbers)).Cursor()
			for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
				parts := strings.Split(string(k), "\x00")
				found = append(found, [2]string{parts[1], parts[2]})
			}
			for _, at := range found {
				if q.Site == "" || q.Site == at[0] {
					if err := give(tx, at[0], at[1], q.No, yield); err != nil {
						return err
					}
				}
			}
			return nil
		}
		return readDays(ctx, tx, q, yield)
	})
}

func give(tx *bbolt.Tx, site, box, no string, yield func(hub.Item) error) error {
	o, ok, err := get(tx, site, box, no)
	if err != nil || !ok {
		return err
	}
	return yield(hub.Item{Order: &o})
}

func readStreams(tx *bbolt.Tx, q hub.Query, yield func(hub.Item) error) error {
	c := tx.Bucket([]byte(streams)).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var x hub.Stream
		if err := json.Unmarshal(v, &x); err != nil {
			return fmt.Errorf("cannot read a stream in the hub's file, it is damaged: %w", err)
		}
		if q.Site == "" || q.Site == x.Site {
			if err := yield(hub.Item{Stream: &x}); err != nil {
				return err
			}
		}
	}
	c = tx.Bucket([]byte(holes)).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var x hub.Hole
		if err := json.Unmarshal(v, &x); err != nil {
			return fmt.Errorf("cannot read a hole in the hub's file, it is damaged: %w", err)
		}
		if q.Site == "" || q.Site == x.Site {
			if err := yield(hub.Item{Hole: &x}); err != nil {
				return err
			}
		}
	}
	return nil
}

func readDays(ctx context.Context, tx *bbolt.Tx, q hub.Query, yield func(hub.Item) error) error {
	seen := map[string]bool{}
	var list []string
	for _, day := range hub.DaysBetween(q.From, q.To) {
		prefix := append(key(day), 0)
		c := tx.Bucket([]byte(days)).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if at := string(k[len(prefix):]); !seen[at] {
				seen[at] = true
				list = append(list, at)
			}
		}
	}
	// One day is in order already; several are merged.
	if hub.DayOf(q.From) != hub.DayOf(q.To) {
		slices.Sort(list)
	}
	for _, at := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		parts := strings.Split(at, "\x00")
		if q.Site == "" || q.Site == parts[0] {
			if err := give(tx, parts[0], parts[1], parts[2], yield); err != nil {
				return err
			}
		}
	}
	return nil
}
