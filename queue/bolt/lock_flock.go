//go:build linux || darwin || freebsd || netbsd || openbsd

package bolt

import (
	"os"
	"syscall"
)

// lockFile takes an exclusive lock without waiting; false means that another
// program (or another Log of this one) has it.
func lockFile(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch err {
		case nil:
			return true, nil
		case syscall.EWOULDBLOCK:
			return false, nil
		case syscall.EINTR:
		default:
			return false, err
		}
	}
}
