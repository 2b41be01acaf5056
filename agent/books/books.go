// Package books answers a platform's reconciliation from the journal (seed 004
// §7, ORD-14): what HIS booked, with the patients' names and cards opened from
// the sealed part while their keys are kept. What HIS did not book is not in
// the books, else the platform would be compared with its own word and a
// payment that only one side has would stay hidden.
package books

import (
	"cmp"
	"context"
	"fmt"
	"sort"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/platforms"
)

// Journal is what the books are read from; *agent.Agent is one.
type Journal interface {
	KeptSince() (time.Time, error)
	OnDay(ctx context.Context, key string, yield func(*order.Order) error) error
	Order(no string) (*order.Order, error)
	Patient(o *order.Order) (platforms.Patient, error)
	MedicalCard(o *order.Order) platforms.Hidden
	Config() config.Config
}

// Books implements platforms.Books. It is safe for concurrent use.
type Books struct{ journal Journal }

// New makes the books of a journal.
func New(j Journal) *Books { return &Books{journal: j} }

// maxDays bounds what one question may cover; orders are kept 400 days.
const maxDays = 400

// place is where a row is found: an order, and its payment (-1) or the number
// of its refund. Rows are put in order as places, so that nobody's name waits
// in memory.
type place struct {
	at     int64 // Unix ms
	no     string
	refund int
}

// Trades implements platforms.Books. A row counts to the moment that HIS booked
// it at; what HIS did not book, where it is asked for, to the moment the
// journal had it.
func (b *Books) Trades(ctx context.Context, q platforms.TradeQuery, yield func(platforms.Trade) error) error {
	if q.To.Sub(q.From) > maxDays*24*time.Hour {
		return &platforms.FieldError{Field: "EndDate", Reason: fmt.Sprintf("is more than %d days after BeginDate", maxDays)}
	}
	switch since, err := b.journal.KeptSince(); {
	case err != nil:
		return fmt.Errorf("cannot read the books: %w", err)
	case q.From.Before(since): // a list without what was dropped would be taken for a whole one
		return &platforms.FieldError{Field: "BeginDate", Reason: "is before " + since.In(zone()).Format("2006-01-02 15:04:05") + ", from when on orders are kept; ask for later days"}
	}
	for day := q.From; ; day = day.AddDate(0, 0, 1) {
		if !day.Before(q.To) {
			day = q.To // the last day may be touched by less than a whole one
		}
		if err := b.day(ctx, day, q, yield); err != nil {
			return err
		}
		if !day.Before(q.To) || agent.DayKey(day) == agent.DayKey(q.To) {
			return nil
		}
	}
}

// day gives the rows of one day.
func (b *Books) day(ctx context.Context, day time.Time, q platforms.TradeQuery, yield func(platforms.Trade) error) error {
	key := agent.DayKey(day)
	var list []place
	err := b.journal.OnDay(ctx, key, func(o *order.Order) error {
		if q.Channel != "" && q.Channel != o.PaidVia() {
			return nil
		}
		for _, p := range places(o, q.IncludeUnbooked) {
			at := time.UnixMilli(p.at)
			// An order is found under each day that something happened to it on.
			if agent.DayKey(at) == key && !at.Before(q.From) && !at.After(q.To) {
				list = append(list, p)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the books: %w", err)
	}
	sort.Slice(list, func(i, j int) bool {
		x, y := list[i], list[j]
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.no, y.no), cmp.Compare(x.refund, y.refund)) < 0
	})
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := b.trade(p)
		if err != nil {
			return err
		}
		if err := yield(t); err != nil {
			return err
		}
	}
	return nil
}

// places lists the rows of an order.
func places(o *order.Order, unbooked bool) []place {
	var list []place
	has := map[int]bool{}
	for _, e := range o.Entries() {
		list, has[e.Refund] = append(list, place{e.At, o.No, e.Refund}), true
	}
	if !unbooked {
		return list
	}
	if o.Outcome == order.Paid && !has[-1] {
		list = append(list, place{o.EndedAt.Wall, o.No, -1})
	}
	for i, r := range o.Refunds {
		if r.State == order.RefundDone && !has[i] {
			list = append(list, place{r.EndedAt.Wall, o.No, i})
		}
	}
	return list
}

// trade makes a row.
func (b *Books) trade(p place) (platforms.Trade, error) {
	o, err := b.journal.Order(p.no)
	if err != nil {
		return platforms.Trade{}, fmt.Errorf("cannot read the books: %w", err)
	}
	if o == nil || p.refund >= len(o.Refunds) {
		return platforms.Trade{}, fmt.Errorf("cannot read the books: order %s was there a moment ago; ask again", p.no)
	}
	patient, err := b.journal.Patient(o)
	if err != nil {
		return platforms.Trade{}, fmt.Errorf("cannot read the books: %w", err)
	}
	t := platforms.Trade{CardNo: first(patient.CardNo, patient.AdmissionNo, b.journal.MedicalCard(o)), PatientName: patient.Name,
		CostType: b.costType(o), TradeNo: o.TradeNo, Amount: o.Amount, OutTradeNo: o.No, At: time.UnixMilli(p.at).In(zone()), Channel: o.PaidVia()}
	if p.refund >= 0 {
		t.Refunded, t.Amount = true, o.Refunds[p.refund].Sum
	}
	return t, nil
}

func first(list ...platforms.Hidden) platforms.Hidden {
	for _, h := range list {
		if !h.Empty() {
			return h
		}
	}
	return platforms.Hidden{}
}

// costType is HIS's own word, else what the order's type is called on the wire.
func (b *Books) costType(o *order.Order) string {
	if o.Booking != nil && o.Booking.CostType != "" {
		return o.Booking.CostType
	}
	return cmp.Or(b.journal.Config().OrderTypes[o.OrderType].OrderType, o.OrderType)
}

// Order implements platforms.Books. An order that HIS booked nothing of is none
// that the books know.
func (b *Books) Order(ctx context.Context, outTradeNo string) (platforms.OrderBooks, error) {
	if err := ctx.Err(); err != nil {
		return platforms.OrderBooks{}, err
	}
	o, err := b.journal.Order(outTradeNo)
	if err != nil {
		return platforms.OrderBooks{}, fmt.Errorf("cannot read the books: %w", err)
	}
	if o == nil || len(o.Entries()) == 0 {
		return platforms.OrderBooks{}, platforms.ErrNoOrder
	}
	patient, err := b.journal.Patient(o)
	if err != nil {
		return platforms.OrderBooks{}, fmt.Errorf("cannot read the books: %w", err)
	}
	out := platforms.OrderBooks{TradeNo: o.TradeNo, OutTradeNo: o.No, MedicalCard: first(b.journal.MedicalCard(o), patient.CardNo, patient.AdmissionNo)}
	for _, x := range o.Entries() {
		e := platforms.Entry{FlowID: x.FlowID, Amount: x.Sum, At: time.UnixMilli(x.At).In(zone()), Channel: o.PaidVia()}
		if x.Refund >= 0 {
			e.Amount = -x.Sum
		}
		out.Entries = append(out.Entries, e)
	}
	sort.SliceStable(out.Entries, func(i, j int) bool { return out.Entries[i].At.Compare(out.Entries[j].At) < 0 })
	return out, nil
}

func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }
