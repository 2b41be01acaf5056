//go:build !linux

package wedge

import (
	"fmt"
	"io"
	"runtime"

	"payagent/devices"
)

// Tap cannot read a keyboard here, see Open.
func Tap(devices.Match) (io.ReadCloser, devices.Found, error) {
	return nil, devices.Found{}, fmt.Errorf("cannot read a keyboard: a service on %s gets no keys; switch the scanner to HID POS or serial mode with its set-up sheet", runtime.GOOS)
}
