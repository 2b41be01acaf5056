package agent

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// InsuranceRequest is what HIS gives with an order of mode insurance (seed 004
// §6.4-6.6). Which of it is mandatory is a table of the platform's.
type InsuranceRequest struct {
	UserID      platforms.Hidden // the payer's id at the channel
	PatientIDNo platforms.Hidden // 身份证号码
	Scene       string           // REGISTRATION or TREATMENT; empty: by order type
	InsType     string           // YB or RS; empty: the platform's option
	CityCode    string           // empty: the platform's option
	Redirect    string           // where the authorisation comes back to; empty: the agent's own listener

	KinsfolkName, KinsfolkIDNo, ThirdOpenID platforms.Hidden // 儿保

	CreditOrg       string           // 信用签约
	AuthCode        platforms.Hidden // 信用签约, WeChat
	ECQRCode        platforms.Hidden // 信用签约, at a counter
	EshiminAuthCode platforms.Hidden // 随申办
	PayScene        string           // 随申办: miniprogram
}

// insure makes the memory-only part of an insurance order: what HIS gave, and
// the address that the payer's browser is sent to first.
func (a *Agent) insure(e *counter.Create, r InsuranceRequest) error {
	member, ok := a.parts.Platforms[e.Spec.Platform].(platforms.Insurer)
	if !ok {
		return field("mode", "platform %s takes no medical insurance; use a till whose route leads to one that does", e.Spec.Platform)
	}
	for name, v := range map[string]string{"user_id": r.UserID.Reveal(), "patient_card_no": r.PatientIDNo.Reveal(), "ssc_scene": r.Scene, "ssc_ins_type": r.InsType,
		"city_code": r.CityCode, "kinsfolk_name": r.KinsfolkName.Reveal(), "kinsfolk_card_no": r.KinsfolkIDNo.Reveal(), "third_open_id": r.ThirdOpenID.Reveal(),
		"credit_org": r.CreditOrg, "auth_code": r.AuthCode.Reveal(), "ec_qrcode": r.ECQRCode.Reveal(), "ssc_eshimin_auth_code": r.EshiminAuthCode.Reveal(), "pay_scene": r.PayScene} {
		if len(v) > 1024 || !printable(v) {
			return field("insurance."+name, "is longer than 1024 bytes or has control characters")
		}
	}
	redirect := r.Redirect
	switch {
	case redirect != "" && !address(redirect):
		return field("insurance.redirect_uri", "must be an address http:// or https:// of at most %d characters", maxAddress)
	case redirect == "" && a.cfg.Callback.On():
		redirect = a.cfg.Callback.PublicURL + "/authorised/" + e.No
	}
	i := platforms.Insurance{UserID: r.UserID, PatientIDNo: r.PatientIDNo, Scene: r.Scene, InsType: r.InsType, CityCode: r.CityCode,
		CreditOrg: r.CreditOrg, AuthCode: r.AuthCode, ECQRCode: r.ECQRCode, EshiminAuthCode: r.EshiminAuthCode, PayScene: r.PayScene}
	if i.Scene == "" {
		i.Scene = a.cfg.Insurance.Scene(e.Spec.OrderType)
	}
	pass := order.Pass{Kinsfolk: platforms.InsuranceAsk{KinsfolkName: r.KinsfolkName, KinsfolkIDNo: r.KinsfolkIDNo, ThirdOpenID: r.ThirdOpenID},
		Own: i.CreditOrg != "" || !i.AuthCode.Empty() || !i.ECQRCode.Empty() || !i.EshiminAuthCode.Empty()}
	e.Private.Insurance = i
	if redirect == "" && pass.Own {
		e.Private.Pass = pass // no browser needs to go anywhere
		return nil
	}
	if redirect == "" {
		return field("insurance.redirect_uri", "is missing; give the address that the payer's browser comes back to, or open the callback listener")
	}
	state, address, err := a.attempt(member, e.Spec.Merchant, i.UserID, redirect)
	if err != nil {
		return err
	}
	pass.State, pass.Address, pass.Redirect = state, address, redirect
	e.Private.Pass = pass
	return nil
}

