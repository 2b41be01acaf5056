//go:build lab && linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// within asks again until the answer is yes; false after the time.
func within(d time.Duration, ask func() bool) bool {
	for deadline := time.Now().Add(d); !ask(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// nodes lists the nodes of a class (hidraw, input, tty) below a USB place,
// such as hidraw0 for "1-1".
func nodes(class, prefix, port string) []string {
	list, _ := filepath.Glob("/sys/class/" + class + "/" + prefix + "*")
	var found []string
	for _, path := range list {
		real, err := filepath.EvalSymlinks(path)
		if err == nil && strings.Contains(real, "/"+port+"/") {
			found = append(found, "/dev/"+filepath.Base(path))
		}
	}
	return found
}

// hostNode waits for the node that the kernel gives to a plugged gadget.
func hostNode(t testing.TB, g *gadget) string {
	t.Helper()
	class, prefix, dir := "hidraw", "hidraw", ""
	switch g.kind {
	case keyboard:
		class, prefix, dir = "input", "event", "input/"
	case cdc:
		class, prefix = "tty", "ttyACM"
	}
	var node string
	port := g.port(t)
	if !within(10*time.Second, func() bool {
		list := nodes(class, prefix, port)
		if len(list) == 0 {
			return false
		}
		node = "/dev/" + dir + strings.TrimPrefix(list[0], "/dev/")
		_, err := os.Stat(node)
		return err == nil
	}) {
		t.Fatalf("no %s came for the %v gadget at %s", class, g.kind, port)
	}
	return node
}

// spy is another reader of a node: it counts what reaches it.
type spy struct {
	f     *os.File
	count atomic.Int64
	done  chan error
}

func newSpy(node string, counts func([]byte) int) (*spy, error) {
	f, err := os.OpenFile(node, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	s := &spy{f: f, done: make(chan error, 1)}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			s.count.Add(int64(counts(buf[:n])))
			if err != nil {
				if errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF) {
					err = nil
				}
				s.done <- err
				return
			}
		}
	}()
	return s, nil
}

func (s *spy) close() error { return errors.Join(s.f.Close(), <-s.done) }

// evdevSpy counts keys that go down, as a program beside the agent sees them.
func evdevSpy(node string) (*spy, error) {
	size := int(unsafe.Sizeof(unix.Timeval{})) + 8
	return newSpy(node, func(p []byte) (n int) {
		for ; len(p) >= size; p = p[size:] {
			event := p[size-8:]
			if binary.NativeEndian.Uint16(event) == 1 && binary.NativeEndian.Uint32(event[4:]) != 0 {
				n++
			}
		}
		return n
	})
}

// consoleSpy counts the bytes that are typed into the foreground console.
func consoleSpy() (*spy, error) {
	f, err := os.OpenFile("/dev/tty1", os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := raw(f); err != nil {
		return nil, err
	}
	s, err := newSpy("/dev/tty1", func(p []byte) int { return len(p) })
	if err != nil {
		return nil, fmt.Errorf("cannot listen at the console: %w", err)
	}
	return s, nil
}
