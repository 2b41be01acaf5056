//go:build !linux

package machine

import (
	"runtime"
	"time"
)

// Look gathers the facts.
func Look() Facts { return Facts{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()} }

// WearOf tells the wear of the disk that a folder is on; this system does not.
func WearOf(string) Wear { return Wear{Percent: -1} }

// RTC is the clock with a battery; this system shows it as its own.
func RTC() time.Time { return time.Time{} }

// LookClock tells how the clock is kept; this system does not.
func LookClock() Clock { return Clock{} }
