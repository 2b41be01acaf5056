// Package fwctest is the LinkingCloud platform as far as the wire of seed 004
// §5 shows it: an asmx service over the books of package bank, for tests and
// for the pretend world.
//
// It shares the messages and the ways they travel with the adapter and the
// façade (package message), and nothing else; that these are right both ways is
// held to the seed's samples by the adapter's tests. Replies echo the head of
// the request, token and payment code included, without OrderType, end with an
// empty sign, and carry no status in the answer to a pay call: all as the
// samples have it. A SOAP request is routed by its SOAPAction; one that the
// service does not know is answered with the fault and HTTP 500 that asmx gives.
// A form post and a bare document are routed by the last element of the path.
//
// Where the seed is silent (Message, SubCode) the words are made up.
package fwctest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc/internal/message"
)

// Token is the AccessToken that a Handler accepts where Options name none.
const Token = "5f0c1e2d-3b4a-4958-8776-a5b4c3d2e1f0"

// HospitalID is what query answers carry where Options name none.
const HospitalID = "H0001"

// Options say how a Handler behaves. The zero value is a plain asmx service.
type Options struct {
	// Control decides what goes wrong, and its Wrap is the caller's business;
	// nil makes one from Now and Script.
	Control *wire.Control
	// Now tells the time since the world began; nil is the real clock. Unused
	// where Control is given.
	Now func() time.Duration
	// Script is asked once per charge; nil is bank.ScriptFor. Unused where
	// Control is given.
	Script func(amount platforms.Fen, code string) bank.Script

	// TokenOK says whether an AccessToken is good; nil accepts Token alone.
	TokenOK func(token string) bool

	Namespace    string    // default "http://tempuri.org/"
	ActionPrefix string    // default Namespace
	ParamName    string    // default "xml"
	HospitalID   string    // default HospitalID
	Epoch        time.Time // wall time at which the world began, default 2026-01-01 00:00 UTC+8

	// QR makes the text of a QR code; nil gives an https address that ends in
	// the order number.
	QR func(orderNo string) string
	// BareType sends the Content-Type without a charset.
	BareType bool
	// WrapString answers form posts as asmx does, with the document as the text
	// of a <string> element; otherwise the document is sent as it is.
	WrapString bool
	// QRCancel offers FWC_IF_Qrcode_Pay_Cancel as well.
	QRCancel bool
}

// service is one Handler.
type service struct {
	bank *bank.Bank
	opt  Options
	ctl  *wire.Control
	wire message.Service
}

// Handler serves the operations over the books of b.
func Handler(b *bank.Bank, opt Options) http.Handler {
	set := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	names := message.Names{Namespace: opt.Namespace, ActionPrefix: opt.ActionPrefix, Param: opt.ParamName}.Complete()
	set(&opt.HospitalID, HospitalID)
	if opt.TokenOK == nil {
		opt.TokenOK = func(token string) bool { return token == Token }
	}
	if opt.Epoch.IsZero() {
		opt.Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("UTC+8", 8*60*60))
	}
	if opt.QR == nil {
		opt.QR = func(no string) string { return "https://qr.linkingcloud.invalid/pay?o=" + no }
	}
	if opt.Now == nil {
		start := time.Now()
		opt.Now = func() time.Duration { return time.Since(start) }
	}
	if opt.Script == nil {
		opt.Script = bank.ScriptFor
	}
	ops := []string{message.OpPay, message.OpQuery, message.OpCancel, message.OpRefund, message.OpPresent}
	if opt.QRCancel {
		ops = append(ops, message.OpQRCancel)
	}
	s := &service{bank: b, opt: opt, ctl: opt.Control,
		wire: message.Service{Names: names, Ops: ops, StrictAction: true, WrapString: opt.WrapString}}
	if s.ctl != nil {
		return http.HandlerFunc(s.serve)
	}
	s.ctl = wire.New(wire.Options{Clock: opt.Now, Script: opt.Script})
	return s.ctl.Wrap(http.HandlerFunc(s.serve))
}

// serve answers one request.
func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "POST a document", http.StatusMethodNotAllowed)
		return
	}
	call, no := s.wire.Read(r, body)
	if no != nil {
		w.Header().Set("Content-Type", s.kind(no.Kind))
		w.WriteHeader(no.Status)
		_, _ = w.Write(no.Body)
		return
	}
	// The real service answers a document that it cannot read like any failed
	// call; Head is nil then.
	s.ctl.Answer(w, r, describe(call.Op, call.Head), func(turn wire.Turn) wire.Reply {
		return wire.Reply{Type: s.kind(call.Kind), Body: call.Wrap(s.reply(call.Op, call.Head, turn))}
	})
}

