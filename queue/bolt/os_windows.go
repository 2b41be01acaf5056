package bolt

import (
	"os"

	"golang.org/x/sys/windows"
)

func datasync(f *os.File) error { return f.Sync() }

// FreeSpace returns the bytes that this user can still write to dir's volume,
// and its size.
func FreeSpace(dir string) (free, total int64, err error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, &os.PathError{Op: "free space", Path: dir, Err: err}
	}
	var avail, size, all uint64
	if err := windows.GetDiskFreeSpaceEx(p, &avail, &size, &all); err != nil {
		return 0, 0, &os.PathError{Op: "free space", Path: dir, Err: err}
	}
	return int64(avail), int64(size), nil
}

func allocate(f *os.File, n int64) error { return fill(f, n) }

// syncDir does nothing: NTFS journals renames, and a directory cannot be synced.
func syncDir(string) error { return nil }

// lockFile takes an exclusive lock without waiting; false means that another
// program has it.
func lockFile(f *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return false, nil
	}
	return err == nil, err
}

func dropPages(uintptr, int64) {}
