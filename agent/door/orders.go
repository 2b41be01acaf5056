package door

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"time"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/timeline"
	"payagent/agent/words"
	"payagent/platforms"
)

// createOrder is POST /v1/orders.
func (d *door) createOrder(w http.ResponseWriter, r *http.Request, c caller) {
	key, err := idempotencyKey(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	req, err := orderRequest(m)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	req.Key, req.Trace = key, c.trace
	if req.Till == "" {
		req.Till = c.token.Till
	}
	if !c.collects(req.Till) {
		d.problem(w, c, fault{code: "forbidden"})
		return
	}
	if !d.within(w, r, c, "create", req.Till, func() fault { return d.about(req.Bill) }) {
		return
	}
	ctx, stop := asking(r)
	defer stop()
	reply, err := d.agent.Collect(ctx, req)
	if err != nil {
		d.wrong(w, c, err, d.about(req.Bill))
		return
	}
	status := 0
	switch reply.Code {
	case counter.CodeCreated:
		status = http.StatusCreated
	case counter.CodeQueued:
		status = http.StatusAccepted
	case counter.CodeReplayed:
		w.Header().Set("Idempotent-Replayed", "true")
		status = http.StatusOK
	case counter.CodeExists:
		status = http.StatusOK
	default:
		f := d.refusal(c, reply, req.Bill)
		f.codeTrouble(req, reply, d.agent.Platform(reply.Platform))
		d.problem(w, c, f)
		return
	}
	w.Header().Set("Location", "/v1/orders/"+reply.Order.No)
	answer(w, status, d.own(c, reply.Order))
}

// about gathers what is known of a bill, for the verdicts of a refusal.
func (d *door) about(bill string) fault {
	if bill == "" || len(bill) > 96 {
		return fault{}
	}
	list, err := d.agent.Find(agent.ByBill, bill)
	return fault{bill: list, known: err == nil}
}

// refusal makes a fault of a reply that refuses.
func (d *door) refusal(c caller, reply counter.Reply, bill string) fault {
	f := d.about(bill)
	f.code, f.order = reply.Code, reply.Order
	f.hide = f.order != nil && !c.sees(f.order.Till)
	// The order of a till that is busy says nothing about this bill.
	f.other = reply.Code == counter.CodeTillBusy
	return f
}

// codeTrouble names the field and the wallets where a handed code is the reason.
func (f *fault) codeTrouble(req agent.Request, reply counter.Reply, p counter.Platform) {
	switch f.code {
	case counter.CodeWrongWallet:
		f.field, f.reason = "auth_code", "is of another wallet than asked for"
		asked, shown := words.Wallet(string(req.Channel)), words.Wallet(string(channelOf(reply.Kind)))
		if req.Channel == "" {
			asked = agent.Wallets(p.Traits.Channels)
		}
		f.both = [2][]string{{"asked", asked.ZH, "wallet", shown.ZH}, {"asked", asked.EN, "wallet", shown.EN}}
	case counter.CodeNotPayable:
		f.field, f.reason = "auth_code", "is not a payment code but "+string(reply.Kind)
	case counter.CodeUsed:
		f.field, f.reason = "auth_code", "was used before; a code serves once"
	case counter.CodeUnsupported:
		f.field, f.reason = "mode", "the platform that this leads to does not offer it"
	case counter.CodeUnknownTill:
		f.field, f.reason = "till", "this agent has no till of that name"
	case counter.CodeKeyMismatch:
		f.field, f.reason = "Idempotency-Key", "was used with another body"
	}
}

// channelOf is the wallet of a kind of code.
func channelOf(k platforms.CodeKind) platforms.Channel {
	switch k {
	case platforms.KindWeChat:
		return platforms.WeChat
	case platforms.KindAlipay, platforms.KindAlipayFace:
		return platforms.Alipay
	case platforms.KindUnionPay:
		return platforms.UnionPay
	case platforms.KindECNY:
		return platforms.ECNY
	}
	return ""
}

var orderNumber = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)

