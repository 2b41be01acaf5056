package lc

import (
	"bytes"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/internal/wire"
	"payagent/platforms/lc/internal/sign"
)

// element is one member of biz_content, in the order of the seed's samples.
type element struct {
	_           [0]func() // never compared: the program is smaller by the code for it
	name, value string
	raw         bool // the value is JSON already
	keep        bool // sent as null where it is empty
}

func text(name, value string) element { return element{name: name, value: value} }

// amount writes a sum in the configured form.
func (p *Platform) amount(name string, f platforms.Fen) element {
	return element{name: name, value: f.Yuan(), raw: p.cfg.AmountForm == AmountNumber}
}

// bizContent writes the elements as one JSON object without blanks. Empty ones
// are left out, unless they are kept.
func bizContent(all []element) (string, error) {
	var b strings.Builder
	b.WriteByte('{')
	for _, e := range all {
		if e.value == "" && !e.keep {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + e.name + `":`)
		switch {
		case e.value == "":
			b.WriteString("null")
		case e.raw:
			b.WriteString(e.value)
		default:
			s, err := quoted(e.value)
			if err != nil {
				return "", err
			}
			b.WriteString(s)
		}
	}
	b.WriteByte('}')
	return b.String(), nil
}

// quoted writes a JSON text with the characters as they are, as the samples
// have them; the URL encoding around it hides & and < already.
func quoted(s string) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return "", errors.New("cannot write a text into the request")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// envelope is a request before it is signed.
type envelope struct {
	method, biz, nonce, timestamp string
}

// nonce gives 32 hexadecimal digits.
func (p *Platform) nonce() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(p.cfg.Rand, b[:]); err != nil {
		return "", errors.New("cannot make a request: there are no random bytes")
	}
	return hex.EncodeToString(b[:]), nil
}

const timeLayout = "2006-01-02 15:04:05"

func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

func (p *Platform) seal(method, biz string) (envelope, error) {
	nonce, err := p.nonce()
	return envelope{method, biz, nonce, p.cfg.Now().In(zone()).Format(timeLayout)}, err
}

// params gives the parameters in the order of their names, without sign.
func (p *Platform) params(e envelope) []sign.Param {
	return []sign.Param{
		{Name: "app_id", Value: p.cfg.AppID}, {Name: "biz_content", Value: e.biz}, {Name: "method", Value: e.method},
		{Name: "nonce_str", Value: e.nonce}, {Name: "sign_type", Value: p.cfg.SignType}, {Name: "timestamp", Value: e.timestamp},
	}
}

// form signs the envelope and writes the body, sign in its place by name.
func (p *Platform) form(e envelope) ([]byte, error) {
	signature, _, err := p.sign(e)
	if err != nil {
		return nil, err
	}
	var all []wire.Param
	for _, x := range p.params(e) {
		if x.Name == "sign_type" {
			all = append(all, wire.Param{Name: "sign", Value: signature})
		}
		all = append(all, wire.Param(x))
	}
	return wire.Form(all...), nil
}

func (p *Platform) sign(e envelope) (signature string, bits int, err error) {
	text, err := p.cfg.PrivateKey()
	if err != nil {
		return "", 0, fmt.Errorf("cannot read the private key (%s): put it in place: %w", wire.Clean(err.Error()), platforms.ErrToken)
	}
	key, err := p.keyOf(text)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", err, platforms.ErrToken)
	}
	signature, err = sign.Sign(key, sign.Hash(p.cfg.Hash), p.signed(e))
	return signature, key.N.BitLen(), err
}

// parsed is a private key with the text it was read from.
type parsed struct {
	text string
	key  *rsa.PrivateKey
}

// keyOf reads a key, unless it is the one that was read last: reading costs more
// than signing.
func (p *Platform) keyOf(text platforms.Hidden) (*rsa.PrivateKey, error) {
	if last := p.last.Load(); last != nil && last.text == text.Reveal() {
		return last.key, nil
	}
	key, err := sign.PrivateKey(text.Reveal())
	if err == nil {
		p.last.Store(&parsed{text.Reveal(), key})
	}
	return key, err
}

func (p *Platform) signed(e envelope) []byte { return sign.Text(p.params(e), !p.cfg.ExcludeSignType) }

// Business contents. Names and order are the samples'; those without a sample
// follow the live clients' lists (wire.md §3.1).

func (p *Platform) barcodeBiz(c platforms.Charge) []element {
	return append(p.tradeBiz(c), text("auth_code", c.Code.Reveal()))
}

// tradeBiz is what barcode and QR code share.
func (p *Platform) tradeBiz(c platforms.Charge) []element {
	word := p.cfg.PaymentTypes[c.Channel]
	if c.Aggregated {
		word = ""
	}
	return []element{
		text("out_trade_no", c.OrderNo), p.amount("total_amount", c.Amount), text("subject", c.Subject), text("body", c.Memo),
		text("timeout_express", c.Expires), text("payment_type", word), text("notify_url", p.notifyURL(c)),
		text("operator_id", c.Operator.ID), text("terminal_id", c.Terminal), text("disable_pay_channels", p.disabled(c)),
	}
}

func (p *Platform) h5Biz(c platforms.Charge) []element {
	return []element{
		text("out_trade_no", c.OrderNo), p.amount("total_amount", c.Amount), text("subject", c.Subject), text("body", c.Memo),
		text("timeout_express", c.Expires), text("return_url", p.returnURL(c)), text("notify_url", p.notifyURL(c)),
		text("disable_pay_channels", p.disabled(c)),
		{name: "business_params", value: strings.TrimSpace(c.Web.BusinessParams), raw: true},
		{name: "agreement_sign_params", value: strings.TrimSpace(c.Web.AgreementParams), raw: true},
		text("order_type", p.cfg.OrderTypes[c.OrderType]),
		// Not in the table of §6.1; only where a wallet was asked for.
		text("payment_type", p.cfg.PaymentTypes[c.Channel]),
	}
}

func refBiz(r platforms.Ref) []element {
	return []element{text("out_trade_no", r.OrderNo), text("operator_id", r.Operator.ID), text("terminal_id", r.Terminal)}
}

func (p *Platform) refundBiz(r platforms.Refund) []element {
	return []element{
		text("out_trade_no", r.OrderNo), text("payment_type", p.cfg.PaymentTypes[r.Channel]),
		text("operator_id", r.Operator.ID), text("terminal_id", r.Terminal),
		p.amount("trade_amount", r.Amount), p.amount("refund_amount", r.Sum),
		text("out_request_no", r.RequestNo), text("refund_reason", r.Reason),
	}
}

func (p *Platform) notifyURL(c platforms.Charge) string {
	return first(c.Web.NotifyURL, p.cfg.NotifyURL)
}
func (p *Platform) returnURL(c platforms.Charge) string {
	return first(c.Web.ReturnURL, p.cfg.ReturnURL)
}
func (p *Platform) disabled(c platforms.Charge) string {
	return first(c.Web.DisableChannels, p.cfg.DisableChannels)
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
