//go:build linux

package bolt

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"payagent/queue"
)

// BenchmarkAppend is a durable append of one 400-byte record by 1, 16 and 64
// writers, with and without a slot. Absolute times say little: compare within
// one run.
func BenchmarkAppend(b *testing.B) {
	for _, slots := range []bool{false, true} {
		for _, writers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("slots=%t/writers=%d", slots, writers), func(b *testing.B) {
				l, _ := open(b, b.TempDir(), Options{})
				data := make([]byte, 400)
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for w := range writers {
					wg.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							s := fmt.Sprint("order-", n/4)
							batch := queue.Batch{Records: []queue.Record{{Stream: s, Data: data}}}
							if slots {
								batch.Slots = []queue.Slot{{Key: fmt.Sprint("till-", w), Data: data[:100]}}
							}
							if _, err := l.Append(context.Background(), batch); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				s := l.Stats()
				b.ReportMetric(float64(s.Requests)/float64(s.Commit.Count), "requests/commit")
				b.ReportMetric(float64(s.PageBytes+s.SlotBytes)/float64(s.Requests), "B-written/op")
			})
		}
	}
}

// BenchmarkOpen opens a store of 20,000 closed and 20 open orders with four
// records of 300 bytes each, checks included.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l, _ := open(b, dir, Options{})
	data := make([]byte, 300)
	for i := 0; i < 20020; i += 20 {
		var batch queue.Batch
		for j := range 20 {
			s := fmt.Sprintf("MZ261122%016d", i+j)
			for k := range 4 {
				r := queue.Record{Stream: s, Data: data}
				if k == 0 {
					r.Keys = []string{"bill-" + s, "till-1"}
				}
				batch.Records = append(batch.Records, r)
			}
			if i < 20000 {
				batch.Close = append(batch.Close, s)
			}
		}
		if _, err := l.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	size := l.Stats().FileBytes
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l, r, err := Open(dir, Options{Writer: 1})
		if err != nil || r.Damaged {
			b.Fatal(err, r)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size)/(1<<20), "MiB")
}
