package sim

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// Violation is a broken invariant.
type Violation struct {
	Name  string // I1 … I22, PAY-03, PAY-21, TILL
	Order string
	At    time.Duration
	Text  string
}

// String gives it in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s at %.3fs, order %s: %s", v.Name, v.At.Seconds(), v.Order, v.Text)
}

// resolveIn is the bound of I5: an open order is final so long after the world
// was healed. Longest is a number that the platform never heard of: three
// cancels in vain, 10 min apart where the back-off had grown to its end.
const resolveIn = 42 * time.Minute

type ask struct {
	bill, key string
	amount    platforms.Fen
	diskLow   bool
}

type codeSeen struct {
	at    map[string]time.Duration // by till: when it was shown last
	proc  int
	order string // the order that sent it
}

// checker compares what the agent does with the truth.
type checker struct {
	w        *World
	found    []Violation
	belief   map[string]*order.Order // as the core last said, durable or not
	fronts   map[string]map[string]bool
	asked    map[uint64]ask
	accepted map[string]bool // told to HIS
	codes    map[string]*codeSeen
	sent     map[string]time.Duration // charge left, g
	lag      map[string]time.Duration // how long the disk took before it left
	charges  map[string]int
	queried  map[string]time.Duration // last query came back, g
	alarms   map[string]map[string]bool
	liars    map[string]bool // orders of which the platform said a false "failed"
	paidTold map[string]bool
	endTold  map[string]bool
	finalAt  map[string]time.Duration
	bornAt   map[string]time.Duration
	forgot   map[string]bool // orders and bills from before the log was lost
	refunds  map[string]map[string]platforms.Fen
	current  counter.Event
	spy      func(counter.Call)       // sees every call that leaves, for one test
	keyOrder map[string]string        // idempotency key → order it was answered with
	scans    map[string][]seenScan    // by till
	grips    map[string]*gripTold     // by till
	askedAt  map[string]time.Duration // query left last, g
	woken    map[string]time.Duration // message about it came last, g
	states   map[string]bool          // of authorisations that were taken
	lastBack map[string]string        // order → refund that left last
	backAt   map[string]time.Duration
	linked   map[string]bool // orders reversed on silence while HIS could speak
	paidThen map[string]bool // orders that were paid at the box before this one
	owedThen []string        // orders that it had not done with
}

func newChecker(w *World) *checker {
	return &checker{w: w, belief: map[string]*order.Order{}, fronts: map[string]map[string]bool{}, asked: map[uint64]ask{},
		accepted: map[string]bool{}, codes: map[string]*codeSeen{}, sent: map[string]time.Duration{}, lag: map[string]time.Duration{}, charges: map[string]int{},
		queried: map[string]time.Duration{}, alarms: map[string]map[string]bool{}, liars: map[string]bool{}, paidTold: map[string]bool{},
		endTold: map[string]bool{}, finalAt: map[string]time.Duration{}, bornAt: map[string]time.Duration{}, forgot: map[string]bool{}, refunds: map[string]map[string]platforms.Fen{},
		scans: map[string][]seenScan{}, grips: map[string]*gripTold{}, keyOrder: map[string]string{}, askedAt: map[string]time.Duration{}, woken: map[string]time.Duration{}, states: map[string]bool{}, lastBack: map[string]string{}, backAt: map[string]time.Duration{}, linked: map[string]bool{}, paidThen: map[string]bool{}}
}

func (c *checker) fail(name, no, format string, args ...any) {
	if name == c.w.plan.Harness.SkipChecker || len(c.found) > 40 {
		return
	}
	v := Violation{Name: name, Order: no, At: c.w.g, Text: fmt.Sprintf(format, args...)}
	c.found = append(c.found, v)
	c.w.say("VIOLATION %s", v)
}

// open lists the orders that the core has open, sorted.
func (c *checker) open() []string {
	var list []string
	for no, o := range c.belief {
		if !o.State().Final() {
			list = append(list, no)
		}
	}
	slices.Sort(list)
	return list
}

func (c *checker) codeShown(text, till string) {
	id := 0
	if c.w.proc != nil {
		id = c.w.proc.id
	}
	if old := c.codes[text]; old != nil {
		old.at[till], old.proc = c.w.g, id
		return
	}
	c.codes[text] = &codeSeen{at: map[string]time.Duration{till: c.w.g}, proc: id}
}

// restarted forgets what the dead process believed and nobody wrote down.
func (c *checker) restarted(r counter.Recover) {
	c.belief, c.fronts = map[string]*order.Order{}, map[string]map[string]bool{}
	clear(c.queried)
	clear(c.grips)
	for _, o := range r.Orders {
		c.belief[o.No] = o.Clone()
		c.front(o)
	}
}

