// Package platforms is the contract between the agent and a payment platform:
// the words in which the agent asks to charge, show a QR code, query, cancel
// and refund, and the words in which an adapter says what the wire answered.
//
// Three rules carry the whole family.
//
// First, an adapter reports what the wire said and never what it hopes. An
// [Answer] carries each field only when the reply carried it; whether that
// proves anything about *our* order is decided in one place, [Bind].
//
// Second, an error means unknown, unless it wraps [ErrNotCharged]: then it is
// proven that nothing was charged, because no byte of the request left or the
// platform refused it before the payment layer.
//
// Third, an adapter never dials, never retries and keeps no state of an order:
// it gets an http.RoundTripper from outside and everything else in its
// arguments, so that a crash between any two lines loses nothing.
//
// To add a platform: a folder with the codecs, a folder NAMEtest with a wire
// simulator over package bank, a test that calls platformtest.Test.
package platforms

import (
	"context"
	"errors"
	"time"
)

// Platform is what every payment platform can do. Both calls may be repeated
// without harm.
type Platform interface {
	// Query asks what became of an order.
	Query(ctx context.Context, ref Ref) (Answer, error)
	// Cancel closes an unpaid order and gives the money of a paid one back.
	Cancel(ctx context.Context, ref Ref) (Cancellation, error)
	// Traits tells, once at start, what can be relied on.
	Traits() Traits
}

// Checker checks a request against the platform's field rules before anything
// is journalled or sent. The error is a *FieldError.
type Checker interface {
	CheckCharge(c Charge) error
	CheckRefund(r Refund) error
}

// Charger takes money from the payer's code. The caller makes it at most once
// per order number; the adapter puts it on the wire at most once.
type Charger interface {
	Charge(ctx context.Context, c Charge) (Answer, error)
}

// Presenter asks for what the payer pays by in one of the shown modes. The text
// of the QR code, or the address of the page (goto_url), is in Answer.QR.
type Presenter interface {
	Present(ctx context.Context, c Charge) (Answer, error)
	// Presents tells, once at start, which of the shown modes it can do.
	Presents(m Mode) bool
}

// Refunder gives back a part or all of a paid order. The same request number
// moves money at most once, so an unknown outcome is met by asking again.
type Refunder interface {
	Refund(ctx context.Context, r Refund) (Refunded, error)
}

// Prober asks the platform something harmless. Nil means that the platform
// answered; an error that wraps ErrToken means it answered and refused us.
type Prober interface {
	Probe(ctx context.Context) error
}

// Traits says what a platform can be relied on for.
type Traits struct {
	// FindsByNumber: a query by our own order number is proven to work even
	// when the pay reply, and with it Answer.Handle, was lost.
	FindsByNumber bool
	// PaidIsSticky: a query goes on answering Paid after a cancel that gave
	// the money back, so Paid after our own successful cancel proves nothing
	// (SmartPay, wire.md §1.5).
	PaidIsSticky bool
	// NoQuery: the platform has no query. Only notifications that verify tell
	// what became of an order, and a cancel rests on no query.
	NoQuery bool
	// Channels lists the wallets that the platform takes.
	Channels []Channel
}

// Channel is a wallet, in the API's words; adapters map them to the wire's.
type Channel string

// The channels. The zero value means not known, or left to the payer.
const (
	WeChat   Channel = "wechat"
	Alipay   Channel = "alipay"
	UnionPay Channel = "unionpay"
	ECNY     Channel = "ecny"
)

// Mode tells who scans whom.
type Mode string

// The modes: the payer's code is scanned (条码付), the payer scans our QR
// (扫码付), the payer pays on a page of the platform (H5支付, seed 004 §3.1), or
// there by medical insurance and cash in one (医保支付, seed 004 §3.2).
const (
	ModeCharge    Mode = "charge"
	ModePresent   Mode = "present"
	ModeH5        Mode = "h5"
	ModeInsurance Mode = "insurance"
)

// Shown tells whether the payer pays by something that the platform gave us to
// show: a QR code or the address of a page. Nothing is taken from the payer
// before they have seen it.
func (m Mode) Shown() bool { return m == ModePresent || m == ModeH5 || m == ModeInsurance }

// Known tells whether there is such a mode.
func (m Mode) Known() bool { return m == ModeCharge || m.Shown() }

// Merchant names the credentials an order runs under, frozen into the order.
type Merchant struct {
	Profile string `json:"profile"`        // name of the configured profile; finds the token
	Code    string `json:"code,omitempty"` // MerchCode as it was when the order was made
}

// Operator is the person who answers for a money movement.
type Operator struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Ref is everything needed to ask about, cancel or recognise one order.
type Ref struct {
	OrderNo  string // our number: OutTradeNo, HisOrderId
	Handle   string // the platform's own key, where a reply carried one (SmartPay OrderId)
	TradeNo  string // the wallet's number, where known
	Merchant Merchant
	Amount   Fen
	Mode     Mode
	Operator Operator
	Terminal string // till's device number
}

// Patient is the person who pays. It exists in memory and on the wire only.
type Patient struct {
	Name        Hidden
	CardNo      Hidden
	CardType    string // the API's word; adapters map it
	AdmissionNo Hidden
	Phone       Hidden
}

// Detail is one line of what is paid for (seed 004 §5.5 TradeDetail).
type Detail struct {
	GoodsID       string `json:"goods_id"`
	GoodsName     string `json:"goods_name"`
	GoodsCategory string `json:"goods_category"`
	PriceFen      Fen    `json:"price_fen"`
	Quantity      string `json:"quantity"`
	Body          string `json:"body"`
}

