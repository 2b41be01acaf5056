package fwc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcsuite"
	"payagent/platforms/fwc/fwctest"
)

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*fwc.Config){
		"endpoint":            func(c *fwc.Config) { c.Endpoint = "platform:9001" },
		"endpoint scheme":     func(c *fwc.Config) { c.Endpoint = "ftp://h/x" },
		"endpoint user":       func(c *fwc.Config) { c.Endpoint = "http://u:p@h/x" },
		"token":               func(c *fwc.Config) { c.Token = nil },
		"transport":           func(c *fwc.Config) { c.Transport = "json" },
		"amount_unit":         func(c *fwc.Config) { c.AmountUnit = "cent" },
		"inhospital_fallback": func(c *fwc.Config) { c.InhospitalFallback = "phone" },
		"cnt":                 func(c *fwc.Config) { c.Cnt = "many" },
		"param_name":          func(c *fwc.Config) { c.ParamName = "a b" },
		"cancel_op":           func(c *fwc.Config) { c.CancelOp = "<x>" },
		"namespace":           func(c *fwc.Config) { c.Namespace = "a\"b" },
		"pay type twice":      func(c *fwc.Config) { c.QRPayTypes = map[platforms.Channel]string{"a": "X", "b": "x"} },
		"pay type empty":      func(c *fwc.Config) { c.BarcodePayTypes = map[platforms.Channel]string{"a": ""} },
		"order type":          func(c *fwc.Config) { c.OrderTypes = map[string]string{"A": "<x/>"} },
		"refund refusal":      func(c *fwc.Config) { c.RefundRefusals = []string{" "} },
	} {
		cfg := fwcsuite.Config("")
		change(&cfg)
		if _, err := fwc.New(http.DefaultTransport, cfg); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fwc.New(nil, fwcsuite.Config("")); err == nil {
		t.Error("no transport")
	}
	p := open(t, nowhere{})
	if tr := p.Traits(); !tr.FindsByNumber || tr.PaidIsSticky || len(tr.Channels) != 3 {
		t.Errorf("traits %+v", tr)
	}
}

type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.EOF }

// TestOrderTypes: every word of the API's table arrives as the seed's.
func TestOrderTypes(t *testing.T) {
	want := map[string]string{"DEPOSIT": "HOSPITALIZATION"}
	for _, w := range []string{"APPOINTMENT", "TREATMENT", "HOSPITALIZATION", "ONLINE_CONSULTATION", "NUCLEIC_ACID_TEST", "BODY_TEST", "SCAN_TO_ORDER", "COMMERCIAL_OTHERS"} {
		want[w] = w
	}
	for name, word := range want {
		e := &exchange{reply: "x"}
		c := goldenCharge(platforms.ModeCharge)
		c.OrderType = name
		_, _ = open(t, e).Charge(t.Context(), c)
		if !strings.Contains(e.body, "<OrderType>"+word+"</OrderType>") {
			t.Errorf("%s is not sent as %s", name, word)
		}
	}
	if got := fwc.OrderTypes(); len(got) != len(want) {
		t.Errorf("table %v", got)
	}
}

