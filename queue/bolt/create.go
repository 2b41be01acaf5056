package bolt

import (
	"errors"
	"fmt"
	"os"

	"payagent/queue"

	bbolt "go.etcd.io/bbolt"
)

// panicked is an error that was a panic (or, where pages are mapped, a memory
// fault because a page could not be read).
type panicked struct{ value any }

func (p panicked) Error() string { return fmt.Sprintf("bbolt gave up: %v", p.value) }

// create makes a whole, empty log file that holds the given slots in doubt, and
// puts it in place. Two commits, so that both meta pages describe it.
func (o *opener) create(gen [16]byte, slots map[string][]byte) error {
	tmp := o.path(dbName + ".new")
	err := o.build(tmp, func(db *bbolt.DB) error {
		f := format{oldest: o.opts.Oldest, generation: gen}
		err := db.Update(func(tx *bbolt.Tx) error {
			for _, name := range append(counted(), bMeta) {
				if _, err := tx.CreateBucket([]byte(name)); err != nil {
					return err
				}
			}
			for k, d := range slots {
				if err := tx.Bucket([]byte(bSlots)).Put([]byte(k), encodeSlot([]byte(k), true, d)); err != nil {
					return err
				}
			}
			st := state{first: 1}
			st.n[4] = uint64(len(slots))
			m := tx.Bucket([]byte(bMeta))
			return errors.Join(m.Put([]byte(kFormat), encodeFormat(f)), m.Put([]byte(kState), encodeState(st)))
		})
		if err != nil {
			return err
		}
		return db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bMeta)).Put([]byte(kFormat), encodeFormat(f))
		})
	})
	if err != nil {
		return fmt.Errorf("cannot create %s; check the disk's space and rights: %w", dbName, err)
	}
	return nil
}

// compact writes the log file anew without its free pages. The old file stays
// until the new one is whole and on disk.
func (o *opener) compact() error {
	src, err := o.openBolt()
	if err != nil {
		return err
	}
	err = o.build(o.path(dbName+".compact"), func(dst *bbolt.DB) error {
		if err := bbolt.Compact(dst, src, 1<<20); err != nil {
			return err
		}
		return dst.Update(func(*bbolt.Tx) error { return nil }) // both metas
	}, src.Close)
	if err != nil {
		return err
	}
	o.report.Compacted = true
	return nil
}

// build fills a new bbolt file under a temporary name, checks it as Open would,
// syncs it and renames it to orders.db. Whatever is in before is called ahead
// of the rename, even on an error.
func (o *opener) build(tmp string, fill func(*bbolt.DB) error, before ...func() error) error {
	err := func() error {
		db, err := openBolt(o.fs, tmp, o.opts.Budget)
		if err != nil {
			return err
		}
		if err := errors.Join(guard(func() error { return fill(db) }), db.Close()); err != nil {
			return err
		}
		f, err := o.fs.Open(tmp, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		_, err = checkFile(f, o.opts.Writer, o.opts.CheckBytes)
		return errors.Join(err, f.Sync(), f.Close())
	}()
	for _, fn := range before {
		err = errors.Join(err, fn())
	}
	if err == nil {
		err = replace(o.fs, tmp, o.path(dbName))
	}
	if err != nil {
		// What a half-made temporary file says about damage is nothing about the store.
		return errors.Join(notDamage{err}, removeIfThere(o.fs, tmp))
	}
	return nil
}

// notDamage hides queue.ErrDamaged inside an error.
type notDamage struct{ err error }

func (n notDamage) Error() string { return n.err.Error() }
func (n notDamage) Is(target error) bool {
	return target != queue.ErrDamaged && errors.Is(n.err, target)
}