// Charge is one attempt to be paid, by code or by QR.
type Charge struct {
	Ref
	Code       AuthCode // ModeCharge only; lives until the call returns
	Channel    Channel  // wallet asked for; empty when aggregated
	Aggregated bool     // 聚合: one QR for several wallets
	OrderType  string   // the API's word, e.g. TREATMENT; adapters map it
	TillKind   string   // "counter" or "kiosk"
	Subject    string   // Caption, Subject
	Memo       string   // Descriptive, OrderMemo
	Patient    Patient
	Expires    string // TimeoutExpress of seed 004 §5.5, e.g. "20m"; empty for the platform's default
	Details    []Detail
	Web        Web       // ModeH5, ModeInsurance
	Insurance  Insurance // ModeInsurance
}

// Refund is one request to give money back.
type Refund struct {
	Ref
	RequestNo string // OutRequestNo, ours, at most 32 characters
	Sum       Fen    // to give back now
	Channel   Channel
	Reason    string
}

// Status is what a reply says about the money. The zero value is the safe one.
type Status int

// The statuses, written out because they are also stored.
const (
	Unknown  Status = 0 // nothing can be concluded
	NotFound Status = 1 // the platform does not know the number; proves nothing by itself
	Pending  Status = 2 // the payer has not finished
	Refused  Status = 3 // the platform said no in words that do not prove that nothing is charged
	Paid     Status = 4
	Failed   Status = 5 // on the closed list of refusals that prove that nothing was charged
	Closed   Status = 6 // closed, or fully given back: not paid any more
)

// String gives the word used in logs and facts.
func (s Status) String() string {
	switch s {
	case NotFound:
		return "not_found"
	case Pending:
		return "pending"
	case Refused:
		return "refused"
	case Paid:
		return "paid"
	case Failed:
		return "failed"
	case Closed:
		return "closed"
	}
	return "unknown"
}

// Answer is what a reply to Charge, Present or Query said. A field that the
// reply did not carry is zero.
type Answer struct {
	Status      Status
	AskNow      bool   // the reply needs confirming by a query at once (FWC: pay replies carry no status)
	OrderNo     string // our number as the reply carried it
	Handle      string // the platform's own key for later calls
	TradeNo     string
	Merchant    string // merchant code as the reply carried it
	Amount      Fen    // valid if HasAmount
	HasAmount   bool
	Channel     Channel
	PaidAt      time.Time // the platform's clock, UTC+8; zero if not carried
	Buyer       Hidden    // the payer's id or account
	QR          string    // text to show as a QR code, or the address of the page to pay on (Present only)
	PayString   string    // what a wallet's own JavaScript is called with, without blanks around (paystr of seed 004 §6.6)
	Refunded    Fen       // given back so far, all requests together; valid if HasRefunded
	HasRefunded bool
	Final       bool   // paid and past refunding (TRADE_FINISHED)
	Code        string // the platform's own code
	Message     string // the platform's own words; never contains a payment code or a token
}

// CancelAction tells what a cancel did.
type CancelAction string

// The cancel actions. Unknown: done, but the reply did not say which (SmartPay).
const (
	ActionNone    CancelAction = ""
	ActionClose   CancelAction = "close"
	ActionRefund  CancelAction = "refund"
	ActionUnknown CancelAction = "unknown"
)

// Retry is the platform's word on whether a cancel may be asked again.
type Retry string

// The retry flags; empty where the reply carried none.
const (
	RetryYes Retry = "Y"
	RetryNo  Retry = "N"
)

// Cancellation is what a reply to Cancel said.
type Cancellation struct {
	Done    bool // proven: closed or given back
	Action  CancelAction
	Retry   Retry
	OrderNo string
	TradeNo string
	Code    string
	Message string
}

// RefundStatus is what a reply to Refund proves.
type RefundStatus int

// The refund statuses.
const (
	RefundUnknown RefundStatus = 0
	RefundDone    RefundStatus = 1
	RefundRefused RefundStatus = 2 // on a closed list: no money moved
)

// Refunded is what a reply to Refund said.
type Refunded struct {
	Status   RefundStatus
	OrderNo  string
	TradeNo  string
	Total    Fen // given back so far, all requests together; valid if HasTotal
	HasTotal bool
	Code     string
	Message  string
}

// ErrNotCharged is wrapped by errors that prove that nothing was charged: the
// request never left, or was refused before the payment layer.
// It proves something in errors of Charge and Present only: a query or cancel
// that never left says nothing about the charge before it.
var ErrNotCharged = errors.New("nothing was charged")

// ErrToken is wrapped by errors that say the platform refused our credentials.
// New orders must be refused until a new token is in place; open ones stay.
var ErrToken = errors.New("the platform refused the access token")

// ErrUnsupported is returned for a call the platform does not have.
var ErrUnsupported = errors.New("the platform does not offer this")

// notSent is implemented by transport errors that prove no byte of the request
// reached the other side (dial, TLS, proxy refusal).
type notSent interface{ NotSent() bool }

// NeverLeft tells whether a transport error proves that the request never left.
func NeverLeft(err error) bool {
	var n notSent
	return errors.As(err, &n) && n.NotSent()
}

// clockWrong is implemented by transport errors that this machine's clock is
// to blame for.
type clockWrong interface{ ClockWrong() bool }

// ClockWrong tells whether a transport error says that the way is there and
// this machine's clock is what keeps it shut.
func ClockWrong(err error) bool {
	var c clockWrong
	return errors.As(err, &c) && c.ClockWrong()
}

// FieldError says which field of the API a platform cannot accept, and why.
type FieldError struct {
	Field  string // the API's name, e.g. "patient.name"
	Reason string // what is wrong and what to do
}

// Error gives field and reason; never the value.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Is makes a FieldError an ErrNotCharged: fields are checked before anything
// is sent.
func (e *FieldError) Is(target error) bool { return target == ErrNotCharged }
