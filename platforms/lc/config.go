package lc

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/lc/internal/sign"
)

// Verify says what a reply is worth that carries no signature.
type Verify string

// The policies. With warn a reply without a signature may say that an order is
// still open and nothing else; a signature that does not fit is never believed.
// With strict a reply without one is unusable. With off the way to the gateway
// (TLS, pins) is all that vouches for a reply, and a reply still has to carry
// our app_id, method, nonce and number. Notices are always verified.
const (
	VerifyWarn   Verify = "warn" // the default
	VerifyStrict Verify = "strict"
	VerifyOff    Verify = "off"
)

// QueryBy says how an order is asked about.
type QueryBy string

// With QueryNone the platform is taken at its word: it has no query (seed 004
// §3.1 names none), and a notice that verifies is the evidence.
const (
	QueryLC   QueryBy = "lc.trade.query" // the default
	QueryNone QueryBy = "none"
)

// AmountForm is how amounts are written in biz_content.
type AmountForm string

// The forms: "88.88" as live clients send it, or 88.88 as the seed prints it.
// Both are read.
const (
	AmountText   AmountForm = "string" // the default
	AmountNumber AmountForm = "number"
)

// CancelBy says how an order is closed that was shown and not scanned.
type CancelBy string

// The ways. lc.trade.close ends unpaid orders only, so it is followed by
// lc.trade.cancel where it is refused.
const (
	CancelCancel CancelBy = "lc.trade.cancel" // the default
	CancelClose  CancelBy = "lc.trade.close"
)

// Proof says what proves a refund.
type Proof string

// With ProofTotal only a reply that carries refund_fee, the sum of all refunds
// so far, proves that a refund is done. With ProofReply a reply without it that
// names our refund or order and reports no sub_code is enough.
const (
	ProofTotal Proof = "refund_fee" // the default
	ProofReply Proof = "reply"
)

// Region is where the payer's insurance pays, which decides about mandatory
// fields.
type Region string

// The regions that seed 004 §6.5 and §6.6 tell apart.
const (
	RegionNational Region = "national" // 全国版
	RegionShanghai Region = "shanghai"
)

// TotalRule says how the parts of an insurance payment make up its total.
type TotalRule string

// The rules.
const (
	TotalReduced TotalRule = "insurance+cash+reduced" // the default; reduced counts where it is given
	TotalTwo     TotalRule = "insurance+cash"
	TotalAny     TotalRule = "none"
)

