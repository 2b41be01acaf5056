package lc

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"payagent/platforms"
	"payagent/platforms/internal/strictjson"
)

// The lengths of seed 004 §6, in characters.
const (
	maxOrderNo     = 32
	maxAmount      = 11
	maxSubject     = 50
	maxBody        = 128
	maxURL         = 512
	maxDisabled    = 128
	maxBusiness    = 256
	maxAgreement   = 4096
	maxOperator    = 30
	maxTerminal    = 32
	maxPaymentType = 36
)

var (
	orderNoForm   = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)
	requestNoForm = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)
	codeForm      = regexp.MustCompile(`^[0-9A-Za-z]{1,128}$`)
	expiresForm   = regexp.MustCompile(`^([1-9][0-9]{0,4})([mhd])$`)
)

// rule is what a text field must keep.
type rule struct {
	api       string // the API's name of the field
	wire      string // the gateway's
	value     string
	max       int // characters; 0 where the tables give none
	mandatory bool
}

// check never repeats the value: it may be a name.
func (r rule) check() error {
	if r.mandatory && strings.TrimSpace(r.value) == "" {
		return field(r.api, r.wire+" is mandatory; give it")
	}
	if !utf8.ValidString(r.value) || strings.ContainsFunc(r.value, unicode.IsControl) {
		return field(r.api, r.wire+" contains a control character or bytes that are no text; leave them out")
	}
	if r.max > 0 && utf8.RuneCountInString(r.value) > r.max {
		return field(r.api, fmt.Sprintf("%s has at most %d characters; shorten it", r.wire, r.max))
	}
	return nil
}

