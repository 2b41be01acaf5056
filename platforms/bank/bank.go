// Package bank is the pretend world behind every platform simulator: payers
// who pay at once, after a password, late, never, or cannot, and a platform's
// books that say what became of each order.
//
// It is the truth of every test. Whatever the agent believes, [Bank.Net] is
// what the payer is out of pocket, [Bank.Captures] is how often money was
// taken, and [Bank.PayRequests] is how often a charge for that number arrived.
//
// The world is deterministic: it has no clock, no goroutine and no chance in
// it. Every call says what time it is, counted from when the world began, so
// the same calls always give the same books. A mutex makes it usable from an
// HTTP handler. Time never runs backwards: an earlier now counts as the latest.
//
// # Scripts
//
// Simulators share one table, so that an amount means the same on every wire.
// The last two digits of the amount in fen choose what happens ([ScriptFor]):
//
//	00–89  pays at once
//	90     password: pays after 20 s
//	91     pays, but the reply to the charge is lost
//	92     late payer: pays after 50 s
//	93     never pays
//	94     refused for want of money
//	95     pays, but every answer carries another amount
//	96     pays, but the charge is answered with HTTP 500
//	97     pays, but the charge is answered with garbage
//	98     the charge request is lost and never reaches the bank
//	99     refused: the code is expired or used
//
// A payment code can carry the instruction instead of the amount: digits 3 to
// 8 are 990099 and the last two digits choose from the same table
// ([MagicCode] makes such a code).
package bank

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"sync"
	"time"

	"payagent/platforms"
)

// Bank holds the books. Make one with New or Load.
type Bank struct {
	opts    Options
	mu      sync.Mutex
	now     time.Duration
	book    map[string]*record // by OrderNo
	open    map[string]*record // those with something still to happen
	handles map[string]string  // Handle → OrderNo
	trades  map[string]string  // TradeNo → OrderNo
	refunds map[string]refund  // by request number
	dead    map[string]bool    // tombstones
	asked   map[string]int
}

type record struct {
	t        Trade
	seq      int
	due      []attempt
	captures int
	history  []version
}

// attempt is a payer who has not decided yet.
type attempt struct {
	at      time.Duration
	p       Payer
	scanned bool // by phone: the wallet lets only one of them pay
}

type version struct {
	at time.Duration
	t  Trade
}

type refund struct {
	orderNo string
	sum     platforms.Fen
}

// New makes an empty world at time zero.
func New(opts Options) *Bank {
	return &Bank{
		opts: opts, book: map[string]*record{}, open: map[string]*record{},
		handles: map[string]string{}, trades: map[string]string{},
		refunds: map[string]refund{}, dead: map[string]bool{}, asked: map[string]int{},
	}
}

// Charge is a charge request that arrived: p is the payer whose code it
// carries. For a number that is known the existing trade is returned and
// nothing is taken again, except that a payer on a trade that is still open is
// a new attempt: then both attempts may take money, which is the harm that a
// repeated pay request does and that Captures shows. A closed number refuses.
func (b *Bank) Charge(now time.Duration, r Request, p Payer) Trade {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	b.asked[r.OrderNo]++
	rec := b.enter(now, r)
	b.note(Entry{At: now, Kind: "asked", Trade: rec.t, Payer: p})
	if rec.t.State == Unpaid {
		b.try(now, rec, p, false)
	} else if rec.t.State != Paid {
		rec.t.Refusal = Dead
		b.write(now, rec, "refused", "", 0)
	}
	return rec.t
}

// Present makes an unpaid trade that waits for a phone. For a number that is
// known the existing trade is returned. The text of the QR is the simulator's.
func (b *Bank) Present(now time.Duration, r Request) Trade {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	r.Present = true
	return b.enter(now, r).t
}

// Scan is a phone that reads the QR of an order; p.PayAfter counts from now. A
// trade that is not open any more is returned as it is, with nothing taken; an
// order that does not exist gives the zero Trade.
func (b *Bank) Scan(now time.Duration, orderNo string, p Payer) Trade {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	rec := b.book[orderNo]
	if rec == nil {
		return Trade{}
	}
	b.settle(now, rec)
	if rec.t.State == Unpaid {
		b.note(Entry{At: now, Kind: "scanned", Trade: rec.t, Payer: p})
		b.try(now, rec, p, true)
	}
	return rec.t
}

// Query settles what is due and returns the trade as the platform's readers
// see it, Options.StaleReads ago; false means that they do not know the number.
func (b *Bank) Query(now time.Duration, orderNo string) (Trade, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	rec := b.book[orderNo]
	if rec == nil {
		return Trade{}, false
	}
	b.settle(now, rec)
	if b.opts.StaleReads <= 0 {
		return rec.t, true
	}
	seen := now - b.opts.StaleReads
	for i := len(rec.history) - 1; i >= 0; i-- {
		if rec.history[i].at <= seen {
			return rec.history[i].t, true
		}
	}
	return Trade{}, false
}

