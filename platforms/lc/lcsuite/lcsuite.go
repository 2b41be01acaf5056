// Package lcsuite says how the lc adapter is put to the platforms' suite: keys,
// its configuration, a valid charge, field rules, attacks and variants of the
// wire. The adapter's own tests use it, and those that put the adapter behind a
// way out. It is for tests only: the suite imports package testing.
package lcsuite

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lctest"
	"payagent/platforms/platformtest"
)

// Keys are those of one merchant and one gateway, and a stranger's.
type Keys struct {
	Merchant, Gateway, Stranger *rsa.PrivateKey
}

// NewKeys makes keys of so many bits; 1024 is what the real gateway has.
func NewKeys(bits int) (Keys, error) {
	var k Keys
	for _, to := range []**rsa.PrivateKey{&k.Merchant, &k.Gateway, &k.Stranger} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return Keys{}, fmt.Errorf("cannot make a key: %w", err)
		}
		*to = key
	}
	return k, nil
}

// PrivatePEM writes a private key as PKCS#8.
func PrivatePEM(k *rsa.PrivateKey) platforms.Hidden {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return platforms.Hidden{} // which no adapter takes
	}
	return platforms.Hide(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// PublicPEM writes a public key as SPKI.
func PublicPEM(k *rsa.PrivateKey) platforms.Hidden {
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		return platforms.Hidden{}
	}
	return platforms.Hide(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

// The addresses that Config names.
const (
	NotifyURL = "https://pay.hospital.invalid/notify"
	ReturnURL = "https://pay.hospital.invalid/return?from=page"
)

// Config is a complete configuration of the adapter for the simulator; its
// address resolves nowhere. The key before the gateway's is another valid one,
// as during a change of keys.
func Config(k Keys) lc.Config {
	own := PrivatePEM(k.Merchant)
	return lc.Config{
		Endpoint: "http://openapi.linkingcloud.invalid/gateway", AppID: lctest.AppID,
		PrivateKey:   func() (platforms.Hidden, error) { return own, nil },
		PlatformKeys: []platforms.Hidden{PublicPEM(k.Merchant), PublicPEM(k.Gateway)},
		NotifyURL:    NotifyURL, ReturnURL: ReturnURL, OrgNo: "H31010100123", OrgName: "演示医院", CityCode: "310100", InsType: "YB",
		CredentialCodes: []string{lctest.CredentialCode},
		Rand:            rand.Reader, Now: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) },
	}
}

// Gateway gives the simulator's options that belong to Config.
func Gateway(k Keys, ctl *wire.Control) lctest.Options {
	return lctest.Options{Control: ctl, Merchant: &k.Merchant.PublicKey, Key: k.Gateway}
}

// Charge is a charge with every field filled that the wire has; amount in fen.
func Charge(mode platforms.Mode, no string, amount platforms.Fen) platforms.Charge {
	c := platforms.Charge{
		Ref: platforms.Ref{
			OrderNo: no, Amount: amount, Mode: mode, Terminal: "T-07",
			Merchant: platforms.Merchant{Profile: "online"},
			Operator: platforms.Operator{ID: "1007", Name: "收费员"},
		},
		Channel: platforms.WeChat, OrderType: "TREATMENT", TillKind: "counter",
		Subject: "门诊缴费", Memo: "内科 3 诊室",
		Patient: platforms.Patient{
			Name: platforms.Hide("欧阳测试甲"), CardNo: platforms.Hide("CARD-99887766"),
			AdmissionNo: platforms.Hide("ZYH-55443322"), Phone: platforms.Hide("13900001111"),
		},
		Expires: "20m",
	}
	switch mode {
	case platforms.ModeCharge:
		c.Code = platforms.AuthCode{Hidden: platforms.Hide("134567890123456789"), Kind: platforms.KindWeChat}
	case platforms.ModeH5:
		c.Web = platforms.Web{DisableChannels: "credit_group", BusinessParams: `{"memo":"备注","biz_code":"20170408"}`}
	case platforms.ModeInsurance:
		c.Insurance = platforms.Insurance{
			UserID: platforms.Hide("oAbCdEfGhIjKlMnOpQrStUvWxYz0"), Scene: "TREATMENT", Insured: amount / 2, Cash: amount - amount/2,
			SerialNo: "SSC2026010100000001", RequestContent: platforms.Hide(`{"rx":"阿莫西林 0.25g"}`),
			CardInfo: platforms.Hide(`{"card":"310112233"}`), PayAuthNo: platforms.Hide("AUTH310100202601010000001"),
			PatientIDNo: platforms.Hide("11010119900307123X"),
		}
	}
	return c
}