func TestWhatIsSent(t *testing.T) {
	body := func(mode platforms.Mode, cfg func(*fwc.Config), change func(*platforms.Charge)) string {
		e := &exchange{reply: "x"}
		c := goldenCharge(mode)
		if change != nil {
			change(&c)
		}
		p := open(t, e, cfg)
		if mode == platforms.ModePresent {
			_, _ = p.Present(t.Context(), c)
		} else {
			_, _ = p.Charge(t.Context(), c)
		}
		return e.body
	}
	plain := func(*fwc.Config) {}
	empty := func(c *platforms.Charge) {
		c.Memo, c.Operator, c.Terminal, c.Channel, c.Details, c.Expires, c.Patient.Phone = "", platforms.Operator{}, "", "", nil, "", platforms.Hidden{}
		c.Aggregated = true
	}
	optional := []string{"Descriptive", "OperatorID", "TerminalID", "PayType"}
	for _, omit := range []bool{false, true} {
		got := body(platforms.ModeCharge, func(c *fwc.Config) { c.OmitEmpty = omit }, empty)
		for _, name := range optional {
			if strings.Contains(got, "<"+name+"></"+name+">") == omit {
				t.Errorf("omit_empty %v, %s: %s", omit, name, got)
			}
		}
		if strings.Contains(got, "Cnt") {
			t.Error("Cnt is sent although it is not configured")
		}
		got = body(platforms.ModePresent, func(c *fwc.Config) { c.OmitEmpty = omit }, empty)
		if strings.Contains(got, "PayType") {
			t.Errorf("an aggregated QR is sent with PayType: %s", got)
		}
		for _, name := range []string{"Descriptive", "TradeDetail", "TimeoutExpress", "Tel"} {
			if strings.Contains(got, "<"+name+"></"+name+">") == omit {
				t.Errorf("QR, omit_empty %v, %s: %s", omit, name, got)
			}
		}
	}
	for _, c := range []struct{ name, got, want string }{
		{"barcode words", body(platforms.ModeCharge, plain, nil), "<PayType>weixin</PayType>"},
		{"QR words", body(platforms.ModePresent, plain, nil), "<PayType>WeiXin</PayType>"},
		{"aggregated", body(platforms.ModePresent, plain, func(c *platforms.Charge) { c.Aggregated = true }), "<TimeoutExpress>20m</TimeoutExpress><PatientName>"},
		{"own words", body(platforms.ModeCharge, func(c *fwc.Config) { c.BarcodePayTypes = map[platforms.Channel]string{platforms.WeChat: "WX"} }, nil), "<PayType>WX</PayType>"},
		{"fen", body(platforms.ModeCharge, func(c *fwc.Config) { c.AmountUnit = fwc.UnitFen }, nil), "<TotalAmount>8890</TotalAmount>"},
		{"yuan", body(platforms.ModeCharge, plain, func(c *platforms.Charge) { c.Amount = 1 }), "<TotalAmount>0.01</TotalAmount>"},
		{"card number", body(platforms.ModeCharge, func(c *fwc.Config) { c.InhospitalFallback = fwc.FallbackCardNo }, func(c *platforms.Charge) { c.Patient.AdmissionNo = platforms.Hidden{} }), "<InhospitalNo>CARD-99887766</InhospitalNo>"},
		{"admission first", body(platforms.ModeCharge, func(c *fwc.Config) { c.InhospitalFallback = fwc.FallbackCardNo }, nil), "<InhospitalNo>ZYH-55443322</InhospitalNo>"},
		{"details", body(platforms.ModePresent, plain, nil), `<TradeDetail>[{"goods_id":"apple-01","goods_name":"ipad","goods_category":"7788 230","price":"2000.00","quantity":"1","body":"商品描述"}]</TradeDetail>`},
		{"nasty details", body(platforms.ModePresent, plain, func(c *platforms.Charge) { c.Details[0].Body = "<a>&\"\n" }), `"body":"&lt;a&gt;&amp;\"\n"`},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%s: want %s in %s", c.name, c.want, c.got)
		}
	}
	e := &exchange{reply: "x"}
	ref := goldenCharge(platforms.ModePresent).Ref
	_, _ = open(t, e, func(c *fwc.Config) { c.CancelOp = "FWC_IF_Qrcode_Pay_Cancel" }).Cancel(t.Context(), ref)
	if !strings.HasSuffix(e.seen.URL.Path, "/FWC_IF_Qrcode_Pay_Cancel") {
		t.Errorf("a QR order is cancelled at %s", e.seen.URL.Path)
	}
	ref.Mode = platforms.ModeCharge
	_, _ = open(t, e, func(c *fwc.Config) { c.CancelOp = "FWC_IF_Qrcode_Pay_Cancel" }).Cancel(t.Context(), ref)
	if !strings.HasSuffix(e.seen.URL.Path, "/FWC_IF_Barcode_Pay_Cancel") {
		t.Errorf("a code order is cancelled at %s", e.seen.URL.Path)
	}
	_, _ = open(t, e, func(c *fwc.Config) { c.AmountUnit = fwc.UnitFen }).Refund(t.Context(), goldenRefund())
	if !strings.Contains(e.body, "<RefundAmount>8.88</RefundAmount>") || !strings.Contains(e.body, "<TotalAmount>8890</TotalAmount>") {
		t.Errorf("a refund at a site that counts in fen: %s", e.body)
	}
}

