package order

import (
	"time"

	"payagent/platforms"
)

// Kind names a fact. The words are stored; they never change their meaning.
type Kind string

// The kinds of facts. A program that does not know a kind carries it along.
const (
	KindCreated     Kind = "created"      // HIS asked for a bill to be paid
	KindConfirmed   Kind = "confirmed"    // a queued order was taken up by a person
	KindSent        Kind = "sent"         // the intent: durable before the call leaves
	KindAnswered    Kind = "answered"     // what a reply said, when it changed something
	KindCancelAsked Kind = "cancel_asked" // a person, or the schedule, wants it canceled
	KindEnded       Kind = "ended"        // ended here, without the platform's word being needed
	KindDoubt       Kind = "doubt"        // only a person or a later answer can tell
	KindDetached    Kind = "detached"     // the till is free; the loop goes on
	KindRefund      Kind = "refund"       // money is to be given back
	KindLate        Kind = "late"         // money was found after an unpaid end
	KindWatched     Kind = "watched"      // looked for late money in another boot: none
	KindKey         Kind = "key"          // another Idempotency-Key got this order as its answer
	KindBooked      Kind = "booked"       // HIS's word about a payment or refund: booked, or its processing failed
	KindUnbooked    Kind = "unbooked"     // HIS is silent for long; who was told of it
	KindTold        Kind = "told"         // a HIS that can only ask, by a façade, was answered that it is paid
	KindReversing   Kind = "reversing"    // HIS is silent, and was told that the money will go back
	KindDecided     Kind = "decided"      // a second person's word about a refund
	KindProposed    Kind = "proposed"     // a person says, with evidence, how something in doubt ended
	KindResolved    Kind = "resolved"     // a second person agreed, or did not
	KindReopened    Kind = "reopened"     // the platform contradicts what people resolved
	KindInsured     Kind = "insured"      // a stop of a payment by medical insurance, before anything is sent
	KindLeft        Kind = "left"         // the payer's browser said that the payer closed the page; proves nothing
)

// Verb names a call.
type Verb string

// The verbs, as they stand in facts.
const (
	VerbCharge  Verb = "charge"
	VerbPresent Verb = "present"
	VerbQuery   Verb = "query"
	VerbCancel  Verb = "cancel"
	VerbRefund  Verb = "refund"
	VerbToken   Verb = "token"  // what an authorisation of the medical insurance is worth; charges nothing
	VerbNotice  Verb = "notice" // no call: what the platform said by itself, where it has no query
)

// Fact is one durable thing that happened to one order. Exactly the part that
// its kind needs is set. No fact holds a payment code or a person in clear.
type Fact struct {
	Kind    Kind         `json:"kind"`
	Order   string       `json:"order"`
	At      Instant      `json:"at"`
	Created *Created     `json:"created,omitempty"`
	Sent    *Sent        `json:"sent,omitempty"`
	Answer  *Reply       `json:"answer,omitempty"`
	Person  *Person      `json:"person,omitempty"`
	Ended   *Ended       `json:"ended,omitempty"`
	Reason  string       `json:"reason,omitempty"` // stable code: doubt, late
	Refund  *Refund      `json:"refund,omitempty"`
	Key     *IdemKey     `json:"key,omitempty"`
	Insured *InsuredStep `json:"insured,omitempty"`
	Booked  *Booked      `json:"booked,omitempty"`
	Decided *Decided     `json:"decided,omitempty"`

	Proposed *Proposal `json:"proposed,omitempty"`
}

// Created is what HIS asked for, frozen.
type Created struct {
	Bill       string             `json:"bill"`
	Amount     platforms.Fen      `json:"amount_fen"`
	Mode       platforms.Mode     `json:"mode"`
	Till       string             `json:"till"`
	TillKind   string             `json:"till_kind"`
	Terminal   string             `json:"terminal"`
	Platform   string             `json:"platform"`
	Merchant   platforms.Merchant `json:"merchant"`
	Channel    platforms.Channel  `json:"channel,omitempty"`
	Aggregated bool               `json:"aggregated,omitempty"`
	OrderType  string             `json:"order_type"`
	Operator   platforms.Operator `json:"operator"`
	Expires    string             `json:"expires,omitempty"`     // TimeoutExpress as sent
	ExpiresIn  time.Duration      `json:"expires_in,omitempty"`  // the same as a duration; 0 unknown
	Queued     bool               `json:"queued,omitempty"`      // accepted while the platform was away
	ValidFor   time.Duration      `json:"valid_for,omitempty"`   // queued: how long it may wait
	ScanWait   time.Duration      `json:"scan_wait,omitempty"`   // waiting: how long for a scan
	HandedCode bool               `json:"handed_code,omitempty"` // HIS scanned the code itself
	OwnNumber  bool               `json:"own_number,omitempty"`  // HIS gave the order number
	Sealed     []byte             `json:"sealed,omitempty"`      // the patient's name and numbers: sealed until reconciliation is over
	SealedDay  []byte             `json:"sealed_day,omitempty"`  // telephone, subject, memo, details: sealed for a day
	Trace      string             `json:"trace,omitempty"`       // W3C trace id of the request that made it
	Key        IdemKey            `json:"key"`
	// Books says that HIS is expected to book this payment; nil where it is not.
	Books *BookTerms `json:"books,omitempty"`
	// Foreign: this agent did not take the payment; it was asked for at the
	// platform, so that it can be given back here.
	Foreign bool `json:"foreign,omitempty"`
	// Elsewhere is what was given back before the order was taken up here: by
	// the platform's word of a foreign one, by the other box's of one that was
	// taken over. Nil where nobody told.
	Elsewhere *platforms.Fen `json:"elsewhere_fen,omitempty"`
	// Before is what another box did with the order; nil unless it was taken over.
	Before *Before `json:"before,omitempty"`
}

