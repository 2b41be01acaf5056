package agent

import (
	"slices"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// dayKeys finds a fact by its day (UTC+8), where the fact is one that books
// are kept by, and by the day on which HIS or the platform has it.
func dayKeys(f order.Fact) []string {
	a := f.Answer
	switch {
	case f.Kind == order.KindCreated, f.Kind == order.KindEnded, f.Kind == order.KindBooked, f.Kind == order.KindResolved:
	case f.Kind == order.KindDecided && !f.Decided.OK:
	case f.Kind == order.KindAnswered && (a.Status == platforms.Paid.String() || a.Done || a.Outcome.Final()):
	default:
		return nil
	}
	days := []string{Day(f.At.Wall)}
	add := func(wall int64) {
		if day := Day(wall); wall > 0 && !slices.Contains(days, day) {
			days = append(days, day)
		}
	}
	// HIS's clock and the platform's say on which day their books have it.
	if f.Booked != nil {
		add(f.Booked.At)
	}
	if a != nil {
		add(a.PaidAt)
	}
	for i := range days {
		days[i] = "day:" + days[i]
	}
	return days
}

// Day is the day (UTC+8) of a moment in Unix milliseconds, as it stands in keys.
func Day(wall int64) string {
	return time.UnixMilli(wall).In(time.FixedZone("UTC+8", 8*60*60)).Format("20060102")
}
