package sim

import (
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"payagent/platforms"
)

// Plan is all that will happen from outside. The same plan gives the same run.
type Plan struct {
	Seed   uint64
	Faults Set
	Rate   [faultCount]float64
	Heal   time.Duration // g at which the faults end
	Bills  []Bill
	Kills  []Kill
	Losses []time.Duration
	Swaps  []time.Duration // another box takes this one's place
	DiskLow,
	FWCCuts, SPCuts, FWCToken, SPToken []Span
	Hurries []time.Duration
	Stray   []Stray
	Grips   []Grip
	Mail    Mail
	Letters []Letter
	// Script says what happens to the nth call (from 0) of a verb for an
	// order, where a flow wants it exactly: "N0001/charge/0".
	Script map[string]Fault
	// Person of the platforms.
	Stale      time.Duration
	Tombstones bool
	AutoClose  time.Duration
	SPLookup   bool // SmartPay finds orders by our number
	SPProven   bool // and the configuration says so
	SP2After   bool // SmartPay says paid after a revoke
	CommitRate float64
	Points     map[int]Point         // what meets the commits with these numbers, from 0
	Stalls     map[int]time.Duration // commits that take long
	LieAfter   time.Duration         // every charge of SmartPay is refused and paid so much later
	P8All      bool                  // no cancel ever works
	// HIS, its people and what they may.
	Silence       bool // the kiosk may reverse on HIS's silence
	Links         []Span
	ReverseRefund bool
	RefundAlone   platforms.Fen
	Meetings      []time.Duration // two people resolve what is in doubt
	Misread       bool            // and read the statement wrongly at first
	Wall          int
	Log           io.Writer
	// Harness breaks the simulation itself, to see that it is noticed.
	Harness Harness
}

// Harness are deliberate faults of the simulation.
type Harness struct {
	ForgetCapture bool   // the bank's truth leaves out a capture
	SkipChecker   string // an invariant that is not checked
	NoPoints      bool   // crash points do nothing
}

// Span is a time in which something is so. The agent's probe sees each end
// after lag.
type Span struct {
	From, To time.Duration
	lag      time.Duration
}

// Kill ends the process at a time.
type Kill struct {
	At, Down time.Duration
	Reboot   bool
}

// Stray is a text scanned without being asked for.
type Stray struct {
	At   time.Duration
	Till string
	Text string
	// Device is the ending of the scanner's name; empty for the pad.
	Device string
}

// PointKind is a place around a commit at which the process can die.
type PointKind int

// The crash points.
const (
	PointNone PointKind = iota
	PointBefore
	PointUnheard
	PointAcked
	PointEffects
	PointErrorLost
	PointErrorKept
	pointKinds
)

// Point is a crash at one commit.
type Point struct {
	Kind    PointKind
	Effects int // PointEffects: carried out before it
	Reboot  bool
}

func (p Point) down(r *rand.Rand) time.Duration {
	if p.Reboot {
		return span(r, 20*time.Second, 90*time.Second)
	}
	return span(r, 100*time.Millisecond, 3*time.Second)
}

// faulty tells whether a kind of fault can strike now.
func (w *World) faulty(f Fault) bool { return w.plan.Faults.Has(f) && w.g < w.plan.Heal }

// pointAt says what happens to the nth commit.
func (w *World) pointAt(n int, r *rand.Rand) Point {
	p := w.plan
	if p.Harness.NoPoints {
		return Point{}
	}
	if p.Points != nil {
		return p.Points[n]
	}
	kinds := []PointKind{}
	if w.faulty(Crash) || w.faulty(Reboot) {
		kinds = append(kinds, PointBefore, PointUnheard, PointAcked, PointEffects)
	}
	if w.faulty(StorageError) {
		kinds = append(kinds, PointErrorLost, PointErrorKept)
	}
	if len(kinds) == 0 || r.Float64() >= p.CommitRate {
		return Point{}
	}
	reboot := w.faulty(Reboot) && (!w.faulty(Crash) || r.IntN(2) == 0)
	return Point{Kind: kinds[r.IntN(len(kinds))], Effects: r.IntN(5), Reboot: reboot}
}

// Bill is what HIS and one patient do about one bill.
type Bill struct {
	No       string
	At       time.Duration
	Till     string
	Platform string
	Present  bool
	Page     platforms.Mode // h5 or insurance, at the online till
	Forge    bool           // strangers try to authorise
	Amount   platforms.Fen
	Channel  platforms.Channel // asked for; empty leaves it to the payer
	Wallet   platforms.Channel // that the patient has
	PayAfter time.Duration     // below zero: never
	NoMoney  bool
	BadCode  bool
	NoScan   bool // the patient walks away
	React    time.Duration
	Mishap   []Fault // of the scanner, before the good code
	Handed   bool
	Queue    bool
	OwnNo    string
	Double   time.Duration // second click, 0 none
	NewKey   bool          // the second click has a key of its own
	Second   string        // another till asks for the same bill at the same time
	Other    time.Duration // asked again with another amount
	Replay   time.Duration // the same key again, much later
	Cancel   time.Duration
	Check    time.Duration
	Detach   time.Duration
	Again    int // new tries after a failure
	Returns  []Return
	Word     string // what HIS makes of the payment, see wordBooked
	// WordAfter is how long after paid HIS says it. Contradict lets it say the
	// opposite afterwards, FlowTwice use one number for several payments.
	WordAfter  time.Duration
	Contradict bool
	FlowTwice  bool
}

