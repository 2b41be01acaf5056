// Package smartpay speaks to SmartPay (智付 当面付, seed 000): SweepCodePay
// charges a payer's code, QueryOrderState asks, Revoke closes or gives back.
// There is no QR code to show and no refund of a part.
//
// The seed fixes the XML and leaves the transport open; three transports of
// public servers stand behind one seam of one method, see [Transport].
//
// Four peculiarities decide what may be concluded (wire.md §1.4–1.6):
//
//   - -400011 answers both "the payer types a password" and every trouble of
//     the channel except a bad code. It is Pending, never a failure.
//   - The same number means different things in two layers of the server. Only
//     a closed list proves that nothing was charged, and -400012 counts with
//     its words only.
//   - Orders are found by the platform's own OrderId. Where the pay reply was
//     lost there is none, and a look-up by our number proves nothing until a
//     drill has shown that it works at this site ([Config.QueryKey]).
//   - A query goes on answering 2 (paid) after a Revoke that gave the money
//     back, and the reply to Revoke does not say whether it closed or gave back.
package smartpay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"payagent/platforms"
	"payagent/platforms/internal/wire"
	"payagent/platforms/smartpay/internal/message"
)

// Platform is one SmartPay platform under one configuration. It holds nothing
// of any order and may be used by several goroutines.
type Platform struct {
	cfg  Config
	wire transport
}

var (
	_ platforms.Platform = (*Platform)(nil)
	_ platforms.Checker  = (*Platform)(nil)
	_ platforms.Charger  = (*Platform)(nil)
	_ platforms.Prober   = (*Platform)(nil)
)

