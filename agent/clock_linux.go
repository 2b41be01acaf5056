package agent

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"payagent/agent/order"
)

// SystemClock reads the machine's clocks: wall time, and time since boot
// including suspend.
type SystemClock struct {
	boot  string
	start time.Duration
}

// NewSystemClock begins now.
func NewSystemClock() SystemClock {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		// Without an id every start counts as a new boot, which is only slower.
		id = []byte("unknown-" + time.Now().Format(time.RFC3339Nano))
	}
	return SystemClock{boot: strings.TrimSpace(string(id)), start: sinceBoot()}
}

// Now gives the present.
func (c SystemClock) Now() order.Now {
	return order.Now{Instant: order.Instant{Wall: time.Now().UnixMilli(), Boot: c.boot, Mono: sinceBoot()}, Start: c.start}
}

func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	}
	return time.Duration(ts.Nano())
}
