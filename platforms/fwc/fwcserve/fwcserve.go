// Package fwcserve answers what the platform's reconciliation asks a hospital
// (seed 004 §7): IF_Get_Hospital_Trade_List and HIS_IF_Query, from the books of
// the agent. SOAP 1.1 and 1.2 with a WSDL, any SOAPAction, the bare document, a
// form. Element for element the answers are those of the seed's samples.
//
// A list may be long, so its rows are written as they come. What breaks while
// the first rows are still in memory is answered with IsSuccess 2; what breaks
// later ends the connection in the middle of the document, without its closing
// tags and without the end of the transfer. Neither can be taken for a list
// that is complete, and an empty list is one that was read to its end.
package fwcserve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
	"payagent/platforms/internal/wire"
)

// The switches where the document is silent or says two things (wire.md §4).
const (
	Positive           = "positive" // Amount of money given back; status 3 says it
	Negative           = "negative"
	Codes              = "codes" // PayType in answers: weixin
	Names              = "names" // 微信, as the example has it
	HisTradeStatus     = "HisTradeStatus"
	BarcodeTradeStatus = "BarcodeTradeStatus"
)

// Config says how the interfaces answer. The zero value of a switch is the
// first of its choices.
type Config struct {
	// Namespace, ActionPrefix and ParamName as the platform has them; the
	// defaults are those of the live service.
	Namespace    string
	ActionPrefix string
	ParamName    string
	// Token tells whether an AccessToken is good. Required.
	Token func(ctx context.Context, presented platforms.Hidden) bool
	// RequireToken demands it of the list too, which has none in the document.
	RequireToken bool

	RefundSign   string
	EndExclusive bool   // EndDate itself is not in the span any more
	PayTypes     string // Codes or Names
	Root         string // HisTradeStatus or BarcodeTradeStatus
	// MaxRange is the longest span of a list; 0 for any.
	MaxRange        time.Duration
	IncludeUnbooked bool
	Logger          *slog.Logger // nil for none
}

type server struct {
	books platforms.Books
	cfg   Config
	wire  message.Service
	log   *slog.Logger
}

