package agenttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"payagent/platforms"
)

// Bank is a platform in memory. Until a test says otherwise a charge is
// pending, a query tells the truth, a cancel closes or gives back, a refund is
// done. It is safe for concurrent use.
type Bank struct {
	mu      sync.Mutex
	orders  map[string]*account
	eager   map[string]bool // payers who do not wait
	calls   []Call
	down    bool
	clock   bool // down, and our clock is to blame
	token   bool
	charge  func(platforms.Charge) (platforms.Answer, error)
	hold    bool
	deaf    bool
	charges map[string]platforms.Charge // requests to pay that arrived, without their codes
}

// Call is one request that arrived.
type Call struct {
	Verb  string // charge, present, query, cancel, refund
	Order string
}

type account struct {
	ref      platforms.Ref
	channel  platforms.Channel
	paid     bool
	closed   bool
	refunded map[string]platforms.Fen
}

// NewBank makes a bank that answers.
func NewBank() *Bank {
	return &Bank{orders: map[string]*account{}, eager: map[string]bool{}, token: true, charges: map[string]platforms.Charge{}}
}

// Cut cuts the line to the bank, or mends it: no byte arrives.
func (b *Bank) Cut(down bool) { defer b.lock()(); b.down, b.clock = down, false }

// CutByClock keeps our clock from reaching the bank, or lets it.
func (b *Bank) CutByClock(down bool) { defer b.lock()(); b.down, b.clock = down, down }

// RefuseToken lets the bank refuse our credentials, or take them again.
func (b *Bank) RefuseToken(refuse bool) { defer b.lock()(); b.token = !refuse }

// HoldRefunds leaves refunds without an outcome.
func (b *Bank) HoldRefunds(hold bool) { defer b.lock()(); b.hold = hold }

// Deafen loses the reply to every charge, query and cancel.
func (b *Bank) Deafen(deaf bool) { defer b.lock()(); b.deaf = deaf }

// OnCharge decides what a charge answers; nil is pending again.
func (b *Bank) OnCharge(f func(platforms.Charge) (platforms.Answer, error)) {
	defer b.lock()()
	b.charge = f
}

// Pay lets the payer of an order pay, at once or as soon as the order arrives.
func (b *Bank) Pay(no string) {
	defer b.lock()()
	b.eager[no] = true
	if a := b.orders[no]; a != nil {
		a.paid = true
	}
}

// Elsewhere lets a payment have been made that no agent asked for here. told is
// the number that the bank answers with for it, its own unless a test wants
// answers mixed up.
func (b *Bank) Elsewhere(no, told string, amount platforms.Fen) {
	defer b.lock()()
	b.orders[no] = &account{ref: platforms.Ref{OrderNo: told, Amount: amount}, channel: platforms.Alipay, paid: true, refunded: map[string]platforms.Fen{}}
}

// Unpay lets a payment not have been made yet.
func (b *Bank) Unpay(no string) {
	defer b.lock()()
	b.orders[no].paid = false
}

// Calls lists what arrived with a verb, in order; every verb if empty.
func (b *Bank) Calls(verb string) []Call {
	defer b.lock()()
	return slices.DeleteFunc(slices.Clone(b.calls), func(c Call) bool { return verb != "" && c.Verb != verb })
}

func (b *Bank) lock() func() {
	b.mu.Lock()
	return b.mu.Unlock
}

// noRoute proves that no byte left.
type noRoute struct{ clock bool }

// Error says so.
func (noRoute) Error() string { return "cannot reach the bank: no route" }

// NotSent is the proof.
func (noRoute) NotSent() bool { return true }

// ClockWrong says whose fault it is.
func (r noRoute) ClockWrong() bool { return r.clock }

// Is makes it proof for a charge, too.
func (noRoute) Is(target error) bool { return target == platforms.ErrNotCharged }

// enter notes a call, or says why it did not arrive.
func (b *Bank) enter(verb, no string) error {
	if b.down {
		return noRoute{b.clock}
	}
	if !b.token {
		return errors.Join(platforms.ErrToken, platforms.ErrNotCharged)
	}
	b.calls = append(b.calls, Call{verb, no})
	return nil
}

var errLost = errors.New("the reply was lost")

func (b *Bank) open(c platforms.Charge) *account {
	a := &account{ref: c.Ref, channel: c.Channel, paid: b.eager[c.OrderNo], refunded: map[string]platforms.Fen{}}
	if a.channel == "" {
		a.channel = platforms.WeChat
	}
	b.orders[c.OrderNo] = a
	c.Code = platforms.AuthCode{}
	b.charges[c.OrderNo] = c
	return a
}

func (b *Bank) doCharge(c platforms.Charge) (platforms.Answer, error) {
	defer b.lock()()
	if err := b.enter("charge", c.OrderNo); err != nil {
		return platforms.Answer{}, err
	}
	a := b.open(c)
	if b.deaf {
		return platforms.Answer{}, errLost
	}
	if b.charge != nil {
		got, err := b.charge(c)
		a.paid = got.Status == platforms.Paid
		return got, err
	}
	return platforms.Answer{Status: platforms.Pending, OrderNo: c.OrderNo}, nil
}

