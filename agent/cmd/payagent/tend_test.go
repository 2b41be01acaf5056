//go:build unix

package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
)

// listenManager stands in for the service manager: hear waits for a message
// that holds want and passes over others.
func listenManager(t *testing.T) (hear func(want string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "300000")
	t.Setenv("WATCHDOG_PID", "")
	// It always reads, as a manager does: its socket has room for few messages.
	said := make(chan string, 1<<16)
	go func() {
		defer close(said)
		for b := make([]byte, 4096); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			said <- string(b[:n])
		}
	}()
	return func(want string) {
		t.Helper()
		guard, heard := time.After(2*time.Minute), ""
		for !strings.Contains(heard, want) {
			select {
			case one := <-said:
				heard += one + "\n"
			case <-guard:
				t.Fatalf("the manager never heard %q, but %.500q", want, heard)
			}
		}
	}
}

// The service manager is told when the agent is ready, that it is alive, and
// that it stops.
func TestToldToTheServiceManager(t *testing.T) {
	hear := listenManager(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	file, _ := site(t)
	stop := startSite(t, file)
	hear("READY=1")
	hear("STATUS=就绪 ready")
	hear("WATCHDOG=1")
	hear("WATCHDOG=1")
	stop()
	hear("STOPPING=1")
}

// A process that only refuses is ready and alive too, and says why it refuses:
// ending it would change nothing.
func TestRefusingIsToldToTheServiceManager(t *testing.T) {
	hear := listenManager(t)
	file, _ := site(t)
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	// A file where the store's folder should be: no start can open it.
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(storeDir(c), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, c, io.Discard, nil) }()
	hear("the store cannot be opened")
	hear("WATCHDOG=1")
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), errStore.Error()) {
		t.Fatal(err)
	}
}
