package platformtest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// Amounts that a float turns into another number of fen (0.29 × 100 is
// 28.999999999999996), and those that carry zeros at either end.
var trickyAmounts = []platforms.Fen{
	10, 29, 57, 58, 100, 110, 113, 114, 115, 116, 201, 203, 205, 207, 226, 251, 402, 410, 435, 451,
	803, 820, 1001, 1005, 1010, 1609, 1998, 1999, 2900, 3330, 6407, 8888, 8890, 10_000, 100_000, 112_233, 1_234_567, 4_567_890,
}

// moneyCases are the ways of an order from charge to its end.
func moneyCases(able can) []Case {
	if !able.charge {
		return nil
	}
	cases := []Case{
		{"charge/pays at once", "A payer who pays at once ends as paid, at once or by one query, with the money taken once.", func(w *world) error {
			c, ref, err := w.paid(8888)
			if err != nil {
				return err
			}
			if n := w.bank.Captures(c.OrderNo); n != 1 {
				return fmt.Errorf("money was taken %d times", n)
			}
			return w.want(ref, platforms.Paid)
		}},
		{"charge/password", "A payer who types a password is pending, not failed, and a later query finds the order paid.", password},
		{"charge/never pays", "The cancel of an unpaid order closes it, and nothing can be taken for it any more.", func(w *world) error {
			return w.cancelUnpaid(bank.Payer{PayAfter: -1})
		}},
		{"charge/late payer", "A payer who pays after the cancel finds the order closed.", func(w *world) error {
			return w.cancelUnpaid(bank.Payer{PayAfter: 50 * time.Second})
		}},
		{"charge/no money", "A refusal is never paid, and failed is said only of a closed list.", func(w *world) error {
			return w.refusal(bank.Payer{NoMoney: true})
		}},
		{"charge/bad code", "A code that is used or expired is never paid.", func(w *world) error {
			return w.refusal(bank.Payer{BadCode: true})
		}},
		{"charge/closes itself", "An order that the platform closed by itself is closed or still open, never paid and never failed.", closesItself},
		{"charge/largest amount", "The largest amount arrives exactly or is refused by a field error before anything is sent.", func(w *world) error {
			if ch, ok := w.p.(platforms.Checker); ok {
				if err := ch.CheckCharge(w.order(platforms.MaxFen)); err != nil {
					return w.fieldError(err, "amount_fen")
				}
			}
			return w.exact(platforms.MaxFen)
		}},
		{"charge/one fen", "One fen is one fen.", func(w *world) error { return w.exact(1) }},
		{"charge/amounts that floats spoil", "Amounts are whole fen from end to end; no float ever touches them.", func(w *world) error {
			for _, a := range trickyAmounts {
				if err := w.exact(a); err != nil {
					return err
				}
			}
			return nil
		}},
		{"charge/many at once", "One adapter serves several tills at the same time without mixing their orders.", many},
		{"cancel/paid order", "The cancel of a paid order gives all the money back, and does not call that a close.", cancelPaid},
		{"cancel/twice", "A cancel may be repeated: it gives the money back once and the second call does no harm.", cancelTwice},
		{"cancel/unpaid twice", "A cancel of an unpaid order may be repeated.", cancelUnpaidTwice},
		{"cancel/unknown number", "A cancel of a number that the platform does not know proves nothing.", cancelUnknown},
		{"cancel/tombstone", "Where the platform closes unknown numbers for ever, a charge that arrives after the cancel takes nothing.", tombstone},
		{"cancel/refused", "A cancel that the platform refuses is not done, whatever it says about asking again: the money is still taken.", cancelRefused},
		{"query/unknown number", "Not found is not found: it is neither failed nor closed, because the charge may still be on its way.", func(w *world) error {
			return w.want(w.order(100).Ref, platforms.NotFound, platforms.Unknown)
		}},
		{"query/stale", "A query that reads old books never claims that an order failed or is closed.", stale},
		{"query/by number alone", "Where the platform is said to find orders by our number, it does so without any key of its own.", byNumber},
		{"query/repeats", "A query changes nothing and may be repeated.", queryRepeats},
	}
	return cases
}

