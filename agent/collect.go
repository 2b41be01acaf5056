package agent

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/platforms"
)

// maxSealed bounds the sealed parts in bytes: in base64 and beside the rest of
// the fact it must fit into one record of the store.
const maxSealed = 40 << 10

// Request is a bill to be paid, as HIS asks for it.
type Request struct {
	Key platforms.Hidden // Idempotency-Key
	// Trace is the W3C trace id that the request came with, or got; or empty.
	Trace string
	Body  platforms.Hidden // the request in a form that is equal for equal requests, without the payment code

	OrderNo     string // HIS's own order number, or empty
	Bill        string
	Amount      platforms.Fen
	Mode        platforms.Mode
	OrderType   string
	Till        string
	Channel     platforms.Channel
	Aggregated  bool
	Subject     string
	Memo        string
	Patient     platforms.Patient
	Operator    platforms.Operator
	AuthCode    platforms.Hidden
	Details     []platforms.Detail
	Expires     string           // 1m–15d in m, h, d, or 1c
	Insurance   InsuranceRequest // mode insurance
	Web         platforms.Web    // modes h5 and insurance; addresses left out are those of the callback listener
	WhenOffline string           // refuse, queue, or empty for the till's own
	ValidFor    time.Duration    // of a queued order; 0 for the till's own
}

// Collect asks for a bill to be paid. A *platforms.FieldError says which field
// of the request cannot be taken; nothing was written then.
func (a *Agent) Collect(ctx context.Context, r Request) (counter.Reply, error) {
	e, err := a.prepare(r)
	if err != nil {
		return counter.Reply{}, err
	}
	a.memory.use(a.Now())
	within := probeFresh
	if e.Handed != nil {
		within = probeHanded
	}
	a.freshen(ctx, e.Spec.Platform, within)
	return a.ask(ctx, func(id uint64) counter.Event {
		e.Reply = id
		return e
	})
}

func field(name, format string, args ...any) error {
	return &platforms.FieldError{Field: name, Reason: fmt.Sprintf(format, args...)}
}

// prepare checks everything that can be checked without the log and makes
// what is random or secret: the number, the hashes, the sealed part.
func (a *Agent) prepare(r Request) (counter.Create, error) {
	var e counter.Create
	till, err := a.checkBasics(&r)
	if err != nil {
		return e, err
	}
	conf, merchant, err := a.cfg.RouteFor(config.Query{Till: r.Till, Mode: r.Mode, OrderType: r.OrderType})
	if err != nil {
		return e, err
	}
	shape := a.shape.Platforms[conf.Name]
	if r.Mode.Shown() && !shape.Present[r.Mode] || r.Mode == platforms.ModeCharge && !shape.Charge {
		return e, field("mode", "platform %s cannot do that; use a till whose route leads to one that can", conf.Name)
	}
	spec := order.Created{Bill: r.Bill, Amount: r.Amount, Mode: r.Mode, Till: r.Till, TillKind: till.Kind,
		Terminal: till.DeviceNo, Platform: conf.Name, Merchant: platforms.Merchant{Profile: merchant.Profile, Code: merchant.MerchCode},
		Channel: r.Channel, Aggregated: r.Aggregated, OrderType: r.OrderType, Operator: r.Operator,
		ScanWait: till.ScanWait, ValidFor: till.ValidFor, OwnNumber: r.OrderNo != "", Trace: r.Trace}
	spec.Books = a.bookTerms(till)
	if r.ValidFor > 0 {
		spec.ValidFor = r.ValidFor
	}
	switch {
	case paged(r.Mode):
		if spec.Expires, spec.ExpiresIn, err = pageExpiry(r.Expires, shape.Policy, time.UnixMilli(a.Now().Wall)); err != nil {
			return e, err
		}
	case r.Mode == platforms.ModePresent:
		if spec.Expires, spec.ExpiresIn, err = expiry(r.Expires, shape.Policy, time.UnixMilli(a.Now().Wall)); err != nil {
			return e, err
		}
	}
	e.No = r.OrderNo
	now := time.UnixMilli(a.Now().Wall)
	if e.No == "" {
		if e.No, err = seal.OrderNumber(a.cfg.Prefix(till.Kind, r.OrderType), now, a.random); err != nil {
			return e, err
		}
	}
	e.Private = order.Private{Patient: r.Patient, Subject: r.Subject, Memo: r.Memo, Details: r.Details}
	if paged(r.Mode) {
		e.Private.Web = a.webOf(conf.Name, e.No, r.Web)
		if r.Mode == platforms.ModeInsurance {
			e.Spec = spec
			if err := a.insure(&e, r.Insurance); err != nil {
				return e, err
			}
		}
	}
	e.Spec = spec
	draft := order.Order{No: e.No, Created: spec, Private: e.Private}
	if c, ok := a.parts.Platforms[conf.Name].(platforms.Checker); ok {
		if err := c.CheckCharge(draft.Charge()); err != nil {
			return e, err
		}
	}
	if e.Spec.Sealed, e.Spec.SealedDay, err = a.sealPrivate(e.No, e.Private); err != nil {
		return e, err
	}
	if len(e.Spec.Sealed)+len(e.Spec.SealedDay) > maxSealed {
		return e, field("details", "are longer than %d KiB together with subject and patient; send fewer or shorter lines", maxSealed>>10)
	}
	if !r.Key.Empty() {
		e.Spec.Key = order.IdemKey{Key: a.parts.Box.Hash("idempotency-key", r.Key), Body: a.parts.Box.Hash("body", r.Body)}
	}
	if !r.AuthCode.Empty() {
		c := a.code(r.AuthCode.Reveal(), "")
		e.Handed = &c
	}
	when := till.WhenOffline
	switch {
	case r.Mode == platforms.ModeInsurance:
		when = "refuse" // an authorisation does not wait
	case r.WhenOffline != "":
		when = r.WhenOffline
	}
	e.WhenQueued = when == "queue"
	e.OpKey = a.opKey(r.Operator.ID)
	if a.cfg.Limits.OperatorShiftFen > 0 {
		e.Cap = a.cfg.Limits.OperatorShiftFen
		shift := now.Unix() / int64(max(a.cfg.Limits.OperatorShift, time.Hour)/time.Second)
		e.CapKey = "shift:" + a.parts.Box.Hash("operator", platforms.Hide(r.Operator.ID)) + ":" + strconv.FormatInt(shift, 10)
	}
	return e, nil
}

