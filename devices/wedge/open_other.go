//go:build !linux

package wedge

import (
	"fmt"
	"runtime"
)

// Open cannot read a keyboard here: the system gives its keys to the window in
// front, not to a service.
func Open(cfg Config) (Scanner, error) {
	return Scanner{}, fmt.Errorf("cannot read scanner %s: a service on %s gets no keys of a keyboard; switch the scanner to HID POS or serial mode with its set-up sheet, see payagent devices learn", cfg.Name, runtime.GOOS)
}
