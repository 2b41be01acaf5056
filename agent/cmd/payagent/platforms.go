package main

import (
	"fmt"
	"net/http"
	"time"

	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/seal"
	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/smartpay"
	"payagent/uplink"
	"payagent/uplink/https"
	"payagent/uplink/mqtt"
)

// openWay opens one way (see config.Platform.Ways) out to a platform: directly, with certificates
// verified at the time of k, or through the tunnel that open gives.
func openWay(p config.Platform, k *clock.Keeper, open func() (*mqtt.Tunnel, error)) (uplink.Route, error) {
	if p.Uplink == config.MQTT {
		tunnel, err := open()
		if err != nil {
			return nil, err
		}
		return tunnel.Route(mqtt.RouteConfig{BaseURL: p.URL, AllowPlainHTTP: p.AllowPlainHTTP, DialTimeout: p.DialTimeout,
			ResponseTimeout: p.Policy.PayTimeout + 10*time.Second})
	}
	cfg := https.Config{BaseURL: p.URL, AllowPlainHTTP: p.AllowPlainHTTP, CAFile: p.CAFile, PinsSPKI: p.Pins,
		ClientPair: seal.Pairs(p.ClientCert, p.ClientKey), ServerName: p.ServerName,
		AllowRSAKeyExchange: p.AllowRSAKeyExchange, Relay: p.Relay, From: p.From, DialTimeout: p.DialTimeout, Now: k.Now, Doubt: k.Doubt,
		ResponseTimeout: p.Policy.PayTimeout + 10*time.Second}
	if p.Proxy != nil {
		cfg.Proxy = https.Proxy{Kind: p.Proxy.Kind, Address: p.Proxy.Address, User: p.Proxy.User}
		if p.Proxy.PasswordFile != "" {
			secret, _, err := seal.ReadSecret(p.Proxy.PasswordFile)
			if err != nil {
				return nil, err
			}
			cfg.Proxy.Password = https.NewPassword(secret.Reveal())
		}
	}
	return https.New(cfg)
}

func merchantsOf(c config.Config, platform string) []config.Merchant {
	var list []config.Merchant
	for _, m := range c.Merchants {
		if m.Platform == platform {
			list = append(list, m)
		}
	}
	return list
}

// tokenOf reads a profile's token anew for every request, so that a renewed
// one counts at once.
func tokenOf(c config.Config) func(profile string) (platforms.Hidden, error) {
	return func(profile string) (platforms.Hidden, error) {
		m, ok := c.MerchantNamed(profile)
		if !ok {
			return platforms.Hidden{}, fmt.Errorf("cannot find merchant profile %s; an order still runs under it, so put it back into merchants", profile)
		}
		if m.TokenFile == "" {
			return platforms.Hidden{}, nil
		}
		secret, _, err := seal.ReadSecret(m.TokenFile)
		return secret, err
	}
}

type smartpayOptions struct {
	Transport        string
	ClientID         string
	ClientVersion    string
	TransactionCodes struct {
		SweepCodePay    string
		QueryOrderState string
		Revoke          string
	}
	QueryKey     string
	CardTypes    map[string]string
	EqptTypes    map[string]string
	FailureCodes []int
	Charset      string
}

// credentials demands of every profile of a platform what its requests carry.
func credentials(c config.Config, platform string) error {
	for i, m := range c.Merchants {
		if m.Platform == platform && m.MerchCode == "" && m.TokenFile == "" {
			return c.Fail(fmt.Sprintf("merchants[%d]", i), "a merchant profile needs merch_code, token_file or both, as the platform asks")
		}
	}
	return nil
}

func openSmartPay(c config.Config, p config.Platform, rt http.RoundTripper, merchants []config.Merchant) (platforms.Platform, error) {
	if err := credentials(c, p.Name); err != nil {
		return nil, err
	}
	var o smartpayOptions
	if err := p.Options.Decode(&o); err != nil {
		return nil, err
	}
	services := map[string]string{}
	for name, t := range c.OrderTypes {
		if t.ServiceID != "" {
			services[name] = t.ServiceID
		}
	}
	cfg := smartpay.Config{Endpoint: p.URL, Transport: smartpay.Transport(o.Transport), ClientID: o.ClientID, ClientVersion: o.ClientVersion,
		TransactionCodes: smartpay.TransactionCodes(o.TransactionCodes), QueryKey: smartpay.QueryKey(o.QueryKey),
		CardTypes: o.CardTypes, ServiceIDs: services, EqptTypes: o.EqptTypes, FailureCodes: o.FailureCodes, Charset: o.Charset,
		Token: tokenOf(c)}
	if len(merchants) > 0 {
		cfg.Probe = platforms.Merchant{Profile: merchants[0].Profile, Code: merchants[0].MerchCode}
	}
	m, err := smartpay.New(rt, cfg)
	if err != nil {
		return nil, p.Options.Fail("", err.Error())
	}
	return m, nil
}

type fwcOptions struct {
	Transport          string
	Namespace          string
	ActionPrefix       string
	ParamName          string
	OmitEmpty          bool
	BarcodePayTypes    map[string]string
	QRPayTypes         map[string]string `yaml:"qr_pay_types"`
	AmountUnit         string
	CancelOp           string
	Cnt                string
	InhospitalFallback string
	RefundRefusals     []string
}

func openFWC(c config.Config, p config.Platform, rt http.RoundTripper, merchants []config.Merchant) (platforms.Platform, error) {
	if err := credentials(c, p.Name); err != nil {
		return nil, err
	}
	var o fwcOptions
	if err := p.Options.Decode(&o); err != nil {
		return nil, err
	}
	types := map[string]string{}
	for name, t := range c.OrderTypes {
		types[name] = t.OrderType
		if t.OrderType == "" {
			types[name] = name
		}
	}
	cfg := fwc.Config{Endpoint: p.URL, Transport: fwc.Transport(o.Transport), Namespace: o.Namespace, ActionPrefix: o.ActionPrefix,
		ParamName: o.ParamName, OmitEmpty: o.OmitEmpty, BarcodePayTypes: channelWords(o.BarcodePayTypes), QRPayTypes: channelWords(o.QRPayTypes),
		AmountUnit: fwc.Unit(o.AmountUnit), OrderTypes: types, CancelOp: o.CancelOp, Cnt: o.Cnt, HospitalID: c.Site.HospitalID,
		InhospitalFallback: o.InhospitalFallback, RefundRefusals: o.RefundRefusals, Token: tokenOf(c)}
	if len(merchants) > 0 {
		cfg.ProbeProfile = merchants[0].Profile
	}
	m, err := fwc.New(rt, cfg)
	if err != nil {
		return nil, p.Options.Fail("", err.Error())
	}
	return m, nil
}

func channelWords(in map[string]string) map[platforms.Channel]string {
	if in == nil {
		return nil
	}
	out := map[platforms.Channel]string{}
	for k, v := range in {
		out[platforms.Channel(k)] = v
	}
	return out
}
