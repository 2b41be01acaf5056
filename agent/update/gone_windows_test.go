package update_test

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestHeldByScanner: a program that another holds for itself is away like one
// that has vanished.
func TestHeldByScanner(t *testing.T) {
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	w.keep(u, "1.1.0")
	name, err := syscall.UTF16PtrFromString(filepath.Join(w.dir, "1.1.0", "payagent"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ, 0, nil, syscall.OPEN_EXISTING, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.CloseHandle(h) }()
	w.want(u, "1.1.0", "", "1.1.0")
	got, _, u := w.boot("1.0.0")
	if got != "1.0.0" {
		t.Error(got, "runs")
	}
	w.want(u, "", "1.1.0 program_gone")
}
