//go:build !linux

package agent

import (
	"time"

	"payagent/agent/order"
)

// SystemClock reads the machine's clocks. Where the time since boot is not to
// be had, every start of the process counts as a new boot, which is only slower.
type SystemClock struct{ began time.Time }

// NewSystemClock begins now.
func NewSystemClock() SystemClock { return SystemClock{began: time.Now()} }

// Now gives the present.
func (c SystemClock) Now() order.Now {
	return order.Now{Instant: order.Instant{Wall: time.Now().UnixMilli(), Boot: "process-" + c.began.Format(time.RFC3339Nano),
		Mono: time.Since(c.began)}}
}
