//go:build !unix

package ledger

import "os"

// lock holds the file open. Where there is no flock, starting the pretend
// world once is the user's care.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
