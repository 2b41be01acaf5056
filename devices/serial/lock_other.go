//go:build !linux && !darwin && !freebsd && !openbsd

package serial

import "io"

type free struct{}

// Close does nothing.
func (free) Close() error { return nil }

// lockNode has nothing to do here: Windows opens a port for one program only.
func lockNode(string) (io.Closer, error) { return free{}, nil }
