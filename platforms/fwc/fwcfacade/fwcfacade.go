// Package fwcfacade answers the five FWC_IF_* calls of seed 004 §5 in the
// agent's stead, for a HIS that was written for the platform: over SOAP 1.1 and
// 1.2 with a WSDL, as a bare document, as a form. Element for element the
// answers are those of the seed's samples.
//
// What is said of an order (decision 4, wire.md §2.2–2.5):
//
//	order                  pay answer                           query answer                  cancel answer
//	waiting, paying        pending word, SubCode WAIT_BUYER_PAY  1, WAIT_BUYER_PAY              0, RetryFlag Y
//	canceling              2, SYSTEM_ERROR                       2, SYSTEM_ERROR                0, RetryFlag Y
//	in doubt               2, SYSTEM_ERROR                       2, SYSTEM_ERROR                2, RetryFlag N, no action
//	paid                   1, TRADE_SUCCESS                      1, TRADE_SUCCESS or _FINISHED  after the reversal: 1, N, refund
//	paid, given back       0, TRADE_CLOSED                       1, TRADE_CLOSED                1, N, refund
//	failed, canceled       0, TRADE_CLOSED                       1, TRADE_CLOSED                1, N, close or refund
//	no such order          –                                     0, TRADE_NOT_EXIST             0, N, no action
//	refused, nothing sent  0, ILLEGAL_ARGUMENT                   –                              –
//	unreachable, stopped   2, SYSTEM_ERROR                       2, SYSTEM_ERROR                2, RetryFlag Y
//
// The seed gives a pay answer no status, and a HIS may take IsSuccess 1 for
// paid; so 1 is said of a paid order only, unless Config.Pending says
// otherwise. Nothing unknown is ever told as failed or paid.
package fwcfacade

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
	"payagent/platforms/internal/wire"
)

// Agent is what the façade needs.
type Agent interface {
	platforms.Front
	platforms.FrontRefunder
}

// QueryEvery is what one of the queries that Cnt counts takes (seed 004 §5).
const QueryEvery = 5 * time.Second

// slack is how much longer than the wait an answer may take to be written.
const slack = 15 * time.Second

// Config says how the façade answers.
type Config struct {
	// Namespace, ActionPrefix and ParamName as the HIS has them; the defaults
	// are those of the live service.
	Namespace    string
	ActionPrefix string
	ParamName    string
	// Token tells whether an AccessToken is good. Required.
	Token func(ctx context.Context, presented platforms.Hidden) bool
	// Wait is the longest that a call is held open; Cnt may shorten it.
	Wait time.Duration
	// Pending is IsSuccess of a pay answer while the payer has not finished:
	// "0" (default), "1" or "2".
	Pending string
	// OrderTypes maps OrderType to the API's order type; nil takes the words as
	// they are.
	OrderTypes map[string]string
	// HospitalID goes out with query answers.
	HospitalID string
	Logger     *slog.Logger // nil for none
}

type facade struct {
	agent Agent
	cfg   Config
	wire  message.Service
	log   *slog.Logger
}

// New makes the façade. The error names the setting that cannot be used.
func New(a Agent, cfg Config) (http.Handler, error) {
	if a == nil || cfg.Token == nil || cfg.Wait <= 0 {
		return nil, errors.New("cannot answer as FWC without an agent, a token and a wait")
	}
	switch cfg.Pending {
	case "":
		cfg.Pending = message.Refused
	case message.Refused, message.Done, message.Trouble:
	default:
		return nil, errors.New(`cannot use pending: write "0", "1" or "2"`)
	}
	f := &facade{agent: a, cfg: cfg, log: cfg.Logger, wire: message.Service{
		Names: message.Names{Namespace: cfg.Namespace, ActionPrefix: cfg.ActionPrefix, Param: cfg.ParamName}.Complete(),
		Ops:   []string{message.OpPay, message.OpQuery, message.OpCancel, message.OpRefund, message.OpPresent, message.OpQRCancel}}}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(f.serve), nil
}

func (f *facade) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		f.describe(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		wire.Answer(w, http.StatusMethodNotAllowed, "text/plain; charset=utf-8", []byte("POST a call, or GET ?wsdl\n"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		wire.Answer(w, http.StatusRequestEntityTooLarge, "text/plain; charset=utf-8", []byte("the request is too long or was cut off\n"))
		return
	}
	call, no := f.wire.Read(r, body)
	if no != nil {
		wire.Answer(w, no.Status, no.Kind, no.Body)
		return
	}
	// The answer may be late by design.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(f.cfg.Wait + slack))
	result, fields := f.answer(r.Context(), call)
	f.log.Info("answered as FWC", "call", call.Op, "order", wire.Clip(call.Head.Get("OutTradeNo")), "is_success", result.Success, "sub_code", result.SubCode)
	wire.Answer(w, http.StatusOK, call.Kind, call.Wrap(message.WriteReply(call.Op, call.Head, result, fields)))
}

func (f *facade) describe(w http.ResponseWriter, r *http.Request) {
	if wire.AsksWSDL(r) {
		wire.Answer(w, http.StatusOK, wire.XMLType, f.wire.WSDL("HospitalWS", wire.Address(r)))
		return
	}
	wire.Answer(w, http.StatusNotFound, "text/plain; charset=utf-8", []byte("POST a call, or GET ?wsdl\n"))
}

func said(success, words, subCode, subWords string) message.Result {
	return message.Result{Success: success, Message: words, SubCode: subCode, SubMessage: subWords}
}

// answer carries a call out.
func (f *facade) answer(ctx context.Context, call message.Call) (message.Result, message.Fields) {
	head := call.Head
	if call.Err != nil {
		return illegal("报文无法解析，请检查格式"), nil
	}
	if !f.cfg.Token(ctx, platforms.Hide(head.Get("AccessToken"))) {
		return message.Result{Success: message.TokenRefused, Message: "AccessToken验证失败"}, nil
	}
	for _, name := range message.Mandatory(call.Op) {
		if head.Get(name) == "" && name != "AuthCode" { // an empty AuthCode arms the till's scanner
			return illegal(name + " 不能为空"), nil
		}
	}
	switch call.Op {
	case message.OpPay:
		return f.pay(ctx, head)
	case message.OpPresent:
		return f.present(ctx, head)
	case message.OpQuery:
		return f.query(ctx, head)
	case message.OpRefund:
		return f.refund(ctx, head)
	}
	return f.cancel(ctx, head)
}

func illegal(words string) message.Result {
	return said(message.Refused, "参数错误："+words, "ILLEGAL_ARGUMENT", words)
}

// trouble tells what went wrong where there is no order to speak of.
func trouble(err error) message.Result {
	var r *platforms.FrontRefusal
	if !errors.As(err, &r) {
		return unknown("结果未知，请查询")
	}
	switch r.Trouble {
	case platforms.FrontAway:
		return unknown(r.Words)
	case platforms.FrontNoOrder:
		return said(message.Refused, "交易号不存在", "TRADE_NOT_EXIST", "交易号不存在")
	}
	return said(message.Refused, r.Words, "ILLEGAL_ARGUMENT", r.Words)
}

func unknown(words string) message.Result {
	return said(message.Trouble, "处理业务时发生错误："+words, "SYSTEM_ERROR", words)
}
