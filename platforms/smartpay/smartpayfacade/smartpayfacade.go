// Package smartpayfacade answers SweepCodePay, QueryOrderState and Revoke of
// seed 000 in the agent's stead, for a HIS that was written for the platform:
// over the SOAP gateway with a WSDL, its REST twin, the three form gateways of
// later servers, and as a bare document (wire.md §1.2). Element for element the
// answers are those of the seed's samples.
//
// The protocol has no secret of its own, so the first element of the path is
// one (decision 24); what follows it is the address as the platform has it. The
// gateways that know a token may carry the secret there instead.
//
// OrderId in our answers is the caller's own HisOrderId: it is there even when
// an answer was lost, and it is what later calls ask by.
//
// What is said of an order (wire.md §1.4–1.6):
//
//	order                   SweepCodePay             QueryOrderState  Revoke
//	waiting                 -400011                  10000, state 0   -400019
//	paying                  -400011                  10000, state 1   -400019
//	canceling               -10000                   10000, state 1   -400019
//	in doubt                -10000                   -10000           -10000
//	paid                    10000 with Data          10000, state 2   after the reversal: 10000
//	paid, going back        -10000                   10000, state 3   -400019
//	paid, given back        -400008                  10000, state 4   10000
//	failed                  -400010                  10000, state 6   10000
//	canceled                -400008                  10000, state 6   10000
//	no such order           –                        -400002          -400002
//	refused, nothing sent   -20000, -400010, -400009 –                –
//	unreachable, stopped    -10000                   -10000           -10000
//
// A waiting or paying order is under way to be canceled when Revoke answers
// -400019: the caller asks again. Nothing unknown is ever told as failed or
// paid.
package smartpayfacade

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/internal/wire"
	"payagent/platforms/smartpay/internal/message"
)

// slack is how much longer than the wait an answer may take to be written.
const slack = 15 * time.Second

// Config says how the façade answers.
type Config struct {
	// Secret tells whether the first element of a path, or a token, is the
	// secret. Required.
	Secret func(ctx context.Context, presented platforms.Hidden) bool
	// Wait is the longest that a call is held open.
	Wait time.Duration
	// OrderTypes maps ServiceId to the API's order type, CardTypes CardType to
	// the API's card type. A value that is not listed is refused.
	OrderTypes map[string]string
	CardTypes  map[string]string
	// IgnoreMerchCode leaves MerchCode unread, as the known server does.
	// Otherwise one that is not the merchant that the agent chose is refused.
	IgnoreMerchCode bool
	Logger          *slog.Logger // nil for none
}

type facade struct {
	agent platforms.Front
	cfg   Config
	log   *slog.Logger
}

// New makes the façade. The error names what is missing.
func New(a platforms.Front, cfg Config) (http.Handler, error) {
	if a == nil || cfg.Secret == nil || cfg.Wait <= 0 {
		return nil, errors.New("cannot answer as SmartPay without an agent, a secret and a wait")
	}
	f := &facade{agent: a, cfg: cfg, log: cfg.Logger}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(f.serve), nil
}

// The codes of our answers beyond those that gateways give of themselves.
const (
	codeField     = -20000  // 参数不能为空
	codePaying    = -400011 // 商户订单正在等待支付中
	codeFailed    = -400010 // the one code that every reader takes for "not charged"
	codeAmount    = -400009 // 金额不正确
	codeState     = -400008 // 订单状态异常
	codeNoOrder   = -400002 // 订单不存在
	codeNoRevoke  = -400019 // 撤销失败: ask again
	codeUnknown   = -10000  // 系统异常: nothing is known, query
	codeNoSession = message.CodeToken
)

