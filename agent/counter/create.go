package counter

import (
	"slices"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// pending is a request that waits for what the log knows.
type pending struct {
	create *Create
	act    *Act
	refund *AskRefund
	notice *Notified
	scan   *heldScan
	till   string
	at     time.Duration // when it was asked
	then   func(Found)   // what goes on with what was found
}

func (c *Counter) lookup(p pending, keys []string, orders []string) {
	c.token++
	p.at = c.now.Mono
	c.pending[c.token] = p
	c.emit(Lookup{Token: c.token, Keys: keys, Orders: orders})
}

// Keys under which an order is found again. They are part of the stored format.
func billKey(bill string) string      { return "bill:" + bill }
func idemKey(hash string) string      { return "idem:" + hash }
func codeKey(hash string) string      { return "code:" + hash }
func refundKey(request string) string { return "refund:" + request }
func flowKey(flow string) string      { return "flow:" + flow }

// tradeKeys find an order by the wallet's number and by the end of it, which is
// what receipts show.
func tradeKeys(trade string) []string {
	return []string{"trade:" + trade, "tail:" + trade[max(0, len(trade)-4):]}
}

// HisBooksKey finds the orders by which it is known that this HIS books.
const HisBooksKey = "his:books"

// create begins a request to be paid: the log is asked about the bill, the key
// and the number first, whatever speaks against a new order. A refusal lets the
// cashier take cash, which must not happen while an order of this very request
// or bill is open or paid.
func (c *Counter) create(e Create) {
	if c.stopped || !c.ready {
		c.refuse(e, CodeStopped, nil)
		return
	}
	keys := []string{billKey(e.Spec.Bill)}
	if e.Spec.Key.Key != "" {
		keys = append(keys, idemKey(e.Spec.Key.Key))
	}
	if e.Handed != nil {
		keys = append(keys, codeKey(e.Handed.Hash))
	}
	if e.Cap > 0 {
		keys = append(keys, e.CapKey)
	}
	c.lookup(pending{create: &e}, keys, []string{e.No})
}

func (c *Counter) refuse(e Create, code string, o *order.Order) {
	r := Reply{ID: e.Reply, Code: code, Platform: e.Spec.Platform}
	if o != nil {
		r.Order = o.Clone()
	}
	c.reply(r)
}

// closedFor says why no new order can be taken now, or nothing.
func (c *Counter) closedFor(s order.Created) string {
	switch {
	case c.stopped:
		return CodeStopped
	case !c.ready:
		return CodeStopped
	case c.cfg.Replaced:
		return CodeReplaced
	case c.diskLow:
		return CodeDiskLow
	case c.tills[s.Till] == nil:
		return CodeUnknownTill
	case c.noToken[s.Merchant.Profile]:
		return CodeTokenRefused
	case c.down[s.Platform]:
		return c.away(s.Platform)
	}
	p := c.cfg.Platforms[s.Platform]
	if s.Mode.Shown() && !p.Present[s.Mode] || s.Mode == platforms.ModeCharge && !p.Charge {
		return CodeUnsupported
	}
	return ""
}

func (c *Counter) mayQueue(e Create, code string) bool {
	return (code == CodeUnreachable || code == CodeClock) && e.WhenQueued && e.Handed == nil
}

func (c *Counter) createFound(e Create, at time.Duration, f Found) {
	s := e.Spec
	// Bills in memory are newer than what the log said a moment ago.
	if o := c.byKey(s.Key.Key, f.Orders[idemKey(s.Key.Key)]); o != nil {
		if keyBody(o, s.Key.Key) != s.Key.Body {
			c.refuse(e, CodeKeyMismatch, o)
		} else {
			c.refuse(e, CodeReplayed, o)
		}
		return
	}
	if c.stopped {
		c.refuse(e, CodeStopped, nil)
		return
	}
	for _, o := range c.ofBill(s.Bill, f.Orders[billKey(s.Bill)]) {
		if code := billGuard(o, s.Amount); code != "" {
			c.answerExisting(e, code, o)
			return
		}
	}
	if c.orders[e.No] != nil || len(f.Orders[e.No]) > 0 {
		c.refuse(e, CodeNumberUsed, nil)
		return
	}
	if e.Cap > 0 && c.operatorSum(e, f.Orders[e.CapKey])+s.Amount > e.Cap {
		c.refuse(e, CodeOverCap, nil)
		return
	}
	// The world may have changed while the log was asked.
	code := c.closedFor(s)
	if code != "" && !c.mayQueue(e, code) {
		c.refuse(e, code, nil)
		return
	}
	if code != "" { // it may wait for the platform
		c.accept(e, at, nil, true)
		return
	}
	if t := c.tills[s.Till]; t.front != "" {
		c.refuse(e, CodeTillBusy, c.Order(t.front))
		return
	}
	var got *platforms.Scanned
	if e.Handed != nil {
		sc := c.cfg.Recognise(e.Handed.Text.Reveal(), e.Handed.Symbology)
		if bad := c.codeRefused(sc, s, e.Handed.Hash, f.Orders[codeKey(e.Handed.Hash)]); bad != "" {
			c.reply(Reply{ID: e.Reply, Code: bad, Kind: sc.Code.Kind, Platform: s.Platform})
			return
		}
		got = &sc
	}
	c.accept(e, at, got, false)
}

// billGuard is decision 1: a bill is paid once.
func billGuard(o *order.Order, amount platforms.Fen) string {
	switch s := o.State(); {
	case s == order.Paid && !o.FullyReversed():
		return CodeBillPaid
	case o.LateFound && !o.LateDone:
		return CodeBillOpen // late money is on its way back
	case s == order.Paid || s.Final():
		return ""
	case o.Amount == amount:
		return CodeExists
	}
	return CodeBillOpen
}

// answerExisting gives the open order as the answer, and remembers the key
// with it, so that a repetition of this request never opens another one.
func (c *Counter) answerExisting(e Create, code string, o *order.Order) {
	x := c.orders[o.No]
	if code == CodeExists && x != nil && e.Spec.Key.Key != "" {
		f := c.fact(x, order.KindKey)
		f.Key = &order.IdemKey{Key: e.Spec.Key.Key, Body: e.Spec.Key.Body}
		c.write(x, f, Write{Keys: []string{idemKey(e.Spec.Key.Key)}})
		o = x.o
	}
	c.refuse(e, code, o)
}

// accept makes the order. Its first facts and, where a call follows at once,
// the intent are written as one. A code that HIS handed over is as old as the
// request, whose time is at.
func (c *Counter) accept(e Create, at time.Duration, got *platforms.Scanned, queued bool) {
	s := e.Spec
	s.Queued, s.HandedCode = queued, got != nil
	keys := []string{billKey(s.Bill), "till:" + s.Till}
	if s.Key.Key != "" {
		keys = append(keys, idemKey(s.Key.Key))
	}
	if e.Cap > 0 {
		keys = append(keys, e.CapKey)
	}
	if e.OpKey != "" {
		keys = append(keys, e.OpKey)
	}
	x := c.begin(order.Fact{Kind: order.KindCreated, Order: e.No, At: c.now.Instant, Created: &s}, keys)
	x.o.Private = e.Private
	code := CodeCreated
	if queued {
		code = CodeQueued
	} else {
		c.takeFront(x)
	}
	switch {
	case got != nil:
		c.charge(x, *got, *e.Handed, at, "")
	case s.Mode.Shown() && s.Mode != platforms.ModeInsurance && !queued:
		c.present(x)
	}
	c.advance(x)
	c.reply(Reply{ID: e.Reply, Code: code, Order: x.o.Clone()})
}

// begin makes an order of its first fact.
func (c *Counter) begin(f order.Fact, keys []string) *entry {
	o := &order.Order{}
	if err := o.Apply(f); err != nil {
		c.emit(Alarm{Code: "fact_refused", Order: f.Order})
	}
	x := c.add(o)
	c.emit(Write{Order: f.Order, Fact: &f, Keys: keys})
	return x
}

// charge sends the payer's code: the intent is written first, with the name of
// the scanner that read it, empty for a code that HIS handed over.
func (c *Counter) charge(x *entry, got platforms.Scanned, code Code, readAt time.Duration, device string) {
	f := c.fact(x, order.KindSent)
	f.Sent = &order.Sent{Verb: order.VerbCharge, CodeKind: got.Code.Kind, Channel: got.Channel, Device: device, CodeHash: code.Hash}
	if !c.write(x, f, Write{Keys: []string{codeKey(code.Hash)}, Slot: slotOf(x.o, order.VerbCharge)}) {
		return
	}
	x.o.Loop.PayOpen = true
	p := c.platform(x)
	ch := x.o.Charge()
	ch.Code = got.Code
	c.emit(Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbCharge, Charge: ch,
		Timeout: p.Policy.PayTimeout, NotAfter: readAt + c.cfg.CodeLimit})
}

