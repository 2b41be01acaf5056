package door

import (
	"time"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// zone is that of every time in an answer: UTC+8, also on machines that think
// otherwise (decision 20).
func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

func stamp(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).In(zone()).Format("2006-01-02T15:04:05.000Z07:00")
}

// seconds rounds up, so that nobody comes back too early.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// safetyView answers one of the two questions of PAY-21.
type safetyView struct {
	_      [0]func()     // never compared: no code is made for it
	Answer order.Answer3 `json:"answer"`
	WaitS  int64         `json:"wait_s"` // 0 unless the answer is wait
	Reason string        `json:"reason"`
	Say    words.Text    `json:"say"`
}

// orderView is an order as the interface gives it. Fields that hold nothing
// are left out, but for those that a caller decides by.
type orderView struct {
	ID             string            `json:"id"`
	OutTradeNo     string            `json:"out_trade_no"`
	Bill           string            `json:"bill"`
	TraceID        string            `json:"trace_id"` // W3C trace id
	Rev            int               `json:"rev"`
	State          order.State       `json:"state"`
	StateText      words.Text        `json:"state_text"`
	Final          bool              `json:"final"`
	Mode           platforms.Mode    `json:"mode,omitempty"`
	Aggregated     bool              `json:"aggregated"`
	OrderType      string            `json:"order_type,omitempty"`
	AmountFen      platforms.Fen     `json:"amount_fen"`
	Till           string            `json:"till,omitempty"`
	Channel        platforms.Channel `json:"channel,omitempty"`
	ReportChannel  string            `json:"report_channel"`
	Platform       string            `json:"platform"`
	Merchant       string            `json:"merchant"`
	Operator       *operatorView     `json:"operator,omitempty"`
	TradeNo        string            `json:"trade_no,omitempty"`
	PaidAt         string            `json:"paid_at,omitempty"`
	PaidAtClock    string            `json:"paid_at_clock,omitempty"` // platform or local
	AmountOK       bool              `json:"amount_confirmed"`
	Buyer          string            `json:"buyer,omitempty"`
	CancelAsked    bool              `json:"cancel_requested"`
	CancelInS      *int64            `json:"cancel_in_s,omitempty"`
	CancelAction   string            `json:"cancel_action,omitempty"`
	ButtonsInS     *int64            `json:"buttons_in_s,omitempty"` // paying: until check and cancel are offered
	ActsInS        *int64            `json:"acts_in_s,omitempty"`    // until the agent ends or cancels it by itself
	EndReason      string            `json:"end_reason,omitempty"`
	DoubtReason    string            `json:"doubt_reason,omitempty"`
	Detached       bool              `json:"detached"`
	LateMoney      string            `json:"late_money,omitempty"` // found or given_back
	Foreign        bool              `json:"foreign,omitempty"`    // taken elsewhere; in the books so that it can be given back
	Booking        *bookingView      `json:"booking,omitempty"`
	Resolution     *resolutionView   `json:"resolution,omitempty"`
	Refunds        []refundView      `json:"refunds"`
	RefundedFen    platforms.Fen     `json:"refunded_fen"`
	RefundableFen  platforms.Fen     `json:"refundable_fen"`
	PlatformCode   string            `json:"platform_code,omitempty"`
	PlatformText   string            `json:"platform_message,omitempty"`
	PlatformWords  *platformWords    `json:"platform_words,omitempty"`
	Cash           safetyView        `json:"safe_to_take_cash"`
	Retry          safetyView        `json:"safe_to_retry"`
	Actions        []order.Action    `json:"actions_allowed"`
	QR             string            `json:"qr,omitempty"`
	QRExpiresInS   *int64            `json:"qr_expires_in_s,omitempty"`
	GotoURL        string            `json:"goto_url,omitempty"`   // h5, insurance: the page to pay on, while it can be paid
	PayString      string            `json:"pay_string,omitempty"` // to the caller of the order only
	Note           *aside            `json:"note,omitempty"`
	Insurance      *insuredView      `json:"insurance,omitempty"`
	ValidForS      *int64            `json:"valid_for_s,omitempty"` // queued: what is left
	CreatedAt      string            `json:"created_at"`
	EndedAt        string            `json:"ended_at,omitempty"`
	AgeMS          int64             `json:"age_ms"`
	Message        words.Text        `json:"message"`
	NextAction     words.Text        `json:"next_action"`
	PatientMessage words.Text        `json:"patient_message"`
}

type operatorView struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

type refundView struct {
	_            [0]func()         // never compared: no code is made for it
	RefundNo     string            `json:"refund_no"`
	AmountFen    platforms.Fen     `json:"amount_fen"`
	State        order.RefundState `json:"state"`
	StateText    words.Text        `json:"state_text"`
	Operator     operatorView      `json:"operator"`
	Reason       string            `json:"reason,omitempty"`
	Auto         bool              `json:"auto,omitempty"` // by the agent itself, because HIS could not book the payment
	Via          string            `json:"via,omitempty"`  // cancel or refund
	NeedsSecond  bool              `json:"needs_second,omitempty"`
	ApprovedBy   *operatorView     `json:"approved_by,omitempty"`
	HisFlowID    string            `json:"his_flow_id,omitempty"`
	HisFailed    string            `json:"his_failed,omitempty"` // why HIS could not book it
	RequestedAt  string            `json:"requested_at"`
	EndedAt      string            `json:"ended_at,omitempty"`
	PlatformCode string            `json:"platform_code,omitempty"`
	PlatformText string            `json:"platform_message,omitempty"`
	PlatformSays *platformWords    `json:"platform_words,omitempty"`
}

