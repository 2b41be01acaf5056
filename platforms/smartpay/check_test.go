package smartpay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"payagent/platforms"
)

func TestFieldsAreCheckedBeforeAnythingIsSent(t *testing.T) {
	for _, c := range []struct {
		field string
		spoil func(*platforms.Charge)
	}{
		{"out_trade_no", func(c *platforms.Charge) { c.OrderNo = "" }},
		{"out_trade_no", func(c *platforms.Charge) { c.OrderNo = strings.Repeat("A", 33) }},
		{"out_trade_no", func(c *platforms.Charge) { c.OrderNo = "MZ-1" }},
		{"out_trade_no", func(c *platforms.Charge) { c.OrderNo = "MZ１" }},
		{"amount_fen", func(c *platforms.Charge) { c.Amount = 0 }},
		{"amount_fen", func(c *platforms.Charge) { c.Amount = -1 }},
		{"amount_fen", func(c *platforms.Charge) { c.Amount = platforms.MaxFen + 1 }},
		{"subject", func(c *platforms.Charge) { c.Subject = "" }},
		{"subject", func(c *platforms.Charge) { c.Subject = "a\x00b" }},
		{"subject", func(c *platforms.Charge) { c.Subject = "a\xffb" }},
		{"memo", func(c *platforms.Charge) { c.Memo = "\x1b" }},
		{"patient.card_no", func(c *platforms.Charge) { c.Patient.CardNo = platforms.Hidden{} }},
		{"patient.card_no", func(c *platforms.Charge) { c.Patient.CardNo = platforms.Hide("77\x01") }},
		{"patient.card_type", func(c *platforms.Charge) { c.Patient.CardType = "" }},
		{"patient.card_type", func(c *platforms.Charge) { c.Patient.CardType = "library_card" }},
		{"operator.id", func(c *platforms.Charge) { c.Operator.ID = "" }},
		{"operator.name", func(c *platforms.Charge) { c.Operator.Name = " " }},
		{"order_type", func(c *platforms.Charge) { c.OrderType = "" }},
		{"order_type", func(c *platforms.Charge) { c.OrderType = "BODY_TEST" }},
		{"merchant", func(c *platforms.Charge) { c.Merchant.Code = "" }},
		{"till", func(c *platforms.Charge) { c.Terminal = "" }},
		{"mode", func(c *platforms.Charge) { c.Mode = platforms.ModePresent }},
		{"channel", func(c *platforms.Charge) { c.Channel = platforms.UnionPay }},
		{"auth_code", func(c *platforms.Charge) { c.Code.Kind = platforms.KindInsurance }},
		{"auth_code", func(c *platforms.Charge) { c.Code.Kind = platforms.KindUnionPay }},
		{"auth_code", func(c *platforms.Charge) { c.Code.Kind = platforms.KindAlipay }},
	} {
		order := goldenCharge()
		c.spoil(&order)
		rt := &canned{}
		p := open(t, rt)
		var f *platforms.FieldError
		if err := p.CheckCharge(order); !asField(err, &f) || f.Field != c.field {
			t.Errorf("CheckCharge, %s: %v", c.field, err)
		}
		_, err := p.Charge(context.Background(), order)
		if !asField(err, &f) || f.Field != c.field || !errors.Is(err, platforms.ErrNotCharged) || rt.n != 0 {
			t.Errorf("Charge, %s: %v, %d sent", c.field, err, rt.n)
		}
		if s := err.Error(); strings.Contains(s, goldenCode) || strings.Contains(s, "0012345678") {
			t.Errorf("%s: the refusal leaks: %s", c.field, s)
		}
	}
	rt := &canned{}
	p, unscanned := open(t, rt), goldenCharge()
	unscanned.Code = platforms.AuthCode{}
	if err := p.CheckCharge(unscanned); err != nil {
		t.Errorf("an order may be checked before the code is scanned: %v", err)
	}
	var f *platforms.FieldError
	if _, err := p.Charge(context.Background(), unscanned); !asField(err, &f) || f.Field != "auth_code" || rt.n != 0 {
		t.Errorf("a charge without a code: %v", err)
	}
	if err := p.CheckRefund(platforms.Refund{}); !errors.Is(err, platforms.ErrUnsupported) || !asField(err, &f) {
		t.Errorf("refund: %v", err)
	}
	for name, spoil := range map[string]func(*platforms.Ref){
		"operator.id":   func(r *platforms.Ref) { r.Operator.ID = "" },
		"operator.name": func(r *platforms.Ref) { r.Operator.Name = "" },
		"merchant":      func(r *platforms.Ref) { r.Merchant.Code = "" },
		"out_trade_no":  func(r *platforms.Ref) { r.OrderNo = "" },
	} {
		ref := goldenRef()
		spoil(&ref)
		if _, err := p.Cancel(context.Background(), ref); !asField(err, &f) || f.Field != name || rt.n != 0 || errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("cancel, %s: %v", name, err)
		}
		if strings.HasPrefix(name, "operator") {
			continue
		}
		if _, err := p.Query(context.Background(), ref); !asField(err, &f) || f.Field != name || rt.n != 0 || errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("query, %s: %v", name, err)
		}
	}
}

