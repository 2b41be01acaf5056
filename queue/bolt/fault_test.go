//go:build linux

package bolt

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"reflect"
	"sync"
	"syscall"
	"unsafe"

	bbolt "go.etcd.io/bbolt"
)

// faults counts the calls that change the disk and makes one of them fail. It
// is an FS for the slot file and all names; hook puts it under bbolt's writes
// and syncs as well, which go past every interface.
type faults struct {
	OS
	mu      sync.Mutex
	n       int    // changing calls so far
	at      int    // the call that fails, 0 for none
	err     error  // what it fails with
	partial bool   // a failing write writes half first
	hit     string // what failed
	files   []*os.File
}

// next counts a call and says whether it fails.
func (f *faults) next(what string) (partial bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.n != f.at {
		return false, nil
	}
	f.hit = what
	return f.partial, f.err
}

// arm makes the n-th call from now on fail.
func (f *faults) arm(n int, err error, partial bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.at, f.err, f.partial, f.hit = 0, n, err, partial, ""
}

func (f *faults) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

type faultFile struct {
	File
	f    *faults
	name string
}

func (f *faults) Open(name string, flag int, perm fs.FileMode) (File, error) {
	if flag&(os.O_RDWR|os.O_WRONLY) != 0 {
		if _, err := f.next("open " + name); err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
	file, err := f.OS.Open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return faultFile{file, f, name}, nil
}

func (f *faults) OpenDB(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if _, err := f.next("open " + name); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f.OS.OpenDB(name, flag, perm)
}

func (f *faults) Rename(from, to string) error {
	if _, err := f.next("rename " + from); err != nil {
		return err
	}
	return f.OS.Rename(from, to)
}

func (f *faults) Remove(name string) error {
	if _, err := os.Stat(name); err == nil {
		if _, err := f.next("remove " + name); err != nil {
			return err
		}
	}
	return f.OS.Remove(name)
}

func (f *faults) SyncDir(dir string) error {
	if _, err := f.next("sync directory"); err != nil {
		return err
	}
	return f.OS.SyncDir(dir)
}

func (ff faultFile) WriteAt(p []byte, off int64) (int, error) {
	if partial, err := ff.f.next("write " + ff.name); err != nil {
		if !partial {
			return 0, err
		}
		n, _ := ff.File.WriteAt(p[:len(p)/2], off)
		if errors.Is(err, io.ErrShortWrite) {
			return n, nil // a short write that says nothing
		}
		return n, err
	}
	return ff.File.WriteAt(p, off)
}

func (ff faultFile) Sync() error {
	if _, err := ff.f.next("sync " + ff.name); err != nil {
		return err
	}
	return ff.File.Sync()
}

// hook puts the faults under an open database. bbolt has a place for its own
// tests where writes go through (DB.ops.writeAt); its syncs are system calls on
// the descriptor, so for a failing sync another file is put under that number:
// syncing a device that cannot be synced fails in the kernel. The writes go on
// to the real file through a second descriptor.
func (f *faults) hook(db *bbolt.DB) error {
	v := reflect.ValueOf(db).Elem()
	file := *(**os.File)(unsafe.Pointer(v.FieldByName("file").UnsafeAddr()))
	write := (*func([]byte, int64) (int, error))(unsafe.Pointer(v.FieldByName("ops").FieldByName("writeAt").UnsafeAddr()))
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		return err
	}
	real := os.NewFile(uintptr(fd), file.Name())
	null, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		return errors.Join(err, real.Close())
	}
	f.files = append(f.files, real, null)
	pageSize := int64(db.Info().PageSize)
	*write = func(p []byte, off int64) (int, error) {
		meta := off < 2*pageSize
		if meta {
			// The sync of the pages before it counts here: bbolt does it just
			// before the meta page is written.
			if _, err := f.next("sync pages"); err != nil {
				return 0, err
			}
		}
		if partial, err := f.next("write database"); err != nil {
			if partial {
				n, _ := real.WriteAt(p[:len(p)/2], off)
				if errors.Is(err, io.ErrShortWrite) {
					err = io.ErrUnexpectedEOF // os.File never writes short without an error
				}
				return n, err
			}
			return 0, err
		}
		n, err := real.WriteAt(p, off)
		if meta && err == nil {
			if _, serr := f.next("sync meta"); serr != nil {
				err = syscall.Dup3(int(null.Fd()), int(file.Fd()), 0)
			}
		}
		return n, err
	}
	return nil
}

// close gives up the second descriptors, and with them the lock.
func (f *faults) close() {
	for _, file := range f.files {
		file.Close()
	}
	f.files = nil
}