// code makes the form of a scanned text that the counter takes. The hash is
// over the code as the wallet rules read it, so that a suffix or an AIM prefix
// does not make one code two.
func (a *Agent) code(text, symbology string) counter.Code {
	got := a.rules.Recognise(text, symbology)
	plain := got.Code.Reveal()
	if plain == "" {
		plain = text
	}
	return counter.Code{Text: platforms.Hide(text), Symbology: symbology, Hash: a.parts.Box.Hash("payment-code", platforms.Hide(plain))}
}

var ownNumber = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)

func (a *Agent) checkBasics(r *Request) (config.Till, error) {
	till, ok := a.cfg.TillNamed(r.Till)
	low, high := a.cfg.Bounds(r.OrderType)
	switch {
	case r.Bill == "":
		return till, field("bill", "is missing; give HIS's own reference of what is to be paid")
	case len(r.Bill) > 96 || !printable(r.Bill):
		return till, field("bill", "is longer than 96 bytes or has control characters")
	case r.Amount <= 0:
		return till, field("amount_fen", "must be more than 0 fen")
	case r.Amount < low:
		return till, field("amount_fen", "is below the least amount of %s yuan", low.Yuan())
	case r.Amount > high:
		return till, field("amount_fen", "is above the largest amount of %s yuan", high.Yuan())
	case !r.Mode.Known():
		return till, field("mode", `must be "charge" (scan the payer's code), "present" (show a QR code), "h5" (pay on a page) or "insurance" (there, by medical insurance)`)
	case !ok:
		return till, field("till", "this agent has no till of that name")
	case r.OrderNo != "" && !ownNumber.MatchString(r.OrderNo):
		return till, field("out_trade_no", "must be 1 to 32 characters of 0-9, A-Z, a-z")
	case r.Mode == platforms.ModePresent && !r.Aggregated && r.Channel == "":
		return till, field("channel", `is missing; name the wallet, or set "aggregated": true for one QR code for all`)
	case r.Aggregated && r.Channel != "":
		return till, field("channel", "must be left out for an aggregated QR code; the payer chooses")
	case r.Mode != platforms.ModePresent && r.Aggregated:
		return till, field("aggregated", `is for mode "present" only`)
	case r.Mode == platforms.ModeCharge && r.Expires != "":
		return till, field("expires", `is not for mode "charge"`)
	case r.Mode != platforms.ModeCharge && !r.AuthCode.Empty():
		return till, field("auth_code", `is for mode "charge" only`)
	case r.WhenOffline != "" && r.WhenOffline != "refuse" && r.WhenOffline != "queue":
		return till, field("when_offline", `must be "refuse" or "queue"`)
	case r.WhenOffline == "queue" && r.Mode == platforms.ModeInsurance:
		return till, field("when_offline", "a payment by medical insurance cannot be queued")
	case r.Mode != platforms.ModeInsurance && !reflect.ValueOf(r.Insurance).IsZero():
		return till, field("insurance", `is for mode "insurance" only`)
	case r.WhenOffline == "queue" && !r.AuthCode.Empty():
		return till, field("when_offline", "an order with a payment code cannot be queued; the code would be too old")
	}
	if err := checkWeb(r); err != nil {
		return till, err
	}
	switch r.Channel {
	case "", platforms.WeChat, platforms.Alipay, platforms.UnionPay, platforms.ECNY:
	default:
		return till, field("channel", "must be wechat, alipay, unionpay or ecny")
	}
	for name, v := range map[string]string{"subject": r.Subject, "memo": r.Memo, "operator.id": r.Operator.ID, "operator.name": r.Operator.Name} {
		if !printable(v) {
			return till, field(name, "has control characters or is not UTF-8")
		}
	}
	if r.Operator.ID == "" {
		r.Operator = platforms.Operator{ID: till.Operator.ID, Name: till.Operator.Name}
	}
	if r.Operator.ID == "" {
		return till, field("operator.id", "is missing, and tills[].operator names nobody for this till; name the person who takes the money")
	}
	return till, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f })
}

