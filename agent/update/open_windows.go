package update

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// openShut opens a program so that nobody can write it until it is closed:
// it is started by its name there. A scanner that looks at it right now is
// waited for, up to three seconds.
func openShut(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		h, err := syscall.CreateFile(name, syscall.GENERIC_READ, syscall.FILE_SHARE_READ, nil, syscall.OPEN_EXISTING, syscall.FILE_ATTRIBUTE_NORMAL, 0)
		if err == nil {
			return os.NewFile(uintptr(h), path), nil
		}
		if try == 30 || !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		time.Sleep(100 * time.Millisecond)
	}
}
