package box

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/agent/fleet/sealed"
	"payagent/agent/order"
)

// readOrders reads order events. What is known of the patients is sealed here,
// to one key for all that are read in one go: agreeing on a key takes most of
// the time.
func (b *Box) readOrders(after uint64, limit int) (list []item, read, first uint64, err error) {
	var mu sync.Mutex
	sealer := sync.OnceValues(func() (*sealed.Sealer, error) { return b.o.HubKey.Sealer(b.place) })
	read, first, err = b.o.Agent.Follow(after, limit, func(e agent.Event) error {
		news := newsOf(e)
		if news == "" {
			return nil
		}
		it := item{seq: e.Seq, at: e.At.Wall, kind: fleet.TypeOrder + news + fleet.TypeVersion, subject: e.Order.No,
			data: fleet.OrderData{Order: b.show(e.Order), Rev: e.Order.Rev}, trace: agent.TraceID(e.Order)}
		if b.o.HubKey != nil {
			id, err := b.eventID(e.Seq), error(nil)
			if it.sealed, err = b.person(id, e.Order, sealer); err != nil {
				b.log.Error("an event goes without its patient", "event", id, "error", err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		list = append(list, it)
		return nil
	})
	sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
	return list, read, first, err
}

// newsOf is what is new; the hub is told of every change of HIS's bookings too.
func newsOf(e agent.Event) string {
	if news := e.News(); news != "" {
		return news
	}
	var was []order.Entry
	if e.Was != nil {
		was = e.Was.Entries()
	}
	if !slices.Equal(was, e.Order.Entries()) {
		return agent.NewsBooking
	}
	return ""
}

// person seals what is known of the patient to the hub.
func (b *Box) person(id string, o *order.Order, sealer func() (*sealed.Sealer, error)) (string, error) {
	p, err := b.o.Agent.Patient(o)
	if err != nil {
		return "", err
	}
	who := sealed.Person{Name: p.Name, CardNo: p.CardNo, MedicalCard: b.o.Agent.MedicalCard(o)}
	if who.CardNo.Empty() {
		who.CardNo = p.AdmissionNo
	}
	if who.Empty() {
		return "", nil
	}
	s, err := sealer()
	if err != nil {
		return "", err
	}
	return s.Seal(id, who)
}

// show copies what may leave the box, field by field.
func (b *Box) show(o *order.Order) fleet.Order {
	v := fleet.Order{OutTradeNo: o.No, State: string(o.State()), Mode: string(o.Mode), OrderType: o.OrderType, AmountFen: int64(o.Amount), Till: o.Till,
		Channel: string(o.PaidVia()), Platform: o.Platform, Merchant: o.Merchant.Profile, TradeNo: o.TradeNo, CostType: b.costType(o),
		CreatedAt: moment(o.CreatedAt.Wall), EndedAt: moment(o.EndedAt.Wall), AmountSeen: o.AmountSeen, Action: string(o.Action),
		EndReason: o.EndReason, Doubt: o.Doubt, Foreign: o.Foreign, Booking: agent.BookStage(o), RefundedFen: int64(o.RefundedSum())}
	if o.State() == order.Paid {
		v.PaidAt = moment(o.PaidAt)
	}
	switch {
	case o.LateDone:
		v.LateMoney = "given_back"
	case o.LateFound:
		v.LateMoney = "found"
	}
	for _, e := range o.Entries() {
		x := fleet.Entry{HisFlowID: e.FlowID, AmountFen: int64(e.Sum), BookedAt: moment(e.At)}
		if e.Refund >= 0 {
			x.RefundNo, x.AmountFen = o.Refunds[e.Refund].Request, -x.AmountFen
		}
		v.Entries = append(v.Entries, x)
	}
	for _, r := range o.Refunds {
		x := fleet.Refund{RefundNo: r.Request, AmountFen: int64(r.Sum), State: string(r.State), Auto: r.Auto, Via: string(r.Via), AskedAt: moment(r.At.Wall)}
		if r.State.Final() {
			x.EndedAt = moment(r.EndedAt.Wall)
		}
		v.Refunds = append(v.Refunds, x)
	}
	return v
}

// costType is HIS's own word, else what the order's type is called on the wire.
func (b *Box) costType(o *order.Order) string {
	if o.Booking != nil && o.Booking.CostType != "" {
		return o.Booking.CostType
	}
	return cmp.Or(b.o.Agent.Config().OrderTypes[o.OrderType].OrderType, o.OrderType)
}

func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := atWall(ms)
	return &t
}
