package agent

import (
	"context"
	"slices"
	"sort"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue"
)

// Order gives an order's latest durable state, nil if there is none. The value
// is shared: do not change it.
func (a *Agent) Order(no string) (*order.Order, error) {
	if o := a.memory.order(no); o != nil {
		return o, nil
	}
	return a.fold(no)
}

// Wait gives an order as soon as its revision differs from rev, or as it is
// when the context ends. It returns nil for an order that does not exist.
func (a *Agent) Wait(ctx context.Context, no string, rev int) (*order.Order, error) {
	for {
		changed := a.memory.changed()
		o, err := a.Order(no)
		if err != nil || o == nil || o.Rev != rev || ctx.Err() != nil {
			return o, err
		}
		select {
		case <-changed:
		case <-a.dead:
			return o, nil
		case <-a.over:
			return o, nil
		case <-ctx.Done():
		}
	}
}

// By says what an order is looked up by.
type By string

// The ways of finding an order.
const (
	ByBill  By = "bill"  // HIS's own reference
	ByOrder By = "order" // our number
	ByTrade By = "trade" // the wallet's or platform's number
	ByTail  By = "tail"  // the last four characters of that number, as they stand on receipts
	ByFlow  By = "flow"  // HIS's own number of a payment or refund (HisFlowID)
)

// Find lists the orders that something is the number of, newest first (HIS-13).
func (a *Agent) Find(by By, value string) ([]*order.Order, error) {
	var numbers []string
	var err error
	switch by {
	case ByOrder:
		numbers = []string{value}
	case ByBill:
		numbers, err = a.parts.Log.Find("bill:" + value)
	case ByTrade, ByTail, ByFlow:
		numbers, err = a.parts.Log.Find(string(by) + ":" + value)
	}
	if err != nil {
		return nil, err
	}
	var list []*order.Order
	for _, no := range numbers {
		o, err := a.Order(no)
		if err != nil {
			return nil, err
		}
		if o != nil && !slices.ContainsFunc(list, func(x *order.Order) bool { return x.No == o.No }) {
			list = append(list, o)
		}
	}
	slices.Reverse(list)
	return list, nil
}

// Open lists what is owed: the orders that are not final, those watched for
// late money, and those with refunds under way, oldest first.
func (a *Agent) Open() []*order.Order {
	list := a.memory.open()
	sort.Slice(list, func(i, j int) bool {
		x, y := list[i], list[j]
		return x.CreatedAt.Wall < y.CreatedAt.Wall || x.CreatedAt.Wall == y.CreatedAt.Wall && x.No < y.No
	})
	return list
}

// Event is one entry of the durable event stream: an order as it was after the
// record with this number, and before it.
type Event struct {
	Seq   uint64
	Kind  order.Kind
	At    order.Instant // of the fact
	Order *order.Order
	Was   *order.Order // nil before the first record
}

// Events gives up to limit events after seq, and the oldest number still kept.
// Notes are passed over: they are no order's events.
func (a *Agent) Events(seq uint64, limit int) (list []Event, first uint64, err error) {
	w := walk{}
	for len(list) < limit {
		entries, from, err := a.parts.Log.After(queue.Seq(seq), limit-len(list))
		if err != nil {
			return nil, 0, err
		}
		first = max(first, uint64(from))
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			seq = uint64(e.Seq)
			if IsNote(e.Stream) {
				continue
			}
			ev, err := a.event(w, e)
			if err != nil {
				return nil, 0, err
			}
			list = append(list, ev)
		}
	}
	return list, first, nil
}

// walk is what a walk over the log keeps of the orders that it meets: their
// facts so far, so that each is read and taken apart once.
type walk map[string][]order.Fact

// until gives the facts of an order up to one record, which follows those that
// the walk has.
func (a *Agent) until(w walk, e queue.Entry) ([]order.Fact, error) {
	facts, met := w[e.Stream]
	delete(w, e.Stream)
	if !met && kindOf(e.Data) != order.KindCreated {
		stream, err := a.parts.Log.Stream(e.Stream)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(stream, func(x queue.Entry) bool { return x.Seq >= e.Seq }); i >= 0 {
			stream = stream[:i]
		}
		if facts, err = a.facts.read(stream); err != nil {
			return nil, err
		}
	}
	if facts == nil {
		facts = make([]order.Fact, 0, 4)
	}
	facts, err := a.facts.add(facts, e)
	if err == nil {
		w[e.Stream] = facts
	}
	return facts, err
}

// event is an order as it was after one record.
func (a *Agent) event(w walk, e queue.Entry) (Event, error) {
	facts, err := a.until(w, e)
	if err != nil {
		return Event{}, err
	}
	return eventOf(e, facts, &order.Order{}, &order.Order{})
}

// eventOf is the event of a record, the last of the facts; was and is become
// its orders.
func eventOf(e queue.Entry, facts []order.Fact, was, is *order.Order) (Event, error) {
	last := len(facts) - 1
	f := facts[last]
	if err := was.Refold(facts[:last]); err != nil {
		return Event{}, senseless(e.Stream, err)
	}
	was.CopyTo(is)
	if err := is.Apply(f); err != nil {
		return Event{}, senseless(e.Stream, err)
	}
	if last == 0 {
		was = nil
	}
	return Event{Seq: uint64(e.Seq), Kind: f.Kind, At: f.At, Order: is, Was: was}, nil
}

// LastEvent is the number of the newest event.
func (a *Agent) LastEvent() uint64 { return uint64(a.parts.Log.Last()) }

// Facts gives an order's whole history, oldest first, for people (OBS-03).
func (a *Agent) Facts(no string) ([]order.Fact, error) { return ReadFacts(a.parts.Log, no) }

// ReadFacts reads an order's history from a log.
func ReadFacts(log queue.Reader, no string) ([]order.Fact, error) {
	entries, err := log.Stream(no)
	if err != nil {
		return nil, err
	}
	return newFactReader().read(entries)
}

// Changed is closed when something that a reader may care about changed: an
// order, a till's face, health, an alarm.
func (a *Agent) Changed() <-chan struct{} { return a.memory.changed() }

// View gives a till's face; false for a till that does not exist.
func (a *Agent) View(till string) (counter.View, bool) {
	if _, ok := a.shape.Tills[till]; !ok {
		return counter.View{}, false
	}
	a.memory.use(a.Now())
	v, ok := a.memory.view(till)
	if !ok {
		v = counter.View{Till: till, Online: true}
	}
	return v, true
}

// Health tells what readiness hangs on.
func (a *Agent) Health() counter.Health { return a.memory.getHealth() }

// Alarms gives the latest alarms, newest last.
func (a *Agent) Alarms() []counter.Alarm {
	defer a.memory.lock()()
	return slices.Clone(a.memory.alarms)
}

// Private opens an order's sealed part: patient, subject, memo, details. Empty
// once its key was thrown away.
func (a *Agent) Private(o *order.Order) order.Private { return a.unseal(o) }

// Act carries out check, cancel, detach or confirm.
func (a *Agent) Act(ctx context.Context, no string, action order.Action, op platforms.Operator, reason string) (counter.Reply, error) {
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.Act{Reply: id, Order: no, Action: action, Operator: op, Reason: reason}
	})
}

// ResolveAll brings everything that is owed forward to now (OFF-09).
func (a *Agent) ResolveAll(ctx context.Context) error {
	_, err := a.ask(ctx, func(id uint64) counter.Event { return counter.ResolveAll{Reply: id} })
	return err
}

// Preload fills the view of open orders from the log, for reading without Run.
func (a *Agent) Preload() error {
	_, err := a.load()
	return err
}