// BookTerms is how long HIS may take to book a payment, counted from paid.
type BookTerms struct {
	Prompt  time.Duration `json:"prompt"`            // then the cashier is told
	Alarm   time.Duration `json:"alarm"`             // then an alarm is raised, and the order let go
	Silence time.Duration `json:"silence,omitempty"` // then the money goes back (kiosks, decision 11); 0 never
}

// IdemKey ties a caller's Idempotency-Key to an order: keyed hashes only.
type IdemKey struct {
	Key  string `json:"key,omitempty"`
	Body string `json:"body,omitempty"`
}

// Sent says which call is about to leave.
type Sent struct {
	Verb     Verb               `json:"verb"`
	Request  string             `json:"request,omitempty"`   // refund: request number
	CodeKind platforms.CodeKind `json:"code_kind,omitempty"` // charge
	Channel  platforms.Channel  `json:"channel,omitempty"`   // charge: wallet told by the code
	Device   string             `json:"device,omitempty"`    // charge: the scanner that read the code, by its configured name
	CodeHash string             `json:"code_hash,omitempty"` // charge: keyed hash, so that a code serves once
}

// Reply is what an answer said, as far as it is worth keeping.
type Reply struct {
	_        [0]func()              // never compared: no code is made for it
	Verb     Verb                   `json:"verb"`
	Status   string                 `json:"status,omitempty"` // platforms.Status in words
	NotSent  bool                   `json:"not_sent,omitempty"`
	Handle   string                 `json:"handle,omitempty"`
	TradeNo  string                 `json:"trade_no,omitempty"`
	Amount   *platforms.Fen         `json:"amount_fen,omitempty"` // as carried
	Channel  platforms.Channel      `json:"channel,omitempty"`
	PaidAt   int64                  `json:"paid_at,omitempty"` // Unix ms, platform's clock; 0 not carried
	Buyer    string                 `json:"buyer,omitempty"`   // masked
	QR       string                 `json:"qr,omitempty"`
	Final    bool                   `json:"final,omitempty"`
	Code     string                 `json:"code,omitempty"`
	Message  string                 `json:"message,omitempty"`
	Done     bool                   `json:"done,omitempty"`   // cancel
	Action   platforms.CancelAction `json:"action,omitempty"` // cancel
	Lost     bool                   `json:"lost,omitempty"`   // cancel: this or an earlier one may have worked unseen
	Request  string                 `json:"request,omitempty"`
	Refunded *platforms.Fen         `json:"refunded_fen,omitempty"` // refund, query: all together, as carried
	Outcome  RefundState            `json:"outcome,omitempty"`      // refund
}

// Person says who wanted something, and why.
type Person struct {
	Operator platforms.Operator `json:"operator"`
	Reason   string             `json:"reason,omitempty"`
	Auto     bool               `json:"auto,omitempty"` // the schedule, in the order's operator's name
}

// Ended says how an order ended.
type Ended struct {
	State  State                  `json:"state"`  // failed or canceled
	Reason string                 `json:"reason"` // stable code
	Action platforms.CancelAction `json:"action,omitempty"`
	Unsent bool                   `json:"unsent,omitempty"` // proven: nothing ever left, no late watch
}

// Refund is a request to give money back.
type Refund struct {
	Request  string             `json:"request"`
	Sum      platforms.Fen      `json:"sum_fen"`
	Operator platforms.Operator `json:"operator"`
	Reason   string             `json:"reason,omitempty"`
	Key      IdemKey            `json:"key"`
	// Auto: the agent gives the money back by itself, because HIS could not
	// book the payment. Via is how it begins, Through the platform that a
	// cancel goes through where it is not the order's own.
	Auto    bool   `json:"auto,omitempty"`
	Via     Via    `json:"via,omitempty"`
	Through string `json:"through,omitempty"`
	// NeedsSecond: it waits for a second person.
	NeedsSecond bool `json:"needs_second,omitempty"`
}

// Via is the way on which money goes back.
type Via string

// The ways. Empty is ViaRefund.
const (
	ViaRefund Via = "refund"
	ViaCancel Via = "cancel"
)