func password(w *world) error {
	w.ctl.SetPayer(bank.Payer{PayAfter: 20 * time.Second})
	c := w.order(1200)
	a, err := w.charge(c)
	if err != nil {
		return err
	}
	a, ref, err := w.settle(c.Ref, a)
	if err != nil {
		return err
	}
	if a.Status != platforms.Pending {
		return fmt.Errorf("while the password is typed the order is %v, want pending", a.Status)
	}
	if err := w.want(ref, platforms.Pending); err != nil {
		return err
	}
	w.advance(20 * time.Second)
	if err := w.want(ref, platforms.Paid); err != nil {
		return err
	}
	return w.net(c, 1200)
}

// open makes an order that is not paid yet.
func (w *world) open(p bank.Payer) (platforms.Charge, platforms.Ref, error) {
	w.ctl.SetPayer(p)
	c := w.order(990)
	a, err := w.charge(c)
	if err != nil {
		return c, c.Ref, err
	}
	a, ref, err := w.settle(c.Ref, a)
	if err == nil && a.Status != platforms.Pending {
		err = fmt.Errorf("an order that nobody has paid is %v, want pending", a.Status)
	}
	return c, ref, err
}

func (w *world) cancelUnpaid(p bank.Payer) error {
	c, ref, err := w.open(p)
	if err != nil {
		return err
	}
	w.advance(20 * time.Second)
	got, err := w.cancel(ref)
	if err != nil {
		return err
	}
	if !got.Done || got.Action == platforms.ActionRefund {
		return fmt.Errorf("the cancel of an unpaid order answers done %v, action %q", got.Done, got.Action)
	}
	if err := platforms.BindCancel(ref, got); err != nil {
		return err
	}
	w.advance(100 * time.Second)
	w.bank.Settle(w.now())
	if err := w.net(c, 0); err != nil {
		return err
	}
	return w.want(ref, platforms.Closed)
}

func (w *world) refusal(p bank.Payer) error {
	w.ctl.SetPayer(p)
	c := w.order(700)
	a, err := w.charge(c)
	if err != nil {
		return err
	}
	if err := platforms.Bind(c.Ref, a); err != nil {
		return err
	}
	if a.Status == platforms.Paid || a.Status == platforms.NotFound || a.Status == platforms.Closed {
		return fmt.Errorf("the answer to a refused charge says %v", a.Status)
	}
	ref := with(c.Ref, a)
	if ref.Handle != "" || w.can.traits.FindsByNumber {
		if err := w.want(ref, platforms.Pending, platforms.Refused, platforms.Failed, platforms.NotFound, platforms.Unknown, platforms.Closed); err != nil {
			return err
		}
	}
	return w.net(c, 0)
}

func closesItself(w *world) error {
	w.personality(bank.Options{AutoClose: 45 * time.Second})
	c, ref, err := w.open(bank.Payer{PayAfter: 60 * time.Second})
	if err != nil {
		return err
	}
	w.advance(time.Hour)
	if err := w.want(ref, platforms.Closed, platforms.Pending); err != nil {
		return err
	}
	return w.net(c, 0)
}

// exact sends an amount and looks what arrived.
func (w *world) exact(amount platforms.Fen) error {
	c, _, err := w.paid(amount)
	if err != nil {
		return fmt.Errorf("amount %d fen: %w", amount, err)
	}
	got, ok := w.ctl.Last(bank.OpCharge, c.OrderNo)
	if !ok || got.Amount != amount {
		return fmt.Errorf("%d fen were asked, the wire carried %d", amount, got.Amount)
	}
	return nil
}

func many(w *world) error {
	const tills = 8
	errs := make([]error, tills)
	var wg sync.WaitGroup
	for i := range tills {
		c := w.order(platforms.Fen(1000 + i))
		wg.Go(func() {
			ref, err := w.pay(c)
			if err == nil && i%2 == 0 {
				_, err = w.cancel(ref)
			}
			if err == nil {
				err = w.net(c, c.Amount*platforms.Fen(i%2))
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func cancelPaid(w *world) error {
	c, ref, err := w.paid(8890)
	if err != nil {
		return err
	}
	got, err := w.cancel(ref)
	if err != nil {
		return err
	}
	if err := platforms.BindCancel(ref, got); err != nil {
		return err
	}
	if !got.Done || got.Action == platforms.ActionClose || got.Action == platforms.ActionNone {
		return fmt.Errorf("the cancel of a paid order answers done %v, action %q", got.Done, got.Action)
	}
	if err := w.net(c, 0); err != nil {
		return err
	}
	return w.wantGivenBack(ref)
}

// wantGivenBack demands what a query may say of money that was given back.
func (w *world) wantGivenBack(ref platforms.Ref) error {
	if w.can.traits.PaidIsSticky {
		return w.want(ref, platforms.Closed, platforms.Paid)
	}
	return w.want(ref, platforms.Closed)
}

func cancelRefused(w *world) error {
	w.personality(bank.Options{RefuseCancel: true})
	c, ref, err := w.paid(8888)
	if err != nil {
		return err
	}
	got, err := w.cancel(ref)
	if got.Done {
		return fmt.Errorf("a refused cancel says done (error %v)", err)
	}
	if errors.Is(err, platforms.ErrNotCharged) {
		return fmt.Errorf("a refused cancel claims that nothing was charged: %w", err)
	}
	if err := w.net(c, 8888); err != nil {
		return err
	}
	return w.want(ref, platforms.Paid)
}

func cancelTwice(w *world) error {
	c, ref, err := w.paid(500)
	if err != nil {
		return err
	}
	for range 2 {
		got, err := w.cancel(ref)
		if err != nil {
			return err
		}
		if got.Done && got.Action == platforms.ActionClose {
			return errors.New("money that was given back is called a close")
		}
	}
	if err := w.net(c, 0); err != nil {
		return err
	}
	return w.wantGivenBack(ref)
}

func cancelUnpaidTwice(w *world) error {
	c, ref, err := w.open(bank.Payer{PayAfter: -1})
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := w.cancel(ref); err != nil {
			return err
		}
	}
	if err := w.net(c, 0); err != nil {
		return err
	}
	return w.want(ref, platforms.Closed)
}

func cancelUnknown(w *world) error {
	ref := w.order(100).Ref
	got, err := w.cancel(ref)
	if got.Done {
		return fmt.Errorf("the cancel of an unknown number says done (error %v)", err)
	}
	if errors.Is(err, platforms.ErrNotCharged) {
		return fmt.Errorf("the cancel of an unknown number claims that nothing was charged: %w", err)
	}
	return nil
}

func tombstone(w *world) error {
	w.personality(bank.Options{CancelTombstones: true})
	c := w.order(100)
	got, err := w.cancel(c.Ref)
	if err != nil {
		return err
	}
	a, err := w.charge(c)
	if err == nil && a.Status == platforms.Paid && (got.Done || w.can.traits.FindsByNumber) {
		return errors.New("a charge after the cancel says paid")
	}
	if _, found := w.bank.Query(w.now(), c.OrderNo); !found {
		return errors.New("the charge never arrived: the case shows nothing")
	}
	// A platform that cannot be cancelled by our number closed nothing.
	if w.can.traits.FindsByNumber {
		return w.net(c, 0)
	}
	return nil
}

func stale(w *world) error {
	w.personality(bank.Options{StaleReads: 10 * time.Second})
	w.ctl.SetPayer(bank.Payer{PayAfter: 5 * time.Second})
	c := w.order(100)
	a, err := w.charge(c)
	if err != nil {
		return err
	}
	ref := with(c.Ref, a)
	for range 14 {
		if err := w.want(ref, platforms.NotFound, platforms.Unknown, platforms.Pending); err != nil {
			return fmt.Errorf("at %v: %w", w.now(), err)
		}
		w.advance(time.Second)
	}
	w.advance(2 * time.Second)
	return w.want(ref, platforms.Paid)
}

func byNumber(w *world) error {
	c, _, err := w.paid(100)
	if err != nil {
		return err
	}
	if w.can.traits.FindsByNumber {
		return w.want(c.Ref, platforms.Paid)
	}
	return w.want(c.Ref, platforms.Paid, platforms.NotFound, platforms.Unknown)
}

func queryRepeats(w *world) error {
	c, ref, err := w.paid(100)
	if err != nil {
		return err
	}
	for range 5 {
		if err := w.want(ref, platforms.Paid); err != nil {
			return err
		}
	}
	if n := w.ctl.Count(bank.OpCharge, c.OrderNo); n != 1 {
		return fmt.Errorf("%d charges on the wire", n)
	}
	return w.net(c, 100)
}