func (c *checker) logLost() {
	for no := range c.w.journal.streams {
		c.forgot[no] = true
	}
	for no := range c.belief {
		c.forgot[no] = true
	}
	for no := range c.accepted {
		c.forgot[no] = true
	}
	for b := range c.w.his.bills {
		c.forgot[b] = true
	}
	for _, t := range c.w.his.orders {
		t.final = "" // what was final may come back as in doubt, with an alarm
	}
}

// swapped forgets what only the old box knows; what the new one takes over
// stays under every rule.
func (c *checker) swapped(left []counter.Capsule) {
	kept := map[string]bool{}
	for no := range c.forgot {
		kept[no] = true // lost before
	}
	for no, s := range c.w.journal.streams {
		if !s.closed && !kept[no] {
			c.owedThen = append(c.owedThen, no)
		}
	}
	c.logLost()
	for _, k := range left {
		c.paidThen[k.No] = k.Spec.Before != nil && k.Spec.Before.Paid && !k.Canceled
		for _, name := range []string{k.No, k.Spec.Bill} {
			if !kept[name] {
				delete(c.forgot, name)
			}
		}
	}
}

// before sees an event on its way into the core.
func (c *checker) before(ev counter.Event) {
	c.current = ev
	if q, ok := ev.(counter.QueryDone); ok && !platforms.NeverLeft(q.Err) {
		c.queried[q.Order] = c.w.g
	}
}

func (c *checker) front(o *order.Order) {
	s := o.State()
	m := c.fronts[o.Till]
	if m == nil {
		m = map[string]bool{}
		c.fronts[o.Till] = m
	}
	if s.Final() || s == order.Queued || o.Detached || o.Till == "" {
		delete(m, o.No)
		return
	}
	m[o.No] = true
	if len(m) > 1 {
		c.fail("TILL", o.No, "%d orders in front of till %s", len(m), o.Till)
	}
}

// onStep sees what one step decided, before anything of it is durable.
func (c *checker) onStep(p *process, ev counter.Event, out []counter.Effect) {
	w := c.w
	c.foreign(ev, out)
	c.online(ev, out)
	c.noteReversal(out)
	defer c.gripRules(ev, out) // after what the step said of orders is believed
	for _, e := range out {
		switch e := e.(type) {
		case counter.Changed:
			c.believe(e.Order, out)
		case counter.Alarm:
			if e.Code == "fact_refused" {
				c.fail("I7", e.Order, "the core made a fact that the order forbids, after %s", show(ev))
			}
		case counter.Call:
			if e.Verb == order.VerbCancel {
				c.cancelRule(e)
			}
			if at, ok := c.queried[e.Order]; e.Verb == order.VerbRefund && !w.cfg.Platforms[e.Platform].Traits.NoQuery && (!ok || w.g-at > 2*time.Second) {
				c.fail("PAY-08", e.Order, "refund %s leaves without a query in the two seconds before", e.Refund.RequestNo)
			}
			c.silenceRule(p, e)
			if o := p.c.Order(e.Order); o != nil && e.Verb != order.VerbQuery && (o.Reopened || o.EndReason == "resolved" && o.State() != order.Paid) {
				c.fail("ORD-19", e.Order, "a %s of an order that people decide about", e.Verb)
			}
			if p.failed {
				c.fail("I16", e.Order, "a %s after a storage error", e.Verb)
			}
			if e.Timeout <= 0 || e.Timeout > time.Minute {
				c.fail("I22", e.Order, "a %s with time-out %s", e.Verb, e.Timeout)
			}
		case counter.Write:
			if p.failed && e.Fact != nil && e.Fact.Kind == order.KindSent {
				c.fail("I16", e.Order, "an intent after a storage error")
			}
		case counter.Reply:
			if p.failed && (e.Code == counter.CodeCreated || e.Code == counter.CodeQueued) {
				c.fail("I16", "", "an order accepted after a storage error")
			}
			if p.failed && (e.Code == counter.CodeDone || e.Code == counter.CodeAccepted) && asksForSomething(ev) {
				c.fail("I16", "", "%s promised after a storage error", e.Code)
			}
			if w.diskLow && (e.Code == counter.CodeCreated || e.Code == counter.CodeQueued) {
				c.fail("I17", e.Order.No, "an order accepted while the disk is nearly full")
			}
			if a, ok := c.asked[e.ID]; ok {
				c.refused(a, e)
			}
		}
	}
}

func asksForSomething(ev counter.Event) bool {
	switch ev.(type) {
	case counter.Act, counter.AskRefund, counter.Found:
		return true
	}
	return false
}