// lookUp finds the order that a path names, if the caller may see it. An
// order of a till that is not the caller's is not there for it.
func (d *door) lookUp(w http.ResponseWriter, r *http.Request, c caller, may func(till string) bool) *order.Order {
	no := r.PathValue("id")
	if !orderNumber.MatchString(no) {
		d.problem(w, c, fault{code: "not_found"})
		return nil
	}
	o, err := d.agent.Order(no)
	switch {
	case err != nil:
		d.wrong(w, c, err, fault{})
		return nil
	case o == nil || !may(o.Till):
		d.problem(w, c, fault{code: "not_found"})
		return nil
	}
	return o
}

// getOrder is GET /v1/orders/{id}, with ?wait= a long poll: it answers as soon
// as the revision differs from rev, else when the time is over, with the order
// as it is then. Without rev it waits for the next change of an order that is
// not final.
func (d *door) getOrder(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "wait", "rev")
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	wait, rev, err := waiting(q)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	o := d.lookUp(w, r, c, c.sees)
	if o == nil {
		return
	}
	if q["rev"] == "" {
		rev = o.Rev
	}
	if wait > 0 && o.Rev == rev && (q["rev"] != "" || !o.State().Final()) {
		leave, ok := d.place()
		if !ok {
			d.problem(w, c, fault{code: "too_many_requests"})
			return
		}
		defer leave()
		ctx, stop := context.WithTimeout(r.Context(), wait)
		defer stop()
		later, err := d.agent.Wait(ctx, o.No, rev)
		if err != nil {
			d.wrong(w, c, err, fault{})
			return
		}
		if later != nil {
			o = later
		}
	}
	answer(w, http.StatusOK, d.own(c, o))
}

// place takes one of the places for those who stay; leave gives it back.
func (d *door) place() (leave func(), ok bool) {
	select {
	case d.waiters <- struct{}{}:
		return func() { <-d.waiters }, true
	default:
		return nil, false
	}
}

func waiting(q map[string]string) (wait time.Duration, rev int, err error) {
	if s := q["wait"]; s != "" {
		if wait, err = time.ParseDuration(s); err != nil || wait < 0 {
			return 0, 0, &platforms.FieldError{Field: "wait", Reason: "must be a duration such as 30s; more than 60s counts as 60s"}
		}
		wait = min(wait, maxWait)
	}
	if s := q["rev"]; s != "" {
		if rev, err = decimal(s); err != nil {
			return 0, 0, &platforms.FieldError{Field: "rev", Reason: "must be the rev of an earlier answer"}
		}
	}
	return wait, rev, nil
}

type ordersView struct {
	Orders []*orderView `json:"orders"`
}

