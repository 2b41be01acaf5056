package lc_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lcsuite"
)

func TestConfigRefused(t *testing.T) {
	k := keys(t, 1024)
	if _, err := lc.New(nil, lcsuite.Config(k)); err == nil {
		t.Error("it opens without a way")
	}
	for name, x := range map[string]struct {
		change func(*lc.Config)
		want   string
	}{
		"no endpoint":         {func(c *lc.Config) { c.Endpoint = "" }, "endpoint"},
		"endpoint with query": {func(c *lc.Config) { c.Endpoint += "?a=b" }, "endpoint"},
		"endpoint with user":  {func(c *lc.Config) { c.Endpoint = "https://u:p@h.invalid/" }, "endpoint"},
		"no app_id":           {func(c *lc.Config) { c.AppID = "" }, "app_id"},
		"blank in app_id":     {func(c *lc.Config) { c.AppID = "a b" }, "app_id"},
		"no key":              {func(c *lc.Config) { c.PrivateKey = nil }, "private_key_file"},
		"no clock":            {func(c *lc.Config) { c.Now = nil }, "clock"},
		"key gone": {func(c *lc.Config) {
			c.PrivateKey = func() (platforms.Hidden, error) { return platforms.Hidden{}, errors.New("gone") }
		}, "gone"},
		"no platform key":   {func(c *lc.Config) { c.PlatformKeys = nil }, "platform_key_files"},
		"no key, no query":  {func(c *lc.Config) { c.PlatformKeys, c.VerifyReply, c.Query = nil, lc.VerifyOff, lc.QueryNone }, "platform_key_files"},
		"bad platform key":  {func(c *lc.Config) { c.PlatformKeys = []platforms.Hidden{platforms.Hide("x")} }, "platform key 1"},
		"private as public": {func(c *lc.Config) { c.PlatformKeys = []platforms.Hidden{lcsuite.PrivatePEM(k.Gateway)} }, "platform key 1"},
		"hash":              {func(c *lc.Config) { c.Hash = "md5" }, "hash"},
		"query":             {func(c *lc.Config) { c.Query = "fwc" }, "query"},
		"amounts":           {func(c *lc.Config) { c.AmountForm = "float" }, "amount_form"},
		"cancel":            {func(c *lc.Config) { c.CancelShown = "x" }, "cancel_shown"},
		"proof":             {func(c *lc.Config) { c.RefundProof = "x" }, "refund_proof"},
		"total":             {func(c *lc.Config) { c.TotalRule = "x" }, "total_rule"},
		"qr_field":          {func(c *lc.Config) { c.QRField = "a b" }, "qr_field"},
		"empty code":        {func(c *lc.Config) { c.CredentialCodes = []string{" "} }, "credential_codes"},
		"paid as refusal":   {func(c *lc.Config) { c.RefundRefusals = []string{"TRADE_SUCCESS"} }, "refund_refusals"},
		"order type":        {func(c *lc.Config) { c.OrderTypes = map[string]string{"X": "a b"} }, "order type"},
		"eshimin taken":     {func(c *lc.Config) { c.PaymentTypes = map[platforms.Channel]string{platforms.WeChat: "Eshimin"} }, "payment type"},
		"payment type of 37": {func(c *lc.Config) {
			c.PaymentTypes = map[platforms.Channel]string{platforms.WeChat: strings.Repeat("w", 37)}
		}, "payment type"},
	} {
		cfg := lcsuite.Config(k)
		x.change(&cfg)
		if _, err := lc.New(&exchange{}, cfg); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: error %v, want one about %s", name, err, x.want)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	k := keys(t, 1024)
	tables := map[string]string{"TREATMENT": "TREATMENT"}
	p := open(t, k, &exchange{}, func(c *lc.Config) { c.OrderTypes = tables })
	tables["TREATMENT"] = "changed"
	e := &exchange{}
	if traits := p.Traits(); !traits.FindsByNumber || traits.NoQuery || !slices.Equal(traits.Channels, []platforms.Channel{"alipay", "ecny", "unionpay", "wechat"}) {
		t.Errorf("%+v", traits)
	}
	for _, m := range []platforms.Mode{platforms.ModePresent, platforms.ModeH5, platforms.ModeInsurance} {
		if !p.Presents(m) {
			t.Errorf("it does not show %s", m)
		}
	}
	if p.Presents(platforms.ModeCharge) {
		t.Error("it shows charges")
	}
	// SHA-256 goes with rsa2 unless the site says otherwise.
	for want, change := range map[string]func(*lc.Config){
		"rsa": nil, "rsa2": func(c *lc.Config) { c.Hash = "sha256" }, "RSA": func(c *lc.Config) { c.SignType = "RSA" },
	} {
		_, _ = do(t, open(t, k, e, change), opQuery)
		if got := e.form.Get("sign_type"); got != want {
			t.Errorf("sign_type %s, want %s", got, want)
		}
	}
	none := open(t, k, e, func(c *lc.Config) { c.Query = lc.QueryNone })
	e.form = url.Values{}
	if _, err := do(t, none, opQuery); !errors.Is(err, platforms.ErrUnsupported) || len(e.form) != 0 || !none.Traits().NoQuery {
		t.Errorf("query: none: %v, sent %v", err, e.form)
	}
	if err := none.Probe(t.Context()); err == nil || e.method != opQuery {
		t.Error("a probe of a platform without a query asks nobody")
	}
}

// Texts of the document's limits pass, one character more does not.
func TestLengths(t *testing.T) {
	k := keys(t, 1024)
	p := open(t, k, &exchange{}, nil)
	long := func(n int) string { return strings.Repeat("长", n) }
	address := func(n int) string { return "https://h.invalid/" + strings.Repeat("x", n-len("https://h.invalid/")) }
	object := func(n int) string { return `{"a":"` + long(n-8) + `"}` }
	for name, x := range map[string]struct {
		most int
		set  func(c *platforms.Charge, n int)
	}{
		"out_trade_no":          {32, func(c *platforms.Charge, n int) { c.OrderNo = strings.Repeat("9", n) }},
		"subject":               {50, func(c *platforms.Charge, n int) { c.Subject = long(n) }},
		"memo":                  {128, func(c *platforms.Charge, n int) { c.Memo = long(n) }},
		"operator.id":           {30, func(c *platforms.Charge, n int) { c.Operator.ID = long(n) }},
		"till":                  {32, func(c *platforms.Charge, n int) { c.Terminal = long(n) }},
		"return_url":            {512, func(c *platforms.Charge, n int) { c.Web.ReturnURL = address(n) }},
		"notify_url":            {512, func(c *platforms.Charge, n int) { c.Web.NotifyURL = address(n) }},
		"disable_pay_channels":  {128, func(c *platforms.Charge, n int) { c.Web.DisableChannels = long(n) }},
		"business_params":       {256, func(c *platforms.Charge, n int) { c.Web.BusinessParams = object(n) }},
		"agreement_sign_params": {4096, func(c *platforms.Charge, n int) { c.Web.AgreementParams = object(n) }},
	} {
		for n, good := range map[int]bool{x.most: true, x.most + 1: false} {
			c := lcsuite.Charge(platforms.ModeH5, "MZ1", 8888)
			x.set(&c, n)
			err := p.CheckCharge(c)
			var f *platforms.FieldError
			if good != (err == nil) || !good && (!errors.As(err, &f) || f.Field != name || strings.Contains(f.Reason, "长")) {
				t.Errorf("%s of %d: %v", name, n, err)
			}
		}
	}
	for expires, good := range map[string]bool{"": true, "1m": true, "90m": true, "21600m": true, "21601m": false, "360h": true, "15d": true, "16d": false, "1c": true, "2c": false, "0m": false, "1.5h": false, "99999d": false, "m": false} {
		c := lcsuite.Charge(platforms.ModeH5, "MZ1", 8888)
		c.Expires = expires
		if err := p.CheckCharge(c); (err == nil) != good {
			t.Errorf("expires %q: %v", expires, err)
		}
	}
	r := platforms.Refund{Ref: platforms.Ref{OrderNo: "MZ1", Amount: 100}, RequestNo: "R1", Sum: 100}
	for name, change := range map[string]func(*platforms.Refund){
		"reason": func(r *platforms.Refund) { r.Reason = long(129) }, "operator.id": func(r *platforms.Refund) { r.Operator.ID = long(31) },
		"till": func(r *platforms.Refund) { r.Terminal = long(33) }, "channel": func(r *platforms.Refund) { r.Channel = "qq" },
		"amount_fen": func(r *platforms.Refund) { r.Amount = 0 },
	} {
		bad := r
		change(&bad)
		var f *platforms.FieldError
		if err := p.CheckRefund(bad); !errors.As(err, &f) || f.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.CheckRefund(r); err != nil {
		t.Error(err)
	}
}

// What an order names goes before what the site has configured.
func TestAddressesOfTheOrder(t *testing.T) {
	k := keys(t, 1024)
	e := &exchange{}
	c := lcsuite.Charge(platforms.ModeH5, "MZ1", 8888)
	c.Web = platforms.Web{NotifyURL: "https://own.invalid/n", ReturnURL: "https://own.invalid/r", DisableChannels: "own"}
	_, _ = open(t, k, e, func(c *lc.Config) { c.DisableChannels = "site" }).Present(t.Context(), c)
	if got := e.form.Get("biz_content"); !strings.Contains(got, "https://own.invalid/n") || !strings.Contains(got, "https://own.invalid/r") || !strings.Contains(got, `"own"`) {
		t.Error(got)
	}
	c.Web = platforms.Web{}
	_, _ = open(t, k, e, func(c *lc.Config) { c.DisableChannels = "site" }).Present(t.Context(), c)
	if got := e.form.Get("biz_content"); !strings.Contains(got, "paynotify") || !strings.Contains(got, "paysuccesscallback") || !strings.Contains(got, `"site"`) {
		t.Error(got)
	}
}