// Subject is the adapter with a configuration, against the simulator. change,
// if not nil, sets the simulator up to match.
func Subject(name string, k Keys, cfg lc.Config, change func(*lctest.Options)) platformtest.Subject {
	s := platformtest.Subject{
		Name: "lc/" + name,
		Open: func(rt http.RoundTripper) (platforms.Platform, error) {
			// Each with the same nonces, so that the suite can compare answers.
			mine := cfg
			mine.Rand = &counter{}
			return lc.New(rt, mine)
		},
		Wire: func(b *bank.Bank, ctl *wire.Control) http.Handler {
			opt := Gateway(k, ctl)
			if change != nil {
				change(&opt)
			}
			return lctest.New(b, opt).Handler()
		},
		Charge:  Charge,
		Secrets: secrets(k),
		Fields:  fieldRules(),
		Attacks: attacks(cfg.VerifyReply != lc.VerifyOff), Variants: variants(),
		Notices: notices(k, change),
		Excuses: map[string]string{
			platformtest.AttackDTD:  "JSON has no DOCTYPE",
			platformtest.VariantGBK: "JSON is UTF-8, and what is signed are its bytes",
			"query/leak":            "a query knows no payment code",
		},
	}
	if cfg.VerifyReply != lc.VerifyOff {
		s.Signed = &platformtest.Signed{Forge: forge(k, change), Strip: strip}
	}
	return s
}

// counter gives random bytes that are none, but never the same twice.
type counter struct {
	mu sync.Mutex
	n  uint64
}

// Read fills b with the next number.
func (c *counter) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	for i := range b {
		b[i] = byte(c.n >> (8 * (i % 8)))
	}
	return len(b), nil
}

// secrets are pieces of the merchant's key as it stands in its file.
func secrets(k Keys) []string {
	var out []string
	for i, line := range strings.Split(PrivatePEM(k.Merchant).Reveal(), "\n") {
		if i > 0 && len(line) == 64 {
			out = append(out, line)
		}
	}
	return out
}

func fieldRules() []platformtest.FieldRule {
	qr, h5 := platforms.ModePresent, platforms.ModeH5
	long := func(n int) string { return strings.Repeat("长", n) }
	return []platformtest.FieldRule{
		{Field: "subject", Why: "subject has at most 50 characters", Break: func(c *platforms.Charge) { c.Subject = long(51) }},
		{Field: "memo", Why: "body has at most 128 characters", Break: func(c *platforms.Charge) { c.Memo = long(129) }},
		{Field: "operator.id", Why: "operator_id has at most 30 characters", Break: func(c *platforms.Charge) { c.Operator.ID = long(31) }},
		{Field: "till", Why: "terminal_id has at most 32 characters", Break: func(c *platforms.Charge) { c.Terminal = long(33) }},
		{Field: "memo", Why: "body is text", Break: func(c *platforms.Charge) { c.Memo = "\x01" }},
		{Field: "expires", Why: "timeout_express has no decimal point", Break: func(c *platforms.Charge) { c.Expires = "1.5h" }},
		{Field: "expires", Why: "timeout_express has at most 6 characters", Break: func(c *platforms.Charge) { c.Expires = "1000000m" }},
		{Field: "expires", Why: "timeout_express is at most 15d", Mode: qr, Break: func(c *platforms.Charge) { c.Expires = "16d" }},
		{Field: "notify_url", Why: "notify_url has at most 512 characters", Break: func(c *platforms.Charge) { c.Web.NotifyURL = "https://h.invalid/" + strings.Repeat("n", 512) }},
		{Field: "notify_url", Why: "notify_url is a URL", Mode: h5, Break: func(c *platforms.Charge) { c.Web.NotifyURL = "/notify" }},
		{Field: "return_url", Why: "return_url has at most 512 characters", Mode: h5, Break: func(c *platforms.Charge) { c.Web.ReturnURL = "https://h.invalid/" + strings.Repeat("n", 512) }},
		{Field: "disable_pay_channels", Why: "disable_pay_channels has at most 128 characters", Mode: h5, Break: func(c *platforms.Charge) { c.Web.DisableChannels = long(129) }},
		{Field: "business_params", Why: "business_params has at most 256 characters", Mode: h5, Break: func(c *platforms.Charge) { c.Web.BusinessParams = `{"a":"` + long(250) + `"}` }},
		{Field: "business_params", Why: "the seed's own sample lacks a quote", Mode: h5, Break: func(c *platforms.Charge) { c.Web.BusinessParams = `{"memo":"备注","biz_code:"20170408"}` }},
		{Field: "business_params", Why: "business_params is an object", Mode: h5, Break: func(c *platforms.Charge) { c.Web.BusinessParams = `["a"]` }},
		{Field: "agreement_sign_params", Why: "agreement_sign_params has at most 4096 characters", Mode: h5, Break: func(c *platforms.Charge) { c.Web.AgreementParams = `{"a":"` + long(4096) + `"}` }},
		{Field: "agreement_sign_params", Why: "a key stands once", Mode: h5, Break: func(c *platforms.Charge) { c.Web.AgreementParams = `{"a":1,"A":2}` }},
		{Field: "order_type", Why: "order_type is mandatory for a page", Mode: h5, Break: func(c *platforms.Charge) { c.OrderType = "" }},
		{Field: "order_type", Why: "order_type is one of the table", Mode: h5, Break: func(c *platforms.Charge) { c.OrderType = "GIFT" }},
		{Field: "channel", Why: "payment_type is mandatory for a QR of one wallet", Mode: qr, Break: func(c *platforms.Charge) { c.Channel = "" }},
		{Field: "channel", Why: "a wallet without payment_type is refused", Break: func(c *platforms.Charge) { c.Channel = "qq" }},
	}
}