// ByHandle finds a trade by the platform's own key. It is never stale: use it
// to find the number, and Query to answer a query.
func (b *Bank) ByHandle(now time.Duration, handle string) (Trade, bool) {
	return b.by(now, b.handles, handle)
}

// ByTradeNo finds a trade by the wallet's number; like ByHandle.
func (b *Bank) ByTradeNo(now time.Duration, tradeNo string) (Trade, bool) {
	return b.by(now, b.trades, tradeNo)
}

func (b *Bank) by(now time.Duration, index map[string]string, key string) (Trade, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	rec := b.book[index[key]]
	if rec == nil {
		return Trade{}, false
	}
	b.settle(now, rec)
	return rec.t, true
}

// Cancel closes an unpaid trade and gives the money of a paid one back. Asking
// again gives the same outcome. An unknown number gives Found false; it is
// Done (Action "close") only where the platform keeps tombstones.
func (b *Bank) Cancel(now time.Duration, orderNo string) Cancelled {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	rec := b.book[orderNo]
	if rec == nil {
		if !b.opts.CancelTombstones {
			return Cancelled{}
		}
		if !b.dead[orderNo] {
			b.dead[orderNo] = true
			b.note(Entry{At: now, Kind: "tombstone", Trade: Trade{OrderNo: orderNo, State: Closed}})
		}
		return Cancelled{Done: true, Action: "close"}
	}
	b.settle(now, rec)
	if b.opts.RefuseCancel {
		return Cancelled{Found: true}
	}
	switch rec.t.State {
	case Unpaid:
		b.shut(now, rec)
	case Paid:
		back := rec.t.Captured - rec.t.Refunded
		rec.t.Refunded, rec.t.State = rec.t.Captured, Revoked
		rec.due = nil
		b.write(now, rec, "revoked", "", back)
	}
	if rec.t.State == Closed {
		return Cancelled{Found: true, Done: true, Action: "close"}
	}
	return Cancelled{Found: true, Done: true, Action: "refund"}
}

// Refund gives back sum fen of a paid trade. A request number moves money at
// most once: asked again with the same order and sum it is Done and not
// Changed. A sum above what is left is refused whole.
func (b *Bank) Refund(now time.Duration, orderNo, requestNo string, sum platforms.Fen) RefundResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	rec := b.book[orderNo]
	if rec == nil {
		return RefundResult{}
	}
	b.settle(now, rec)
	res := RefundResult{Found: true, Total: rec.t.Refunded}
	if old, used := b.refunds[requestNo]; used {
		res.Done = old == refund{orderNo, sum}
		if !res.Done {
			res.Refusal = NumberTaken
		}
		return res
	}
	switch {
	case sum <= 0:
		res.Refusal = BadSum
	case rec.t.Captured == 0:
		res.Refusal = NotPaid
	case sum > rec.t.Captured-rec.t.Refunded:
		res.Refusal = Exceeds
	default:
		b.refunds[requestNo] = refund{orderNo, sum}
		rec.t.Refunded += sum
		if rec.t.Refunded == rec.t.Captured {
			rec.t.State = Refunded
		}
		b.write(now, rec, "refunded", requestNo, sum)
		res.Done, res.Changed, res.Total = true, true, rec.t.Refunded
	}
	return res
}

// Net is what the payer of an order is out of pocket, in fen.
func (b *Bank) Net(orderNo string) platforms.Fen {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rec := b.book[orderNo]; rec != nil {
		return rec.t.Captured - rec.t.Refunded
	}
	return 0
}

// Captures is how many times money was taken for an order.
func (b *Bank) Captures(orderNo string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rec := b.book[orderNo]; rec != nil {
		return rec.captures
	}
	return 0
}

// PayRequests is how many charge requests arrived for an order.
func (b *Bank) PayRequests(orderNo string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[orderNo]
}

// Trades gives all trades, sorted by OrderNo.
func (b *Bank) Trades() []Trade {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Trade, 0, len(b.book))
	for _, rec := range b.book {
		all = append(all, rec.t)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].OrderNo < all[j].OrderNo })
	return all
}

// Settle lets everything that is due by now happen, in the order of time.
func (b *Bank) Settle(now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now = b.tick(now)
	for {
		var first *record
		var at time.Duration
		for _, rec := range b.open {
			when, any := rec.next()
			if any && when <= now && (first == nil || when < at || when == at && rec.seq < first.seq) {
				first, at = rec, when
			}
		}
		if first == nil {
			return
		}
		b.settle(at, first)
	}
}

// tick moves the world's clock, which never goes back.
func (b *Bank) tick(now time.Duration) time.Duration {
	b.now = max(b.now, now)
	return b.now
}

