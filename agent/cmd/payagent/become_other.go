//go:build !linux

package main

import (
	"context"
	"io"
	"os"
)

// become starts the program as a child and stands in front of it: where a
// process cannot take another's place, the service manager knows this one.
func become(ctx context.Context, program *os.File, env []string, out io.Writer, hung func() bool) error {
	return front(ctx, program.Name(), env, out, hung)
}
