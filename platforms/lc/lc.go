// Package lc speaks to the LinkingCloud (联空) open gateway: one address, signed
// JSON in a form, and methods such as lc.trade.barcode.pay (seed 004 §6,
// wire.md §3).
//
// Four properties of this wire shape the adapter.
//
// Requests are signed with the merchant's key, replies and notices with the
// platform's. A reply is scanned for its outermost members only, its signature
// is checked over the bytes received, and those bytes are then decoded once,
// strictly. A signature that does not fit makes a reply worthless; a reply
// without one may say that an order is still open, and nothing else (see
// Verify). How the gateway writes biz_content for signing is not documented,
// so the bytes as received and the same without blanks are both tried.
//
// code and msg only say that the gateway worked (decision 8). Paid, closed and
// refused come from trade_status, sub_code or a query; lists of codes that
// prove a refusal are the site's, and empty to begin with.
//
// Every request has a nonce of its own, and a reply must carry it, our app_id
// and the method: an older answer, or one to another question, proves nothing.
// Order number and amount go into the answer for platforms.Bind to compare.
//
// Notices (lc.trade.notify) and what a payer's browser brings back (return_url)
// are verified in the same way. A notice wakes the query; only where a site has
// no query (Query: none) is it evidence. A browser never is.
//
// Amounts are yuan with two decimals, as texts or as JSON numbers; no float
// touches them. Fields and lengths of the seed's tables are checked by
// CheckCharge and CheckRefund; which field an insurance payment needs is the
// table in insurance.go. Where every field of the wire comes from and goes to
// is listed by Fields.
package lc

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"payagent/platforms"
)

// Platform is one gateway. It keeps nothing between calls but the private key
// that it read last, and may be used from several goroutines.
type Platform struct {
	rt       http.RoundTripper
	last     atomic.Pointer[parsed]
	cfg      Config
	keys     []*rsa.PublicKey
	channels map[string]platforms.Channel // payment_type in lower case → channel
}

// New makes the platform. It sends nothing yet. The error names the
// configuration key that cannot be used.
func New(rt http.RoundTripper, cfg Config) (*Platform, error) {
	if rt == nil {
		return nil, errors.New("cannot speak to the platform without a transport")
	}
	cfg, keys, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	p := &Platform{rt: rt, cfg: cfg, keys: keys, channels: map[string]platforms.Channel{
		"wechat": platforms.WeChat, "weixin": platforms.WeChat, "alipay": platforms.Alipay,
		"unionpay": platforms.UnionPay, "elecny": platforms.ECNY, "dc": platforms.ECNY,
	}}
	for ch, word := range cfg.PaymentTypes {
		p.channels[strings.ToLower(word)] = ch
	}
	return p, nil
}

// Traits says that orders are found by our own number, and whether there is a
// query at all.
func (p *Platform) Traits() platforms.Traits {
	var all []platforms.Channel
	for ch := range p.cfg.PaymentTypes {
		all = append(all, ch)
	}
	slices.Sort(all)
	none := p.cfg.Query == QueryNone
	return platforms.Traits{FindsByNumber: !none, NoQuery: none, Channels: all}
}

// Charge sends lc.trade.barcode.pay, once.
func (p *Platform) Charge(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	c.Mode = platforms.ModeCharge
	if err := p.CheckCharge(c); err != nil {
		return platforms.Answer{}, err
	}
	if err := checkCode(c.Code); err != nil {
		return platforms.Answer{}, err
	}
	r, err := p.call(ctx, call{method: methodBarcode, charges: true, biz: p.barcodeBiz(c), secrets: secretsOf(c)})
	if err != nil {
		return platforms.Answer{}, err
	}
	return p.payAnswer(c, r)
}

// Presents tells that it shows QR codes, pages, and pages for insurance.
func (p *Platform) Presents(m platforms.Mode) bool { return m.Shown() }

