package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Source is where a program comes from.
type Source interface {
	// Open gives the file's bytes from an offset on. at is where they really
	// begin: offset, or 0 where the source cannot go on in the middle.
	Open(ctx context.Context, f fleet.File, offset int64) (r io.ReadCloser, at int64, err error)
}

// How slow a source may be: at least so many bytes in each window. A program of
// 14 MiB takes an hour at most.
const (
	slowWindow = time.Minute
	slowBytes  = 256 << 10
)

// Stage fetches the program of a manifest that is taken here and puts it, with
// the manifest, where Begin finds it: checked, synced, executable. What was
// fetched before a cut of the power is gone on with. progress, which may be
// nil, is told percents.
func (u *Updates) Stage(ctx context.Context, manifest []byte, downgrade bool, from []Source, progress func(percent int)) (fleet.Manifest, error) {
	m, f, err := u.Accept(manifest, downgrade)
	if err != nil {
		return m, errors.Join(err, u.runsAlready(ctx, m, f, manifest, from, progress))
	}
	if st, err := u.State(); err != nil {
		return m, err
	} else if st.Trial == m.Version || st.Current == m.Version || st.Previous == m.Version {
		// Its bytes are in use. The same again is fine; others are not.
		held, err := openProgram(u.program(m.Version), f)
		if errors.Is(err, errGone) {
			return m, u.fetchFrom(ctx, m, f, manifest, from, progress)
		}
		if err != nil {
			return m, trial.Refuse("other_bytes", "cannot take version %s: other bytes of that version are in use here; give the program a new version", m.Version)
		}
		return m, held.Close()
	}
	for _, dir := range []string{u.o.Dir, u.folder(m.Version)} {
		if err := u.o.Disk.MkdirAll(dir); err != nil {
			return m, err
		}
	}
	if held, err := openProgram(u.program(m.Version), f); err == nil {
		return m, errors.Join(held.Close(), u.o.Disk.WriteFile(u.manifest(m.Version), manifest))
	}
	return m, u.fetchFrom(ctx, m, f, manifest, from, progress)
}

// fetchFrom fetches a program from the first source that has it, and puts it
// into its place with its manifest.
func (u *Updates) fetchFrom(ctx context.Context, m fleet.Manifest, f fleet.File, manifest []byte, from []Source, progress func(int)) error {
	part := u.part(m.Version)
	var errs []error
	done := false
	for _, s := range from {
		if err := fetch(ctx, s, f, part, progress); err != nil {
			errs = append(errs, err)
			continue
		}
		done = true
		break
	}
	if !done {
		return trial.Refuse("not_fetched", "cannot get the program of version %s: %v", m.Version, errors.Join(errs...))
	}
	if err := u.o.Disk.Rename(part, u.program(m.Version)); err != nil {
		return err
	}
	return u.o.Disk.WriteFile(u.manifest(m.Version), manifest)
}

// runsAlready puts a manifest in the place of that of the version that runs, if
// it is of the same bytes: before a key is taken out of the configuration, the
// version that it signed is signed by others. A program that was taken away is
// put back.
func (u *Updates) runsAlready(ctx context.Context, m fleet.Manifest, f fleet.File, manifest []byte, from []Source, progress func(int)) error {
	if m.Version == "" || f.SHA256 == "" || m.Version != u.o.Started {
		return nil
	}
	held, err := openProgram(u.program(m.Version), f)
	if errors.Is(err, errGone) {
		b, _, err := u.file.Load()
		if err != nil || b.Current.Version != m.Version || b.Current.SHA256 != f.SHA256 {
			return err
		}
		return errors.Join(u.o.Disk.MkdirAll(u.folder(m.Version)), u.fetchFrom(ctx, m, f, manifest, from, progress))
	}
	if err != nil {
		return nil
	}
	return errors.Join(held.Close(), u.o.Disk.WriteFile(u.manifest(m.Version), manifest))
}

// fetch brings a file whole into part and checks it. A part that turns out
// wrong is fetched anew, once.
func fetch(ctx context.Context, s Source, f fleet.File, part string, progress func(int)) error {
	for again := false; ; again = true {
		resumed, err := fetchOnce(ctx, s, f, part, progress)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errNotAsSigned):
			return err
		case !resumed || again:
			return errors.Join(err, removeIfThere(part))
		}
		if err := removeIfThere(part); err != nil {
			return err
		}
	}
}

