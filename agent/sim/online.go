package sim

import (
	"slices"
	"strconv"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// Orders that are paid on a page, with and without medical insurance, on a
// platform that has no query (nq) and on one that has (fwc), and the messages
// that platforms and payers' browsers send by themselves.

// onlineTill is the till of such orders.
const onlineTill = "o1"

// privateCanary is in everything that names a payer by insurance, and may be in
// no fact.
const privateCanary = cardCanary + "1"

// Mail says what becomes of the messages that a platform sends of itself.
type Mail struct {
	Delay time.Duration // on their way; 0 for a second
	Times int           // each is sent so often; 0 for once
	Lost  bool          // none arrives
}

// Letter is a message that a flow wants exactly.
type Letter struct {
	At       time.Duration
	Platform string // empty is nq
	No       string // "*": each that there is
	Status   platforms.Status
	More     platforms.Fen // than the order's amount
	Bare     bool          // without an amount
	Browser  bool          // by the payer's browser
	Left     bool          // sub_code 5001
	Times    int           // 0 for once
	Every    time.Duration // pause between them
}

// paged tells whether a bill is paid on a page.
func (b *Bill) paged() bool { return b.Page != "" }

// hasPages tells whether a plan has such bills.
func (p Plan) hasPages() bool {
	return slices.ContainsFunc(p.Bills, func(b Bill) bool { return b.paged() })
}

// page makes a request of a bill one of its mode.
func (h *his) page(b *Bill, e *counter.Create) {
	e.Spec.Mode, e.Spec.TillKind, e.Spec.ExpiresIn, e.Spec.Expires = b.Page, "online", 15*time.Minute, "15m"
	if b.Page != platforms.ModeInsurance {
		return
	}
	e.Private.Insurance = platforms.Insurance{UserID: platforms.Hide(privateCanary), PatientIDNo: platforms.Hide(privateCanary)}
	e.Private.Pass = order.Pass{State: stateOf(e.No, 0), Address: platforms.Hide(privateCanary)}
}

// stateOf is the state of an attempt to authorise.
func stateOf(no string, attempt int) platforms.Hidden {
	return platforms.Hide("state-" + no + "-" + strconv.Itoa(attempt))
}

// browse is what the payer and HIS do about an order that is paid on a page,
// as soon as they learn that they can.
func (h *his) browse(o *order.Order) {
	w, b := h.w, h.billOf(o.No)
	if b == nil || !b.paged() {
		return
	}
	if o.QR != "" && o.State() == order.Paying && !w.opened[o.No] {
		w.opened[o.No] = true
		if !b.NoScan {
			w.after(b.React, func() { w.payOnPage(o.Platform, o.No, b) })
		}
	}
	if o.Insured == nil || o.State() != order.Waiting || b.NoScan {
		return
	}
	key := o.No + "/" + string(o.Insured.Stop) + "/" + strconv.Itoa(o.Insured.Failed)
	if w.opened[key] {
		return
	}
	w.opened[key] = true
	switch o.Insured.Stop {
	case order.StopAuthorise:
		state := o.Private.Pass.State
		if b.Forge {
			w.after(b.React/2, func() {
				for _, wrong := range []platforms.Hidden{{}, platforms.Hide("guessed"), stateOf(o.No, o.Insured.Failed-1), stateOf("N9999", o.Insured.Failed)} {
					h.authorised(o.No, wrong)
				}
			})
		}
		w.after(b.React, func() { h.authorised(o.No, state); h.authorised(o.No, state) })
	case order.StopSettle:
		w.after(b.React, func() { h.settle(o.No, o.Amount, 0) })
	}
}

func (h *his) authorised(no string, state platforms.Hidden) {
	if p := h.w.proc; p != nil {
		p.step(counter.Authorise{Reply: h.id(nil), Order: no, State: state, AuthCode: platforms.Hide(privateCanary)})
	}
}

// settle submits the settlement; without an answer it is repeated.
func (h *his) settle(no string, amount platforms.Fen, tries int) {
	w := h.w
	heard := false
	again := func() {
		if !heard && tries < 6 {
			h.settle(no, amount, tries+1)
		}
	}
	w.after(10*time.Second, again)
	if w.proc != nil {
		w.proc.step(counter.Settle{Reply: h.id(func(counter.Reply) { heard = true }), Order: no, Body: "body",
			Insurance: platforms.Insurance{Insured: amount / 2, Cash: amount - amount/2, SerialNo: "S1", RequestContent: platforms.Hide(privateCanary)}})
	}
}

// payOnPage is the payer who opened the page.
func (w *World) payOnPage(name, no string, b *Bill) {
	books := w.plats[name].bank
	w.note("page", no)
	books.Scan(w.g, no, bank.Payer{PayAfter: b.PayAfter, NoMoney: b.NoMoney, Channel: b.Wallet})
	if b.PayAfter > 0 {
		w.after(b.PayAfter+time.Millisecond, func() { books.Settle(w.g) })
	}
}

// entry turns an entry of the books into a message.
func (p *platform) entry(e bank.Entry) {
	s := platforms.Closed
	switch {
	case e.Kind == "paid":
		s = platforms.Paid
	case e.Kind == "closed", e.Kind == "revoked", e.Kind == "refunded" && e.Trade.State == bank.Refunded:
	default:
		return
	}
	w, m := p.w, p.w.plan.Mail
	if m.Lost {
		return
	}
	n := platforms.Notice{Evidence: p.traits.NoQuery, Answer: platforms.Answer{Status: s, OrderNo: e.Trade.OrderNo, TradeNo: e.Trade.TradeNo,
		Amount: e.Trade.Amount, HasAmount: true, Channel: e.Trade.Channel}}
	delay := m.Delay
	if delay == 0 {
		delay = time.Second
	}
	for i := range max(m.Times, 1) {
		w.at(max(w.g, e.At)+delay+time.Duration(i)*400*time.Millisecond, func() { w.deliver(p.name, n, 0) })
	}
}

// deliver hands a message over until the agent says that it has it.
func (w *World) deliver(platform string, n platforms.Notice, tries int) {
	heard := false
	w.after(15*time.Second, func() {
		if !heard && tries < 20 {
			w.deliver(platform, n, tries+1)
		}
	})
	if w.proc == nil {
		return
	}
	w.note("message", n.Answer.OrderNo, n.Answer.Status.String())
	w.proc.step(counter.Notified{Platform: platform, Notice: n,
		Reply: w.his.id(func(r counter.Reply) { heard = r.Code != counter.CodeStopped && r.Code != counter.CodeUnreachable })})
}

// letters puts the messages of a flow onto the heap.
func (w *World) letters() {
	for _, l := range w.plan.Letters {
		if l.Platform == "" {
			l.Platform = "nq"
		}
		for i := range max(l.Times, 1) {
			w.at(l.At+time.Duration(i)*l.Every, func() {
				list := []string{l.No}
				if l.No == "*" {
					list = slices.Clone(w.journal.order)
				}
				for _, no := range list {
					w.letter(l, no)
				}
			})
		}
	}
}

func (w *World) letter(l Letter, no string) {
	n := platforms.Notice{ByBrowser: l.Browser, Canceled: l.Left, Evidence: !l.Browser && w.plats[l.Platform].traits.NoQuery,
		Answer: platforms.Answer{Status: l.Status, OrderNo: no}}
	if o := w.journal.at(no); o != nil && !l.Bare {
		n.Answer.Amount, n.Answer.HasAmount = o.Amount+l.More, true
	}
	// A platform whose word is the evidence may repeat itself and mix up what is
	// told; it does not say of our amount what never was.
	if tr, _ := w.trade(l.Platform, no); n.Evidence && l.More == 0 && !l.Bare &&
		(l.Status == platforms.Paid && tr.Captured == 0 || l.Status == platforms.Closed && (tr.State == bank.Unpaid || tr.State == bank.Paid)) {
		return
	}
	tries := 0
	if l.Browser {
		tries = 99 // nobody repeats it
	}
	w.deliver(l.Platform, n, tries)
}

// token answers what an authorisation is worth; a failed one is followed by the
// next attempt.
func (p *platform) token(c counter.Call) platforms.InsuranceToken {
	return platforms.InsuranceToken{PayAuthNo: platforms.Hide(privateCanary), CardInfo: platforms.Hide(privateCanary)}
}

// online holds a step to what messages and states may do.
func (c *checker) online(ev counter.Event, out []counter.Effect) {
	if n, ok := ev.(counter.Notified); ok {
		c.woken[n.Notice.Answer.OrderNo] = c.w.g
	}
	for _, e := range out {
		call, ok := e.(counter.Call)
		if !ok {
			continue
		}
		switch call.Verb {
		case order.VerbQuery:
			c.askRule(ev, call)
		case order.VerbToken:
			c.stateRule(ev, call)
		}
	}
	n, ok := ev.(counter.Notified)
	if !ok {
		return
	}
	evidence := n.Notice.Evidence && !n.Notice.ByBrowser && c.w.plats[n.Platform].traits.NoQuery
	for _, e := range out {
		w, ok := e.(counter.Write)
		if !ok || w.Fact == nil || evidence || w.Order != n.Notice.Answer.OrderNo || c.w.overdue(ev) {
			continue
		}
		switch w.Fact.Kind {
		case order.KindAnswered, order.KindEnded, order.KindLate, order.KindDoubt:
			c.fail("PAY-15", w.Order, "a message that is no evidence made a fact: %s", w.Fact.Kind)
		}
	}
}

// overdue tells that time alone made a step do something besides.
func (w *World) overdue(counter.Event) bool { return w.proc != nil && w.proc.late }

// askRule: a platform without a query is never asked, and messages bring about
// one query per second at most.
func (c *checker) askRule(ev counter.Event, call counter.Call) {
	if c.w.plats[call.Platform].traits.NoQuery {
		c.fail("PAY-15", call.Order, "asked a platform that has no query")
	}
	last, asked := c.askedAt[call.Order]
	c.askedAt[call.Order] = c.w.g
	if o := c.belief[call.Order]; o != nil && o.State() == order.Paid {
		return // no message wakes it: it is asked because money goes back
	}
	switch ev.(type) {
	case counter.Notified, counter.Found:
		// What is found in the log may be there for a person's word as well.
		if woken, ok := c.woken[call.Order]; ok && woken >= last && asked && c.w.g-last < time.Second {
			c.fail("PAY-15", call.Order, "a message made a query leave %s after the last", c.w.g-last)
		}
	}
}

// stateRule: a token is asked for only with the state of this attempt, once.
func (c *checker) stateRule(ev counter.Event, call counter.Call) {
	a, ok := ev.(counter.Authorise)
	o := c.w.journal.at(call.Order)
	switch {
	case !ok || o == nil || o.Insured == nil:
		c.fail("PAY-17", call.Order, "a token is asked for without an authorisation")
	case a.State.Reveal() != stateOf(call.Order, o.Insured.Failed).Reveal():
		c.fail("PAY-17", call.Order, "an authorisation with another state was taken")
	case c.states[a.State.Reveal()]:
		c.fail("PAY-17", call.Order, "a state served twice")
	}
	c.states[a.State.Reveal()] = true
}

// onlineFlows are the stories of pages and messages.
func onlineFlows() []Flow {
	page := Bill{Till: onlineTill, Platform: "nq", Page: platforms.ModeH5, React: 5 * time.Second}
	asked := page
	asked.Platform = "fwc"
	insured := page
	insured.Page = platforms.ModeInsurance
	with := func(b Bill, change func(*Bill)) Bill { change(&b); return b }
	never := func(b Bill) Bill { b.PayAfter = -1; return b }
	after := func(b Bill, d time.Duration) Bill { b.PayAfter = d; return b }
	mail := func(m Mail) func(*Plan) { return func(p *Plan) { p.Mail = m } }
	send := func(list ...Letter) func(*Plan) { return func(p *Plan) { p.Letters = list } }
	at := func(d time.Duration) time.Duration { return t0 + d }
	const horizon = 15 * time.Minute
	return []Flow{
		{"page, no query, paid by message", func() Plan { return story(after(page, 20*time.Second)) }},
		{"page, no query, messages repeated and behind time", func() Plan {
			return story(after(page, 20*time.Second)).with(mail(Mail{Times: 5, Delay: 40 * time.Second}))
		}},
		{"page, no query, never paid", func() Plan { return story(never(page)) }},
		{"page, no query, message lost, canceled with the money", func() Plan { return story(after(page, 20*time.Second)).with(mail(Mail{Lost: true})) }},
		{"page, no query, message behind the cancel", func() Plan {
			return story(after(page, 20*time.Second)).with(mail(Mail{Delay: horizon + time.Minute}))
		}},
		{"page, no query, cancel lost, then told", func() Plan {
			return story(after(page, horizon-4*time.Second)).with(mail(Mail{Delay: 9 * time.Second})).
				with(script(map[string]Fault{"N0001/cancel/0": LostBefore, "N0001/cancel/1": LostAfter}))
		}},
		{"page, no query, a cancel lost, the next one does nothing, told", func() Plan {
			return story(with(after(page, 20*time.Second), func(b *Bill) { b.Cancel = 40 * time.Second })).with(mail(Mail{Delay: 40 * time.Second})).
				with(script(map[string]Fault{"N0001/cancel/0": LostAfter, "N0001/cancel/1": SystemError, "N0001/cancel/2": SystemError,
					"N0001/cancel/3": SystemError, "N0001/cancel/4": SystemError, "N0001/cancel/5": SystemError, "N0001/cancel/6": SystemError}))
		}},
		{"page, no query, told before a cancel that does nothing", func() Plan {
			return story(with(after(page, 20*time.Second), func(b *Bill) { b.Cancel = 40 * time.Second })).with(mail(Mail{Delay: 15200 * time.Millisecond})).
				with(script(map[string]Fault{"N0001/cancel/0": Unresolved}))
		}},
		{"page, no query, other amounts, other words, the browser", func() Plan {
			return story(never(page)).with(send(
				Letter{At: at(20 * time.Second), No: "N0001", Status: platforms.Paid, Browser: true, Times: 3, Every: time.Second},
				Letter{At: at(25 * time.Second), No: "N0001", Status: platforms.Closed, Browser: true, Left: true, Times: 3},
				Letter{At: at(30 * time.Second), No: "N0001", Status: platforms.Paid, Bare: true},
				Letter{At: at(31 * time.Second), No: "N0001", Status: platforms.Pending},
				Letter{At: at(32 * time.Second), No: "NOBODYS", Status: platforms.Paid},
				Letter{At: at(33 * time.Second), Platform: "fwc", No: "N0001", Status: platforms.Paid}))
		}},
		{"page, no query, another amount is told, then the right one", func() Plan {
			return story(after(page, 60*time.Second)).with(send(
				Letter{At: at(20 * time.Second), No: "N0001", Status: platforms.Paid, More: 1},
				Letter{At: at(22 * time.Second), No: "N0001", Status: platforms.Closed, More: -1}))
		}},
		{"page, no query, paid, then the box is replaced", func() Plan {
			return story(with(after(page, 20*time.Second), func(b *Bill) { b.Word = wordNone })).with(swap(45 * time.Second))
		}},
		{"page, no query, its address lost", func() Plan {
			return story(page).with(script(map[string]Fault{"N0001/present/0": LostAfter}))
		}},
		{"page, no query, the request lost", func() Plan {
			return story(page).with(script(map[string]Fault{"N0001/present/0": LostBefore}))
		}},
		{"page, no query, given back, told out of order", func() Plan {
			return story(with(after(page, 10*time.Second), func(b *Bill) { b.Returns = []Return{{After: 30 * time.Second}} })).with(send(
				Letter{At: at(3 * time.Minute), No: "N0001", Status: platforms.Closed}, Letter{At: at(4 * time.Minute), No: "N0001", Status: platforms.Paid}))
		}},
		{"page, asked, a flood of messages that say paid", func() Plan {
			return story(after(asked, 3*time.Minute)).with(send(
				Letter{Platform: "fwc", At: at(20 * time.Second), No: "N0001", Status: platforms.Paid, Times: 60, Every: 150 * time.Millisecond},
				Letter{Platform: "fwc", At: at(60 * time.Second), No: "N0001", Status: platforms.Closed, Times: 3},
				Letter{Platform: "fwc", At: at(20 * time.Hour), No: "N0001", Status: platforms.Closed, Times: 30, Every: 100 * time.Millisecond}))
		}},
		{"page, asked, never paid, messages after the end", func() Plan {
			return story(never(asked)).with(send(
				Letter{Platform: "fwc", At: at(16 * time.Minute), No: "N0001", Status: platforms.Paid, Times: 30, Every: 200 * time.Millisecond},
				Letter{Platform: "fwc", At: at(25 * time.Hour), No: "N0001", Status: platforms.Paid, Times: 30, Every: 100 * time.Millisecond}))
		}},
		{"money behind the watch, told by a message", func() Plan {
			return story(Bill{Platform: "sp", Wallet: platforms.WeChat}).with(func(p *Plan) { p.LieAfter = 25 * time.Hour }).with(send(
				Letter{Platform: "sp", At: at(25*time.Hour + 10*time.Minute), No: "*", Status: platforms.Paid}))
		}},
		{"money behind the watch, told as the process dies", func() Plan {
			return story(Bill{Platform: "sp", Wallet: platforms.WeChat}).with(func(p *Plan) {
				p.LieAfter, p.Kills = 25*time.Hour, []Kill{{At: at(25*time.Hour + 10*time.Minute + 9*time.Millisecond), Down: 2 * time.Second}}
			}).with(send(Letter{Platform: "sp", At: at(25*time.Hour + 10*time.Minute), No: "*", Status: platforms.Paid}))
		}},
		{"page, log lost, then told", func() Plan {
			return story(after(page, 20*time.Second)).with(func(p *Plan) { p.Losses = []time.Duration{at(15 * time.Second)} })
		}},
		{"insurance, forged states, then paid", func() Plan {
			return story(with(after(insured, 10*time.Second), func(b *Bill) { b.Forge = true }))
		}},
		{"insurance, the token is lost once", func() Plan {
			return story(with(insured, func(b *Bill) { b.Forge = true })).with(script(map[string]Fault{"N0001/token/0": LostAfter}))
		}},
		{"insurance, nobody authorises", func() Plan { return story(with(insured, func(b *Bill) { b.NoScan = true })) }},
		{"insurance, canceled at the settlement", func() Plan {
			return story(with(insured, func(b *Bill) { b.Cancel = 9 * time.Second }))
		}},
		{"insurance, the request to pay without an answer", func() Plan {
			return story(insured).with(script(map[string]Fault{"N0001/present/0": LostAfter}))
		}},
	}
}
