package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// platform is a payment platform seen through its adapter: the bank's books
// are the truth, the profile says how the wire words it.
type platform struct {
	w      *World
	name   string
	bank   *bank.Bank
	traits platforms.Traits
	cuts   []Span
	tokens []Span
	count  map[string]int
	saidNo map[string]bool          // orders whose cancel was refused for good
	flying map[string]time.Duration // charges under way: when they arrive
	other  *platforms.Answer        // a valid answer about some order, to be mixed up later
	sticky bool                     // SmartPay's way of answering
	by     bool                     // finds orders by our number
	probes bool                     // a probe is under way
}

func newPlatform(w *World, name string) *platform {
	p := &platform{w: w, name: name, count: map[string]int{}, saidNo: map[string]bool{}, flying: map[string]time.Duration{}}
	opts := bank.Options{CancelTombstones: w.plan.Tombstones, AutoClose: w.plan.AutoClose, StaleReads: w.plan.Stale}
	if name == "nq" {
		opts.OnEntry = p.entry
		p.traits.NoQuery, p.by = true, true
	}
	p.bank = bank.New(opts)
	p.traits.Channels = []platforms.Channel{platforms.WeChat, platforms.Alipay}
	if name == "sp" {
		p.cuts, p.tokens = w.plan.SPCuts, w.plan.SPToken
		p.sticky, p.by = true, w.plan.SPLookup
		p.traits.PaidIsSticky, p.traits.FindsByNumber = true, w.plan.SPProven
		return p
	}
	if name == "nq" {
		return p
	}
	p.cuts, p.tokens = w.plan.FWCCuts, w.plan.FWCToken
	p.by, p.traits.FindsByNumber = true, true
	return p
}

type notLeft struct{}

func (notLeft) Error() string   { return "cannot connect" }
func (notLeft) NotSent() bool   { return true }
func (notLeft) Is(t error) bool { return t == platforms.ErrNotCharged }

var (
	errLost  = errors.New("the connection broke")
	errToken = errors.Join(platforms.ErrToken, platforms.ErrNotCharged)
	errOld   = errors.Join(errors.New("the code is too old to be sent"), platforms.ErrNotCharged)
)

func inside(list []Span, g time.Duration) *Span {
	for i := range list {
		if g >= list[i].From && g < list[i].To {
			return &list[i]
		}
	}
	return nil
}

// probe tells the agent whether the platform answers.
func (p *platform) probe() {
	w := p.w
	if w.proc == nil {
		return
	}
	up := inside(p.cuts, w.g) == nil
	w.proc.step(counter.Reach{Platform: p.name, Up: up})
}

// soon probes again after something went wrong, like the real prober.
func (p *platform) soon(r *rand.Rand) {
	if p.probes || inside(p.cuts, p.w.g) != nil {
		return
	}
	p.probes = true
	p.w.after(span(r, time.Second, 10*time.Second), func() { p.probes = false; p.probe() })
}

// reply is what one call will be told.
type reply struct {
	ans platforms.Answer
	can platforms.Cancellation
	ref platforms.Refunded
	tok platforms.InsuranceToken
	err error
}