func TestDerivedFields(t *testing.T) {
	value := func(c platforms.Charge, name string) string {
		for _, e := range open(t, &canned{}).chargeElements(c) {
			if e.name == name {
				return e.value
			}
		}
		return "(not sent)"
	}
	c := goldenCharge()
	c.Memo = " "
	if got := value(c, "OrderMemo"); got != c.Subject {
		t.Errorf("OrderMemo without a memo: %q", got)
	}
	for kind, want := range map[string]string{"counter": "5", "kiosk": "2", "": "5", "other": "5"} {
		c.TillKind = kind
		if got := value(c, "EqptType"); got != want {
			t.Errorf("EqptType of %q: %q", kind, got)
		}
	}
	for word, want := range map[string]string{"medical_card": "1", "id_card": "2", "passport": "3", "insurance_card": "12", "other": "13", "admission_no": "14", "phone": "15"} {
		c.Patient.CardType = word
		if got := value(c, "CardType"); got != want {
			t.Errorf("CardType of %q: %q", word, got)
		}
	}
	c.Amount = 12_345_678
	if got := value(c, "TotalFee"); got != "12345678" {
		t.Errorf("TotalFee %q", got)
	}
}

func TestConfigurationErrorsNameTheKey(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"endpoint: is":      func(c *Config) { c.Endpoint = "http://[::1" },
		"endpoint: must be": func(c *Config) { c.Endpoint = "ftp://h/" },
		"endpoint: must have": func(c *Config) {
			c.Endpoint = "http://user:pw@h/"
		},
		"endpoint: must have no":              func(c *Config) { c.Endpoint = "http://h/?token=x" },
		"client_id":                           func(c *Config) { c.ClientID = "" },
		"token":                               func(c *Config) { c.Transport, c.Token = FormGateway, nil },
		"transport":                           func(c *Config) { c.Transport = "rest" },
		"transaction_codes.sweep_code_pay":    func(c *Config) { c.TransactionCodes.SweepCodePay = "" },
		"transaction_codes.query_order_state": func(c *Config) { c.TransactionCodes.QueryOrderState = "20O7" },
		"transaction_codes.revoke":            func(c *Config) { c.TransactionCodes.Revoke = "1234567890" },
		"query_key":                           func(c *Config) { c.QueryKey = "bill" },
		"charset":                             func(c *Config) { c.Charset = "big5" },
		"failure_codes":                       func(c *Config) { c.FailureCodes = []int{-400011} },
		"card_types":                          func(c *Config) { c.CardTypes = map[string]string{"x": ""} },
		"service_ids":                         func(c *Config) { c.ServiceIDs = map[string]string{" ": "1"} },
		"eqpt_types":                          func(c *Config) { c.EqptTypes = map[string]string{"kiosk": " "} },
	} {
		cfg := goldenConfig(WSGWSOAP)
		spoil(&cfg)
		_, err := New(&canned{}, cfg)
		if err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "pw") || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := New(nil, goldenConfig(WSGWSOAP)); err == nil {
		t.Error("no RoundTripper was accepted")
	}
}

func TestTokensAreReadAtEachCall(t *testing.T) {
	rt := &canned{body: wrapped(0, chargeReply(10000, "成功", withPaid))}
	token, asked := "first-token-0001", ""
	p := open(t, rt, func(c *Config) {
		c.Transport = FormGateway
		c.Token = func(profile string) (platforms.Hidden, error) {
			asked = profile
			if token == "" {
				return platforms.Hidden{}, errors.New("secret-path first-token-0001")
			}
			return platforms.Hide(token), nil
		}
	})
	for _, token = range []string{"first-token-0001", "second-token-0002"} {
		if _, err := p.Charge(context.Background(), goldenCharge()); err != nil || rt.req.Header.Get("token") != token || asked != "outpatient" {
			t.Errorf("%v %q %q", err, rt.req.Header.Get("token"), asked)
		}
	}
	for _, token = range []string{"", "with blank", "line\r\nbreak", "全角"} {
		n := rt.n
		_, err := p.Charge(context.Background(), goldenCharge())
		if !errors.Is(err, platforms.ErrToken) || !errors.Is(err, platforms.ErrNotCharged) || rt.n != n || strings.Contains(err.Error(), "first-token") {
			t.Errorf("charge with the token %q: %v", token, err)
		}
		_, err = p.Query(context.Background(), goldenRef())
		if !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) || rt.n != n {
			t.Errorf("query with the token %q: %v", token, err)
		}
	}
}

func TestSecretsInRepliesStayThere(t *testing.T) {
	leaky := "<Data><OrderId>" + goldenCode + "</OrderId><HisOrderId>x" + goldenCode + "</HisOrderId><TransactionId>" + goldenCode +
		"</TransactionId><TotalFee>" + goldenCode + "</TotalFee></Data>"
	for _, code := range []int{10000, -400011, -400010, 40001, -10000} {
		a, err := open(t, &canned{body: chargeReply(code, "卡 0012345678 付款码 "+goldenCode+" 无效", leaky)}).Charge(context.Background(), goldenCharge())
		if s := fmt.Sprintf("%+v %+v %#v %v", a, err, err, platforms.Bind(goldenCharge().Ref, a)); strings.Contains(s, goldenCode) || strings.Contains(s, "0012345678") {
			t.Errorf("%d: %s", code, s)
		}
		if err == nil && a.Status == platforms.Paid && platforms.Bind(goldenCharge().Ref, a) == nil {
			t.Errorf("%d: believed", code)
		}
	}
}
