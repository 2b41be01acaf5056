package order

import "time"

// Answer3 is yes, no, or wait.
type Answer3 string

// The three answers.
const (
	Yes  Answer3 = "yes"
	No   Answer3 = "no"
	Wait Answer3 = "wait"
)

// Safety says whether something is safe now, and why (PAY-21).
type Safety struct {
	Answer Answer3
	Wait   time.Duration // Wait only: look again after this
	Reason string        // stable code, see package words
}

// SafeToTakeCash answers the cashier's question. Yes only when no platform can
// still keep the money: in failed and canceled.
func (o *Order) SafeToTakeCash(p Policy, now Now) Safety {
	if o.LateFound && !o.LateDone {
		return Safety{Answer: No, Reason: "cash_in_doubt"} // money came after the end and is not given back yet
	}
	switch o.State() {
	case Failed:
		return Safety{Answer: Yes, Reason: "cash_failed"}
	case Canceled:
		return Safety{Answer: Yes, Reason: "cash_canceled"}
	case Paid:
		switch r := o.Reversal(); {
		case o.FullyReversed():
			return Safety{Answer: Yes, Reason: "cash_refunded"}
		case o.booked() == BookSplit, r != nil && r.State == RefundInDoubt:
			return Safety{Answer: No, Reason: "cash_in_doubt"}
		case o.reversing():
			return Safety{Answer: Wait, Wait: 5 * time.Second, Reason: "cash_reversing"}
		}
		return Safety{Answer: No, Reason: "cash_paid"}
	case Waiting, Queued:
		return Safety{Answer: No, Reason: "cash_cancel_first"}
	case InDoubt:
		return Safety{Answer: No, Reason: "cash_in_doubt"}
	}
	return Safety{Answer: Wait, Wait: o.settlesIn(p, now), Reason: "cash_wait"}
}

// SafeToRetry answers whether a new order for the same bill may be made.
func (o *Order) SafeToRetry(p Policy, now Now) Safety {
	s := o.SafeToTakeCash(p, now)
	switch s.Reason {
	case "cash_failed", "cash_canceled", "cash_refunded":
		return Safety{Answer: Yes, Reason: "retry_yes"}
	case "cash_paid":
		return Safety{Answer: No, Reason: "retry_paid"}
	case "cash_cancel_first":
		return Safety{Answer: No, Reason: "retry_open"}
	case "cash_in_doubt":
		return Safety{Answer: No, Reason: "retry_in_doubt"}
	}
	return Safety{Answer: Wait, Wait: s.Wait, Reason: "retry_wait"}
}

// settlesIn is how long until the schedule should have settled the order: the
// rest of its horizon and the time for a cancel. At least a second.
func (o *Order) settlesIn(p Policy, now Now) time.Duration {
	if o.SentAt == nil {
		return time.Second
	}
	left := p.horizon(o) - now.Age(*o.SentAt)
	if o.CancelAsked != nil || o.CancelSent != nil || o.Refused {
		left = p.CancelNotBefore - now.Age(*o.SentAt)
	}
	return max(left, 0) + 5*time.Second
}

// Cancelable is how long until a cancel that is asked for now will be carried
// out: zero for at once.
func (o *Order) Cancelable(p Policy, now Now) time.Duration {
	if o.SentAt == nil || o.Mode.Shown() {
		return 0
	}
	return max(0, p.CancelNotBefore-now.Age(*o.SentAt))
}

// Action is a button that makes sense now.
type Action string

// The actions.
const (
	ActCheck   Action = "check"   // 校验
	ActCancel  Action = "cancel"  // 撤销
	ActDetach  Action = "detach"  // 转后台处理
	ActConfirm Action = "confirm" // 继续收款 (queued)
	ActRefund  Action = "refund"
	ActRetry   Action = "retry" // a new order for the same bill
)

// Actions lists what may be done now (HIS-14). During 用户支付中 the two buttons
// of the seed appear after ManualAfter; a cancel asked for earlier through the
// API is accepted all the same.
func (o *Order) Actions(p Policy, now Now, canRefund bool) []Action {
	list := []Action{}
	s := o.State()
	switch s {
	case Queued:
		list = append(list, ActConfirm, ActCancel)
	case Waiting:
		list = append(list, ActCancel)
	case Paying:
		manual := o.Mode.Shown() || o.SentAt != nil && now.Age(*o.SentAt) >= p.ManualAfter
		if manual {
			list = append(list, ActCheck)
		}
		if manual && o.CancelAsked == nil {
			list = append(list, ActCancel)
		}
	case Canceling, InDoubt:
		list = append(list, ActCheck)
	case Paid:
		if canRefund && !o.NoRefunds && o.RefundClaims() < o.Amount {
			list = append(list, ActRefund)
		}
		if o.FullyReversed() {
			list = append(list, ActRetry)
		}
	case Failed, Canceled:
		if !o.LateFound || o.LateDone {
			list = append(list, ActRetry)
		}
	}
	if !s.Final() && s != Queued && !o.Detached {
		list = append(list, ActDetach)
	}
	return list
}

// QREnds is when the shown QR stops being payable: the end of the polling loop
// or the platform's own expiry, whichever is first. Zero when none is shown.
func (o *Order) QREnds(p Policy, now Now) time.Duration {
	if !o.shown(now) || o.State() != Paying || o.CancelAsked != nil {
		return 0
	}
	left := p.horizon(o)
	if o.ExpiresIn > 0 {
		left = min(left, o.ExpiresIn)
	}
	return max(0, left-now.Age(o.QRAt))
}
