package door

import (
	"net/http"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

type refundAnswer struct {
	Refund *refundView `json:"refund"`
	Order  *orderView  `json:"order"`
}

type refundsView struct {
	Refunds       []refundView  `json:"refunds"`
	RefundedFen   platforms.Fen `json:"refunded_fen"`
	RefundableFen platforms.Fen `json:"refundable_fen"`
}

// createRefund is POST /v1/orders/{id}/refunds.
func (d *door) createRefund(w http.ResponseWriter, r *http.Request, c caller) {
	key, err := idempotencyKey(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	o := d.lookUp(w, r, c, c.refunds)
	if o == nil {
		return
	}
	req, err := refundRequest(o.No, m)
	if err != nil {
		d.wrong(w, c, err, fault{order: o})
		return
	}
	req.Key = key
	if !d.within(w, r, c, "refund", o.Till, func() fault { return fault{order: o} }) {
		return
	}
	ctx, stop := deciding(r)
	defer stop()
	reply, err := d.agent.Refund(ctx, o.No, req)
	if err != nil {
		d.wrong(w, c, err, fault{order: o})
		return
	}
	if reply.Order != nil {
		o = reply.Order
	}
	status := http.StatusAccepted
	switch reply.Code {
	case counter.CodeAccepted:
	case counter.CodeReplayed:
		w.Header().Set("Idempotent-Replayed", "true")
		status = http.StatusOK
	default:
		f := fault{code: reply.Code, order: o}
		if f.code == counter.CodeRefundUsed && req.Request == "" {
			f.code = counter.CodeKeyMismatch // a number made just now cannot have been used
		}
		switch f.code {
		case counter.CodeRefundOver:
			f.field, f.reason = "amount_fen", "is more than what is left to refund"
		case counter.CodeKeyMismatch:
			f.field, f.reason = "Idempotency-Key", "was used with another body"
		}
		d.problem(w, c, f)
		return
	}
	if line := refundOf(o, reply.Refund); line != nil && line.State == order.RefundAwaiting {
		if err := d.rememberOnce(ctx, c, o.No, reply.Refund); err != nil {
			d.wrong(w, c, err, fault{order: o})
			return
		}
	}
	out := refundAnswer{Order: d.order(o)}
	for i := range out.Order.Refunds {
		if out.Order.Refunds[i].RefundNo == reply.Refund {
			out.Refund = &out.Order.Refunds[i]
		}
	}
	if out.Refund == nil { // the counter accepted it and does not list it
		d.log.Error("a refund that was accepted is not listed", "order", o.No, "trace", c.trace)
		d.problem(w, c, fault{code: "internal", order: o})
		return
	}
	w.Header().Set("Location", "/v1/orders/"+o.No+"/refunds")
	answer(w, status, out)
}

func refundOf(o *order.Order, no string) *order.RefundLine {
	for i := range o.Refunds {
		if o.Refunds[i].Request == no {
			return &o.Refunds[i]
		}
	}
	return nil
}

// listRefunds is GET /v1/orders/{id}/refunds.
func (d *door) listRefunds(w http.ResponseWriter, r *http.Request, c caller) {
	o := d.lookUp(w, r, c, c.sees)
	if o == nil {
		return
	}
	v := d.order(o)
	answer(w, http.StatusOK, refundsView{Refunds: v.Refunds, RefundedFen: v.RefundedFen, RefundableFen: v.RefundableFen})
}

// qr makes the handler of the pictures of a QR code. They exist only while
// the code can be paid: a picture that outlives its order would take money
// for nothing.
func (d *door) qr(draw func(http.ResponseWriter, string) error) func(http.ResponseWriter, *http.Request, caller) {
	return func(w http.ResponseWriter, r *http.Request, c caller) {
		o := d.lookUp(w, r, c, c.seesTill)
		if o == nil {
			return
		}
		if !d.payable(o) {
			d.problem(w, c, fault{code: "not_found"})
			return
		}
		if err := draw(w, o.QR); err != nil {
			d.log.Error("a QR code could not be drawn", "order", o.No, "error", err, "trace", c.trace)
			d.problem(w, c, fault{code: "internal", order: o})
		}
	}
}

func (d *door) payable(o *order.Order) bool {
	return o.QR != "" && o.QREnds(d.agent.Platform(o.Platform).Policy, d.agent.Now()) > 0
}
