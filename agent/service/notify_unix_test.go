//go:build unix

package service

import (
	"syscall"
	"testing"
)

// readNow reads what waits on a socket, without waiting.
func readNow(t *testing.T, raw syscall.RawConn, b []byte) string {
	t.Helper()
	n := 0
	if err := raw.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), b) }); err != nil {
		t.Fatal(err)
	}
	return string(b[:max(n, 0)])
}
