//go:build unix

package voice

import (
	"os/exec"
	"syscall"
)

// own makes killing the program kill what it started too: the program may be a
// script around another one.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
