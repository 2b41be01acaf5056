package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"payagent/agent/config"
	"payagent/agent/seal"
	"payagent/platforms"
	"payagent/platforms/lc"
)

// queryFWC is the word of options.query for asking another platform.
const queryFWC = "fwc"

type lcOptions struct {
	AppID string
	// File with the merchant's private key (PEM or Base64, PKCS#8 or PKCS#1, at least 1024 bits); mode 0600. Read for every request, so that a new key needs no restart.
	PrivateKeyFile string
	// Files with the platform's public keys, all valid at once, so that a key can be changed without a gap.
	PlatformKeyFiles []string
	Hash             string
	SignType         string
	// Whether sign_type is part of what is signed; default true.
	IncludeSignType  bool
	VerifyReply      string
	AmountForm       string
	SendNull         bool
	PaymentTypes     map[string]string
	NotifyURL        string `yaml:"notify_url"`
	ReturnURL        string `yaml:"return_url"`
	AuthURL          string `yaml:"auth_url"`
	DisableChannels  string
	AggregatedMethod string
	QRField          string `yaml:"qr_field"`
	// How an order is asked about: `lc.trade.query`, the default; `fwc` by the FWC interface of the platform in query_via, with the token_file of the order's merchant profile; `none` where there is no query: then a notice that verifies is the evidence, and platform_key_files is required.
	Query string
	// Name of the platform (driver fwc) that is asked where query is fwc.
	QueryVia string
	// Name of a platform (driver fwc) that gives money back by the FWC interface, for orders whose merchant profile has a token_file; others, and all where this is empty, by lc.trade.refund.
	RefundVia       string
	CancelShown     string
	RefundProof     string
	SuccessCodes    []string
	NotFoundCodes   []string
	RefusalCodes    []string
	RefundRefusals  []string
	CredentialCodes []string
	CanceledCodes   []string
	NoticeReply     string
	NoticeMaxAge    time.Duration
	OrgNo           string
	OrgName         string
	CityCode        string
	InsType         string
	Region          string
	CreditOffline   bool
	EshiminMini     bool
	TotalRule       string
}

func lcSettings(p config.Platform) (lcOptions, error) {
	o := lcOptions{IncludeSignType: true}
	err := p.Options.Decode(&o)
	return o, err
}

func openLC(c config.Config, p config.Platform, rt http.RoundTripper) (*lc.Platform, error) {
	o, err := lcSettings(p)
	if err != nil {
		return nil, err
	}
	cfg := lc.Config{Endpoint: p.URL, AuthURL: o.AuthURL, AppID: o.AppID, Hash: o.Hash, SignType: o.SignType, ExcludeSignType: !o.IncludeSignType,
		VerifyReply: lc.Verify(o.VerifyReply), AmountForm: lc.AmountForm(o.AmountForm), SendNull: o.SendNull,
		PaymentTypes: channelWords(o.PaymentTypes), OrderTypes: c.WireOrderTypes(), NotifyURL: o.NotifyURL, ReturnURL: o.ReturnURL,
		DisableChannels: o.DisableChannels, AggregatedMethod: o.AggregatedMethod, QRField: o.QRField, Query: lc.QueryBy(o.Query),
		CancelShown: lc.CancelBy(o.CancelShown), RefundProof: lc.Proof(o.RefundProof), SuccessCodes: o.SuccessCodes, NotFoundCodes: o.NotFoundCodes,
		RefusalCodes: o.RefusalCodes, RefundRefusals: o.RefundRefusals, CredentialCodes: o.CredentialCodes, CanceledCodes: o.CanceledCodes,
		NoticeReply: o.NoticeReply, NoticeMaxAge: o.NoticeMaxAge, OrgNo: o.OrgNo, OrgName: o.OrgName, CityCode: o.CityCode, InsType: o.InsType,
		Region: lc.Region(o.Region), CreditOffline: o.CreditOffline, EshiminMini: o.EshiminMini, TotalRule: lc.TotalRule(o.TotalRule),
		PrivateKey: signingKey(o), Rand: rand.Reader, Now: gatewayClock(rt)}
	if o.Query == queryFWC {
		cfg.Query = lc.QueryLC // of this gateway's own; nobody asks it
	}
	for _, file := range o.PlatformKeyFiles {
		key, err := seal.ReadKey(file, false)
		if err != nil {
			return nil, p.Options.Fail("platform_key_files", err.Error())
		}
		cfg.PlatformKeys = append(cfg.PlatformKeys, key)
	}
	m, err := lc.New(rt, cfg)
	if err != nil {
		return nil, p.Options.Fail("", err.Error())
	}
	return m, nil
}

// mostSkew is how far a gateway's timestamp may be from this machine's clock.
const mostSkew = 24 * time.Hour

