package logfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestTurnsOverByBytes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "logs", "agent.log")
	l, err := Open(path, 4096, 2)
	if err != nil {
		t.Fatal(err)
	}
	line := append(bytes.Repeat([]byte("x"), 99), '\n')
	for i := range 300 {
		if n, err := fmt.Fprintf(l, "%05d%s", i, line[5:]); err != nil || n != 100 {
			t.Fatal(n, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("want the file and two old ones: %v %v", files, err)
	}
	newest, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(newest, []byte("00299")) {
		t.Errorf("the newest line is not in the newest file: %v", err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Size() > 4096 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v bytes, mode %v, %v", f, info.Size(), info.Mode(), err)
		}
	}
	if _, err := l.Write(line); err == nil {
		t.Error("a closed log takes a line")
	}
}

func TestGoesOnInAnOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.log")
	if err := os.WriteFile(path, bytes.Repeat([]byte("o"), 4090), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path, 4096, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	huge := bytes.Repeat([]byte("h"), 10000)
	if n, err := l.Write(huge); err != nil || n != len(huge) {
		t.Fatal(n, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 4096 {
		t.Errorf("a line longer than the file: %v %v", info.Size(), err)
	}
	if old, err := os.ReadFile(path + ".1"); err != nil || len(old) != 4090 {
		t.Errorf("the old file: %d bytes, %v", len(old), err)
	}
}

func TestRefusesNonsense(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "x"), 10, 1); err == nil {
		t.Error("10 bytes are enough for a log")
	}
}
