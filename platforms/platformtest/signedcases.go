package platformtest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// Signed says how the suite forges what a platform signs. It is for platforms
// whose answers carry a signature and something that ties them to one request.
type Signed struct {
	// Forge signs a good answer with a stranger's key; Strip takes its signature
	// away.
	Forge, Strip func(good []byte) []byte
}

// Notices says what a platform tells by itself. A [platforms.Notifier] must
// come with it.
type Notices struct {
	// Tell gives the message that the platform sends about a trade of its books.
	Tell func(t bank.Trade, at time.Duration) platforms.Incoming
	// Browser gives what a payer's browser brings back; nil where none comes
	// back. left says that the payer gave up.
	Browser func(t bank.Trade, left bool, at time.Duration) platforms.Incoming
	// Forge signs a good message with a stranger's key, Strip takes its
	// signature away, Alter lets it say 0.01 yuan more and leaves the signature.
	Forge, Strip, Alter func(good platforms.Incoming) platforms.Incoming
	// Elsewhere makes it, rightly signed, a message for another merchant.
	Elsewhere func(good platforms.Incoming) platforms.Incoming
}

// signedCases are for platforms that sign their answers.
func signedCases(s Subject, able can) []Case {
	if s.Signed == nil {
		return nil
	}
	var all []Case
	for _, o := range ops(able) {
		for name, x := range map[string]struct {
			spoil func([]byte) []byte
			rule  string
		}{
			"signature of a stranger": {s.Signed.Forge, "An answer that somebody else signed is nobody's word, whatever it says."},
			"no signature":            {s.Signed.Strip, "An answer that nobody signed proves nothing: neither that money moved nor that it did not."},
		} {
			all = append(all, Case{o.name + "/" + name, x.rule, func(w *world) error {
				changed := false
				err := w.breaks(o, func() {
					w.ctl.Mutate(o.name, func(good []byte) []byte {
						bad := x.spoil(good)
						changed = string(bad) != string(good)
						return bad
					})
				}, false)
				if err == nil && !changed {
					err = errors.New("the answer is the same")
				}
				return err
			}})
		}
		all = append(all, Case{
			o.name + "/unsigned refusal",
			"A refusal that nobody signed is unknown, not failed: whoever sits on the way could have written it.",
			func(w *world) error { return w.unsignedRefusal(o) },
		})
	}
	return append(all, Case{
		"query/older answer of the same order",
		"What the platform once said of this very order, signed and true then, does not answer a later question.",
		(*world).olderAnswer,
	})
}

// unsignedRefusal makes the platform refuse, without a signature.
func (w *world) unsignedRefusal(o op) error {
	_, got, err := o.do(w, func() {
		w.ctl.Inject(o.name, bank.Token)
		w.ctl.Mutate(o.name, w.s.Signed.Strip)
	})
	if err != nil {
		return err
	}
	if errors.Is(got.err, platforms.ErrToken) {
		return fmt.Errorf("the error blames our credentials on nobody's word: %w", got.err)
	}
	return got.unknown()
}

// olderAnswer replays what a query said while the order was paid, after its
// money was given back.
func (w *world) olderAnswer() error {
	c, ref, err := w.paid(4321)
	if err != nil {
		return err
	}
	if err := w.want(ref, platforms.Paid); err != nil {
		return err
	}
	all := w.ctl.Exchanges()
	old := all[len(all)-1].Reply
	if got, err := w.cancel(ref); err != nil || !got.Done {
		return fmt.Errorf("cancel: done %v, error %w", got.Done, err)
	}
	w.ctl.Mutate(bank.OpQuery, func([]byte) []byte { return old })
	a, err := w.query(ref)
	if err == nil && a.Status != platforms.Unknown && platforms.Bind(ref, a) == nil {
		return fmt.Errorf("an answer from before the cancel still says %v", a.Status)
	}
	return w.net(c, 0)
}

