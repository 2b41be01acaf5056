package counter

import (
	"slices"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

type till struct {
	cfg   Till
	front string       // the order in front of this till
	last  string       // the order last in front, for the screen
	ended *order.Order // the last order as it was when memory let it go
	queue []string     // orders accepted offline, oldest first
	armed bool
	held  *heldScan
	note  string
	// The last code read, to suppress double reads; lastFor is the order that
	// waited for a scan then, lastBarred that its scanner takes no payments.
	lastHash   string
	lastRead   time.Duration
	lastFor    string
	lastBarred bool
	noScanner  bool // it was unplugged
	gun        bool // it has a cashier's scanner
	claims     claims
	dirty      bool
	shown      bool
}

// heldScan is a scan on its way to a charge.
type heldScan struct {
	code  Code
	from  string // the device that read it
	got   platforms.Scanned
	order string
	at    time.Duration // when it was read
}

// takeFront puts an order in front of its till.
func (c *Counter) takeFront(x *entry) {
	if t := c.tills[x.o.Till]; t != nil && !t.cfg.Online {
		t.front, t.last, t.note, t.held, t.dirty = x.o.No, x.o.No, "", nil, true
	}
}

// settleTill frees a till whose order is final or detached, arms the scanner
// of one that waits for a code, and shows what changed.
func (c *Counter) settleTill(t *till) {
	front := c.orders[t.front]
	if t.front != "" && (front == nil || front.o.State().Final() || front.o.Detached) {
		t.front, t.held, t.dirty = "", nil, true
		if front != nil && front.o.Detached {
			t.last = ""
		}
		front = nil
	}
	armed := front != nil && front.o.State() == order.Waiting && front.o.Mode == platforms.ModeCharge &&
		front.o.CancelAsked == nil && !c.stopped
	if armed != t.armed || !t.shown {
		t.armed, t.dirty = armed, true
		if armed {
			t.lastHash = "" // a phone that lay on the scanner before its order is read again now
		}
	}
	t.settleClaims(c.now.Mono)
	if !t.dirty || !c.ready {
		return
	}
	t.dirty, t.shown = false, true
	v := View{Till: t.cfg.Name, Armed: t.armed, Note: t.note, Online: true, Scanner: t.scannerState(),
		Holder: t.claims.holder, AskedBy: t.claims.asker}
	if t.armed && t.noScanner && v.Note == "" {
		v.Note = NoteScannerGone // the order stays; the scanner is opened again when it is back
	}
	if x := c.orders[t.last]; x != nil {
		v.Order = x.o.Clone()
		v.Online = !c.down[x.o.Platform]
	} else if t.last != "" {
		v.Order = t.ended
	}
	if v.Note == "" {
		v.Note = bookNote(v.Order)
	}
	if c.cfg.Replaced {
		v.Note = CodeReplaced
	}
	t.queue = slices.DeleteFunc(t.queue, func(no string) bool {
		return c.orders[no] == nil || c.orders[no].o.State() != order.Queued
	})
	for _, no := range t.queue {
		v.Queued++
		v.Online = v.Online && !c.down[c.orders[no].o.Platform]
	}
	if v.Order == nil && len(t.queue) > 0 {
		v.Order = c.orders[t.queue[0]].o.Clone()
	}
	c.emit(Screen{View: v})
}

func (t *till) say(note string) {
	t.note, t.dirty = note, true
}

// scan takes a text from one of a till's scanners. Only an armed till turns it
// into a payment; everything else is answered on the spot and dropped, or is a
// card for the client that claimed the scanner (DEV-01).
func (c *Counter) scan(e Scan) {
	t := c.tills[e.Till]
	if t == nil {
		return
	}
	// The same code again within the window is the same read. A code that was
	// shown to a scanner that takes no payments is shown anew to one that does.
	barred := t.cfg.Devices[e.Device].NoPay
	if e.Code.Hash == t.lastHash && c.now.Mono-t.lastRead <= c.cfg.DoubleRead && (barred || !t.lastBarred) {
		t.lastRead = c.now.Mono
		c.scanned(t, e.Device, ScanDouble)
		return
	}
	got := c.cfg.Recognise(e.Code.Text.Reveal(), e.Code.Symbology)
	x := c.orders[t.front]
	if !t.armed || x == nil {
		t.remember(e.Code.Hash, c.now.Mono, "", barred)
		c.unarmed(t, e, got)
		return
	}
	if t.held != nil && t.held.order == "" {
		c.scanned(t, e.Device, ScanDropped) // a payment is on its way already
		return
	}
	// Two phones in view, of whichever scanner of this till: neither is meant.
	if t.lastFor == x.o.No && t.lastHash != e.Code.Hash && c.now.Mono-t.lastRead < t.cfg.TwoCodes {
		if t.held != nil {
			c.scanned(t, t.held.from, ScanTwoCodes)
		}
		t.held = nil
		t.remember(e.Code.Hash, c.now.Mono, x.o.No, false)
		t.say(NoteTwoCodes)
		c.scanned(t, e.Device, ScanTwoCodes)
		return
	}
	t.remember(e.Code.Hash, c.now.Mono, x.o.No, barred)
	if got.Payable && barred {
		t.say(NoteNotForPayment)
		c.scanned(t, e.Device, ScanRefused)
		return
	}
	if bad := c.codeRefused(got, x.o.Created, e.Code.Hash, nil); bad != "" {
		if bad == CodeNotPayable {
			bad = "code_" + string(got.Code.Kind)
		}
		t.say(bad)
		c.scanned(t, e.Device, ScanRefused)
		return
	}
	if c.down[x.o.Platform] {
		t.say(NoteOffline) // dropped, never kept: the patient shows a fresh one later
		c.scanned(t, e.Device, ScanRefused)
		return
	}
	t.held = &heldScan{code: e.Code, from: e.Device, got: got, order: x.o.No, at: c.now.Mono}
	c.releaseHeld(t)
}

func (t *till) remember(hash string, at time.Duration, order string, barred bool) {
	t.lastHash, t.lastRead, t.lastFor, t.lastBarred = hash, at, order, barred
}

// releaseHeld lets a held scan go on once no second code can spoil it.
func (c *Counter) releaseHeld(t *till) {
	h := t.held
	if h == nil || h.order == "" || c.now.Mono < h.at+t.cfg.TwoCodes {
		return
	}
	sent := *h
	h.order = "" // on its way; a second code spoils nothing any more, it is dropped
	c.lookup(pending{scan: &sent, till: t.cfg.Name}, []string{codeKey(sent.code.Hash)}, nil)
}

func (c *Counter) scanFound(name string, h heldScan, f Found) {
	t := c.tills[name]
	t.held = nil
	x := c.orders[h.order]
	result := ScanRefused
	defer func() { c.scanned(t, h.from, result) }()
	if x == nil || t.front != h.order || x.o.State() != order.Waiting || x.o.CancelAsked != nil || c.stopped {
		return
	}
	p := c.platform(x)
	age := c.now.Mono - h.at
	switch bad := c.codeRefused(h.got, x.o.Created, h.code.Hash, f.Orders[codeKey(h.code.Hash)]); {
	case bad != "":
		t.say(bad)
	case age > p.Policy.CodeAge || age > c.cfg.CodeLimit:
		t.say(NoteCodeOld)
	case c.noToken[x.o.Merchant.Profile]:
		t.say(CodeTokenRefused)
	case c.down[x.o.Platform]:
		t.say(NoteOffline)
	default:
		t.note, result = "", ScanTaken
		c.charge(x, h.got, h.code, h.at, h.from)
		c.advance(x)
	}
}

// codeRefused says why a recognised code cannot pay this order, or nothing.
// Nothing is sent for a refused code.
func (c *Counter) codeRefused(got platforms.Scanned, s order.Created, hash string, used []*order.Order) string {
	if !got.Payable {
		return CodeNotPayable
	}
	if s.Channel != "" && got.Channel != "" && got.Channel != s.Channel {
		return CodeWrongWallet
	}
	if ch := c.cfg.Platforms[s.Platform].Traits.Channels; got.Channel != "" && !slices.Contains(ch, got.Channel) {
		return CodeWrongWallet
	}
	if x := c.orders[c.codes[hash]]; x != nil {
		used = append(slices.Clip(used), x.o)
	}
	for _, o := range used {
		if o.SentAt != nil && c.now.Age(*o.SentAt) < c.cfg.CodeOnce {
			if o.Till != s.Till {
				c.emit(CodeAgain{Order: o.No, UsedAt: *o.SentAt, Till: s.Till, Operator: s.Operator.ID, At: c.now.Instant})
			}
			return CodeUsed
		}
	}
	return ""
}
