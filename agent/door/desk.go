package door

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// What needs two persons is noted with the token by which the first came, so
// that one shared token cannot play both. An act is found by its key.
const (
	actKind       = "door.act"
	actResolution = "resolution"
)

type actNote struct {
	Order string `json:"order"`
	What  string `json:"what"` // number of the refund, or resolution
	Token string `json:"token"`
}

func actKey(no, what string) string { return "act:" + no + ":" + what }

// remember notes by which token something was asked for that needs a second
// person.
func (d *door) remember(ctx context.Context, c caller, no, what string) error {
	return d.agent.Note(ctx, actKind, []string{actKey(no, what)}, actNote{Order: no, What: what, Token: c.token.Name})
}

// rememberOnce is remember for a request that may be a repetition: the first
// one may have ended before it was noted.
func (d *door) rememberOnce(ctx context.Context, c caller, no, what string) error {
	threads, err := d.agent.Threads(actKey(no, what))
	if err != nil || len(threads) > 0 {
		return err
	}
	return d.remember(ctx, c, no, what)
}

// sameToken tells whether the caller's token is the one by which the first
// person came, and does not vouch for its operators. What was asked for by
// another door than this one has no note.
func (d *door) sameToken(c caller, no, what string) (bool, error) {
	if slices.Contains(c.token.Scopes, access.Operators) {
		return false, nil
	}
	threads, err := d.agent.Threads(actKey(no, what))
	if err != nil || len(threads) == 0 {
		return false, err
	}
	list, err := d.agent.Thread(threads[len(threads)-1])
	if err != nil {
		return false, err
	}
	var n actNote
	for _, x := range list {
		if err := json.Unmarshal(x.Data, &n); err != nil {
			return false, err
		}
	}
	return n.Token == c.token.Name, nil
}

// decideRefund makes the handler of POST /v1/orders/{id}/refunds/{no}/approve
// and decline: the word of a second person.
func (d *door) decideRefund(ok bool) func(http.ResponseWriter, *http.Request, caller) {
	return func(w http.ResponseWriter, r *http.Request, c caller) {
		no := r.PathValue("no")
		d.second(w, r, c, ok, c.refunds, no, func(ctx context.Context, o *order.Order, op platforms.Operator, reason string) (counter.Reply, error) {
			return d.agent.ApproveRefund(ctx, o.No, no, op, ok, reason)
		})
	}
}

// decideResolution makes the handler of POST /v1/orders/{id}/resolution/confirm
// and reject.
func (d *door) decideResolution(ok bool) func(http.ResponseWriter, *http.Request, caller) {
	return func(w http.ResponseWriter, r *http.Request, c caller) {
		d.second(w, r, c, ok, c.resolves, actResolution, func(ctx context.Context, o *order.Order, op platforms.Operator, reason string) (counter.Reply, error) {
			return d.agent.ConfirmResolution(ctx, o.No, op, ok, reason)
		})
	}
}

// second takes a second person's word. Who asked may say no to it as well.
func (d *door) second(w http.ResponseWriter, r *http.Request, c caller, ok bool, may func(string) bool, what string,
	act func(context.Context, *order.Order, platforms.Operator, string) (counter.Reply, error)) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	op, reason, err := actRequest(m)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	o := d.lookUp(w, r, c, may)
	if o == nil {
		return
	}
	if ok {
		same, err := d.sameToken(c, o.No, what)
		if err != nil {
			d.wrong(w, c, err, fault{order: o})
			return
		}
		if same {
			d.problem(w, c, fault{code: "same_token", order: o})
			return
		}
	}
	ctx, stop := asking(r)
	defer stop()
	reply, err := act(ctx, o, op, reason)
	if err != nil {
		d.wrong(w, c, err, fault{order: o})
		return
	}
	d.acted(w, c, reply, o)
}

// propose is POST /v1/orders/{id}/resolution: a person says, with evidence, how
// something in doubt ended. It counts once a second person confirms it.
func (d *door) propose(w http.ResponseWriter, r *http.Request, c caller) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	res := agent.Resolution{Outcome: order.State(f.text("outcome", 16)), Refund: f.text("refund_no", 64), TradeNo: f.text("trade_no", 64),
		Evidence: f.text("evidence", 512), Reason: f.text("reason", 256), Operator: operator(f)}
	f.rest()
	if err := *f.fault; err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	o := d.lookUp(w, r, c, c.resolves)
	if o == nil {
		return
	}
	ctx, stop := deciding(r)
	defer stop()
	reply, err := d.agent.ProposeResolution(ctx, o.No, res)
	if err == nil && reply.Code == counter.CodeAccepted {
		err = d.remember(ctx, c, o.No, actResolution)
	}
	if err != nil {
		d.wrong(w, c, err, fault{order: o})
		return
	}
	d.acted(w, c, reply, o)
}

