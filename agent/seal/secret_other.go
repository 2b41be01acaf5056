//go:build !windows

package seal

import "errors"

// unprotect is for Windows alone.
func unprotect([]byte) ([]byte, error) {
	return nil, errors.New("it is closed by DPAPI of a Windows machine; use credential:NAME here (docs/operations.md)")
}
