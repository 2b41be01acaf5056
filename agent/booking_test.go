package agent_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// expecting lets the rig's site expect HIS's word.
func expecting(r *rig) { r.cfg.Booking.Expect = true }

func yes(b bool) *bool { return &b }

// book is HIS's word about an order, and demands the reply.
func (r *rig) book(no string, b agent.Booking, want string) {
	r.t.Helper()
	got, err := r.agent.Book(context.Background(), no, b)
	if err != nil || got.Code != want {
		r.t.Fatalf("booking %+v: %q %v, want %q", b, got.Code, err, want)
	}
	synctest.Wait()
}

// paid takes a payment at a till whose payer pays at once.
func (r *rig) paid(till string) *order.Order {
	r.t.Helper()
	code := wechat
	if till == fwcTill {
		code = alipay
	}
	o := r.begun(till, 12_345, code)
	return r.ends(o.No, time.Minute)
}

func TestBookedByHIS(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		if o.State() != order.Paid || o.Booking == nil || o.Booking.State != order.BookPending {
			t.Fatalf("%s %+v", o.State(), o.Booking)
		}
		at := time.Now().Add(-time.Second)
		word := agent.Booking{Booked: true, FlowID: "F1", CostType: "门诊", MedicalCard: platforms.Hide("6217000011112222"), At: at,
			Operator: platforms.Operator{ID: "1001"}}
		r.book(o.No, word, counter.CodeDone)
		r.book(o.No, word, counter.CodeReplayed)
		other := word
		other.FlowID = "F2"
		r.book(o.No, other, counter.CodeDiffers)
		r.book(o.No, agent.Booking{Reason: "no"}, counter.CodeDiffers)
		r.pass(time.Hour)
		o = r.order(o.No)
		if b := o.Booking; b.State != order.BookBooked || b.FlowID != "F1" || b.CostType != "门诊" || b.At != at.UnixMilli() {
			t.Errorf("%+v", b)
		}
		if got := r.agent.MedicalCard(o).Reveal(); got != "6217000011112222" {
			t.Errorf("medical card %q", got)
		}
		if len(r.agent.Open()) > 0 {
			t.Errorf("%d orders are still open", len(r.agent.Open()))
		}
		r.judge(o.No)
		second := r.paid(fwcTill2(r))
		r.book(second.No, word, counter.CodeFlowUsed)
		r.restart()
		r.book(second.No, word, counter.CodeFlowUsed)
		r.book("NOSUCH", word, counter.CodeNotFound)
	}, expecting)
}

// fwcTill2 is the same till: bills are numbered by it, so the next needs another name.
func fwcTill2(r *rig) string { return smartTill }

func TestHISSaysItFailed(t *testing.T) {
	for _, till := range []string{fwcTill, smartTill} {
		t.Run(till, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				o := r.paid(till)
				r.book(o.No, agent.Booking{Reason: "库存不足"}, counter.CodeDone)
				if s := r.order(o.No).SafeToTakeCash(r.agent.Platform(o.Platform).Policy, r.agent.Now()); s.Answer == order.Yes {
					t.Error("cash although nothing is back")
				}
				r.book(o.No, agent.Booking{Booked: true, FlowID: "F9"}, counter.CodeBookFailed)
				r.pass(time.Minute)
				o = r.state(o.No, order.Paid)
				if !o.FullyReversed() || !o.Refunds[0].Auto || o.Refunds[0].Via != order.ViaCancel || !r.alarmed(counter.AlarmReversing) {
					t.Fatalf("%+v", o.Refunds)
				}
				if s := o.SafeToTakeCash(r.agent.Platform(o.Platform).Policy, r.agent.Now()); s.Answer != order.Yes {
					t.Error("no cash although all is back")
				}
				r.judge(o.No)
				r.pass(time.Hour)
				if len(r.agent.Open()) > 0 {
					t.Error("it is still open")
				}
			}, expecting)
		})
	}
}
