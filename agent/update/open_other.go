//go:build !windows

package update

import "os"

// openShut opens a program. Whoever could change it while it is open could
// change this process too; a running program the system protects itself.
func openShut(path string) (*os.File, error) { return os.Open(path) }
