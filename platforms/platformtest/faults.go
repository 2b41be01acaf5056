package platformtest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// op is one operation on an order that stands ready for it.
type op struct {
	name string
	// do prepares an order, calls hook, makes the call and gives its claim.
	do func(w *world, hook func()) (platforms.Charge, result, error)
}

func ops(able can) []op {
	all := []op{{bank.OpQuery, doQuery}, {bank.OpCancel, doCancel}}
	if able.charge {
		all = append([]op{{bank.OpCharge, doCharge}}, all...)
	}
	if able.refund {
		all = append(all, op{bank.OpRefund, doRefund})
	}
	if able.present {
		all = append(all, op{bank.OpPresent, doPresent})
	}
	return all
}

func doCharge(w *world, hook func()) (platforms.Charge, result, error) {
	c := w.order(8888)
	hook()
	return c, answered(w.charge(c)), nil
}

func doPresent(w *world, hook func()) (platforms.Charge, result, error) {
	c := w.qr(8888)
	hook()
	a, err := w.present(c)
	if err == nil && a.QR != "" {
		return c, result{err: err, claim: "qr"}, nil
	}
	return c, answered(a, err), nil
}

func doQuery(w *world, hook func()) (platforms.Charge, result, error) {
	c, ref, err := w.paid(8888)
	if err != nil {
		return c, result{}, err
	}
	hook()
	return c, answered(w.query(ref)), nil
}

func doCancel(w *world, hook func()) (platforms.Charge, result, error) {
	c, ref, err := w.paid(8888)
	if err != nil {
		return c, result{}, err
	}
	hook()
	return c, cancelled(w.cancel(ref)), nil
}

func doRefund(w *world, hook func()) (platforms.Charge, result, error) {
	c, ref, err := w.paid(8888)
	if err != nil {
		return c, result{}, err
	}
	hook()
	return c, refunded(w.refund(refundOf(ref, "R1", 888))), nil
}

// broken lists what can happen to any exchange, and what to call it.
var broken = []struct {
	fault bank.Fault
	rule  string
	fails bool // the call must return an error, not merely claim nothing
}{
	{bank.LoseRequest, "A request that is lost on the way leaves the outcome unknown.", true},
	{bank.LoseReply, "A reply that is lost on the way leaves the outcome unknown.", true},
	{bank.Reset, "A connection that is reset leaves the outcome unknown, and nothing is sent again.", true},
	{bank.HTTP500, "HTTP 500 leaves the outcome unknown.", false},
	{bank.HTTP500After, "HTTP 500 leaves the outcome unknown even when the platform has done what was asked.", false},
	{bank.HTTP502, "An answer under an HTTP error is nobody's word: unknown, whatever it says.", false},
	{bank.HTTP404, "HTTP 404 leaves the outcome unknown; it is not 'no such order'.", false},
	{bank.Redirect, "No redirect is followed, and a redirect leaves the outcome unknown.", false},
	{bank.Redirect307, "No redirect is followed, not even one that keeps method and body.", false},
	{bank.HTML200, "A web page in place of an answer leaves the outcome unknown.", false},
	{bank.Garbage, "Bytes without sense leave the outcome unknown.", false},
	{bank.Empty, "An empty answer leaves the outcome unknown.", false},
	{bank.HalfReply, "Half an answer leaves the outcome unknown.", true},
	{bank.Huge, "An answer of more than 64 KiB is refused unread, though its beginning is right.", false},
}

func faultCases(s Subject, able can) []Case {
	var all []Case
	for _, o := range ops(able) {
		for _, b := range broken {
			all = append(all, Case{o.name + "/" + string(b.fault), b.rule, func(w *world) error {
				return w.breaks(o, func() { w.ctl.Inject(o.name, b.fault) }, b.fails)
			}})
		}
		attacks := map[string]func([]byte) []byte{"cut": func(good []byte) []byte { return good[:len(good)-len(good)/4-1] }}
		for name, attack := range s.Attacks {
			attacks[name] = attack
		}
		for _, name := range sorted(attacks) {
			attack := attacks[name]
			all = append(all, Case{o.name + "/answer " + name, "Answers are read strictly: one spoilt by '" + name + "' proves nothing.", func(w *world) error {
				changed := false
				err := w.breaks(o, func() {
					w.ctl.Mutate(o.name, func(good []byte) []byte {
						bad := attack(good)
						changed = string(bad) != string(good)
						return bad
					})
				}, false)
				if err == nil && !changed {
					err = fmt.Errorf("the attack %q changes nothing in the answer", name)
				}
				return err
			}})
		}
		all = append(all, tokenCase(o), stumbleCase(o))
	}
	return all
}