// attempt makes the state of one attempt to authorise, and its address.
func (a *Agent) attempt(member platforms.Insurer, m platforms.Merchant, user platforms.Hidden, redirect string) (state, address platforms.Hidden, err error) {
	var raw [16]byte
	if _, err := io.ReadFull(a.random, raw[:]); err != nil {
		return state, address, fmt.Errorf("cannot make a state for the authorisation: no random numbers: %w", err)
	}
	text := hex.EncodeToString(raw[:])
	to, err := member.Authorise(platforms.Authorisation{Merchant: m, OpenID: user, State: text, Redirect: redirect})
	return platforms.Hide(text), platforms.Hide(to), err
}

// askToken asks what an authorisation is worth. One that is worth nothing is
// followed by the next attempt.
func (a *Agent) askToken(ctx context.Context, c counter.Call) (counter.Event, error) {
	e := counter.TokenDone{Order: c.Order, Err: platforms.ErrUnsupported}
	member, ok := a.parts.Platforms[c.Platform].(platforms.Insurer)
	if !ok {
		return e, e.Err
	}
	e.Token, e.Err = member.InsuranceToken(ctx, c.Ask)
	if c.Redirect == "" {
		return e, e.Err
	}
	var err error
	if e.State, e.Address, err = a.attempt(member, c.Ask.Merchant, c.Ask.UserID, c.Redirect); err != nil {
		// Then this order can only end by its time.
		a.log.Error("the next authorisation cannot be made", "order", c.Order, "error", err)
	}
	return e, e.Err
}

// Authorised is what the payer's browser brought back from 医保授权.
type Authorised struct {
	State    platforms.Hidden
	AuthCode platforms.Hidden
}

// Authorised takes what came back. The reply's code is accepted, state_wrong
// (not of this attempt, or used before), insurance_stop (the order does not
// wait for it now) or not_found. A *platforms.FieldError says what is missing.
func (a *Agent) Authorised(ctx context.Context, no string, r Authorised) (counter.Reply, error) {
	for name, v := range map[string]platforms.Hidden{"auth_code": r.AuthCode, "state": r.State} {
		if v.Empty() || len(v.Reveal()) > 1024 || !printable(v.Reveal()) {
			return counter.Reply{}, field(name, "is missing, longer than 1024 bytes or has control characters")
		}
	}
	reply, err := a.ask(ctx, func(id uint64) counter.Event {
		return counter.Authorise{Reply: id, Order: no, State: r.State, AuthCode: r.AuthCode}
	})
	return a.stopReply(reply, err, no, "")
}

// stopReply tells an order that is over from one that does not exist.
func (a *Agent) stopReply(r counter.Reply, err error, no, body string) (counter.Reply, error) {
	if err != nil || r.Code != counter.CodeNotFound {
		return r, err
	}
	o, err := a.Order(no)
	if err != nil || o == nil || o.Insured == nil {
		return r, err
	}
	r.Code, r.Order = counter.CodeWrongStop, o
	if body != "" && o.Insured.Body == body {
		r.Code = counter.CodeReplayed
	}
	return r, nil
}

// Settlement is how HIS settled an order with the insurance (医保预结算).
type Settlement struct {
	Total      platforms.Fen // must be the order's amount
	Insured    platforms.Fen
	Cash       platforms.Fen
	Reduced    platforms.Fen // valid if HasReduced
	HasReduced bool
	BillNo     string // ssc_bill_no
	SerialNo   string // ssc_serial_no; wins over RequestContent
	// RequestContent is the prescription as the region's documents have it, at
	// most 4000 characters; it may have lines.
	RequestContent platforms.Hidden
}

