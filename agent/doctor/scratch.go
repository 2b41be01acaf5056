package doctor

import (
	"errors"
	"os"
)

// scratchNamed makes a file for timing writes; end closes and removes it.
func scratchNamed(dir string) (f *os.File, end func() error, err error) {
	f, err = os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return nil, nil, err
	}
	return f, func() error { return errors.Join(f.Close(), os.Remove(f.Name())) }, nil
}
