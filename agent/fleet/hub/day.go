package hub

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/reconcile"
	"payagent/platforms"
)

// DayOptions say what a day of a site is compared with. The hub asks no
// platform: without a statement every order's platform is unknown.
type DayOptions struct {
	Site string
	reconcile.Options
}

// Reconcile compares a day of a whole site, by order number, then what only the
// files know. missing tells what the hub itself lacks of that day: then the
// comparison shows differences that are none.
func (h *Hub) Reconcile(ctx context.Context, o DayOptions, yield func(reconcile.Row) error) (t reconcile.Totals, missing []Missing, err error) {
	day, err := time.ParseInLocation("2006-01-02", DayOf(o.Day), zone())
	if err != nil {
		return t, nil, err
	}
	missing = h.Missing(o.Site, day, day.AddDate(0, 0, 1).Add(-time.Nanosecond))
	byNo := map[string][]Order{}
	err = h.store.Read(ctx, Query{Site: o.Site, From: day, To: day}, func(i Item) error {
		if no := i.Order.Facts.OutTradeNo; belongs(*i.Order, DayOf(day)) {
			byNo[no] = append(byNo[no], *i.Order)
		}
		return nil
	})
	if err != nil {
		return t, missing, fmt.Errorf("cannot compare the day: %w", err)
	}
	var nos []string
	for no := range byNo {
		nos = append(nos, no)
	}
	slices.Sort(nos)
	c := reconcile.New(o.Options)
	for _, no := range nos {
		all := byNo[no]
		// What other tills know of it, e.g. a refund there, happened to the same
		// order, on whatever day.
		err := h.store.Read(ctx, Query{Site: o.Site, No: no}, func(i Item) error {
			if !slices.ContainsFunc(all, func(x Order) bool { return x.Box == i.Order.Box }) {
				all = append(all, *i.Order)
			}
			return nil
		})
		if err != nil {
			return t, missing, fmt.Errorf("cannot compare the day: %w", err)
		}
		if row, ok := c.Add(compared(join(all))); ok {
			if err := yield(row); err != nil {
				return c.Totals(), missing, err
			}
		}
	}
	for _, row := range c.Rest() {
		if err := yield(row); err != nil {
			return c.Totals(), missing, err
		}
	}
	return c.Totals(), missing, nil
}

// belongs tells whether an order is one of the day: begun then, or with money
// or a booking of then.
func belongs(o Order, day string) bool {
	on := func(t *time.Time) bool { return t != nil && DayOf(*t) == day }
	f := o.Facts
	is := on(f.CreatedAt)
	for _, m := range moves(f) {
		is = is || DayOf(m.At) == day
	}
	for _, e := range f.Entries {
		is = is || on(e.BookedAt)
	}
	return is
}

// join makes one order of what several tills know of it: the facts of the one
// that took it, the bookings and refunds of all.
func join(list []Order) Order {
	slices.SortStableFunc(list, func(x, y Order) int {
		rank := func(o Order) int {
			if o.Facts.Foreign {
				return 1
			}
			return 0
		}
		return cmp.Compare(rank(x), rank(y))
	})
	o := list[0]
	o.Facts.Entries, o.Facts.Refunds = slices.Clone(o.Facts.Entries), slices.Clone(o.Facts.Refunds)
	for _, x := range list[1:] {
		for _, e := range x.Facts.Entries {
			if !slices.ContainsFunc(o.Facts.Entries, func(y fleet.Entry) bool { return y.HisFlowID == e.HisFlowID }) {
				o.Facts.Entries = append(o.Facts.Entries, e)
			}
		}
		for _, r := range x.Facts.Refunds {
			if !slices.ContainsFunc(o.Facts.Refunds, func(y fleet.Refund) bool { return y.RefundNo == r.RefundNo }) {
				o.Facts.Refunds = append(o.Facts.Refunds, r)
			}
		}
	}
	return o
}

// moves lists what is known to have moved.
func moves(f fleet.Order) []reconcile.Move {
	var list []reconcile.Move
	if f.State == "paid" {
		at := f.PaidAt
		if at == nil {
			at = f.EndedAt
		}
		if at == nil {
			at = f.CreatedAt
		}
		if at != nil {
			list = append(list, reconcile.Move{Amount: platforms.Fen(f.AmountFen), At: at.In(zone())})
		}
	}
	for _, r := range f.Refunds {
		if r.State == "done" && r.EndedAt != nil {
			list = append(list, reconcile.Move{Refund: true, RefundNo: r.RefundNo, Amount: platforms.Fen(r.AmountFen), At: r.EndedAt.In(zone())})
		}
	}
	return list
}

// compared gives the words of journal and HIS about an order.
func compared(o Order) reconcile.Order {
	f := o.Facts
	x := reconcile.Order{No: f.OutTradeNo, TradeNo: f.TradeNo, Channel: platforms.Channel(f.Channel), Till: o.Box + "/" + f.Till, Moves: moves(f)}
	if f.CreatedAt != nil {
		x.At = f.CreatedAt.In(zone())
	}
	if f.State == "paid" && len(x.Moves) > 0 {
		x.At = x.Moves[0].At
	}
	x.Journal = reconcile.Word{Known: f.State == "paid" || f.State == "failed" || f.State == "canceled", State: f.State}
	for _, m := range x.Moves {
		if m.Refund {
			x.Journal.Back += m.Amount
		} else {
			x.Journal.Paid += m.Amount
		}
	}
	for _, r := range f.Refunds {
		if r.State == "requested" || r.State == "sent" || r.State == "in_doubt" {
			x.Journal.Known, x.Journal.State = false, "refund_"+r.State
		}
	}
	if f.LateMoney != "" {
		x.Journal.Paid, x.Journal.State = platforms.Fen(f.AmountFen), "late_money"
		if f.LateMoney == "given_back" {
			x.Journal.Back = x.Journal.Paid
		}
	}
	x.HIS = reconcile.Word{Known: true, State: cmp.Or(f.Booking, "none")}
	for _, e := range f.Entries {
		if e.AmountFen < 0 {
			x.HIS.Back += platforms.Fen(-e.AmountFen)
		} else {
			x.HIS.Paid += platforms.Fen(e.AmountFen)
		}
	}
	return x
}
