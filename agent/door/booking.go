package door

import (
	"errors"
	"net/http"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
)

// bookingFields reads HIS's word about a payment or a refund.
func bookingFields(f *fields) agent.Booking {
	b := agent.Booking{FlowID: f.text("his_flow_id", 64), Refund: f.text("refund_no", 64), CostType: f.text("cost_type", 64),
		MedicalCard: f.secret("medical_card", 64), Operator: operator(f), Reason: f.text("reason", 256),
		InsuranceTaken: f.maybe("insurance_taken"), CashTaken: f.maybe("cash_taken")}
	switch f.text("result", 16) {
	case "booked":
		b.Booked = true
	case "failed":
	default:
		f.wrong("result", "must be booked or failed")
	}
	if s := f.text("at", 40); s != "" {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			f.wrong("at", "must be a time as RFC 3339 with its zone, e.g. 2026-03-14T09:27:01+08:00")
		}
		b.At = at
	}
	f.rest()
	return b
}

// book is POST /v1/orders/{id}/booking: HIS says that it booked the payment, or
// one of its refunds, or that its processing failed. The same word again is
// answered like the first.
func (d *door) book(w http.ResponseWriter, r *http.Request, c caller) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	b := bookingFields(f)
	if err := *f.fault; err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	o := d.lookUp(w, r, c, c.collects)
	if o == nil {
		return
	}
	if (reversesForeign(o, b) || d.reversesOld(o, b)) && !c.refunds(o.Till) {
		d.problem(w, c, fault{code: "forbidden"})
		return
	}
	ctx, stop := asking(r)
	defer stop()
	reply, err := d.agent.Book(ctx, o.No, b)
	if err != nil {
		d.wrong(w, c, err, fault{order: o})
		return
	}
	d.acted(w, c, reply, o)
}

// reversesForeign tells of a word that would give back a payment that was taken
// elsewhere. It is in the books for the refund desk, whose guards it would pass
// by, and HIS was never asked here to process it.
func reversesForeign(o *order.Order, b agent.Booking) bool {
	return o.Foreign && !b.Booked && b.Refund == ""
}

// wordInTime is how long after a payment a client without the scope refund may
// say that HIS could not process it. Later that is a refund, with its guards.
const wordInTime = 24 * time.Hour

// reversesOld tells of a word that would give back a payment of long ago.
func (d *door) reversesOld(o *order.Order, b agent.Booking) bool {
	return !b.Booked && b.Refund == "" && o.State() == order.Paid && o.Word() == nil &&
		d.agent.Now().Wall-o.EndedAt.Wall > wordInTime.Milliseconds()
}

// acted answers what the counter said of an act.
func (d *door) acted(w http.ResponseWriter, c caller, reply counter.Reply, o *order.Order) {
	if reply.Order != nil {
		o = reply.Order
	}
	switch reply.Code {
	case counter.CodeAccepted:
		answer(w, http.StatusAccepted, d.own(c, o))
	case counter.CodeDone, counter.CodeExists:
		answer(w, http.StatusOK, d.own(c, o))
	case counter.CodeCreated:
		answer(w, http.StatusCreated, d.own(c, o))
	case counter.CodeReplayed:
		w.Header().Set("Idempotent-Replayed", "true")
		answer(w, http.StatusOK, d.own(c, o))
	default:
		d.problem(w, c, fault{code: reply.Code, order: o})
	}
}

// ErrNoBooking says that an answer of HIS holds no booking.
var ErrNoBooking = errors.New("the answer holds no booking")

// ReadBooking reads {"booking": {…}} out of an answer of HIS, the object being
// what POST /v1/orders/{id}/booking takes. Other members are passed over.
// ErrNoBooking says that there is none; any other error that it is not one.
func ReadBooking(body []byte) (agent.Booking, error) {
	m, err := parseObject(body)
	if err != nil {
		return agent.Booking{}, err
	}
	f := newFields(m)
	if _, ok := m["booking"]; !ok {
		return agent.Booking{}, ErrNoBooking
	}
	b := bookingFields(f.object("booking"))
	return b, *f.fault
}
