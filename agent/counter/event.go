package counter

import (
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// Event is something that happened outside: a request, a scan, a reply, time.
type Event interface{ event() }

// Tick says only that time has passed.
type Tick struct{}

// Create asks for a bill to be paid. Everything random or secret about the
// order was made outside: its number, its hashes, its sealed part.
type Create struct {
	Reply   uint64
	No      string // minted outside, or HIS's own
	Spec    order.Created
	Private order.Private
	// Handed is the text of a code that HIS scanned itself, nil for none.
	Handed     *Code
	WhenQueued bool // accept while the platform is away
	// Cap is the most the operator may take per day, 0 for no limit; CapKey
	// finds the operator's orders of the day.
	Cap    platforms.Fen
	CapKey string
	OpKey  string // finds the operator's orders of the day
}

// Code is a scanned text with its keyed hash.
type Code struct {
	Text      platforms.Hidden
	Symbology string
	Hash      string
}

// Scan is a text read by one of a till's scanners.
type Scan struct {
	Till   string
	Device string // name of the scanner
	Code   Code
}

// Claim asks that what a till's cashier scanner reads outside payments goes to
// one client. A claim by the holder renews its lease.
type Claim struct {
	Reply   uint64
	Till    string
	Session string        // the client's own name for itself
	Lease   time.Duration // 0 for DefaultLease; more than MaxLease counts as that
}

// Retain says that the holder keeps the scanner that another client asked for.
type Retain struct {
	Reply   uint64
	Till    string
	Session string
}

// Release gives a claimed scanner up.
type Release struct {
	Reply   uint64
	Till    string
	Session string
}

// Act is one of the small requests about an order.
type Act struct {
	Reply    uint64
	Order    string
	Action   order.Action // check, cancel, detach, confirm
	Operator platforms.Operator
	Reason   string
}

// AskRefund asks for money to be given back.
type AskRefund struct {
	Reply  uint64
	Order  string
	Refund order.Refund
}

// Book is HIS's word about a paid order or one of its refunds.
type Book struct {
	Reply uint64
	Order string
	Word  order.Booked
}

// Told says that a HIS which can only ask, by a façade, was answered that the
// order is paid.
type Told struct {
	Reply uint64
	Order string
}

// HisLink says whether HIS can be reached: its webhook answers, or a client of
// it listens to the events.
type HisLink struct{ Up bool }

// Decide is a second person's word: about the refund with a number, or, with
// none, about what was proposed for something in doubt.
type Decide struct {
	Reply   uint64
	Order   string
	Decided order.Decided
}

// Propose says how something in doubt ended.
type Propose struct {
	Reply    uint64
	Order    string
	Proposal order.Proposal
}

// Adopt takes up a payment that this agent did not take, as the platform just
// told it, so that it can be given back here.
type Adopt struct {
	Reply  uint64
	No     string
	Spec   order.Created
	Answer platforms.Answer
	OpKey  string
}

// Found answers a Lookup: the orders found under each key and number, folded
// from the log at that moment.
type Found struct {
	Token  uint64
	Orders map[string][]*order.Order
}

// PayDone is the return of a pay or present call.
type PayDone struct {
	Order  string
	Verb   order.Verb
	Answer platforms.Answer
	Err    error
}

// QueryDone is the return of a query.
type QueryDone struct {
	Order  string
	Answer platforms.Answer
	Err    error
}

// CancelDone is the return of a cancel.
type CancelDone struct {
	Order  string
	Answer platforms.Cancellation
	Err    error
}

// RefundDone is the return of a refund.
type RefundDone struct {
	Order   string
	Request string
	Answer  platforms.Refunded
	Err     error
}

// Reach says whether a platform answers, as a probe or a call found.
type Reach struct {
	Platform string
	Up       bool
	Clock    bool // not up because this machine's clock is wrong
}

// Token says whether the platform takes a merchant profile's credentials.
type Token struct {
	Profile string
	OK      bool
}

// Disk says whether the disk is nearly full.
type Disk struct{ Low bool }

// Presence says whether a till has a scanner that works.
type Presence struct {
	Till    string
	Scanner bool
}

// StorageFailed says that the log is dead: nothing may be sent any more that
// is not durable, and nothing is.
type StorageFailed struct{}

// ResolveAll brings everything that is owed forward to now (OFF-09).
type ResolveAll struct{ Reply uint64 }

// Flush asks for a reply once everything before it is durable.
type Flush struct{ Reply uint64 }

// Recover hands over what the log and the slots held at start.
type Recover struct {
	Orders []*order.Order
	Lost   []Slot // slots whose stream the log does not know
	// Booked: HIS has booked a payment of this agent before.
	Booked bool
}

func (Tick) event()          {}
func (Notified) event()      {}
func (Authorise) event()     {}
func (TokenDone) event()     {}
func (Settle) event()        {}
func (Create) event()        {}
func (Scan) event()          {}
func (Claim) event()         {}
func (Retain) event()        {}
func (Release) event()       {}
func (Act) event()           {}
func (AskRefund) event()     {}
func (Book) event()          {}
func (Told) event()          {}
func (HisLink) event()       {}
func (Decide) event()        {}
func (Propose) event()       {}
func (Adopt) event()         {}
func (TakeOver) event()      {}
func (Replace) event()       {}
func (Found) event()         {}
func (PayDone) event()       {}
func (QueryDone) event()     {}
func (CancelDone) event()    {}
func (RefundDone) event()    {}
func (Reach) event()         {}
func (Token) event()         {}
func (Disk) event()          {}
func (Presence) event()      {}
func (StorageFailed) event() {}
func (ResolveAll) event()    {}
func (Flush) event()         {}
func (Recover) event()       {}

// Effect is something to be done outside. Effects come in an order that
// matters: none may be carried out before every Write ahead of it is durable,
// and the Writes of one step are written as one.
type Effect interface{ effect() }

// Write puts a fact into the log. A Write without a Fact closes the stream.
type Write struct {
	Order string
	Fact  *order.Fact
	Keys  []string
	Slot  *Slot // kept in the second file
	Close bool  // nothing is owed any more; its slots may go
}

// Slot is the little that must survive the loss of the log.
type Slot struct {
	Order    string             `json:"o,omitempty"` // left out where the slot is named by it
	Verb     order.Verb         `json:"v"`
	Amount   platforms.Fen      `json:"a"`
	Platform string             `json:"p,omitempty"`
	Merchant platforms.Merchant `json:"m"`
	Handle   string             `json:"h,omitempty"`
	Request  string             `json:"r,omitempty"` // refund
	Sum      platforms.Fen      `json:"s,omitempty"` // refund
	Mode     platforms.Mode     `json:"w,omitempty"` // of the shown ones; their calls differ
	Present  bool               `json:"q,omitempty"` // written by older programs for Mode present

	// Operator and Terminal are not kept: whoever hands over a slot fills them
	// in, because a platform may refuse a cancel that names nobody.
	Operator platforms.Operator `json:"-"`
	Terminal string             `json:"-"`
}

// Call is a call to a platform. Its return comes back as an event.
type Call struct {
	Order    string
	Platform string
	Verb     order.Verb
	Charge   platforms.Charge       // charge, present
	Ref      platforms.Ref          // query, cancel
	Refund   platforms.Refund       // refund
	Ask      platforms.InsuranceAsk // token
	Redirect string                 // token: where the next authorisation comes back to
	Timeout  time.Duration
	// NotAfter is the Mono after which a charge may not leave any more, because
	// the payer's code is too old: it then ends as not sent.
	NotAfter time.Duration
}

// Lookup asks for the orders under keys and numbers, as the log has them once
// everything written so far is durable.
type Lookup struct {
	Token  uint64
	Keys   []string
	Orders []string
}

// Reply answers a request.
type Reply struct {
	ID       uint64
	Code     string // see the Code constants
	Order    *order.Order
	Refund   string // request number, for refunds
	Platform string // when the platform is the reason
	Kind     platforms.CodeKind
	Claim    ClaimState // of claims
}

// ClaimState says who holds a till's scanner, and who asked for it.
type ClaimState struct {
	Holder   string        // empty for nobody
	Left     time.Duration // of the holder's lease
	AskedBy  string
	PassesIn time.Duration // until it passes to AskedBy
}

// Changed says that an order's facts grew; the order is a copy.
type Changed struct{ Order *order.Order }

// Screen says what a till shows now.
type Screen struct{ View View }

// View is a till's face.
type View struct {
	Till    string
	Order   *order.Order // in front, or the last one; nil when idle
	Armed   bool         // the scanner takes one payment code
	Scanner ScannerState
	Holder  string // the client that claimed the scanner
	AskedBy string // the client that asks for it
	Note    string // stable code: why the last scan was refused
	Online  bool
	Queued  int // orders waiting offline for this till
}

// Identity is a card that the cashier's scanner read while no order waited for
// a code. It lives no longer than it takes to hand it to the client that holds
// the scanner; it is never written, logged or counted by its text.
type Identity struct {
	Till      string
	Session   string
	Device    string
	Kind      platforms.CodeKind
	Text      platforms.Hidden
	Symbology string // AIM identifier without the bracket, or empty
}

// Scanned says what became of one scan, for counting.
type Scanned struct {
	Till   string
	Device string
	Result ScanResult
}

// CodeAgain says that a code was refused because it was used at another till.
type CodeAgain struct {
	Order    string        // that it was used for
	UsedAt   order.Instant // when that was sent
	Till     string        // where it was shown now
	Operator string        // of the order that waited there
	At       order.Instant
}

// ScanResult is what became of a scan: a closed set.
type ScanResult string

// The results of scans. A scan that is held is counted when it is decided.
const (
	ScanTaken    ScanResult = "taken"     // it became a payment
	ScanRefused  ScanResult = "refused"   // an order waited, and this code cannot pay it
	ScanTwoCodes ScanResult = "two_codes" // another code was in view
	ScanDouble   ScanResult = "double"    // read before, a moment ago
	ScanIdentity ScanResult = "identity"  // handed to the client that claimed the scanner
	ScanDropped  ScanResult = "dropped"   // nothing waited for it
)

// ScanResults lists the results.
func ScanResults() []ScanResult {
	return []ScanResult{ScanTaken, ScanRefused, ScanTwoCodes, ScanDouble, ScanIdentity, ScanDropped}
}

// Alarm is for people.
type Alarm struct {
	Code     string
	Order    string
	Platform string
}

// Health is what readiness hangs on.
type Health struct {
	Down      []string // platforms that do not answer
	Clock     []string // those of Down for which this machine's clock is to blame
	BadTokens []string // profiles whose token was refused
	DiskLow   bool
	Stopped   bool
	Replaced  bool // another box is in the place of this one
}

func (Write) effect()     {}
func (Call) effect()      {}
func (Lookup) effect()    {}
func (Reply) effect()     {}
func (Changed) effect()   {}
func (Screen) effect()    {}
func (Identity) effect()  {}
func (Scanned) effect()   {}
func (CodeAgain) effect() {}
func (Alarm) effect()     {}
func (Health) effect()    {}

// The codes of replies. They are stable and part of the API.
const (
	CodeCreated       = "created"
	CodeQueued        = "queued"
	CodeExists        = "exists"   // this bill is already open with the same amount
	CodeReplayed      = "replayed" // this key was used before with the same body
	CodeAccepted      = "accepted" // will be carried out
	CodeDone          = "done"
	CodeKeyMismatch   = "idempotency_key_mismatch"
	CodeBillPaid      = "bill_paid"
	CodeBillOpen      = "bill_open"
	CodeTillBusy      = "till_busy"
	CodeUnknownTill   = "unknown_till"
	CodeNumberUsed    = "number_used"
	CodeUnreachable   = "platform_unreachable"
	CodeClock         = "clock_wrong" // the platform cannot be reached because of this machine's clock
	CodeTokenRefused  = "token_refused"
	CodeDiskLow       = "disk_low"
	CodeStopped       = "store_stopped"
	CodeReplaced      = order.Replaced // another box is in the place of this one
	CodeOverCap       = "over_shift_cap"
	CodeNotPayable    = "code_not_payable"
	CodeWrongWallet   = "wrong_wallet"
	CodeUsed          = "code_used"
	CodeNotFound      = "not_found"
	CodeUseRefunds    = "use_refunds"
	CodeFinal         = "already_final"
	CodeNoConfirm     = "nothing_to_confirm"
	CodeNoRefunds     = "refund_not_supported"
	CodeNotPaid       = "not_paid"
	CodeRefundOver    = "refund_over"
	CodeRefundUsed    = "refund_number_used"
	CodeUnsupported   = "mode_not_supported"
	CodeClaimed       = "claimed"
	CodeAsked         = "asked"    // the holder has RetainWithin to keep the scanner
	CodeRetained      = "retained" // the holder keeps it
	CodeReleased      = "released"
	CodeNotHolder     = "not_holder"
	CodeScannerArmed  = "scanner_armed"  // an order waits for a scan: it is not handed over now
	CodeScannerAsked  = "scanner_asked"  // a third client asks already
	CodeNoScanner     = "no_scanner"     // the till has no cashier's scanner
	CodeWrongStop     = "insurance_stop" // not what the order waits for now; with the order
	CodeWrongState    = "state_wrong"    // the state that came back is not that of this attempt
	NoteTwoCodes      = "two_codes"
	NoteNotForPayment = "scanner_not_for_payment"
	NoteCodeOld       = "code_old"
	NoteNotWaiting    = "not_waiting"
	NoteDouble        = "double_read"
	NoteScannerGone   = "scanner_gone" // shown while a till waits for a scan and has no scanner
	NoteOffline       = "platform_unreachable"
	NoteUnbooked      = "booking_pending"   // HIS has not booked the payment last taken here
	NoteReversing     = "booking_reversing" // its money goes back
	NoteSplit         = "insurance_split"   // people decide
	CodeDiffers       = "booking_differs"
	CodeFlowUsed      = "flow_id_used"
	CodeBookLate      = "booking_late" // the money was given back before
	CodeBookFailed    = "booking_failed_before"
	CodeNotDone       = "refund_not_done" // a refund is booked only when it is done
	CodeSamePerson    = "same_person"
	CodeNoApproval    = "nothing_to_approve"
	CodeNoResolve     = "nothing_to_resolve"
	CodeProposed      = "proposed_already" // another proposal waits for a second person; with the order
	AlarmUnbooked     = "booking_overdue"
	AlarmSplit        = "insurance_split"
	AlarmReversing    = "payment_reversed"
	AlarmBookRefund   = "refund_not_booked"
	AlarmDoubt        = "order_in_doubt"
	AlarmStoreLost    = "store_lost"
	AlarmRefundDoubt  = "refund_in_doubt"
	AlarmTokenRefused = "token_refused"
	AlarmLateMoney    = "late_money"
)
