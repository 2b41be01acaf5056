package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"payagent/platforms"
)

// WriteFile writes a file that only this user may read, so that after a crash
// there is the old content or the new, never half of it: a temporary file of
// mode 0600 beside it, synced, renamed, and the folder synced.
func WriteFile(path string, data []byte) error {
	return writeFile(path, data, func(string) error { return nil })
}

// ReplaceFile is WriteFile for a file that is there, which keeps its mode and
// its owner.
func ReplaceFile(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("cannot replace %s: %w", path, err)
	}
	return writeFile(path, data, func(temp string) error {
		return errors.Join(os.Chmod(temp, info.Mode().Perm()), GiveTo(path, temp))
	})
}

func writeFile(path string, data []byte, prepare func(temp string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, tempPrefix+"*") // mode 0600
	if err != nil {
		return fmt.Errorf("cannot write %s; check that the folder exists, is writable and has room: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = prepare(f.Name())
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = SyncDir(dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %s; check that the disk is well and has room: %w", path, err), removeIfThere(f.Name()))
	}
	return nil
}

const tempPrefix = ".new-"

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes a rename or removal in a folder durable. Windows has no such
// call and needs none.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// maxSecret bounds a file that holds one secret.
const maxSecret = 4 << 10

// ReadSecret reads a file that holds one secret alone: an access token, a
// proxy's password. The path may be credential:NAME (see [SecretFile]), and the
// file's content closed by DPAPI. Blanks and line ends around it are dropped. shared tells
// that other users of this machine may read the file, which deserves a
// warning (SEC-02). The error never holds the secret.
func ReadSecret(path string) (secret platforms.Hidden, shared bool, err error) {
	data, shared, err := readSecret(path, maxSecret)
	if err == nil && bytes.ContainsAny(data, "\r\n") {
		err = fmt.Errorf("cannot use the secret in %s: it must hold one line of at most %d bytes", path, maxSecret)
	}
	if err != nil {
		return platforms.Hidden{}, false, err
	}
	return platforms.Hide(string(data)), shared, nil
}

// maxKey bounds a file that holds one key: 8192 bits in PEM are 6.5 KB.
const maxKey = 16 << 10

// ReadKey is ReadSecret for a key of several lines, such as PEM. A private key
// that other users of this machine may read is refused: who has it can sign
// payments as the hospital.
func ReadKey(path string, private bool) (platforms.Hidden, error) {
	data, shared, err := readSecret(path, maxKey)
	if err == nil && private && shared {
		err = fmt.Errorf("cannot use the private key in %s: other users of this machine can read it; run chmod 600 on it", path)
	}
	if err != nil {
		return platforms.Hidden{}, err
	}
	return platforms.Hide(string(data)), nil
}

func readSecret(name string, limit int) (data []byte, shared bool, err error) {
	path, kept, err := SecretFile(name)
	if err != nil {
		return nil, false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the secret; check the path and its permissions: %w", err)
	}
	data, err = io.ReadAll(io.LimitReader(f, int64(limit)+1))
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return nil, false, fmt.Errorf("cannot read the secret in %s; check that it is a file: %w", path, err)
	}
	long := len(data) > limit
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) // editors put a BOM there
	if !long {
		if data, _, err = opened(path, data); err != nil {
			return nil, false, err
		}
		data = bytes.TrimSpace(data)
	}
	switch {
	case len(data) == 0:
		return nil, false, fmt.Errorf("cannot use the secret in %s: the file is empty; write the secret into it", path)
	case long || bytes.ContainsRune(data, 0):
		return nil, false, fmt.Errorf("cannot use the secret in %s: it must hold text of at most %d bytes", path, limit)
	}
	return data, !kept && tooOpen(info), nil
}

// tooOpen tells whether others than the owner may read a file. Windows keeps
// that elsewhere, and its mode bits say nothing.
func tooOpen(info os.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
}