// breaks makes the call of o with something broken and demands that it claims
// nothing, is on the wire once, and that the truth is found afterwards.
func (w *world) breaks(o op, breakIt func(), fails bool) error {
	var before int
	c, got, err := o.do(w, func() {
		before = len(w.ctl.Exchanges())
		breakIt()
	})
	if err != nil {
		return err
	}
	if err := got.unknown(); err != nil {
		return err
	}
	if fails && got.err == nil {
		return errors.New("a broken connection gives no error")
	}
	if o.name == bank.OpCharge || o.name == bank.OpPresent {
		if n := len(w.ctl.Exchanges()) - before; n != 1 {
			return fmt.Errorf("%d requests on the wire for one %s", n, o.name)
		}
	}
	w.ctl.Mutate(o.name, nil)
	if o.name != bank.OpCharge || !w.can.traits.FindsByNumber {
		return nil
	}
	if w.bank.Net(c.OrderNo) == c.Amount {
		return w.want(c.Ref, platforms.Paid)
	}
	return w.want(c.Ref, platforms.NotFound, platforms.Unknown)
}

func tokenCase(o op) Case {
	return Case{o.name + "/token", "Refused credentials are ErrToken; a charge that met them was not made and is not sent again.", func(w *world) error {
		var truth platforms.Fen
		c, got, err := o.do(w, func() { w.ctl.Inject(o.name, bank.Token) })
		if err != nil {
			return err
		}
		if !errors.Is(got.err, platforms.ErrToken) {
			return fmt.Errorf("error is %v, want one that wraps ErrToken", got.err)
		}
		if got.claim != "" {
			return fmt.Errorf("the call claims %q", got.claim)
		}
		if o.name == bank.OpCharge || o.name == bank.OpPresent {
			if !errors.Is(got.err, platforms.ErrNotCharged) {
				return fmt.Errorf("error %w does not wrap ErrNotCharged", got.err)
			}
			if n := w.ctl.Count(o.name, c.OrderNo); n != 1 {
				return fmt.Errorf("%d requests on the wire for one %s", n, o.name)
			}
		} else {
			truth = c.Amount
		}
		return w.net(c, truth)
	}}
}

func stumbleCase(o op) Case {
	return Case{o.name + "/platform stumbles", "A platform that answers 'something went wrong here' has neither done nor refused what was asked, for all we know.", func(w *world) error {
		_, got, err := o.do(w, func() { w.ctl.Inject(o.name, bank.IsSuccess2) })
		if err != nil {
			return err
		}
		if got.claim == platforms.Pending.String() || (o.name == bank.OpCharge || o.name == bank.OpQuery) && got.claim == platforms.Refused.String() {
			got.claim = ""
		}
		return got.unknown()
	}}
}

// bindCases are answers that speak of something else than what was asked.
func bindCases(s Subject, able can) []Case {
	var all []Case
	for _, o := range []string{bank.OpCharge, bank.OpQuery} {
		if o == bank.OpCharge && !able.charge {
			continue
		}
		for _, b := range []struct {
			fault bank.Fault
			rule  string
		}{
			{bank.WrongAmount, "An answer that carries another amount is refused by Bind: a paid order is paid with our amount or not at all."},
			{bank.WrongOrder, "An answer that carries another order's number is refused by Bind."},
			{bank.WrongMerchant, "An answer that carries another merchant is refused by Bind."},
			{bank.OddStatus, "A status word that no document lists is unknown."},
			{bank.Leak, "An answer never hands on the payment code, though the platform's message repeats it."},
		} {
			if s.Excuses[o+"/"+string(b.fault)] != "" {
				all = append(all, Case{o + "/" + string(b.fault) + " is not carried", "A fault is excused only where the answer has no such field.", func(w *world) error {
					return w.sameBytes(o, b.fault)
				}})
				continue
			}
			all = append(all, Case{o + "/" + string(b.fault), b.rule, func(w *world) error { return w.spoilt(o, b.fault) }})
		}
	}
	return append(all, Case{
		"query/replayed",
		"An older, valid answer about another order proves nothing about ours, where answers carry anything to tell them apart by.",
		(*world).replayed,
	})
}