// New makes the handler. The error names the setting that cannot be used.
func New(books platforms.Books, cfg Config) (http.Handler, error) {
	if books == nil || cfg.Token == nil {
		return nil, errors.New("cannot serve the books without books and a token")
	}
	for _, c := range []struct {
		name         string
		set          *string
		first, other string
	}{{"refund_sign", &cfg.RefundSign, Positive, Negative}, {"pay_type_names", &cfg.PayTypes, Codes, Names}, {"root_element", &cfg.Root, HisTradeStatus, BarcodeTradeStatus}} {
		if *c.set == "" {
			*c.set = c.first
		}
		if *c.set != c.first && *c.set != c.other {
			return nil, errors.New("cannot use " + c.name + ": write " + c.first + " or " + c.other)
		}
	}
	s := &server{books: books, cfg: cfg, log: cfg.Logger, wire: message.Service{
		Names: message.Names{Namespace: cfg.Namespace, ActionPrefix: cfg.ActionPrefix, Param: cfg.ParamName}.Complete(),
		Ops:   []string{message.OpTradeList, message.OpHisQuery}, Guess: guess}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(s.serve), nil
}

// guess tells the two apart where nothing but the document came.
func guess(head message.Fields) string {
	switch {
	case head.Has("BeginDate") || head.Has("EndDate"):
		return message.OpTradeList
	case head.Has("OutTradeNo"):
		return message.OpHisQuery
	}
	return ""
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	plain := func(status int, words string) {
		wire.Answer(w, status, "text/plain; charset=utf-8", []byte(words+"\n"))
	}
	switch r.Method {
	case http.MethodGet:
		if wire.AsksWSDL(r) {
			wire.Answer(w, http.StatusOK, wire.XMLType, s.wire.WSDL("HisWS", wire.Address(r)))
			return
		}
		plain(http.StatusNotFound, "POST a call, or GET ?wsdl")
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, POST")
		plain(http.StatusMethodNotAllowed, "POST a call, or GET ?wsdl")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		plain(http.StatusRequestEntityTooLarge, "the request is too long or was cut off")
		return
	}
	call, no := s.wire.Read(r, body)
	if no != nil {
		wire.Answer(w, no.Status, no.Kind, no.Body)
		return
	}
	switch {
	case call.Err != nil:
		s.say(w, call, refused("报文无法解析，请检查格式"))
	case call.Op == message.OpHisQuery:
		s.order(r.Context(), w, call)
	default:
		s.list(r.Context(), w, call)
	}
}

func refused(words string) message.Result {
	return message.Result{Success: message.Refused, Message: words}
}

func failed() message.Result {
	return message.Result{Success: message.Trouble, Message: "处理业务时发生错误，请稍后再试"}
}

// say answers without rows.
func (s *server) say(w http.ResponseWriter, call message.Call, r message.Result) {
	s.log.Info("answered reconciliation", "call", call.Op, "is_success", r.Success, "words", r.Message)
	wire.Answer(w, http.StatusOK, call.Kind, call.Wrap(message.ReplyHead(echo(call), r)+message.ReplyTail))
}

// echo is the head of an answer: the example of the list has an empty one.
func echo(call message.Call) message.Fields {
	if call.Op == message.OpTradeList {
		return nil
	}
	return call.Head
}

// order answers HIS_IF_Query.
func (s *server) order(ctx context.Context, w http.ResponseWriter, call message.Call) {
	if !s.cfg.Token(ctx, platforms.Hide(call.Head.Get("AccessToken"))) {
		s.say(w, call, message.Result{Success: message.TokenRefused, Message: "AccessToken验证失败"})
		return
	}
	no := call.Head.Get("OutTradeNo")
	if no == "" {
		s.say(w, call, refused("OutTradeNo 不能为空"))
		return
	}
	got, err := s.books.Order(ctx, no)
	switch {
	case errors.Is(err, platforms.ErrNoOrder):
		s.say(w, call, refused("订单不存在"))
		return
	case err != nil:
		s.log.Error("the books cannot be read", "error", err)
		s.say(w, call, failed())
		return
	}
	var b strings.Builder
	b.WriteString(message.ReplyHead(call.Head, message.Result{Success: message.Done, Message: "调用成功"}))
	b.WriteString("       <" + s.cfg.Root + ">\n")
	message.Line(&b, 11, "TradeNo", got.TradeNo)
	message.Line(&b, 11, "OutTradeNo", got.OutTradeNo)
	message.Line(&b, 11, "MedicalCard", got.MedicalCard.Reveal())
	for _, e := range got.Entries {
		b.WriteString("           <TradeList>\n")
		message.Line(&b, 15, "HisFlowID", e.FlowID)
		message.Line(&b, 15, "TotalAmount", yuan(e.Amount))
		message.Line(&b, 15, "DateTime", message.WriteTime(e.At))
		message.Line(&b, 15, "PayType", s.payType(e.Channel))
		b.WriteString("           </TradeList>\n")
	}
	b.WriteString("       </" + s.cfg.Root + ">\n" + message.ReplyTail)
	s.log.Info("answered reconciliation", "call", call.Op, "order", got.OutTradeNo, "entries", len(got.Entries))
	wire.Answer(w, http.StatusOK, call.Kind, call.Wrap(b.String()))
}

// yuan writes an amount that may be negative.
func yuan(f platforms.Fen) string {
	if f < 0 {
		return "-" + (-f).Yuan()
	}
	return f.Yuan()
}

func (s *server) payType(c platforms.Channel) string {
	code, name := "", ""
	switch c {
	case platforms.WeChat:
		code, name = "weixin", "微信"
	case platforms.Alipay:
		code, name = "alipay", "支付宝"
	case platforms.UnionPay:
		code, name = "unionpay", "云闪付"
	case platforms.ECNY:
		code, name = "dc", "数字货币"
	}
	if s.cfg.PayTypes == Names {
		return name
	}
	return code
}

// channel reads a PayType; empty is all.
func channel(payType string) (platforms.Channel, bool) {
	switch strings.ToLower(payType) {
	case "":
		return "", true
	case "weixin", "wechat":
		return platforms.WeChat, true
	case "alipay":
		return platforms.Alipay, true
	case "unionpay":
		return platforms.UnionPay, true
	case "dc", "elecny":
		return platforms.ECNY, true
	}
	return "", false
}