// attacks spoil a good answer. Those on the signature exist where it counts.
func attacks(signed bool) map[string]func([]byte) []byte {
	member := signMember()
	all := map[string]func([]byte) []byte{
		platformtest.AttackDeep: func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"biz_content":{`), []byte(`"biz_content":{"x":`+strings.Repeat(`{"a":`, 300)+"1"+strings.Repeat("}", 300)+","), 1)
		},
		platformtest.AttackDuplicate: func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"sub_code":`), []byte(`"sub_code":"TRADE_NOT_EXIST","sub_code":`), 1)
		},
		"duplicate outside": func(good []byte) []byte { return bytes.Replace(good, []byte(`{`), []byte(`{"code":"1",`), 1) },
		"case twin":         func(good []byte) []byte { return bytes.Replace(good, []byte(`{`), []byte(`{"Code":"1",`), 1) },
		"case twin inside": func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"sub_code":`), []byte(`"Sub_Code":"x","sub_code":`), 1)
		},
		"escaped twin": func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"sub_code":`), []byte(`"\u0073ub_code":"x","sub_code":`), 1)
		},
		"huge number": func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"biz_content":{`), []byte(`"biz_content":{"x":1e999,`), 1)
		},
		platformtest.AttackTrailing: func(good []byte) []byte { return append(bytes.Clone(good), "{}"...) },
		platformtest.AttackCharset: func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"sub_msg":"`), []byte("\"sub_msg\":\"\xd5\xc5"), 1)
		},
		"no nonce": func(good []byte) []byte {
			return regexp.MustCompile(`"nonce_str":"[^"]*",`).ReplaceAll(good, nil)
		},
		"other nonce": func(good []byte) []byte {
			return bytes.Replace(good, []byte(`"nonce_str":"`), []byte(`"nonce_str":"0`), 1)
		},
		"other method": func(good []byte) []byte {
			return regexp.MustCompile(`"method":"[^"]*"`).ReplaceAll(good, []byte(`"method":"lc.trade.notify"`))
		},
	}
	if signed {
		all["empty signature"] = func(good []byte) []byte { return member.ReplaceAll(good, []byte(`,"sign":""`)) }
		all["null signature"] = func(good []byte) []byte { return member.ReplaceAll(good, []byte(`,"sign":null`)) }
		all["signature of nobody"] = func(good []byte) []byte {
			return member.ReplaceAll(good, []byte(`,"sign":"`+strings.Repeat("A", 171)+`="`))
		}
	}
	return all
}

func variants() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		platformtest.VariantBOM: func(good []byte) []byte { return append([]byte("\ufeff"), good...) },
		platformtest.VariantSpaced: func(good []byte) []byte {
			out := bytes.ReplaceAll(good, []byte(`,"`), []byte(", \n\t\""))
			return append(append([]byte(" \r\n"), bytes.ReplaceAll(out, []byte(`":`), []byte(`" : `))...), " \n"...)
		},
	}
}