func (b *Bank) doPresent(c platforms.Charge) (platforms.Answer, error) {
	defer b.lock()()
	if err := b.enter("present", c.OrderNo); err != nil {
		return platforms.Answer{}, err
	}
	b.open(c)
	return platforms.Answer{Status: platforms.Pending, OrderNo: c.OrderNo, QR: "https://qr.invalid/" + c.OrderNo}, nil
}

// Query implements platforms.Platform.
func (b *Bank) Query(_ context.Context, ref platforms.Ref) (platforms.Answer, error) {
	defer b.lock()()
	if err := b.enter("query", ref.OrderNo); err != nil {
		return platforms.Answer{}, err
	}
	if b.deaf {
		return platforms.Answer{}, errLost
	}
	a := b.orders[ref.OrderNo]
	if ref.OrderNo == "" {
		a = b.orders[strings.TrimPrefix(ref.TradeNo, "T")]
	}
	switch {
	case a == nil:
		return platforms.Answer{Status: platforms.NotFound}, nil
	case a.closed:
		return platforms.Answer{Status: platforms.Closed, OrderNo: ref.OrderNo}, nil
	case a.paid:
		return PaidAnswer(a.ref, a.channel), nil
	}
	return platforms.Answer{Status: platforms.Pending, OrderNo: ref.OrderNo}, nil
}

// PaidAnswer is a whole paid answer for an order.
func PaidAnswer(ref platforms.Ref, ch platforms.Channel) platforms.Answer {
	return platforms.Answer{Status: platforms.Paid, OrderNo: ref.OrderNo, TradeNo: "T" + ref.OrderNo, Amount: ref.Amount, HasAmount: true,
		Channel: ch, PaidAt: time.Now(), Buyer: platforms.Hide("buyer-of-everything"), Code: "OK", Message: "paid"}
}

// Cancel implements platforms.Platform.
func (b *Bank) Cancel(_ context.Context, ref platforms.Ref) (platforms.Cancellation, error) {
	defer b.lock()()
	if err := b.enter("cancel", ref.OrderNo); err != nil {
		return platforms.Cancellation{}, err
	}
	if b.deaf {
		return platforms.Cancellation{}, errLost
	}
	c := platforms.Cancellation{Done: true, Action: platforms.ActionClose, OrderNo: ref.OrderNo}
	if a := b.orders[ref.OrderNo]; a != nil {
		if a.paid {
			c.Action = platforms.ActionRefund
		}
		a.closed = true
	}
	return c, nil
}

// Traits implements platforms.Platform.
func (b *Bank) Traits() platforms.Traits {
	return platforms.Traits{FindsByNumber: true, Channels: []platforms.Channel{platforms.WeChat, platforms.Alipay}}
}

// Probe implements platforms.Prober.
func (b *Bank) Probe(context.Context) error {
	defer b.lock()()
	if b.down {
		return noRoute{b.clock}
	}
	if !b.token {
		return platforms.ErrToken
	}
	return nil
}

func (b *Bank) doRefund(r platforms.Refund) (platforms.Refunded, error) {
	defer b.lock()()
	if err := b.enter("refund", r.OrderNo); err != nil {
		return platforms.Refunded{}, err
	}
	a := b.orders[r.OrderNo]
	if b.hold || a == nil {
		return platforms.Refunded{}, errLost
	}
	a.refunded[r.RequestNo] = r.Sum
	var total platforms.Fen
	for _, sum := range a.refunded {
		total += sum
	}
	return platforms.Refunded{Status: platforms.RefundDone, OrderNo: r.OrderNo, Total: total, HasTotal: true}, nil
}

// chargeOnly is a bank without QR codes and refunds, like SmartPay.
type chargeOnly struct{ *Bank }

// Charge implements platforms.Charger.
func (c chargeOnly) Charge(_ context.Context, x platforms.Charge) (platforms.Answer, error) {
	return c.doCharge(x)
}

// whole is a bank that does everything.
type whole struct{ *Bank }

// Whole is the bank as a platform that does everything.
func Whole(b *Bank) platforms.Platform { return whole{b} }

// Charge implements platforms.Charger.
func (w whole) Charge(_ context.Context, x platforms.Charge) (platforms.Answer, error) {
	return w.doCharge(x)
}

// Presents implements platforms.Presenter.
func (w whole) Presents(m platforms.Mode) bool { return m == platforms.ModePresent }

// Present implements platforms.Presenter.
func (w whole) Present(_ context.Context, x platforms.Charge) (platforms.Answer, error) {
	return w.doPresent(x)
}

// Refund implements platforms.Refunder.
func (w whole) Refund(_ context.Context, r platforms.Refund) (platforms.Refunded, error) {
	return w.doRefund(r)
}
