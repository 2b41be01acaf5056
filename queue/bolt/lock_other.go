//go:build !(linux || darwin || freebsd || netbsd || openbsd || windows)

package bolt

import "os"

// lockFile cannot lock here; bbolt's own lock on orders.db remains.
func lockFile(*os.File) (bool, error) { return true, nil }
