package smartpay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/platformtest"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpaytest"
)

const token = "sp-token-0d9f6b1c"

func config(tr smartpay.Transport) smartpay.Config {
	endpoint := map[smartpay.Transport]string{
		smartpay.WSGWSOAP:    "http://smartpay.invalid:8080/WSGW/services/ServiceGateWay",
		smartpay.FormGateway: "http://smartpay.invalid/sp",
		smartpay.RawXMLPost:  "http://smartpay.invalid/raw/{method}",
	}
	return smartpay.Config{
		Endpoint: endpoint[tr], Transport: tr, ClientID: "9000001",
		TransactionCodes: smartpay.TransactionCodes{SweepCodePay: "1001", QueryOrderState: "1002", Revoke: "1003"},
		Token:            func(string) (platforms.Hidden, error) { return platforms.Hide(token), nil },
		Probe:            platforms.Merchant{Profile: "outpatient", Code: "0755001"},
	}
}

func charge(mode platforms.Mode, no string, amount platforms.Fen) platforms.Charge {
	c := platforms.Charge{
		Ref: platforms.Ref{
			OrderNo: no, Amount: amount, Mode: mode, Terminal: "W03",
			Merchant: platforms.Merchant{Profile: "outpatient", Code: "0755001"},
			Operator: platforms.Operator{ID: "0107", Name: "李收费"},
		},
		Channel: platforms.WeChat, OrderType: "TREATMENT", TillKind: "counter", Subject: "门诊缴费", Memo: "处方两张",
		Patient: platforms.Patient{
			Name: platforms.Hide("欧阳某某"), CardNo: platforms.Hide("K99887766"), CardType: "medical_card",
			Phone: platforms.Hide("13900001111"), AdmissionNo: platforms.Hide("ZY-554433"),
		},
	}
	if mode == platforms.ModeCharge {
		c.Code = platforms.AuthCode{Hidden: platforms.Hide("134567890123456789"), Kind: platforms.KindWeChat}
	}
	return c
}

// subject is SmartPay under test: one configuration against one personality of
// the server.
func subject(name string, cfg smartpay.Config, opt smartpaytest.Options) platformtest.Subject {
	opt.Token = token
	s := platformtest.Subject{
		Name: name,
		Open: func(rt http.RoundTripper) (platforms.Platform, error) { return smartpay.New(rt, cfg) },
		Wire: func(b *bank.Bank, ctl *platformtest.Control) http.Handler {
			opt := opt
			opt.Control = ctl
			return smartpaytest.Handler(b, opt)
		},
		Charge:   charge,
		Secrets:  []string{token},
		Fields:   fieldRules(),
		Attacks:  attacks(cfg.Transport),
		Variants: variants(cfg.Transport),
		Excuses:  map[string]string{},
	}
	if cfg.Transport == smartpay.FormGateway {
		s.Excuses[platformtest.VariantGBK] = "the wrapper is JSON, and JSON is UTF-8"
	}
	return s
}

func fieldRules() []platformtest.FieldRule {
	rule := func(field, why string, spoil func(*platforms.Charge)) platformtest.FieldRule {
		return platformtest.FieldRule{Field: field, Why: why, Break: spoil}
	}
	return []platformtest.FieldRule{
		rule("patient.card_no", "CardNo is 必须", func(c *platforms.Charge) { c.Patient.CardNo = platforms.Hidden{} }),
		rule("patient.card_type", "CardType is 必须", func(c *platforms.Charge) { c.Patient.CardType = "" }),
		rule("patient.card_type", "CardType comes from a table", func(c *platforms.Charge) { c.Patient.CardType = "library" }),
		rule("operator.id", "OperatorId is 必须", func(c *platforms.Charge) { c.Operator.ID = "" }),
		rule("operator.name", "OperatorName is 必须", func(c *platforms.Charge) { c.Operator.Name = "" }),
		rule("order_type", "ServiceId comes from a table", func(c *platforms.Charge) { c.OrderType = "SCAN_TO_ORDER" }),
		rule("till", "DeviceInfo is 必须", func(c *platforms.Charge) { c.Terminal = "" }),
		rule("merchant", "MerchCode is 必须", func(c *platforms.Charge) { c.Merchant.Code = "" }),
		rule("memo", "OrderMemo must fit XML", func(c *platforms.Charge) { c.Memo = "a\x0bb" }),
		rule("channel", "SmartPay has two wallets", func(c *platforms.Charge) { c.Channel = platforms.ECNY }),
		rule("auth_code", "a code of another wallet is not sent", func(c *platforms.Charge) { c.Code.Kind = platforms.KindAlipay }),
		rule("auth_code", "a 医保码 is never sent", func(c *platforms.Charge) { c.Code.Kind = platforms.KindInsurance }),
	}
}

