// Package smartpaysuite says how the SmartPay adapter is put to the platforms'
// suite: its configuration, a valid charge, field rules, attacks and variants of
// the wire. The adapter's own tests use it, and those that put the adapter
// behind a way out. It is for tests only: the suite imports package testing.
package smartpaysuite

import (
	"bytes"
	"encoding/json"
	"html"
	"net/http"
	"strings"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/platformtest"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpaytest"
)

const token = "sp-token-0d9f6b1c"

// Config is a complete configuration of the adapter for the simulator; its
// address resolves nowhere.
func Config(tr smartpay.Transport) smartpay.Config {
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

// Charge is a charge with every field filled that the wire has; amount in fen.
func Charge(mode platforms.Mode, no string, amount platforms.Fen) platforms.Charge {
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

// Subject is SmartPay under test: one configuration against one personality of
// the server. Tests may put another way between the two (Transport, Server)
// before they use it.
func Subject(name string, cfg smartpay.Config, opt smartpaytest.Options) platformtest.Subject {
	opt.Token = token
	s := platformtest.Subject{
		Name: name,
		Open: func(rt http.RoundTripper) (platforms.Platform, error) { return smartpay.New(rt, cfg) },
		Wire: func(b *bank.Bank, ctl *platformtest.Control) http.Handler {
			opt := opt
			opt.Control = ctl
			return smartpaytest.Handler(b, opt)
		},
		Charge:   Charge,
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
