package agenttest

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"payagent/platforms"
)

// page is a bank with pages to pay on, insurance, and messages of its own. If
// it is mute it has no query, and its messages are the evidence.
type page struct {
	*Bank
	mute bool
}

// Presents implements platforms.Presenter.
func (p page) Presents(m platforms.Mode) bool { return m.Shown() }

// Present implements platforms.Presenter.
func (p page) Present(_ context.Context, c platforms.Charge) (platforms.Answer, error) {
	a, err := p.doPresent(c)
	if err == nil {
		a.QR, a.PayString = "https://page.invalid/goto/"+c.OrderNo, `{"prepayId":"`+c.OrderNo+`"}`
	}
	return a, err
}

// Query implements platforms.Platform.
func (p page) Query(ctx context.Context, ref platforms.Ref) (platforms.Answer, error) {
	if p.mute {
		defer p.lock()()
		p.calls = append(p.calls, Call{"query", ref.OrderNo})
		return platforms.Answer{}, platforms.ErrUnsupported
	}
	return p.Bank.Query(ctx, ref)
}

// Refund implements platforms.Refunder.
func (p page) Refund(_ context.Context, r platforms.Refund) (platforms.Refunded, error) {
	return p.doRefund(r)
}

// Traits implements platforms.Platform.
func (p page) Traits() platforms.Traits {
	t := p.Bank.Traits()
	t.NoQuery, t.FindsByNumber = p.mute, !p.mute
	return t
}

// Authorise implements platforms.Insurer.
func (p page) Authorise(a platforms.Authorisation) (string, error) {
	if a.OpenID.Empty() {
		return "", &platforms.FieldError{Field: "insurance.user_id", Reason: "is mandatory"}
	}
	q := url.Values{"open_id": {a.OpenID.Reveal()}, "state": {a.State}, "redirect_uri": {a.Redirect}}
	return "https://page.invalid/oauth2/medicareAuth?" + q.Encode(), nil
}

// BadAuth is an authorisation code that is worth nothing.
const BadAuth = "worthless"

// InsuranceToken implements platforms.Insurer.
func (p page) InsuranceToken(_ context.Context, ask platforms.InsuranceAsk) (platforms.InsuranceToken, error) {
	defer p.lock()()
	if err := p.enter("token", ask.UserID.Reveal()); err != nil {
		return platforms.InsuranceToken{}, err
	}
	if p.deaf {
		return platforms.InsuranceToken{}, errLost
	}
	if ask.AuthCode.Reveal() == BadAuth {
		return platforms.InsuranceToken{Code: "AUTH_CODE_INVALID", Message: "no"}, nil
	}
	return platforms.InsuranceToken{PayAuthNo: platforms.Hide("AUTHNO-" + ask.AuthCode.Reveal()), CardInfo: platforms.Hide("CARD-" + ask.PatientIDNo.Reveal()), CityCode: "310100"}, nil
}

// CheckCharge implements platforms.Checker.
func (p page) CheckCharge(c platforms.Charge) error {
	i := c.Insurance
	if c.Mode == platforms.ModeInsurance && i.Insured+i.Cash > 0 && i.BillNo == "" && i.SerialNo == "" && i.RequestContent.Empty() {
		return &platforms.FieldError{Field: "insurance.ssc_serial_no", Reason: "or ssc_bill_no is mandatory"}
	}
	return nil
}

// CheckRefund implements platforms.Checker.
func (p page) CheckRefund(platforms.Refund) error { return nil }

// Charged gives the request to pay that arrived for an order.
func (b *Bank) Charged(no string) platforms.Charge {
	defer b.lock()()
	return b.charges[no]
}

// Message is what the bank sends by itself about an order: paid or closed.
func Message(no string, s platforms.Status, amount platforms.Fen) platforms.Incoming {
	v := url.Values{"order": {no}, "status": {s.String()}, "amount": {strconv.FormatInt(int64(amount), 10)}, "sign": {"good"}}
	return platforms.Incoming{Query: v.Encode(), Now: time.Now()}
}

// Gone is what a payer's browser carries back that closed the page.
func Gone(no string) platforms.Incoming {
	v := url.Values{"order": {no}, "sub_code": {"5001"}, "sign": {"good"}}
	return platforms.Incoming{Query: v.Encode(), Now: time.Now()}
}

// Ack is what the bank wants to read.
const Ack = "taken"

var errSign = errors.New("cannot verify the message: its signature is not the bank's")

// Notice implements platforms.Notifier.
func (p page) Notice(in platforms.Incoming) (platforms.Notice, error) {
	raw := in.Query
	if in.Form != "" {
		raw = in.Form
	}
	v, err := url.ParseQuery(raw)
	if err != nil || v.Get("sign") != "good" {
		return platforms.Notice{}, errSign
	}
	n := platforms.Notice{Reply: Ack, Evidence: p.mute, Canceled: v.Get("sub_code") == "5001", Answer: platforms.Answer{OrderNo: v.Get("order")}}
	n.ByBrowser = n.Canceled
	switch v.Get("status") {
	case "paid":
		n.Answer.Status, n.Answer.TradeNo = platforms.Paid, "T"+n.Answer.OrderNo
	case "closed":
		n.Answer.Status = platforms.Closed
	}
	if sum, err := strconv.ParseInt(v.Get("amount"), 10, 64); err == nil {
		n.Answer.Amount, n.Answer.HasAmount = platforms.Fen(sum), true
	}
	return n, nil
}

// Reopen turns a closed order into a paid one: money that comes late.
func (b *Bank) Reopen(no string) {
	defer b.lock()()
	if a := b.orders[no]; a != nil {
		a.closed, a.paid = false, true
	}
}
