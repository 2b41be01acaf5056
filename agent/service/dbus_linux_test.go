package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// startBus runs a real dbus-daemon on a socket of its own.
func startBus(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "bus.conf")
	err := os.WriteFile(conf, []byte(`<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=`+filepath.Join(dir, "bus")+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*" eavesdrop="true"/><allow own="*"/></policy></busconfig>`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--nopidfile", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal("cannot start dbus-daemon; make setup installs it:", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// logind stands in for systemd-logind: another implementation of D-Bus than
// ours answers.
type logind struct {
	asked  chan string // what was asked for
	mu     sync.Mutex
	locks  []*os.File // the other ends of the locks that were given
	second bool       // refuses the second lock only
	handed []*os.File // our copies of what was given
	refuse bool
	wrong  bool // answers a text instead of a descriptor
}

func standIn(t *testing.T, address string, l *logind) {
	t.Helper()
	c, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	answer := func(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
		l.asked <- strings.Join([]string{what, who, why, mode}, "|")
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refuse || l.second && len(l.locks) > 0 {
			return 0, dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"Permission denied"})
		}
		r, w, err := os.Pipe()
		if err != nil {
			return 0, dbus.MakeFailedError(err)
		}
		l.locks = append(l.locks, r)
		t.Cleanup(func() { _ = r.Close() })
		l.handed = append(l.handed, w)
		return dbus.UnixFD(w.Fd()), nil
	}
	text := func(string, string, string, string) (string, *dbus.Error) { return "no lock", nil }
	methods := map[string]any{"Inhibit": answer}
	if l.wrong {
		methods["Inhibit"] = text
	}
	if err := c.ExportMethodTable(methods, "/org/freedesktop/login1", "org.freedesktop.login1.Manager"); err != nil {
		t.Fatal(err)
	}
	if reply, err := c.RequestName("org.freedesktop.login1", 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
}

// The lock is asked for in logind's words and is held until it is closed.
func TestHoldMachine(t *testing.T) {
	address := startBus(t)
	l := &logind{asked: make(chan string, 8)}
	standIn(t, address, l)
	lock, err := holdMachine(t.Context(), address, "有订单正在付款")
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"shutdown", "sleep"} {
		if got := <-l.asked; got != what+"|payagent|有订单正在付款|block" {
			t.Fatal(got)
		}
	}
	for _, f := range lock.(locks) {
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Fatal("a child would inherit the lock", flags, err)
		}
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ours := range l.handed {
		_ = ours.Close()
	}
	// logind sees the end of a lock when nobody holds the other end any more.
	for _, other := range l.locks {
		if n, err := other.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatal("the lock is still held", n, err)
		}
	}
}

// What is not a lock is none, and the error says what to do.
func TestHoldMachineWrong(t *testing.T) {
	address := startBus(t)
	fails := func(name, address, want string) {
		t.Helper()
		lock, err := holdMachine(t.Context(), address, "x")
		if err == nil {
			_ = lock.Close()
			t.Fatalf("%s: a lock was had", name)
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "cannot keep the machine up") {
			t.Fatalf("%s: %v", name, err)
		}
	}
	fails("nobody is logind", address, "ServiceUnknown")
	fails("no bus", "unix:path=/nonexistent/bus", "no such file")
	fails("no unix address", "tcp:host=127.0.0.1,port=1", "no unix socket")
	l := &logind{asked: make(chan string, 8), refuse: true}
	standIn(t, address, l)
	fails("refused", address, "Permission denied")
	half := startBus(t)
	second := &logind{asked: make(chan string, 8), second: true}
	standIn(t, half, second)
	fails("the second refused", half, "Permission denied")
	other := startBus(t)
	standIn(t, other, &logind{wrong: true})
	fails("a text instead of a lock", other, "no lock")
}

// A bus that is silent, or talks nonsense, holds nobody up.
func TestBusOfNonsense(t *testing.T) {
	for name, answer := range map[string]string{
		"silent":         "",
		"refuses":        "REJECTED EXTERNAL\r\n",
		"endless line":   strings.Repeat("x", 4096),
		"no descriptors": "OK 0123\r\nERROR\r\n",
		"no message":     "OK 0123\r\nAGREE_UNIX_FD\r\nnonsense nonsense nonsense",
		"hangs up":       "-",
	} {
		path := filepath.Join(t.TempDir(), "bus")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(served)
			c, err := l.Accept()
			if err != nil {
				return
			}
			if answer != "-" {
				_, _ = c.Write([]byte(answer))
				<-done
			}
			_ = c.Close()
		}()
		patience := time.Minute
		if name == "silent" {
			patience = 200 * time.Millisecond // only its end ends this
		}
		ctx, stop := context.WithTimeout(t.Context(), patience)
		_, err = holdMachine(ctx, "unix:path="+path, "x")
		if err == nil || name != "silent" && name != "hangs up" && errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		stop()
		close(done)
		_ = l.Close()
		<-served
	}
}

func TestBusPath(t *testing.T) {
	for address, want := range map[string]string{
		"unix:path=/run/x":                    "/run/x",
		"unix:guid=1,path=/run/x":             "/run/x",
		"tcp:host=a,port=1;unix:abstract=abc": "@abc",
		"":                                    "",
		"unix:dir=/tmp":                       "",
	} {
		got, err := busPath(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", address, got, err)
		}
	}
}

// What the bus sends is read whole or refused, never past its end.
func FuzzMessage(f *testing.F) {
	f.Add(callMessage(7, "/a", "b.c", "d.e", "F", []string{"x", "有"}))
	f.Add([]byte("l\x03\x01\x01\x05\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x05\x01u\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("B\x02\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x08\x05\x01u\x00\x00\x00\x00\x07"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, n, err := parseMessage(data)
		if n > len(data) || n < 0 || err != nil && n != 0 {
			t.Fatal(m, n, err)
		}
		for i := range min(n, 256) {
			if _, short, err := parseMessage(data[:i]); short != 0 || err != nil {
				t.Fatalf("%d of %d bytes give a message: %v", i, n, err)
			}
		}
		_ = fmt.Sprint(m)
	})
}