// call takes one call of the agent on its way.
func (p *platform) call(pr *process, c counter.Call) {
	w := p.w
	w.Cover.CallsSent++
	key := c.Order + "/" + string(c.Verb)
	n := p.count[key]
	p.count[key]++
	r := w.rng("call", key, strconv.Itoa(n))
	back := func(at time.Duration, get func() reply) {
		w.at(at, func() { p.deliver(pr, c, get()) })
	}
	fixed := func(rep reply) func() reply { return func() reply { return rep } }
	if c.Verb == order.VerbCharge && w.mono() > c.NotAfter {
		back(w.g, fixed(reply{err: errOld}))
		return
	}
	if inside(p.cuts, w.g) != nil {
		w.hit(Partition, c.Order)
		back(w.g+span(r, time.Millisecond, 5*time.Second), fixed(reply{err: notLeft{}}))
		return
	}
	f := p.fault(r, key, n, c.Verb)
	if f == DialFail {
		back(w.g+span(r, time.Millisecond, 5*time.Second), fixed(reply{err: notLeft{}}))
		return
	}
	w.check.onWire(c)
	if s := inside(p.tokens, w.g); s != nil {
		w.hit(TokenBad, c.Order)
		back(w.g+span(r, 50*time.Millisecond, 500*time.Millisecond), fixed(reply{err: errToken}))
		return
	}
	bound := 20 * time.Second
	if c.Verb == order.VerbCharge {
		bound = lateBound
	}
	exec := w.g + span(r, 5*time.Millisecond, 300*time.Millisecond)
	heard := exec + span(r, 5*time.Millisecond, 300*time.Millisecond)
	limit := w.g + c.Timeout
	var err error
	does := true
	slow := r.IntN(2) == 0
	switch f {
	case LostBefore, LostAfter:
		does, err = f == LostAfter, errLost
		if slow {
			heard = limit
		}
	case LateExec:
		err, heard, exec = errLost, w.g+span(r, time.Second, c.Timeout), w.g+span(r, time.Second, bound)
	case SlowReply:
		heard = exec + span(r, 0, 2*time.Minute)
	case ErrAfter:
		err = errLost
	case RefusedLike:
		does = slow
	case SystemError:
		does = slow || c.Verb == order.VerbCancel
	}
	if heard > limit {
		heard, err = limit, errLost
	}
	var rep reply
	done := false
	doIt := func() {
		if does && !done {
			done = true
			rep = p.execute(c, r, f)
		}
	}
	if does && c.Verb == order.VerbCharge {
		p.flying[c.Order] = exec
	}
	w.at(exec, doIt)
	back(heard, func() reply {
		if err != nil {
			return reply{err: err}
		}
		doIt()
		return p.twist(c, f, rep)
	})
	if f == LatePayDup && err == nil {
		back(heard+span(r, 0, 30*time.Second), func() reply { return rep })
	}
}

// fault draws what goes wrong with one call.
func (p *platform) fault(r *rand.Rand, key string, n int, v order.Verb) Fault {
	w := p.w
	got := faultCount
	for _, f := range callFaults {
		x := r.Float64() < w.plan.Rate[f]
		if !x || got != faultCount || !w.faulty(f) {
			continue
		}
		switch {
		case f == CancelNo && v != order.VerbCancel, f == RefundLater && v != order.VerbRefund,
			f == LatePayDup && v != order.VerbCharge:
			continue
		}
		got = f
	}
	if f, ok := w.plan.Script[key+"/"+strconv.Itoa(n)]; ok {
		got = f
	} else if f, ok := w.plan.Script[key+"/*"]; ok {
		got = f
	}
	if got != faultCount {
		w.hit(got, key[:len(key)-len(v)-1])
		w.note("fault", key, got.String())
	}
	return got
}

func (p *platform) deliver(pr *process, c counter.Call, rep reply) {
	if pr.dead {
		return
	}
	w := p.w
	if platforms.NeverLeft(rep.err) {
		p.soon(w.rng("soon", c.Order, strconv.Itoa(w.steps)))
	}
	if errors.Is(rep.err, platforms.ErrToken) {
		until := w.g
		if s := inside(p.tokens, w.g); s != nil {
			until = s.To
		}
		w.at(until+span(w.rng("token", c.Order, strconv.Itoa(w.steps)), time.Second, 20*time.Second), func() {
			if w.proc != nil {
				w.proc.step(counter.Token{Profile: "m-" + p.name, OK: true})
			}
		})
	}
	switch c.Verb {
	case order.VerbCharge, order.VerbPresent:
		pr.step(counter.PayDone{Order: c.Order, Verb: c.Verb, Answer: rep.ans, Err: rep.err})
	case order.VerbQuery:
		pr.step(counter.QueryDone{Order: c.Order, Answer: rep.ans, Err: rep.err})
	case order.VerbToken:
		failed := 0
		if o := w.journal.at(c.Order); o != nil && o.Insured != nil {
			failed = o.Insured.Failed
		}
		pr.step(counter.TokenDone{Order: c.Order, Token: rep.tok, Err: rep.err, State: stateOf(c.Order, failed+1), Address: platforms.Hide(privateCanary)})
	case order.VerbCancel:
		pr.step(counter.CancelDone{Order: c.Order, Answer: rep.can, Err: rep.err})
	case order.VerbRefund:
		pr.step(counter.RefundDone{Order: c.Order, Request: c.Refund.RequestNo, Answer: rep.ref, Err: rep.err})
	}
}

