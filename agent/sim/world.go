package sim

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// lateBound is the longest that a request can be under way: the pay call's
// time-out and five seconds.
const lateBound = 65 * time.Second

// quiet is how long the world goes on after it was healed: longer than the
// last look for late money.
const quiet = 26 * time.Hour

// maxSteps ends a world that goes round in circles.
const maxSteps = 60_000

// World is one run.
type World struct {
	plan  Plan
	g     time.Duration // the true time
	seq   int
	heap  eventHeap
	hash  uint64
	log   io.Writer
	boot  int
	bootG time.Duration

	cfg       counter.Config
	journal   *journal
	proc      *process
	plats     map[string]*platform
	his       *his
	tills     map[string]*window
	check     *checker
	commits   int // so far
	procs     int
	started   time.Duration // true time of the last start
	steps     int
	diskLow   bool
	crashAt   int // effects until the planned crash, -1 none
	crashBoot bool
	Cover     Cover
	lostTimes int
	left      []counter.Capsule // of the box before this one, until it is taken over
	opened    map[string]bool   // pages and stops that a payer or HIS saw
}

// Cover counts what was hit: fault kinds by the state of the order they hit.
type Cover struct {
	Hits      [faultCount][8]int
	Points    map[string]int // crash points by kind
	Orders    int
	Steps     int
	CallsSent int
	Final     map[order.State]int
}

var states = [8]order.State{order.Queued, order.Waiting, order.Paying, order.Canceling, order.InDoubt, order.Paid, order.Failed, order.Canceled}

func (w *World) hit(f Fault, no string) {
	s := order.Waiting
	if o := w.check.belief[no]; o != nil {
		s = o.State()
	}
	for i := range states {
		if states[i] == s {
			w.Cover.Hits[f][i]++
		}
	}
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}
type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *eventHeap) Push(v any) { *h = append(*h, v.(event)) }

// Pop removes the last element.
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return e
}

func (w *World) at(t time.Duration, do func()) {
	w.seq++
	heap.Push(&w.heap, event{at: max(t, w.g), seq: w.seq, do: do})
}

func (w *World) after(d time.Duration, do func()) { w.at(w.g+d, do) }