func (c *Counter) present(x *entry) {
	f := c.fact(x, order.KindSent)
	f.Sent = &order.Sent{Verb: order.VerbPresent, Channel: ""}
	if !c.write(x, f, Write{Slot: slotOf(x.o, order.VerbPresent)}) {
		return
	}
	x.o.Loop.PayOpen = true
	p := c.platform(x)
	c.emit(Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbPresent, Charge: x.o.Charge(),
		Timeout: p.Policy.PresentTimeout, NotAfter: order.Never})
}

func slotOf(o *order.Order, v order.Verb) *Slot {
	s := &Slot{Order: o.No, Verb: v, Amount: o.Amount, Platform: o.Platform, Merchant: o.Merchant, Handle: o.Handle}
	if o.Mode.Shown() {
		s.Mode = o.Mode
	}
	return s
}

// ofBill merges what the log knows of a bill with what memory knows better.
func (c *Counter) ofBill(bill string, logged []*order.Order) []*order.Order {
	var list []*order.Order
	for _, o := range logged {
		if c.orders[o.No] == nil {
			list = append(list, o)
		}
	}
	for _, no := range c.bills[bill] {
		list = append(list, c.orders[no].o)
	}
	return list
}

// byKey finds the order that a key was answered with.
func (c *Counter) byKey(key string, logged []*order.Order) *order.Order {
	if x := c.orders[c.keys[key]]; x != nil {
		return x.o
	}
	if len(logged) > 0 {
		return logged[0]
	}
	return nil
}

// keyBody gives the body hash stored with a key, empty if the key is not there.
func keyBody(o *order.Order, key string) string {
	i := slices.IndexFunc(o.Keys, func(k order.IdemKey) bool { return k.Key == key && key != "" })
	if i < 0 {
		return ""
	}
	return o.Keys[i].Body
}

// operatorSum is what an operator took today: paid, or perhaps still to be paid.
func (c *Counter) operatorSum(e Create, logged []*order.Order) platforms.Fen {
	var sum platforms.Fen
	for _, o := range logged {
		if x := c.orders[o.No]; x != nil {
			o = x.o
		}
		if s := o.State(); s == order.Paid || !s.Final() {
			sum += o.Amount - o.RefundedSum()
		}
	}
	return sum
}
