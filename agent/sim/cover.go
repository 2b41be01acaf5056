package sim

import "fmt"

func (c *Cover) add(o Cover) {
	for f := range c.Hits {
		for s := range c.Hits[f] {
			c.Hits[f][s] += o.Hits[f][s]
		}
	}
	for k, n := range o.Points {
		c.Points[k] += n
	}
	c.Orders += o.Orders
	c.Steps += o.Steps
	c.CallsSent += o.CallsSent
}

// needs lists the states (by index into states) in which a fault must have
// struck; the others are impossible or say nothing.
func needs(f Fault) []int {
	const (
		queued, waiting, paying, canceling, doubt, paid, failed, canceled = 0, 1, 2, 3, 4, 5, 6, 7
	)
	switch f {
	case LostBefore, LostAfter, LateExec, SlowReply, DialFail, ErrAfter, SystemError:
		return []int{paying, canceling, doubt, paid, failed, canceled}
	case WrongAmount, WrongOrder, WrongMerchant, OtherAnswer, RefusedLike:
		return []int{paying, canceling, doubt, canceled}
	case Partition, TokenBad:
		return []int{paying, canceling, paid, canceled}
	case CancelNo:
		return []int{canceling}
	case RefundLater, Refunds, RefundTwice:
		return []int{paid}
	case Unresolved:
		return []int{canceling, doubt}
	case StaleReads:
		return []int{paying, canceling}
	case Crash, Reboot, StorageError:
		return []int{waiting, paying, canceling, doubt}
	case CancelMid, CheckMid, DetachMid:
		return []int{waiting, paying}
	case WrongWallet, DoubleRead, TwoCodes, OldCode:
		return []int{waiting}
	case LatePayer, NoMoney, BadCode, LatePayDup, LieFailed:
		return []int{paying}
	case Queueing:
		return []int{queued}
	case HISFails, HISSilent, HISTwice, Kiosk, Second:
		return []int{paid}
	case Resolve:
		return []int{doubt}
	case Stall, DoubleClick, TwoTills, SameKey, OtherAmount, Noise, SlowLookup, Again, Claims, Cards:
		return []int{-1}
	}
	return nil
}

// dead lists faults that did not strike where they must, and crash points that
// were not reached, so that a run in which a part of the simulation does
// nothing cannot pass.
func (c *Cover) dead(least int) []string {
	var list []string
	for f := range faultCount {
		for _, s := range needs(f) {
			n, where := 0, "anywhere"
			if s >= 0 {
				n, where = c.Hits[f][s], string(states[s])
			} else {
				for _, k := range c.Hits[f] {
					n += k
				}
			}
			if n < least {
				list = append(list, fmt.Sprintf("%s in %s: %d times", f, where, n))
			}
		}
	}
	for _, p := range []string{"before write", "written, not acknowledged", "acknowledged, before any effect", "after effects",
		"storage error", "time", "log lost"} {
		if c.Points[p] < least {
			list = append(list, fmt.Sprintf("crash point %q: %d times", p, c.Points[p]))
		}
	}
	return list
}
