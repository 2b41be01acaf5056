package sim

import (
	"slices"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// durable compares an order that somebody is told of with what a power cut
// would leave.
func (c *checker) durable(o *order.Order, name, where string) {
	d := c.w.journal.at(o.No)
	switch {
	case d == nil:
		c.fail(name, o.No, "%s tells of an order that is not in the log", where)
	case d.Rev < o.Rev:
		c.fail(name, o.No, "%s tells %s, the log holds %s only", where, o.State(), d.State())
	case d.Rev == o.Rev && d.State() != o.State():
		c.fail(name, o.No, "%s tells %s, the log says %s", where, o.State(), d.State())
	}
}

// onReply sees an answer reach HIS.
func (c *checker) onReply(r counter.Reply) {
	a, isAsk := c.asked[r.ID]
	delete(c.asked, r.ID)
	switch r.Code {
	case counter.CodeCreated, counter.CodeQueued:
		c.accepted[r.Order.No] = true
		if isAsk && (r.Order.Bill != a.bill || r.Order.Amount != a.amount) {
			c.fail("I9", r.Order.No, "asked %s over %d, accepted %s over %d", a.bill, a.amount, r.Order.Bill, r.Order.Amount)
		}
	}
	if r.Order == nil {
		return
	}
	switch r.Code {
	case counter.CodeCreated, counter.CodeQueued, counter.CodeReplayed, counter.CodeExists:
		if no, ok := c.keyOrder[a.key]; isAsk && ok && no != r.Order.No && !c.forgot[no] {
			c.fail("ORD-09", r.Order.No, "the key that was answered with %s is answered with another order", no)
		} else if isAsk {
			c.keyOrder[a.key] = r.Order.No
		}
	}
	if x := c.belief[r.Order.No]; x != nil || c.w.journal.at(r.Order.No) != nil {
		c.durable(r.Order, "I4", "a reply")
	}
	c.onTold(r.Order, "reply")
}

// refused: whoever is told "not accepted" may take cash. That must not be said
// while an order of the same request, or of the same bill, can still be paid.
func (c *checker) refused(a ask, r counter.Reply) {
	switch r.Code {
	case counter.CodeUnreachable, counter.CodeClock, counter.CodeDiskLow, counter.CodeTokenRefused, counter.CodeTillBusy, counter.CodeNotPayable,
		counter.CodeWrongWallet, counter.CodeUsed, counter.CodeNumberUsed:
	default:
		return
	}
	for _, no := range c.w.journal.keys["bill:"+a.bill] {
		o := c.w.journal.at(no)
		if x := c.belief[no]; x != nil {
			o = x
		}
		if o == nil || c.forgot[no] {
			continue
		}
		mine := slices.ContainsFunc(o.Keys, func(k order.IdemKey) bool { return k.Key == a.key })
		if mine || !o.State().Final() || o.State() == order.Paid && !o.FullyReversed() {
			c.fail("PAY-21", no, "the bill was refused with %s while this order is %s", r.Code, o.State())
		}
	}
}

// onTold sees HIS learn about an order.
func (c *checker) onTold(o *order.Order, where string) {
	w := c.w
	if where == "changed" {
		c.durable(o, "I6", "an event")
	}
	t := w.his.order(o, nil)
	s := o.State()
	if o.Reopened || o.EndReason == "resolved" {
		t.final = "" // what people said is final until the platform contradicts it
	}
	if t.final != "" && s != t.final {
		c.fail("I7", o.No, "told %s after %s", s, t.final)
	}
	if s.Final() && t.final == "" {
		t.final, t.finalAt = s, w.g
	}
	cash := o.SafeToTakeCash(w.cfg.Platforms[o.Platform].Policy, w.now())
	if cash.Answer == order.Yes {
		t.cash = true
		if s != order.Failed && s != order.Canceled && !(s == order.Paid && o.FullyReversed()) || o.LateFound && !o.LateDone {
			c.fail("PAY-21", o.No, "cash may be taken in state %s", s)
		}
	}
	if s == order.Paid && !c.paidTold[o.No] && o.EndReason != "resolved" {
		c.paidTold[o.No] = true
		c.paidRule(o, where)
	}
	if (s == order.Failed || s == order.Canceled) && !c.endTold[o.No] && o.EndReason != "resolved" {
		c.endTold[o.No] = true
		w.settle()
		if net := w.net(o.No); net != 0 && !c.liars[o.No] {
			c.fail("I6", o.No, "%s tells %s (%s) while the payer is out of %d", where, s, o.EndReason, net)
		}
		if p := w.plats[o.Platform]; p != nil && p.flying[o.No] > w.g && !w.plan.Tombstones {
			c.fail("I6", o.No, "%s tells %s (%s) while the charge is still on its way", where, s, o.EndReason)
		}
		if tr, ok := w.trade(o.Platform, o.No); ok && tr.State == bank.Unpaid && tr.Refusal == "" && o.EndReason != "no_scan" && !c.liars[o.No] &&
			!(o.Mode.Shown() && !w.his.scannable(o.No)) {
			c.fail("I6", o.No, "%s tells %s (%s) while the trade can still be paid", where, s, o.EndReason)
		}
	}
}

func (w *World) settle() {
	for _, name := range []string{"fwc", "sp", "nq"} {
		w.plats[name].bank.Settle(w.g)
	}
}

// paidRule: paid is told only if the money was taken and is still held.
func (c *checker) paidRule(o *order.Order, where string) {
	w := c.w
	w.settle()
	tr, ok := w.trade(o.Platform, o.No)
	switch {
	case !ok || tr.Captured != o.Amount:
		c.fail("I6", o.No, "%s tells paid, taken are %d of %d", where, tr.Captured, o.Amount)
	case tr.State == bank.Revoked, w.net(o.No) == 0 && len(c.refunds[o.No]) == 0:
		c.fail("I6", o.No, "%s tells paid after a cancel gave the money back", where)
	}
}

// onScreen sees a till's face change.
func (c *checker) onScreen(v counter.View) {
	o := v.Order
	if o == nil {
		return
	}
	c.durable(o, "I21", "a screen")
	if v.Armed && (o.State() != order.Waiting || o.Mode != platforms.ModeCharge) {
		c.fail("I21", o.No, "the scanner is armed for an order that is %s", o.State())
	}
	c.qr(v)
	if o.State() == order.Paid && o.Bill != "" {
		if b := c.w.his.bills[o.Bill]; b != nil && o.Amount != b.Amount && o.Amount != b.Amount+100 {
			c.fail("I21", o.No, "the screen shows %d instead of %d", o.Amount, b.Amount)
		}
	}
}

// qr: a QR is on the screen only while a scan can pay, and never longer than
// the schedule or the platform's own expiry.
func (c *checker) qr(v counter.View) {
	o := v.Order
	if o == nil || o.Mode != platforms.ModePresent {
		return
	}
	w := c.w
	pol := w.cfg.Platforms[o.Platform].Policy
	if o.QR == "" {
		return
	}
	left := o.QREnds(pol, w.now())
	if o.State() != order.Paying {
		if left > 0 || o.State().Final() {
			c.fail("I21", o.No, "a QR is shown in state %s", o.State())
		}
		return
	}
	if left <= 0 {
		return
	}
	life := time.Duration(pol.PresentQueries) * pol.PresentEvery
	if o.ExpiresIn > 0 {
		life = min(life, o.ExpiresIn)
	}
	if age := w.now().Age(o.QRAt); age > life+time.Second || o.QRAt.Boot != w.now().Boot {
		c.fail("I21", o.No, "a QR is shown after %s", age)
	}
	if o.CancelAsked != nil {
		c.fail("I21", o.No, "a QR is shown while its cancel is wanted")
	}
}

func (c *checker) onAlarm(a counter.Alarm) {
	m := c.alarms[a.Order]
	if m == nil {
		m = map[string]bool{}
		c.alarms[a.Order] = m
	}
	m[a.Code] = true
}

// excused tells whether an order may stay in doubt (see the package comment).
func (c *checker) excused(d *order.Order) bool {
	w := c.w
	p := w.plats[d.Platform]
	if p == nil {
		return false
	}
	keyless := d.Handle == "" && !p.traits.FindsByNumber && d.Mode == platforms.ModeCharge
	// A number that the platform cannot find at all can be neither asked nor canceled.
	// Paid that proves nothing, a cancel that may have worked, and a flat no to
	// another one: only a person can find out.
	stuck := p.saidNo[d.No] && p.traits.PaidIsSticky && d.CancelLost
	// Nobody can be asked, and what another box said of it is no proof.
	told := p.traits.NoQuery && c.paidThen[d.No]
	return p.unresolved(d.No) || keyless || stuck || told
}

// atEnd checks what must hold when everything has come to rest.
func (c *checker) atEnd() {
	w := c.w
	j := w.journal
	if j.leaked != "" {
		c.fail("I11", j.leaked, "a payment code is in the log")
	}
	if j.broken != "" {
		c.fail("I4", "", "the log cannot be read back: %s", j.broken)
	}
	for _, no := range sorted(c.accepted) {
		if j.at(no) == nil && !c.forgot[no] {
			c.fail("I4", no, "accepted, and not in the log")
		}
	}
	for _, no := range c.owedThen {
		if net := w.net(no); net != 0 && j.at(no) == nil {
			c.fail("I10", no, "the payer is out of %d, and the new box knows nothing of it", net)
		}
	}
	kept := 0
	for _, no := range j.order {
		d := j.at(no)
		if d == nil || d.No == "" {
			continue
		}
		w.Cover.Orders++
		// What people resolved is watched for a day.
		if watched := d.EndReason == "resolved" && w.now().Age(d.EndedAt) < 25*time.Hour; !c.endOrder(d) || watched {
			kept++
		}
	}
	c.bills()
	c.words()
	if w.proc == nil {
		c.fail("I5", "", "the agent is not running at the end")
		return
	}
	c.drained(kept)
}

func (c *checker) drained(kept int) {
	n := sizes(c.w.proc.c)
	if n["orders"] > kept || n["bills"] > kept || n["keys"] > 60*kept || n["codes"] > kept || n["pending"] > 0 || n["wakes"] > 4*kept+4 {
		c.fail("I22", "", "memory does not drain: %v with %d orders that may stay", n, kept)
	}
}

// endOrder checks one order of the log; false if it may stay open.
func (c *checker) endOrder(d *order.Order) bool {
	w := c.w
	net := w.net(d.No)
	s := d.State()
	if !s.Final() {
		if s == order.InDoubt && c.excused(d) {
			if len(c.alarms[d.No]) == 0 {
				c.fail("I5", d.No, "in doubt at the end, and nobody was told")
			}
			return false
		}
		c.fail("I5", d.No, "still %s at the end (%s)", s, d.Doubt)
		return false
	}
	if at, ok := c.finalAt[d.No]; ok && at > max(w.plan.Heal, w.lastStart(), c.bornAt[d.No])+resolveIn && !c.excused(d) && !c.forgot[d.No] {
		c.fail("I5", d.No, "%s only %s after everything was well again", s, at-w.plan.Heal)
	}
	if d.EndReason == "resolved" && s != order.Paid && net > 0 && (w.plats[d.Platform].by || d.Handle != "") && !c.forgot[d.No] {
		c.fail("ORD-19", d.No, "people said %s, the payer is out of %d, and nobody looked", s, net)
	}
	if d.EndReason == "resolved" && c.excused(d) {
		return true // nobody but people can know
	}
	if s == order.Paid {
		return c.endPaid(d, net)
	}
	if net == 0 {
		return true
	}
	late := d.LateFound && w.plats[d.Platform].unresolved(d.No) && len(c.alarms[d.No]) > 0
	if late || c.forgot[d.No] && w.plats[d.Platform].unresolved(d.No) {
		return false // late money of an order whose cancel the platform refuses for good
	}
	c.fail("I10", d.No, "%s, and the payer is out of %d for good", s, net)
	if t := w.his.orders[d.No]; t != nil && t.cash {
		c.fail("PAY-21", d.No, "cash was allowed, and the money is still with the bank")
	}
	c.fail("I1", d.No, "%s, and net is %d", s, net)
	return true
}

// endPaid checks a paid order; false if a refund may stay open: its sum cannot
// be known after the log with the earlier refunds was lost.
func (c *checker) endPaid(d *order.Order, net platforms.Fen) bool {
	w := c.w
	tr, _ := w.trade(d.Platform, d.No)
	if tr.Captured != d.Amount {
		c.fail("I1", d.No, "paid, taken are %d of %d", tr.Captured, d.Amount)
	}
	back := tr.Captured - net
	open := false
	for _, r := range d.Refunds {
		open = open || !r.State.Final()
	}
	known := d.RefundedSum()
	if d.Elsewhere != nil {
		known += *d.Elsewhere // by the box before this one
	}
	if back != known && !c.forgot[d.No] && !open {
		c.fail("I8", d.No, "given back are %d, the log says %d", back, known)
		c.fail("I1", d.No, "net is %d instead of %d", net, d.Amount-known)
	}
	if r := d.Reversal(); open && r != nil && r.State == order.RefundInDoubt && c.excused(d) {
		if m := c.alarms[d.No]; !m[counter.AlarmRefundDoubt] && !m["reversal_refused"] {
			c.fail("ORD-11", d.No, "the money cannot go back, and nobody was told")
		}
		return false
	}
	if open && !c.forgot[d.No] {
		c.fail("I5", d.No, "a refund is still open at the end")
	}
	return !open
}

// bills: of all attempts of a bill at most one keeps money.
func (c *checker) bills() {
	w := c.w
	sums := map[string]int{}
	for _, no := range w.journal.order {
		d := w.journal.at(no)
		if d.Bill != "" && !c.forgot[d.Bill] && w.net(no) > 0 && !(d.State() == order.InDoubt && c.excused(d)) &&
			!(d.LateFound && w.plats[d.Platform].unresolved(no)) {
			sums[d.Bill]++
		}
	}
	for _, b := range sorted(sums) {
		if sums[b] > 1 {
			c.fail("I2", b, "the bill was paid %d times", sums[b])
		}
	}
}

func sorted[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// lastStart is the true time at which the agent was started last, or will be.
func (w *World) lastStart() time.Duration { return w.started }
