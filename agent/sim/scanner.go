package sim

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// The scanners of the simulation: each till has a pad, each counter a gun
// besides, and the gun of w2 takes no payments.
const (
	pad = "-pad"
	gun = "-gun"
)

func scannersOf(till string) map[string]counter.Device {
	d := map[string]counter.Device{till + pad: {Role: counter.RolePad}}
	if till != "k1" {
		d[till+gun] = counter.Device{Role: counter.RoleGun, NoPay: till == "w2"}
	}
	return d
}

// cardCanary is in every card of the simulation and in nothing else.
const cardCanary = "660066006600"

// card makes a number that is no payment code.
func card(n int) string { return "9" + cardCanary + strconv.Itoa(100+n%900) }

// Grip is what one client of HIS wants with a till's scanner.
type Grip struct {
	At      time.Duration
	Till    string
	Session string
	What    string        // claim, retain, release
	Lease   time.Duration // of a claim
}

func (w *World) grip(g Grip) {
	if w.proc == nil {
		return
	}
	w.hit(Claims, "")
	var ev counter.Event
	switch g.What {
	case "retain":
		ev = counter.Retain{Reply: w.his.id(nil), Till: g.Till, Session: g.Session}
	case "release":
		ev = counter.Release{Reply: w.his.id(nil), Till: g.Till, Session: g.Session}
	default:
		ev = counter.Claim{Reply: w.his.id(nil), Till: g.Till, Session: g.Session, Lease: g.Lease}
	}
	w.proc.step(ev)
}

// drawGrips makes clients claim, ask, keep and give up, also around the times
// at which orders wait for a scan, and cashiers read cards.
func (p *Plan) drawGrips(w *World, t0 time.Duration) {
	if !p.Faults.Has(Claims) {
		return
	}
	r := w.rng("grips")
	names := []string{"s1", "s2", "s3"}
	add := func(at time.Duration, till, session, what string) {
		leases := []time.Duration{0, 8 * time.Second, 40 * time.Second, 2 * time.Hour}
		p.Grips = append(p.Grips, Grip{At: at, Till: till, Session: session, What: what, Lease: leases[r.IntN(len(leases))]})
	}
	for range 12 {
		add(t0+span(r, 0, 10*time.Minute), []string{"w1", "w2", "k1"}[r.IntN(3)], names[r.IntN(3)],
			[]string{"claim", "claim", "claim", "retain", "release"}[r.IntN(5)])
	}
	for i, b := range p.Bills {
		if r.IntN(2) == 0 {
			add(b.At-span(r, 0, 20*time.Second), b.Till, "s1", "claim")
			add(b.At-span(r, 0, 4*time.Second), b.Till, "s2", "claim")
			add(b.At+span(r, 0, 4*time.Second), b.Till, "s3", "claim")
		}
		p.Stray = append(p.Stray, Stray{At: b.At + span(r, -20*time.Second, 40*time.Second), Till: b.Till, Text: card(i), Device: gun},
			Stray{At: b.At + span(r, -20*time.Second, 0), Till: b.Till, Text: payCode(platforms.WeChat, 91000+i), Device: gun})
	}
}

// seen is one scan as the world knows it.
type seenScan struct {
	at     time.Duration
	text   string
	device string
	order  string // that waited for a scan then, as the core had decided
	proc   int
}

// gripAsk is a client's wish for a scanner that another holds.
type gripAsk struct {
	since, lease time.Duration
}

// gripTold is what was said of a till's scanner.
type gripTold struct {
	holder   string
	ends     time.Duration // the lease, at the latest
	asked    map[string]gripAsk
	released bool // in this step
}

// waits is the order that waits for a scan at a till, as the core decided it.
func (c *checker) waits(till string) string {
	for _, no := range sorted(c.belief) {
		o := c.belief[no]
		if o.Till == till && o.State() == order.Waiting && o.Mode == platforms.ModeCharge && o.CancelAsked == nil && !o.Detached && !o.HandedCode {
			return no
		}
	}
	return ""
}

func (c *checker) scanSeen(till, device, text string) {
	id := 0
	if c.w.proc != nil {
		id = c.w.proc.id
	}
	c.scans[till] = append(c.scans[till], seenScan{at: c.w.g, text: text, device: device, order: c.waits(till), proc: id})
}

// scanRule: a code that pays was read while its order waited, by a scanner that
// may pay, with no other code in view (DEV-01, DEV-05, DEV-20).
func (c *checker) scanRule(d *order.Order, text string) {
	if d.HandedCode || c.w.proc == nil {
		return
	}
	hold := c.w.cfg.Tills[d.Till].TwoCodes
	armed, allowed, alone := false, false, false
	for i, s := range c.scans[d.Till] {
		if s.text != text || s.order != d.No || s.proc != c.w.proc.id {
			continue
		}
		armed = true
		if c.w.cfg.Tills[d.Till].Devices[s.device].NoPay {
			continue
		}
		allowed = allowed || s.device == d.CodeDevice
		alone = alone || !c.crowded(d.Till, i, hold)
	}
	switch {
	case !armed:
		c.fail("DEV-01", d.No, "a code pays that was read while nothing waited for it")
	case !allowed:
		c.fail("DEV-20", d.No, "the code is said to be of scanner %q, which did not read it or takes no payments", d.CodeDevice)
	case !alone:
		c.fail("DEV-05", d.No, "a code pays although another was in view")
	}
}

