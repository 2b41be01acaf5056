// Package doortest is a stand-in for the agent's door, for tests of the
// pretend HIS: it keeps orders by number, key and bill, and its connections
// can be made to break before or after a request is carried out, as if the
// agent were killed.
package doortest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Call is a request that arrived.
type Call struct {
	Method, Path, Query, Key, Token string
	Body                            string
}

// Break says what becomes of a connection.
type Break int

// The breaks.
const (
	Nothing Break = iota
	Before        // nothing is done, no answer
	After         // done, no answer
)

// Door is the stand-in. Set its fields before use.
type Door struct {
	// Break decides about each call by its number, from 0; nil breaks none.
	Break func(n int, c Call) Break
	// End is the state that a new order of a code ends in; nil is always "paid".
	End func(code string) string
	// Busy refuses so many creations with till_busy first.
	Busy int

	mu     sync.Mutex
	calls  []Call
	orders map[string]*order
	keys   map[string]kept
	events [][]byte      // of /v1/events
	more   chan struct{} // closed when there are more
}

type order struct {
	OutTradeNo string         `json:"out_trade_no"`
	Bill       string         `json:"bill"`
	State      string         `json:"state"`
	AmountFen  int64          `json:"amount_fen"`
	Cash       map[string]any `json:"safe_to_take_cash"`
	Actions    []string       `json:"actions_allowed"`
	Booking    booking        `json:"booking"`
	Refunds    []refund       `json:"refunds"`
	Refunded   int64          `json:"refunded_fen"`
	end        string
	looks      int
}

type booking struct {
	State  string `json:"state"`
	FlowID string `json:"his_flow_id,omitempty"`
}

type refund struct {
	RefundNo  string `json:"refund_no"`
	AmountFen int64  `json:"amount_fen"`
	State     string `json:"state"`
}

type kept struct{ body, no string }

// Calls gives what arrived so far.
func (d *Door) Calls() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Call(nil), d.calls...)
}

// Orders gives the number of orders per bill.
func (d *Door) Orders() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := map[string]int{}
	for _, o := range d.orders {
		n[o.Bill]++
	}
	return n
}

// ServeHTTP carries a request out.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/events" {
		d.stream(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	status, text := d.answer(Call{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Key: r.Header.Get("Idempotency-Key"),
		Token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), Body: string(body),
	}, w.Header())
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func (d *Door) answer(c Call, head http.Header) (int, []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.calls)
	d.calls = append(d.calls, c)
	if d.orders == nil {
		d.orders, d.keys = map[string]*order{}, map[string]kept{}
	}
	how := Nothing
	if d.Break != nil {
		how = d.Break(n, c)
	}
	if how == Before {
		return 0, nil
	}
	status, v := d.do(c, head)
	if o, ok := v.(*order); ok && c.Method == http.MethodPost {
		d.tell(o)
	}
	if how == After {
		return 0, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return http.StatusInternalServerError, nil
	}
	return status, text
}

func problem(status int, code string) (int, any) {
	return status, map[string]any{"type": "about:blank", "status": status, "code": code, "title": code}
}

func (d *Door) do(c Call, head http.Header) (int, any) {
	part := strings.Split(strings.TrimPrefix(c.Path, "/v1/orders"), "/")
	switch {
	case c.Method == http.MethodPost && len(part) == 1:
		return d.create(c, head)
	case len(part) == 1:
		list := []*order{}
		for _, o := range d.orders {
			if c.Query == "bill="+o.Bill {
				list = append(list, o)
			}
		}
		return http.StatusOK, map[string]any{"orders": list}
	}
	o := d.orders[part[1]]
	switch {
	case o == nil:
		return problem(http.StatusNotFound, "not_found")
	case len(part) == 2:
		if o.looks++; o.looks >= 2 {
			o.settle()
		}
	case part[2] == "cancel" && o.State != "paid":
		o.end = "canceled"
	case part[2] == "refunds" && (c.Key == "" || o.State != "paid"):
		return problem(http.StatusConflict, "not_paid")
	case part[2] == "booking":
		return d.book(o, c)
	}
	return http.StatusOK, o
}

func (o *order) settle() {
	o.State = o.end
	o.Cash = map[string]any{"answer": map[bool]string{true: "no", false: "yes"}[o.State == "paid"]}
}

