//go:build !linux && !windows

package bolt

import (
	"errors"
	"os"
)

func datasync(f *os.File) error { return f.Sync() }

// FreeSpace is known on Linux and Windows only; elsewhere it gives an error
// that wraps errors.ErrUnsupported.
func FreeSpace(dir string) (free, total int64, err error) {
	return 0, 0, &os.PathError{Op: "cannot tell the free space of", Path: dir, Err: errors.ErrUnsupported}
}

func allocate(f *os.File, n int64) error { return fill(f, n) }

func dropPages(uintptr, int64) {}
