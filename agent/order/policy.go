package order

import (
	"time"

	"payagent/platforms"
)

// Policy is one platform's schedule: when to ask, when to cancel, when to give
// up asking a machine. Defaults are the table of wire.md §6.4 and decision 9.
type Policy struct {
	PayTimeout      time.Duration // a pay call stays open this long
	PresentTimeout  time.Duration // a call for a QR code stays open this long
	CallTimeout     time.Duration // query, cancel and refund
	FirstQuery      time.Duration // after the pay request left
	QueryEvery      time.Duration
	Horizon         time.Duration // a charge is asked about this long, then canceled
	HorizonWeChat   time.Duration // the same for WeChat, which revokes by itself at 45 s
	CancelNotBefore time.Duration // after a charge; a QR may be canceled at once
	ManualAfter     time.Duration // 校验 and 撤销 are offered after this
	PresentEvery    time.Duration
	PresentQueries  int
	H5Horizon       time.Duration   // a page payment without an expiry of its own is asked about this long, then canceled
	H5Every         []time.Duration // pauses between its queries; the last repeats
	AuthoriseWait   time.Duration   // a payment by medical insurance waits this long for the payer's authorisation, token included
	SettleWait      time.Duration   // and this long for HIS's settlement
	QuickCancels    int             // tries after which the order is in doubt; trying goes on
	Backoff         []time.Duration // between tries of cancel, slow queries and refunds; the last repeats
	NotFoundFinal   time.Duration   // an order the platform has never heard of, asked and canceled in vain, ends after this
	LateWatch       []time.Duration // after an unpaid end: look again for late money
	CancelWindow    time.Duration   // late money younger than this is canceled, older is refunded
	RefundSpacing   time.Duration   // between two refunds of one order
	CodeAge         time.Duration   // a scanned code older than this is not sent
}

// DefaultPolicy is the schedule used where the configuration says nothing.
func DefaultPolicy() Policy {
	return Policy{
		PayTimeout: 60 * time.Second, PresentTimeout: 20 * time.Second, CallTimeout: 15 * time.Second,
		FirstQuery: 5 * time.Second, QueryEvery: 5 * time.Second,
		Horizon: 60 * time.Second, HorizonWeChat: 45 * time.Second,
		CancelNotBefore: 15 * time.Second, ManualAfter: 10 * time.Second,
		PresentEvery: 5 * time.Second, PresentQueries: 36,
		H5Horizon: 15 * time.Minute, H5Every: []time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second, 10 * time.Second,
			10 * time.Second, 10 * time.Second, 15 * time.Second, 15 * time.Second, 30 * time.Second},
		AuthoriseWait: 10 * time.Minute, SettleWait: 10 * time.Minute,
		QuickCancels: 3,
		Backoff: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second,
			30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute},
		NotFoundFinal: 15 * time.Minute,
		LateWatch:     []time.Duration{0, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour},
		CancelWindow:  24 * time.Hour, RefundSpacing: time.Minute, CodeAge: 30 * time.Second,
	}
}

// horizon is how long an order is asked about before it is canceled.
func (p Policy) horizon(o *Order) time.Duration {
	if o.Paged() {
		if o.ExpiresIn > 0 {
			return o.ExpiresIn
		}
		return p.H5Horizon
	}
	if o.Mode.Shown() {
		return time.Duration(p.PresentQueries) * p.PresentEvery
	}
	if o.CodeChannel == platforms.WeChat && p.HorizonWeChat > 0 {
		return p.HorizonWeChat
	}
	return p.Horizon
}

// wait is the pause before the try with the given number, counted from 0.
func (p Policy) wait(try int) time.Duration { return pause(p.Backoff, try) }

// askEvery is the pause after a query of something shown, before the next; n
// is the number of queries so far.
func (p Policy) askEvery(o *Order, n int) time.Duration {
	if o.Paged() {
		return pause(p.H5Every, n)
	}
	return p.PresentEvery
}

// pause takes an entry of a list of which the last repeats.
func pause(list []time.Duration, n int) time.Duration {
	if len(list) == 0 {
		return time.Minute
	}
	return list[min(max(n, 0), len(list)-1)]
}
