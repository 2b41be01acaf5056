// Package lines reads codes from a stream, one per line: from standard input,
// for trying things out without a scanner.
package lines

import (
	"io"

	"payagent/devices"
	"payagent/devices/internal/framing"
	"payagent/devices/internal/reading"
)

// Scanner reads lines.
type Scanner struct{ *reading.Reader }

var _ devices.Scanner = Scanner{}

// New reads codes from r until its end, which counts as the device being gone.
// An unfinished last line is not a code. The same line within 3 s counts once,
// as with a real scanner. Close closes r where it can be closed; a Read that
// this does not wake, as on a terminal, ends with the next line.
func New(name string, r io.Reader) (Scanner, error) {
	rc, ok := r.(io.ReadCloser)
	if !ok {
		rc = io.NopCloser(r)
	}
	got, err := reading.Start(rc, reading.Config{
		Name: name, Blocking: true,
		// People may pause in the middle of a line.
		Framing: framing.Config{End: framing.EndLine, Stale: -1},
	})
	if err != nil {
		return Scanner{}, err
	}
	return Scanner{got}, nil
}
