package box

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"payagent/agent/fleet"
	"payagent/uplink"
)

// Start is one start of the program at its place in the fleet. It exists before
// the agent does, because the connection to the broker does.
type Start struct {
	Place   fleet.Place
	Boot    string        // names this start
	Every   time.Duration // how often the status is repeated
	Version string        // of the program
}

// NewStart names a start.
func NewStart(place fleet.Place, every time.Duration, version string) (Start, error) {
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return Start{}, fmt.Errorf("cannot name this start for the fleet: %w", err)
	}
	return Start{Place: place, Boot: hex.EncodeToString(raw[:]), Every: every, Version: version}, nil
}

// Will is what the broker is to say when the n-th connection breaks.
func (s Start) Will(n uint64) *uplink.Message {
	now := atWall(time.Now().UnixMilli())
	data, err := json.Marshal(fleet.Status{State: fleet.StateLost, BootID: s.Boot, Seq: n, Since: now, At: now, Every: int(s.Every / time.Second), Version: s.Version})
	if err != nil {
		return nil
	}
	return &uplink.Message{Topic: s.Place.Topic(fleet.LevelStatus), Payload: data, Retain: true}
}
