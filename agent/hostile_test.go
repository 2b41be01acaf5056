package agent_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"payagent/uplink"
)

// hostile is a broker that does to messages whatever it can without keys: it
// loses, doubles, delays, reorders, changes and repeats them, and acknowledges
// all the same.
type hostile struct {
	uplink.Bus
	mu   *sync.Mutex
	rnd  *rand.Rand
	till time.Time // when it becomes honest
	kept *[]uplink.Message
	did  map[string]int
}

func (h *hostile) Send(ctx context.Context, m uplink.Message) <-chan error {
	h.mu.Lock()
	if time.Now().After(h.till) {
		h.mu.Unlock()
		return h.Bus.Send(ctx, m)
	}
	*h.kept = append(*h.kept, m)
	what := []string{"pass", "pass", "pass", "lose", "double", "delay", "hold", "change", "repeat"}[h.rnd.IntN(9)]
	h.did[what]++
	var later []uplink.Message
	wait := time.Duration(h.rnd.IntN(4000)) * time.Millisecond
	switch what {
	case "double":
		later = []uplink.Message{m, m}
		wait = 0
	case "delay":
		later = []uplink.Message{m}
	case "hold": // longer than a ticket lives
		later = []uplink.Message{m}
		wait = 15*time.Second + 10*wait
	case "change":
		bad := m
		bad.Payload = slices.Clone(m.Payload)
		bad.Payload[h.rnd.IntN(len(bad.Payload))] ^= byte(1 << h.rnd.IntN(8))
		later = []uplink.Message{bad}
	case "repeat":
		for range 3 {
			later = append(later, (*h.kept)[h.rnd.IntN(len(*h.kept))])
		}
		later = append(later, m)
	}
	h.mu.Unlock()
	if what == "pass" {
		return h.Bus.Send(ctx, m)
	}
	for _, l := range later {
		time.AfterFunc(wait, func() { h.Bus.Send(context.Background(), l) })
	}
	done := make(chan error, 1)
	done <- nil
	return done
}

// TestHostileBroker: a broker that may do everything but read can make a till
// wait and ask people; it cannot make anybody pay twice, nor the agent say what
// is not so.
func TestHostileBroker(t *testing.T) {
	did := map[string]int{}
	seeds := uint64(3)
	if *everyStep {
		seeds = 50
	}
	for _, name := range []string{"FWC, at once", "FWC, canceled early", "FWC, refund", "SmartPay, password"} {
		all := relayedFlows()
		f := all[slices.IndexFunc(all, func(f flow) bool { return f.name == name })]
		t.Run(name, func(t *testing.T) {
			for seed := range seeds {
				f.overRelay(t, func(x *relayed) {
					x.seed = seed
					var mu sync.Mutex
					var kept []uplink.Message
					rnd := rand.New(rand.NewPCG(seed, 7))
					x.between = func(b uplink.Bus) uplink.Bus {
						return &hostile{Bus: b, mu: &mu, rnd: rnd, till: time.Now().Add(4 * time.Minute), kept: &kept, did: did}
					}
				})
			}
		})
	}
	for _, what := range []string{"lose", "double", "delay", "hold", "change", "repeat"} {
		if did[what] < 5 {
			t.Errorf("the broker did %q only %d times", what, did[what])
		}
	}
}
