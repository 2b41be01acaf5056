package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"payagent/uplink/mqtt/internal/sealed"
	"payagent/uplink/mqtt/relaytest"
)

// TestWake: only a box that showed its certificate is woken, not too often, and
// each wake-up counts further than the one before, over restarts too.
func TestWake(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		if r.relay.Wake(relaytest.Hospital, "B1", "pay", "MZ1") == nil {
			t.Error("a box that nobody knows was woken")
		}
		tk := b.seal(sealed.Ask{Op: sealed.OpTicket})
		b.publish(tk.payload)
		key := b.one(tk, sealed.Granted).WakeKey
		for _, wrong := range [][3]string{{"H2", "B1", "pay"}, {"H1", "B2", "pay"}, {"H1", "B1", "other"}, {"H1", "B1/x", "pay"}} {
			if r.relay.Wake(wrong[0], wrong[1], wrong[2], "MZ1") == nil {
				t.Errorf("%v was woken", wrong)
			}
		}
		n := 0
		for range 50 {
			if r.relay.Wake(relaytest.Hospital, "B1", "pay", "MZ1") == nil {
				n++
			}
		}
		if n != 10 {
			t.Errorf("%d wake-ups at once", n)
		}
		time.Sleep(5 * time.Second)
		r.stop()
		r.start()
		tk = b.seal(sealed.Ask{Op: sealed.OpTicket})
		b.publish(tk.payload)
		if b.one(tk, sealed.Granted).WakeKey != key {
			t.Error("the key of wake-ups changes with a restart")
		}
		if err := r.relay.Wake(relaytest.Hospital, "B1", "pay", "MZ2"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.wakes) != 11 {
			t.Fatalf("%d wake-ups arrived", len(b.wakes))
		}
		last := uint64(0)
		for i, p := range b.wakes {
			k, err := sealed.OpenWake(key, b.place, p)
			if err != nil || k.Count <= last || k.Platform != base || k.Order != map[bool]string{true: "MZ2", false: "MZ1"}[i == 10] {
				t.Errorf("wake-up %d: %+v %v", i, k, err)
			}
			last = k.Count
		}
	})
}
