package bolt

import (
	"os"
	"syscall"
)

// datasync leaves out the times of the inode, which nobody needs; the length
// is included.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != syscall.EINTR {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

// FreeSpace returns the bytes that this user can still write to dir's file
// system, and its size.
func FreeSpace(dir string) (free, total int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

// allocate gives the file real blocks, where the file system can do so at once.
func allocate(f *os.File, n int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, n)
	if err == syscall.EOPNOTSUPP || err == syscall.ENOSYS {
		return fill(f, n)
	}
	return err
}

// dropPages takes the pages of a shared, read-only mapping out of the process.
// They come back from the kernel's cache when they are read again, so an error
// costs memory only.
func dropPages(at uintptr, n int64) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, at, uintptr(n), syscall.MADV_DONTNEED)
}
