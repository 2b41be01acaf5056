package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSameSourceSameBytes: a copy of the source, in another folder and without
// git, builds the same program; so whoever has the source can check what was
// shipped. `make reproducible` compares a whole release.
func TestSameSourceSameBytes(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "another", "place")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (rel == ".git" || rel == "build"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(other, rel), 0o755)
		case !d.Type().IsRegular() || strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(other, rel), data, info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
	build := func(root, version string) []byte {
		t.Helper()
		out := t.TempDir()
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, ".ci", "build"), out, "payagent")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "VERSION="+version, "HID=0", "MADE=2031-02-03")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		data, err := os.ReadFile(filepath.Join(out, "payagent"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	here := build(root, "1.2.3")
	if there := build(other, "1.2.3"); !bytes.Equal(here, there) {
		t.Errorf("the two programs differ: %d and %d bytes", len(here), len(there))
	}
	if bytes.Contains(here, []byte(root)) {
		t.Error("the program names the folder that it was built in")
	}
	if !bytes.Contains(here, []byte("2031-02-03")) {
		t.Error("the program does not know from when it is: has clock.made another name?")
	}
	if bytes.Equal(here, build(root, "1.2.4")) {
		t.Error("the check itself: another version must be seen")
	}
}
