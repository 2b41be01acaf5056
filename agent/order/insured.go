package order

import (
	"time"

	"payagent/platforms"
)

// A payment by medical insurance has stops before anything is sent: the payer
// authorises, the platform gives a token for that, HIS settles with the
// insurance. The order is waiting all the while, and what names a person is in
// memory only: a process that dies leaves the order failed, nothing sent.

// Stop is where such an order stands.
type Stop string

// The stops.
const (
	StopAuthorise Stop = "authorise" // the payer's browser is to come back with a code
	StopToken     Stop = "token"     // the platform is asked what the code is worth
	StopSettle    Stop = "settle"    // HIS settles with the insurance and tells the sums
	StopSent      Stop = "sent"      // settled: the payment is on its way
)

// InsuredStep is a fact about such an order. It names nobody.
type InsuredStep struct {
	Stop    Stop   `json:"stop"`              // where it stands now
	Code    string `json:"code,omitempty"`    // StopAuthorise: why the token was not given
	Message string `json:"message,omitempty"` // the platform's words
	Split   *Split `json:"split,omitempty"`   // StopSent
	Body    string `json:"body,omitempty"`    // StopSent: keyed hash of the settlement
}

// Split is how HIS settled the amount.
type Split struct {
	Insured platforms.Fen  `json:"insurance_fen"`
	Cash    platforms.Fen  `json:"cash_fen"`
	Reduced *platforms.Fen `json:"reduced_fee_fen,omitempty"`
}

// Insured is what the facts amount to.
type Insured struct {
	Stop    Stop
	Since   Instant
	Failed  int // authorisations that gave no token
	Code    string
	Message string
	Split   *Split
	Body    string
	Own     bool // sent on an authorisation of its own kind: it may take money without any page
}

// Pass is the part of an authorisation that lives in memory alone.
type Pass struct {
	State    platforms.Hidden // of this attempt; forgotten once it came back
	Address  platforms.Hidden // the payer's browser is sent there; names the payer
	Redirect string           // where it comes back to
	Own      bool             // the order came with an authorisation of its own kind (信用签约, 随申办)
	Token    platforms.InsuranceToken
	Kinsfolk platforms.InsuranceAsk // 儿保: only names, numbers and id of the kin
}

func (o *Order) applyInsured(f Fact) error {
	s, was := f.Insured, o.Insured
	if s == nil || was == nil || o.State() != Waiting {
		return forbid(o, f)
	}
	next := Insured{Stop: s.Stop, Since: f.At, Failed: was.Failed, Code: s.Code, Message: s.Message}
	switch {
	case was.Stop == StopAuthorise && s.Stop == StopToken:
	case was.Stop == StopToken && s.Stop == StopAuthorise:
		next.Failed++
	case was.Stop == StopToken && s.Stop == StopSettle:
	case (was.Stop == StopSettle || was.Stop == StopAuthorise) && s.Stop == StopSent && s.Split != nil:
		next.Split, next.Body, next.Own = s.Split, s.Body, was.Stop == StopAuthorise
	default:
		return forbid(o, f)
	}
	o.Insured = &next
	return nil
}

// insuredEnds is when, and why, an order ends at the stop at which it stands.
func (o *Order) insuredEnds(p Policy, now Now) (time.Duration, string) {
	if o.Insured.Stop == StopSettle {
		return now.due(o.Insured.Since, p.SettleWait), "no_settlement"
	}
	return now.due(o.Insured.Since, p.AuthoriseWait), "no_authorisation"
}

// Ask is what the platform is asked about an authorisation.
func (o *Order) Ask(code platforms.Hidden) platforms.InsuranceAsk {
	i, ask := o.Private.Insurance, o.Private.Pass.Kinsfolk
	ask.Merchant, ask.Channel, ask.Eshimin = o.Merchant, o.Channel, !i.EshiminAuthCode.Empty()
	ask.UserID, ask.AuthCode, ask.PatientName, ask.PatientIDNo = i.UserID, code, o.Private.Patient.Name, i.PatientIDNo
	ask.CityCode, ask.InsType = i.CityCode, i.InsType
	return ask
}
