package order

import "time"

// ButtonsIn is how long until 校验 and 撤销 are offered during 用户支付中 (seed
// 000: after about 10 seconds): zero when they are, and in states where nothing
// has to be waited for.
func (o *Order) ButtonsIn(p Policy, now Now) time.Duration {
	if o.State() != Paying || o.Mode.Shown() || o.SentAt == nil {
		return 0
	}
	return max(0, p.ManualAfter-now.Age(*o.SentAt))
}

// ActsIn is how long until the order does something by itself that people wait
// for: one that waits for a scan or for the network ends, one that is being
// paid is canceled. It is read off the schedule that Next follows. ok is false
// where there is nothing to count down to.
func (o *Order) ActsIn(p Policy, now Now) (left time.Duration, ok bool) {
	switch o.State() {
	case Waiting, Queued:
		if o.CancelAsked != nil {
			return 0, false
		}
		return max(0, o.nextUnsent(p, now).At-now.Mono), true
	case Paying:
		due, at := o.wantsCancel(p, now)
		return max(0, at-now.Mono), !due
	}
	return 0, false
}