// RefundRequest asks for money to be given back.
type RefundRequest struct {
	Key      platforms.Hidden
	Body     platforms.Hidden
	Request  string // the caller's own refund number, or empty
	Sum      platforms.Fen
	Operator platforms.Operator
	Reason   string
}

// Refund asks for money of a paid order to be given back.
func (a *Agent) Refund(ctx context.Context, no string, r RefundRequest) (counter.Reply, error) {
	switch {
	case r.Sum <= 0:
		return counter.Reply{}, field("amount_fen", "must be more than 0 fen")
	case r.Request != "" && !ownNumber.MatchString(r.Request):
		return counter.Reply{}, field("refund_no", "must be 1 to 32 characters of 0-9, A-Z, a-z")
	case r.Operator.ID == "" || !printable(r.Operator.ID) || !printable(r.Operator.Name):
		return counter.Reply{}, field("operator.id", "is missing or has control characters; name the person who gives the money back")
	case !printable(r.Reason) || len(r.Reason) > 256:
		return counter.Reply{}, field("reason", "is longer than 256 bytes or has control characters")
	}
	ask := order.Refund{Request: r.Request, Sum: r.Sum, Operator: r.Operator, Reason: r.Reason}
	if ask.Request == "" {
		var err error
		if ask.Request, err = seal.OrderNumber("RF", time.UnixMilli(a.Now().Wall), a.random); err != nil {
			return counter.Reply{}, err
		}
	}
	if !r.Key.Empty() {
		ask.Key = order.IdemKey{Key: a.parts.Box.Hash("idempotency-key", r.Key), Body: a.parts.Box.Hash("body", r.Body)}
	}
	o, err := a.Order(no)
	if err != nil {
		return counter.Reply{}, err
	}
	if o != nil && o.TradeNo != "" {
		if c, ok := a.parts.Platforms[o.Platform].(platforms.Checker); ok && a.shape.Platforms[o.Platform].Refund {
			err := c.CheckRefund(platforms.Refund{Ref: o.Ref(), RequestNo: ask.Request, Sum: ask.Sum, Channel: o.PaidVia(), Reason: ask.Reason})
			if err != nil {
				return counter.Reply{}, err
			}
		}
	}
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.AskRefund{Reply: id, Order: no, Refund: ask}
	})
}