func checkAll(rules []rule) error {
	for _, r := range rules {
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

// CheckCharge checks a charge of any mode against the tables of seed 004 §6.
// The payment code is not looked at: it does not exist yet when an order is
// accepted. Nor is what HIS settles for an insurance payment, until it is
// there.
func (p *Platform) CheckCharge(c platforms.Charge) error {
	if err := checkOrderNo(c.OrderNo); err != nil {
		return err
	}
	if err := checkAmount("amount_fen", c.Amount); err != nil {
		return err
	}
	if err := p.checkChannel(c); err != nil {
		return err
	}
	rules := []rule{
		{"subject", "subject", c.Subject, maxSubject, true},
		{"memo", "body", c.Memo, maxBody, false},
		{"operator.id", "operator_id", c.Operator.ID, maxOperator, false},
		{"till", "terminal_id", c.Terminal, maxTerminal, false},
		{"notify_url", "notify_url", p.notifyURL(c), maxURL, c.Mode == platforms.ModeInsurance},
		{"return_url", "return_url", p.returnURL(c), maxURL, c.Mode == platforms.ModeInsurance},
		{"disable_pay_channels", "disable_pay_channels", p.disabled(c), maxDisabled, false},
	}
	if err := checkAll(rules); err != nil {
		return err
	}
	for name, v := range map[string]string{"notify_url": p.notifyURL(c), "return_url": p.returnURL(c)} {
		if v != "" && !address(v) {
			return field(name, name+" is no URL; write one that is reached from outside, such as https://pay.example.org/notify")
		}
	}
	if err := checkExpires(c.Expires); err != nil {
		return err
	}
	switch c.Mode {
	case platforms.ModeH5:
		return p.checkH5(c)
	case platforms.ModeInsurance:
		if c.Insurance.Cash != 0 || c.Insurance.Insured != 0 {
			return p.checkSettled(c)
		}
	}
	return nil
}

func (p *Platform) checkH5(c platforms.Charge) error {
	if _, known := p.cfg.OrderTypes[c.OrderType]; !known {
		return field("order_type", "order_type is mandatory and this one is not in the table order_types; use a listed one or add it")
	}
	if err := checkObject("business_params", c.Web.BusinessParams, maxBusiness); err != nil {
		return err
	}
	return checkObject("agreement_sign_params", c.Web.AgreementParams, maxAgreement)
}

// checkObject demands strict JSON and tells the place where it is none. The
// seed's own sample of business_params lacks a quote.
func checkObject(name, value string, limit int) error {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	if n := utf8.RuneCountInString(value); n > limit {
		return field(name, fmt.Sprintf("%s has at most %d characters; shorten it", name, limit))
	}
	v, err := strictjson.Parse([]byte(value))
	var at *strictjson.Error
	switch {
	case errors.As(err, &at):
		return field(name, fmt.Sprintf("%s is %v; correct it there", name, at))
	case v.Kind != strictjson.Object:
		return field(name, name+` is no JSON object; write {"name":"value"}`)
	}
	return nil
}

// checkChannel: payment_type is optional for a code, which shows its wallet by
// itself, and for a page; a QR needs it unless it is aggregated, and so does an
// insurance payment.
func (p *Platform) checkChannel(c platforms.Charge) error {
	if c.Mode == platforms.ModePresent && c.Aggregated || c.Mode == platforms.ModeInsurance && eshimin(c) {
		return nil
	}
	if c.Channel == "" {
		switch c.Mode {
		case platforms.ModePresent:
			return field("channel", "payment_type is mandatory for a QR of one wallet; name the wallet or ask for an aggregated QR")
		case platforms.ModeInsurance:
			return field("channel", "payment_type is mandatory for an insurance payment; name the wallet")
		}
		return nil
	}
	if _, known := p.cfg.PaymentTypes[c.Channel]; !known {
		return field("channel", "the platform has no payment_type for this wallet; choose another or add it to the table payment_types")
	}
	return nil
}

// CheckRefund checks a refund against what live clients send (wire.md §3.1).
func (p *Platform) CheckRefund(r platforms.Refund) error {
	if err := checkOrderNo(r.OrderNo); err != nil {
		return err
	}
	if !requestNoForm.MatchString(r.RequestNo) {
		return field("request_no", "out_request_no is mandatory: 1 to 32 letters, digits, - or _")
	}
	if err := checkAmount("amount_fen", r.Sum); err != nil {
		return err
	}
	if checkAmount("amount_fen", r.Amount) != nil {
		return field("amount_fen", "trade_amount is mandatory and the order has no usable amount; look at the order")
	}
	if r.Sum > r.Amount {
		return field("amount_fen", "refund_amount must not be above the amount of the order; give a smaller one")
	}
	if _, known := p.cfg.PaymentTypes[r.Channel]; r.Channel != "" && !known {
		return field("channel", "the platform has no payment_type for this wallet; leave it out or add it to the table payment_types")
	}
	return checkAll([]rule{
		{"reason", "refund_reason", r.Reason, maxBody, false},
		{"operator.id", "operator_id", r.Operator.ID, maxOperator, false},
		{"till", "terminal_id", r.Terminal, maxTerminal, false},
	})
}

func checkOrderNo(no string) error {
	if !orderNoForm.MatchString(no) {
		return field("out_trade_no", fmt.Sprintf("out_trade_no is mandatory: 1 to %d letters and digits", maxOrderNo))
	}
	return nil
}

// checkRef is checkOrderNo for calls about an order that exists. Its error is
// no *FieldError, because that would say that nothing was charged.
func checkRef(ref platforms.Ref) error {
	if err := checkOrderNo(ref.OrderNo); err != nil {
		return fmt.Errorf("cannot ask about the order: %s", err)
	}
	return nil
}

// checkAmount holds amounts to what every wire of ours can carry, so that
// whatever is charged can also be refunded.
func checkAmount(name string, f platforms.Fen) error {
	if f <= 0 || f > platforms.MaxFen || len(f.Yuan()) > maxAmount {
		return field(name, "the amount must be between 0.01 and "+platforms.MaxFen.Yuan()+" yuan")
	}
	return nil
}

// checkCode looks at the form only; which codes are payable is known upstream.
func checkCode(c platforms.AuthCode) error {
	if !codeForm.MatchString(c.Reveal()) {
		return field("auth_code", "auth_code is mandatory and consists of letters and digits; scan it again")
	}
	return nil
}

// maxExpires is the longest timeout_express in minutes: 15 days. The field has
// 6 characters, which the form keeps.
const maxExpires = 15 * 24 * 60

func checkExpires(s string) error {
	if s == "" || s == "1c" {
		return nil
	}
	if m := expiresForm.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1]) // at most five digits
		if n*map[string]int{"m": 1, "h": 60, "d": 24 * 60}[m[2]] <= maxExpires {
			return nil
		}
	}
	return field("expires", "timeout_express is 1m to 15d in whole minutes (m), hours (h) or days (d), or 1c for today")
}

func field(name, reason string) error { return &platforms.FieldError{Field: name, Reason: reason} }
