package agent

import (
	"encoding/json"
	"fmt"
	"slices"

	"payagent/agent/counter"
	"payagent/platforms"
	"payagent/queue"
)

// batches packs the writes of steps into as few commits as the store's bounds
// allow. One start, or the end of one outage, may write facts of hundreds of
// orders in one step; what one step says of one order in one go stays together,
// because only that must never be half on disk.
func (a *Agent) batches(steps [][]counter.Effect) ([]queue.Batch, error) {
	var list []queue.Batch
	var b, unit queue.Batch
	last := ""
	flush := func() {
		if joined := join(b, unit); queue.Check(joined) == nil && !clash(b, unit) {
			b = joined
		} else {
			if !blank(b) {
				list = append(list, b)
			}
			b = unit
		}
		unit = queue.Batch{}
	}
	for _, step := range steps {
		for _, e := range step {
			if alarm, ok := e.(counter.Alarm); ok {
				if err := a.addAlarm(&unit, alarm); err != nil {
					return nil, err
				}
				continue
			}
			if code, ok := e.(counter.CodeAgain); ok {
				if err := a.addCodeAgain(&unit, code); err != nil {
					return nil, err
				}
				continue
			}
			w, ok := e.(counter.Write)
			if !ok {
				continue
			}
			if w.Order != last {
				flush()
				last = w.Order
			}
			if err := a.addWrite(&unit, w); err != nil {
				return nil, err
			}
		}
		flush()
		last = ""
	}
	if !blank(b) {
		list = append(list, b)
	}
	return list, nil
}

// clash tells whether two batches written as one would mean something else
// than one after the other: within a batch closing comes after the records,
// and setting slots after freeing them.
func clash(b, next queue.Batch) bool {
	for _, r := range next.Records {
		if slices.Contains(b.Close, r.Stream) {
			return true
		}
	}
	return slices.ContainsFunc(b.Slots, func(s queue.Slot) bool { return slices.Contains(next.Free, s.Key) })
}

func blank(b queue.Batch) bool {
	return len(b.Records) == 0 && len(b.Close) == 0 && len(b.Slots) == 0 && len(b.Free) == 0
}

func join(b, c queue.Batch) queue.Batch {
	if blank(b) {
		return c
	}
	b.Records, b.Close = append(b.Records, c.Records...), append(b.Close, c.Close...)
	b.Slots, b.Free = append(b.Slots, c.Slots...), append(b.Free, c.Free...)
	return b
}

func (a *Agent) addWrite(b *queue.Batch, w counter.Write) error {
	if w.Fact != nil {
		data, err := json.Marshal(w.Fact)
		if err != nil {
			return fmt.Errorf("cannot write a fact of order %s: %w", w.Order, err)
		}
		b.Records = append(b.Records, queue.Record{Stream: w.Order, Keys: append(dayKeys(*w.Fact), w.Keys...), Data: data})
	}
	if w.Slot != nil {
		data, err := a.packSlot(*w.Slot)
		if err != nil {
			return fmt.Errorf("cannot write the intent of order %s: %w", w.Order, err)
		}
		b.Slots = append(b.Slots, queue.Slot{Key: w.Order, Data: data})
	}
	if w.Close {
		b.Close = append(b.Close, w.Order)
		b.Free = append(b.Free, w.Order)
	}
	return nil
}

// packSlot writes a slot in the few bytes there are. The order's number is the
// slot's own name; what the configuration knows by the profile goes first when
// names are long, then the platform's key, without which the order can still
// be asked about by our number.
func (a *Agent) packSlot(s counter.Slot) ([]byte, error) {
	s.Order = ""
	shorten := []func(){
		func() {},
		func() {
			if m, ok := a.cfg.MerchantNamed(s.Merchant.Profile); ok && m.MerchCode == s.Merchant.Code {
				s.Merchant.Code = ""
			}
		},
		func() {
			if m, ok := a.cfg.MerchantNamed(s.Merchant.Profile); ok && m.Platform == s.Platform {
				s.Platform = ""
			}
		},
		func() { s.Merchant.Code = "" },
		func() { s.Handle = "" },
	}
	var data []byte
	for _, cut := range shorten {
		cut()
		var err error
		if data, err = json.Marshal(s); err != nil || len(data) <= queue.MaxSlotData {
			return data, err
		}
	}
	return data, nil // the store refuses it and says why
}

// unpackSlot reads what packSlot wrote.
func (a *Agent) unpackSlot(s queue.Slot) (counter.Slot, error) {
	var slot counter.Slot
	if err := json.Unmarshal(s.Data, &slot); err != nil {
		return slot, err
	}
	slot.Order = s.Key
	m, ok := a.cfg.MerchantNamed(slot.Merchant.Profile)
	if ok && slot.Platform == "" {
		slot.Platform = m.Platform
	}
	if ok && slot.Merchant.Code == "" {
		slot.Merchant.Code = m.MerchCode
	}
	// Who asked for the order is lost; a cancel in nobody's name is refused by
	// some platforms, and then it could never end.
	slot.Operator = platforms.Operator{ID: "payagent", Name: "payagent"}
	for _, t := range a.cfg.Tills {
		if t.Operator.ID != "" {
			slot.Operator, slot.Terminal = platforms.Operator{ID: t.Operator.ID, Name: t.Operator.Name}, t.DeviceNo
			break
		}
	}
	return slot, nil
}
