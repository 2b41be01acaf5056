// Package release makes the manifest of a release from its programs. It reads
// from each program for which machine it was built, so that nobody can sign the
// wrong one by a slip. It is for whoever signs; boxes do without.
package release

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"payagent/agent/fleet"
)

// program is the package that a box's program is built from.
const program = "payagent/agent/cmd/payagent"

// Describe reads a program and says what it is. base, which may be empty, is
// the https address of the folder from which boxes may fetch it.
func Describe(path, base string) (fleet.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return fleet.File{}, fmt.Errorf("cannot read the program: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := buildinfo.Read(f)
	if err != nil {
		return fleet.File{}, fmt.Errorf("cannot tell what %s is; give programs as make release builds them, not packages: %w", path, err)
	}
	if info.Path != program {
		return fleet.File{}, fmt.Errorf("cannot take %s: it is built from %s, not from %s", path, info.Path, program)
	}
	out := fleet.File{Name: filepath.Base(path)}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			out.OS = s.Value
		case "GOARCH":
			out.Arch = s.Value
		case "CGO_ENABLED":
			out.Cgo = s.Value == "1"
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fleet.File{}, err
	}
	sum := sha256.New()
	if out.Size, err = io.Copy(sum, io.LimitReader(f, fleet.MaxProgram+1)); err != nil {
		return fleet.File{}, fmt.Errorf("cannot read the program: %w", err)
	}
	out.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if base != "" {
		out.URLs = []string{base + "/" + out.Name}
	}
	return out, nil
}

// Terms are what a manifest says besides its files.
type Terms struct {
	Version string
	Floor   string // empty: the version itself may be left again
	Store   uint32 // the store format that the version writes; 0 means 1
	Days    int    // until it expires; 0 means 90
	Base    string // https address of the folder with the programs; empty: beside the manifest only
	Notes   string
}

// New makes the manifest of programs, checked. fleet.SignManifest signs it.
func New(t Terms, now time.Time, programs ...string) (fleet.Manifest, error) {
	if t.Floor == "" {
		t.Floor = "0.0.0"
	}
	if t.Days == 0 {
		t.Days = 90
	}
	now = now.UTC().Truncate(time.Second)
	m := fleet.Manifest{Product: fleet.Product, Version: t.Version, Floor: t.Floor, Issued: now, Expires: now.AddDate(0, 0, t.Days), Store: max(t.Store, 1), Notes: t.Notes}
	for _, p := range programs {
		f, err := Describe(p, t.Base)
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, f)
	}
	return m, m.Check()
}
