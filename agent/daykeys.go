package agent

import (
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// dayKeys finds a fact by its day (UTC+8), where the fact is one that books
// are kept by.
func dayKeys(f order.Fact) []string {
	a := f.Answer
	switch {
	case f.Kind == order.KindCreated, f.Kind == order.KindEnded, f.Kind == order.KindBooked, f.Kind == order.KindResolved:
	case f.Kind == order.KindDecided && !f.Decided.OK:
	case f.Kind == order.KindAnswered && (a.Status == platforms.Paid.String() || a.Done || a.Outcome.Final()):
	default:
		return nil
	}
	return []string{"day:" + Day(f.At.Wall)}
}

// Day is the day (UTC+8) of a moment in Unix milliseconds, as it stands in keys.
func Day(wall int64) string {
	return time.UnixMilli(wall).In(time.FixedZone("UTC+8", 8*60*60)).Format("20060102")
}