// foundView is what the refund desk found.
type foundView struct {
	_             [0]func()         // never compared: no code is made for it
	OrderNo       string            `json:"order_no,omitempty"`
	TradeNo       string            `json:"trade_no,omitempty"`
	Platform      string            `json:"platform"`
	Merchant      string            `json:"merchant"`
	Status        string            `json:"status"` // paid, pending, failed, closed or unknown
	AmountFen     *platforms.Fen    `json:"amount_fen,omitempty"`
	RefundedFen   *platforms.Fen    `json:"refunded_fen,omitempty"` // left out where the platform does not tell
	RefundableFen platforms.Fen     `json:"refundable_fen"`
	Channel       platforms.Channel `json:"channel,omitempty"`
	PaidAt        string            `json:"paid_at,omitempty"`
	Order         *orderView        `json:"order,omitempty"` // where this agent has it in its books
}

// deskQuery reads which payment the desk means. Where no profile is named and
// one only can be meant, it is that.
func (d *door) deskQuery(f *fields, c caller) agent.DeskQuery {
	q := agent.DeskQuery{Profile: f.text("merchant", 64), OrderNo: f.text("order_no", 64), TradeNo: f.text("trade_no", 64), Mode: platforms.Mode(f.text("mode", 32)), Token: c.token.Name}
	platform := f.text("platform", 64)
	if q.Profile != "" {
		return q
	}
	var names []string
	for _, m := range d.agent.Config().Merchants {
		if (platform == "" || m.Platform == platform) && d.agent.Platform(m.Platform).Refund {
			names = append(names, m.Profile)
		}
	}
	if len(names) != 1 {
		f.wrong("merchant", "is missing; name the merchant profile that the payment was taken under, as /v1/capabilities lists them")
		return q
	}
	q.Profile = names[0]
	return q
}

// lookUpElsewhere is POST /v1/desk/lookup: a payment by the numbers on a
// receipt, also one that this agent did not take. Nothing changes.
func (d *door) lookUpElsewhere(w http.ResponseWriter, r *http.Request, c caller) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	q := d.deskQuery(f, c)
	f.rest()
	if err := *f.fault; err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	found, err := d.agent.LookUp(r.Context(), q)
	if err != nil {
		d.deskWrong(w, c, err)
		return
	}
	v := foundView{OrderNo: found.OrderNo, TradeNo: found.TradeNo, Platform: found.Platform, Merchant: found.Profile, Status: found.Status.String(), Channel: found.Channel}
	if !found.PaidAt.IsZero() {
		v.PaidAt = stamp(found.PaidAt.UnixMilli())
	}
	if found.Amount > 0 {
		v.AmountFen = &found.Amount
	}
	if found.HasRefunded {
		v.RefundedFen = &found.Refunded
	}
	switch {
	case found.Order != nil && !c.sees(found.Order.Till):
		d.problem(w, c, fault{code: "not_found"})
		return
	case found.Order != nil:
		v.Order = d.order(found.Order)
		v.RefundableFen = v.Order.RefundableFen
	case found.Status == platforms.Paid && d.agent.Platform(found.Platform).Refund:
		v.RefundableFen = max(0, found.Amount-found.Refunded)
	}
	answer(w, http.StatusOK, v)
}

// adopt is POST /v1/desk/adopt: takes a payment into the books that this agent
// did not take, so that it can be given back here.
func (d *door) adopt(w http.ResponseWriter, r *http.Request, c caller) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	q, till, op := d.deskQuery(f, c), f.text("till", 64), operator(f)
	f.rest()
	if err := *f.fault; err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	if till == "" {
		till = c.token.Till
	}
	if !c.refunds(till) {
		d.problem(w, c, fault{code: "forbidden"})
		return
	}
	reply, err := d.agent.Adopt(r.Context(), q, till, op)
	switch {
	case err != nil:
		d.deskWrong(w, c, err)
		return
	case reply.Order != nil && !c.sees(reply.Order.Till):
		d.problem(w, c, fault{code: "not_found"})
		return
	case reply.Order == nil:
		d.problem(w, c, fault{code: reply.Code})
		return
	}
	w.Header().Set("Location", "/v1/orders/"+reply.Order.No)
	d.acted(w, c, reply, reply.Order)
}

// deskWrong answers with what a look-up failed by.
func (d *door) deskWrong(w http.ResponseWriter, c caller, err error) {
	var field *platforms.FieldError
	var mismatch *platforms.Mismatch
	switch {
	case errors.As(err, &field), errors.Is(err, agent.ErrStopped):
		d.wrong(w, c, err, fault{})
	case errors.Is(err, agent.ErrNotThere):
		d.problem(w, c, fault{code: "payment_not_found"})
	case errors.As(err, &mismatch):
		d.log.Warn("the platform's answer speaks of another payment", "error", err, "trace", c.trace)
		d.problem(w, c, fault{code: "answer_mixed_up"})
	default:
		d.log.Warn("a look-up at the platform failed", "error", err, "trace", c.trace)
		d.problem(w, c, fault{code: counter.CodeUnreachable})
	}
}
