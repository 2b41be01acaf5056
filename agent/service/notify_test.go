//go:build unix

package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// manager is the service manager's end of the notification protocol.
type manager struct {
	t    *testing.T
	path string
	c    *net.UnixConn
}

func newManager(t *testing.T) *manager {
	m := &manager{t: t, path: filepath.Join(t.TempDir(), "notify")}
	var err error
	if m.c, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.c.Close() })
	return m
}

// hear gives the next message; "" when none waits and block is false.
func (m *manager) hear(block bool) string {
	m.t.Helper()
	end := time.Now().Add(time.Minute)
	if !block {
		end = time.Now().Add(-time.Second)
	}
	if err := m.c.SetReadDeadline(end); err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 4096)
	if !block { // a deadline in the past also hides what waits
		raw, err := m.c.SyscallConn()
		if err != nil {
			m.t.Fatal(err)
		}
		return readNow(m.t, raw, b)
	}
	n, err := m.c.Read(b)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotify(t *testing.T) {
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	if err := Notify(Ready, Say("就绪\nready")); err != nil {
		t.Fatal(err)
	}
	if got := m.hear(true); got != "READY=1\nSTATUS=就绪 ready" {
		t.Fatalf("%q", got)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify(Ready); err != nil {
		t.Fatal("without a manager nothing is told:", err)
	}
	t.Setenv("NOTIFY_SOCKET", m.path+"-none")
	if err := Notify(Ready); err == nil || !strings.HasPrefix(err.Error(), "cannot tell") {
		t.Fatal(err)
	}
}

// A manager that does not read holds nobody up.
func TestNotifyNobodyReads(t *testing.T) {
	m := newManager(t)
	for range 10_000 {
		if err := notify(m.path, time.Millisecond, Ready); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("the socket was never full")
}

func TestInterval(t *testing.T) {
	for name, x := range map[string]struct {
		usec, pid string
		want      time.Duration
	}{
		"mine":     {"30000000", "7", 30 * time.Second},
		"anyone's": {"30000000", "", 30 * time.Second},
		"another":  {"30000000", "8", 0},
		"none":     {"", "", 0},
		"nonsense": {"-1", "", 0},
		"too long": {"99999999999999999999", "", 0},
	} {
		env := func(key string) string { return map[string]string{"WATCHDOG_USEC": x.usec, "WATCHDOG_PID": x.pid}[key] }
		if got := interval(env, 7); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A process whose loop hangs feeds its watchdog no more, on a real socket.
func TestHungLoopStarvesTheWatchdog(t *testing.T) {
	m := newManager(t)
	var hung atomic.Bool
	asked := make(chan struct{}, 100)
	w := Watch{Interval: 30 * time.Millisecond, Text: func() string { return "" }, Logger: slog.New(slog.DiscardHandler),
		Notify: func(states ...string) error { return notify(m.path, time.Minute, states...) },
		Alive: func(ctx context.Context, _ bool) error {
			if hung.Load() {
				asked <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	for range 3 {
		if got := m.hear(true); got != "WATCHDOG=1" {
			t.Fatalf("%q", got)
		}
	}
	hung.Store(true)
	// What was fed before must be heard first: a loop that finds the socket full
	// waits for room, and asks nobody.
	for waits := true; waits; {
		select {
		case <-asked: // what was fed before is on the socket by now
			waits = false
		case <-time.After(time.Millisecond):
		}
		for m.hear(false) != "" {
		}
	}
	for range 4 {
		<-asked
	}
	if got := m.hear(false); got != "" {
		t.Fatalf("a hung loop fed the watchdog: %q", got)
	}
	hung.Store(false)
	if got := m.hear(true); got != "WATCHDOG=1" {
		t.Fatalf("%q", got)
	}
	stop()
	<-ended
}

// The watchdog is fed three times in each interval, the status is told when it
// changes, and the store is written as often as asked, and not more often.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text, alive, writes := "ready", error(nil), 0
		var heard []string
		var mu sync.Mutex
		locked := func(do func()) {
			mu.Lock()
			defer mu.Unlock()
			do()
		}
		w := Watch{Interval: 30 * time.Second, Commit: 10 * time.Minute, Logger: slog.New(slog.DiscardHandler),
			Text: func() (now string) { locked(func() { now = text }); return now },
			Notify: func(states ...string) error {
				locked(func() { heard = append(heard, strings.Join(states, " ")) })
				return nil
			},
			Alive: func(_ context.Context, commit bool) (err error) {
				locked(func() {
					if err = alive; commit {
						writes++
					}
				})
				return err
			}}
		go w.Run(t.Context())
		pass := func(d time.Duration) string {
			locked(func() { heard = nil })
			time.Sleep(d)
			synctest.Wait()
			return strings.Join(heard, ",")
		}
		synctest.Wait()
		if got := strings.Join(heard, ","); got != "STATUS=ready WATCHDOG=1" {
			t.Fatal(got)
		}
		if got := pass(30 * time.Second); got != "WATCHDOG=1,WATCHDOG=1,WATCHDOG=1" {
			t.Fatal(got)
		}
		locked(func() { text, alive = "no payments", errors.New("hangs") })
		if got := pass(30 * time.Second); got != "STATUS=no payments" {
			t.Fatal(got)
		}
		locked(func() { alive = nil })
		if pass(59 * time.Minute); writes != 6 {
			t.Fatal(writes, "writes in an hour")
		}
	})
}

// Without a manager that asks, the agent is not asked either.
func TestWatchNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		w := Watch{Text: func() string { return "x" }, Notify: func(...string) error { return nil }, Logger: slog.New(slog.DiscardHandler),
			Alive: func(context.Context, bool) error { n++; return nil }}
		go w.Run(t.Context())
		time.Sleep(time.Hour)
		if synctest.Wait(); n != 0 {
			t.Fatal(n)
		}
	})
}
