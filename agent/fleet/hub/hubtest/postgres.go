package hubtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts Debian's PostgreSQL on a socket in a folder of its own and
// gives a function that makes the address of a new, empty database in it. It
// ends with the test. .ci/setup installs it.
func Postgres(t testing.TB) func() string {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Fatal("cannot find PostgreSQL; run .ci/setup")
	}
	bin := bins[len(bins)-1]
	dir, err := os.MkdirTemp("", "hubpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// The server refuses to run as root.
	var as *syscall.SysProcAttr
	if os.Getuid() == 0 {
		u, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	run := func(program string, args ...string) {
		t.Helper()
		c := exec.Command(filepath.Join(bin, program), args...)
		c.SysProcAttr, c.Dir = as, dir
		c.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8")
		var out bytes.Buffer // not a pipe: the server goes on holding it
		log, err := os.CreateTemp(t.TempDir(), "pg")
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		c.Stdout, c.Stderr = log, log
		if err := c.Run(); err != nil {
			data, _ := os.ReadFile(log.Name())
			out.Write(data)
			t.Fatalf("%s: %v\n%s", program, err, out.String())
		}
	}
	data := filepath.Join(dir, "data")
	run("initdb", "-D", data, "-U", "hub", "-A", "trust", "--no-sync", "-E", "UTF8")
	run("pg_ctl", "-D", data, "-w", "-t", "60", "-l", filepath.Join(dir, "log"), "-o", "-F -c listen_addresses='' -c unix_socket_directories="+dir, "start")
	t.Cleanup(func() { run("pg_ctl", "-D", data, "-m", "immediate", "stop") })
	n := 0
	return func() string {
		n++
		name := fmt.Sprintf("hub%d", n)
		run("createdb", "-h", dir, "-U", "hub", name)
		return fmt.Sprintf("host=%s user=hub dbname=%s", dir, name)
	}
}
