package agent

import "time"

// Ways says how a platform with two ways is reached (OFF-06).
type Ways struct {
	Second bool          // requests take the second way now
	For    time.Duration // how long already
	Spare  Spare         // the way that is not in use
}

// Spare is what the last look at an unused way told. What is too old to be
// believed is unknown.
type Spare string

// The words of Spare.
const (
	SpareUnknown Spare = "unknown"
	SpareUp      Spare = "up"
	SpareDown    Spare = "down"
)

// Ways tells how a platform is reached; false for one that has a single way.
func (a *Agent) Ways(platform string) (Ways, bool) {
	if a.parts.Ways == nil {
		return Ways{}, false
	}
	return a.parts.Ways(platform)
}