// kind leaves the charset out where the options say so.
func (s *service) kind(media string) string {
	if s.opt.BareType {
		media, _, _ = strings.Cut(media, ";")
	}
	return media
}

// orderTypes are the seed's eight words.
func orderTypes() []string {
	return []string{
		"APPOINTMENT", "TREATMENT", "HOSPITALIZATION", "ONLINE_CONSULTATION",
		"NUCLEIC_ACID_TEST", "BODY_TEST", "SCAN_TO_ORDER", "COMMERCIAL_OTHERS",
	}
}

// illegal says what is wrong with a request, or nothing.
func illegal(op string, head message.Fields) string {
	if head == nil {
		return "the document is not readable"
	}
	for _, name := range message.Mandatory(op) {
		if head.Get(name) == "" {
			return name + " is missing"
		}
	}
	if len(head.Get("OutTradeNo")) > 32 || len(head.Get("OutRequestNo")) > 32 || len(head.Get("RefundAmount")) > 9 {
		return "a value is too long"
	}
	for _, name := range []string{"TotalAmount", "RefundAmount"} {
		if v := head.Get(name); v != "" {
			if _, err := platforms.ParseYuan(v); err != nil {
				return name + " is no amount"
			}
		}
	}
	if t := head.Get("OrderType"); t != "" && !slices.Contains(orderTypes(), t) {
		return "OrderType is unknown"
	}
	return ""
}

// describe tells the Control what was asked, in the API's words.
func describe(op string, head message.Fields) wire.Call {
	kinds := map[string]string{
		message.OpPay: bank.OpCharge, message.OpQuery: bank.OpQuery, message.OpCancel: bank.OpCancel,
		message.OpQRCancel: bank.OpCancel, message.OpRefund: bank.OpRefund, message.OpPresent: bank.OpPresent,
	}
	c := wire.Call{Op: kinds[op], OrderNo: head.Get("OutTradeNo"), Code: head.Get("AuthCode"), Fields: map[string]string{}}
	sum := "TotalAmount"
	if op == message.OpRefund {
		sum = "RefundAmount"
	}
	c.Amount, _ = platforms.ParseYuan(head.Get(sum))
	for name, api := range map[string]string{
		"Caption": "subject", "Descriptive": "memo", "PatientName": "patient.name", "InhospitalNo": "patient.admission_no",
		"Tel": "patient.phone", "OperatorID": "operator.id", "OutRequestNo": "request_no", "RefundmentReason": "reason",
	} {
		if head.Has(name) {
			c.Fields[api] = head.Get(name)
		}
	}
	return c
}

// reply does the work and writes the document.
func (s *service) reply(op string, head message.Fields, turn wire.Turn) string {
	if turn.Fault == bank.Token || !s.opt.TokenOK(head.Get("AccessToken")) {
		return message.WriteReply(op, head, message.Result{Success: message.TokenRefused, Message: "AccessToken验证失败"}, nil)
	}
	if words := illegal(op, head); words != "" {
		return message.WriteReply(op, head, said("0", "参数错误", "ILLEGAL_ARGUMENT", words), nil)
	}
	var o message.Result
	var result message.Fields
	switch op {
	case message.OpPay:
		o, result = s.pay(head, turn)
	case message.OpPresent:
		o, result = s.present(head, turn)
	case message.OpQuery:
		o, result = s.query(head, turn)
	case message.OpRefund:
		o, result = s.refund(head, turn)
	default:
		o, result = s.cancel(head, turn)
	}
	switch turn.Fault {
	case bank.IsSuccess2:
		o = said("2", "处理业务时发生错误", "", "")
	case bank.Leak:
		if code := head.Get("AuthCode"); code != "" {
			o.Message += " AuthCode=" + code
		}
	case bank.WrongOrder:
		result.Set("OutTradeNo", "XX"+head.Get("OutTradeNo")[min(2, len(head.Get("OutTradeNo"))):])
	case bank.OddStatus:
		if op == message.OpQuery {
			result.Set("TradeStatus", "TRADE_ODD")
		} else {
			o.Success = "7"
		}
	}
	return message.WriteReply(op, head, o, result)
}

// wallTime writes a time of the world for people, as PaymentDateTime.
func (s *service) wallTime(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return s.opt.Epoch.Add(d).Format("2006-01-02 15:04:05")
}

func yuan(f platforms.Fen) string { return fmt.Sprintf("%d.%02d", f/100, f%100) }

// said is a ResponseResult.
func said(success, words, subCode, subWords string) message.Result {
	return message.Result{Success: success, Message: words, SubCode: subCode, SubMessage: subWords}
}
