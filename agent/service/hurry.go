package service

import "runtime/debug"

// hurryPercent lets a small heap of 4 MB grow by 8 MB.
const hurryPercent = 300

// Hurry has the garbage collector run less often, for some more megabytes of
// memory, until end is called: much that is done at once and for a short time
// takes a fifth less. GOGC in the environment counts if it is higher. One hurry
// at a time.
func Hurry() (end func()) {
	before := debug.SetGCPercent(hurryPercent)
	if before < 0 || before > hurryPercent {
		debug.SetGCPercent(before)
	}
	return func() { debug.SetGCPercent(before) }
}
