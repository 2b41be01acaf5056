// Package fwctest is the LinkingCloud platform as far as the wire of seed 004
// §5 shows it: an asmx service over the books of package bank, for tests and
// for the pretend world.
//
// It is written from the seed's samples and shares no code with the adapter, so
// that an error in one does not hide in the other. Replies echo the head of the
// request, token and payment code included, without OrderType, end with an
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
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
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
}

// Handler serves the operations over the books of b.
func Handler(b *bank.Bank, opt Options) http.Handler {
	set := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	set(&opt.Namespace, "http://tempuri.org/")
	set(&opt.ActionPrefix, opt.Namespace)
	set(&opt.ParamName, "xml")
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
	s := &service{bank: b, opt: opt, ctl: opt.Control}
	if s.ctl != nil {
		return http.HandlerFunc(s.serve)
	}
	s.ctl = wire.New(wire.Options{Clock: opt.Now, Script: opt.Script})
	return s.ctl.Wrap(http.HandlerFunc(s.serve))
}

// request is a call taken out of whatever carried it.
type request struct {
	op    string
	doc   string                    // the inner document
	write func(doc string) []byte   // wraps the reply in the same way
	kind  string                    // Content-Type of the reply
	fault func(words string) []byte // nil where the way has no faults
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "POST a document", http.StatusMethodNotAllowed)
		return
	}
	req, words := s.unwrap(r, body)
	if words != "" {
		if req.fault == nil {
			http.Error(w, words, http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", req.kind)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(req.fault(words))
		return
	}
	head, err := readHead(req.doc)
	if err != nil {
		// The real service answers such a document like any failed call.
		head = nil
	}
	s.do(w, r, req, head)
}

// unwrap finds operation and document; words tell what is wrong instead.
func (s *service) unwrap(r *http.Request, body []byte) (request, string) {
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	op := path.Base(r.URL.Path)
	switch {
	case kind == "application/soap+xml":
		return s.soap(soap12, params["action"], body)
	case kind == "application/x-www-form-urlencoded":
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if err := r.ParseForm(); err != nil || !s.knows(op) {
			return request{}, "the request is no form for a known operation"
		}
		req := request{op: op, doc: r.PostForm.Get(s.opt.ParamName), kind: s.kind("text/xml"), write: asBytes}
		if s.opt.WrapString {
			req.write = func(doc string) []byte {
				return []byte(declaration + "<string xmlns=\"" + s.opt.Namespace + "\">" + escape(doc) + "</string>")
			}
		}
		return req, ""
	case hasAction(r.Header):
		return s.soap(soap11, action(r.Header), body)
	case s.knows(op):
		return request{op: op, doc: string(body), kind: s.kind("text/xml"), write: asBytes}, ""
	}
	return s.soap(soap11, "", body)
}

func asBytes(doc string) []byte { return []byte(doc) }

func (s *service) kind(media string) string {
	if s.opt.BareType {
		return media
	}
	return media + "; charset=utf-8"
}

// hasAction and action read the header whatever its spelling: a request that
// never crossed a socket keeps the one it was written with.
func hasAction(h http.Header) bool {
	for name := range h {
		if strings.EqualFold(name, "SOAPAction") {
			return true
		}
	}
	return false
}

func action(h http.Header) string {
	for name, values := range h {
		if strings.EqualFold(name, "SOAPAction") && len(values) == 1 {
			v := values[0]
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				return v[1 : len(v)-1]
			}
		}
	}
	return ""
}

// The operations.
const (
	opPay      = "FWC_IF_Barcode_Pay"
	opQuery    = "FWC_IF_Barcode_Pay_Query"
	opCancel   = "FWC_IF_Barcode_Pay_Cancel"
	opRefund   = "FWC_IF_Barcode_Pay_Refund"
	opPresent  = "FWC_IF_Qrcode_Pay"
	opQRCancel = "FWC_IF_Qrcode_Pay_Cancel"
)

func (s *service) knows(op string) bool {
	return slices.Contains([]string{opPay, opQuery, opCancel, opRefund, opPresent}, op) || op == opQRCancel && s.opt.QRCancel
}

// mandatory are the fields that the seed's tables mark Y.
func mandatory(op string) []string {
	switch op {
	case opPay:
		return []string{"OutTradeNo", "AuthCode", "TotalAmount", "Caption", "PatientName", "InhospitalNo", "OrderType"}
	case opPresent:
		return []string{"OutTradeNo", "TotalAmount", "Caption", "OrderType", "PatientName", "InhospitalNo"}
	case opRefund:
		return []string{"TradeNo", "RefundAmount", "OutRequestNo", "OutTradeNo", "TotalAmount"}
	}
	return []string{"OutTradeNo"}
}

