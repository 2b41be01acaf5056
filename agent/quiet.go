package agent

import (
	"time"

	"payagent/agent/order"
)

// Why a box must not be disturbed now: stable codes.
const (
	BusyOrders = "open_orders" // an order is open, or money is on its way
	BusyTill   = "till_in_use" // somebody worked at a till a moment ago
	BusyWindow = "window"      // it is not the time of day for it
)

// QuietTerms say when the tills may be disturbed.
type QuietTerms struct {
	Idle time.Duration // how long every till must have been idle
	// From and To are minutes after midnight in local time; To below From goes
	// over midnight, and From equal to To, or 0 to 1440, is the whole day.
	From, To int
}

// Quiet is the payment lock (FLT-04): nothing that disturbs the tills happens
// while it is not free.
type Quiet struct {
	a *Agent
	t QuietTerms
}

// Quiet makes the payment lock.
func (a *Agent) Quiet(t QuietTerms) *Quiet { return &Quiet{a: a, t: t} }

// Free tells whether the tills may be disturbed now, and if not, why not. It
// holds nothing: an order may come at any moment after it.
func (q *Quiet) Free() (ok bool, why string) {
	if q.a.owes() {
		return false, BusyOrders
	}
	now := q.a.Now()
	if q.a.memory.touchedWithin(q.t.Idle, now) {
		return false, BusyTill
	}
	local := time.UnixMilli(now.Wall).Local()
	if !inWindow(q.t.From, q.t.To, local.Hour()*60+local.Minute()) {
		return false, BusyWindow
	}
	return true, ""
}

// Changed is closed when something of the agent changed. Time alone frees the
// lock too, so whoever waits looks again every few seconds.
func (q *Quiet) Changed() <-chan struct{} { return q.a.Changed() }

// inWindow tells whether a minute of the day lies between two others.
func inWindow(from, to, minute int) bool {
	switch {
	case from == to:
		return true
	case from < to:
		return minute >= from && minute < to
	}
	return minute >= from || minute < to
}

// owes tells whether an order is open, or money is on its way in either
// direction. A refund in doubt does not count: it may stay so for days.
func (a *Agent) owes() bool {
	if a.money.busy() {
		return true
	}
	for _, o := range a.memory.open() {
		if !o.State().Final() {
			return true
		}
		for _, r := range o.Refunds {
			if r.State == order.RefundRequested || r.State == order.RefundSent {
				return true
			}
		}
	}
	return false
}
