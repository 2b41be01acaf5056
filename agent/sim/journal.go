package sim

import (
	"bytes"
	"encoding/json"
	"slices"

	"payagent/agent/counter"
	"payagent/agent/order"
)

// canary is in every payment code of the simulation and in nothing else.
const canary = "77007700"

// journal is what a power cut now would leave: streams of encoded facts, the
// keys that find them, and the slots of the second file.
type journal struct {
	streams map[string]*stream
	keys    map[string][]string
	order   []string
	slots   []counter.Slot
	leaked  string // order whose bytes held a payment code
	broken  string // a fact that does not come back out of its bytes
}

type stream struct {
	no     string
	raw    [][]byte
	o      *order.Order // folded from raw as it grows
	closed bool
}

func newJournal() *journal {
	return &journal{streams: map[string]*stream{}, keys: map[string][]string{}}
}

// leaks tells whether a payment code or a card is in a fact. The digits of a
// time may look like one, so they are left out.
func leaks(f order.Fact) bool {
	f.At = order.Instant{}
	raw, err := json.Marshal(f)
	for _, text := range []string{"13" + canary, "28" + canary, cardCanary} {
		if err != nil || bytes.Contains(raw, []byte(text)) {
			return true
		}
	}
	return false
}

// commit makes a batch durable.
func (j *journal) commit(batch []counter.Write) {
	for _, w := range batch {
		if w.Slot != nil { // one per order: the latest replaces
			j.slots = slices.DeleteFunc(j.slots, func(x counter.Slot) bool { return x.Order == w.Order })
			j.slots = append(j.slots, *w.Slot)
		}
		s := j.streams[w.Order]
		if s == nil {
			s = &stream{no: w.Order, o: &order.Order{}}
			j.streams[w.Order] = s
			j.order = append(j.order, w.Order)
		}
		if w.Close {
			s.closed = true
			j.slots = slices.DeleteFunc(j.slots, func(x counter.Slot) bool { return x.Order == w.Order })
		}
		if w.Fact == nil {
			continue
		}
		s.closed = w.Close
		raw, err := json.Marshal(w.Fact)
		if err != nil {
			j.broken = w.Order + ": " + err.Error()
			continue
		}
		if leaks(*w.Fact) {
			j.leaked = w.Order
		}
		s.raw = append(s.raw, raw)
		var f order.Fact
		if err := json.Unmarshal(raw, &f); err != nil {
			j.broken = w.Order + ": " + err.Error()
		} else if err := s.o.Apply(f); err != nil {
			j.broken = w.Order + ": " + err.Error()
		}
		for _, k := range w.Keys {
			if !slices.Contains(j.keys[k], w.Order) {
				j.keys[k] = append(j.keys[k], w.Order)
			}
			if bytes.Contains([]byte(k), []byte(canary)) {
				j.leaked = w.Order
			}
		}
	}
}

// fold reads one order back from its bytes; nil if there is none.
func (j *journal) fold(no string) *order.Order {
	s := j.streams[no]
	if s == nil || len(s.raw) == 0 {
		return nil
	}
	facts := make([]order.Fact, len(s.raw))
	for i, raw := range s.raw {
		if err := json.Unmarshal(raw, &facts[i]); err != nil {
			j.broken = no + ": " + err.Error()
		}
	}
	o, err := order.Fold(facts)
	if err != nil {
		j.broken = no + ": " + err.Error()
		return nil
	}
	return o
}

// at gives an order as it is durable, without reading bytes; nil if unknown.
func (j *journal) at(no string) *order.Order {
	if s := j.streams[no]; s != nil {
		return s.o
	}
	return nil
}

func (j *journal) recover() counter.Recover {
	r := counter.Recover{Booked: len(j.keys[counter.HisBooksKey]) > 0}
	for _, no := range j.order {
		if s := j.streams[no]; !s.closed {
			if o := j.fold(no); o != nil {
				r.Orders = append(r.Orders, o)
			}
		}
	}
	for _, s := range j.slots {
		if j.streams[s.Order] == nil {
			r.Lost = append(r.Lost, s)
		}
	}
	return r
}

func (j *journal) lookup(l counter.Lookup) counter.Found {
	f := counter.Found{Token: l.Token, Orders: map[string][]*order.Order{}}
	for _, k := range l.Keys {
		for _, no := range j.keys[k] {
			if o := j.fold(no); o != nil {
				f.Orders[k] = append(f.Orders[k], o)
			}
		}
	}
	for _, no := range l.Orders {
		if o := j.fold(no); o != nil {
			f.Orders[no] = append(f.Orders[no], o)
		}
	}
	return f
}

// lose is the loss of the whole log; the second file is kept.
func (j *journal) lose() {
	j.streams, j.keys, j.order = map[string]*stream{}, map[string][]string{}, nil
}
