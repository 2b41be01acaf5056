package box

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// epochThread begins the note that names a store: its name is the epoch. It is
// never closed, so that it is kept as long as the store.
const (
	epochThread = "fleet-epoch-"
	epochKey    = "fleet:epoch"
)

// beginEpoch finds the name of this store, under which its records are
// numbered, or gives it one. A store that has less than was told before was
// put back from a copy: its numbers mean other things, so it gets a new name
// and everything is told again.
func (b *Box) beginEpoch(ctx context.Context) error {
	threads, err := b.o.Agent.Threads(epochKey)
	if err != nil {
		return err
	}
	if n := len(threads); n > 0 {
		b.epoch = strings.TrimPrefix(threads[n-1], epochThread)
	}
	var known string
	var high uint64
	b.book.read(func(v *bookData) { known, high = v.Epoch, v.High })
	back := b.epoch != "" && b.epoch == known && b.o.Agent.LastEvent() < high
	if back {
		b.log.Error("the order store is older than what was told of it; everything is told anew", "told", high, "has", b.o.Agent.LastEvent())
	}
	if b.epoch == "" || back {
		var raw [6]byte
		if _, err := io.ReadFull(rand.Reader, raw[:]); err != nil {
			return fmt.Errorf("cannot name the store: %w", err)
		}
		b.epoch = hex.EncodeToString(raw[:])
		for _, s := range []*stream{b.alarms, b.orders} {
			for _, name := range []string{s.cursor(), s.readCursor()} {
				if err := b.o.Cursors.SetCursor(name, 0); err != nil {
					return err
				}
			}
		}
		if err := b.o.Agent.NoteIn(ctx, epochThread+b.epoch, false, "fleet_epoch", []string{epochKey}, map[string]string{"subject": b.epoch}); err != nil {
			return err
		}
	}
	if b.epoch != known {
		b.book.edit(func(v *bookData) {
			v.Epoch, v.High, v.Seen, v.Active = b.epoch, 0, 0, nil
		})
		b.book.save()
	}
	return nil
}
