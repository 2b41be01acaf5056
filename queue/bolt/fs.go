package bolt

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is the handful of file-system verbs that this package uses, so that tests
// can fail any of them. OS is the real one.
type FS interface {
	// Open opens or creates a file for the slots, markers and checks.
	Open(name string, flag int, perm fs.FileMode) (File, error)
	// OpenDB opens or creates a file for bbolt, which needs the real thing.
	OpenDB(name string, flag int, perm fs.FileMode) (*os.File, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes renames, creations and removals in dir lasting.
	SyncDir(dir string) error
}

// File is what Open gives.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// Size is the file's length in bytes.
	Size() (int64, error)
	// Sync returns when data and length are on disk.
	Sync() error
	Close() error
}

// OS is the real file system.
type OS struct{}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f osFile) Sync() error { return datasync(f.File) }

// Open implements FS.
func (OS) Open(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// OpenDB implements FS.
func (OS) OpenDB(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir implements FS.
func (OS) SyncDir(dir string) error { return syncDir(dir) }

// replace renames from to to and makes that lasting.
func replace(fsys FS, from, to string) error {
	if err := fsys.Rename(from, to); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(to))
}

// removeIfThere removes a file; its absence is no error.
func removeIfThere(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// size returns a file's length, and -1 if it does not exist.
func size(fsys FS, name string) (int64, error) {
	f, err := fsys.Open(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := f.Size()
	return n, errors.Join(err, f.Close())
}