// Present sends lc.trade.qrcode.pay (or aggregated_method), lc.trade.h5.pay or
// lc.ssc.trade.pay, once. The answer is Pending with what is to be shown; for
// insurance also with paystr.
func (p *Platform) Present(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	var one call
	switch c.Mode {
	case platforms.ModeH5:
		one = call{method: methodH5, biz: p.h5Biz(c)}
	case platforms.ModeInsurance:
		one = call{method: methodSSCPay, biz: p.sscBiz(c)}
	default:
		c.Mode = platforms.ModePresent
		one = call{method: methodQRCode, biz: p.tradeBiz(c)}
		if c.Aggregated {
			one.method = p.cfg.AggregatedMethod
		}
	}
	if err := p.CheckCharge(c); err != nil {
		return platforms.Answer{}, err
	}
	if c.Mode == platforms.ModeInsurance {
		if err := p.checkSettled(c); err != nil {
			return platforms.Answer{}, err
		}
	}
	one.charges, one.secrets = true, secretsOf(c)
	r, err := p.call(ctx, one)
	if err != nil {
		return platforms.Answer{}, err
	}
	return p.shownAnswer(c, r)
}

// Query sends lc.trade.query, for orders of all modes.
func (p *Platform) Query(ctx context.Context, ref platforms.Ref) (platforms.Answer, error) {
	if p.cfg.Query == QueryNone {
		return platforms.Answer{}, fmt.Errorf("cannot query: the configuration says query: none: %w", platforms.ErrUnsupported)
	}
	if err := checkRef(ref); err != nil {
		return platforms.Answer{}, err
	}
	r, err := p.call(ctx, call{method: methodQuery, biz: []element{text("out_trade_no", ref.OrderNo)}})
	if err != nil {
		return platforms.Answer{}, err
	}
	return p.queryAnswer(ref, r)
}

// Cancel sends lc.trade.cancel; for orders that were shown, where the site says
// so, lc.trade.close first, which only ends unpaid ones.
func (p *Platform) Cancel(ctx context.Context, ref platforms.Ref) (platforms.Cancellation, error) {
	if err := checkRef(ref); err != nil {
		return platforms.Cancellation{}, err
	}
	if ref.Mode.Shown() && p.cfg.CancelShown == CancelClose {
		if c, err := p.cancelBy(ctx, methodClose, ref); err != nil || c.Done {
			return c, err
		}
	}
	return p.cancelBy(ctx, methodCancel, ref)
}

func (p *Platform) cancelBy(ctx context.Context, method string, ref platforms.Ref) (platforms.Cancellation, error) {
	r, err := p.call(ctx, call{method: method, biz: refBiz(ref)})
	if err != nil {
		return platforms.Cancellation{}, err
	}
	return p.cancelAnswer(ref, r, method == methodClose)
}

// Refund sends lc.trade.refund. The same request number moves money at most
// once, so an unknown outcome is met by asking again.
func (p *Platform) Refund(ctx context.Context, f platforms.Refund) (platforms.Refunded, error) {
	if err := p.CheckRefund(f); err != nil {
		return platforms.Refunded{}, err
	}
	r, err := p.call(ctx, call{method: methodRefund, biz: p.refundBiz(f)})
	if err != nil {
		return platforms.Refunded{}, err
	}
	return p.refundAnswer(f, r)
}

// probeNo is a number that no order of ours can have: the agent's own carry a
// date behind the prefix.
const probeNo = "PAYAGENTPROBE"

// Probe queries a number that does not exist. Any answer in the gateway's own
// form means that it is there, also where the site has no use of the query.
func (p *Platform) Probe(ctx context.Context) error {
	_, err := p.call(ctx, call{method: methodQuery, biz: []element{text("out_trade_no", probeNo)}})
	return err
}

// secretsOf lists what a payer handed to us; replies may repeat it in their
// words for people.
func secretsOf(c platforms.Charge) []platforms.Hidden {
	i := c.Insurance
	return []platforms.Hidden{
		c.Code.Hidden, c.Patient.Name, c.Patient.CardNo, c.Patient.AdmissionNo, c.Patient.Phone,
		i.UserID, i.RequestContent, i.CardInfo, i.PayAuthNo, i.PayQRCode, i.AuthCode, i.ECQRCode, i.EshiminAuthCode, i.PatientIDNo,
	}
}
