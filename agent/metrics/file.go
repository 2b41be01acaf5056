package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// File is a page in a file, for the textfile collector of a Prometheus exporter
// on a box that nobody can ask by network.
type File struct {
	// Path of the file. The collector reads names that end in .prom.
	Path string
	// Every is the pause between two writings.
	Every time.Duration
	// Page gives what is written.
	Page func() ([]byte, error)
	// Failed is told once of errors that follow each other, and with nil when
	// the file is written again.
	Failed func(error)
}

// Run writes the file until ctx ends, and takes it away then: figures of an
// agent that does not run are those of no time. After a crash the file's age
// tells (node_textfile_mtime_seconds).
func (f File) Run(ctx context.Context) error {
	tick := time.NewTicker(f.Every)
	defer tick.Stop()
	bad := false
	for {
		err := f.Write()
		if (err != nil) != bad {
			bad = err != nil
			f.Failed(err)
		}
		select {
		case <-ctx.Done():
			if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("cannot take the figures away; delete %s: %w", f.Path, err)
			}
			return nil
		case <-tick.C:
		}
	}
}

// Write writes the file once. Whoever reads it sees the old page or the new one,
// never a part. It is not made durable: that would wear the flash for figures
// that are written again in a moment.
func (f File) Write() (err error) {
	page, err := f.Page()
	if err != nil {
		return err
	}
	// Beside it, so that renaming cannot leave the file system, and under a name
	// that the collector does not read. What a crash or another user left under
	// that name is taken away, and never written through.
	temp := f.Path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write the figures to %s: %w", filepath.Dir(f.Path), err)
	}
	w, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the figures; the service's user needs the folder %s: %w", filepath.Dir(f.Path), err)
	}
	_, err = w.Write(page)
	// The collector is another user, whatever the umask says.
	err = errors.Join(err, w.Chmod(0o644), w.Close())
	if err == nil {
		err = os.Rename(temp, f.Path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write the figures to %s: %w", f.Path, err), os.Remove(temp))
	}
	return nil
}
