package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func owner(info os.FileInfo) (uid, gid int) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), int(s.Gid)
	}
	return -1, -1
}

func access(path string) error { return unix.Access(path, unix.W_OK) }

// volume finds the mount that a path lies on.
func volume(path string) (Volume, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Volume{}, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Volume{}, fmt.Errorf("cannot see the file system of %s: %w", path, err)
	}
	v := Volume{Free: int64(st.Bavail) * int64(st.Bsize), Total: int64(st.Blocks) * int64(st.Bsize)}
	data, err := read("/proc/self/mountinfo")
	if err != nil {
		return v, err
	}
	v.Type, v.Device, v.Options = mountOf(string(data), path)
	return v, nil
}

// mountOf finds the longest mount point above a path in mountinfo.
func mountOf(table, path string) (kind, device, options string) {
	best := -1
	for line := range strings.Lines(table) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			continue
		}
		at := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(l[4])
		if at != "/" && at != path && !strings.HasPrefix(path, at+"/") {
			continue
		}
		// A later mount on the same point hides the earlier one.
		if len(at) >= best {
			best, kind, device, options = len(at), r[0], r[1], l[5]+","+r[2]
		}
	}
	return kind, device, options
}

func scratch(dir string) (*os.File, func() error, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		f := os.NewFile(uintptr(fd), "scratch")
		return f, f.Close, nil
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EROFS) {
		return nil, nil, err
	}
	return scratchNamed(dir)
}

func machine() (kernel, hardware string) {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "", ""
	}
	return unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
}

func memory() (total, free int64, err error) {
	data, err := read("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		switch {
		case err != nil:
		case f[0] == "MemTotal:":
			total = n << 10
		case f[0] == "MemAvailable:":
			free = n << 10
		}
	}
	if total == 0 {
		return 0, 0, errors.New("/proc/meminfo is not understood")
	}
	return total, free, nil
}