// orderTypes are the seed's eight words.
func orderTypes() []string {
	return []string{
		"APPOINTMENT", "TREATMENT", "HOSPITALIZATION", "ONLINE_CONSULTATION",
		"NUCLEIC_ACID_TEST", "BODY_TEST", "SCAN_TO_ORDER", "COMMERCIAL_OTHERS",
	}
}

// illegal says what is wrong with a request, or nothing.
func illegal(op string, head fields) string {
	if head == nil {
		return "the document is not readable"
	}
	for _, name := range mandatory(op) {
		if head.get(name) == "" {
			return name + " is missing"
		}
	}
	if len(head.get("OutTradeNo")) > 32 || len(head.get("OutRequestNo")) > 32 || len(head.get("RefundAmount")) > 9 {
		return "a value is too long"
	}
	for _, name := range []string{"TotalAmount", "RefundAmount"} {
		if v := head.get(name); v != "" {
			if _, err := platforms.ParseYuan(v); err != nil {
				return name + " is no amount"
			}
		}
	}
	if t := head.get("OrderType"); t != "" && !slices.Contains(orderTypes(), t) {
		return "OrderType is unknown"
	}
	return ""
}

// describe tells the Control what was asked, in the API's words.
func describe(op string, head fields) wire.Call {
	kinds := map[string]string{
		opPay: bank.OpCharge, opQuery: bank.OpQuery, opCancel: bank.OpCancel,
		opQRCancel: bank.OpCancel, opRefund: bank.OpRefund, opPresent: bank.OpPresent,
	}
	c := wire.Call{Op: kinds[op], OrderNo: head.get("OutTradeNo"), Code: head.get("AuthCode"), Fields: map[string]string{}}
	sum := "TotalAmount"
	if op == opRefund {
		sum = "RefundAmount"
	}
	c.Amount, _ = platforms.ParseYuan(head.get(sum))
	for name, api := range map[string]string{
		"Caption": "subject", "Descriptive": "memo", "PatientName": "patient.name", "InhospitalNo": "patient.admission_no",
		"Tel": "patient.phone", "OperatorID": "operator.id", "OutRequestNo": "request_no", "RefundmentReason": "reason",
	} {
		if head.has(name) {
			c.Fields[api] = head.get(name)
		}
	}
	return c
}

func (s *service) do(w http.ResponseWriter, r *http.Request, req request, head fields) {
	s.ctl.Answer(w, r, describe(req.op, head), func(turn wire.Turn) wire.Reply {
		return wire.Reply{Type: req.kind, Body: req.write(s.reply(req.op, head, turn))}
	})
}

// reply does the work and writes the document.
func (s *service) reply(op string, head fields, turn wire.Turn) string {
	if turn.Fault == bank.Token || !s.opt.TokenOK(head.get("AccessToken")) {
		return document(op, head, outcome{success: "3", message: "AccessToken验证失败"}, nil)
	}
	if words := illegal(op, head); words != "" {
		return document(op, head, outcome{"0", "参数错误", "ILLEGAL_ARGUMENT", words}, nil)
	}
	var o outcome
	var result fields
	switch op {
	case opPay:
		o, result = s.pay(head, turn)
	case opPresent:
		o, result = s.present(head, turn)
	case opQuery:
		o, result = s.query(head, turn)
	case opRefund:
		o, result = s.refund(head, turn)
	default:
		o, result = s.cancel(head, turn)
	}
	switch turn.Fault {
	case bank.IsSuccess2:
		o = outcome{"2", "处理业务时发生错误", "", ""}
	case bank.Leak:
		if code := head.get("AuthCode"); code != "" {
			o.message += " AuthCode=" + code
		}
	case bank.WrongOrder:
		result.set("OutTradeNo", "XX"+head.get("OutTradeNo")[min(2, len(head.get("OutTradeNo"))):])
	case bank.OddStatus:
		if op == opQuery {
			result.set("TradeStatus", "TRADE_ODD")
		} else {
			o.success = "7"
		}
	}
	return document(op, head, o, result)
}

// wallTime writes a time of the world for people, as PaymentDateTime.
func (s *service) wallTime(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return s.opt.Epoch.Add(d).Format("2006-01-02 15:04:05")
}

func yuan(f platforms.Fen) string { return fmt.Sprintf("%d.%02d", f/100, f%100) }
