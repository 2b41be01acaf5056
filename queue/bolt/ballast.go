package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// BallastSize is 4 MiB: room for some hundred orders to end after the disk is
// full, at about 30 KB a commit and with bbolt reusing its own pages.
const BallastSize = 4 << 20

// Ballast is a file that does nothing but take space while there is plenty, so
// that open orders can be finished when there is none. It belongs to one
// goroutine.
type Ballast struct {
	path string
	size int64
}

// NewBallast names the ballast of a store's directory without touching it.
// size is in bytes; 0 means BallastSize.
func NewBallast(dir string, size int64) *Ballast {
	if size <= 0 {
		size = BallastSize
	}
	return &Ballast{path: filepath.Join(dir, "ballast.bin"), size: size}
}

// Held says whether the space is taken.
func (b *Ballast) Held() bool {
	st, err := os.Stat(b.path)
	return err == nil && st.Size() == b.size
}

// Restore takes the space, with real blocks, if it is not taken. On an error
// nothing is taken; try again when there is more space.
func (b *Ballast) Restore() error {
	if b.Held() {
		return nil
	}
	f, err := os.OpenFile(b.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = errors.Join(allocate(f, b.size), f.Sync(), f.Close())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot reserve %d bytes of disk; free some space: %w", b.size, err), b.Release())
	}
	return nil
}

// Release gives the space back.
func (b *Ballast) Release() error {
	if err := os.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot give the reserved disk space back; remove the file by hand: %w", err)
	}
	return nil
}

// fill writes n zero bytes, for file systems that cannot allocate otherwise.
func fill(f *os.File, n int64) error {
	var zero [64 << 10]byte
	for off := int64(0); off < n; off += int64(len(zero)) {
		if _, err := f.WriteAt(zero[:min(int64(len(zero)), n-off)], off); err != nil {
			return err
		}
	}
	return nil
}