// noticeCases are for platforms that tell outcomes by themselves.
func noticeCases(s Subject) []Case {
	n := s.Notices
	if n == nil {
		return nil
	}
	// read gives what the adapter makes of a message about an order that is paid.
	type reading struct {
		c   platforms.Charge
		in  platforms.Incoming
		got platforms.Notice
		err error
	}
	read := func(w *world, change func(platforms.Incoming) platforms.Incoming) (reading, error) {
		c, _, err := w.paid(8888)
		if err != nil && !w.can.traits.NoQuery {
			return reading{}, err
		}
		t, found := w.bank.Query(w.now(), c.OrderNo)
		if !found || t.State != bank.Paid {
			return reading{}, errors.New("the order is not paid in the books")
		}
		r := reading{c: c, in: n.Tell(t, w.now())}
		if change != nil {
			bad := change(r.in)
			if bad == r.in {
				return r, errors.New("the message is the same")
			}
			r.in = bad
		}
		r.got, r.err = w.p.(platforms.Notifier).Notice(r.in)
		w.hear(r.err, fmt.Sprintf("%+v", r.got))
		return r, nil
	}
	refuses := func(change func(platforms.Incoming) platforms.Incoming) func(w *world) error {
		return func(w *world) error {
			r, err := read(w, change)
			if err != nil {
				return err
			}
			if r.err == nil || r.got.Evidence || r.got.Answer.Status != platforms.Unknown {
				return fmt.Errorf("it is taken for the platform's word: status %v, evidence %v", r.got.Answer.Status, r.got.Evidence)
			}
			if n := len(w.tap.requests()); n > 2 {
				return errors.New("reading a message sends requests")
			}
			return nil
		}
	}
	all := []Case{
		{"notice/paid", "A message about a paid order says paid, with its number and amount, and the words that the platform wants to read.", func(w *world) error {
			r, err := read(w, nil)
			if err != nil {
				return err
			}
			a := r.got.Answer
			if r.err != nil || a.Status != platforms.Paid || a.OrderNo != r.c.OrderNo || !a.HasAmount || r.got.Reply == "" || r.got.ByBrowser || r.got.Canceled {
				return fmt.Errorf("%+v, error %w", r.got, r.err)
			}
			if r.got.Evidence != w.can.traits.NoQuery {
				return fmt.Errorf("evidence %v, but the platform has no query: %v", r.got.Evidence, w.can.traits.NoQuery)
			}
			return platforms.Bind(r.c.Ref, a)
		}},
		{"notice/closed", "A message about an order that was given back says closed.", func(w *world) error {
			r, err := read(w, nil)
			if err != nil {
				return err
			}
			w.bank.Cancel(w.now(), r.c.OrderNo)
			t, _ := w.bank.Query(w.now(), r.c.OrderNo)
			got, err := w.p.(platforms.Notifier).Notice(n.Tell(t, w.now()))
			if err != nil || got.Answer.Status != platforms.Closed || got.Answer.OrderNo != r.c.OrderNo {
				return fmt.Errorf("%+v, error %w", got, err)
			}
			return nil
		}},
		{"notice/repeated", "The same message again is read the same: what has been done already is known by the order, not by the adapter.", func(w *world) error {
			r, err := read(w, nil)
			if err != nil {
				return err
			}
			again, err := w.p.(platforms.Notifier).Notice(r.in)
			if err != nil || again.Answer.Status != r.got.Answer.Status || again.Evidence != r.got.Evidence {
				return fmt.Errorf("%+v, error %w", again, err)
			}
			return nil
		}},
		{"notice/another amount is seen", "An amount that is not ours is carried, so that Bind refuses it.", func(w *world) error {
			r, err := read(w, nil)
			if err != nil {
				return err
			}
			other := r.c.Ref
			other.Amount++
			if platforms.Bind(other, r.got.Answer) == nil {
				return errors.New("it passes for an order of another amount")
			}
			return nil
		}},
		{"notice/signature of a stranger", "A message that somebody else signed is refused.", refuses(n.Forge)},
		{"notice/no signature", "A message that nobody signed is refused.", refuses(n.Strip)},
		{"notice/altered", "A message that was changed on its way is refused.", refuses(n.Alter)},
		{"notice/another merchant", "A message for another merchant is refused, though it is the platform's.", refuses(n.Elsewhere)},
		{"notice/nothing", "An empty message is refused.", refuses(func(in platforms.Incoming) platforms.Incoming { return platforms.Incoming{Now: in.Now} })},
		{"notice/garbage", "A message without sense is refused.", refuses(func(in platforms.Incoming) platforms.Incoming {
			return platforms.Incoming{Query: "%zz&&=;" + strings.Repeat("a=1&", 10), Form: "\x00\xff", Now: in.Now}
		})},
	}
	if n.Browser != nil {
		for name, left := range map[string]bool{"notice/browser comes back": false, "notice/browser says that the payer left": true} {
			all = append(all, Case{name, "What a payer's browser brings is never evidence, even rightly signed.", func(w *world) error {
				r, err := read(w, nil)
				if err != nil {
					return err
				}
				t, _ := w.bank.Query(w.now(), r.c.OrderNo)
				got, err := w.p.(platforms.Notifier).Notice(n.Browser(t, left, w.now()))
				if err != nil || !got.ByBrowser || got.Evidence || got.Canceled != left || got.Answer.OrderNo != r.c.OrderNo {
					return fmt.Errorf("%+v, error %w", got, err)
				}
				return nil
			}})
		}
	}
	return all
}

