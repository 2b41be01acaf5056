package platforms

import (
	"context"
	"time"
)

// Web is what a payment on a page of the platform needs besides (seed 004
// §6.1, §6.6). Empty addresses are the adapter's configured ones.
type Web struct {
	ReturnURL       string // where the payer's browser comes back to, at most 512 characters
	NotifyURL       string // where the platform tells the outcome, at most 512 characters
	DisableChannels string // disable_pay_channels, e.g. "credit_group", at most 128 characters
	BusinessParams  string // a JSON object as text, at most 256 characters
	AgreementParams string // agreement_sign_params: a JSON object as text, at most 4096 characters
}

// Insurance is what HIS and the payer's authorisation give for a payment by
// medical insurance (seed 004 §6.6). Which of it is mandatory hangs on the
// channel, the region and the case; the adapter holds the table.
type Insurance struct {
	UserID     Hidden // the payer's id at the channel; not bounded to 16, WeChat's has 28
	Scene      string // REGISTRATION 挂号 or TREATMENT 诊间
	InsType    string // YB 医保 or RS 人社
	CityCode   string
	Insured    Fen // insurance_fee
	Cash       Fen // cash_fee
	Reduced    Fen // reduced_fee, valid if HasReduced
	HasReduced bool

	BillNo         string // ssc_bill_no (Shanghai)
	SerialNo       string // ssc_serial_no; wins over RequestContent
	RequestContent Hidden // request_content: the prescription

	CardInfo  Hidden // of InsuranceToken
	PayAuthNo Hidden // of InsuranceToken
	PayQRCode Hidden // of InsuranceToken

	CreditOrg       string // 信用签约: the signing organisation
	AuthCode        Hidden // 信用签约 WeChat: the QR code of the authorisation
	ECQRCode        Hidden // 信用签约 at a counter: 医保电子凭证
	EshiminAuthCode Hidden // 随申办
	PayScene        string // 随申办: miniprogram

	PatientIDNo Hidden // 身份证号码
}

// Authorisation begins a payment by medical insurance: the payer's browser is
// sent to the platform and comes back with a code (seed 004 §6.4).
type Authorisation struct {
	Merchant Merchant
	OpenID   Hidden // the payer's id at the channel
	State    string // unique per attempt, compared when the browser comes back
	Redirect string // where it comes back to
}

// InsuranceAsk asks what a payer's authorisation is worth (lc.ssc.user.token,
// seed 004 §6.5).
type InsuranceAsk struct {
	Merchant     Merchant
	Channel      Channel // payment_type; eshimin has none of ours, see Eshimin
	Eshimin      bool    // 随申办
	UserID       Hidden
	AuthCode     Hidden // what the browser came back with
	PatientName  Hidden
	PatientIDNo  Hidden
	CityCode     string // biz_city_code
	InsType      string
	KinsfolkName Hidden // 儿保
	KinsfolkIDNo Hidden // 儿保
	ThirdOpenID  Hidden // 儿保
}

// InsuranceToken is what HIS needs for 医保试算 and 医保预结算. It names a person.
type InsuranceToken struct {
	QRCode    Hidden // Shanghai
	CityCode  string
	CardInfo  Hidden // 全国
	PayAuthNo Hidden // 全国
	Code      string
	Message   string
}

// Insurer is a platform that takes medical insurance. The payment itself is
// Present in ModeInsurance.
type Insurer interface {
	// Authorise gives the address the payer's browser is sent to.
	Authorise(a Authorisation) (string, error)
	// InsuranceToken asks for the token. It charges nothing and may be repeated.
	InsuranceToken(ctx context.Context, ask InsuranceAsk) (InsuranceToken, error)
}

// Incoming is a message that reached us without being asked for, as the
// listener got it.
type Incoming struct {
	Query string // raw query of the URL
	Form  string // raw body of a POST, application/x-www-form-urlencoded
	Now   time.Time
}

// Notice is what a verified incoming message says.
type Notice struct {
	// ByBrowser: it came by the payer's browser (return_url) and is never
	// evidence, whatever it says.
	ByBrowser bool
	// Evidence: the platform has no query, and this message verified and is of
	// our app_id; with order number and amount matching it decides paid and
	// closed. Otherwise it only wakes the query.
	Evidence bool
	// Canceled: the payer closed the page (sub_code 5001 用户取消).
	Canceled bool
	Answer   Answer
	// Reply is the text that the platform wants to read, with HTTP 200.
	Reply string
}

// Notifier reads what a platform sends by itself. An error means that the
// message is not the platform's: it changes nothing.
type Notifier interface {
	Notice(in Incoming) (Notice, error)
}
