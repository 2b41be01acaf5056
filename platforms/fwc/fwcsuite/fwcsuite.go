// Package fwcsuite says how the FWC adapter is put to the platforms' suite: its
// configuration, a valid charge, field rules, attacks and variants of the wire.
// The adapter's own tests use it, and those that put the adapter behind a way
// out. It is for tests only: the suite imports package testing.
package fwcsuite

import (
	"bytes"
	"net/http"
	"strings"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/platformtest"
)

func token(string) (platforms.Hidden, error) { return platforms.Hide(fwctest.Token), nil }

// Config is a complete configuration of the adapter for the simulator; its
// address resolves nowhere.
func Config(tr fwc.Transport) fwc.Config {
	return fwc.Config{
		Endpoint: "http://platform.invalid:9001/linkingif.asmx", Transport: tr,
		HospitalID: fwctest.HospitalID, Token: token,
	}
}

// Charge is a charge with every field filled that the wire has; amount in fen.
func Charge(mode platforms.Mode, no string, amount platforms.Fen) platforms.Charge {
	c := platforms.Charge{
		Ref: platforms.Ref{
			OrderNo: no, Amount: amount, Mode: mode, Terminal: "T-07",
			Merchant: platforms.Merchant{Profile: "clinic"},
			Operator: platforms.Operator{ID: "1007", Name: "收费员"},
		},
		Channel: platforms.WeChat, OrderType: "TREATMENT", TillKind: "counter",
		Subject: "门诊缴费", Memo: "内科 3 诊室",
		Patient: platforms.Patient{
			Name: platforms.Hide("欧阳测试甲"), CardNo: platforms.Hide("CARD-99887766"),
			AdmissionNo: platforms.Hide("ZYH-55443322"), Phone: platforms.Hide("13900001111"),
		},
	}
	if mode == platforms.ModeCharge {
		c.Code = platforms.AuthCode{Hidden: platforms.Hide("134567890123456789"), Kind: platforms.KindWeChat}
	} else {
		c.Expires = "20m"
		c.Details = []platforms.Detail{{GoodsID: "a-01", GoodsName: "挂号费", GoodsCategory: "01", PriceFen: amount, Quantity: "1", Body: "内科"}}
	}
	return c
}

// Subject is the adapter with a configuration, against the simulator. Tests may
// put another way between the two (Transport, Server) before they use it.
func Subject(cfg fwc.Config) platformtest.Subject {
	return platformtest.Subject{
		Name: "fwc/" + string(cfg.Transport),
		Open: func(rt http.RoundTripper) (platforms.Platform, error) { return fwc.New(rt, cfg) },
		Wire: func(b *bank.Bank, ctl *wire.Control) http.Handler {
			return fwctest.Handler(b, fwctest.Options{Control: ctl, BareType: true, WrapString: true})
		},
		Charge:  Charge,
		Secrets: []string{fwctest.Token},
		Fields:  fieldRules(),
		Attacks: attacks(cfg.Transport), Variants: variants(),
		Excuses: map[string]string{
			"charge/wrong_merchant": "the answer to a pay call carries no HospitalID",
			"query/leak":            "a query knows no payment code",
		},
	}
}