type ctx = context.Context

type change = func([]byte) []byte

// inside lets f change the Resp within whatever the transport wraps it in.
func inside(tr smartpay.Transport, f func(resp string) string) change {
	return func(good []byte) []byte {
		switch tr {
		case smartpay.FormGateway:
			var w map[string]any
			if json.Unmarshal(good, &w) != nil {
				return good
			}
			if resp, ok := w["result"].(string); ok {
				w["result"] = f(resp)
			}
			out, err := json.Marshal(w)
			if err != nil {
				return good
			}
			return out
		case smartpay.WSGWSOAP:
			head, rest, _ := strings.Cut(string(good), "<ns:out>")
			resp, tail, ok := strings.Cut(rest, "</ns:out>")
			if !ok {
				return good
			}
			if cdata, is := strings.CutPrefix(resp, "<![CDATA["); is {
				resp = strings.TrimSuffix(cdata, "]]>")
			} else {
				resp = html.UnescapeString(resp)
			}
			return []byte(head + "<ns:out>" + strictxml.Escape(f(resp)) + "</ns:out>" + tail)
		}
		return []byte(f(string(good)))
	}
}

func before(what string) change {
	return func(good []byte) []byte { return append([]byte(what), good...) }
}

func after(what string) change {
	return func(good []byte) []byte { return append(bytes.Clone(good), what...) }
}

func replace(old, with string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, with, 1) }
}