func TestExpires(t *testing.T) {
	p := open(t, nowhere{})
	for expires, fine := range map[string]bool{
		"": true, "1m": true, "20m": true, "90m": true, "21600m": true, "21601m": false, "360h": true, "361h": false, "15d": true, "16d": false, "1c": true,
		"2c": false, "0m": false, "01m": false, "1.5h": false, "m": false, "20": false, "20M": false, "-1m": false, " 20m": false, "999999m": false, "1m1h": false,
	} {
		c := goldenCharge(platforms.ModePresent)
		c.Expires = expires
		err := p.CheckCharge(c)
		var f *platforms.FieldError
		if (err == nil) != fine || err != nil && (!errors.As(err, &f) || f.Field != "expires") {
			t.Errorf("%q: %v", expires, err)
		}
	}
}

func TestCheckRefund(t *testing.T) {
	p := open(t, nowhere{})
	if err := p.CheckRefund(goldenRefund()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		field  string
		change func(*platforms.Refund)
	}{
		"no trade number":  {"trade_no", func(r *platforms.Refund) { r.TradeNo = "" }},
		"no order number":  {"out_trade_no", func(r *platforms.Refund) { r.OrderNo = "" }},
		"no number":        {"request_no", func(r *platforms.Refund) { r.RequestNo = "" }},
		"33 characters":    {"request_no", func(r *platforms.Refund) { r.RequestNo = strings.Repeat("R", 33) }},
		"above the order":  {"amount_fen", func(r *platforms.Refund) { r.Sum = r.Amount + 1 }},
		"nothing":          {"amount_fen", func(r *platforms.Refund) { r.Sum = 0 }},
		"order of nothing": {"amount_fen", func(r *platforms.Refund) { r.Amount = 0 }},
		"String(9)":        {"amount_fen", func(r *platforms.Refund) { r.Sum, r.Amount = platforms.MaxFen+1, platforms.MaxFen+1 }},
		"wallet":           {"channel", func(r *platforms.Refund) { r.Channel = platforms.ECNY }},
		"reason":           {"reason", func(r *platforms.Refund) { r.Reason = "\x00" }},
		"till":             {"till", func(r *platforms.Refund) { r.Terminal = "\x00" }},
	} {
		r := goldenRefund()
		c.change(&r)
		var f *platforms.FieldError
		if err := p.CheckRefund(r); !errors.As(err, &f) || f.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Refund(t.Context(), r); !errors.As(err, &f) || f.Field != c.field {
			t.Errorf("%s: Refund gives %v", name, err)
		}
	}
	r := goldenRefund()
	r.Sum, r.Amount = platforms.MaxFen, platforms.MaxFen
	if err := p.CheckRefund(r); err != nil || len(r.Sum.Yuan()) != 9 {
		t.Errorf("the largest refund: %v", err)
	}
}

// TestTokens: a token that is missing proves that nothing was charged, one that
// is replaced is used by the next call, and each order uses its own profile.
func TestTokens(t *testing.T) {
	tokens := map[string]string{"clinic": "old"}
	asked := ""
	source := func(c *fwc.Config) {
		c.Token = func(profile string) (platforms.Hidden, error) {
			asked = profile
			v, ok := tokens[profile]
			if !ok {
				return platforms.Hidden{}, errors.New("cannot open the file")
			}
			return platforms.Hide(v), nil
		}
		c.ProbeProfile = "probe"
	}
	w := newSim(t, fwctest.Options{TokenOK: func(v string) bool { return v == "new" }})
	p := open(t, w, source)
	c := goldenCharge(platforms.ModeCharge)
	c.Amount = 100
	_, err := p.Charge(t.Context(), c)
	if !errors.Is(err, platforms.ErrToken) || !errors.Is(err, platforms.ErrNotCharged) || asked != "clinic" {
		t.Fatalf("an old token: %v", err)
	}
	if len(w.bank.Trades()) != 0 {
		t.Fatal("a refused token made a trade")
	}
	if _, err := p.Query(t.Context(), c.Ref); !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) {
		t.Errorf("a query with an old token: %v", err)
	}
	tokens["clinic"] = "new\n"
	if _, err := p.Charge(t.Context(), c); err != nil || w.bank.Net(orderNo) != 100 {
		t.Errorf("a new token: %v", err)
	}
	for _, v := range []string{"", " \n"} {
		tokens["clinic"] = v
		if _, err := p.Charge(t.Context(), c); !errors.Is(err, platforms.ErrToken) || !errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("token %q: %v", v, err)
		}
	}
	if err := p.Probe(t.Context()); !errors.Is(err, platforms.ErrToken) || asked != "probe" {
		t.Errorf("a probe without token: %v", err)
	}
	tokens["probe"] = "new"
	if err := p.Probe(t.Context()); err != nil {
		t.Errorf("a probe: %v", err)
	}
}