// findOrders is GET /v1/orders: by bill, order number, trade number, its last
// four characters, or HIS's own number, newest first (HIS-13); or oldest first
// what is open (not final), owed (open, watched for late money, with refunds
// under way), awaiting (refunds that wait for a second person), in_doubt (what
// people may have to resolve) or unbooked (paid today or yesterday and not in
// HIS's books). Orders of tills that the token is not for are left out.
func (d *door) findOrders(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "bill", "order", "trade", "trade_end", "flow", "state")
	if err == nil && len(q) != 1 {
		err = &platforms.FieldError{Field: "query", Reason: "must be exactly one of bill=, order=, trade=, trade_end=, flow= or state="}
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	var list []*order.Order
	for by, value := range q {
		list, err = d.find(r.Context(), by, value)
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	out := ordersView{Orders: []*orderView{}}
	for _, o := range list {
		if c.sees(o.Till) && len(out.Orders) < maxFound {
			out.Orders = append(out.Orders, d.order(o))
		}
	}
	answer(w, http.StatusOK, out)
}

func (d *door) find(ctx context.Context, by, value string) ([]*order.Order, error) {
	if by == "state" {
		return d.findState(ctx, value)
	}
	if value == "" || len(value) > 96 || by == "order" && !orderNumber.MatchString(value) {
		return nil, &platforms.FieldError{Field: by, Reason: "must have 1 to 96 bytes; an order number 1 to 32 letters and digits"}
	}
	if by == "trade_end" {
		if len(value) != 4 {
			return nil, &platforms.FieldError{Field: by, Reason: "must be the last four characters of the trade number"}
		}
		return d.agent.Find(agent.ByTail, value)
	}
	return d.agent.Find(agent.By(by), value)
}

func (d *door) findState(ctx context.Context, value string) ([]*order.Order, error) {
	keep := map[string]func(*order.Order) bool{
		"open": func(o *order.Order) bool { return !o.State().Final() },
		"owed": func(*order.Order) bool { return true },
		"awaiting": func(o *order.Order) bool {
			return slices.ContainsFunc(o.Refunds, func(r order.RefundLine) bool { return r.State == order.RefundAwaiting })
		},
		"in_doubt": func(o *order.Order) bool {
			return o.Resolvable("", order.Paid) || slices.ContainsFunc(o.Refunds, func(r order.RefundLine) bool { return r.State == order.RefundInDoubt })
		},
		"unbooked": func(o *order.Order) bool { return !o.Settled() && agent.BookStage(o) != "" },
	}[value]
	if keep == nil {
		return nil, &platforms.FieldError{Field: "state", Reason: "can only be open, owed, awaiting, in_doubt or unbooked"}
	}
	list := slices.DeleteFunc(d.agent.Open(), func(o *order.Order) bool { return !keep(o) })
	if value != "unbooked" {
		return list, nil
	}
	// One that was let go of after its alarm is found by its day.
	for _, day := range []time.Duration{0, 24 * time.Hour} {
		err := d.agent.OnDay(ctx, agent.DayKey(time.UnixMilli(d.agent.Now().Wall).Add(-day)), func(o *order.Order) error {
			if keep(o) && !slices.ContainsFunc(list, func(x *order.Order) bool { return x.No == o.No }) {
				list = append(list, o)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].CreatedAt.Wall < list[j].CreatedAt.Wall })
	return list, nil
}

// act makes the handler of POST /v1/orders/{id}/check, cancel, detach or
// confirm.
func (d *door) act(name order.Action) func(http.ResponseWriter, *http.Request, caller) {
	return func(w http.ResponseWriter, r *http.Request, c caller) {
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
		o := d.lookUp(w, r, c, c.collects)
		if o == nil {
			return
		}
		ctx, stop := asking(r)
		defer stop()
		reply, err := d.agent.Act(ctx, o.No, name, op, reason)
		if err != nil {
			d.wrong(w, c, err, fault{order: o})
			return
		}
		d.acted(w, c, reply, o)
	}
}

type timelineView struct {
	Lines   []timeline.Line `json:"lines"`
	TraceID string          `json:"trace_id"`
}

// timeline is GET /v1/orders/{id}/timeline: the order's history in sentences,
// oldest first (OBS-03).
func (d *door) timeline(w http.ResponseWriter, r *http.Request, c caller) {
	o := d.lookUp(w, r, c, c.sees)
	if o == nil {
		return
	}
	facts, err := d.agent.Facts(o.No)
	if err != nil {
		d.wrong(w, c, err, fault{order: o})
		return
	}
	answer(w, http.StatusOK, timelineView{Lines: timeline.Of(facts), TraceID: agent.TraceID(o)})
}

// getTill is GET /v1/tills/{till}: what the till shows.
func (d *door) getTill(w http.ResponseWriter, r *http.Request, c caller) {
	v := d.till(r.PathValue("till"), c)
	if v == nil {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	answer(w, http.StatusOK, v)
}

// seesTill tells whether the caller may see a till's screen.
func (c caller) seesTill(till string) bool {
	return c.collects(till) || c.token.Allows(access.Screen, till)
}