// Settle sends the payment that HIS settled. Everything is checked against the
// platform's tables before anything is written. The reply's code is accepted,
// replayed (the same settlement came before), insurance_stop,
// platform_unreachable, token_refused or not_found.
func (a *Agent) Settle(ctx context.Context, no string, s Settlement) (counter.Reply, error) {
	o, err := a.Order(no)
	if err != nil {
		return counter.Reply{}, err
	}
	if o == nil {
		return counter.Reply{Code: counter.CodeNotFound}, nil
	}
	if o.Insured == nil {
		return counter.Reply{Code: counter.CodeWrongStop, Order: o}, nil
	}
	if err := checkSettlement(o, s); err != nil {
		return counter.Reply{}, err
	}
	e := counter.Settle{Order: no, Insurance: platforms.Insurance{Insured: s.Insured, Cash: s.Cash, Reduced: s.Reduced, HasReduced: s.HasReduced,
		BillNo: s.BillNo, SerialNo: s.SerialNo, RequestContent: s.RequestContent}}
	if e.Body, err = a.hashSettlement(no, s); err != nil {
		return counter.Reply{}, err
	}
	if o.Insured.Stop == order.StopSettle || o.Insured.Stop == order.StopAuthorise && o.Private.Pass.Own {
		if err := a.checkSettled(o, e.Insurance); err != nil {
			return counter.Reply{}, err
		}
	}
	reply, err := a.ask(ctx, func(id uint64) counter.Event {
		e.Reply = id
		return e
	})
	return a.stopReply(reply, err, no, e.Body)
}

func checkSettlement(o *order.Order, s Settlement) error {
	switch {
	case s.Total != o.Amount:
		return field("total_fen", "is not the order's amount of %s yuan; settle again, or cancel and make a new order", o.Amount.Yuan())
	case s.Insured < 0 || s.Insured > platforms.MaxFen:
		return field("insurance_fen", "must be 0 to %d fen", int64(platforms.MaxFen))
	case s.Cash < 0 || s.Cash > platforms.MaxFen:
		return field("cash_fen", "must be 0 to %d fen", int64(platforms.MaxFen))
	case s.Reduced < 0 || s.Reduced > platforms.MaxFen:
		return field("reduced_fee_fen", "must be 0 to %d fen", int64(platforms.MaxFen))
	case s.Insured+s.Cash == 0:
		return field("cash_fen", "and insurance_fen are both nothing; there is nothing to pay")
	case s.Insured+s.Cash != s.Total && (!s.HasReduced || s.Insured+s.Cash+s.Reduced != s.Total):
		return field("total_fen", "is neither insurance_fen and cash_fen together, nor with reduced_fee_fen; settle again")
	case len(s.BillNo) > 64 || !printable(s.BillNo):
		return field("ssc_bill_no", "is longer than 64 bytes or has control characters")
	case len(s.SerialNo) > 256 || !printable(s.SerialNo):
		return field("ssc_serial_no", "is longer than 256 bytes or has control characters")
	case !utf8.ValidString(s.RequestContent.Reveal()) || utf8.RuneCountInString(s.RequestContent.Reveal()) > 4000:
		return field("request_content", "is longer than 4000 characters or not UTF-8")
	}
	return nil
}

// checkSettled holds the payment, as it would be sent, to the platform's
// tables. Their fields are named as they stand in this request.
func (a *Agent) checkSettled(o *order.Order, his platforms.Insurance) error {
	c, ok := a.parts.Platforms[o.Platform].(platforms.Checker)
	if !ok {
		return nil
	}
	draft := o.Charge()
	i := draft.Insurance
	i.Insured, i.Cash, i.Reduced, i.HasReduced = his.Insured, his.Cash, his.Reduced, his.HasReduced
	i.BillNo, i.SerialNo, i.RequestContent = his.BillNo, his.SerialNo, his.RequestContent
	draft.Insurance = i
	err := c.CheckCharge(draft)
	var bad *platforms.FieldError
	if !errors.As(err, &bad) {
		return err
	}
	name := bad.Field
	if name == "amount_fen" {
		name = "total_fen"
	}
	for _, own := range []string{"insurance_fen", "cash_fen", "reduced_fee_fen", "ssc_bill_no", "ssc_serial_no", "request_content"} {
		if name == "insurance."+own {
			name = strings.TrimPrefix(name, "insurance.")
		}
	}
	return &platforms.FieldError{Field: name, Reason: bad.Reason}
}

// hashSettlement makes a settlement comparable without keeping it.
func (a *Agent) hashSettlement(no string, s Settlement) (string, error) {
	data, err := json.Marshal([]any{no, s.Total, s.Insured, s.Cash, s.Reduced, s.HasReduced, s.BillNo, s.SerialNo, s.RequestContent.Reveal()})
	if err != nil {
		return "", fmt.Errorf("cannot take the settlement of order %s: %w", no, err)
	}
	return a.parts.Box.Hash("settlement", platforms.Hide(string(data))), nil
}