// rng gives a stream of chance of its own for each purpose, so that leaving
// one fault out does not change the dice of another.
func (w *World) rng(purpose string, parts ...string) *rand.Rand {
	h := uint64(14695981039346656037)
	mix := func(s string) {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	mix(purpose)
	for _, p := range parts {
		mix(p)
	}
	return rand.New(rand.NewPCG(w.plan.Seed, h))
}

func span(r *rand.Rand, lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(r.Int64N(int64(hi-lo)))
}

// note puts something into the trace and, in a replay, prints it.
func (w *World) note(parts ...string) {
	w.mix(uint64(w.g))
	for _, p := range parts {
		for i := 0; i < len(p); i++ {
			w.mix(uint64(p[i]))
		}
		w.mix(0xff)
	}
	if w.log != nil {
		_, _ = fmt.Fprintf(w.log, "%11.3fs  %v\n", w.g.Seconds(), parts)
	}
}

func (w *World) mix(n uint64) { w.hash = (w.hash ^ n) * 1099511628211 }

func (w *World) say(format string, args ...any) {
	if w.log != nil {
		_, _ = fmt.Fprintf(w.log, "%11.3fs    "+format+"\n", append([]any{w.g.Seconds()}, args...)...)
	}
}

func (w *World) mono() time.Duration { return w.g - w.bootG }

// now is the present as the agent sees it.
func (w *World) now() order.Now {
	n := order.Now{Instant: order.Instant{Wall: w.wall(), Boot: fmt.Sprint("boot", w.boot), Mono: w.mono()}}
	if w.proc != nil {
		n.Start = w.proc.start
	}
	return n
}

// wall is the wall clock, which nothing may depend on.
func (w *World) wall() int64 {
	const begin = 1_800_000_000_000
	ms := w.g.Milliseconds()
	switch w.plan.Wall {
	case 1: // frozen
		return begin
	case 2: // ten years to and fro every minute
		if (ms/60_000)%2 == 0 {
			return begin + ms + 315_000_000_000
		}
		return begin + ms - 315_000_000_000
	case 3: // backwards
		return begin - ms
	}
	if w.plan.Faults.Has(WallJump) && (ms/97_000)%3 == 1 {
		return begin + ms - 7_200_000
	}
	return begin + ms
}

func testPolicy() order.Policy { return order.DefaultPolicy() }

// newWorld sets the scene.
func newWorld(p Plan) *World {
	w := &World{plan: p, log: p.Log, hash: 14695981039346656037, journal: newJournal(), plats: map[string]*platform{},
		tills: map[string]*window{}, crashAt: -1, g: time.Hour, opened: map[string]bool{}}
	w.Cover.Points, w.Cover.Final = map[string]int{}, map[order.State]int{}
	w.check = newChecker(w)
	w.plats["fwc"] = newPlatform(w, "fwc")
	w.plats["sp"] = newPlatform(w, "sp")
	w.plats["nq"] = newPlatform(w, "nq")
	w.cfg = counter.Config{
		Tills:     map[string]counter.Till{},
		Platforms: map[string]counter.Platform{},
		Recognise: platforms.DefaultRules().Recognise,
		// The figures of the default configuration.
		DoubleRead: 3 * time.Second, CodeOnce: 24 * time.Hour, CodeLimit: 45 * time.Second,
	}
	for name, pl := range w.plats {
		w.cfg.Platforms[name] = counter.Platform{Traits: pl.traits, Policy: testPolicy(), Charge: name != "nq",
			Present: map[platforms.Mode]bool{platforms.ModePresent: name == "fwc", platforms.ModeH5: name != "sp", platforms.ModeInsurance: name == "nq"},
			Refund:  name != "sp"}
	}
	for _, name := range []string{"k1", "w1", "w2"} {
		t := counter.Till{Name: name, Devices: scannersOf(name)}
		if name != "w1" {
			t.TwoCodes = 300 * time.Millisecond
		}
		w.cfg.Tills[name] = t
		w.tills[name] = &window{w: w, name: name, shown: map[string]int{}, seen: map[string]bool{}}
	}
	w.cfg.RefundAlone = p.RefundAlone
	if w.cfg.Reverse.With = order.ViaCancel; p.ReverseRefund {
		w.cfg.Reverse.With = order.ViaRefund
	}
	if p.hasPages() {
		w.cfg.Tills[onlineTill] = counter.Till{Name: onlineTill, Online: true}
		w.tills[onlineTill] = &window{w: w, name: onlineTill, shown: map[string]int{}, seen: map[string]bool{}}
	}
	w.his = newHIS(w)
	return w
}

// run plays the whole thing and gives what went wrong.
func (w *World) run() []Violation {
	w.schedule()
	w.startProcess()
	// A reboot makes the age of what happened before it unknown, so the last
	// look for late money counts from it again.
	end := func() time.Duration { return max(w.plan.Heal, w.lastStart()) + quiet }
	for len(w.heap) > 0 && w.heap[0].at <= end() && w.steps < maxSteps {
		e := heap.Pop(&w.heap).(event)
		w.g = e.at
		e.do()
	}
	if w.steps >= maxSteps {
		w.check.fail("I22", "", "the core goes round in circles: %d steps", w.steps)
	}
	w.g = max(w.g, end())
	for _, p := range w.plats {
		p.bank.Settle(w.g)
	}
	w.check.atEnd()
	w.Cover.Steps = w.steps
	return w.check.found
}

// schedule puts what happens by itself onto the heap.
func (w *World) schedule() {
	p := w.plan
	for i := range p.Bills {
		b := &p.Bills[i]
		w.at(b.At, func() { w.his.begin(b) })
	}
	for _, c := range p.Kills {
		w.at(c.At, func() { w.kill(c.Reboot, c.Down, "time") })
	}
	for _, t := range p.Losses {
		w.at(t, func() { w.loseLog() })
	}
	for _, t := range p.Swaps {
		w.at(t, func() { w.swap() })
	}
	for _, d := range p.DiskLow {
		w.at(d.From, func() { w.setDisk(true) })
		w.at(d.To, func() { w.setDisk(false) })
	}
	for _, t := range p.Hurries {
		w.at(t, func() {
			if w.proc != nil {
				w.proc.step(counter.ResolveAll{Reply: w.his.id(nil)})
			}
		})
	}
	for _, l := range p.Links {
		w.at(l.From, w.link)
		w.at(l.To, w.link)
	}
	for _, t := range p.Meetings {
		w.at(t, w.his.people)
	}
	for _, name := range []string{"fwc", "sp"} {
		pl := w.plats[name]
		for _, c := range pl.cuts {
			w.at(c.From+c.lag, func() { pl.probe() })
			w.at(c.To+c.lag, func() { pl.probe() })
		}
	}
	for _, s := range p.Stray {
		w.at(s.At, func() { w.tills[s.Till].stray(s) })
	}
	w.letters()
	for _, g := range p.Grips {
		w.at(g.At, func() { w.grip(g) })
	}
}

func (w *World) setDisk(low bool) {
	w.diskLow = low
	if w.proc != nil {
		w.proc.step(counter.Disk{Low: low})
	}
}
