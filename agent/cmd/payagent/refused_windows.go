package main

import (
	"errors"

	"golang.org/x/sys/windows"
)

// refused tells that nobody listens. The syscall package's own number for it is
// made up on Windows and never comes.
func refused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }
