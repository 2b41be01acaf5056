package platformtest

import (
	"errors"
	"fmt"
	"strings"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// fieldCases are charges that must be refused before anything is sent.
func fieldCases(s Subject, able can) []Case {
	if !able.charge {
		return nil
	}
	number := func(no string) func(*platforms.Charge) { return func(c *platforms.Charge) { c.OrderNo = no } }
	rules := []FieldRule{
		{Field: "out_trade_no", Why: "an order number has at most 32 characters", Break: number("MZ" + strings.Repeat("0", 31))},
		{Field: "out_trade_no", Why: "an order number is not empty", Break: number("")},
		{Field: "out_trade_no", Why: "an order number has no hyphen (Alipay)", Break: number("MZ-1")},
		{Field: "out_trade_no", Why: "an order number has no full-width digits", Break: number("MZ１００")},
		{Field: "out_trade_no", Why: "an order number has no line break", Break: number("MZ1\n")},
		{Field: "amount_fen", Why: "zero is not an amount to pay", Break: func(c *platforms.Charge) { c.Amount = 0 }},
		{Field: "amount_fen", Why: "less than zero is not an amount to pay", Break: func(c *platforms.Charge) { c.Amount = -1 }},
		{Field: "amount_fen", Why: "no wire carries more than MaxFen", Break: func(c *platforms.Charge) { c.Amount = platforms.MaxFen + 1 }},
		{Field: "subject", Why: "both platforms demand a subject", Break: func(c *platforms.Charge) { c.Subject = "" }},
		{Field: "subject", Why: "blanks are no subject", Break: func(c *platforms.Charge) { c.Subject = " \t" }},
		{Field: "subject", Why: "control characters fit no XML", Break: func(c *platforms.Charge) { c.Subject = "a\x00b" }},
		{Field: "subject", Why: "a text is valid UTF-8", Break: func(c *platforms.Charge) { c.Subject = "a\xff" }},
		{Field: "auth_code", Why: "a charge needs a payment code", SentOnly: true, Break: func(c *platforms.Charge) { c.Code = platforms.AuthCode{} }},
	}
	var all []Case
	for i, r := range append(rules, s.Fields...) {
		all = append(all, Case{
			Name: fmt.Sprintf("fields/%02d %s", i+1, r.Field),
			Rule: "Fields are checked before anything is sent, and the error names the API's field: " + r.Why + ".",
			run:  func(w *world) error { return w.breaksField(r) },
		})
	}
	if able.check {
		all = append(all, Case{"fields/valid charge", "A charge that keeps the rules passes the check, and the check sends nothing.", func(w *world) error {
			ch := w.p.(platforms.Checker)
			err := ch.CheckCharge(w.order(100))
			if able.present {
				err = errors.Join(err, ch.CheckCharge(w.qr(100)))
			}
			if n := len(w.tap.requests()); err != nil || n != 0 {
				return fmt.Errorf("error %w, %d requests", err, n)
			}
			return nil
		}})
	}
	return all
}

func (w *world) breaksField(r FieldRule) error {
	mode := r.Mode
	if mode == "" {
		mode = platforms.ModeCharge
	}
	c := w.s.Charge(mode, w.number(), 100)
	r.Break(&c)
	if ch, ok := w.p.(platforms.Checker); ok && !r.SentOnly {
		if err := w.fieldError(ch.CheckCharge(c), r.Field); err != nil {
			return fmt.Errorf("CheckCharge: %w", err)
		}
	}
	var a platforms.Answer
	var err error
	if mode.Shown() {
		a, err = w.present(c)
	} else {
		a, err = w.charge(c)
	}
	if a.Status != platforms.Unknown {
		return fmt.Errorf("the call claims %v", a.Status)
	}
	if !errors.Is(err, platforms.ErrNotCharged) {
		return fmt.Errorf("error %v does not prove that nothing was charged", err)
	}
	return w.fieldError(err, r.Field)
}

// fieldError demands an error about one of the fields and that nothing was sent.
func (w *world) fieldError(err error, fields ...string) error {
	w.hear(err)
	var f *platforms.FieldError
	if !errors.As(err, &f) {
		return fmt.Errorf("error is %v, want a *FieldError on %v", err, fields)
	}
	named := false
	for _, want := range fields {
		named = named || f.Field == want
	}
	if !named || f.Reason == "" {
		return fmt.Errorf("the error names field %q (reason %q), want one of %v", f.Field, f.Reason, fields)
	}
	if n := len(w.tap.requests()); n != 0 {
		return fmt.Errorf("%d requests were sent", n)
	}
	return nil
}

// replyCases are good answers written in another way.
func replyCases(s Subject) []Case {
	var all []Case
	for _, name := range sorted(s.Variants) {
		variant := s.Variants[name]
		all = append(all, Case{"answer/" + name, "A good answer written as '" + name + "' says the same.", func(w *world) error {
			changed := false
			mutate := func(good []byte) []byte {
				out := variant(good)
				changed = changed || string(out) != string(good)
				return out
			}
			w.ctl.Mutate(bank.OpCharge, mutate)
			w.ctl.Mutate(bank.OpQuery, mutate)
			w.ctl.Mutate(bank.OpCancel, mutate)
			c, ref, err := w.paid(8888)
			if err != nil {
				return err
			}
			if err := w.want(ref, platforms.Paid); err != nil {
				return err
			}
			got, err := w.cancel(ref)
			if err != nil || !got.Done {
				return fmt.Errorf("cancel: done %v, error %w", got.Done, err)
			}
			if !changed {
				return errors.New("the variant changes nothing in the answers")
			}
			return w.net(c, 0)
		}})
	}
	return all
}
