package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"payagent/queue"
)

// Inspection is what [Inspect] saw.
type Inspection struct {
	Bytes    int64    // length of the order file; negative: there is none yet
	InUse    bool     // a program has the store open: its files were not read
	Fallback bool     // the newest transaction may be lost
	Aside    []string // damaged files that an earlier start set aside
}

// Inspect looks at the store in dir and changes nothing. checkBytes bounds how
// much of the newest records is read, writer is the version of this program. An
// error says why a start could not use the store; it wraps queue.ErrNewer or
// queue.ErrDamaged where that is the reason.
func Inspect(dir string, writer uint32, checkBytes int64) (Inspection, error) {
	o := &opener{dir: dir, fs: OS{}, opts: Options{Writer: writer, CheckBytes: checkBytes}}
	seen := Inspection{Bytes: -1}
	for _, name := range []string{dbName, slotName} {
		list, err := filepath.Glob(filepath.Join(dir, name+".damaged-*"))
		if err != nil {
			return seen, err
		}
		for _, path := range list {
			seen.Aside = append(seen.Aside, filepath.Base(path))
		}
	}
	n, err := size(o.fs, o.path(dbName))
	if err != nil {
		return seen, fmt.Errorf("cannot look at the store; check the rights of %s: %w", dir, err)
	}
	seen.Bytes = n
	lock, err := o.fs.OpenDB(o.path(lockName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return seen, nil // never opened
	}
	if err != nil {
		return seen, fmt.Errorf("cannot look at the store; check the rights of %s: %w", dir, err)
	}
	defer func() { _ = lock.Close() }() // nothing was written
	free, err := lockFile(lock)
	if err != nil {
		return seen, fmt.Errorf("cannot look at the store: %w", err)
	}
	if !free {
		seen.InUse = true
		return seen, nil
	}
	scan, err := readSlots(o.fs, o.path(slotName))
	if err != nil {
		return seen, fmt.Errorf("cannot look at the store: %w", err)
	}
	switch {
	case scan != nil && scan.newer:
		return seen, queue.ErrNewer
	case n < 0 && scan == nil:
		return seen, nil
	}
	info, err := o.check(scan)
	seen.Fallback = info.fallback
	return seen, err
}