func (c *checker) believe(o *order.Order, out []counter.Effect) {
	old := c.belief[o.No]
	c.belief[o.No] = o
	c.front(o)
	if _, ok := c.bornAt[o.No]; !ok {
		c.bornAt[o.No] = c.w.g
	}
	if old != nil && old.State().Final() && old.State() != o.State() && !resolvedBefore(old, o) {
		c.fail("I7", o.No, "%s became %s", old.State(), o.State())
	}
	c.peopleRule(old, o)
	if old != nil && o.Confirmed && !old.Confirmed && c.w.now().Age(o.CreatedAt) > o.ValidFor {
		c.fail("OFF-09", o.No, "taken up %s after it was accepted offline", c.w.now().Age(o.CreatedAt))
	}
	if o.State().Final() {
		if _, ok := c.finalAt[o.No]; !ok {
			c.finalAt[o.No] = c.w.g
		}
	}
	if o.State() == order.InDoubt && (old == nil || old.Doubt == "") {
		alarmed := slices.ContainsFunc(out, func(e counter.Effect) bool {
			a, ok := e.(counter.Alarm)
			return ok && a.Order == o.No
		})
		if !alarmed {
			c.fail("I5", o.No, "in doubt (%s) without an alarm", o.Doubt)
		}
	}
	if slices.ContainsFunc(o.Refunds, func(r order.RefundLine) bool { return r.Sum <= 0 }) || o.RefundClaims() > o.Amount {
		c.fail("I8", o.No, "refunds of %d claim more than %d", o.RefundClaims(), o.Amount)
	}
}

// foreign: an answer about another amount, order or merchant decides nothing.
func (c *checker) foreign(ev counter.Event, out []counter.Effect) {
	var no string
	var a platforms.Answer
	switch e := ev.(type) {
	case counter.PayDone:
		no, a = e.Order, e.Answer
	case counter.QueryDone:
		no, a = e.Order, e.Answer
	case counter.CancelDone:
		no, a.OrderNo = e.Order, e.Answer.OrderNo
	case counter.Notified:
		no, a = e.Notice.Answer.OrderNo, e.Notice.Answer
	}
	o := c.w.journal.at(no)
	if o == nil {
		return
	}
	name := ""
	switch {
	case a.HasAmount && a.Amount != o.Amount && a.Amount != 0:
		name = "I9"
	case a.OrderNo != "" && a.OrderNo != no, a.Merchant != "" && a.Merchant != o.Merchant.Code && o.Merchant.Code != "":
		name = "I6"
	default:
		return
	}
	for _, e := range out {
		w, ok := e.(counter.Write)
		if !ok || w.Order != no || w.Fact == nil {
			continue
		}
		f := w.Fact
		if f.Kind == order.KindAnswered && (f.Answer.Status == platforms.Paid.String() || f.Answer.Done) {
			c.fail(name, no, "an answer about order %q, merchant %q, amount %d was believed", a.OrderNo, a.Merchant, a.Amount)
		}
	}
}

// cancelRule is PAY-03, seen when the core decides.
func (c *checker) cancelRule(e counter.Call) {
	w := c.w
	o := c.belief[e.Order]
	if p := w.proc; p != nil {
		if x := p.c.Order(e.Order); x != nil {
			o = x
		}
	}
	if o == nil {
		return
	}
	if left, ok := c.sent[e.Order]; ok && o.Mode == platforms.ModeCharge {
		if age := w.g - left + c.lag[e.Order]; age < 15*time.Second {
			c.fail("PAY-03", e.Order, "canceled %s after the charge", age)
		}
	}
	if c.paidThen[e.Order] && o.State() != order.Paid {
		c.fail("ORD-20", e.Order, "a cancel of what was paid at the box before, and HIS may have booked")
	}
	if w.plats[e.Platform].traits.NoQuery {
		return // there is nothing that it could rest on
	}
	at, ok := c.queried[e.Order]
	if !ok || w.g-at > 2*time.Second {
		c.fail("PAY-03", e.Order, "canceled without a query in the two seconds before")
	}
}

