package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"sort"
	"strconv"
	"time"
)

// ThisMachine is the machine that the program runs on. built is when the
// program was made, zero where unknown.
func ThisMachine(built time.Time) System {
	return System{OS: runtime.GOOS, Arch: runtime.GOARCH, Now: time.Now, Built: built, Me: me, Lookup: lookup, Stat: stat, Read: read, List: names,
		Access: access, Volume: volume, Sync: measure, Listen: couldListen, Links: links, Machine: machine, Memory: memory, Run: run,
		Resolve: func(ctx context.Context, host string) ([]string, error) {
			ctx, stop := context.WithTimeout(ctx, dialPatience)
			defer stop()
			return net.DefaultResolver.LookupHost(ctx, host)
		},
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialPatience}).DialContext(ctx, "tcp", address)
		}}
}

const (
	dialPatience = 5 * time.Second
	runPatience  = 10 * time.Second
	maxRead      = 256 << 10
)

func me() User {
	u := User{UID: os.Geteuid(), Name: "?"}
	if now, err := user.Current(); err == nil {
		u.Name = now.Username
	}
	if list, err := os.Getgroups(); err == nil {
		u.Groups = list
	}
	return u
}

func lookup(name string) (User, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return User{}, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	u := User{Name: name}
	if u.UID, err = strconv.Atoi(found.Uid); err != nil {
		u.UID = -1 // Windows
	}
	ids, err := found.GroupIds()
	if err != nil {
		return u, nil //nolint:nilerr // without groups, then
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil {
			u.Groups = append(u.Groups, n)
		}
	}
	return u, nil
}

func stat(path string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return File{}, err
	}
	f := File{Mode: info.Mode(), Size: info.Size(), At: info.ModTime()}
	f.UID, f.GID = owner(info)
	return f, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxRead))
}

func names(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out, nil
}

// syncs is how many writes are timed.
const syncs = 9

// measure gives the median time of a synced write of 4 KiB in a folder. The
// file has no name where the system knows such files; elsewhere it is removed
// afterwards.
func measure(dir string) (_ time.Duration, err error) {
	f, end, err := scratch(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	page := make([]byte, 4096)
	var took []time.Duration
	for i := range syncs {
		began := time.Now()
		page[0] = byte(i)
		if _, err := f.WriteAt(page, 0); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return took[len(took)/2], nil
}

func couldListen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

func links() ([]string, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	return out, nil
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, runPatience)
	defer stop()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	out, err := cmd.Output()
	if len(out) > maxRead {
		return "", errors.New("it said too much")
	}
	return string(out), err
}
