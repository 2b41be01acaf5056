// Package trialtest cuts the power: a disk that stops before or after any one
// step. Tests only.
package trialtest

import (
	"errors"
	"os"
	"path/filepath"

	"payagent/agent/trial"
)

// ErrCut is what every step gives after the power was cut.
var ErrCut = errors.New("the power was cut")

// Disk is the real disk until the power is cut.
type Disk struct {
	trial.OS
	// At is the step, counted from 1, at which the power is cut; 0 for never.
	At int
	// After cuts behind the step and not in front of it.
	After bool
	// Steps counts what was done.
	Steps int
}

func (d *Disk) step(do func() error, half func()) error {
	d.Steps++
	switch {
	case d.At == 0 || d.Steps < d.At:
		return do()
	case d.Steps == d.At && d.After:
		return errors.Join(do(), ErrCut)
	case d.Steps == d.At && half != nil:
		half()
	}
	return ErrCut
}

// Cut tells whether the power was cut.
func (d *Disk) Cut() bool { return d.At > 0 && d.Steps >= d.At }

// ReadFile reads; nothing is read without power.
func (d *Disk) ReadFile(path string) ([]byte, error) {
	if d.Cut() {
		return nil, ErrCut
	}
	return d.OS.ReadFile(path)
}

// WriteFile writes; a cut leaves half of the new content in a file beside.
func (d *Disk) WriteFile(path string, data []byte) error {
	return d.step(func() error { return d.OS.WriteFile(path, data) }, func() {
		_ = os.WriteFile(filepath.Join(filepath.Dir(path), ".new-123"), data[:len(data)/2], 0o600)
	})
}

// MkdirAll makes folders.
func (d *Disk) MkdirAll(path string) error {
	return d.step(func() error { return d.OS.MkdirAll(path) }, nil)
}

// Rename renames.
func (d *Disk) Rename(from, to string) error {
	return d.step(func() error { return d.OS.Rename(from, to) }, nil)
}

// RemoveAll removes; a cut leaves half of a folder.
func (d *Disk) RemoveAll(path string) error {
	return d.step(func() error { return d.OS.RemoveAll(path) }, func() {
		if list, err := os.ReadDir(path); err == nil && len(list) > 0 {
			_ = os.Remove(filepath.Join(path, list[0].Name()))
		}
	})
}

// Full is a disk on which nothing can be written any more.
type Full struct{ trial.OS }

// WriteFile fails.
func (Full) WriteFile(string, []byte) error { return errors.New("no space left on the disk") }
