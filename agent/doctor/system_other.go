//go:build !linux && !windows

package doctor

import (
	"errors"
	"os"
	"runtime"
)

func owner(os.FileInfo) (uid, gid int) { return -1, -1 }

func access(path string) error {
	_, err := os.Stat(path)
	return err
}

func volume(path string) (Volume, error) {
	_, err := os.Stat(path)
	return Volume{Type: "?", Free: 1 << 40, Total: 1 << 40}, err
}

func scratch(dir string) (*os.File, func() error, error) { return scratchNamed(dir) }

func machine() (kernel, hardware string) { return "", runtime.GOARCH }

func memory() (total, free int64, err error) { return 0, 0, errors.ErrUnsupported }