// enter finds or makes the record of a number, settled up to now.
func (b *Bank) enter(now time.Duration, r Request) *record {
	if rec := b.book[r.OrderNo]; rec != nil {
		b.settle(now, rec)
		return rec
	}
	life := r.Timeout
	if life <= 0 || b.opts.AutoClose > 0 && b.opts.AutoClose < life {
		life = b.opts.AutoClose
	}
	t := Trade{
		OrderNo: r.OrderNo, Merchant: r.Merchant, Amount: r.Amount, Channel: r.Channel,
		State: Unpaid, CreatedAt: now, Present: r.Present,
	}
	t.Handle, t.TradeNo = keys(r.OrderNo)
	if life > 0 {
		t.ClosesAt = now + life
	}
	if b.dead[r.OrderNo] {
		t.State = Closed
	}
	rec := b.add(t)
	b.write(now, rec, "created", "", 0)
	return rec
}

func (b *Bank) add(t Trade) *record {
	rec := &record{t: t, seq: len(b.book)}
	b.book[t.OrderNo] = rec
	b.handles[t.Handle] = t.OrderNo
	b.trades[t.TradeNo] = t.OrderNo
	return rec
}

// try lets a payer have a go at an open trade.
func (b *Bank) try(now time.Duration, rec *record, p Payer, scanned bool) {
	rec.t.Refusal = ""
	if p.PayAfter >= 0 {
		rec.due = append(rec.due, attempt{at: now + p.PayAfter, p: p, scanned: scanned})
	}
	b.watch(rec)
	b.settle(now, rec)
	b.remember(now, rec)
}

// next tells when something happens to the record of itself. A payment that is
// due at the very moment of closing still comes in time.
func (r *record) next() (time.Duration, bool) {
	var at time.Duration
	found := false
	for _, a := range r.due {
		if !found || a.at < at {
			at, found = a.at, true
		}
	}
	if r.t.State == Unpaid && r.t.ClosesAt > 0 && (!found || r.t.ClosesAt < at) {
		at, found = r.t.ClosesAt, true
	}
	return at, found
}

func (b *Bank) settle(now time.Duration, rec *record) {
	for {
		at, found := rec.next()
		if !found || at > now {
			b.watch(rec)
			return
		}
		i := 0
		for i < len(rec.due) && rec.due[i].at != at {
			i++
		}
		if i == len(rec.due) {
			b.shut(at, rec)
			continue
		}
		a := rec.due[i]
		rec.due = append(rec.due[:i], rec.due[i+1:]...)
		b.decide(at, rec, a)
	}
}

// decide is the moment at which a payer pays or is refused.
func (b *Bank) decide(at time.Duration, rec *record, a attempt) {
	refusal := ""
	switch {
	case a.scanned && rec.t.State == Paid:
		return
	case rec.t.State != Unpaid && rec.t.State != Paid:
		refusal = Dead
	case a.p.BadCode:
		refusal = BadCode
	case a.p.NoMoney:
		refusal = NoMoney
	}
	if refusal != "" {
		rec.t.Refusal = refusal
		b.write(at, rec, "refused", "", 0)
		return
	}
	if a.p.Channel != "" {
		rec.t.Channel = a.p.Channel
	}
	rec.captures++
	rec.t.Captured += rec.t.Amount
	rec.t.State, rec.t.PaidAt, rec.t.Refusal = Paid, at, ""
	rec.t.Buyer = buyer(rec.t.Channel, rec.t.OrderNo)
	b.write(at, rec, "paid", "", rec.t.Amount)
}

func (b *Bank) shut(at time.Duration, rec *record) {
	rec.t.State, rec.due = Closed, nil
	b.write(at, rec, "closed", "", 0)
}

func (b *Bank) write(at time.Duration, rec *record, kind, requestNo string, sum platforms.Fen) {
	b.remember(at, rec)
	b.watch(rec)
	b.note(Entry{At: at, Kind: kind, Trade: rec.t, RequestNo: requestNo, Sum: sum})
}

func (b *Bank) remember(at time.Duration, rec *record) {
	if b.opts.StaleReads > 0 {
		rec.history = append(rec.history, version{at, rec.t})
	}
}

func (b *Bank) watch(rec *record) {
	if _, any := rec.next(); any {
		b.open[rec.t.OrderNo] = rec
	} else {
		delete(b.open, rec.t.OrderNo)
	}
}

func (b *Bank) note(e Entry) {
	if b.opts.OnEntry != nil {
		b.opts.OnEntry(e)
	}
}

// keys derives the platform's own numbers from ours, so that the same order
// has the same numbers in every run and after Load.
func keys(orderNo string) (handle, tradeNo string) {
	sum := sha256.Sum256([]byte("trade/" + orderNo))
	digits := make([]byte, 22)
	for i := range digits {
		digits[i] = '0' + sum[i]%10
	}
	return hex.EncodeToString(sum[16:]), "420000" + string(digits)
}

func buyer(c platforms.Channel, orderNo string) string {
	sum := sha256.Sum256([]byte("buyer/" + orderNo))
	if c == platforms.WeChat {
		return "oPretend" + hex.EncodeToString(sum[:10])
	}
	n := uint64(0)
	for _, x := range sum[:6] {
		n = n<<8 | uint64(x)
	}
	return fmt.Sprintf("2088%012d", n%1_000_000_000_000)
}
