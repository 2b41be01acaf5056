package bank

import (
	"time"

	"payagent/platforms"
)

// Options are the personality of the platform (reliability.md §3.1). The zero
// value is a plain one: no tombstones, no automatic closing, fresh reads.
type Options struct {
	// CancelTombstones makes the cancel of an unknown number close that number
	// for ever (P1). Without it such a cancel does nothing and a charge that
	// arrives later succeeds (P2).
	CancelTombstones bool
	// RefuseCancel makes every cancel of a known number fail and do nothing (P8).
	RefuseCancel bool
	// AutoClose closes a trade that is unpaid so long after it was made (P4);
	// zero means never. A shorter Request.Timeout goes first.
	AutoClose time.Duration
	// StaleReads is how old the books are that a query reads (P7).
	StaleReads time.Duration
	// OnEntry, if set, is told every movement of money or state. It is called
	// with the bank's mutex held and must not call the bank.
	OnEntry func(Entry)
}

// Payer says how the person behind a payment code or a shown QR behaves.
type Payer struct {
	// PayAfter is how long the payer takes: zero pays at once, more is
	// pending until then, less than zero never pays.
	PayAfter time.Duration
	NoMoney  bool              // definitely refused: 余额不足
	BadCode  bool              // definitely refused: code invalid, expired or used
	Channel  platforms.Channel // wallet of the payer; empty leaves that of the request
}

// Request is what a charge or a QR asks for.
type Request struct {
	OrderNo  string
	Merchant string
	Amount   platforms.Fen
	Channel  platforms.Channel
	Present  bool          // a QR that is shown, not a code that is scanned
	Timeout  time.Duration // the trade closes itself unpaid after this; zero leaves Options.AutoClose
}

// State is what the platform's books say of a trade.
type State string

// The states. Revoked is a paid trade whose money a cancel gave back; Refunded
// is one that refunds gave back whole. A part refund leaves it Paid.
const (
	Unpaid   State = "unpaid"
	Paid     State = "paid"
	Closed   State = "closed"
	Revoked  State = "revoked"
	Refunded State = "refunded"
)

// Reasons for a definite refusal of a charge, in Trade.Refusal. The trade
// stays unpaid and open: another payer may still pay it until it is closed.
const (
	NoMoney = "no_money"
	BadCode = "bad_code"
	Dead    = "dead" // the number is closed, revoked, refunded or tombstoned
)

// Trade is one order in the platform's books. Amounts are fen.
type Trade struct {
	OrderNo  string // the merchant's number
	TradeNo  string // the wallet's number, 28 digits
	Handle   string // the platform's own key, 32 hexadecimal digits
	Merchant string
	Amount   platforms.Fen
	Captured platforms.Fen // taken in all
	Refunded platforms.Fen // given back in all
	State    State
	Channel  platforms.Channel
	// CreatedAt, PaidAt and ClosesAt count from when the world began; ClosesAt
	// is zero for a trade that does not close itself.
	CreatedAt, PaidAt, ClosesAt time.Duration
	Buyer                       string // the payer's id at the wallet, once paid
	Refusal                     string // why the latest charge was refused: "", NoMoney, BadCode, Dead
	Present                     bool
}

// Entry is one line of the ledger.
type Entry struct {
	At time.Duration
	// Kind is "created", "asked" (a charge arrived), "scanned" (a phone read
	// the QR), "paid", "closed", "revoked", "refunded", "refused" or
	// "tombstone". Only paid, revoked and refunded move money.
	Kind      string
	Trade     Trade // as it stands after the entry
	RequestNo string
	Sum       platforms.Fen // moved by this entry
	Payer     Payer         // of asked and scanned, so that Load can go on with it
}

// Cancelled is the outcome of Cancel. Action is "close" or "refund".
type Cancelled struct {
	Found, Done bool
	Action      string
}

// Reasons for refusing a refund, in RefundResult.Refusal.
const (
	NotPaid     = "not_paid"
	Exceeds     = "exceeds"      // more than is left of what was captured
	BadSum      = "bad_sum"      // zero or less
	NumberTaken = "number_taken" // the request number stands for another order or sum
)

// RefundResult is the outcome of Refund. Total is what was given back so far,
// all requests together; Changed tells whether this call moved money.
type RefundResult struct {
	Found, Done, Changed bool
	Total                platforms.Fen
	Refusal              string
}