// TestRoutingFaults: asmx routes by SOAPAction and answers others with a fault,
// which proves nothing and names what to correct.
func TestRoutingFaults(t *testing.T) {
	for _, tr := range []fwc.Transport{fwc.SOAP11, fwc.SOAP12} {
		w := newSim(t, fwctest.Options{})
		p := open(t, w, func(c *fwc.Config) { c.Transport, c.ActionPrefix = tr, "http://other.invalid/" })
		_, err := p.Charge(t.Context(), goldenCharge(platforms.ModeCharge))
		if err == nil || !strings.Contains(err.Error(), "did not recognize the value of HTTP Header SOAPAction") || errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("%s: %v", tr, err)
		}
		for name, change := range map[string]func(*fwc.Config){
			"namespace":  func(c *fwc.Config) { c.Namespace, c.ActionPrefix = "http://other.invalid/", "http://tempuri.org/" },
			"param_name": func(c *fwc.Config) { c.ParamName = "doc" },
			"cancel_op":  func(c *fwc.Config) { c.CancelOp = "FWC_IF_Qrcode_Pay_Cancel" },
		} {
			p := open(t, w, func(c *fwc.Config) { c.Transport = tr }, change)
			got, err := p.Cancel(t.Context(), goldenCharge(platforms.ModePresent).Ref)
			if got.Done {
				t.Errorf("%s, wrong %s: %+v, %v", tr, name, got, err)
			}
		}
	}
	// A site with everything its own way.
	own := fwctest.Options{Namespace: "urn:own", ActionPrefix: "urn:own#", ParamName: "doc", QRCancel: true, WrapString: true, HospitalID: "H7"}
	for _, tr := range []fwc.Transport{fwc.SOAP11, fwc.SOAP12, fwc.FormXML, fwc.RawXMLPost} {
		w := newSim(t, own)
		p := open(t, w, func(c *fwc.Config) {
			c.Transport, c.Namespace, c.ActionPrefix, c.ParamName, c.HospitalID = tr, "urn:own", "urn:own#", "doc", "H7"
			c.CancelOp = "FWC_IF_Qrcode_Pay_Cancel"
		})
		qr, err := p.Present(t.Context(), goldenCharge(platforms.ModePresent))
		if err != nil || qr.QR == "" {
			t.Errorf("%s: %+v, %v", tr, qr, err)
		}
		w.bank.Scan(w.now(), orderNo, bank.Payer{Channel: platforms.Alipay})
		a, err := p.Query(t.Context(), goldenCharge(platforms.ModePresent).Ref)
		if err != nil || a.Status != platforms.Paid || a.Channel != platforms.Alipay {
			t.Errorf("%s: %+v, %v", tr, a, err)
		}
		c, err := p.Cancel(t.Context(), goldenCharge(platforms.ModePresent).Ref)
		if err != nil || c.Action != platforms.ActionRefund || w.bank.Net(orderNo) != 0 {
			t.Errorf("%s: %+v, %v", tr, c, err)
		}
	}
}

// A number that cannot be sent is an error that says nothing about the money.
func TestQueriesOfNoNumber(t *testing.T) {
	ref := goldenCharge(platforms.ModeCharge).Ref
	ref.OrderNo = "MZ-1"
	e := &exchange{reply: "x"}
	_, query := open(t, e).Query(t.Context(), ref)
	_, cancel := open(t, e).Cancel(t.Context(), ref)
	for _, err := range []error{query, cancel} {
		if err == nil || errors.Is(err, platforms.ErrNotCharged) || e.seen != nil {
			t.Errorf("%v, sent %v", err, e.seen != nil)
		}
	}
}

func TestEndedContextSendsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := &exchange{reply: "x"}
	_, err := do(ctx, open(t, e), opPay)
	if e.seen != nil || !errors.Is(err, platforms.ErrNotCharged) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, sent %v", err, e.seen != nil)
	}
	_, err = do(ctx, open(t, e), opQuery)
	if e.seen != nil || err == nil || errors.Is(err, platforms.ErrNotCharged) {
		t.Errorf("%v, sent %v", err, e.seen != nil)
	}
}
