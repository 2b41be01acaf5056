package door

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// fault is something that a request cannot have, on its way to the caller.
type fault struct {
	code   string
	field  string       // field_invalid and its like: the API's name
	reason string       // why, in English, for whoever writes the caller
	order  *order.Order // the order that stands in the way
	hide   bool         // the order is not for this caller's eyes: its number only
	other  bool         // that order is of another bill
	known  bool         // bill holds all that there is to know
	bill   []*order.Order
	both   [2][]string // values for the words, in Chinese and in English
	wait   int64       // seconds until asking again makes sense; 0: those of the code
}

// problemView is RFC 9457 with our extensions. detail is in two languages.
type problemView struct {
	_       [0]func()  // never compared: no code is made for it
	Type    string     `json:"type"`
	Title   string     `json:"title"`
	Status  int        `json:"status"`
	Code    string     `json:"code"`
	Detail  words.Text `json:"detail"`
	IT      words.Text `json:"it"`
	Next    words.Text `json:"next_action"`
	Patient words.Text `json:"patient_message"`
	Cash    safetyView `json:"safe_to_take_cash"`
	Retry   safetyView `json:"safe_to_retry"`
	Field   string     `json:"field,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	OrderID string     `json:"order_id,omitempty"`
	Order   *orderView `json:"order,omitempty"`
	RetryS  int64      `json:"retry_after_s,omitempty"`
	Trace   string     `json:"trace_id"`
}

// ProblemStatus gives the HTTP status of a problem's code, and after how many
// seconds asking again makes sense (0: not by waiting), for documents.
func ProblemStatus(code string) (status int, retryS int64) { return statusOf(code) }

// statusOf gives the status of a problem's code, and after how many seconds
// asking again makes sense (0: not by waiting).
func statusOf(code string) (status int, retry int64) {
	switch code {
	case "malformed", "idempotency_key_missing":
		return http.StatusBadRequest, 0
	case "unauthorised":
		return http.StatusUnauthorized, 0
	case "forbidden", "origin_refused":
		return http.StatusForbidden, 0
	case "not_found", "payment_not_found":
		return http.StatusNotFound, 0
	case "method_not_allowed":
		return http.StatusMethodNotAllowed, 0
	case counter.CodeBillPaid, counter.CodeBillOpen, counter.CodeTillBusy, counter.CodeNumberUsed, counter.CodeOverCap,
		counter.CodeUseRefunds, counter.CodeFinal, counter.CodeNoConfirm, counter.CodeNotPaid, counter.CodeRefundUsed,
		counter.CodeScannerArmed, counter.CodeScannerAsked, counter.CodeNotHolder, counter.CodeNoScanner, "device_absent", "display_in_use", "same_token", "shift_elsewhere",
		counter.CodeDiffers, counter.CodeFlowUsed, counter.CodeBookLate, counter.CodeBookFailed, counter.CodeNotDone, counter.CodeSamePerson,
		counter.CodeNoApproval, counter.CodeNoResolve, counter.CodeProposed, counter.CodeWrongStop, counter.CodeWrongState:
		return http.StatusConflict, 0
	case "too_large":
		return http.StatusRequestEntityTooLarge, 0
	case "unsupported_media_type":
		return http.StatusUnsupportedMediaType, 0
	case "host_refused":
		return http.StatusMisdirectedRequest, 0
	case "field_invalid", counter.CodeKeyMismatch, counter.CodeUnknownTill, counter.CodeNotPayable, counter.CodeWrongWallet,
		counter.CodeUsed, counter.CodeNoRefunds, counter.CodeRefundOver, counter.CodeUnsupported, "unknown_action":
		return http.StatusUnprocessableEntity, 0
	case "device_failed", "answer_mixed_up":
		return http.StatusBadGateway, 0
	case "too_many_requests", "rate_limited", "locked_out":
		return http.StatusTooManyRequests, 1
	case counter.CodeUnreachable, counter.CodeClock:
		return http.StatusServiceUnavailable, 10
	case counter.CodeTokenRefused, counter.CodeDiskLow, counter.CodeReplaced:
		return http.StatusServiceUnavailable, 60
	case counter.CodeStopped, "shutting_down":
		return http.StatusServiceUnavailable, 5
	}
	return http.StatusInternalServerError, 0
}

// problem answers with a fault.
func (d *door) problem(w http.ResponseWriter, c caller, f fault) {
	status, retry := statusOf(f.code)
	retry = max(retry, f.wait)
	if status == http.StatusInternalServerError {
		f.code = "internal"
	}
	e, _ := d.words.Find(words.Problem, f.code)
	put := func(t words.Text) words.Text {
		t = t.Fill("field", f.field, "reason", f.reason, "trace", c.trace)
		return words.Text{ZH: t.Fill(f.both[0]...).ZH, EN: t.Fill(f.both[1]...).EN}
	}
	v := problemView{Type: "urn:payagent:problem:" + f.code, Title: put(e.IT).EN, Status: status, Code: f.code,
		Detail: put(e.Cashier), IT: put(e.IT), Next: put(e.Next), Patient: put(e.Patient),
		Field: f.field, Reason: f.reason, RetryS: retry, Trace: c.trace}
	v.Cash, v.Retry = d.verdicts(f, retry)
	if f.order != nil {
		v.OrderID = f.order.No
		if !f.hide {
			v.Order = d.order(f.order)
		}
	}
	if retry > 0 {
		w.Header().Set("Retry-After", itoa(retry))
	}
	write(w, status, "application/problem+json", v)
}

// verdicts answers "may I take cash?" and "may I try again?" for a request
// that was refused. Cash is safe only where everything that is known of the
// bill says so; a refusal alone proves nothing about earlier attempts.
func (d *door) verdicts(f fault, retry int64) (cash, again safetyView) {
	list := f.bill
	told := f.order != nil && !f.other
	if told {
		list = append(list, f.order)
	}
	for _, o := range list {
		if c, r := d.safe(o); worse(c.Answer) > worse(cash.Answer) || cash.Answer == "" {
			cash, again = c, r
		}
	}
	switch {
	case cash.Answer != "" && cash.Answer != order.Yes:
		return cash, again
	case !f.known && !told, f.code == counter.CodeReplaced: // the other box may have taken it
		return unknownBill(), sameKey()
	case cash.Answer == "":
		cash = d.safety(order.Safety{Answer: order.Yes, Reason: "cash_failed"})
	}
	again = d.safety(order.Safety{Answer: order.Yes, Reason: "retry_yes"})
	if retry > 0 {
		again = safetyView{Answer: order.Wait, WaitS: retry, Reason: "retry_wait"}
		e, _ := d.words.Find(words.Verdict, "retry_wait")
		again.Say = e.Cashier.Fill("wait_s", itoa(retry))
	}
	return cash, again
}

func worse(a order.Answer3) int {
	switch a {
	case order.Yes:
		return 0
	case order.Wait:
		return 1
	}
	return 2
}

// unknownBill is the answer where the request did not get as far as its bill.
func unknownBill() safetyView {
	return safetyView{Answer: order.No, Reason: "cash_unknown", Say: words.Text{
		ZH: "本次请求未被受理，不能据此判断；请先查询该账单的订单", EN: "This request was not taken and proves nothing; look at the bill's orders first"}}
}

func sameKey() safetyView {
	return safetyView{Answer: order.Yes, Reason: "retry_same_key", Say: words.Text{
		ZH: "可用同一 Idempotency-Key 再次请求", EN: "The request may be sent again with the same Idempotency-Key"}}
}

// wrong answers with an error of the agent's or the reader's.
func (d *door) wrong(w http.ResponseWriter, c caller, err error, f fault) {
	var field *platforms.FieldError
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		f.code = "too_large"
	case errors.Is(err, errMalformed):
		f.code, f.reason = "malformed", err.Error()
	case errors.Is(err, errNoKey):
		f.code = "idempotency_key_missing"
	case errors.As(err, &field):
		f.code, f.field, f.reason = "field_invalid", field.Field, field.Reason
	case errors.Is(err, agent.ErrStopped), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		// What was asked may have been taken all the same.
		f.code, f.known, f.bill = "shutting_down", false, nil
	default:
		d.log.Error("a request could not be served", "error", err, "trace", c.trace)
		f.code, f.known, f.bill = "internal", false, nil
	}
	d.problem(w, c, f)
}

// write sends an answer as JSON.
func write(w http.ResponseWriter, status int, kind string, v any) {
	data, err := json.Marshal(v)
	if err != nil { // texts and numbers only: cannot happen
		status, data = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // a caller that is gone needs no answer
}

func answer(w http.ResponseWriter, status int, v any) { write(w, status, "application/json", v) }
