package framing

import "time"

// Touch says that the device did something at a time that gave no byte yet:
// a shift key, a digit of a composed character. It puts the pause off that
// would end an unfinished code.
func (f *Framer) Touch(at time.Time) {
	if !f.Pending() || !at.After(f.prev) {
		return
	}
	if len(f.buf) > 0 {
		f.learn(at.Sub(f.prev))
	}
	f.prev = at
}

// Drop gives up an unfinished code, for instance because the operating system
// lost a part of it.
func (f *Framer) Drop() { f.giveUp() }
