//go:build !windows

package main

import (
	"errors"
	"syscall"
)

// refused tells that nobody listens.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
