package door

import (
	"slices"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// What may be done beside order's own actions (HIS-14).
const (
	actBook    order.Action = "book"               // HIS says whether it booked the payment
	actApprove order.Action = "approve"            // a second person decides about a refund
	actResolve order.Action = "resolve"            // people say how something in doubt ended
	actConfirm order.Action = "confirm_resolution" // a second person decides about what was said
)

// actions lists the buttons that make sense now.
func (d *door) actions(o *order.Order) []order.Action {
	p := d.agent.Platform(o.Platform)
	list := o.Actions(p.Policy, d.agent.Now(), p.Refund)
	if p.Traits.NoQuery { // there is nothing to ask
		list = slices.DeleteFunc(list, func(a order.Action) bool { return a == order.ActCheck })
	}
	if d.agent.Health().Replaced { // the other box does everything else
		return slices.DeleteFunc(list, func(a order.Action) bool { return a != order.ActCheck })
	}
	in := func(s order.RefundState) bool {
		return slices.ContainsFunc(o.Refunds, func(r order.RefundLine) bool { return r.State == s })
	}
	switch agent.BookStage(o) {
	case "pending", "pending_long", "insurance_split":
		list = append(list, actBook)
	}
	if in(order.RefundAwaiting) {
		list = append(list, actApprove)
	}
	if r := o.Resolution; r != nil && !r.Confirmed && o.Resolvable(r.Refund, r.Outcome) {
		list = append(list, actConfirm)
	}
	if o.Resolvable("", order.Paid) || in(order.RefundInDoubt) {
		list = append(list, actResolve)
	}
	return list
}

// bookingView is how far a payment is in HIS's books.
type bookingView struct {
	_         [0]func()       // never compared: no code is made for it
	State     order.BookState `json:"state"` // pending, booked, failed or insurance_split
	Stage     string          `json:"stage"` // what it means now; the text's code
	Text      words.Text      `json:"text"`
	HisFlowID string          `json:"his_flow_id,omitempty"`
	CostType  string          `json:"cost_type,omitempty"`
	At        string          `json:"at,omitempty"` // HIS's own time
	Operator  *operatorView   `json:"operator,omitempty"`
	Reason    string          `json:"reason,omitempty"`      // why it failed
	PromptInS *int64          `json:"prompt_in_s,omitempty"` // pending: until the cashier is asked to look
	Insurance *bool           `json:"insurance_taken,omitempty"`
	Cash      *bool           `json:"cash_taken,omitempty"`
}

func (d *door) booking(o *order.Order) *bookingView {
	stage, b := agent.BookStage(o), o.Booking
	if stage == "" {
		return nil
	}
	e, _ := d.words.Find(words.Booking, stage)
	v := &bookingView{State: b.State, Stage: stage, Text: e.Cashier, HisFlowID: b.FlowID, CostType: b.CostType, Reason: b.Reason,
		Insurance: b.InsuranceTaken, Cash: b.CashTaken}
	if b.State != order.BookPending {
		v.At = stamp(b.At)
	}
	if b.Operator.ID != "" {
		v.Operator = &operatorView{ID: b.Operator.ID, Name: b.Operator.Name}
	}
	if b.State == order.BookPending && o.Books != nil && o.Reversal() == nil {
		in := seconds(max(0, o.Books.Prompt-d.agent.Now().Age(o.EndedAt)))
		v.PromptInS = &in
	}
	return v
}

// resolutionView is what people said of something in doubt.
type resolutionView struct {
	_           [0]func()     // never compared: no code is made for it
	State       string        `json:"state"` // proposed or confirmed
	Outcome     order.State   `json:"outcome"`
	RefundNo    string        `json:"refund_no,omitempty"`
	TradeNo     string        `json:"trade_no,omitempty"`
	Evidence    string        `json:"evidence"`
	Reason      string        `json:"reason"`
	Operator    operatorView  `json:"operator"`
	At          string        `json:"at"`
	ConfirmedBy *operatorView `json:"confirmed_by,omitempty"`
	ConfirmedAt string        `json:"confirmed_at,omitempty"`
}

func (d *door) resolution(o *order.Order) *resolutionView {
	r := o.Resolution
	if r == nil {
		return nil
	}
	person := func(op platforms.Operator) operatorView { return operatorView{ID: op.ID, Name: op.Name} }
	v := &resolutionView{State: "proposed", Outcome: r.Outcome, RefundNo: r.Refund, TradeNo: r.TradeNo, Evidence: r.Evidence, Reason: r.Reason,
		Operator: person(r.Operator), At: stamp(r.At.Wall)}
	if r.Confirmed {
		by := person(r.By)
		v.State, v.ConfirmedBy, v.ConfirmedAt = "confirmed", &by, stamp(r.EndedAt.Wall)
	}
	return v
}
