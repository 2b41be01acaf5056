package sim

import (
	"slices"
	"testing"
	"time"
)

// A simulation that does nothing passes as well. These tests break the
// simulation itself and demand that it is noticed.

func broken(names ...string) func([]Violation) bool {
	return func(found []Violation) bool {
		return slices.ContainsFunc(found, func(v Violation) bool { return len(names) == 0 || slices.Contains(names, v.Name) })
	}
}

func flowNamed(t *testing.T, name string) Flow {
	t.Helper()
	for _, f := range Flows() {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no flow %q", name)
	return Flow{}
}

func TestABankThatForgetsACaptureIsNoticed(t *testing.T) {
	w := runFlow(flowNamed(t, "paid at once"), nil, func(p *Plan) { p.Harness.ForgetCapture = true })
	if !broken("I1", "I6")(w.check.found) {
		t.Errorf("found %v", w.check.found)
	}
}

// TestASkippedCheckerIsNoticed uses a known-bad trace: the agent is cut off for
// good while the payer pays, so the order is open at the end. Were a checker
// missing, this trace, and the mutants of its name, would tell.
func TestASkippedCheckerIsNoticed(t *testing.T) {
	f := flowNamed(t, "user paying")
	late := func(p *Plan) { p.FWCCuts = cut(10*time.Second, 1000*quiet) }
	if w := runFlow(f, nil, late); !broken("I5")(w.check.found) {
		t.Errorf("an order that stays open is not noticed: %v", w.check.found)
	}
	if w := runFlow(f, nil, func(p *Plan) { late(p); p.Harness.SkipChecker = "I5" }); broken("I5")(w.check.found) {
		t.Error("a checker that is left out still speaks: this test proves nothing")
	}
}

func TestCrashPointsThatDoNothingAreNoticed(t *testing.T) {
	cover := Cover{Points: map[string]int{}}
	for seed := range uint64(80) {
		p := Random(seed+1, nil, 0)
		p.Harness.NoPoints = true
		w := newWorld(p)
		w.run()
		cover.add(w.Cover)
	}
	if !slices.ContainsFunc(cover.dead(1), func(s string) bool { return s == `crash point "before write": 0 times` }) {
		t.Errorf("nothing says that crash points do nothing: %v", cover.dead(1))
	}
}

func TestFaultsThatNeverStrikeAreNoticed(t *testing.T) {
	cover := Cover{Points: map[string]int{}}
	for seed := range uint64(80) {
		p := Random(seed+1, nil, 0)
		p.Faults &^= SetOf(LostAfter)
		w := newWorld(p)
		w.run()
		cover.add(w.Cover)
	}
	if !slices.ContainsFunc(cover.dead(1), func(s string) bool { return s == "lost_after in paying: 0 times" }) {
		t.Errorf("nothing says that a fault never strikes: %v", cover.dead(1))
	}
}

func TestSetsOfFaultsAreReadBack(t *testing.T) {
	for f := range faultCount {
		if s, unknown := ParseSet(SetOf(f, Crash).String()); s != SetOf(f, Crash) || len(unknown) > 0 {
			t.Errorf("%s: %v %v", f, s, unknown)
		}
	}
	if _, unknown := ParseSet("nonsense"); len(unknown) != 1 {
		t.Error("an unknown fault is taken")
	}
}
