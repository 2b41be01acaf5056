package conform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

// Bug is a way in which a HIS goes wrong; the reference HIS has none.
type Bug string

// The bugs, each of which fails the case that Bugs names.
const (
	NewBillPerClick  Bug = "new_bill_per_click"  // makes the reference unique for every press
	NewKeyPerTry     Bug = "new_key_per_try"     // repeats with another key
	NoAnswerIsUnpaid Bug = "no_answer_is_unpaid" // takes silence for a no
	CashAlways       Bug = "cash_always"         // lets cash be taken whenever it does not know of a payment
	CancelIsUnpaid   Bug = "cancel_is_unpaid"    // takes a cancel for done when it was asked for
	BooksTwice       Bug = "books_twice"         // books again whenever it looks
	NeverTells       Bug = "never_tells"         // does not tell the agent that it booked
	Forgets          Bug = "forgets"             // does not look at open bills when it starts
	RefundPerClick   Bug = "refund_per_click"    // a refund number of its own for every press
	RefundsBlindly   Bug = "refunds_blindly"     // books a refund that was refused
	SilentOnFailure  Bug = "silent_on_failure"   // does not say that its processing failed
	WrongEncoding    Bug = "wrong_encoding"      // names in an encoding that is not UTF-8
	OpenIsPaid       Bug = "open_is_paid"        // takes an order for a payment
)

// Bugs gives for each bug the case that must find it.
func Bugs() map[Bug]string {
	return map[Bug]string{NewBillPerClick: "again_after_paid", NewKeyPerTry: "answer_lost", NoAnswerIsUnpaid: "agent_down", CashAlways: "no_cash_while_open",
		CancelIsUnpaid: "cancel_finds_it_paid", BooksTwice: "again_after_paid", NeverTells: "pay_at_once", Forgets: "plug_his", RefundPerClick: "refund_twice",
		RefundsBlindly: "refund_over", SilentOnFailure: "his_fails", WrongEncoding: "rare_names", OpenIsPaid: "wrong_amount"}
}

// Careful is the reference HIS. What it must know after a crash lies on disk
// before it asks: the key of a request, the numbers of its own books. It is
// safe for concurrent use.
type Careful struct {
	Dir string // for its bills, one file each
	Bug Bug    // empty: none

	mu sync.Mutex
}

// ledger is all that it knows of a bill.
type ledger struct {
	Key      string        `json:"key"` // of the attempt under way or last
	Order    string        `json:"order"`
	Amount   platforms.Fen `json:"amount"`
	Believes string        `json:"believes"`
	Cash     bool          `json:"cash"`
	Flows    []string      `json:"flows"` // lines of income
	Told     bool          `json:"told"`
	Fails    bool          `json:"fails"`
	Refunded platforms.Fen `json:"refunded"`
}

func (h *Careful) file(bill string) string { return filepath.Join(h.Dir, alnum(bill)+".json") }

func (h *Careful) read(bill string) (ledger, error) {
	l := ledger{Believes: Unpaid}
	data, err := os.ReadFile(h.file(bill))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	return l, err
}