// twist changes a true reply as the fault wants.
func (p *platform) twist(c counter.Call, f Fault, rep reply) reply {
	switch f {
	case RefusedLike:
		return reply{ans: platforms.Answer{Status: platforms.Refused, AskNow: true}}
	case SystemError:
		return reply{ans: platforms.Answer{AskNow: true}}
	case WrongAmount:
		rep.ans.Amount, rep.ans.HasAmount = c.Ref.Amount+c.Charge.Amount+1, true
	case WrongOrder:
		rep.ans.OrderNo, rep.can.OrderNo, rep.ref.OrderNo = "X1", "X1", "X1"
		// What it says is about X1, too.
		rep.ans.Status, rep.can.Done = platforms.Paid, true
	case WrongMerchant:
		rep.ans.Merchant, rep.ans.Status = "M-other", platforms.Paid
	case OtherAnswer:
		if p.other != nil && p.other.OrderNo != c.Order && c.Verb != order.VerbCancel && c.Verb != order.VerbRefund {
			rep.ans = *p.other
		}
	}
	return rep
}

// unresolved is personality P8: some orders' cancels never work.
func (p *platform) unresolved(no string) bool {
	return p.w.plan.P8All || p.w.plan.Faults.Has(Unresolved) && p.w.rng("p8", no).IntN(3) == 0
}

// execute does what a request asks for, and words the answer.
func (p *platform) execute(c counter.Call, r *rand.Rand, f Fault) reply {
	w := p.w
	w.check.onArrive(c)
	switch c.Verb {
	case order.VerbCharge:
		return p.charge(c)
	case order.VerbPresent:
		t := p.bank.Present(w.g, bank.Request{OrderNo: c.Order, Merchant: c.Charge.Merchant.Code, Amount: c.Charge.Amount, Timeout: 20 * time.Minute})
		a := platforms.Answer{Status: platforms.Pending, OrderNo: t.OrderNo, QR: "qr:" + t.OrderNo}
		return reply{ans: a}
	case order.VerbToken:
		return reply{tok: p.token(c)}
	case order.VerbQuery:
		return reply{ans: p.query(c)}
	case order.VerbCancel:
		return reply{can: p.cancel(c, r, f)}
	}
	return reply{ref: p.refund(c, f)}
}

func (p *platform) charge(c counter.Call) reply {
	w := p.w
	payer := w.his.payer(c.Order)
	lied := false
	if p.sticky && payer.PayAfter >= 0 && (w.plan.LieAfter > 0 || w.plan.Faults.Has(LieFailed) && w.rng("lie", c.Order).IntN(4) == 0) {
		lied = true
		payer.PayAfter = span(w.rng("lie after", c.Order), 0, 2*time.Hour)
		if w.plan.LieAfter > 0 {
			payer.PayAfter = w.plan.LieAfter
		}
		w.check.liars[c.Order] = true
		w.hit(LieFailed, c.Order)
	}
	t := p.bank.Charge(w.g, bank.Request{OrderNo: c.Order, Merchant: c.Charge.Merchant.Code, Amount: c.Charge.Amount, Channel: c.Charge.Channel}, payer)
	if payer.PayAfter > 0 {
		w.hit(LatePayer, c.Order)
	}
	a := platforms.Answer{OrderNo: t.OrderNo, Amount: t.Amount, HasAmount: true}
	if !p.sticky { // FWC: a pay reply has no status of its own
		a.Status, a.AskNow = platforms.Pending, true
		if t.Refusal != "" {
			a.Status = platforms.Refused
			w.hit(NoMoney, c.Order)
		}
		return reply{ans: a}
	}
	a.Handle, a.Merchant = t.Handle, c.Charge.Merchant.Code
	switch {
	case lied, t.Refusal != "":
		a.Status, a.AskNow = platforms.Failed, true
		if w.rng("no handle", c.Order).IntN(2) == 0 && (p.by || !lied) {
			a.Handle, a.AskNow = "", false
		}
		w.hit(BadCode, c.Order)
	case t.State == bank.Paid:
		a.Status, a.TradeNo = platforms.Paid, t.TradeNo
	default:
		a.Status = platforms.Pending
	}
	return reply{ans: a}
}

// find looks an order up as the platform can.
func (p *platform) find(ref platforms.Ref) bool {
	if tr, ok := p.bank.ByHandle(p.w.g, handleOf(ref.OrderNo)); ok && tr.Present != ref.Mode.Shown() {
		return false // the two ways of paying have queries and cancels of their own
	}
	return p.by || ref.Handle != ""
}

