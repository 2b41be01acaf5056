package agenttest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/platforms"
)

// Payment is a payment that Take takes.
type Payment struct {
	Till    string
	No      string // order number; empty for one of the agent's own
	Fen     platforms.Fen
	Channel platforms.Channel // whose code is shown; WeChat if empty
	Type    string            // TREATMENT if empty
	Patient platforms.Patient
	By      string // operator's number; the till's own if empty
}

// Take takes a payment whose payer pays at once, and gives the paid order.
func (w *World) Take(t testing.TB, p Payment) *order.Order {
	t.Helper()
	w.taken++
	code := "1300000000" + fmt.Sprintf("%08d", w.taken)
	if p.Channel == platforms.Alipay {
		code = "2800000000" + fmt.Sprintf("%08d", w.taken)
	}
	if p.Type == "" {
		p.Type = "TREATMENT"
	}
	for _, b := range w.Banks {
		b.OnCharge(func(c platforms.Charge) (platforms.Answer, error) { return PaidAnswer(c.Ref, c.Channel), nil })
	}
	n := strconv.Itoa(w.taken)
	r := agent.Request{Key: platforms.Hide("take" + n), Body: platforms.Hide(n), OrderNo: p.No, Bill: "B" + n, Amount: p.Fen, Mode: platforms.ModeCharge,
		OrderType: p.Type, Till: p.Till, AuthCode: platforms.Hide(code), Subject: "test", Patient: p.Patient}
	if p.By != "" {
		r.Operator = platforms.Operator{ID: p.By, Name: "操作员" + p.By}
	}
	reply, err := w.Agent.Collect(context.Background(), r)
	if err != nil || reply.Order == nil {
		t.Fatalf("the payment was not taken: %q %v", reply.Code, err)
	}
	return w.Until(t, reply.Order.No, func(o *order.Order) bool { return o.State() == order.Paid })
}

// Until waits for an order to become what it should.
func (w *World) Until(t testing.TB, no string, good func(*order.Order) bool) *order.Order {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
	defer stop()
	for rev := -1; ctx.Err() == nil; {
		o, err := w.Agent.Wait(ctx, no, rev)
		if err != nil || o == nil {
			t.Fatalf("order %s: %v", no, err)
		}
		if good(o) {
			return o
		}
		rev = o.Rev
	}
	o, _ := w.Agent.Order(no)
	t.Fatalf("order %s stays as it is: %+v", no, o)
	return nil
}

// Book is HIS's word that it booked a payment, or, with a refund's number, a
// refund.
func (w *World) Book(t testing.TB, no, flow, refund string) {
	t.Helper()
	reply, err := w.Agent.Book(context.Background(), no, agent.Booking{Booked: true, FlowID: flow, Refund: refund, CostType: "门诊诊疗费", MedicalCard: platforms.Hide("MC" + no)})
	if err != nil || reply.Code != "done" {
		t.Fatalf("booking %s of %s: %q %v", flow, no, reply.Code, err)
	}
}

// GiveBack refunds a part of a paid order and waits until it is done.
func (w *World) GiveBack(t testing.TB, no, refund string, fen platforms.Fen, by string) *order.Order {
	t.Helper()
	reply, err := w.Agent.Refund(context.Background(), no, agent.RefundRequest{Key: platforms.Hide("refund" + refund), Body: platforms.Hide(refund),
		Request: refund, Sum: fen, Operator: platforms.Operator{ID: by, Name: "操作员" + by}})
	if err != nil || reply.Code != "accepted" {
		t.Fatalf("refund %s: %q %v", refund, reply.Code, err)
	}
	return w.Until(t, no, func(o *order.Order) bool {
		for _, r := range o.Refunds {
			if strings.EqualFold(r.Request, refund) {
				return r.State == order.RefundDone
			}
		}
		return false
	})
}