// crowded tells whether another code was read for the same order so shortly
// before or after.
func (c *checker) crowded(till string, i int, hold time.Duration) bool {
	list := c.scans[till]
	for _, s := range list {
		if d := s.at - list[i].at; s.text != list[i].text && s.order == list[i].order && s.proc == list[i].proc && d < hold && -d < hold {
			return true
		}
	}
	return false
}

// gripRules see claims and cards as the core decides them.
func (c *checker) gripRules(ev counter.Event, out []counter.Effect) {
	if r, ok := ev.(counter.Release); ok && c.grips[r.Till] != nil {
		c.grips[r.Till].released = c.grips[r.Till].holder == r.Session
	}
	if r, ok := ev.(counter.Retain); ok && c.grips[r.Till] != nil && c.grips[r.Till].holder == r.Session {
		clear(c.grips[r.Till].asked)
	}
	for _, e := range out {
		switch e := e.(type) {
		case counter.Screen:
			c.gripShown(e.View)
		case counter.Identity:
			c.card(ev, e)
		}
	}
	claim, ok := ev.(counter.Claim)
	if g := c.grips[claim.Till]; ok && g != nil {
		lease := min(claim.Lease, counter.MaxLease)
		if lease <= 0 {
			lease = counter.DefaultLease
		}
		if a, asks := g.asked[claim.Session]; g.holder != claim.Session {
			if !asks {
				a.since = c.w.g
			}
			a.lease = lease
			g.asked[claim.Session] = a
		}
		if g.holder == claim.Session {
			g.ends = c.w.g + lease
		}
	}
	for _, till := range sorted(c.grips) {
		c.grips[till].released = false
	}
}

// gripShown: a scanner goes from one client to another after five seconds, at
// once when it is given up or the lease is over, and never while an order waits.
func (c *checker) gripShown(v counter.View) {
	w := c.w
	g := c.grips[v.Till]
	if g == nil {
		g = &gripTold{asked: map[string]gripAsk{}}
		c.grips[v.Till] = g
	}
	if v.Armed != (c.waits(v.Till) != "" && !w.proc.failed) {
		c.fail("DEV-01", "", "till %s armed: %t, and %q waits for a scan", v.Till, v.Armed, c.waits(v.Till))
	}
	if want := state(v); v.Scanner != want {
		c.fail("DEV-01", "", "the scanner of %s is %s instead of %s", v.Till, v.Scanner, want)
	}
	if v.Holder != g.holder && g.holder != "" && v.Holder != "" {
		asked, ok := g.asked[v.Holder]
		switch {
		case v.Armed:
			c.fail("DEV-18", "", "the scanner of %s passes from %s to %s while an order waits", v.Till, g.holder, v.Holder)
		case !ok:
			c.fail("DEV-18", "", "the scanner of %s passes to %s, who did not ask", v.Till, v.Holder)
		case !g.released && w.g < g.ends && w.g-asked.since < counter.RetainWithin:
			c.fail("DEV-18", "", "the scanner of %s passes from %s after %s", v.Till, g.holder, w.g-asked.since)
		}
	}
	if v.Holder != g.holder {
		g.holder, g.ends = v.Holder, w.g+g.asked[v.Holder].lease
		clear(g.asked)
	}
	for _, session := range sorted(g.asked) {
		if session != v.AskedBy {
			delete(g.asked, session)
		}
	}
	if v.Holder != "" && w.g > g.ends {
		c.fail("DEV-18", "", "%s holds the scanner of %s after its lease", v.Holder, v.Till)
	}
}

func state(v counter.View) counter.ScannerState {
	switch {
	case v.Armed:
		return counter.ScannerArmed
	case v.Holder != "":
		return counter.ScannerClaimed
	}
	return counter.ScannerClosed
}

// card: a card goes to the client that holds the scanner, read by the cashier's
// scanner while no order waited; a payment code never does (DEV-14).
func (c *checker) card(ev counter.Event, e counter.Identity) {
	w := c.w
	w.hit(Cards, "")
	text := e.Text.Reveal()
	if w.cfg.Recognise(text, "").Payable || bytes.Contains([]byte(text), []byte(canary)) {
		c.fail("DEV-14", "", "a payment code is handed to a client")
	}
	if no := c.waits(e.Till); no != "" {
		c.fail("DEV-14", no, "a card is handed on while an order waits for a scan")
	}
	if w.cfg.Tills[e.Till].Devices[e.Device].Role != counter.RoleGun {
		c.fail("DEV-14", "", "a card of the patient's scanner %s is handed on", e.Device)
	}
	if s, ok := ev.(counter.Scan); !ok || s.Till != e.Till || s.Device != e.Device || s.Code.Text.Reveal() != text {
		c.fail("DEV-14", "", "a card is handed on that was not read just now")
	}
	if g := c.grips[e.Till]; g == nil || e.Session == "" || e.Session != g.holder {
		c.fail("DEV-14", "", "a card goes to %q, who does not hold the scanner of %s", e.Session, e.Till)
	}
	if bytes.Contains([]byte(fmt.Sprintf("%+v %#v", e, e)), []byte(text)) {
		c.fail("DEV-14", "", "a card's number can be printed by accident")
	}
}