// onCall sees a call leave: everything it rests on must be durable.
func (c *checker) onCall(p *process, e counter.Call) {
	w := c.w
	if c.spy != nil {
		c.spy(e)
	}
	d := w.journal.at(e.Order)
	if d == nil {
		if e.Verb != order.VerbQuery {
			c.fail("I3", e.Order, "a %s for an order that is not in the log", e.Verb)
		}
		return
	}
	switch e.Verb {
	case order.VerbCharge, order.VerbPresent:
		if d.SentAt == nil || d.Amount != e.Charge.Amount || d.Merchant != e.Charge.Merchant {
			c.fail("I3", e.Order, "a %s without its intent in the log", e.Verb)
		}
	case order.VerbCancel:
		if !d.CancelOpen && !d.State().Final() {
			c.fail("I3", e.Order, "a cancel without its intent in the log")
		}
	case order.VerbRefund:
		c.secondRule(e, d)
		known := e.Refund.RequestNo == order.ReversalRequest(e.Order) && d.LateSent
		for _, r := range d.Refunds {
			known = known || r.Request == e.Refund.RequestNo && r.State != order.RefundRequested && r.Sum == e.Refund.Sum
		}
		if !known {
			c.fail("I3", e.Order, "refund %s without its intent in the log", e.Refund.RequestNo)
		}
		m := c.refunds[e.Order]
		if m == nil {
			m = map[string]platforms.Fen{}
			c.refunds[e.Order] = m
		}
		m[e.Refund.RequestNo] = e.Refund.Sum
		if last := c.lastBack[e.Order]; last != "" && last != e.Refund.RequestNo && w.g-c.backAt[e.Order] < time.Minute {
			c.fail("PAY-08", e.Order, "refund %s leaves %s after %s", e.Refund.RequestNo, w.g-c.backAt[e.Order], last)
		}
		c.lastBack[e.Order], c.backAt[e.Order] = e.Refund.RequestNo, w.g
		want, ok := w.his.asked[e.Refund.RequestNo]
		if e.Refund.RequestNo != order.ReversalRequest(e.Order) && (!ok || want != e.Refund.Sum) {
			c.fail("I8", e.Order, "refund %s over %d was never asked for", e.Refund.RequestNo, e.Refund.Sum)
		}
	}
	if e.Verb == order.VerbCharge {
		c.onCharge(p, e, d)
	}
}

// onCharge sees a payment code leave.
func (c *checker) onCharge(p *process, e counter.Call, d *order.Order) {
	w := c.w
	text := e.Charge.Code.Reveal()
	seen := c.codes[text]
	switch {
	case seen == nil:
		c.fail("I11", e.Order, "a code that nobody showed")
	case w.mono() > e.NotAfter: // the driver does not let it leave
	case seen.at[d.Till] == 0:
		c.fail("I11", e.Order, "a code that was not shown at %s leaves", d.Till)
	case w.g-seen.at[d.Till] > 45*time.Second:
		c.fail("I11", e.Order, "a code %s old leaves", w.g-seen.at[d.Till])
	case seen.proc != p.id:
		c.fail("I11", e.Order, "a code from before the restart leaves")
	case seen.order != "" && seen.order != e.Order && !c.forgot[seen.order]:
		c.fail("I11", e.Order, "the code that paid %s leaves again", seen.order)
	}
	if seen != nil {
		seen.order = e.Order
	}
	c.scanRule(d, text)
	if got := w.cfg.Recognise(text, ""); !got.Payable || d.Channel != "" && got.Channel != d.Channel {
		c.fail("PAY-16", e.Order, "a %s code is sent for %s", got.Code.Kind, d.Channel)
	}
}

// onWire sees a request leave the machine.
func (c *checker) onWire(e counter.Call) {
	if e.Verb != order.VerbCharge && e.Verb != order.VerbPresent {
		return
	}
	w := c.w
	c.charges[e.Order]++
	if c.charges[e.Order] > 1 {
		c.fail("I2", e.Order, "%d %s requests on the wire", c.charges[e.Order], e.Verb)
	}
	c.sent[e.Order] = w.g
	d := w.journal.at(e.Order)
	if d != nil && d.SentAt != nil {
		c.lag[e.Order] = w.now().Age(*d.SentAt)
	}
	if d == nil || d.Bill == "" || c.forgot[d.Bill] {
		return
	}
	for _, no := range w.journal.keys["bill:"+d.Bill] {
		o := w.journal.at(no)
		if no == e.Order || o == nil {
			continue
		}
		if o.Reopened || o.EndReason == "resolved" {
			continue // people said that it is not paid, and the bill was asked for again
		}
		if s := o.State(); (!s.Final() && o.SentAt != nil) || s == order.Paid && !o.FullyReversed() {
			c.fail("I2", e.Order, "sent while %s of the same bill is %s", no, s)
		}
	}
	if b := w.his.bills[d.Bill]; b != nil && e.Charge.Amount != b.Amount && e.Charge.Amount != b.Amount+100 {
		c.fail("I9", e.Order, "%d fen sent for a bill of %d", e.Charge.Amount, b.Amount)
	}
}

// onArrive sees a request at the platform.
func (c *checker) onArrive(e counter.Call) {
	if left, ok := c.sent[e.Order]; ok && e.Verb == order.VerbCharge && c.w.g-left > lateBound {
		c.fail("SIM", e.Order, "the model executes a charge too late")
	}
}

// sizes reads how much the core holds.
func sizes(c *counter.Counter) map[string]int {
	m := map[string]int{}
	v := reflect.ValueOf(c).Elem()
	for _, name := range []string{"orders", "bills", "keys", "codes", "pending", "wakes"} {
		m[name] = v.FieldByName(name).Len()
	}
	return m
}