// replayed answers the query of an open order with what the platform said of
// another one that is paid.
func (w *world) replayed() error {
	_, other, err := w.paid(4321)
	if err != nil {
		return err
	}
	if _, err := w.query(other); err != nil {
		return err
	}
	all := w.ctl.Exchanges()
	old := all[len(all)-1].Reply
	named := false
	for _, mark := range []string{other.OrderNo, other.Handle, other.Amount.Yuan(), strconv.FormatInt(int64(other.Amount), 10)} {
		named = named || mark != "" && bytes.Contains(old, []byte(mark))
	}
	if !named {
		// Such an answer is bound by the key that was asked for (decision 4):
		// the way to the platform must not mix up answers.
		return nil
	}
	c, ref, err := w.open(bank.Payer{PayAfter: -1})
	if err != nil {
		return err
	}
	w.ctl.Mutate(bank.OpQuery, func([]byte) []byte { return old })
	a, err := w.query(ref)
	if err != nil {
		return nil
	}
	if platforms.Bind(ref, a) == nil {
		return fmt.Errorf("the answer about another order (status %v) passes for one to ours", a.Status)
	}
	return w.net(c, 0)
}

// spoilt makes a call whose answer carries a wrong field. The field must be
// refused, either by the adapter or by Bind.
func (w *world) spoilt(name string, f bank.Fault) error {
	if err := w.differs(name, f); err != nil {
		return err
	}
	c := w.order(8888)
	ref := c.Ref
	if name == bank.OpQuery {
		var err error
		if ref, err = w.pay(c); err != nil {
			return err
		}
	}
	w.ctl.Inject(name, f)
	var a platforms.Answer
	var err error
	if name == bank.OpCharge {
		a, err = w.charge(c)
	} else {
		a, err = w.query(ref)
	}
	if err != nil {
		if errors.Is(err, platforms.ErrNotCharged) {
			return fmt.Errorf("the error claims that nothing was charged: %w", err)
		}
		return nil
	}
	switch f {
	case bank.Leak:
		return nil // the leak check after every case looks at all that was said
	case bank.OddStatus:
		return answered(a, err).unknown()
	}
	if platforms.Bind(ref, a) == nil {
		return fmt.Errorf("an answer with %s (status %v) passes for one to our order", f, a.Status)
	}
	return nil
}

// replies gives the raw bytes of the same answer, good and with the fault.
func (w *world) replies(name string, f bank.Fault) (good, bad string, err error) {
	var out [2]string
	for i, fault := range []bank.Fault{bank.NoFault, f} {
		twin, err := newWorld(w.t, w.s)
		if err != nil {
			return "", "", err
		}
		defer twin.close()
		c := twin.order(8888)
		ref := c.Ref
		if name == bank.OpQuery {
			if ref, err = twin.pay(c); err != nil {
				return "", "", err
			}
		}
		if fault != bank.NoFault {
			twin.ctl.Inject(name, fault)
		}
		if name == bank.OpCharge {
			_, _ = twin.charge(c)
		} else {
			_, _ = twin.query(ref)
		}
		all := twin.ctl.Exchanges()
		out[i] = string(all[len(all)-1].Reply)
	}
	return out[0], out[1], nil
}

func (w *world) differs(name string, f bank.Fault) error {
	good, bad, err := w.replies(name, f)
	if err == nil && good == bad {
		err = fmt.Errorf("the simulator's answer to %s is the same with the fault %s; let it have the fault, or give the excuse %q", name, f, name+"/"+string(f))
	}
	return err
}

func (w *world) sameBytes(name string, f bank.Fault) error {
	good, bad, err := w.replies(name, f)
	if err == nil && good != bad {
		err = fmt.Errorf("the fault %s of %s is excused, but the answer has it", f, name)
	}
	return err
}
