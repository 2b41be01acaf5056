// Package fwc speaks to the LinkingCloud (联空) platform by the interfaces
// FWC_IF_* of seed 004 §5: Barcode_Pay, Barcode_Pay_Query, Barcode_Pay_Cancel,
// Barcode_Pay_Refund and Qrcode_Pay. Each is an XML document
// <xml><head/><body/><sign/></xml> in one string parameter, over SOAP 1.1 by
// default.
//
// Four properties of this wire shape the adapter.
//
// Nothing is signed: AccessToken is the only credential and goes out in every
// head. A reply echoes the head, so that the token and the payment code come
// back; neither leaves this package.
//
// A pay reply has no status. IsSuccess 1 says that the call worked and no more,
// so it gives Pending with AskNow, whatever a SubCode claims: only a query says
// Paid. IsSuccess 0 is a refusal that proves nothing, 2 is unknown, and 3, a
// refused token, is the one proof that nothing was charged (wire.md §2.2).
//
// The number asked for is the only key: TradeStatus counts for the order whose
// OutTradeNo was sent, and every number and amount that a reply repeats, echo
// included, goes into the answer for platforms.Bind to compare.
//
// Amounts are yuan with two decimals; money is parsed without rounding.
//
// Field rules of the seed are checked by CheckCharge and CheckRefund. Where
// every field of the wire comes from and goes to is listed by Fields.
package fwc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
)

// Platform is one LinkingCloud service. It keeps nothing between calls and may
// be used from several goroutines.
type Platform struct {
	rt       http.RoundTripper
	cfg      Config
	channels map[string]platforms.Channel // PayType in lower case → channel
}

// New makes the platform. It sends nothing yet. The error names the
// configuration key that cannot be used.
func New(rt http.RoundTripper, cfg Config) (*Platform, error) {
	if rt == nil {
		return nil, errors.New("cannot speak to the platform without a transport")
	}
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	p := &Platform{rt: rt, cfg: cfg, channels: map[string]platforms.Channel{
		// Words of other LinkingCloud interfaces that also turn up in answers.
		"wechat": platforms.WeChat, "weixin": platforms.WeChat, "alipay": platforms.Alipay,
		"unionpay": platforms.UnionPay, "dc": platforms.ECNY, "elecny": platforms.ECNY,
	}}
	for _, table := range []map[platforms.Channel]string{cfg.QRPayTypes, cfg.BarcodePayTypes} {
		for ch, word := range table {
			p.channels[strings.ToLower(word)] = ch
		}
	}
	return p, nil
}

// Traits says that orders are found by our own number, even when the pay reply
// was lost, and that a cancelled order is not reported paid.
func (p *Platform) Traits() platforms.Traits {
	var all []platforms.Channel
	for ch := range p.cfg.BarcodePayTypes {
		all = append(all, ch)
	}
	for ch := range p.cfg.QRPayTypes {
		if !slices.Contains(all, ch) {
			all = append(all, ch)
		}
	}
	slices.Sort(all)
	return platforms.Traits{FindsByNumber: true, Channels: all}
}

// Charge sends FWC_IF_Barcode_Pay, once. The answer is never Paid: it asks for
// a query.
func (p *Platform) Charge(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	c.Mode = platforms.ModeCharge
	if err := p.CheckCharge(c); err != nil {
		return platforms.Answer{}, err
	}
	if err := checkCode(c.Code); err != nil {
		return platforms.Answer{}, err
	}
	r, err := p.call(ctx, call{
		op: message.OpPay, profile: c.Merchant.Profile, charges: true,
		head: p.payHead(c), results: []string{message.ResultName(message.OpPay)},
		secrets: secretsOf(c),
	})
	if err != nil {
		return platforms.Answer{}, err
	}
	return p.payAnswer(c, r)
}

// Presents tells that QR codes are all this platform shows.
func (p *Platform) Presents(m platforms.Mode) bool { return m == platforms.ModePresent }

// Present sends FWC_IF_Qrcode_Pay, once. The answer is Pending with the text of
// the QR code.
func (p *Platform) Present(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	c.Mode = platforms.ModePresent
	if err := p.CheckCharge(c); err != nil {
		return platforms.Answer{}, err
	}
	r, err := p.call(ctx, call{
		op: message.OpPresent, profile: c.Merchant.Profile, charges: true,
		head: p.presentHead(c), results: []string{message.ResultName(message.OpPresent)},
		secrets: secretsOf(c),
	})
	if err != nil {
		return platforms.Answer{}, err
	}
	return p.presentAnswer(c, r)
}

// Query sends FWC_IF_Barcode_Pay_Query, for orders of both modes.
func (p *Platform) Query(ctx context.Context, ref platforms.Ref) (platforms.Answer, error) {
	if err := checkRef(ref); err != nil {
		return platforms.Answer{}, err
	}
	r, err := p.call(ctx, call{
		op: message.OpQuery, profile: ref.Merchant.Profile,
		head: numberHead(ref.OrderNo), results: []string{message.ResultName(message.OpQuery)},
	})
	if err != nil {
		return platforms.Answer{}, err
	}
	return p.queryAnswer(ref, r)
}

// Cancel sends FWC_IF_Barcode_Pay_Cancel, or the configured operation for QR
// orders. Done means that IsSuccess was 1 and CancelAction close or refund,
// whatever RetryFlag says (decision 7).
func (p *Platform) Cancel(ctx context.Context, ref platforms.Ref) (platforms.Cancellation, error) {
	if err := checkRef(ref); err != nil {
		return platforms.Cancellation{}, err
	}
	op := message.OpCancel
	if ref.Mode == platforms.ModePresent {
		op = p.cfg.CancelOp
	}
	r, err := p.call(ctx, call{
		op: op, profile: ref.Merchant.Profile,
		head: numberHead(ref.OrderNo), results: cancelResult(op),
	})
	if err != nil {
		return platforms.Cancellation{}, err
	}
	return p.cancelAnswer(ref, r)
}

// Refund sends FWC_IF_Barcode_Pay_Refund. The same request number moves money
// at most once; done is judged by IsSuccess and the cumulative RefundFee, not
// by RefundChange, which says no on every repetition (decision 10).
func (p *Platform) Refund(ctx context.Context, f platforms.Refund) (platforms.Refunded, error) {
	if err := p.CheckRefund(f); err != nil {
		return platforms.Refunded{}, err
	}
	r, err := p.call(ctx, call{
		op: message.OpRefund, profile: f.Merchant.Profile,
		head: p.refundHead(f), results: []string{message.ResultName(message.OpRefund)},
	})
	if err != nil {
		return platforms.Refunded{}, err
	}
	return p.refundAnswer(f, r)
}

// probeNo is a number that no order of ours can have: the agent's own carry a
// date behind the prefix.
const probeNo = "PAYAGENTPROBE"

// Probe queries a number that does not exist, under the probe profile. Any
// answer in the platform's own form means that it is there.
func (p *Platform) Probe(ctx context.Context) error {
	_, err := p.call(ctx, call{
		op: message.OpQuery, profile: p.cfg.ProbeProfile,
		head: numberHead(probeNo), results: []string{message.ResultName(message.OpQuery)},
	})
	return err
}

// secretsOf lists what a payer handed to us; replies may repeat it in their
// words for people.
func secretsOf(c platforms.Charge) []platforms.Hidden {
	return []platforms.Hidden{c.Code.Hidden, c.Patient.Name, c.Patient.CardNo, c.Patient.AdmissionNo, c.Patient.Phone}
}
