package callback

import (
	"payagent/agent/order"
	"payagent/agent/words"
)

// stage is what a payer is told of an order. It is read off the order's own
// facts and nothing else: never off what a browser carried here.
type stage struct {
	code  string // of package words, group page
	look  string // good, bad or wait
	final bool   // nothing more will be told
}

// stageOf decides it. Success is told when the payment is booked by HIS, or
// when no booking is expected here.
func stageOf(o *order.Order) stage {
	switch s := o.State(); s {
	case order.Paid:
		return paidStage(o)
	case order.Failed, order.Canceled:
		switch {
		case o.LateFound && !o.LateDone, o.Action != "" && o.Action != "close":
			return stage{"page_reversed", "bad", !o.LateFound || o.LateDone}
		case o.LateDone:
			return stage{"page_refunded", "bad", true}
		}
		return stage{"page_not_paid", "bad", true}
	case order.InDoubt:
		return stage{"page_checking", "wait", false}
	case order.Canceling:
		return stage{"page_canceling", "wait", false}
	case order.Waiting, order.Queued:
		return stage{"page_waiting", "wait", false}
	}
	if o.PayerLeft {
		return stage{"page_left", "wait", false}
	}
	return stage{"page_confirming", "wait", false}
}

func paidStage(o *order.Order) stage {
	if o.FullyReversed() {
		return stage{"page_refunded", "bad", true}
	}
	if r := o.Reversal(); r != nil && r.State != order.RefundRefused {
		return stage{"page_reversed", "bad", false}
	}
	if o.Booking == nil {
		return stage{"page_success", "good", true}
	}
	switch o.Booking.State {
	case order.BookNone, order.BookBooked:
		return stage{"page_success", "good", true}
	case order.BookFailed:
		return stage{"page_reversed", "bad", false}
	case order.BookSplit:
		return stage{"page_checking", "wait", false}
	}
	return stage{"page_booking", "wait", false}
}

// view is what the page and its long poll tell.
type view struct {
	_     [0]func()  // never compared: no code is made for it
	Rev   int        `json:"rev"`
	Code  string     `json:"code"`
	Look  string     `json:"look"`
	Final bool       `json:"final"`
	Title words.Text `json:"title"`
	Say   words.Text `json:"say"`
	Yuan  string     `json:"yuan"`
	// Goto is where the payer pays; only to the page that an authorisation
	// leads to.
	Goto string `json:"goto,omitempty"`
}

func (s *server) view(o *order.Order, leads bool) view {
	st := stageOf(o)
	e, _ := s.words.Find(words.Page, st.code)
	v := view{Rev: o.Rev, Code: st.code, Look: st.look, Final: st.final, Title: e.Cashier, Say: e.Patient, Yuan: o.Amount.Yuan()}
	if leads && o.State() == order.Paying {
		v.Goto = o.QR
	}
	return v
}
