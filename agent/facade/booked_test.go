package facade_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	hisbooks "payagent/agent/books"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/platforms"
)

// entries gives what the platform's reconciliation is told of an order.
func (w *world) entries(t *testing.T, no string) []platforms.Fen {
	t.Helper()
	got, err := hisbooks.New(w.Agent).Order(t.Context(), no)
	if err != nil && err != platforms.ErrNoOrder {
		t.Fatal(err)
	}
	var list []platforms.Fen
	for _, e := range got.Entries {
		list = append(list, e.Amount)
	}
	return list
}

func (w *world) stored(t *testing.T, no string) *order.Order {
	t.Helper()
	synctest.Wait() // an answer may be given a moment before readers see what it says
	o, err := w.Agent.Order(no)
	if err != nil || o == nil {
		t.Fatal(o, err)
	}
	return o
}

func expect(c *config.Config) { c.Booking.Expect, c.Facade.AssumeBooked = true, true }

// A HIS that calls as it would call the platform has no word for its books:
// what it was told and did not cancel counts as booked after alarm_after,
// nobody is alarmed, and what it cancels later stands in the books twice.
func TestAssumeBooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, expect)
		w.bank.OnCharge(paid)
		w.pay(t, charge("MZ1", 100, code1))
		if b := w.stored(t, "MZ1").Booking; b == nil || b.State != order.BookPending || !b.TellsNot {
			t.Fatalf("told, not yet booked: %+v", b)
		}
		if got := w.entries(t, "MZ1"); got != nil {
			t.Errorf("in the books at once: %v", got)
		}
		time.Sleep(11 * time.Minute)
		if b := w.stored(t, "MZ1").Booking; b.State != order.BookBooked || !b.Assumed || b.FlowID != "MZ1" || b.Prompted || b.Alarmed {
			t.Fatalf("%+v", b)
		}
		if got := w.entries(t, "MZ1"); !slices.Equal(got, []platforms.Fen{100}) {
			t.Errorf("%v", got)
		}
		if alarms := w.Agent.Alarms(); len(alarms) != 0 {
			t.Errorf("%v", alarms)
		}
		o, err := w.front.Cancel(t.Context(), "MZ1", platforms.Operator{ID: "9"}, wait)
		if err != nil || o.Refunded != 100 || o.Reversing {
			t.Fatalf("%+v %v", o, err)
		}
		if got := w.entries(t, "MZ1"); !slices.Equal(got, []platforms.Fen{100, -100}) {
			t.Errorf("canceled after it counted as booked: %v", got)
		}
	})
}

// What HIS cancels before was never in its books.
func TestCanceledBeforeAssumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, expect)
		w.bank.OnCharge(paid)
		w.pay(t, charge("MZ1", 100, code1))
		if o, err := w.front.Cancel(t.Context(), "MZ1", platforms.Operator{ID: "9"}, wait); err != nil || o.Refunded != 100 {
			t.Fatalf("%+v %v", o, err)
		}
		time.Sleep(time.Hour)
		if got := w.entries(t, "MZ1"); got != nil {
			t.Errorf("%v", got)
		}
	})
}

// HIS that went away before it heard is not taken to have booked: that is the
// one-sided payment people must hear of. So is every payment where nothing is
// assumed.
func TestNotToldNotBooked(t *testing.T) {
	for name, assume := range map[string]bool{"never told": true, "nothing assumed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, expect, func(c *config.Config) { c.Facade.AssumeBooked = assume })
				limit := wait
				if assume {
					limit = time.Second // HIS hangs up; the payer pays later
				} else {
					w.bank.OnCharge(paid)
				}
				if _, err := w.front.Pay(t.Context(), charge("MZ1", 100, code1), limit); err != nil {
					t.Fatal(err)
				}
				w.bank.Pay("MZ1")
				time.Sleep(12 * time.Minute)
				if b := w.stored(t, "MZ1").Booking; b == nil || b.State != order.BookPending || !b.Alarmed {
					t.Errorf("%+v", b)
				}
			})
		})
	}
}
