package sim

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"payagent/platforms/bank"
)

// TestRacesAreRaces sees that the stories about a payer who pays between the
// last query and the cancel still are: the money came and went back.
func TestRacesAreRaces(t *testing.T) {
	for _, name := range []string{"cancel race", "cancel reply lost, paid", "QR paid while canceling", "smartpay, revoke reply lost, still says paid",
		"smartpay, revoke answered without proof", "smartpay, many revokes without proof", "smartpay, revoke lost with the process, then refused",
		"smartpay, log lost after the revoke"} {
		w := runFlow(flowNamed(t, name), nil, nil)
		if tr, ok := w.trade(w.plan.Bills[0].Platform, "N0001"); !ok || tr.State != bank.Revoked {
			t.Errorf("%s: the trade is %s", name, tr.State)
		}
	}
}

// crashRuns lists every crash point of a flow with n commits.
func crashRuns(n int) []map[int]Point {
	var list []map[int]Point
	for i := range n {
		for _, reboot := range []bool{false, true} {
			for _, k := range []PointKind{PointBefore, PointUnheard, PointAcked, PointErrorLost, PointErrorKept} {
				list = append(list, map[int]Point{i: {Kind: k, Reboot: reboot}})
			}
			for k := range 7 {
				list = append(list, map[int]Point{i: {Kind: PointEffects, Effects: k, Reboot: reboot}})
			}
		}
	}
	return list
}

func runFlow(f Flow, points map[int]Point, change func(*Plan)) *World {
	p := f.Plan()
	if points != nil {
		p.Points = points
	} else if p.Points == nil {
		p.Points = map[int]Point{}
	}
	if change != nil {
		change(&p)
	}
	w := newWorld(p)
	w.run()
	return w
}

// writesPerFlow bounds the journal writes of a flow that are crashed at. Only
// flows that never come to an end have more: they repeat the same write for a
// day.
const writesPerFlow = 24

// TestCanonical runs every flow alone, then with every crash point of every
// journal write.
func TestCanonical(t *testing.T) {
	flows := Flows()
	begin := time.Now()
	total := Cover{Points: map[string]int{}}
	commits, runs := 0, 0
	for _, f := range flows {
		w := runFlow(f, nil, nil)
		for _, v := range w.check.found {
			t.Errorf("%s: %s", f.Name, v)
		}
		if w.commits < 2 {
			t.Errorf("%s: only %d commits", f.Name, w.commits)
		}
		commits += min(w.commits, writesPerFlow)
		list := crashRuns(min(w.commits, writesPerFlow))
		var mu sync.Mutex
		bad := 0
		workers(len(list), func(i int) bool {
			w := runFlow(f, list[i], nil)
			mu.Lock()
			defer mu.Unlock()
			runs++
			total.add(w.Cover)
			for _, v := range w.check.found {
				if bad++; bad < 4 {
					t.Errorf("%s, %s: %s", f.Name, where(list[i]), v)
				}
			}
			return bad > 10
		})
	}
	t.Logf("%d flows, %d journal writes, %d runs with a crash in %s; crash points %v", len(flows), commits, runs,
		time.Since(begin).Round(time.Second), total.Points)
	if len(flows) < 20 || runs < 24*len(flows) {
		t.Errorf("too few: %d flows, %d runs", len(flows), runs)
	}
	for _, p := range []string{"before write", "written, not acknowledged", "acknowledged, before any effect", "after effects", "storage error"} {
		if total.Points[p] < commits {
			t.Errorf("crash point %q was reached %d times for %d writes", p, total.Points[p], commits)
		}
	}
}

// TestSecondCrash dies once more in what the restart after a crash writes.
func TestSecondCrash(t *testing.T) {
	runs := 0
	for _, f := range Flows() {
		n := min(runFlow(f, nil, nil).commits, writesPerFlow/2)
		var list []map[int]Point
		for i := range n {
			for _, first := range []Point{{Kind: PointUnheard}, {Kind: PointUnheard, Reboot: true}, {Kind: PointErrorKept}} {
				for next := i + 1; next <= i+2; next++ {
					for _, k := range []PointKind{PointBefore, PointUnheard, PointErrorLost} {
						list = append(list, map[int]Point{i: first, next: {Kind: k, Reboot: next%2 == 0}})
					}
				}
			}
		}
		var mu sync.Mutex
		bad := 0
		workers(len(list), func(i int) bool {
			w := runFlow(f, list[i], nil)
			mu.Lock()
			defer mu.Unlock()
			runs++
			for _, v := range w.check.found {
				if bad++; bad < 4 {
					t.Errorf("%s, %s: %s", f.Name, where(list[i]), v)
				}
			}
			return bad > 10
		})
	}
	t.Logf("%d runs with two crashes", runs)
}

func where(points map[int]Point) string {
	s := ""
	for i, p := range points {
		s += fmt.Sprintf("commit %d kind %d effects %d reboot %v ", i, p.Kind, p.Effects, p.Reboot)
	}
	return s
}