// pageCases are for platforms that show pages. They lead to the same books as a
// QR code.
func pageCases(p platforms.Presenter) []Case {
	var all []Case
	for _, mode := range []platforms.Mode{platforms.ModeH5, platforms.ModeInsurance} {
		if !p.Presents(mode) {
			continue
		}
		all = append(all,
			Case{"page/" + string(mode) + " is paid", "A page gives its address and is paid once; a cancel gives all of it back.", func(w *world) error {
				c := w.s.Charge(mode, w.number(), 8888)
				a, err := w.present(c)
				if err != nil || a.Status != platforms.Pending || a.QR == "" && a.PayString == "" {
					return fmt.Errorf("%+v, error %w", a, err)
				}
				if got, ok := w.ctl.Last(bank.OpPresent, c.OrderNo); !ok || got.Amount != c.Amount {
					return fmt.Errorf("%d fen were asked, the wire carried %d", c.Amount, got.Amount)
				}
				if err := platforms.Bind(c.Ref, a); err != nil {
					return err
				}
				ref := with(c.Ref, a)
				w.bank.Scan(w.now(), c.OrderNo, bank.Payer{})
				if err := w.want(ref, platforms.Paid); err != nil {
					return err
				}
				if got, err := w.cancel(ref); err != nil || !got.Done || got.Action != platforms.ActionRefund {
					return fmt.Errorf("cancel: %+v, error %w", got, err)
				}
				return w.net(c, 0)
			}},
			Case{"page/" + string(mode) + " is left", "A page that nobody pays is closed by the cancel and can be paid no more.", func(w *world) error {
				c := w.s.Charge(mode, w.number(), 8888)
				if _, err := w.present(c); err != nil {
					return err
				}
				if got, err := w.cancel(c.Ref); err != nil || !got.Done || got.Action == platforms.ActionRefund {
					return fmt.Errorf("cancel: %+v, error %w", got, err)
				}
				w.bank.Scan(w.now(), c.OrderNo, bank.Payer{})
				if err := w.want(c.Ref, platforms.Closed); err != nil {
					return err
				}
				return w.net(c, 0)
			}},
			Case{"page/" + string(mode) + " cannot leave", "A request for a page that cannot leave proves that nothing was charged.", func(w *world) error {
				w.tap.replace(nowhere{}.RoundTrip)
				if _, err := w.present(w.s.Charge(mode, w.number(), 100)); !errors.Is(err, platforms.ErrNotCharged) {
					return fmt.Errorf("error %v does not wrap ErrNotCharged", err)
				}
				return nil
			}})
	}
	return all
}
