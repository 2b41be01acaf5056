package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
)

// become lets the open file take this process's place: the same process for
// the service manager, and the very bytes that were checked. It returns only if
// that does not work.
func become(_ context.Context, program *os.File, env []string, _ io.Writer, _ func() bool) error {
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", program.Fd()), os.Args, env)
}
