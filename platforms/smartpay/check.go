package smartpay

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"payagent/platforms"
)

// maxOrderNo is the length of order numbers that both platforms can carry.
// Seed 000 gives none for HisOrderId.
const maxOrderNo = 32

// CheckCharge checks a charge against the seed's 必须 fields, the configured
// tables and what XML can carry. An empty payment code passes, because orders
// are checked before the patient's code is scanned; Charge itself demands it.
func (p *Platform) CheckCharge(c platforms.Charge) error {
	_, err := p.chargeDocument(c, true)
	return err
}

// CheckRefund always refuses: SmartPay has no call that gives a part back.
// The error is a *FieldError and wraps ErrUnsupported.
func (p *Platform) CheckRefund(platforms.Refund) error {
	return fmt.Errorf("%w: %w", platforms.ErrUnsupported,
		&platforms.FieldError{Field: "out_trade_no", Reason: "SmartPay has no refunds; give the money back at the platform's own back office"})
}

// chargeDocument checks a charge and writes its Req.
func (p *Platform) chargeDocument(c platforms.Charge, unscanned bool) (string, error) {
	refuse := func(field, reason string) (string, error) {
		return "", &platforms.FieldError{Field: field, Reason: reason}
	}
	if c.Mode == platforms.ModePresent {
		_, err := refuse("mode", "SmartPay cannot show a code for the payer to scan; use mode charge")
		return "", fmt.Errorf("%w: %w", platforms.ErrUnsupported, err)
	}
	if err := checkOrderNo(c.OrderNo); err != nil {
		return "", err
	}
	if c.Amount <= 0 || c.Amount > platforms.MaxFen {
		return refuse("amount_fen", "must be from 1 to "+wireFen(platforms.MaxFen))
	}
	switch c.Channel {
	case "", platforms.WeChat, platforms.Alipay:
	default:
		return refuse("channel", "SmartPay takes wechat and alipay only")
	}
	if unscanned && c.Code.Empty() {
		c.Code.Hidden = platforms.Hide("0")
	} else if err := checkCode(c); err != nil {
		return "", err
	}
	if _, known := p.cfg.CardTypes[c.Patient.CardType]; !known && !blank(c.Patient.CardType) {
		return refuse("patient.card_type", "is not in the table card_types; use one of "+words(p.cfg.CardTypes))
	}
	if _, known := p.cfg.ServiceIDs[c.OrderType]; !known {
		return refuse("order_type", "is not in the table service_ids; use one of "+words(p.cfg.ServiceIDs))
	}
	return p.document(p.cfg.TransactionCodes.SweepCodePay, p.chargeElements(c))
}

// refusedLocally is a field error of a query or a cancel. A FieldError proves
// that nothing was charged, which is true of the charge that it refuses; about
// an order that exists already a call that was never made proves nothing.
type refusedLocally struct{ field *platforms.FieldError }

func locally(err error) error {
	var f *platforms.FieldError
	if errors.As(err, &f) {
		return &refusedLocally{f}
	}
	return err
}

func (e *refusedLocally) Error() string { return e.field.Error() }

// As finds the FieldError without lending its claim to errors.Is.
func (e *refusedLocally) As(target any) bool {
	f, ok := target.(**platforms.FieldError)
	if ok {
		*f = e.field
	}
	return ok
}

func checkOrderNo(no string) error {
	if no == "" || len(no) > maxOrderNo {
		return &platforms.FieldError{Field: "out_trade_no", Reason: "must have 1 to 32 characters"}
	}
	if strings.Trim(no, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return &platforms.FieldError{Field: "out_trade_no", Reason: "may contain 0-9, A-Z and a-z only"}
	}
	return nil
}

// checkCode checks what kind of code was scanned. SmartPay carries no wallet:
// the platform derives it from the code, so only the kinds it takes may go out.
func checkCode(c platforms.Charge) error {
	if c.Code.Empty() {
		return &platforms.FieldError{Field: "auth_code", Reason: "SmartPay needs AuthCode; scan the payer's payment code"}
	}
	wallet := platforms.Channel("")
	switch c.Code.Kind {
	case platforms.KindWeChat:
		wallet = platforms.WeChat
	case platforms.KindAlipay, platforms.KindAlipayFace:
		wallet = platforms.Alipay
	case "", platforms.KindDigits:
		// Not classified, or a site that sends unknown digits by its own switch.
		return nil
	default:
		return &platforms.FieldError{Field: "auth_code", Reason: "SmartPay takes 微信 and 支付宝 payment codes only"}
	}
	if c.Channel != "" && c.Channel != wallet {
		return &platforms.FieldError{Field: "auth_code", Reason: "is a code of another wallet than the one chosen"}
	}
	return nil
}

func words(table map[string]string) string {
	var all []string
	for word := range table {
		all = append(all, word)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// wireFen writes an amount as seed 000 wants it: whole fen.
func wireFen(f platforms.Fen) string { return strconv.FormatInt(int64(f), 10) }
