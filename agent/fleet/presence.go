package fleet

import "time"

// Newer tells which of two statuses of one box is to be believed: the one that
// arrived later, unless it is the will of an older connection, which brokers
// may send after the new connection's first status (evcc #7801). A receiver
// keeps the last status of each box and replaces it where Newer says so.
//
// A will of another start of the process (BootID) is believed only if it was
// made after the status that is known: its At is when its connection began.
func Newer(known *Status, next Status) bool {
	switch {
	case known == nil:
		return true
	case known.BootID == next.BootID:
		return next.Seq >= known.Seq
	case next.State == StateLost:
		return next.At.After(known.At)
	}
	return true
}

// Presence is what is to be shown of a box now: its state, or unknown where
// nothing was heard for three intervals (OBS-09). received is when the status
// was received by the receiver's own clock, or, for a retained one, zero: then
// only At can be gone by.
func Presence(s *Status, received, now time.Time) (state string, age time.Duration) {
	if s == nil {
		return StateUnknown, 0
	}
	at := received
	if at.IsZero() {
		at = s.At
	}
	age = max(now.Sub(at), 0)
	switch s.State {
	case StateLost, StateGone: // these last until the box says something
		return s.State, age
	case StateInit, StateReady, StateAlert:
		if age <= 3*time.Duration(max(s.Every, 1))*time.Second {
			return s.State, age
		}
	}
	return StateUnknown, age
}
