package box

import (
	"payagent/agent/fleet"
	"payagent/uplink"
)

// takeAck takes the hub's word.
func (b *Box) takeAck(m uplink.Message) {
	_, levels, ok := fleet.Split(b.place.Root, m.Topic)
	var a fleet.Ack
	if !ok || len(levels) != 2 || len(m.Payload) == 0 || fleet.Unmarshal(m.Payload, &a) != nil {
		return
	}
	if levels[1] != fleet.StreamOrders && levels[1] != fleet.StreamAlarms {
		return // whoever may write here must not fill the memory
	}
	<-b.ready
	if a.Epoch != b.epoch {
		return // of a store that is gone
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.Seq < b.acks[levels[1]] {
		b.low[levels[1]] = a.Seq // an old one that was late, or the hub has less than it had
		return
	}
	delete(b.low, levels[1])
	if a.Seq > b.acks[levels[1]] {
		b.acks[levels[1]] = a.Seq
		b.ring()
	}
}

// less tells whether the hub's last word was below an earlier one.
func (b *Box) less(stream string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.low[stream]
	return ok
}

// lower gives the hub's last word, where it was below an earlier one; that one
// then counts no more.
func (b *Box) lower(stream string) (uint64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	low, ok := b.low[stream]
	if ok {
		b.acks[stream] = low
		delete(b.low, stream)
	}
	return low, ok
}