func attacks(tr smartpay.Transport) map[string]change {
	const deep = 300
	all := map[string]change{
		platformtest.AttackDeep: inside(tr, replace("</Resp>", strings.Repeat("<x>", deep)+strings.Repeat("</x>", deep)+"</Resp>")),
		platformtest.AttackDuplicate: inside(tr, replace("<RespCode>",
			"<RespCode>-400010</RespCode><RespCode>")),
		platformtest.AttackTrailing: inside(tr, func(s string) string { return s + s }),
		platformtest.AttackDTD:      inside(tr, func(s string) string { return "<!DOCTYPE Resp>" + s }),
		platformtest.AttackCharset:  before(`<?xml version="1.0" encoding="UTF-16"?>`),
		"case twin":                 inside(tr, replace("<RespCode>", "<respcode>-400010</respcode><RespCode>")),
		"code in other digits":      inside(tr, replace("<RespCode>", "<RespCode>０")),
		"code with a plus":          inside(tr, replace("<RespCode>", "<RespCode>+")),
		"code is an element":        inside(tr, replace("<RespCode>", "<RespCode><n/>")),
		"no code":                   inside(tr, func(s string) string { return strings.ReplaceAll(s, "RespCode", "Respcode") }),
		"another document":          inside(tr, func(s string) string { return strings.ReplaceAll(s, "Resp>", "Req>") }),
		"attribute":                 inside(tr, replace("<RespCode>", `<RespCode nil="true">`)),
		"processing instruction":    inside(tr, replace("<RespCode>", `<?x y?><RespCode>`)),
		"comment in a value":        inside(tr, replace("</RespCode>", `<!-- -->0</RespCode>`)),
		"outer trailing":            after("<x/>"),
		"outer junk":                before("ok "),
	}
	switch tr {
	case smartpay.FormGateway:
		all[platformtest.AttackCharset] = func(good []byte) []byte { return bytes.Replace(good, []byte("success"), []byte("\xb3\xc9"), 1) }
		all["outer deep"] = func(good []byte) []byte {
			return bytes.Replace(good, []byte("{"), []byte(`{"x":`+strings.Repeat("[", deep)+strings.Repeat("]", deep)+","), 1)
		}
		all["outer duplicate"] = func(good []byte) []byte { return bytes.Replace(good, []byte("{"), []byte(`{"result":"",`), 1) }
		all["outer case twin"] = func(good []byte) []byte { return bytes.Replace(good, []byte("{"), []byte(`{"CODE":1,`), 1) }
		all["result beside a refusal"] = func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"code":0`), []byte(`"code":-14009`), 1)
		}
	case smartpay.WSGWSOAP:
		all["outer deep"] = func(good []byte) []byte {
			return bytes.Replace(good, []byte("<ns:out>"), []byte(strings.Repeat("<x>", deep)+strings.Repeat("</x>", deep)+"<ns:out>"), 1)
		}
		all["outer duplicate"] = func(good []byte) []byte {
			return bytes.Replace(good, []byte("<ns:out>"), []byte("<ns:out/><ns:out>"), 1)
		}
		all["outer DTD"] = before("<!DOCTYPE Envelope>")
	}
	return all
}

func variants(tr smartpay.Transport) map[string]change {
	spaced := func(s string) string {
		return "\n " + strings.ReplaceAll(strings.ReplaceAll(s, "><", ">\r\n\t<"), "<RespCode>", "<RespCode> ") + " \n"
	}
	all := map[string]change{
		platformtest.VariantBOM:    before("\ufeff"),
		platformtest.VariantSpaced: inside(tr, spaced),
		"declared inside": inside(tr, func(s string) string {
			return `<?xml version="1.0" encoding="GB2312" ?>` + "\n" + s[strings.Index(s, "<Resp>"):]
		}),
		"unknown elements": inside(tr, replace("</Resp>", "<Extra><Deep>1</Deep></Extra></Resp>")),
	}
	if tr == smartpay.FormGateway {
		all["further names"] = func(good []byte) []byte {
			return bytes.Replace(good, []byte("{"), []byte(`{"timestamp":1,"data":{"a":[null]},`), 1)
		}
		return all
	}
	if tr == smartpay.RawXMLPost {
		// Here the declaration speaks of the bytes themselves.
		all["declared inside"] = before(`<?xml version='1.0' encoding='utf-8' standalone="yes"?>` + "\n")
	}
	all[platformtest.VariantGBK] = func(good []byte) []byte {
		out, err := strictxml.ToGB(`<?xml version="1.0" encoding="GBK"?>` + string(good))
		if err != nil {
			return good
		}
		return out
	}
	return all
}

func TestSuite(t *testing.T) {
	direct := subject("wsgw_soap, without a socket", config(smartpay.WSGWSOAP), smartpaytest.Options{})
	direct.Transport = func(_ testing.TB, srv *httptest.Server) http.RoundTripper { return wire.Direct(srv.Config.Handler) }
	both := func(tr smartpay.Transport, key smartpay.QueryKey) smartpay.Config {
		c := config(tr)
		c.QueryKey = key
		return c
	}
	for _, s := range []platformtest.Subject{
		direct,
		subject("wsgw_soap", config(smartpay.WSGWSOAP), smartpaytest.Options{}),
		subject("form_gateway", config(smartpay.FormGateway), smartpaytest.Options{}),
		subject("raw_xml_post", config(smartpay.RawXMLPost), smartpaytest.Options{}),
		subject("wsgw_soap, CDATA, by our number", both(smartpay.WSGWSOAP, smartpay.ByHisOrderID), smartpaytest.Options{FindByHisOrderID: true, CDATA: true, Declared: true}),
		subject("form_gateway, the seed's whole sample, both keys", both(smartpay.FormGateway, smartpay.ByBoth), smartpaytest.Options{FindByHisOrderID: true, FullSample: true, Declared: true}),
		subject("raw_xml_post, the seed's whole sample, both keys", both(smartpay.RawXMLPost, smartpay.ByBoth), smartpaytest.Options{FindByHisOrderID: true, FullSample: true}),
	} {
		t.Run(s.Name, func(t *testing.T) {
			cases, err := platformtest.Cases(s)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d cases", len(cases))
			platformtest.Test(t, s)
		})
	}
}

// wrong is SmartPay with one rule broken. Spoil sees the answer and the bytes
// of the reply that it came from.
type wrong struct {
	*smartpay.Platform
	spy    *spy
	charge func(platforms.Charge) platforms.Charge
	answer func(a platforms.Answer, err error, reply string) (platforms.Answer, error)
	cancel func(c platforms.Cancellation, err error) (platforms.Cancellation, error)
}

func (w *wrong) Charge(ctx ctx, c platforms.Charge) (platforms.Answer, error) {
	if w.charge != nil {
		c = w.charge(c)
	}
	a, err := w.Platform.Charge(ctx, c)
	if w.answer != nil {
		return w.answer(a, err, w.spy.reply())
	}
	return a, err
}

func (w *wrong) Query(ctx ctx, r platforms.Ref) (platforms.Answer, error) {
	a, err := w.Platform.Query(ctx, r)
	if w.answer != nil {
		return w.answer(a, err, w.spy.reply())
	}
	return a, err
}

func (w *wrong) Cancel(ctx ctx, r platforms.Ref) (platforms.Cancellation, error) {
	c, err := w.Platform.Cancel(ctx, r)
	if w.cancel != nil {
		return w.cancel(c, err)
	}
	return c, err
}

// spy keeps the latest reply; rewrite, if set, changes it first.
type spy struct {
	rt      http.RoundTripper
	rewrite func(string) string

	mu   sync.Mutex
	last string
}

func (s *spy) reply() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.rt.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if s.rewrite != nil {
		body = []byte(s.rewrite(string(body)))
	}
	s.mu.Lock()
	s.last = string(body)
	s.mu.Unlock()
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// TestWrongAdapters: each breaks one rule of wire.md §1 and must fail the case
// that stands for it.
func TestWrongAdapters(t *testing.T) {
	codeIs := func(code string, s platforms.Status) func(platforms.Answer, error, string) (platforms.Answer, error) {
		return func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			if a.Code == code {
				a.Status = s
			}
			return a, err
		}
	}
	for _, c := range []struct {
		name, fails string
		wrong       wrong
		rewrite     func(string) string
	}{
		{name: "-400011 is failed", fails: "charge/password", wrong: wrong{answer: codeIs("-400011", platforms.Failed)}},
		{name: "-400012 is failed whatever it says", fails: "charge/platform stumbles", wrong: wrong{answer: codeIs("-400012", platforms.Failed)}},
		{name: "-400002 is failed", fails: "query/unknown number", wrong: wrong{answer: codeIs("-400002", platforms.Failed)}},
		{name: "0 未支付 is failed", fails: "charge/password", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			if strings.Contains(reply, "OrderState>0<") {
				a.Status = platforms.Failed
			}
			return a, err
		}}},
		{name: "1 正在支付 is paid", fails: "query/stale", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			if strings.Contains(reply, "OrderState>1<") {
				a.Status = platforms.Paid
			}
			return a, err
		}}},
		{name: "6 已撤销 is pending", fails: "charge/never pays", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			if strings.Contains(reply, "OrderState>6<") {
				a.Status = platforms.Pending
			}
			return a, err
		}}},
		{name: "an unknown code is failed", fails: "charge/odd_status", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			if err == nil && a.Status == platforms.Unknown {
				a.Status = platforms.Failed
			}
			return a, err
		}}},
		{name: "an error is failed", fails: "charge/lose_reply", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			if err != nil {
				return platforms.Answer{Status: platforms.Failed}, nil
			}
			return a, err
		}}},
		{name: "TotalFee is not looked at", fails: "charge/wrong_amount", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			a.Amount, a.HasAmount = 0, false
			return a, err
		}}},
		{name: "HisOrderId is not looked at", fails: "query/wrong_order", wrong: wrong{answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
			a.OrderNo = ""
			return a, err
		}}},
		{name: "yuan instead of fen", fails: "charge/amounts that floats spoil", wrong: wrong{
			charge: func(c platforms.Charge) platforms.Charge {
				c.Amount /= 100
				return c
			},
			answer: func(a platforms.Answer, err error, _ string) (platforms.Answer, error) {
				a.Amount *= 100
				return a, err
			},
		}},
		{name: "-400008 is a close", fails: "cancel/twice", wrong: wrong{cancel: func(c platforms.Cancellation, err error) (platforms.Cancellation, error) {
			if c.Code == "-400008" {
				c.Done, c.Action = true, platforms.ActionClose
			}
			return c, err
		}}},
		{name: "every Revoke is done", fails: "cancel/unknown number", wrong: wrong{cancel: func(c platforms.Cancellation, err error) (platforms.Cancellation, error) {
			c.Done, c.Action = true, platforms.ActionUnknown
			return c, err
		}}},
		{name: "doubled elements are dropped", fails: "charge/answer duplicate", rewrite: func(s string) string {
			return strings.Replace(s, "<RespCode>-400010</RespCode><RespCode>", "<RespCode>", 1)
		}},
		{name: "the message is handed on", fails: "charge/leak", wrong: wrong{answer: func(a platforms.Answer, err error, reply string) (platforms.Answer, error) {
			a.Message = reply
			return a, err
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := subject(c.name, config(smartpay.RawXMLPost), smartpaytest.Options{})
			if failed := platformtest.Failing(t, s, c.fails); len(failed) != 0 {
				t.Fatalf("the right adapter fails: %v", failed)
			}
			s.Open = func(rt http.RoundTripper) (platforms.Platform, error) {
				w := c.wrong
				w.spy = &spy{rt: rt, rewrite: c.rewrite}
				p, err := smartpay.New(w.spy, config(smartpay.RawXMLPost))
				w.Platform = p
				return &w, err
			}
			if failed := platformtest.Failing(t, s, c.fails); failed[c.fails] == nil {
				t.Errorf("the wrong adapter passes %q", c.fails)
			}
		})
	}
}