// handleOf is the bank's own key of an order number.
func handleOf(no string) string {
	sum := sha256.Sum256([]byte("trade/" + no))
	return hex.EncodeToString(sum[16:])
}

func (p *platform) query(c counter.Call) platforms.Answer {
	w := p.w
	if !p.find(c.Ref) {
		return platforms.Answer{Status: platforms.NotFound}
	}
	t, known := p.bank.Query(w.g, c.Order)
	if p.w.plan.Stale > 0 {
		w.hit(StaleReads, c.Order)
	}
	if !known {
		return platforms.Answer{Status: platforms.NotFound}
	}
	a := platforms.Answer{OrderNo: t.OrderNo}
	if p.sticky {
		a.OrderNo = ""
		if c.Ref.Handle == "" {
			a.Handle = t.Handle
		}
	}
	switch t.State {
	case bank.Unpaid:
		a.Status = platforms.Pending
		if w.check.liars[c.Order] {
			a.Status = platforms.Failed
		}
		if t.Refusal != "" && w.rng("refused", c.Order).IntN(2) == 0 {
			a.Status = platforms.NotFound // a charge that was refused left no trade
			if p.sticky {
				a.Status = platforms.Unknown
			}
		}
	case bank.Closed:
		a.Status = platforms.Closed
		a.AskNow = p.sticky && w.rng("five", c.Order).IntN(2) == 0
	case bank.Revoked, bank.Refunded:
		a.Status = platforms.Closed
		if p.sticky && w.plan.SP2After {
			a.Status = platforms.Paid
		}
	case bank.Paid:
		a.Status = platforms.Paid
	}
	if a.Status == platforms.Paid && !p.sticky {
		a.TradeNo, a.Amount, a.HasAmount = t.TradeNo, t.Amount, true
		a.Channel = t.Channel
	}
	if !p.sticky {
		keep := a
		p.other = &keep
	}
	return a
}

func (p *platform) cancel(c counter.Call, r *rand.Rand, f Fault) platforms.Cancellation {
	w := p.w
	if f == Unresolved || p.unresolved(c.Order) {
		p.saidNo[c.Order] = true
		w.hit(Unresolved, c.Order)
		return platforms.Cancellation{OrderNo: c.Order, Retry: platforms.RetryNo}
	}
	if !p.find(c.Ref) || f == CancelNo {
		retry := []platforms.Retry{platforms.RetryYes, platforms.RetryYes, ""}[r.IntN(3)]
		return platforms.Cancellation{OrderNo: c.Order, Retry: retry}
	}
	got := p.bank.Cancel(w.g, c.Order)
	if !got.Done {
		retry := []platforms.Retry{platforms.RetryYes, platforms.RetryNo, ""}[r.IntN(3)]
		return platforms.Cancellation{OrderNo: c.Order, Retry: retry}
	}
	out := platforms.Cancellation{Done: true, OrderNo: c.Order, Action: platforms.CancelAction(got.Action)}
	if p.sticky {
		out.Action, out.OrderNo = platforms.ActionUnknown, ""
	}
	if r.IntN(4) == 0 {
		out.Retry = platforms.RetryNo
	}
	return out
}

func (p *platform) refund(c counter.Call, f Fault) platforms.Refunded {
	w := p.w
	got := p.bank.Refund(w.g, c.Refund.OrderNo, c.Refund.RequestNo, c.Refund.Sum)
	if f == RefundLater {
		return platforms.Refunded{OrderNo: c.Order}
	}
	out := platforms.Refunded{OrderNo: c.Order, Total: got.Total, HasTotal: true}
	switch {
	case got.Done:
		out.Status = platforms.RefundDone
	case slices.Contains([]string{bank.Exceeds, bank.NotPaid, bank.BadSum, bank.NumberTaken}, got.Refusal):
		out.Status = platforms.RefundRefused
	}
	return out
}

// net is what the payer is out of pocket: the truth.
func (w *World) net(no string) platforms.Fen {
	var sum platforms.Fen
	for _, name := range []string{"fwc", "sp", "nq"} {
		sum += w.plats[name].bank.Net(no)
	}
	if w.plan.Harness.ForgetCapture {
		return 0
	}
	return sum
}

// trade gives the bank's books of an order, settled up to now.
func (w *World) trade(platform, no string) (bank.Trade, bool) {
	p := w.plats[platform]
	if p == nil {
		return bank.Trade{}, false
	}
	return p.bank.ByHandle(w.g, handleOf(no))
}
