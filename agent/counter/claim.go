package counter

import (
	"time"

	"payagent/platforms"
)

// ScannerState says what the scanners of a till are doing (DEV-01).
type ScannerState string

// The states of a till's scanners. A fault is said only where somebody counts
// on them: while an order waits for a scan, or while they are claimed.
const (
	ScannerClosed  ScannerState = "closed"  // whatever is read is dropped
	ScannerClaimed ScannerState = "claimed" // cards go to the client that claimed it
	ScannerArmed   ScannerState = "armed"   // one order takes one payment code
	ScannerFault   ScannerState = "fault"   // somebody waits, and none works
)

// The bounds of claims (DEV-18).
const (
	DefaultLease = 10 * time.Minute
	MaxLease     = time.Hour
	// RetainWithin is how long the holder has to say that it keeps the scanner
	// when another client asks for it.
	RetainWithin = 5 * time.Second
)

// claims is who may have what a till's scanner reads outside payments. It is
// memory only: after a restart the scanner is closed.
type claims struct {
	holder    string
	ends      time.Duration // of the lease
	asker     string
	askerWant time.Duration // the lease that the asker wants
	passes    time.Duration // when it passes to the asker
}

// claim gives a free scanner to a client, renews its lease, or asks the holder
// for it. A till whose order waits for a scan is never handed over.
func (c *Counter) claim(e Claim) {
	t := c.tills[e.Till]
	lease := min(e.Lease, MaxLease)
	if lease <= 0 {
		lease = DefaultLease
	}
	code := CodeClaimed
	switch {
	case t == nil:
		code = CodeUnknownTill
	case c.stopped || !c.ready:
		code = CodeStopped
	case !t.gun:
		code = CodeNoScanner
	case t.claims.holder == "" || t.claims.holder == e.Session:
		t.claims.holder, t.claims.ends, t.dirty = e.Session, c.now.Mono+lease, true
	case t.armed:
		code = CodeScannerArmed
	case t.claims.asker == "":
		t.claims.asker, t.claims.askerWant, t.claims.passes = e.Session, lease, c.now.Mono+RetainWithin
		code, t.dirty = CodeAsked, true
	case t.claims.asker == e.Session:
		t.claims.askerWant, code = lease, CodeAsked
	default:
		code = CodeScannerAsked
	}
	r := Reply{ID: e.Reply, Code: code}
	if t != nil {
		r.Claim = t.claims.told(c.now.Mono)
	}
	c.reply(r)
}

// retain keeps the scanner although another client asks; release gives it up.
func (c *Counter) retain(e Retain) {
	t := c.tills[e.Till]
	switch {
	case t == nil:
		c.reply(Reply{ID: e.Reply, Code: CodeUnknownTill})
	case t.claims.holder != e.Session:
		c.reply(Reply{ID: e.Reply, Code: CodeNotHolder, Claim: t.claims.told(c.now.Mono)})
	default:
		t.claims.noAsker()
		t.dirty = true
		c.reply(Reply{ID: e.Reply, Code: CodeRetained, Claim: t.claims.told(c.now.Mono)})
	}
}

func (c *Counter) release(e Release) {
	t := c.tills[e.Till]
	switch {
	case t == nil:
		c.reply(Reply{ID: e.Reply, Code: CodeUnknownTill})
	case t.claims.asker == e.Session && t.claims.holder != e.Session:
		t.claims.noAsker() // it does not want it any more
		t.dirty = true
		c.reply(Reply{ID: e.Reply, Code: CodeReleased, Claim: t.claims.told(c.now.Mono)})
	case t.claims.holder != e.Session:
		c.reply(Reply{ID: e.Reply, Code: CodeNotHolder, Claim: t.claims.told(c.now.Mono)})
	default:
		t.claims.pass(c.now.Mono)
		t.dirty = true
		c.reply(Reply{ID: e.Reply, Code: CodeReleased, Claim: t.claims.told(c.now.Mono)})
	}
}

// settleClaims ends leases and asks whose time has come. An order that waits
// for a scan is the holder's use of the scanner: whoever asked has to ask again.
func (t *till) settleClaims(now time.Duration) {
	q := &t.claims
	if t.armed && q.asker != "" {
		q.noAsker()
		t.dirty = true
	}
	if q.holder != "" && (now >= q.ends || q.asker != "" && now >= q.passes) {
		q.pass(now)
		t.dirty = true
	}
}

// pass gives the scanner to whoever asked for it, or to nobody.
func (q *claims) pass(now time.Duration) {
	next := claims{holder: q.asker, ends: now + q.askerWant}
	if next.holder == "" {
		next = claims{}
	}
	*q = next
}

func (q *claims) noAsker() { q.asker, q.askerWant, q.passes = "", 0, 0 }

// due is when settleClaims has something to do.
func (q *claims) due() (at time.Duration, ok bool) {
	if q.holder == "" {
		return 0, false
	}
	if q.asker != "" {
		return min(q.ends, q.passes), true
	}
	return q.ends, true
}

func (q *claims) told(now time.Duration) ClaimState {
	s := ClaimState{Holder: q.holder, AskedBy: q.asker}
	if q.holder != "" {
		s.Left = max(0, q.ends-now)
	}
	if q.asker != "" {
		s.PassesIn = max(0, q.passes-now)
	}
	return s
}

// scannerState is what the till's face says of its scanners.
func (t *till) scannerState() ScannerState {
	switch {
	case t.noScanner && (t.armed || t.claims.holder != ""):
		return ScannerFault
	case t.armed:
		return ScannerArmed
	case t.claims.holder != "":
		return ScannerClaimed
	}
	return ScannerClosed
}

// unarmed answers a scan while no order waits for one. It never reaches a
// payment: a card read by the cashier's scanner goes to the client that claimed
// it, everything else is dropped, a payment code first of all (DEV-14).
func (c *Counter) unarmed(t *till, e Scan, got platforms.Scanned) {
	if t.claims.holder != "" && !c.stopped && t.cfg.Devices[e.Device].Role == RoleGun && identity(got) {
		c.emit(Identity{Till: t.cfg.Name, Session: t.claims.holder, Device: e.Device, Kind: got.Code.Kind,
			Text: e.Code.Text, Symbology: e.Code.Symbology})
		c.scanned(t, e.Device, ScanIdentity)
		if t.front == "" && t.note != "" {
			t.say("")
		}
		return
	}
	c.scanned(t, e.Device, ScanDropped)
	if t.front == "" {
		t.say(NoteNotWaiting)
	}
}

// identity tells whether a text may be handed to a client: what pays, or would
// pay elsewhere, never is; nor is what nobody can read anything from.
func identity(got platforms.Scanned) bool {
	if got.Payable {
		return false
	}
	switch got.Code.Kind {
	case platforms.KindInsurance, platforms.KindIDCard, platforms.KindMerchantQR, platforms.KindProduct, platforms.KindDigits, platforms.KindCard:
		return true
	}
	return false
}

func (c *Counter) scanned(t *till, device string, r ScanResult) {
	c.emit(Scanned{Till: t.cfg.Name, Device: device, Result: r})
}
