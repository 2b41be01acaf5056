package counter

import (
	"crypto/subtle"
	"errors"

	"payagent/agent/order"
	"payagent/platforms"
)

// Authorise is the payer's browser coming back from 医保授权, or HIS that took
// it in and hands it on.
type Authorise struct {
	Reply    uint64
	Order    string
	State    platforms.Hidden // as it came back
	AuthCode platforms.Hidden
}

// TokenDone is the return of the call for a token. A failed one carries what
// the next attempt needs: random numbers are made outside.
type TokenDone struct {
	Order   string
	Token   platforms.InsuranceToken
	Err     error
	State   platforms.Hidden // of the next attempt
	Address platforms.Hidden // where the payer's browser is sent for it
}

// Settle is what HIS settled with the insurance. It was checked outside
// against the platform's tables.
type Settle struct {
	Reply     uint64
	Order     string
	Insurance platforms.Insurance // HIS's part: sums, numbers, prescription
	Body      string              // keyed hash of the request, so that a repetition is known
}

// authorise takes a code that the payer's browser brought back: once, and only
// with the state of the present attempt.
func (c *Counter) authorise(e Authorise) {
	x := c.orders[e.Order]
	switch {
	case c.stopped || !c.ready:
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
		return
	case x == nil || x.o.Insured == nil:
		c.reply(Reply{ID: e.Reply, Code: CodeNotFound})
		return
	case !sameState(x.o.Private.Pass.State, e.State):
		c.reply(Reply{ID: e.Reply, Code: CodeWrongState, Order: x.o.Clone()})
		return
	case x.o.State() != order.Waiting || x.o.CancelAsked != nil || x.o.Insured.Stop != order.StopAuthorise:
		c.reply(Reply{ID: e.Reply, Code: CodeWrongStop, Order: x.o.Clone()})
		return
	}
	x.o.Private.Pass.State, x.o.Private.Pass.Address = platforms.Hidden{}, platforms.Hidden{}
	if c.stop(x, order.InsuredStep{Stop: order.StopToken}) {
		c.emit(Call{Order: x.o.No, Platform: x.o.Platform, Verb: order.VerbToken, Ask: x.o.Ask(e.AuthCode), Redirect: x.o.Private.Pass.Redirect, Ref: x.o.Ref(),
			Timeout: c.platform(x).Policy.CallTimeout, NotAfter: order.Never})
	}
	c.advance(x)
	c.reply(Reply{ID: e.Reply, Code: CodeAccepted, Order: x.o.Clone()})
}

// sameState compares in constant time. No state is like no other.
func sameState(ours, came platforms.Hidden) bool {
	return !ours.Empty() && subtle.ConstantTimeCompare([]byte(ours.Reveal()), []byte(came.Reveal())) == 1
}

func (c *Counter) stop(x *entry, s order.InsuredStep) bool {
	f := c.fact(x, order.KindInsured)
	f.Insured = &s
	return c.write(x, f, Write{})
}

// tokenDone takes what an authorisation is worth. One that gave nothing may be
// repeated, with a state of its own.
func (c *Counter) tokenDone(e TokenDone) {
	x := c.orders[e.Order]
	if x == nil {
		return
	}
	c.noteReach(x, e.Err)
	if x.o.State() != order.Waiting || x.o.Insured == nil || x.o.Insured.Stop != order.StopToken {
		return // it ended meanwhile; nothing was charged
	}
	t := e.Token
	switch {
	case e.Err == nil && !(t.PayAuthNo.Empty() && t.QRCode.Empty() && t.CardInfo.Empty()):
		x.o.Private.Pass.Token = t
		i := &x.o.Private.Insurance
		i.CardInfo, i.PayAuthNo, i.PayQRCode = t.CardInfo, t.PayAuthNo, t.QRCode
		c.stop(x, order.InsuredStep{Stop: order.StopSettle})
	default:
		x.o.Private.Pass.State, x.o.Private.Pass.Address = e.State, e.Address
		s := order.InsuredStep{Stop: order.StopAuthorise, Code: t.Code, Message: t.Message}
		var bad *platforms.FieldError
		switch {
		case errors.As(e.Err, &bad):
			s.Code, s.Message = "field_invalid", bad.Error()
		case e.Err != nil:
			s.Code = "no_answer"
		}
		c.stop(x, s)
	}
	c.advance(x)
}

// settle sends the payment that HIS settled: its intent is written first.
func (c *Counter) settle(e Settle) {
	x := c.orders[e.Order]
	switch {
	case c.stopped || !c.ready:
		c.reply(Reply{ID: e.Reply, Code: CodeStopped})
		return
	case x == nil || x.o.Insured == nil:
		c.reply(Reply{ID: e.Reply, Code: CodeNotFound})
		return
	}
	r := Reply{ID: e.Reply, Code: CodeAccepted, Platform: x.o.Platform}
	s := x.o.Insured
	may := s.Stop == order.StopSettle || s.Stop == order.StopAuthorise && x.o.Private.Pass.Own
	switch {
	case s.Stop == order.StopSent && s.Body == e.Body:
		r.Code = CodeReplayed
	case x.o.State() != order.Waiting || x.o.CancelAsked != nil || !may:
		r.Code = CodeWrongStop
	case c.down[x.o.Platform]:
		r.Code = c.away(x.o.Platform)
	case c.noToken[x.o.Merchant.Profile]:
		r.Code = CodeTokenRefused
	default:
		c.settled(x, e)
	}
	r.Order = x.o.Clone()
	c.reply(r)
}

func (c *Counter) settled(x *entry, e Settle) {
	i, his := &x.o.Private.Insurance, e.Insurance
	i.Insured, i.Cash, i.Reduced, i.HasReduced = his.Insured, his.Cash, his.Reduced, his.HasReduced
	i.BillNo, i.SerialNo, i.RequestContent = his.BillNo, his.SerialNo, his.RequestContent
	split := &order.Split{Insured: his.Insured, Cash: his.Cash}
	if his.HasReduced {
		split.Reduced = &his.Reduced
	}
	if c.stop(x, order.InsuredStep{Stop: order.StopSent, Split: split, Body: e.Body}) {
		c.present(x)
	}
	c.advance(x)
}
