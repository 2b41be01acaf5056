package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"payagent/agent/fleet"
	"payagent/platforms"
)

// Books answers a platform's reconciliation for one site from what HIS booked
// at all its tills: a platforms.Books.
type Books struct {
	hub  *Hub
	site string
}

// Books gives the books of a site.
func (h *Hub) Books(site string) *Books { return &Books{h, site} }

// maxSpan bounds what one question may cover.
const maxSpan = 400 * 24 * time.Hour

// row is one line of a list: an order with the entry that it is about.
type row struct {
	o        Order
	at       time.Time
	amount   platforms.Fen
	refunded bool
	// id tells the rows of one order apart: HIS's number of the booking, or the
	// refund's where HIS booked nothing.
	id string
}

// rows lists the lines of an order. What HIS did not book is left out, unless
// it is asked for.
func rows(o Order, unbooked bool) []row {
	var list []row
	paid := false
	given := map[string]bool{}
	for _, e := range o.Facts.Entries {
		if e.BookedAt == nil {
			continue
		}
		r := row{o: o, at: *e.BookedAt, amount: platforms.Fen(e.AmountFen), id: "booked " + e.HisFlowID}
		if e.AmountFen < 0 || e.RefundNo != "" {
			r.refunded, given[e.RefundNo] = true, true
			r.amount = max(r.amount, -r.amount)
		} else {
			paid = true
		}
		list = append(list, r)
	}
	if !unbooked {
		return list
	}
	if o.Facts.State == "paid" && !paid && o.Facts.EndedAt != nil && !o.Facts.Foreign {
		list = append(list, row{o: o, at: *o.Facts.EndedAt, amount: platforms.Fen(o.Facts.AmountFen), id: "payment"})
	}
	for _, r := range o.Facts.Refunds {
		if r.State == "done" && !given[r.RefundNo] && r.EndedAt != nil {
			list = append(list, row{o: o, at: *r.EndedAt, amount: platforms.Fen(r.AmountFen), refunded: true, id: "refund " + r.RefundNo})
		}
	}
	return list
}

// Trades implements platforms.Books. A time for which something is missing is
// an error before the first row.
func (b *Books) Trades(ctx context.Context, q platforms.TradeQuery, yield func(platforms.Trade) error) error {
	if q.To.Sub(q.From) > maxSpan {
		return &platforms.FieldError{Field: "EndDate", Reason: "is more than 400 days after BeginDate"}
	}
	if since := b.hub.cfg.Now().AddDate(0, 0, -b.hub.cfg.KeepDays); q.From.Before(since) {
		return &platforms.FieldError{Field: "BeginDate", Reason: "is before " + DayOf(since) + ", from when on orders are kept"}
	}
	if err := b.hub.check(b.site, q.From, q.To); err != nil {
		return err
	}
	for _, day := range DaysBetween(q.From, q.To) {
		if err := b.day(ctx, day, q, yield); err != nil {
			return err
		}
	}
	// What was noticed while the list was read counts too: a list that is cut
	// off is not taken for a whole one.
	return b.hub.check(b.site, q.From, q.To)
}

func (b *Books) day(ctx context.Context, day string, q platforms.TradeQuery, yield func(platforms.Trade) error) error {
	start, err := time.ParseInLocation("2006-01-02", day, zone())
	if err != nil {
		return err
	}
	var known []Order
	err = b.hub.store.Read(ctx, Query{Site: b.site, From: start, To: start}, func(i Item) error {
		known = append(known, *i.Order)
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the books: %w", err)
	}
	var list []row
	seen := map[[2]string]bool{}
	for _, o := range known {
		// What one till did with an order of another is told in full by the two
		// together: of which platform it is, and whether HIS booked a payment or
		// a refund at the other.
		if o.Facts.Foreign || q.IncludeUnbooked && len(rows(o, true)) > len(rows(o, false)) {
			if o, err = b.whole(ctx, o); err != nil {
				return err
			}
		}
		if q.Channel != "" && q.Channel != platforms.Channel(o.Facts.Channel) {
			continue
		}
		for _, r := range rows(o, q.IncludeUnbooked) {
			at := [2]string{o.Facts.OutTradeNo, r.id}
			if DayOf(r.at) == day && !r.at.Before(q.From) && !r.at.After(q.To) && !seen[at] {
				list = append(list, r)
				seen[at] = true
			}
		}
	}
	slices.SortStableFunc(list, func(x, y row) int {
		return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.o.Facts.OutTradeNo, y.o.Facts.OutTradeNo))
	})
	for _, r := range list {
		name, card, err := b.person(r.o, false)
		if err != nil {
			return err
		}
		f := r.o.Facts
		t := platforms.Trade{CardNo: card, PatientName: name, CostType: cmp.Or(f.CostType, f.OrderType), Refunded: r.refunded, TradeNo: f.TradeNo,
			Amount: r.amount, OutTradeNo: f.OutTradeNo, At: r.at.In(zone()), Channel: platforms.Channel(f.Channel)}
		if err := yield(t); err != nil {
			return err
		}
	}
	return nil
}