func fetchOnce(ctx context.Context, s Source, f fleet.File, part string, progress func(int)) (resumed bool, err error) {
	out, err := openPart(part)
	if err != nil {
		return false, fmt.Errorf("cannot write the program; check the disk: %w", err)
	}
	defer func() {
		if cerr := out.Close(); !errors.Is(cerr, fs.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}()
	have, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if have < f.Size {
		at, err := copyFrom(ctx, s, f, out, have, progress)
		resumed = at > 0
		if err != nil {
			return resumed, err
		}
	} else {
		resumed = true
	}
	// Closed before it is checked: Windows would not open it for us alone else.
	if err := errors.Join(out.Chmod(0o700), out.Sync(), out.Close()); err != nil {
		return resumed, fmt.Errorf("cannot write the program; check the disk: %w", err)
	}
	held, err := openProgram(part, f)
	if err != nil {
		return resumed, err
	}
	return resumed, held.Close()
}

// openPart opens what was fetched so far. What is no file, or is another user's
// (a command that an administrator ran left it), gives place to a new one.
func openPart(part string) (*os.File, error) {
	if info, err := os.Lstat(part); err == nil && !info.Mode().IsRegular() {
		if err := os.RemoveAll(part); err != nil {
			return nil, err
		}
	}
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o700)
	if errors.Is(err, fs.ErrPermission) && removeIfThere(part) == nil {
		out, err = os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o700)
	}
	return out, err
}

// syncEvery is how much a cut of the power may take away of what was fetched,
// in bytes.
const syncEvery = 1 << 20

// copyFrom appends what is missing. Never more than the signed size is
// written.
func copyFrom(ctx context.Context, s Source, f fleet.File, out *os.File, have int64, progress func(int)) (at int64, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var moved atomic.Int64
	go watchPace(ctx, &moved, stop)
	in, at, err := s.Open(ctx, f, have)
	if err != nil {
		return 0, why(ctx, err)
	}
	defer func() { _ = in.Close() }() // only read
	if at != have {
		if at != 0 {
			return 0, fmt.Errorf("the source went on at byte %d instead of %d", at, have)
		}
		if err := out.Truncate(0); err != nil {
			return 0, err
		}
		if _, err := out.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
	}
	buf := make([]byte, 64<<10)
	for n, synced := at, at; ; {
		k, err := in.Read(buf)
		if n+int64(k) > f.Size {
			return at, fmt.Errorf("%w: there are more than the %d bytes that were signed", errNotAsSigned, f.Size)
		}
		if _, werr := out.Write(buf[:k]); werr != nil {
			return at, fmt.Errorf("cannot write the program; check the disk: %w", werr)
		}
		n += int64(k)
		if n-synced >= syncEvery {
			if err := out.Sync(); err != nil {
				return at, fmt.Errorf("cannot write the program; check the disk: %w", err)
			}
			synced = n
		}
		moved.Add(int64(k))
		if progress != nil && k > 0 {
			progress(int(n * 100 / f.Size))
		}
		switch {
		case errors.Is(err, io.EOF) && n < f.Size:
			return at, fmt.Errorf("it ended after %d of %d bytes", n, f.Size)
		case errors.Is(err, io.EOF):
			return at, nil
		case err != nil:
			return at, why(ctx, err)
		}
	}
}

// errSlow is the cause when a source was given up.
var errSlow = fmt.Errorf("fewer than %d bytes came in %v", slowBytes, slowWindow)

// watchPace gives a source up that keeps us waiting for ever.
func watchPace(ctx context.Context, moved *atomic.Int64, stop context.CancelCauseFunc) {
	tick := time.NewTicker(slowWindow)
	defer tick.Stop()
	for last := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := moved.Load()
		if now-last < slowBytes {
			stop(errSlow)
			return
		}
		last = now
	}
}

func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Folder is a folder with the release's files: a USB stick, a mounted share.
type Folder string

// Open opens the file by its name in the manifest.
func (d Folder) Open(_ context.Context, f fleet.File, offset int64) (io.ReadCloser, int64, error) {
	in, err := os.Open(filepath.Join(string(d), f.Name))
	if err != nil {
		return nil, 0, err
	}
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", in.Name())
	}
	if err == nil {
		_, err = in.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, in.Close())
	}
	return in, offset, nil
}