// Return is a refund that HIS asks for, so long after it was told paid.
type Return struct {
	After time.Duration
	Sum   platforms.Fen // 0: all
	Twice bool          // the same request again
}

// Random makes the plan of a seed. If only is not nil, it takes the place of
// the drawn set of faults; the dice of everything else stay the same.
func Random(seed uint64, only *Set, bills int) Plan {
	p := Plan{Seed: seed}
	w := &World{plan: p}
	r := w.rng("plan")
	density := 0.15 + 0.45*r.Float64()
	for f := range faultCount {
		rate := r.Float64() * r.Float64() * 0.5
		if r.Float64() < density {
			p.Faults |= 1 << f
		}
		p.Rate[f] = 0.03 + rate
	}
	if r.IntN(10) > 0 {
		p.Faults &^= SetOf(LongCut)
	}
	if r.IntN(4) > 0 {
		p.Faults &^= SetOf(LogLoss)
	}
	if r.IntN(3) > 0 {
		p.Faults &^= SetOf(Unresolved)
	}
	if only != nil {
		p.Faults = *only
	}
	t0 := time.Hour
	p.Heal = t0 + span(r, 6*time.Minute, 20*time.Minute)
	p.CommitRate = 0.01 + 0.08*r.Float64()
	p.draw(w, t0)
	if bills > 0 && bills < len(p.Bills) {
		p.Bills = p.Bills[:bills]
	}
	return p
}

func (p *Plan) draw(w *World, t0 time.Duration) {
	has := p.Faults.Has
	r := w.rng("person")
	stale, closes := span(r, time.Second, 10*time.Second), []time.Duration{45 * time.Second, 3 * time.Minute, 20 * time.Minute}[r.IntN(3)]
	p.SPLookup = r.IntN(2) == 0
	p.SPProven = p.SPLookup && r.IntN(3) > 0
	p.SP2After = r.IntN(4) > 0
	if has(StaleReads) {
		p.Stale = stale
	}
	if has(AutoClose) {
		p.AutoClose = closes
	}
	p.Tombstones = has(Tombstones)
	cut := func(f Fault, n int, lo, hi time.Duration) []Span {
		r := w.rng("span", f.String(), strconv.Itoa(n))
		if !has(f) || r.IntN(3) == 0 {
			return nil
		}
		from := t0 + span(r, 0, 10*time.Minute)
		return []Span{{From: from, To: from + span(r, lo, hi), lag: span(r, 0, 10*time.Second)}}
	}
	p.FWCCuts, p.SPCuts = cut(Partition, 1, time.Minute, 15*time.Minute), cut(Partition, 2, time.Minute, 15*time.Minute)
	if long := cut(LongCut, 1, time.Hour, 8*time.Hour); long != nil {
		p.FWCCuts = long
	}
	p.FWCToken, p.SPToken = cut(TokenBad, 1, 10*time.Second, 5*time.Minute), cut(TokenBad, 2, 10*time.Second, 5*time.Minute)
	p.DiskLow = cut(DiskLow, 1, time.Minute, 10*time.Minute)
	if len(p.DiskLow) > 0 && w.rng("disk").IntN(3) == 0 {
		p.DiskLow[0].To = p.Heal + quiet - time.Hour // and open orders finish all the same
	}
	for _, f := range []Fault{Crash, Reboot} {
		r := w.rng("kill", f.String())
		for n := r.IntN(4); has(f) && n > 0; n-- {
			k := Kill{At: t0 + span(r, 0, p.Heal-t0), Reboot: f == Reboot, Down: span(r, 100*time.Millisecond, 5*time.Second)}
			if k.Reboot {
				k.Down = span(r, 20*time.Second, 3*time.Minute)
			}
			p.Kills = append(p.Kills, k)
		}
	}
	if has(LogLoss) {
		p.Losses = []time.Duration{t0 + span(w.rng("loss"), time.Minute, p.Heal-t0)}
	}
	if has(Hurry) {
		r := w.rng("hurry")
		p.Hurries = []time.Duration{t0 + span(r, 0, p.Heal-t0), t0 + span(r, 0, p.Heal-t0), p.Heal + span(r, 0, time.Hour)}
	}
	for _, c := range [][]Span{p.FWCCuts, p.SPCuts, p.FWCToken, p.SPToken} {
		for _, s := range c {
			p.Heal = max(p.Heal, s.To+time.Second)
		}
	}
	n := 3 + w.rng("bills").IntN(8)
	for i := range n {
		p.Bills = append(p.Bills, p.bill(w, i, t0))
	}
	p.drawGrips(w, t0)
	p.drawBooking(w, t0)
	r = w.rng("stray")
	for i := 0; has(Noise) && i < 6; i++ {
		texts := []string{payCode(platforms.WeChat, 90000+i), "110101199003070118", "https://qr.alipay.com/x", "garbage", "6901234567892",
			payCode(platforms.Alipay, 95000+i)}
		p.Stray = append(p.Stray, Stray{At: t0 + span(r, 0, 10*time.Minute), Till: []string{"w1", "w2", "k1"}[r.IntN(3)], Text: texts[r.IntN(len(texts))], Device: []string{pad, gun}[r.IntN(2)]})
	}
}