func fieldRules() []platformtest.FieldRule {
	drop := func(f func(*platforms.Charge)) func(*platforms.Charge) { return f }
	qr := platforms.ModePresent
	return []platformtest.FieldRule{
		{Field: "patient.name", Why: "PatientName is mandatory", Break: drop(func(c *platforms.Charge) { c.Patient.Name = platforms.Hidden{} })},
		{Field: "patient.name", Why: "blanks are no name", Break: drop(func(c *platforms.Charge) { c.Patient.Name = platforms.Hide("  ") })},
		{Field: "patient.admission_no", Why: "InhospitalNo is mandatory", Break: drop(func(c *platforms.Charge) { c.Patient.AdmissionNo = platforms.Hidden{} })},
		{Field: "order_type", Why: "OrderType is mandatory", Break: drop(func(c *platforms.Charge) { c.OrderType = "" })},
		{Field: "order_type", Why: "OrderType is one of the table", Break: drop(func(c *platforms.Charge) { c.OrderType = "GIFT" })},
		{Field: "channel", Why: "a wallet without PayType is refused", Break: drop(func(c *platforms.Charge) { c.Channel = platforms.ECNY })},
		{Field: "memo", Why: "Descriptive is text", Break: drop(func(c *platforms.Charge) { c.Memo = "\x01" })},
		{Field: "operator.id", Why: "OperatorID is text", Break: drop(func(c *platforms.Charge) { c.Operator.ID = "\x01" })},
		{Field: "till", Why: "TerminalID is text", Break: drop(func(c *platforms.Charge) { c.Terminal = "\x01" })},
		{Field: "patient.phone", Why: "Tel is text", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Patient.Phone = platforms.Hide("\x01") })},
		{Field: "channel", Why: "PayType is mandatory for a QR of one wallet", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Channel = "" })},
		{Field: "channel", Why: "a QR of a wallet without PayType is refused", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Channel = platforms.ECNY })},
		{Field: "expires", Why: "TimeoutExpress has no decimal point", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Expires = "1.5h" })},
		{Field: "expires", Why: "TimeoutExpress is at most 15d", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Expires = "16d" })},
		{Field: "patient.name", Why: "PatientName is mandatory for QR codes", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Patient.Name = platforms.Hidden{} })},
		{Field: "details[0].price_fen", Why: "a price is not negative", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Details[0].PriceFen = -1 })},
		{Field: "details[0].quantity", Why: "a quantity is a number", Mode: qr, Break: drop(func(c *platforms.Charge) { c.Details[0].Quantity = "many" })},
	}
}

// inner edits the document inside the envelope, or the document itself.
func inner(tr fwc.Transport, good []byte, old, repl string) []byte {
	if tr == fwc.RawXMLPost {
		return bytes.Replace(good, []byte(old), []byte(repl), 1)
	}
	esc := strings.NewReplacer("<", "&lt;", ">", "&gt;")
	return bytes.Replace(good, []byte(esc.Replace(old)), []byte(esc.Replace(repl)), 1)
}

func attacks(tr fwc.Transport) map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		platformtest.AttackDeep: func(good []byte) []byte {
			return inner(tr, good, "<sign>", "<sign>"+strings.Repeat("<a>", 300)+strings.Repeat("</a>", 300))
		},
		platformtest.AttackDuplicate: func(good []byte) []byte {
			return inner(tr, good, "<IsSuccess>", "<IsSuccess>0</IsSuccess><IsSuccess>")
		},
		"case twin": func(good []byte) []byte {
			return inner(tr, good, "<IsSuccess>", "<ISSUCCESS>0</ISSUCCESS><IsSuccess>")
		},
		"foreign namespace": func(good []byte) []byte {
			return inner(tr, good, "<IsSuccess>", "<e:IsSuccess xmlns:e='urn:evil'>0</e:IsSuccess><IsSuccess>")
		},
		"second result": func(good []byte) []byte {
			return inner(tr, good, "</body>", "</body><body><ResponseResult><IsSuccess>1</IsSuccess></ResponseResult></body>")
		},
		platformtest.AttackTrailing: func(good []byte) []byte { return append(bytes.Clone(good), "<x/>"...) },
		"inner trailing":            func(good []byte) []byte { return inner(tr, good, "</xml>", "</xml>x") },
		platformtest.AttackDTD: func(good []byte) []byte {
			return bytes.Replace(good, []byte("?>"), []byte(`?><!DOCTYPE a [<!ENTITY b "c">]>`), 1)
		},
		platformtest.AttackCharset: func(good []byte) []byte {
			return bytes.Replace(good, []byte(`encoding="utf-8"`), []byte(`encoding="utf-16"`), 1)
		},
	}
}

func variants() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		platformtest.VariantGBK: func(good []byte) []byte {
			out, err := strictxml.ToGB(strings.Replace(string(good), `encoding="utf-8"`, `encoding="GBK"`, 1))
			if err != nil {
				return good // the suite notices that nothing changed
			}
			return out
		},
		platformtest.VariantBOM: func(good []byte) []byte { return append([]byte("\ufeff"), good...) },
		platformtest.VariantSpaced: func(good []byte) []byte {
			out := bytes.ReplaceAll(good, []byte("&lt;IsSuccess&gt;"), []byte("&lt;IsSuccess&gt; \t"))
			out = bytes.ReplaceAll(out, []byte("&lt;TotalAmount&gt;"), []byte("&lt;TotalAmount&gt; "))
			out = bytes.ReplaceAll(out, []byte("<TotalAmount>"), []byte("<TotalAmount> "))
			return append(append([]byte(" \n"), out...), "\n\n"...)
		},
	}
}
