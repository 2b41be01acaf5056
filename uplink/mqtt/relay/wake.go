package relay

import (
	"fmt"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt/internal/sealed"
)

// Wake tells a box that a platform has news of an order. Only boxes that showed
// their certificate since the start are woken, and each at most once a second
// in the long run: this is called for what strangers say.
func (r *Relay) Wake(site, box, platform, order string) error {
	place := r.cfg.Root + "/" + site + "/" + box
	base := ""
	for _, p := range r.platforms {
		if p.name == platform {
			base = p.base
		}
	}
	now := time.Now()
	r.mu.Lock()
	state := r.boxes[place]
	ok := base != "" && state != nil && state.wakes.Take(now)
	// A restart of the relay goes on from the wall clock, so counts grow.
	r.wake = max(r.wake+1, uint64(max(now.UnixMicro(), 0)))
	count := r.wake
	r.mu.Unlock()
	if !ok {
		r.stats.refuse("wake")
		return fmt.Errorf("the box or the platform is not known here, or it is woken too often")
	}
	key, err := r.keys[0].WakeKey(place)
	if err != nil {
		return err
	}
	payload, err := sealed.SealWake(key, place, sealed.Wake{Platform: base, Order: order, Count: count})
	if err != nil {
		return err
	}
	r.stats.wake()
	r.publish(uplink.Message{Topic: place + "/relay/wake", Payload: payload})
	return nil
}