// New makes a platform that sends through rt. The error names the
// configuration key that is wrong.
func New(rt http.RoundTripper, cfg Config) (*Platform, error) {
	if rt == nil {
		return nil, errNoRoundTripper
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Platform{cfg: cfg, wire: newTransport(rt, cfg)}, nil
}

// Traits tells that Paid outlives a Revoke, and that look-up by our own number
// counts only where the configuration says it was proven.
func (p *Platform) Traits() platforms.Traits {
	return platforms.Traits{
		FindsByNumber: p.cfg.QueryKey != ByOrderID,
		PaidIsSticky:  true,
		Channels:      []platforms.Channel{platforms.WeChat, platforms.Alipay},
	}
}

// Charge sends SweepCodePay once. Failed means a code of the closed list; with
// it AskNow is set where the reply carried an OrderId, because seed 000 wants
// the order queried after a failed pay. On an error the Answer may still carry
// Handle, Code and Message.
func (p *Platform) Charge(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	doc, err := p.chargeDocument(c, false)
	if err != nil {
		return platforms.Answer{}, wire.NotCharged(fmt.Errorf("cannot charge: %w", err))
	}
	r, err := p.ask(ctx, outgoing{
		method: message.Charge, profile: c.Merchant.Profile, doc: doc, charges: true,
		secrets: []platforms.Hidden{c.Code.Hidden, c.Patient.CardNo},
	})
	if err != nil {
		return platforms.Answer{}, fmt.Errorf("cannot charge: %w", err)
	}
	a, err := r.answer(c.Amount)
	if err != nil {
		return a, err
	}
	switch r.verdict(p.cfg.FailureCodes) {
	case verdictPaid:
		if a.Handle != "" && a.HasAmount {
			a.Status = platforms.Paid
		}
	case verdictPending:
		a.Status = platforms.Pending
	case verdictFailed:
		a.Status, a.AskNow = platforms.Failed, a.Handle != ""
	case verdictToken:
		return a, wire.NotCharged(fmt.Errorf("cannot charge: %w", r.refusal()))
	}
	return a, nil
}

// Query sends QueryOrderState, with both keys in turn where so configured. The
// reply carries neither number nor amount, so it is bound by the key that was
// asked for (decision 4). If the order had no Handle and our number was found,
// Handle is what later calls should use.
func (p *Platform) Query(ctx context.Context, ref platforms.Ref) (platforms.Answer, error) {
	if err := checkOrderNo(ref.OrderNo); err != nil {
		return platforms.Answer{}, fmt.Errorf("cannot query: %w", locally(err))
	}
	var a platforms.Answer
	for _, key := range p.keys(ref) {
		var err error
		// Only a key that finds nothing is worth another one: whatever else the
		// platform says, it says of this order.
		if a, err = p.queryBy(ctx, key, ref); err != nil || a.Status != platforms.NotFound {
			return a, err
		}
	}
	return a, nil
}

func (p *Platform) queryBy(ctx context.Context, key string, ref platforms.Ref) (platforms.Answer, error) {
	var a platforms.Answer
	doc, err := p.document(p.cfg.TransactionCodes.QueryOrderState, queryElements(key, ref.Merchant.Code))
	if err != nil {
		return a, fmt.Errorf("cannot query: %w", locally(err))
	}
	r, err := p.ask(ctx, outgoing{method: message.Query, profile: ref.Merchant.Profile, doc: doc})
	if err != nil {
		return a, fmt.Errorf("cannot query; ask again: %w", err)
	}
	a, err = r.answer(ref.Amount)
	if err != nil {
		return a, err
	}
	known := false
	switch {
	case r.gateway:
	case r.code == codeDone:
		a.Status, a.AskNow, a.Final, known = orderState(r.orderState)
	case slices.Contains(notFoundCodes(), r.code):
		a.Status = platforms.NotFound
	}
	if slices.Contains(tokenCodes(), r.code) {
		return a, fmt.Errorf("cannot query: %w", r.refusal())
	}
	a.Handle = handle(ref, key, a.Handle, known)
	return a, nil
}

// handle decides which platform key an answer to a query gives. Without one of
// ours, a listed state proves the key asked for. A reply that merely repeats
// the key, or that names the platform's own key for an order that we know by
// our number, contradicts nothing.
func handle(ref platforms.Ref, key, carried string, known bool) string {
	switch {
	case carried == "" || carried == key:
		if known && ref.Handle == "" {
			return key
		}
		return ""
	case ref.Handle == ref.OrderNo:
		return ""
	}
	return carried
}

// Cancel sends Revoke, with both keys in turn where so configured. Done means
// closed or given back; the wire does not say which.
func (p *Platform) Cancel(ctx context.Context, ref platforms.Ref) (platforms.Cancellation, error) {
	if err := checkOrderNo(ref.OrderNo); err != nil {
		return platforms.Cancellation{}, fmt.Errorf("cannot cancel: %w", locally(err))
	}
	var c platforms.Cancellation
	for _, key := range p.keys(ref) {
		doc, err := p.document(p.cfg.TransactionCodes.Revoke, revokeElements(key, ref))
		if err != nil {
			return platforms.Cancellation{}, fmt.Errorf("cannot cancel: %w", locally(err))
		}
		r, err := p.ask(ctx, outgoing{method: message.Revoke, profile: ref.Merchant.Profile, doc: doc})
		if err != nil {
			return platforms.Cancellation{}, fmt.Errorf("cannot cancel; ask again: %w", err)
		}
		c = platforms.Cancellation{OrderNo: r.hisOrderID, TradeNo: r.transactionID, Code: r.word, Message: r.message}
		if slices.Contains(tokenCodes(), r.code) {
			return c, fmt.Errorf("cannot cancel: %w", r.refusal())
		}
		if carried := handle(ref, key, r.orderID, false); carried != "" && carried != key {
			return c, &platforms.Mismatch{Field: "platform order id", Asked: clip(key, 32), Got: clip(carried, 32)}
		}
		switch {
		case r.gateway:
		case r.code == codeDone:
			c.Done, c.Action = true, platforms.ActionUnknown
			return c, nil
		default:
			c.Retry = mayRevokeAgain(r.code)
		}
		if r.gateway || !slices.Contains(notFoundCodes(), r.code) {
			return c, nil
		}
	}
	return c, nil
}

// keys gives the numbers to ask by, best first.
func (p *Platform) keys(ref platforms.Ref) []string {
	switch {
	case p.cfg.QueryKey == ByHisOrderID, ref.Handle == "":
		return []string{ref.OrderNo}
	case p.cfg.QueryKey == ByBoth && ref.Handle != ref.OrderNo:
		return []string{ref.Handle, ref.OrderNo}
	}
	return []string{ref.Handle}
}

// probeKey is an order number that no server issues: the nil GUID.
const probeKey = "00000000000000000000000000000000"

// Probe asks for an order that does not exist. Any Resp but a refusal of our
// credentials means that the platform answers. Without Config.Probe it returns
// ErrUnsupported.
func (p *Platform) Probe(ctx context.Context) error {
	if p.cfg.Probe.Code == "" {
		return fmt.Errorf("cannot probe SmartPay: %w; configure a merchant to probe under", platforms.ErrUnsupported)
	}
	doc, err := p.document(p.cfg.TransactionCodes.QueryOrderState, queryElements(probeKey, p.cfg.Probe.Code))
	if err != nil {
		return fmt.Errorf("cannot probe SmartPay: %w", err)
	}
	r, err := p.ask(ctx, outgoing{method: message.Query, profile: p.cfg.Probe.Profile, doc: doc})
	switch {
	case err != nil:
		return fmt.Errorf("cannot probe SmartPay: %w", err)
	case slices.Contains(tokenCodes(), r.code):
		return fmt.Errorf("cannot probe SmartPay: %w", r.refusal())
	case r.gateway:
		return fmt.Errorf("cannot probe SmartPay: its gateway answered %s %s; ask the operator of the platform", r.word, r.message)
	}
	return nil
}

// ask makes one exchange. A refusal by the gateway before SmartPay itself comes
// back as a reply marked so.
func (p *Platform) ask(ctx context.Context, m outgoing) (reply, error) {
	root, err := p.wire.call(ctx, m)
	var g *gatewayError
	if errors.As(err, &g) {
		return reply{gateway: true, code: g.code, word: strconv.Itoa(g.code), message: g.message}, nil
	}
	if err != nil {
		return reply{}, err
	}
	return readReply(root, m.secrets)
}
