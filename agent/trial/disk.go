package trial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"payagent/agent/seal"
)

// Disk is what is done to files; a seam for tests that cut the power at each
// step. Every change is durable when its call has returned.
type Disk interface {
	ReadFile(path string) ([]byte, error)
	// WriteFile leaves the old content or the new, never half of it.
	WriteFile(path string, data []byte) error
	MkdirAll(path string) error
	Rename(from, to string) error
	// RemoveAll removes what may be half removed after a crash.
	RemoveAll(path string) error
}

// OS is the real disk.
type OS struct{}

var _ Disk = OS{}

// ReadFile reads a file of up to 1 MiB.
func (OS) ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > 1<<20 {
		return nil, fmt.Errorf("cannot read %s: it is larger than 1 MiB", path)
	}
	return os.ReadFile(path)
}

// WriteFile writes by seal.WriteFile.
func (OS) WriteFile(path string, data []byte) error {
	if err := seal.WriteFile(path, data); err != nil {
		return err
	}
	return giveAway(path)
}

// MkdirAll makes folders that only this user may read.
func (OS) MkdirAll(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("cannot make the folder %s; check the rights of the one above it: %w", path, err)
	}
	return errors.Join(giveAway(path), syncDir(filepath.Dir(path)))
}

// Rename renames within one folder or between two of one disk.
func (OS) Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("cannot rename %s: %w", from, err)
	}
	return errors.Join(giveAway(to), syncDir(filepath.Dir(to)))
}

// RemoveAll removes a file or a folder.
func (OS) RemoveAll(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("cannot remove %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename or removal durable. Windows has no such call.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
