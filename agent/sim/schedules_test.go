package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	flagSeed      = flag.Int64("seed", -1, "replay this seed alone, with a full trace")
	flagFaults    = flag.String("faults", "", "with -seed: only these faults, comma-separated; \"none\" for none")
	flagBills     = flag.Int("bills", 0, "with -seed: only the first so many bills")
	flagSchedules = flag.Int("schedules", 20_000, "random schedules to run")
	flagFrom      = flag.Int64("from", 1, "first seed")
)

// result is what one seed gave.
type result struct {
	seed  uint64
	hash  uint64
	found []Violation
	cover Cover
}

func runSeed(seed uint64, only *Set, bills int, change func(*Plan)) result {
	p := Random(seed, only, bills)
	if change != nil {
		change(&p)
	}
	w := newWorld(p)
	found := w.run()
	return result{seed: seed, hash: w.hash, found: found, cover: w.Cover}
}

// workers runs f for the numbers from 0 to n-1 on two workers until one says stop.
func workers(n int, f func(i int) (stop bool)) {
	var mu sync.Mutex
	next, stopped := 0, false
	var wg sync.WaitGroup
	for range min(2, runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				mu.Lock()
				i := next
				next++
				done := stopped || i >= n
				mu.Unlock()
				if done {
					return
				}
				if f(i) {
					mu.Lock()
					stopped = true
					mu.Unlock()
				}
			}
		}()
	}
	wg.Wait()
}

// smallest leaves out faults and bills as long as the same invariant breaks.
func smallest(seed uint64, name string) (Set, int) {
	has := func(s Set, bills int) bool {
		for _, v := range runSeed(seed, &s, bills, nil).found {
			if v.Name == name {
				return true
			}
		}
		return false
	}
	p := Random(seed, nil, 0)
	s, bills := p.Faults, len(p.Bills)
	for changed := true; changed; {
		changed = false
		for f := range faultCount {
			if less := s &^ SetOf(f); less != s && has(less, bills) {
				s, changed = less, true
			}
		}
		for bills > 1 && has(s, bills-1) {
			bills--
			changed = true
		}
	}
	return s, bills
}

func replayLine(seed uint64, s Set, bills int) string {
	text := s.String()
	if text == "" {
		text = "none"
	}
	return fmt.Sprintf("go test ./agent/sim -run TestReplay -v -seed=%d -bills=%d -faults=%s", seed, bills, text)
}

// report prints a failure so that one line replays it.
func report(t *testing.T, r result) {
	t.Helper()
	names := map[string]bool{}
	for i, v := range r.found {
		if i < 6 {
			t.Errorf("seed %d: %s", r.seed, v)
		}
		if !names[v.Name] && len(names) < 2 {
			names[v.Name] = true
			s, bills := smallest(r.seed, v.Name)
			t.Errorf("%s: replay with: %s", v.Name, replayLine(r.seed, s, bills))
		}
	}
}

func TestReplay(t *testing.T) {
	if *flagSeed < 0 {
		t.Skip("give -seed=N")
	}
	var only *Set
	if *flagFaults != "" {
		s, unknown := ParseSet(strings.TrimPrefix(*flagFaults, "none"))
		if len(unknown) > 0 {
			t.Fatalf("unknown faults %v", unknown)
		}
		only = &s
	}
	p := Random(uint64(*flagSeed), only, *flagBills)
	p.Log = os.Stdout
	w := newWorld(p)
	w.say("faults %s", p.Faults)
	for _, b := range p.Bills {
		w.say("bill %+v", b)
	}
	for _, v := range w.run() {
		t.Error(v)
	}
}

func TestSchedules(t *testing.T) {
	if *flagSeed >= 0 {
		t.Skip("a replay")
	}
	n := *flagSchedules
	var mu sync.Mutex
	var bad []result
	cover := Cover{Points: map[string]int{}}
	begin := time.Now()
	workers(n, func(i int) bool {
		r := runSeed(uint64(*flagFrom)+uint64(i), nil, 0, nil)
		mu.Lock()
		defer mu.Unlock()
		cover.add(r.cover)
		if len(r.found) > 0 {
			bad = append(bad, r)
		}
		return len(bad) >= 3
	})
	t.Logf("%d schedules, %d orders, %d steps, %d calls in %s; crash points %v", n, cover.Orders, cover.Steps, cover.CallsSent,
		time.Since(begin).Round(time.Second), cover.Points)
	for _, r := range bad {
		report(t, r)
	}
	if len(bad) == 0 && n >= 20_000 {
		for _, miss := range cover.dead(100) {
			t.Errorf("a dead fault: %s", miss)
		}
	}
}

// TestSameSeedSameTrace runs a hundred seeds twice.
func TestSameSeedSameTrace(t *testing.T) {
	workers(100, func(i int) bool {
		a, b := runSeed(uint64(5000+i), nil, 0, nil), runSeed(uint64(5000+i), nil, 0, nil)
		if a.hash != b.hash {
			t.Errorf("seed %d gave two traces", a.seed)
		}
		return false
	})
	if runSeed(5000, nil, 0, nil).hash == runSeed(5001, nil, 0, nil).hash {
		t.Error("two seeds gave the same trace")
	}
}

// TestI15OtherClocks runs every 50th seed again with the wall clock frozen,
// ten years to and fro, and backwards: nothing may change.
func TestI15OtherClocks(t *testing.T) {
	if *flagSeed >= 0 {
		t.Skip("a replay")
	}
	workers(max(1, *flagSchedules/50), func(i int) bool {
		seed := uint64(*flagFrom) + uint64(i)*50
		want := runSeed(seed, nil, 0, nil)
		for wall := 1; wall <= 3; wall++ {
			if got := runSeed(seed, nil, 0, func(p *Plan) { p.Wall = wall }); got.hash != want.hash {
				t.Errorf("I15: seed %d behaves differently under wall clock %d", seed, wall)
				return true
			}
		}
		return false
	})
}