// whole joins what all tills of the site know of an order.
func (b *Books) whole(ctx context.Context, o Order) (Order, error) {
	var all []Order
	err := b.hub.store.Read(ctx, Query{Site: b.site, No: o.Facts.OutTradeNo}, func(i Item) error {
		all = append(all, *i.Order)
		return nil
	})
	switch {
	case err != nil:
		return o, fmt.Errorf("cannot read the books: %w", err)
	case len(all) == 0: // dropped for its age meanwhile
		return o, nil
	}
	return join(all), nil
}

// person opens the patient of an order. Booked under another card wins where
// that is asked for.
func (b *Books) person(o Order, medicalFirst bool) (name, card platforms.Hidden, err error) {
	if o.Sealed == "" {
		return
	}
	p, err := b.hub.cfg.Key.Open(fleet.Place{Root: b.hub.cfg.Root, Site: o.Site, Box: o.Box}, o.SealedIn, o.Sealed)
	if err != nil {
		return name, card, fmt.Errorf("cannot read the books: %w", err)
	}
	first, second := p.CardNo, p.MedicalCard
	if medicalFirst {
		first, second = second, first
	}
	if first.Empty() {
		first = second
	}
	return p.Name, first, nil
}

// Order implements platforms.Books. An order may be in the books of two tills:
// of the one that took it, and of one that gave it back.
func (b *Books) Order(ctx context.Context, outTradeNo string) (platforms.OrderBooks, error) {
	var out platforms.OrderBooks
	found := false
	err := b.hub.store.Read(ctx, Query{Site: b.site, No: outTradeNo}, func(i Item) error {
		o := *i.Order
		b.hub.mu.Lock()
		why, stuck := b.hub.stuck[streamKey(o.Site, o.Box, fleet.StreamOrders)]
		b.hub.mu.Unlock()
		if stuck {
			return &IncompleteError{[]Missing{{o.Site + "/" + o.Box, why.reason, o.Changed}}}
		}
		list := rows(o, false)
		if len(list) == 0 {
			return nil
		}
		_, card, err := b.person(o, true)
		if err != nil {
			return err
		}
		if !card.Empty() {
			out.MedicalCard = card
		}
		out.OutTradeNo, out.TradeNo = o.Facts.OutTradeNo, cmp.Or(out.TradeNo, o.Facts.TradeNo)
		found = true
		for _, e := range o.Facts.Entries {
			if e.BookedAt == nil {
				continue
			}
			x := platforms.Entry{FlowID: e.HisFlowID, Amount: platforms.Fen(e.AmountFen), At: e.BookedAt.In(zone()), Channel: platforms.Channel(o.Facts.Channel)}
			if !slices.ContainsFunc(out.Entries, func(y platforms.Entry) bool { return y.FlowID == x.FlowID && y.Amount == x.Amount }) {
				out.Entries = append(out.Entries, x)
			}
		}
		return nil
	})
	var incomplete *IncompleteError
	switch {
	case errors.As(err, &incomplete):
		return out, err
	case err != nil:
		return out, fmt.Errorf("cannot read the books: %w", err)
	case !found:
		// It may be on its way here.
		now := b.hub.cfg.Now()
		if err := b.hub.check(b.site, now.Add(-slack), now); err != nil {
			return out, err
		}
		return out, platforms.ErrNoOrder
	}
	slices.SortStableFunc(out.Entries, func(x, y platforms.Entry) int { return x.At.Compare(y.At) })
	return out, nil
}