// gatewayClock is the time as the platforms at the other end have it, for
// timestamps that a gateway compares with its own clock (OFF-10).
func gatewayClock(rt http.RoundTripper) func() time.Time {
	d, ok := rt.(interface{ measured() *skew })
	if !ok || d.measured() == nil {
		return time.Now
	}
	return func() time.Time {
		ahead, _ := d.measured().get() // zero where none was measured
		return time.Now().Add(min(max(ahead, -mostSkew), mostSkew))
	}
}

// signingKey reads the merchant's key anew for every request.
func signingKey(o lcOptions) func() (platforms.Hidden, error) {
	return func() (platforms.Hidden, error) {
		if o.PrivateKeyFile == "" {
			return platforms.Hidden{}, fmt.Errorf("cannot sign without a key: name its file in private_key_file")
		}
		return seal.ReadKey(o.PrivateKeyFile, true)
	}
}

// through is the gateway with some of its work done by a platform beside it,
// as a site has it that uses both families for the same orders.
type through struct {
	*lc.Platform
	query  platforms.Platform // nil: by the gateway itself
	refund interface {
		platforms.Refunder
		platforms.Checker
	} // nil: by the gateway itself
	hasToken func(profile string) bool
}

// Traits are the gateway's, with the query of whoever is asked.
func (t through) Traits() platforms.Traits {
	traits := t.Platform.Traits()
	if t.query != nil {
		other := t.query.Traits()
		traits.NoQuery, traits.FindsByNumber, traits.PaidIsSticky = other.NoQuery, other.FindsByNumber, other.PaidIsSticky
	}
	return traits
}

// Query asks whoever the site has chosen.
func (t through) Query(ctx context.Context, ref platforms.Ref) (platforms.Answer, error) {
	if t.query != nil {
		return t.query.Query(ctx, ref)
	}
	return t.Platform.Query(ctx, ref)
}

// refunder is who gives back the money of an order under a profile.
func (t through) refunder(profile string) interface {
	platforms.Refunder
	platforms.Checker
} {
	if t.refund != nil && t.hasToken(profile) {
		return t.refund
	}
	return t.Platform
}

// CheckRefund checks by the rules of whoever will do it.
func (t through) CheckRefund(r platforms.Refund) error {
	return t.refunder(r.Merchant.Profile).CheckRefund(r)
}

// Refund is done by the same one whenever the same order is asked for again.
func (t through) Refund(ctx context.Context, r platforms.Refund) (platforms.Refunded, error) {
	return t.refunder(r.Merchant.Profile).Refund(ctx, r)
}

// join puts platforms together that do some of their work through another.
func join(c config.Config, opened map[string]platforms.Platform) error {
	for _, p := range c.Platforms {
		own, ok := opened[p.Name].(*lc.Platform)
		if !ok {
			continue
		}
		o, err := lcSettings(p)
		if err != nil {
			return err
		}
		if (o.Query == queryFWC) != (o.QueryVia != "") {
			return p.Options.Fail("query_via", "query: fwc and query_via belong together; name the platform (driver fwc) that is asked")
		}
		if o.QueryVia == "" && o.RefundVia == "" {
			continue
		}
		t := through{Platform: own, hasToken: func(profile string) bool {
			m, ok := c.MerchantNamed(profile)
			return ok && m.TokenFile != ""
		}}
		for _, via := range []struct{ key, name string }{{"query_via", o.QueryVia}, {"refund_via", o.RefundVia}} {
			if q, ok := c.PlatformNamed(via.name); via.name != "" && (!ok || q.Driver != "fwc") {
				return p.Options.Fail(via.key, fmt.Sprintf("there is no platform %q with driver fwc; name one that is configured", via.name))
			}
		}
		if o.QueryVia != "" {
			t.query = opened[o.QueryVia]
			for i, m := range c.Merchants {
				if m.Platform == p.Name && m.TokenFile == "" {
					return c.Fail(fmt.Sprintf("merchants[%d]", i), "orders of this profile are asked for by FWC_IF_Barcode_Pay_Query, which needs an AccessToken; name token_file")
				}
			}
		}
		if o.RefundVia != "" {
			t.refund, ok = opened[o.RefundVia].(interface {
				platforms.Refunder
				platforms.Checker
			})
			if !ok {
				return p.Options.Fail("refund_via", "that platform gives no money back; name one that does")
			}
		}
		opened[p.Name] = t
	}
	return nil
}

// keyMark is a fingerprint's text of the key that signs for a profile; empty
// where its platform has none.
func keyMark(c config.Config, profile string) string {
	m, ok := c.MerchantNamed(profile)
	if !ok {
		return ""
	}
	p, ok := c.PlatformNamed(m.Platform)
	if !ok || p.Driver != "lc" {
		return ""
	}
	o, err := lcSettings(p)
	if err != nil {
		return ""
	}
	key, err := signingKey(o)()
	if err != nil {
		return ""
	}
	return key.Reveal()
}