// Config says how to speak to one gateway. The zero value of a field means its
// default.
type Config struct {
	// Endpoint is the URL of the gateway.
	Endpoint string
	// AuthURL is where a payer's browser is sent for 医保授权; default
	// /oauth2/medicareAuth beside Endpoint.
	AuthURL string
	// AppID is given by the platform; at most 32 characters by the tables, but
	// the seed's own notice has one of 36. Required.
	AppID string

	// Hash is the hash below the signature: sha1, the default, or sha256 where
	// the platform has set sign_type to rsa2.
	Hash string
	// SignType is what stands in sign_type; default rsa, with sha256 rsa2.
	SignType string
	// ExcludeSignType leaves sign_type out of the text that is signed.
	ExcludeSignType bool
	// VerifyReply says what a reply is worth that nobody signed. With warn, the
	// default, it may say that an order is still open and nothing else; with
	// strict it is unusable; in both, a signature that does not fit makes a reply
	// unusable. With off replies are not verified: TLS and pins are all that
	// vouches for them. Without any platform key it must be off. Notices are
	// always verified.
	VerifyReply Verify
	// PlatformKeys are the platform's public keys (PEM or Base64), all valid at
	// once, so that a key can be changed without a gap.
	PlatformKeys []platforms.Hidden
	// PrivateKey gives the merchant's private key (PEM or Base64, PKCS#8 or
	// PKCS#1, at least 1024 bits). It is called for every request, so that a new
	// key needs no restart. Required.
	PrivateKey func() (platforms.Hidden, error)

	// AmountForm is how amounts are written: string, the default, or number.
	AmountForm AmountForm
	// SendNull sends unset fields of the insurance methods as null, as the
	// samples of seed 004 have them, instead of leaving them out.
	SendNull bool
	// PaymentTypes are the words for payment_type by channel; default weixin,
	// alipay, unionpay and elecny.
	PaymentTypes map[platforms.Channel]string
	// OrderTypes maps the API's order_type to order_type.
	OrderTypes map[string]string
	// NotifyURL is where the gateway tells outcomes, ReturnURL where a payer's
	// browser comes back to, where an order names none; at most 512 characters.
	NotifyURL string
	ReturnURL string
	// DisableChannels is disable_pay_channels where an order names none.
	DisableChannels string
	// AggregatedMethod asks for one QR code for several wallets; default
	// lc.trade.polymerization.pay.
	AggregatedMethod string
	// QRField is the member of a reply that holds the text of a QR code; empty
	// looks for qr_code, code_url and two_dimension_code.
	QRField string

	// Query says how an order is asked about; default lc.trade.query.
	Query QueryBy
	// CancelShown says how an order is ended that was shown; default
	// lc.trade.cancel.
	CancelShown CancelBy
	// RefundProof says what proves a refund; default refund_fee.
	RefundProof Proof
	// SuccessCodes are the values of code that mean that the gateway worked;
	// default 10000. A msg of "success" counts as well. Neither decides about
	// money.
	SuccessCodes []string
	// NotFoundCodes are the sub_codes that say that there is no such order;
	// default TRADE_NOT_EXIST.
	NotFoundCodes []string
	// RefusalCodes are the sub_codes of a signed reply that prove that a charge
	// took nothing and never will. The platform publishes no such list, so it is
	// empty until the site has one in writing.
	RefusalCodes []string
	// RefundRefusals are the sub_codes of a signed reply that prove that a
	// refund moved no money; empty until the site has them in writing.
	RefundRefusals []string
	// CredentialCodes are the codes or sub_codes of a signed reply that say that
	// app_id or signature were refused, before anything else was looked at.
	CredentialCodes []string
	// CanceledCodes are the sub_codes by which a payer's browser says that the
	// payer left; default 5001 (用户取消).
	CanceledCodes []string
	// NoticeReply is what the gateway wants to read for a notice; default
	// success.
	NoticeReply string
	// NoticeMaxAge is how far the timestamp of a notice may be from our clock;
	// default 72h. Older ones are refused.
	NoticeMaxAge time.Duration

	// OrgNo and OrgName are 医疗机构编码 and 医疗机构名称, for insurance payments.
	OrgNo   string
	OrgName string
	// CityCode and InsType stand in where an insurance payment names none.
	CityCode string
	InsType  string
	// Region is national, the default, or shanghai.
	Region Region
	// CreditOffline says that 信用签约 payments happen at the counter, where
	// WeChat asks for ec_qrcode.
	CreditOffline bool
	// EshiminMini says that 随申办 is reached through its mini program, which
	// asks for pay_scene.
	EshiminMini bool
	// TotalRule says which parts make up the total of an insurance payment;
	// default insurance+cash+reduced, where the third counts if it is given.
	TotalRule TotalRule

	// Rand gives the random bytes of nonces. Required.
	Rand io.Reader
	// Now gives the time for timestamps. Required.
	Now func() time.Time

	eshimin string // payment_type of 随申办
}

// The methods.
const (
	methodH5         = "lc.trade.h5.pay"
	methodBarcode    = "lc.trade.barcode.pay"
	methodQRCode     = "lc.trade.qrcode.pay"
	methodAggregated = "lc.trade.polymerization.pay"
	methodQuery      = "lc.trade.query"
	methodClose      = "lc.trade.close"
	methodCancel     = "lc.trade.cancel"
	methodRefund     = "lc.trade.refund"
	methodToken      = "lc.ssc.user.token"
	methodSSCPay     = "lc.ssc.trade.pay"
	methodNotify     = "lc.trade.notify"
	suffixReturn     = ".return"
)