// change writes what f makes of a bill's ledger, and gives it.
func (h *Careful) change(bill string, f func(l *ledger)) (ledger, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, err := h.read(bill)
	if err != nil {
		return l, err
	}
	f(&l)
	data, err := json.Marshal(l)
	if err == nil {
		err = os.WriteFile(h.file(bill)+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(h.file(bill)+".new", h.file(bill))
	}
	return l, err
}

// Do does a step.
func (h *Careful) Do(ctx context.Context, s Step) (Report, error) {
	c, err := his.NewClient(s.Agent, s.TokenFile, nil)
	if err != nil {
		return Report{}, err
	}
	d := &desk{h: h, c: c, s: s, until: time.Now().Add(time.Duration(s.WaitS) * time.Second)}
	other := *d // each of two presses counts its own time
	switch s.Do {
	case Collect:
		err = d.collect(ctx, s.Till, false)
	case DoubleClick:
		err = both(func() error { return d.collect(ctx, s.Till, true) }, func() error { return other.collect(ctx, s.Till, true) })
	case TwoWindows:
		err = both(func() error { return d.collect(ctx, s.Till, true) }, func() error { return other.collect(ctx, s.SecondTill, true) })
	case Look, Restart:
		if s.Do != Restart || h.Bug != Forgets {
			err = d.look(ctx)
		}
	case Cancel:
		err = d.cancel(ctx)
	case TakeCash:
		err = d.takeCash(ctx)
	case Refund:
		err = d.refund(ctx, s.RefundNo)
	case RefundTwice:
		second := s.RefundNo
		if h.Bug == RefundPerClick {
			second += "B"
		}
		err = both(func() error { return d.refund(ctx, s.RefundNo) }, func() error { return other.refund(ctx, second) })
	default:
		return Report{}, fmt.Errorf("cannot do %q: %w", s.Do, ErrSkip)
	}
	if err == nil {
		err = ctx.Err() // killed
	}
	if err != nil {
		return Report{}, err
	}
	l, err := h.change(s.Bill, func(*ledger) {})
	return Report{Believes: l.Believes, Cash: l.Cash, Bookings: len(l.Flows), RefundedFen: l.Refunded}, err
}

func both(a, b func() error) error {
	first := make(chan error, 1)
	go func() { first <- a() }()
	err := b()
	return errors.Join(err, <-first)
}

// desk is one step under way.
type desk struct {
	h     *Careful
	c     *his.Client
	s     Step
	until time.Time
}

func (d *desk) note(f func(l *ledger)) (ledger, error) { return d.h.change(d.s.Bill, f) }

// insist repeats a request until it is answered, at least three times and as
// long as the step lasts. An answer that never comes is his.ErrUnreachable.
func (d *desk) insist(ctx context.Context, ask func(ctx context.Context) (his.Answer, error)) (his.Answer, error) {
	for n := 0; ; n++ {
		one, cancel := context.WithTimeout(ctx, 3*time.Second)
		a, err := ask(one)
		cancel()
		again := errors.Is(err, his.ErrUnreachable) || err == nil && a.Status == http.StatusServiceUnavailable && a.Problem().Code == "shutting_down"
		if !again || ctx.Err() != nil || n >= 2 && time.Now().After(d.until) {
			return a, err
		}
		rest(ctx, 200*time.Millisecond)
	}
}

// collect presses 收费. rush is a press beside another one.
func (d *desk) collect(ctx context.Context, till string, rush bool) error {
	bill := d.s.Bill
	l, err := d.note(func(l *ledger) {
		if l.Key == "" || l.Believes == Unpaid && !rush || l.Amount != d.s.AmountFen {
			l.Key, l.Order, l.Told = his.NewKey(), "", false
		}
		if l.Believes != Paid {
			l.Amount, l.Believes, l.Fails = d.s.AmountFen, Unknown, d.s.Fails
		}
	})
	if err != nil || l.Believes == Paid && d.h.Bug == "" {
		return err
	}
	key := l.Key + till // two windows are two requests of one bill
	o := his.Order{Bill: bill, AmountFen: d.s.AmountFen, Mode: platforms.ModeCharge, OrderType: d.s.OrderType, Subject: "测试缴费", Patient: d.s.Patient, Operator: d.s.Operator, Till: till, AuthCode: d.s.AuthCode}
	switch d.h.Bug {
	case NewBillPerClick:
		o.Bill += "-" + his.NewKey()[:14]
		key = his.NewKey()
	case WrongEncoding:
		o.Patient.Name = strings.Map(func(r rune) rune {
			if r > 0x7f {
				return '?'
			}
			return r
		}, o.Patient.Name)
	}
	a, err := d.insist(ctx, func(ctx context.Context) (his.Answer, error) {
		if d.h.Bug == NewKeyPerTry {
			key = his.NewKey()
		}
		return d.c.Create(ctx, key, o)
	})
	switch {
	case errors.Is(err, his.ErrUnreachable):
		if d.h.Bug == NoAnswerIsUnpaid {
			_, err = d.note(func(l *ledger) { l.Believes, l.Cash = Unpaid, true })
			return err
		}
		return nil // unknown; the next step asks
	case err != nil:
		return err
	}
	seen, ok := a.Order()
	if !ok {
		return d.refused(ctx, a)
	}
	if d.h.Bug == OpenIsPaid {
		_, err = d.note(func(l *ledger) { l.Believes, l.Flows = Paid, []string{"F"} })
		return err
	}
	if _, err := d.note(func(l *ledger) { l.Order = seen.OutTradeNo }); err != nil {
		return err
	}
	return d.follow(ctx, seen)
}

// refused reads why no order was made.
func (d *desk) refused(ctx context.Context, a his.Answer) error {
	var p struct {
		Code  string
		Cash  his.Safety `json:"safe_to_take_cash"`
		Order struct {
			his.Seen
			Final bool
		}
	}
	if err := json.Unmarshal(a.Body, &p); err != nil {
		return nil // no answer of the agent: unknown
	}
	switch {
	case (p.Code == "bill_paid" || p.Code == "bill_open") && p.Order.Bill == d.s.Bill && p.Order.AmountFen == d.s.AmountFen:
		return d.follow(ctx, p.Order.Seen)
	case p.Code == "bill_paid" || p.Code == "bill_open":
		return nil // of another amount: the cashier has to cancel it first
	case p.Cash.Answer == "yes":
		_, err := d.note(func(l *ledger) { l.Believes = Unpaid })
		return err
	}
	return nil
}

// follow looks at an order until its end or until the step is over, and books
// what is paid.
func (d *desk) follow(ctx context.Context, o his.Seen) error {
	for !his.Final(o.State) && time.Now().Before(d.until) && ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, 10*time.Second)
		a, err := d.c.Get(one, o.OutTradeNo, 2*time.Second)
		cancel()
		if seen, ok := a.Order(); err == nil && ok {
			o = seen
		} else {
			rest(ctx, 200*time.Millisecond)
		}
	}
	switch o.State {
	case "paid":
		return d.paid(ctx, o)
	case "failed", "canceled":
		_, err := d.note(func(l *ledger) { l.Believes = Unpaid })
		return err
	}
	return nil
}

