//go:build !linux && !darwin && !freebsd && !openbsd

package serial

import "io"

// node is nothing here: Windows opens a port for one program only.
type node struct{}

// Close does nothing.
func (node) Close() error { return nil }

func (node) keepLines() {}

func (node) flush() {}

// writer is the port itself, whose writes have a time-out of their own.
func (node) writer(port io.Writer) io.Writer { return port }

func lockNode(string) (node, error) { return node{}, nil }
