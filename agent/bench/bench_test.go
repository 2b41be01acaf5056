package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"payagent/platforms"
)

func report(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	at := func(p int) float64 { return float64(took[len(took)*p/100].Microseconds()) / 1000 }
	b.ReportMetric(at(50), name+"-p50-ms")
	b.ReportMetric(at(99), name+"-p99-ms")
}

// BenchmarkScan measures from the last byte on the tty to the event at an API
// client (P3) and to the pay request at the platform (P4). The scanner is a
// gun: no hold for a second code.
func BenchmarkScan(b *testing.B) {
	r := newRig(b, 0, 1)
	var toEvent, toWire []time.Duration
	for b.Loop() {
		r.n++
		status, o := r.call("POST", "/v1/orders", fmt.Sprintf("k%d", r.n), request(r.n, 0, ""))
		if status != 201 {
			b.Fatal(status, o)
		}
		no := o["out_trade_no"].(string)
		r.await(no, "waiting")
		text := []byte(code(r.n) + "\r")
		if _, err := r.scanner.Write(text); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		toEvent = append(toEvent, r.await(no, "paying").Sub(start))
		toWire = append(toWire, (<-r.arrived).Sub(start))
		r.await(no, "paid")
	}
	report(b, "event", toEvent)
	report(b, "wire", toWire)
}

// BenchmarkOverhead measures what the agent adds to a platform that takes
// 200 ms per call, with eight tills at once (P5): the same two calls (pay and
// query) made directly, then through the door, in one run.
func BenchmarkOverhead(b *testing.B) {
	const tills = 8
	r := newRig(b, 200*time.Millisecond, tills)
	var mu sync.Mutex
	var direct, through []time.Duration
	all := func(do func(till int) time.Duration, into *[]time.Duration) {
		var group sync.WaitGroup
		for till := range tills {
			group.Add(1)
			go func() {
				defer group.Done()
				took := do(till)
				mu.Lock()
				*into = append(*into, took)
				mu.Unlock()
			}()
		}
		group.Wait()
	}
	charger := r.platform.(platforms.Charger)
	for b.Loop() {
		r.n++
		n := r.n
		all(func(till int) time.Duration {
			c := platforms.Charge{Ref: platforms.Ref{OrderNo: fmt.Sprintf("D%dX%d", till, n), Amount: 100, Merchant: platforms.Merchant{Profile: "m"}, Mode: platforms.ModeCharge},
				Code: platforms.AuthCode{Hidden: platforms.Hide(code(1_000_000 + n*10 + till)), Kind: platforms.KindWeChat}, OrderType: "TREATMENT", TillKind: "counter", Subject: "bench",
				Patient: platforms.Patient{Name: platforms.Hide("Bench"), CardNo: platforms.Hide("1"), AdmissionNo: platforms.Hide("1")}}
			start := time.Now()
			if _, err := charger.Charge(context.Background(), c); err != nil {
				b.Error(err)
			}
			if a, err := r.platform.Query(context.Background(), c.Ref); err != nil || a.Status != platforms.Paid {
				b.Error(a.Status, err)
			}
			return time.Since(start)
		}, &direct)
		all(func(till int) time.Duration {
			start := time.Now()
			status, o := r.call("POST", "/v1/orders", fmt.Sprintf("k%d-%d", till, n), request(n, till, code(2_000_000+n*10+till)))
			for status < 300 && o["state"] != "paid" {
				status, o = r.call("GET", fmt.Sprintf("/v1/orders/%s?wait=30s&rev=%.0f", o["out_trade_no"], o["rev"]), "", nil)
			}
			if status >= 300 {
				b.Error(status, o)
			}
			return time.Since(start)
		}, &through)
	}
	report(b, "direct", direct)
	report(b, "agent", through)
	b.ReportMetric(float64(through[len(through)/2])/float64(direct[len(direct)/2]), "ratio-p50")
	b.ReportMetric(float64(through[len(through)*99/100])/float64(direct[len(direct)*99/100]), "ratio-p99")
}
