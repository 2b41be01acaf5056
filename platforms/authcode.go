package platforms

// AuthCode is a payer's one-time payment code (付款码). It is a bearer
// credential: it lives in memory from the scan until the pay call returns and
// is never stored, logged or shown.
type AuthCode struct {
	Hidden
	Kind CodeKind
}

// CodeKind says what a scanned text is.
type CodeKind string

// The kinds. Wallet kinds are payable; the others are answered on the spot.
const (
	KindWeChat     CodeKind = "wechat"
	KindAlipay     CodeKind = "alipay"
	KindAlipayFace CodeKind = "alipay_face"
	KindUnionPay   CodeKind = "unionpay"
	KindECNY       CodeKind = "ecny"
	KindInsurance  CodeKind = "insurance"   // 医保电子凭证: never an AuthCode
	KindIDCard     CodeKind = "id_card"     // 身份证, also the one that looks like a WeChat code
	KindMerchantQR CodeKind = "merchant_qr" // a URL: 收款码 instead of 付款码
	KindEMV        CodeKind = "emv"         // EMV consumer QR, no platform of ours takes it
	KindProduct    CodeKind = "product"     // EAN and the like
	KindCard       CodeKind = "card"        // 就诊卡 and other cards, where a site's own rule knows them
	KindDigits     CodeKind = "digits"      // all digits, no rule matches
	KindJunk       CodeKind = "junk"
)

// Scanned is a scanned text recognised.
type Scanned struct {
	Code    AuthCode
	Channel Channel // set for wallets
	Payable bool    // may be sent as a payment code
}
