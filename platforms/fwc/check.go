package fwc

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
)

// The lengths that seed 004 gives (§5.4; OutTradeNo's 32 stands in §6).
const (
	maxOrderNo   = 32
	maxRequestNo = 32
)

var (
	orderNoForm   = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)
	requestNoForm = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)
	codeForm      = regexp.MustCompile(`^[0-9A-Za-z]{1,128}$`)
	quantityForm  = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,4})?$`)
	expiresForm   = regexp.MustCompile(`^([1-9][0-9]{0,4})([mhd])$`)
)

// CheckCharge checks a charge, or a QR if Mode is ModePresent, against the
// mandatory fields and lengths of seed 004 §5.1 and §5.5. The payment code is
// not looked at: it does not exist yet when an order is accepted. Expires and
// Details are checked in both modes and sent with QR codes only.
func (p *Platform) CheckCharge(c platforms.Charge) error {
	if err := checkOrderNo(c.OrderNo); err != nil {
		return err
	}
	if err := checkAmount("amount_fen", c.Amount); err != nil {
		return err
	}
	if _, known := p.cfg.OrderTypes[c.OrderType]; !known {
		return field("order_type", "OrderType is mandatory and this one is not in the table order_types; use a listed one or add it")
	}
	if err := p.checkChannel(c); err != nil {
		return err
	}
	if p.admissionNo(c.Patient).Empty() {
		if p.cfg.InhospitalFallback == FallbackCardNo {
			return field("patient.admission_no", "InhospitalNo is mandatory and patient.card_no is missing too; give one of them")
		}
		return field("patient.admission_no", "InhospitalNo is mandatory; give it or configure inhospital_fallback: card_no")
	}
	for _, f := range []struct {
		name, value string
		mandatory   bool
	}{
		{"subject", c.Subject, true},
		{"patient.name", c.Patient.Name.Reveal(), true},
		{"patient.admission_no", p.admissionNo(c.Patient).Reveal(), true},
		{"patient.phone", c.Patient.Phone.Reveal(), false},
		{"memo", c.Memo, false},
		{"operator.id", c.Operator.ID, false},
		{"till", c.Terminal, false},
	} {
		if err := checkText(f.name, f.value, f.mandatory); err != nil {
			return err
		}
	}
	if err := checkExpires(c.Expires); err != nil {
		return err
	}
	return checkDetails(c.Details)
}

// checkChannel: PayType is optional for a code, which shows its wallet by
// itself, and mandatory for a QR unless it is aggregated.
func (p *Platform) checkChannel(c platforms.Charge) error {
	table := p.cfg.BarcodePayTypes
	if c.Mode == platforms.ModePresent {
		if c.Aggregated {
			return nil
		}
		table = p.cfg.QRPayTypes
		if c.Channel == "" {
			return field("channel", "PayType is mandatory for a QR of one wallet; name the wallet or ask for an aggregated QR")
		}
	}
	if _, known := table[c.Channel]; !known && c.Channel != "" {
		return field("channel", "the platform has no PayType for this wallet; choose another or add it to the table")
	}
	return nil
}

// CheckRefund checks a refund against seed 004 §5.4.
func (p *Platform) CheckRefund(r platforms.Refund) error {
	if err := checkOrderNo(r.OrderNo); err != nil {
		return err
	}
	if !requestNoForm.MatchString(r.RequestNo) {
		return field("request_no", fmt.Sprintf("OutRequestNo is mandatory: 1 to %d letters, digits, - or _", maxRequestNo))
	}
	if err := checkAmount("amount_fen", r.Sum); err != nil {
		return err
	}
	if err := checkAmount("amount_fen", r.Amount); err != nil {
		return field("amount_fen", "TotalAmount is mandatory and the order has no usable amount; look at the order")
	}
	if r.Sum > r.Amount {
		return field("amount_fen", "RefundAmount must not be above the amount of the order; give a smaller one")
	}
	if r.Channel != "" {
		if _, known := p.cfg.BarcodePayTypes[r.Channel]; !known {
			return field("channel", "the platform has no PayType for this wallet; leave it out or add it to the table")
		}
	}
	if err := checkText("trade_no", r.TradeNo, true); err != nil {
		return field("trade_no", "TradeNo is mandatory for a refund; query the order first")
	}
	if err := checkText("reason", r.Reason, false); err != nil {
		return err
	}
	return checkText("till", r.Terminal, false)
}

func checkOrderNo(no string) error {
	if !orderNoForm.MatchString(no) {
		return field("out_trade_no", fmt.Sprintf("OutTradeNo is mandatory: 1 to %d letters and digits", maxOrderNo))
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

// checkAmount holds amounts to what String(9) of §5.4 can carry, so that
// whatever is charged can also be refunded.
func checkAmount(name string, f platforms.Fen) error {
	if f <= 0 || f > platforms.MaxFen {
		return field(name, "the amount must be between 0.01 and "+platforms.MaxFen.Yuan()+" yuan")
	}
	return nil
}

// checkText never repeats the value: it may be a name.
func checkText(name, value string, mandatory bool) error {
	if mandatory && strings.TrimSpace(value) == "" {
		return field(name, "the platform demands it; give it")
	}
	if _, err := strictxml.EscapeChecked(value); err != nil {
		return field(name, "it contains a character that XML cannot carry; leave it out")
	}
	return nil
}

// checkCode looks at the form only; which codes are payable is known upstream.
func checkCode(c platforms.AuthCode) error {
	if !codeForm.MatchString(c.Reveal()) {
		return field("auth_code", "AuthCode is mandatory and consists of letters and digits; scan it again")
	}
	return nil
}

// maxExpires is the longest TimeoutExpress in minutes: 15 days.
const maxExpires = 15 * 24 * 60

func checkExpires(s string) error {
	if s == "" || s == "1c" {
		return nil
	}
	if m := expiresForm.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1]) // at most five digits
		minutes := n * map[string]int{"m": 1, "h": 60, "d": 24 * 60}[m[2]]
		if minutes <= maxExpires {
			return nil
		}
	}
	return field("expires", "TimeoutExpress is 1m to 15d in whole minutes (m), hours (h) or days (d), or 1c for today")
}

func checkDetails(all []platforms.Detail) error {
	for i, d := range all {
		at := fmt.Sprintf("details[%d].", i)
		if d.PriceFen < 0 || d.PriceFen > platforms.MaxFen {
			return field(at+"price_fen", "the price must be between 0.00 and "+platforms.MaxFen.Yuan()+" yuan")
		}
		if d.Quantity != "" && !quantityForm.MatchString(d.Quantity) {
			return field(at+"quantity", "the quantity is a number such as 1 or 0.5")
		}
		for name, v := range map[string]string{
			"goods_id": d.GoodsID, "goods_name": d.GoodsName, "goods_category": d.GoodsCategory, "body": d.Body,
		} {
			if err := checkText(at+name, v, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// admissionNo is what goes out as InhospitalNo.
func (p *Platform) admissionNo(who platforms.Patient) platforms.Hidden {
	if strings.TrimSpace(who.AdmissionNo.Reveal()) == "" && p.cfg.InhospitalFallback == FallbackCardNo {
		return who.CardNo
	}
	return who.AdmissionNo
}

func field(name, reason string) error { return &platforms.FieldError{Field: name, Reason: reason} }
