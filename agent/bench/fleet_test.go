package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/agent/fleet/sealed"
	"payagent/agent/service"
	"payagent/agent/signed"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// join makes the rig's agent a box of a fleet.
func (r *rig) join(broker *uplinktest.Broker, name string, pubAck bool) {
	r.b.Helper()
	r.joinBy(name, pubAck, nil, func(start box.Start, up func(context.Context, uint64)) uplink.Bus {
		return broker.Open(uplinktest.Client{Name: name, Will: start.Will, OnUp: up})
	})
}

// joinBy is join by a connection of the caller's; a key has patients sealed to it.
func (r *rig) joinBy(name string, pubAck bool, key *sealed.Public, open func(box.Start, func(context.Context, uint64)) uplink.Bus) {
	r.b.Helper()
	start, err := box.NewStart(fleet.Place{Root: "payagent", Site: "H1", Box: name}, 10*time.Second, "bench")
	must(r.b, err)
	x, err := box.New(box.Options{Agent: r.agent, Cursors: r.store, Dir: filepath.Join(r.dir, "fleet"), Keys: []signed.Key{}, PubAck: pubAck, HubKey: key, Start: start, Hurry: service.Hurry,
		Lock: r.agent.Quiet(agent.QuietTerms{}), Verbs: []box.Verb{box.Restart()}, End: func(string) {}})
	must(r.b, err)
	bus := open(start, x.OnUp)
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := x.Run(ctx, bus); err != nil {
			r.b.Error(err)
		}
	})
	r.leave = sync.OnceFunc(func() {
		stop()
		group.Wait()
		_ = bus.Close()
	})
	r.b.Cleanup(r.leave)
}

// ready gives a channel that is closed when a box has said that it is ready.
func ready(b *testing.B, broker *uplinktest.Broker, name string) <-chan struct{} {
	b.Helper()
	up := make(chan struct{})
	once := sync.OnceFunc(func() { close(up) })
	bus := broker.Bus("watch-"+name, nil)
	b.Cleanup(func() { _ = bus.Close() })
	_, err := bus.Subscribe(fleet.Place{Root: "payagent", Site: "H1", Box: name}.Topic(fleet.LevelStatus), func(m uplink.Message) {
		var s fleet.Status
		if json.Unmarshal(m.Payload, &s) == nil && s.State == fleet.StateReady {
			once()
		}
	})
	must(b, err)
	return up
}

// BenchmarkFleet measures a payment, from the byte on the tty to paid, of an
// agent without a fleet and of one whose broker is up, and one whose broker is a
// black hole, in turns (decision 28: p50 at most 1.05 of that without).
func BenchmarkFleet(b *testing.B) {
	broker := uplinktest.NewBroker()
	b.Cleanup(broker.Close)
	rigs := []*rig{newRig(b, 0, 1), newRig(b, 0, 1), newRig(b, 0, 1), newRig(b, 0, 1)}
	names := []string{"without", "up", "stalled", "control"} // the last has none either: it shows the noise
	for i := 1; i <= 2; i++ {
		up := ready(b, broker, names[i])
		rigs[i].join(broker, names[i], false)
		<-up
	}
	broker.Stall(names[2], true)
	took := make([][]time.Duration, len(rigs))
	n := 0
	for b.Loop() {
		n++
		for k := range rigs { // nobody is always first
			i := (k + n) % len(rigs)
			r := rigs[i]
			r.n++
			status, o := r.call("POST", "/v1/orders", fmt.Sprintf("k%d", r.n), request(r.n, 0, ""))
			if status != 201 {
				b.Fatal(status, o)
			}
			no := o["out_trade_no"].(string)
			r.await(no, "waiting")
			start := time.Now()
			if _, err := r.scanner.Write([]byte(code(r.n) + "\r")); err != nil {
				b.Fatal(err)
			}
			<-r.arrived
			took[i] = append(took[i], r.await(no, "paid").Sub(start))
		}
	}
	for i, list := range took {
		slices.Sort(list)
		report(b, names[i], list)
	}
	middle := func(i int) float64 { return float64(took[i][len(took[i])/2]) }
	for i, name := range names[1:] {
		b.ReportMetric(middle(i+1)/middle(0), name+"-ratio")
	}
}
