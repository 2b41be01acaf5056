package fleet

import "time"

// The types of events. An order's is TypeOrder, what is new of it (as
// docs/his-events.md has it) and TypeVersion.
const (
	TypeOrder   = "payagent.order."
	TypeAlarm   = "payagent.alarm.v1"
	TypeGap     = "payagent.gap.v1"
	TypeVersion = ".v1"
)

// OrderData is the data of an order's event: the order as it was then. A
// receiver keeps the one with the highest Rev.
type OrderData struct {
	Order Order `json:"order"`
	Rev   int   `json:"rev"` // grows with every change of the order
}

// Order is what leaves a box of an order: facts of the payment, copied field by
// field. Nothing in it is of a patient, and nothing was typed in by anybody but
// HIS's own numbers and its word for the kind of cost. Times are RFC 3339 in
// UTC+8, sums in fen.
type Order struct {
	OutTradeNo  string     `json:"out_trade_no"` // our number
	State       string     `json:"state"`        // docs/states.md
	Mode        string     `json:"mode,omitempty"`
	OrderType   string     `json:"order_type,omitempty"`
	AmountFen   int64      `json:"amount_fen"`
	Till        string     `json:"till,omitempty"`
	Channel     string     `json:"channel,omitempty"` // wallet
	Platform    string     `json:"platform"`
	Merchant    string     `json:"merchant"`            // the profile's name
	TradeNo     string     `json:"trade_no,omitempty"`  // the wallet's or platform's number
	CostType    string     `json:"cost_type,omitempty"` // 费用类别: HIS's word, else the order type's
	CreatedAt   *time.Time `json:"created_at,omitempty"`
	EndedAt     *time.Time `json:"ended_at,omitempty"` // when the end was known here
	PaidAt      *time.Time `json:"paid_at,omitempty"`  // the platform's clock where it told
	AmountSeen  bool       `json:"amount_confirmed"`
	Action      string     `json:"cancel_action,omitempty"`
	EndReason   string     `json:"end_reason,omitempty"`
	Doubt       string     `json:"doubt_reason,omitempty"`
	LateMoney   string     `json:"late_money,omitempty"` // found or given_back
	Foreign     bool       `json:"foreign,omitempty"`    // taken elsewhere; in these books so that it can be given back
	Booking     string     `json:"booking,omitempty"`    // pending, pending_long, booked, going_back, given_back, back_in_doubt, insurance_split
	Entries     []Entry    `json:"entries,omitempty"`    // what HIS booked
	Refunds     []Refund   `json:"refunds,omitempty"`
	RefundedFen int64      `json:"refunded_fen"`
}

// Entry is one booking of HIS's: the payment, or a refund.
type Entry struct {
	HisFlowID string     `json:"his_flow_id"`
	RefundNo  string     `json:"refund_no,omitempty"` // empty for the payment
	AmountFen int64      `json:"amount_fen"`          // negative: given back
	BookedAt  *time.Time `json:"booked_at,omitempty"` // HIS's clock
}

// Refund is one refund of an order.
type Refund struct {
	RefundNo  string     `json:"refund_no"`
	AmountFen int64      `json:"amount_fen"`
	State     string     `json:"state"` // awaiting, requested, sent, done, refused, in_doubt
	Auto      bool       `json:"auto,omitempty"`
	Via       string     `json:"via,omitempty"` // cancel or refund
	AskedAt   *time.Time `json:"requested_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

// Gap is the data of an event that tells that others are missing: they were
// pruned before anybody acknowledged them.
type Gap struct {
	From   uint64 `json:"from"`   // first number that is missing
	To     uint64 `json:"to"`     // last
	Reason string `json:"reason"` // pruned
}

// The states of an alarm.
const (
	Raised  = "raised"
	Cleared = "cleared"
)

// AlarmData is the data of an alarm's event. Each raising and each clearing is
// an event of its own.
type AlarmData struct {
	Code     string `json:"code"` // docs/words.md, group alarm
	State    string `json:"state"`
	Order    string `json:"order,omitempty"`    // order number
	Platform string `json:"platform,omitempty"` // its name in the configuration
	Subject  string `json:"subject,omitempty"`  // e.g. a device (till.device), a merchant profile, a key
	Text     Text   `json:"text"`
	// Those of an alarm that asks finance to look (check_…).
	Till     string   `json:"till,omitempty"`
	Operator string   `json:"operator,omitempty"` // number of the operator
	Orders   []string `json:"orders,omitempty"`   // order numbers, the newest 20
}

// Text is a sentence for IT in both languages.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Alarm is retained at a/<code> while the alarm lasts; one that is an
// occurrence, not a condition, lasts a day. An empty payload clears it.
type Alarm struct {
	Code     string    `json:"code"`
	Since    time.Time `json:"since"`
	Last     time.Time `json:"last"`
	Count    int       `json:"count"`              // how often it was raised since Since
	Subjects []string  `json:"subjects,omitempty"` // orders, platforms, devices it is about; the newest 20
	Text     Text      `json:"text"`
}