// OrderTypes gives the default table: the seed's eight words, and DEPOSIT for
// 预交金, which the seed lacks and which is paid for a stay.
func OrderTypes() map[string]string {
	t := map[string]string{"DEPOSIT": "HOSPITALIZATION"}
	for _, w := range []string{
		"APPOINTMENT", "TREATMENT", "HOSPITALIZATION", "ONLINE_CONSULTATION",
		"NUCLEIC_ACID_TEST", "BODY_TEST", "SCAN_TO_ORDER", "COMMERCIAL_OTHERS",
	} {
		t[w] = w
	}
	return t
}

// PaymentTypes gives the default words of §6.5 and §6.6.
func PaymentTypes() map[platforms.Channel]string {
	return map[platforms.Channel]string{
		platforms.WeChat: "weixin", platforms.Alipay: "alipay", platforms.UnionPay: "unionpay", platforms.ECNY: "elecny",
	}
}

var (
	methodForm = regexp.MustCompile(`^lc(\.[a-z0-9]+)+$`)
	memberForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	wordForm   = regexp.MustCompile(`^[0-9A-Za-z_]+$`)
	appIDForm  = regexp.MustCompile(`^[0-9A-Za-z_-]{1,36}$`)
)

func address(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.Fragment == ""
}

// complete checks the configuration and fills in the defaults.
func (c Config) complete() (Config, []*rsa.PublicKey, error) {
	fail := func(format string, args ...any) (Config, []*rsa.PublicKey, error) {
		return c, nil, fmt.Errorf(format, args...)
	}
	if !address(c.Endpoint) || strings.Contains(c.Endpoint, "?") {
		return fail("cannot use endpoint: write a URL such as https://openapi.linkingcloud.cn/gateway, without user name and query")
	}
	if !appIDForm.MatchString(c.AppID) {
		return fail("cannot use app_id: it is given by the platform and has 1 to 36 letters and digits")
	}
	if c.PrivateKey == nil || c.Rand == nil || c.Now == nil {
		return fail("cannot go without a private key, random bytes and a clock: name private_key_file")
	}
	c = c.defaults()
	if err := c.words(); err != nil {
		return c, nil, err
	}
	keys := make([]*rsa.PublicKey, 0, len(c.PlatformKeys))
	for i, text := range c.PlatformKeys {
		key, err := sign.PublicKey(text.Reveal())
		if err != nil {
			return fail("platform key %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 && c.VerifyReply != VerifyOff {
		return fail("cannot verify replies without the platform's key: name it in platform_key_files, or write verify_reply: off if TLS and pins are to be all that vouches for them")
	}
	if len(keys) == 0 && c.Query == QueryNone {
		return fail("cannot go without a query and without the platform's key: with query none only a signed notice says what became of an order; name platform_key_files")
	}
	text, err := c.PrivateKey()
	if err == nil {
		_, err = sign.PrivateKey(text.Reveal())
	}
	return c, keys, err
}

func (c Config) defaults() Config {
	set := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	set(&c.Hash, string(sign.SHA1))
	set(&c.SignType, map[string]string{string(sign.SHA256): "rsa2"}[c.Hash])
	set(&c.SignType, "rsa")
	set((*string)(&c.VerifyReply), string(VerifyWarn))
	set((*string)(&c.AmountForm), string(AmountText))
	set((*string)(&c.Query), string(QueryLC))
	set((*string)(&c.CancelShown), string(CancelCancel))
	set((*string)(&c.RefundProof), string(ProofTotal))
	set((*string)(&c.Region), string(RegionNational))
	set((*string)(&c.TotalRule), string(TotalReduced))
	set(&c.AggregatedMethod, methodAggregated)
	set(&c.NoticeReply, "success")
	set(&c.eshimin, "eshimin")
	if u, err := url.Parse(c.Endpoint); err == nil {
		set(&c.AuthURL, u.Scheme+"://"+u.Host+"/oauth2/medicareAuth")
	}
	if c.NoticeMaxAge == 0 {
		c.NoticeMaxAge = 72 * time.Hour
	}
	list := func(v *[]string, def ...string) {
		if *v = slices.Clone(*v); *v == nil {
			*v = def
		}
	}
	list(&c.SuccessCodes, "10000")
	list(&c.NotFoundCodes, tradeNotExist)
	list(&c.CanceledCodes, "5001")
	list(&c.RefusalCodes)
	list(&c.RefundRefusals)
	list(&c.CredentialCodes)
	if c.PaymentTypes == nil {
		c.PaymentTypes = PaymentTypes()
	}
	if c.OrderTypes == nil {
		c.OrderTypes = OrderTypes()
	}
	c.PaymentTypes, c.OrderTypes = maps.Clone(c.PaymentTypes), maps.Clone(c.OrderTypes)
	return c
}

// words checks what may have only certain values.
func (c Config) words() error {
	for _, w := range []struct {
		key, value string
		allowed    []string
	}{
		{"hash", c.Hash, []string{string(sign.SHA1), string(sign.SHA256)}},
		{"verify_reply", string(c.VerifyReply), []string{string(VerifyWarn), string(VerifyStrict), string(VerifyOff)}},
		{"amount_form", string(c.AmountForm), []string{string(AmountText), string(AmountNumber)}},
		{"query", string(c.Query), []string{string(QueryLC), string(QueryNone)}},
		{"cancel_shown", string(c.CancelShown), []string{string(CancelCancel), string(CancelClose)}},
		{"refund_proof", string(c.RefundProof), []string{string(ProofTotal), string(ProofReply)}},
		{"region", string(c.Region), []string{string(RegionNational), string(RegionShanghai)}},
		{"total_rule", string(c.TotalRule), []string{string(TotalReduced), string(TotalTwo), string(TotalAny)}},
	} {
		if !slices.Contains(w.allowed, w.value) {
			return fmt.Errorf("cannot use %s %q: choose one of %s", w.key, w.value, strings.Join(w.allowed, ", "))
		}
	}
	if !methodForm.MatchString(c.AggregatedMethod) || c.QRField != "" && !memberForm.MatchString(c.QRField) {
		return errors.New("cannot use aggregated_method or qr_field: they are names such as lc.trade.polymerization.pay and qr_code")
	}
	if !wordForm.MatchString(c.SignType) || len(c.SignType) > 10 {
		return errors.New("cannot use sign_type: it is a word of at most 10 letters such as rsa or rsa2")
	}
	if !address(c.AuthURL) {
		return errors.New("cannot use auth_url: write a URL")
	}
	if c.NoticeMaxAge < 0 {
		return errors.New("cannot use notice_max_age: write a duration such as 72h")
	}
	for key, v := range map[string]string{"notify_url": c.NotifyURL, "return_url": c.ReturnURL} {
		if v != "" && !address(v) {
			return fmt.Errorf("cannot use %s: write a URL that is reached from outside", key)
		}
	}
	back := map[string]platforms.Channel{c.eshimin: "eshimin"}
	for ch, word := range c.PaymentTypes {
		low := strings.ToLower(word)
		if other, twice := back[low]; twice || !wordForm.MatchString(word) || len(word) > maxPaymentType {
			return fmt.Errorf("cannot use payment type %q for %s: it is empty, no word, or taken by %s", word, ch, other)
		}
		back[low] = ch
	}
	for name, word := range c.OrderTypes {
		if !wordForm.MatchString(word) {
			return fmt.Errorf("cannot use order type %q for %s: write one of the platform's words", word, name)
		}
	}
	for key, list := range map[string][]string{
		"refusal_codes": c.RefusalCodes, "refund_refusals": c.RefundRefusals, "credential_codes": c.CredentialCodes,
		"success_codes": c.SuccessCodes, "not_found_codes": c.NotFoundCodes, "canceled_codes": c.CanceledCodes,
	} {
		for _, code := range list {
			if strings.TrimSpace(code) == "" || slices.Contains(statusWords(), code) && key != "not_found_codes" {
				return fmt.Errorf("cannot use %s: an empty code or a word of trade_status proves nothing", key)
			}
		}
	}
	return nil
}