// paid books a payment: first in HIS's own books, under a number that is kept,
// then the agent is told until it has heard.
func (d *desk) paid(ctx context.Context, o his.Seen) error {
	l, err := d.note(func(l *ledger) {
		l.Order = o.OutTradeNo
		if l.Fails {
			return
		}
		l.Believes = Paid
		if len(l.Flows) == 0 || d.h.Bug == BooksTwice {
			l.Flows = append(l.Flows, "F"+o.OutTradeNo)
		}
	})
	if err != nil || l.Told {
		return err
	}
	b := his.Booking{Result: his.Booked, CostType: "自费", Operator: &d.s.Operator}
	if l.Fails {
		b = his.Booking{Result: his.Failed, Operator: &d.s.Operator, Reason: "号源已满"}
	} else {
		b.FlowID = l.Flows[0]
	}
	if d.h.Bug == NeverTells || d.h.Bug == SilentOnFailure && l.Fails {
		_, err = d.note(func(l *ledger) {
			if l.Fails {
				l.Believes = Unpaid
			}
		})
		return err
	}
	d.until = later(d.until, time.Now().Add(5*time.Second))
	a, err := d.insist(ctx, func(ctx context.Context) (his.Answer, error) { return d.c.Book(ctx, o.OutTradeNo, b) })
	if err != nil {
		return nil // not told yet; the next step tells
	}
	_, err = d.note(func(l *ledger) {
		switch {
		case a.OK():
			l.Told = true
			if l.Fails {
				l.Believes = Unpaid
			}
		case a.Problem().Code == "booking_late" || a.Problem().Code == "booking_failed_before":
			l.Told, l.Believes, l.Flows = true, Unpaid, nil // given back meanwhile
		}
	})
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// look asks by the bill, which also finds what a crash made it forget.
func (d *desk) look(ctx context.Context) error {
	d.until = later(d.until, time.Now().Add(5*time.Second))
	a, err := d.insist(ctx, func(ctx context.Context) (his.Answer, error) { return d.c.Bill(ctx, d.s.Bill) })
	if err != nil {
		return nil // unknown
	}
	var list struct{ Orders []his.Seen }
	if !a.OK() || json.Unmarshal(a.Body, &list) != nil {
		return nil
	}
	if len(list.Orders) == 0 {
		// The agent knows of no order, so nothing was taken.
		_, err = d.note(func(l *ledger) { l.Believes = Unpaid })
		return err
	}
	return d.follow(ctx, list.Orders[0])
}

func (d *desk) cancel(ctx context.Context) error {
	if err := d.look0(ctx); err != nil {
		return err
	}
	l, err := d.note(func(*ledger) {})
	if err != nil || l.Order == "" {
		return err
	}
	if _, err := d.insist(ctx, func(ctx context.Context) (his.Answer, error) {
		return d.c.Do(ctx, l.Order, "cancel", his.Act{Operator: &d.s.Operator, Reason: "患者不缴了"})
	}); err != nil {
		return nil
	}
	if d.h.Bug == CancelIsUnpaid {
		_, err = d.note(func(l *ledger) { l.Believes = Unpaid })
		return err
	}
	return d.look(ctx)
}

// look0 finds the order's number without waiting for its end.
func (d *desk) look0(ctx context.Context) error {
	a, err := d.c.Bill(ctx, d.s.Bill)
	var list struct{ Orders []his.Seen }
	if err != nil || json.Unmarshal(a.Body, &list) != nil || len(list.Orders) == 0 {
		return nil
	}
	_, err = d.note(func(l *ledger) { l.Order = list.Orders[0].OutTradeNo })
	return err
}

// takeCash asks the agent; whatever is not a clear yes is a no.
func (d *desk) takeCash(ctx context.Context) error {
	l, err := d.note(func(*ledger) {})
	if err != nil || l.Believes == Paid {
		return err
	}
	allowed := d.h.Bug == CashAlways
	if !allowed {
		d.until = time.Now()
		a, err := d.insist(ctx, func(ctx context.Context) (his.Answer, error) { return d.c.Bill(ctx, d.s.Bill) })
		var list struct{ Orders []his.Seen }
		if err != nil || !a.OK() || json.Unmarshal(a.Body, &list) != nil {
			return nil
		}
		allowed = len(list.Orders) > 0 && list.Orders[0].SafeToTakeCash.Answer == "yes"
	}
	_, err = d.note(func(l *ledger) { l.Cash = l.Cash || allowed })
	return err
}

func (d *desk) refund(ctx context.Context, no string) error {
	l, err := d.note(func(*ledger) {})
	if err != nil || l.Order == "" {
		return err
	}
	a, err := d.insist(ctx, func(ctx context.Context) (his.Answer, error) {
		key := "refund-" + no
		if d.h.Bug == NewKeyPerTry {
			key = his.NewKey()
		}
		return d.c.Refund(ctx, key, l.Order, his.Act{Operator: &d.s.Operator, Reason: "退费", RefundNo: no, AmountFen: d.s.RefundFen})
	})
	if err != nil {
		return nil
	}
	if d.h.Bug == RefundsBlindly {
		_, err = d.note(func(l *ledger) { l.Refunded += d.s.RefundFen })
		return err
	}
	for a.OK() && time.Now().Before(d.until) && ctx.Err() == nil {
		a, err = d.insist(ctx, func(ctx context.Context) (his.Answer, error) { return d.c.Get(ctx, l.Order, 0) })
		seen, ok := a.Order()
		if err != nil || !ok {
			return nil
		}
		for _, r := range seen.Refunds {
			if r.RefundNo == no && r.State == "done" {
				// Its own books follow the agent's sum, whoever pressed.
				_, err = d.note(func(l *ledger) { l.Refunded = seen.RefundedFen })
				return err
			}
			if r.RefundNo == no && r.State == "refused" {
				return nil
			}
		}
		rest(ctx, 100*time.Millisecond)
	}
	return nil
}
