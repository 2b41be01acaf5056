package sim

import (
	"strconv"
	"strings"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// his is the hospital's system with its cashiers: it asks, repeats itself,
// changes its mind, and remembers every word it was told.
type his struct {
	w       *World
	nextID  uint64
	waiting map[uint64]func(counter.Reply)
	minted  int
	bills   map[string]*Bill // by bill number
	orders  map[string]*told // by order number
	keys    int
	asked   map[string]platforms.Fen // refund request → sum

	said      map[string]*said // by order: its word
	resolving map[string]int   // by order: how often people tried
	looked    map[string]bool  // refunds that somebody looks at
}

// told is what HIS knows of one order.
type told struct {
	no       string
	bill     *Bill
	amount   platforms.Fen
	verdicts []order.State
	final    order.State
	finalAt  time.Duration
	cash     bool // was told that cash may be taken
	accepted bool
	acted    bool
	paidDone bool
	retried  bool
}

func newHIS(w *World) *his {
	return &his{w: w, waiting: map[uint64]func(counter.Reply){}, bills: map[string]*Bill{}, orders: map[string]*told{},
		asked: map[string]platforms.Fen{}, said: map[string]*said{}, resolving: map[string]int{}, looked: map[string]bool{}}
}

func (h *his) id(f func(counter.Reply)) uint64 {
	h.nextID++
	if f != nil {
		h.waiting[h.nextID] = f
	}
	return h.nextID
}

func (h *his) reply(r counter.Reply) {
	f := h.waiting[r.ID]
	delete(h.waiting, r.ID)
	if f != nil {
		f(r)
	}
}

func (h *his) key() string { h.keys++; return "key" + strconv.Itoa(h.keys) }

func (h *his) begin(b *Bill) {
	h.bills[b.No] = b
	k := h.key()
	h.post(b, b.Till, b.Amount, k, 0)
	if b.Double > 0 {
		k2 := k
		if b.NewKey {
			k2 = h.key()
		}
		h.w.after(b.Double, func() { h.w.hit(DoubleClick, ""); h.post(b, b.Till, b.Amount, k2, 0) })
	}
	if b.Second != "" {
		k2 := h.key()
		h.w.after(h.w.jitter("second", b.No), func() { h.w.hit(TwoTills, ""); h.post(b, b.Second, b.Amount, k2, 9) })
	}
	if b.Other > 0 {
		k2 := h.key()
		h.w.after(b.Other, func() { h.w.hit(OtherAmount, ""); h.post(b, b.Till, b.Amount+100, k2, 9) })
	}
	if b.Replay > 0 {
		h.w.after(b.Replay, func() { h.w.hit(SameKey, ""); h.post(b, b.Till, b.Amount, k, 9) })
	}
}

func (w *World) jitter(what, id string) time.Duration {
	return span(w.rng("jitter", what, id), 0, 20*time.Millisecond)
}

// post asks for a bill to be paid; tries counts what was tried before.
func (h *his) post(b *Bill, till string, amount platforms.Fen, key string, tries int) {
	w := h.w
	again := func(d time.Duration, key string) {
		if tries < 6 && w.g < w.plan.Heal {
			w.after(d, func() { h.post(b, till, amount, key, tries+1) })
		}
	}
	if w.proc == nil {
		again(3*time.Second, key)
		return
	}
	h.minted++
	no := "N" + strconv.Itoa(10000 + h.minted)[1:]
	own := b.OwnNo != "" && tries == 0 && w.lostTimes == 0
	if own {
		no = b.OwnNo
	}
	spec := order.Created{Bill: b.No, Amount: amount, Mode: platforms.ModeCharge, Till: till, TillKind: "counter", Terminal: "T-" + till,
		Platform: b.Platform, Merchant: platforms.Merchant{Profile: "m-" + b.Platform, Code: "M-" + b.Platform}, Channel: b.Channel,
		OrderType: "TREATMENT", Operator: platforms.Operator{ID: "op1"}, ValidFor: 10 * time.Minute, ScanWait: 2 * time.Minute,
		OwnNumber: own, Books: w.bookTerms(till), Key: order.IdemKey{Key: key, Body: b.No + "/" + strconv.FormatInt(int64(amount), 10) + "/" + till}}
	if b.Present && till == "k1" {
		spec.Mode, spec.TillKind, spec.Aggregated, spec.Channel, spec.ExpiresIn = platforms.ModePresent, "kiosk", true, "", 20*time.Minute
	}
	e := counter.Create{No: no, Spec: spec, WhenQueued: b.Queue}
	if b.paged() {
		h.page(b, &e)
		spec.Mode = e.Spec.Mode
	}
	if b.Handed && till == b.Till && spec.Mode == platforms.ModeCharge {
		text := payCode(b.Wallet, 40_000+h.minted)
		e.Handed = &counter.Code{Text: platforms.Hide(text), Hash: hashOf(text)}
		w.check.codeShown(text, till)
	}
	heard := false
	e.Reply = h.id(func(r counter.Reply) { heard = true; h.created(b, till, amount, r, again, e) })
	w.check.asked[e.Reply] = ask{bill: b.No, key: key, amount: amount, diskLow: w.diskLow}
	w.after(10*time.Second, func() {
		if !heard {
			again(time.Second, key) // no answer: the same request again
		}
	})
	w.proc.step(e)
}

func (h *his) created(b *Bill, till string, amount platforms.Fen, r counter.Reply, again func(time.Duration, string), e counter.Create) {
	w := h.w
	switch r.Code {
	case counter.CodeCreated, counter.CodeQueued, counter.CodeExists, counter.CodeReplayed:
		t := h.order(r.Order, b)
		t.accepted = true
		if r.Code == counter.CodeQueued {
			w.hit(Queueing, r.Order.No)
		}
		if r.Code != counter.CodeReplayed && !t.acted {
			t.acted = true
			h.fidget(b, r.Order.No)
		}
	case counter.CodeTillBusy:
		again(15*time.Second+w.jitter("busy", e.No)*500, h.key())
	case counter.CodeUnreachable, counter.CodeTokenRefused, counter.CodeDiskLow, counter.CodeStopped, counter.CodeNumberUsed, counter.CodeNotPayable:
		again(20*time.Second+w.jitter("away", e.No)*500, h.key())
	}
}

func (h *his) order(o *order.Order, b *Bill) *told {
	t := h.orders[o.No]
	if t == nil {
		if b == nil {
			b = h.bills[o.Bill]
		}
		t = &told{no: o.No, bill: b, amount: o.Amount}
		h.orders[o.No] = t
	}
	return t
}

// fidget is what people do while an order is open.
func (h *his) fidget(b *Bill, no string) {
	for _, a := range []struct {
		what order.Action
		in   time.Duration
	}{{order.ActCancel, b.Cancel}, {order.ActCheck, b.Check}, {order.ActDetach, b.Detach}} {
		if a.in > 0 {
			h.w.after(a.in, func() { h.act(no, a.what) })
		}
	}
}

func (h *his) act(no string, a order.Action) {
	w := h.w
	if w.proc == nil {
		return
	}
	w.hit(map[order.Action]Fault{order.ActCancel: CancelMid, order.ActCheck: CheckMid, order.ActDetach: DetachMid, order.ActConfirm: Queueing}[a], no)
	w.proc.step(counter.Act{Reply: h.id(nil), Order: no, Action: a, Operator: platforms.Operator{ID: "op2"}, Reason: "asked"})
}

// changed is the event stream.
func (h *his) changed(o *order.Order) {
	w := h.w
	t := h.order(o, nil)
	s := o.State()
	if n := len(t.verdicts); n == 0 || t.verdicts[n-1] != s {
		t.verdicts = append(t.verdicts, s)
		w.Cover.Final[s]++
	}
	b := t.bill
	h.browse(o)
	for _, r := range o.Refunds {
		if r.State == order.RefundAwaiting && !h.looked[r.Request] {
			h.looked[r.Request] = true
			w.after(20*time.Second, func() { h.approve(o.No, r.Request, r.Operator.ID, 0) })
		}
	}
	if s == order.Paid && b != nil {
		h.paidNow(o, b)
	}
	if s == order.InDoubt && o.Reopened && !h.looked[o.No] && len(w.plan.Meetings) > 0 {
		h.looked[o.No] = true
		w.after(5*time.Minute, func() { h.looked[o.No] = false; h.resolve(o.No) })
	}
	switch {
	case s == order.Paid && o.FullyReversed() && o.Reversal() != nil && b != nil && b.Again > 0 && !t.retried && w.g < w.plan.Heal:
		t.retried, b.Word = true, wordBooked // and then it works
		b.Again--
		w.after(5*time.Second, func() { w.hit(Again, o.No); h.post(b, b.Till, b.Amount, h.key(), 0) })
	case s == order.Queued:
		h.confirmLater(no(o))
	case s == order.Paid && !t.paidDone && b != nil:
		t.paidDone = true
		for i, ret := range b.Returns {
			w.after(ret.After, func() { h.refund(o.No, ret, i) })
		}
	case (s == order.Failed || s == order.Canceled) && b != nil && b.Again > 0 && !t.retried && w.g < w.plan.Heal:
		t.retried = true
		b.Again--
		w.after(5*time.Second, func() { w.hit(Again, o.No); h.post(b, b.Till, b.Amount, h.key(), 0) })
	}
}

func no(o *order.Order) string { return o.No }

// confirmLater is the cashier who takes up what was accepted offline.
func (h *his) confirmLater(no string) {
	w := h.w
	w.after(8*time.Second, func() {
		o := w.check.belief[no]
		if o == nil || o.State() != order.Queued {
			return
		}
		if inside(w.plats[o.Platform].cuts, w.g) == nil && w.proc != nil {
			h.act(no, order.ActConfirm)
		}
		h.confirmLater(no)
	})
}

func (h *his) refund(no string, ret Return, i int) {
	w := h.w
	t := h.orders[no]
	if w.proc == nil || t == nil || t.bill == nil {
		w.after(5*time.Second, func() { h.refund(no, ret, i) })
		return
	}
	sum := ret.Sum
	if sum == 0 {
		sum = t.bill.Amount
	}
	req := "R" + no + strconv.Itoa(i)
	if _, ok := h.asked[req]; !ok {
		h.asked[req] = sum
	}
	w.hit(Refunds, no)
	key := "rk" + req
	e := counter.AskRefund{Order: no, Refund: order.Refund{Request: req, Sum: sum, Operator: platforms.Operator{ID: "op1"},
		Key: order.IdemKey{Key: key, Body: "b" + strconv.FormatInt(int64(sum), 10)}}}
	heard := false
	e.Reply = h.id(func(counter.Reply) { heard = true })
	w.after(10*time.Second, func() {
		if !heard {
			h.refund(no, ret, i)
		}
	})
	w.proc.step(e)
	if ret.Twice && w.proc != nil {
		w.hit(RefundTwice, no)
		e.Reply = h.id(nil)
		w.proc.step(e)
	}
}

// payer says how the person behind an order's code behaves.
func (h *his) payer(no string) bank.Payer {
	b := h.billOf(no)
	if b == nil {
		return bank.Payer{}
	}
	return bank.Payer{PayAfter: b.PayAfter, NoMoney: b.NoMoney, BadCode: b.BadCode, Channel: b.Wallet}
}

func (h *his) billOf(no string) *Bill {
	if t := h.orders[no]; t != nil && t.bill != nil {
		return t.bill
	}
	if o := h.w.journal.at(no); o != nil {
		return h.bills[o.Bill]
	}
	return nil
}

// scannable tells whether anybody ever saw the QR of an order.
func (h *his) scannable(no string) bool {
	for _, t := range h.w.tills {
		if t.seen[no] {
			return true
		}
	}
	return h.w.opened[no]
}

// hashOf stands for the keyed hash of a code.
func hashOf(text string) string {
	return "h" + strings.Map(func(r rune) rune { return 'a' + (r-'0'+7)%26 }, text)
}

// window is a till: its screen, its scanner and the patient before it.
type window struct {
	w     *World
	name  string
	view  counter.View
	since time.Duration
	on    bool
	shown map[string]int  // codes shown per order
	seen  map[string]bool // QRs that were on this screen
	gen   int
	last  string // last good code, to be shown again to another order
}

func (t *window) blank() { t.on = false; t.gen++ }

// show is a new screen. An armed scanner makes the patient present a code; a QR
// makes a phone scan it.
func (t *window) show(v counter.View) {
	w := t.w
	t.view, t.since, t.on = v, w.g, true
	t.gen++
	gen := t.gen
	o := v.Order
	if o == nil {
		return
	}
	if t.payable(o) {
		t.seen[o.No] = true
	}
	b := w.his.billOf(o.No)
	if b == nil || b.NoScan {
		return
	}
	switch {
	case v.Armed && t.shown[o.No] < 8:
		w.after(b.React, func() {
			if t.gen == gen && t.on {
				t.present(o.No, b)
			}
		})
	case o.Mode == platforms.ModePresent && t.shown[o.No] == 0 && t.payable(o):
		t.shown[o.No] = 1
		w.after(b.React, func() { t.phone(o.No, b) })
	}
}

// payable tells whether a phone could read a QR off the screen now.
func (t *window) payable(o *order.Order) bool {
	return o != nil && o.QR != "" && o.QREnds(t.w.cfg.Platforms[o.Platform].Policy, t.w.now()) > 0
}

// phone reads the QR, if it is still to be seen.
func (t *window) phone(no string, b *Bill) {
	w := t.w
	o := t.view.Order
	if o == nil || o.No != no || !t.payable(o) {
		return
	}
	p := bank.Payer{PayAfter: b.PayAfter, NoMoney: b.NoMoney, Channel: b.Wallet}
	w.note("phone", no)
	w.plats[o.Platform].bank.Scan(w.g, no, p)
}

// present shows the patient's code, after the mishaps of the plan.
func (t *window) present(no string, b *Bill) {
	w := t.w
	n := t.shown[no]
	t.shown[no]++
	id := 100*len(w.check.codes) + n
	good := payCode(b.Wallet, id)
	text := good
	if n < len(b.Mishap) {
		f := b.Mishap[n]
		w.hit(f, no)
		switch f {
		case WrongWallet:
			other := platforms.Alipay
			if b.Wallet == platforms.Alipay {
				other = platforms.WeChat
			}
			text = payCode(other, id)
		case DoubleRead:
			w.after(200*time.Millisecond, func() { t.scan(good, pad) })
			w.after(2*time.Second, func() { t.scan(good, gun) })
		case TwoCodes:
			second := payCode(b.Wallet, id+7)
			w.after(100*time.Millisecond, func() { t.scan(second, []string{pad, gun}[id%2]) })
		case OldCode:
			for _, name := range []string{"w1", "w2", "k1"} {
				if last := w.tills[name].last; last != "" {
					text = last
				}
			}
		}
	}
	// Whoever holds the gun may read the phone, too.
	from := pad
	if w.rng("gun", no, strconv.Itoa(n)).IntN(3) == 0 {
		from = gun
	}
	gen := t.gen
	w.after(9*time.Second, func() {
		if t.gen == gen && t.on && t.view.Armed && t.shown[no] < 8 {
			t.present(no, b) // nothing happened: once more
		}
	})
	t.scan(text, from)
}

func (t *window) stray(s Stray) {
	t.w.hit(Noise, "")
	from := s.Device
	if from == "" {
		from = pad
	}
	t.scan(s.Text, from)
}

// scan reads a text with the till's pad or gun; a till without a gun has its pad.
func (t *window) scan(text, from string) {
	w := t.w
	device := t.name + from
	if _, ok := w.cfg.Tills[t.name].Devices[device]; !ok {
		device = t.name + pad
	}
	if w.proc == nil {
		return
	}
	if t.on && t.view.Armed && t.view.Order != nil {
		t.last = text
	}
	w.check.codeShown(text, t.name)
	w.check.scanSeen(t.name, device, text)
	w.proc.step(counter.Scan{Till: t.name, Device: device, Code: counter.Code{Text: platforms.Hide(text), Hash: hashOf(text)}})
}
