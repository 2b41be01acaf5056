//go:build !linux

package scanbox

import (
	"errors"
	"os"
)

// raw refuses: the pretend scan box is made for Linux.
func raw(*os.File) error {
	return errors.New("cannot make a pretend scan box on this system; leave -pty out and hand codes over through HIS")
}

func pollable(master *os.File) (*os.File, error) { return master, nil }

func shared(*os.File) {}