func (f *facade) serve(w http.ResponseWriter, r *http.Request) {
	secret, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	known := f.cfg.Secret(r.Context(), platforms.Hide(secret))
	if !known {
		path = r.URL.Path
	}
	if r.Method == http.MethodGet && known && wire.AsksWSDL(r) {
		wire.Answer(w, http.StatusOK, wire.XMLType, message.WSDL(wire.Address(r)))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		wire.Answer(w, http.StatusRequestEntityTooLarge, "text/plain; charset=utf-8", []byte("the request is too long or was cut off\n"))
		return
	}
	call, form, no := message.Read(r, path, body)
	token := call.Variant == message.FormXML || call.Variant == message.JSONGate
	if !known && !(token && f.cfg.Secret(r.Context(), platforms.Hide(message.Token(r, form)))) {
		if token {
			f.refuse(w, call, message.Refusal{Code: codeNoSession, Words: "token 无效"})
			return
		}
		wire.Answer(w, http.StatusNotFound, "text/plain; charset=utf-8", []byte("not found\n"))
		return
	}
	get := call.Variant == message.WSGWREST || call.Variant == message.ThirdParty
	if r.Method != http.MethodPost && !(r.Method == http.MethodGet && get) {
		w.Header().Set("Allow", "POST")
		wire.Answer(w, http.StatusMethodNotAllowed, "text/plain; charset=utf-8", []byte("POST a call, or GET ?wsdl\n"))
		return
	}
	if strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "charset=gb") {
		call.Answers.GBK = true // who speaks GBK reads it
	}
	if no != nil {
		f.refuse(w, call, *no)
		return
	}
	// The answer may be late by design.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(f.cfg.Wait + slack))
	reply := f.answer(r.Context(), call)
	reply.TransactionCode = call.TransactionCode
	f.log.Info("answered as SmartPay", "call", call.Method, "order", wire.Clip(number(call)), "code", reply.Code)
	kind, text := call.Write(reply)
	wire.Answer(w, http.StatusOK, kind, text)
}

func (f *facade) refuse(w http.ResponseWriter, call message.Call, no message.Refusal) {
	kind, text := call.Refuse(no)
	wire.Answer(w, http.StatusOK, kind, text)
}

// number is the order that a call is about.
func number(call message.Call) string {
	if call.Method == message.Charge {
		return call.Data.Get("HisOrderId")
	}
	return call.Data.Get("OrderId")
}

// answer carries a call out.
func (f *facade) answer(ctx context.Context, call message.Call) message.Reply {
	switch call.Method {
	case message.Charge:
		return f.pay(ctx, call.Data)
	case message.Query:
		return f.query(ctx, call.Data)
	}
	return f.revoke(ctx, call.Data)
}

// mandatory lists what a call must carry. An empty AuthCode arms the till's
// scanner; what the known server does without is not demanded.
func mandatory(method string) []string {
	switch method {
	case message.Charge:
		return []string{"HisOrderId", "TotalFee", "Subject", "CardNo", "CardType", "ServiceId"}
	case message.Revoke:
		return []string{"OrderId", "OperatorId", "OperatorName"}
	}
	return []string{"OrderId"}
}

// lacking names the first mandatory field that has no value.
func lacking(method string, data message.Fields) (message.Reply, bool) {
	for _, name := range mandatory(method) {
		if data.Get(name) == "" {
			return message.Reply{Code: codeField, Message: "参数不能为空: " + name}, true
		}
	}
	return message.Reply{}, false
}

// trouble tells what went wrong where there is no order to speak of.
func trouble(err error) message.Reply {
	var r *platforms.FrontRefusal
	if !errors.As(err, &r) {
		return message.Reply{Code: codeUnknown, Message: "系统异常：结果未知，请查询"}
	}
	code := codeField
	switch r.Trouble {
	case platforms.FrontAway:
		code = codeUnknown
	case platforms.FrontCode:
		code = codeFailed
	case platforms.FrontNumber:
		code = codeAmount
	case platforms.FrontNoOrder:
		return message.Reply{Code: codeNoOrder, Message: "订单不存在"}
	}
	return message.Reply{Code: code, Message: r.Words}
}
