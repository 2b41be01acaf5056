package bench

import (
	"fmt"
	"testing"
	"time"

	"payagent/uplink/uplinktest"
)

// BenchmarkDrain measures how fast a backlog of events leaves the log once the
// broker is back, acknowledged by the broker (fleet.ack: puback).
func BenchmarkDrain(b *testing.B) {
	const orders = 1000
	broker := uplinktest.NewBroker()
	b.Cleanup(broker.Close)
	r := newRig(b, 0, 1)
	for range orders {
		r.n++
		status, o := r.call("POST", "/v1/orders", fmt.Sprintf("k%d", r.n), request(r.n, 0, code(r.n)))
		if status != 201 {
			b.Fatal(status, o)
		}
		r.await(o["out_trade_no"].(string), "paid")
		<-r.arrived
	}
	for b.Loop() {
		start := time.Now()
		r.join(broker, fmt.Sprint("box", r.n), true)
		r.n++
		topic := fmt.Sprintf("payagent/H1/box%d/e/orders", r.n-1)
		for len(broker.Accepted(topic)) < orders {
			time.Sleep(20 * time.Millisecond)
		}
		b.ReportMetric(orders/time.Since(start).Seconds(), "events/s")
		b.StopTimer()
		r.leave()
		b.StartTimer()
	}
}