// order makes the view of an order as it is at this moment.
func (d *door) order(o *order.Order) *orderView {
	now, p := d.agent.Now(), d.agent.Platform(o.Platform)
	s := o.State()
	say := d.agent.Say(o)
	v := &orderView{ID: o.No, OutTradeNo: o.No, Bill: o.Bill, TraceID: agent.TraceID(o), Rev: o.Rev, State: s, StateText: say.State, Final: s.Final(),
		Mode: o.Mode, Aggregated: o.Aggregated, OrderType: o.OrderType, AmountFen: o.Amount, Till: o.Till,
		Channel: o.PaidVia(), ReportChannel: words.ReportChannel(string(o.PaidVia())), Platform: o.Platform, Merchant: o.Merchant.Profile,
		TradeNo: o.TradeNo, AmountOK: s == order.Paid && o.AmountSeen, Buyer: o.Buyer, CancelAsked: o.CancelAsked != nil,
		CancelAction: string(o.Action), EndReason: o.EndReason, DoubtReason: o.Doubt, Detached: o.Detached,
		Refunds: []refundView{}, RefundedFen: o.RefundedSum(), PlatformCode: o.Code, PlatformText: o.Message, PlatformWords: d.platformWords(o.Platform, o.Code, o.Message),
		Actions: d.actions(o), Foreign: o.Foreign, Booking: d.booking(o), Resolution: d.resolution(o), CreatedAt: stamp(o.CreatedAt.Wall), EndedAt: stamp(o.EndedAt.Wall),
		AgeMS: max(0, now.Age(o.CreatedAt).Milliseconds()), Message: say.Message, NextAction: say.Next, PatientMessage: say.Patient}
	v.Cash, v.Retry = d.safe(o)
	if o.Operator.ID != "" {
		v.Operator = &operatorView{ID: o.Operator.ID, Name: o.Operator.Name}
	}
	if s == order.Paid {
		v.PaidAt, v.PaidAtClock = stamp(o.PaidAt), "platform"
		if o.PaidLocal {
			v.PaidAtClock = "local"
		}
		if p.Refund && !o.NoRefunds {
			v.RefundableFen = max(0, o.Amount-o.RefundClaims())
		}
	}
	switch {
	case o.LateDone:
		v.LateMoney = "given_back"
	case o.LateFound:
		v.LateMoney = "found"
	}
	replaced := !s.Final() && d.agent.Health().Replaced // nothing leaves by itself but questions
	if replaced {
		e, _ := d.words.Find(words.Verdict, "cash_replaced")
		v.NextAction = e.Next
	}
	if o.CancelAsked != nil && o.CancelSent == nil && !s.Final() && !replaced {
		in := seconds(o.Cancelable(p.Policy, now))
		v.CancelInS = &in
	}
	if wait := o.ButtonsIn(p.Policy, now); wait > 0 && !replaced {
		in := seconds(wait)
		v.ButtonsInS = &in
	}
	if left, ok := o.ActsIn(p.Policy, now); ok && !replaced {
		in := seconds(left)
		v.ActsInS = &in
	}
	if left := o.QREnds(p.Policy, now); left > 0 {
		in := seconds(left)
		v.QR, v.QRExpiresInS = o.QR, &in
		if o.Paged() {
			v.GotoURL = o.QR
		}
	}
	if s == order.Queued {
		in := seconds(max(0, o.ValidFor-now.Age(o.CreatedAt)))
		v.ValidForS = &in
	}
	v.Insurance = d.insured(o)
	if o.PayerLeft && !s.Final() {
		v.Note = d.aside("payer_left")
	}
	for _, r := range o.Refunds {
		v.Refunds = append(v.Refunds, d.refund(o, r))
	}
	return v
}

func (d *door) refund(o *order.Order, r order.RefundLine) refundView {
	e, _ := d.words.Find(words.Refund, string(r.State))
	v := refundView{RefundNo: r.Request, AmountFen: r.Sum, State: r.State, StateText: e.Cashier,
		Operator: operatorView{ID: r.Operator.ID, Name: r.Operator.Name}, RequestedAt: stamp(r.At.Wall), PlatformCode: r.Code, PlatformText: r.Message,
		PlatformSays: d.platformWords(o.Platform, r.Code, r.Message)}
	v.Auto, v.Via, v.NeedsSecond, v.HisFlowID, v.HisFailed, v.Reason = r.Auto, string(r.Via), r.NeedsSecond, r.FlowID, r.BookFailed, r.Reason
	if r.ApprovedBy.ID != "" {
		v.ApprovedBy = &operatorView{ID: r.ApprovedBy.ID, Name: r.ApprovedBy.Name}
	}
	if r.State.Final() {
		v.EndedAt = stamp(r.EndedAt.Wall)
	}
	return v
}

// safe answers "may I take cash?" and "may I try again?" of an order. On a box in
// whose place another one is, nothing that is open comes to an end by waiting:
// the other one answers for it.
func (d *door) safe(o *order.Order) (cash, again safetyView) {
	now, p := d.agent.Now(), d.agent.Platform(o.Platform).Policy
	c, r := o.SafeToTakeCash(p, now), o.SafeToRetry(p, now)
	if d.agent.Health().Replaced && (!o.State().Final() || c.Answer == order.Wait) {
		c, r = order.Safety{Answer: order.No, Reason: "cash_replaced"}, order.Safety{Answer: order.No, Reason: "retry_replaced"}
	}
	return d.safety(c), d.safety(r)
}

func (d *door) safety(s order.Safety) safetyView {
	e, _ := d.words.Find(words.Verdict, s.Reason)
	wait := seconds(s.Wait)
	return safetyView{Answer: s.Answer, WaitS: wait, Reason: s.Reason, Say: e.Cashier.Fill("wait_s", itoa(wait))}
}