func (d *Door) create(c Call, head http.Header) (int, any) {
	var in struct {
		Bill      string `json:"bill"`
		AmountFen int64  `json:"amount_fen"`
		AuthCode  string `json:"auth_code"`
	}
	if json.Unmarshal([]byte(c.Body), &in) != nil || c.Key == "" {
		return problem(http.StatusBadRequest, "bad_request")
	}
	if old, used := d.keys[c.Key]; used {
		if old.body != c.Body {
			return problem(http.StatusUnprocessableEntity, "idempotency_key_mismatch")
		}
		head.Set("Idempotent-Replayed", "true")
		return http.StatusOK, d.orders[old.no]
	}
	if d.Busy > 0 {
		d.Busy--
		return problem(http.StatusConflict, "till_busy")
	}
	for _, o := range d.orders {
		if o.Bill == in.Bill && (o.State == "paying" || o.State == "paid") {
			return problem(http.StatusConflict, "bill_open")
		}
	}
	o := &order{
		OutTradeNo: fmt.Sprintf("MZ%08d", len(d.orders)+1), Bill: in.Bill, AmountFen: in.AmountFen, State: "paying", end: "paid",
		Cash: map[string]any{"answer": "wait", "wait_s": 5, "say": map[string]string{"zh": "请等待", "en": "wait"}}, Actions: []string{"check", "cancel"},
	}
	if d.End != nil {
		o.end = d.End(in.AuthCode)
	}
	d.orders[o.OutTradeNo] = o
	d.keys[c.Key] = kept{c.Body, o.OutTradeNo}
	return http.StatusCreated, o
}

// book takes HIS's word as the real door does: a payment is booked under one
// flow number, and what HIS failed to process is given back.
func (d *Door) book(o *order, c Call) (int, any) {
	var in struct {
		Result   string `json:"result"`
		FlowID   string `json:"his_flow_id"`
		RefundNo string `json:"refund_no"`
	}
	switch err := json.Unmarshal([]byte(c.Body), &in); {
	case err != nil || in.Result != "booked" && in.Result != "failed" || (in.Result == "booked") == (in.FlowID == ""):
		return problem(http.StatusUnprocessableEntity, "field_invalid")
	case o.State != "paid":
		return problem(http.StatusConflict, "not_paid")
	case in.RefundNo != "":
		return http.StatusOK, o
	case in.Result == "booked" && o.Refunded > 0:
		return problem(http.StatusConflict, "booking_late")
	case in.Result == "booked" && o.Booking.State == "booked" && o.Booking.FlowID != in.FlowID:
		return problem(http.StatusConflict, "booking_differs")
	case in.Result == "booked":
		o.Booking = booking{"booked", in.FlowID}
	default:
		o.Booking = booking{State: "failed"}
		d.back(o, "RV1", o.AmountFen)
	}
	return http.StatusOK, o
}

func (d *Door) back(o *order, no string, fen int64) {
	o.Refunds = append(o.Refunds, refund{no, fen, "done"})
	o.Refunded += fen
}

// Pay makes every order that is being paid paid, and tells it.
func (d *Door) Pay() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.orders {
		if o.State == "paying" {
			o.settle()
			d.tell(o)
		}
	}
}

// GiveBack refunds an order at a desk, behind HIS's back, and tells it.
func (d *Door) GiveBack(no, refundNo string, fen int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.orders[no]
	d.back(o, refundNo, fen)
	d.tell(o)
}

func (d *Door) tell(o *order) {
	text, err := json.Marshal(o)
	if err != nil {
		return
	}
	d.events = append(d.events, text)
	if d.more != nil {
		close(d.more)
	}
	d.more = make(chan struct{})
}

// stream is /v1/events: all there is after Last-Event-ID, and what comes.
func (d *Door) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	at := 0
	if _, err := fmt.Sscan(r.Header.Get("Last-Event-ID"), &at); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for {
		d.mu.Lock()
		if d.more == nil {
			d.more = make(chan struct{})
		}
		list, more := d.events[min(at, len(d.events)):], d.more
		d.mu.Unlock()
		for _, e := range list {
			at++
			_, _ = fmt.Fprintf(w, "id: %d\nevent: order\ndata: %s\n\n", at, e)
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}
