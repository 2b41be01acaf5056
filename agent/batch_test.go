package agent

import (
	"crypto/rand"
	"slices"
	"strconv"
	"testing"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/queue"
)

func wrote(no string) counter.Write {
	return counter.Write{Order: no, Fact: &order.Fact{Kind: order.KindDetached, Order: no}}
}

// TestBatches: however many writes come at once, every commit keeps the
// store's bounds, the order of the writes stays, and a step's facts of one
// order stay together.
func TestBatches(t *testing.T) {
	var step []counter.Effect
	for i := range 700 {
		no := "N" + strconv.Itoa(i)
		step = append(step, wrote(no), wrote(no), counter.Changed{}, wrote(no))
	}
	list, err := (&Agent{}).batches([][]counter.Effect{step, {wrote("last")}})
	if err != nil || len(list) < 3 {
		t.Fatal(len(list), err)
	}
	var all []string
	for _, b := range list {
		if err := queue.Check(b); err != nil {
			t.Fatal(err)
		}
		first, end := b.Records[0].Stream, b.Records[len(b.Records)-1].Stream
		if len(all) > 0 && all[len(all)-1] == first || first == end {
			t.Fatal("one order's facts are in two commits")
		}
		for _, r := range b.Records {
			all = append(all, r.Stream)
		}
	}
	if len(all) != 2101 || all[2100] != "last" || all[3] != "N1" {
		t.Fatal(len(all))
	}
}

// TestClosedAndOpenedAgain: a refund that is asked for in the moment in which
// its order is closed must not be closed with it.
func TestClosedAndOpenedAgain(t *testing.T) {
	slot := counter.Write{Order: "A", Slot: &counter.Slot{Order: "A", Verb: order.VerbRefund}}
	list, err := (&Agent{}).batches([][]counter.Effect{{counter.Write{Order: "A", Close: true}}, {wrote("B")}, {wrote("A")}})
	if err != nil || len(list) != 2 || !slices.Equal(list[0].Close, []string{"A"}) || list[1].Records[0].Stream != "A" {
		t.Fatal(list, err)
	}
	list, err = (&Agent{}).batches([][]counter.Effect{{slot}, {counter.Write{Order: "A", Close: true}}})
	if err != nil || len(list) != 2 || len(list[0].Slots) != 1 || len(list[1].Free) != 1 {
		t.Fatal(list, err)
	}
	if list, err = (&Agent{}).batches([][]counter.Effect{{counter.Changed{}}}); err != nil || len(list) != 0 {
		t.Fatal("nothing to write is no commit:", list, err)
	}
}

// standing is a clock that a test moves.
type standing struct{ now order.Now }

func (s *standing) Now() order.Now { return s.now }

// TestTheSameAlarm: what goes wrong again every second is written once in a
// while, and what goes wrong elsewhere at once.
func TestTheSameAlarm(t *testing.T) {
	clock := &standing{order.Now{Instant: order.Instant{Boot: "b"}}}
	a := &Agent{parts: Parts{Clock: clock}, random: rand.Reader}
	written := 0
	for range 3600 {
		clock.now.Mono += time.Second
		list, err := a.batches([][]counter.Effect{{wrote("N1"), counter.Alarm{Code: "answer_mixed_up", Order: "N1"}}})
		if err != nil {
			t.Fatal(err)
		}
		written += len(list[0].Records) - 1
	}
	if written != 6 {
		t.Errorf("an hour of the same alarm was written %d times", written)
	}
	list, err := a.batches([][]counter.Effect{{counter.Alarm{Code: "answer_mixed_up", Order: "N2"}, counter.Alarm{Code: "order_in_doubt", Order: "N1"}}})
	if err != nil || len(list) != 1 || len(list[0].Records) != 2 {
		t.Error(list, err)
	}
}