// payCode makes a payer's code; the number tells codes apart.
func payCode(ch platforms.Channel, n int) string {
	tail := strconv.Itoa(1_00000000 + n%1_00000000)[1:]
	if ch == platforms.Alipay {
		return "28" + canary + tail
	}
	return "13" + canary + tail
}

func (p *Plan) bill(w *World, i int, t0 time.Duration) Bill {
	r := w.rng("bill", strconv.Itoa(i))
	has := p.Faults.Has
	some := func(f Fault, rate float64) bool { x := r.Float64() < rate; return x && has(f) }
	b := Bill{No: "B" + strconv.Itoa(100+i), At: t0 + span(r, time.Second, 9*time.Minute),
		Till: []string{"w1", "w2", "k1"}[r.IntN(3)], Amount: platforms.Fen(1 + r.IntN(50_000)), React: span(r, 300*time.Millisecond, 15*time.Second)}
	b.Platform = "fwc"
	if r.IntN(5) < 2 {
		b.Platform = "sp"
	}
	b.Wallet = []platforms.Channel{platforms.WeChat, platforms.Alipay}[r.IntN(2)]
	if r.IntN(2) == 0 {
		b.Channel = b.Wallet
	}
	if b.Till == "k1" && r.IntN(4) > 0 {
		b.Present, b.Platform = true, "fwc"
	}
	late := span(r, 0, 125*time.Second)
	kind := r.IntN(10)
	switch {
	case kind < 3 && has(LatePayer):
		b.PayAfter = late
		if b.Present {
			b.React = span(r, 0, 200*time.Second)
		}
	case kind == 3:
		b.PayAfter = -1
	case kind == 4:
		b.NoMoney = has(NoMoney)
	case kind == 5:
		b.BadCode = has(BadCode)
	case kind == 6:
		b.NoScan = r.IntN(2) == 0
	}
	for _, f := range []Fault{WrongWallet, DoubleRead, TwoCodes, OldCode} {
		if some(f, 0.4) {
			b.Mishap = append(b.Mishap, f)
		}
	}
	b.Handed = some(Handed, 0.4) && !b.Present
	b.Queue = some(Queueing, 0.7)
	if some(OwnNumber, 0.5) {
		b.OwnNo = "H" + strconv.Itoa(r.IntN(4))
	}
	double, other, replay := span(r, 0, 500*time.Millisecond), span(r, time.Second, 90*time.Second), span(r, time.Second, 40*time.Minute)
	if some(DoubleClick, 0.5) {
		b.Double, b.NewKey = double+1, r.IntN(2) == 0
	}
	if some(TwoTills, 0.5) {
		b.Second = map[string]string{"w1": "w2", "w2": "w1", "k1": "w1"}[b.Till]
	}
	if some(OtherAmount, 0.5) {
		b.Other = other
	}
	if some(SameKey, 0.5) {
		b.Replay = replay
	}
	for f, to := range map[Fault]*time.Duration{CancelMid: &b.Cancel, CheckMid: &b.Check, DetachMid: &b.Detach} {
		r := w.rng("act", f.String(), strconv.Itoa(i))
		d := span(r, 100*time.Millisecond, 90*time.Second)
		if has(f) && r.IntN(2) == 0 {
			*to = d
		}
	}
	if has(Again) {
		b.Again = r.IntN(3)
	}
	r = w.rng("returns", strconv.Itoa(i))
	for n := r.IntN(4); has(Refunds) && n > 0; n-- {
		ret := Return{After: span(r, 0, 4*time.Minute), Sum: platforms.Fen(1 + r.Int64N(int64(b.Amount))), Twice: has(RefundTwice) && r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			ret.Sum = 0
		}
		if r.IntN(4) == 0 {
			ret.After = 30 * time.Second // two at the same moment
		}
		b.Returns = append(b.Returns, ret)
	}
	return b
}
