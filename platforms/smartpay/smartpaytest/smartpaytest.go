// Package smartpaytest is a pretend SmartPay server over package bank. It
// behaves as the public server of wire.md §1 does, which is not always as the
// seed's text would make one think:
//
//   - OrderId is a key of its own (32 characters), and only it finds an order
//     unless Options.FindByHisOrderID is set;
//   - every trouble of a charge except a bad code is answered -400011, so a
//     payer without money looks like one who is typing a password;
//   - Revoke of a paid order gives the money back and QueryOrderState goes on
//     answering 2; a second Revoke is answered -400008;
//   - replies carry neither PayTime nor HisOrderId unless Options.FullSample;
//   - amounts are fen, and MerchCode is never looked at.
//
// One handler serves every transport, told apart by the address as the servers
// do it; an address of none of them takes a bare Req. The messages and the ways
// they travel are those of the adapter and the façade (package message); that
// they are right both ways is held to the seed's samples by the adapter's tests.
package smartpaytest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/smartpay/internal/message"
)

// Options are the personality of the server. The zero value with a Now is the
// public server without faults.
type Options struct {
	// Now is the time since the world began. Not needed with a Control.
	Now func() time.Duration
	// Control chooses faults and counts calls. Without one, faults come from
	// bank.ScriptFor alone.
	Control *wire.Control
	// FindByHisOrderID makes query and Revoke find orders by our number too.
	FindByHisOrderID bool
	// AutoRevoke is when the server closes an unpaid order by itself; the known
	// one does so after about 60 s. Zero means never.
	AutoRevoke time.Duration
	// FullSample makes pay replies carry HisOrderId and PayTime as the seed's
	// sample does.
	FullSample bool
	// Begin is the wall time at which the world began, for PayTime.
	Begin time.Time
	// Token, if set, is what the form gateway demands in the header token.
	Token string
	// Charset of XML replies, "utf-8" (default) or "gbk". JSON stays UTF-8.
	Charset string
	// Declared puts an XML declaration before the Resp inside SOAP and JSON.
	Declared bool
	// CDATA wraps the Resp inside SOAP in a CDATA section instead of escaping.
	CDATA bool
}

// Handler serves SmartPay over the books. Who gives a Control wraps the handler
// in it, as platformtest does.
func Handler(b *bank.Bank, opt Options) http.Handler {
	s := &server{bank: b, opt: opt, ctl: opt.Control, codes: map[string]string{}}
	if s.ctl == nil {
		s.ctl = wire.New(wire.Options{Clock: opt.Now, Script: bank.ScriptFor})
		return s.ctl.Wrap(http.HandlerFunc(s.serve))
	}
	return http.HandlerFunc(s.serve)
}

type server struct {
	bank *bank.Bank
	opt  Options
	ctl  *wire.Control

	mu    sync.Mutex
	codes map[string]string // order number → payment code, for the Leak fault
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = nil // Control.Wrap has bounded it
	}
	q, form, no := message.Read(r, r.URL.Path, body)
	q.Answers = message.Answers{GBK: s.opt.Charset == "gbk", BareType: true, Declared: s.opt.Declared, CDATA: s.opt.CDATA}
	if q.Variant == message.FormXML && s.opt.Token != "" && message.Token(r, form) != s.opt.Token {
		no = &message.Refusal{Code: message.CodeToken, Words: "token 无效或已过期"}
	}
	if no != nil {
		kind, text := q.Refuse(*no)
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(text)
		return
	}
	call, ok := s.understand(q)
	if !ok {
		kind, text := q.Write(message.Reply{Code: message.CodeBadParam, Message: "解析参数异常"})
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(text)
		return
	}
	s.codeOf(call)
	s.ctl.Answer(w, r, call, func(t wire.Turn) wire.Reply {
		var kind string
		var text []byte
		if t.Fault == bank.Token {
			kind, text = q.Refuse(message.Refusal{Code: message.CodeToken, Words: "token 无效或已过期"})
		} else {
			a := s.carryOut(q, call, t)
			a.TransactionCode = q.TransactionCode
			s.spoil(&a, call, t.Fault)
			kind, text = q.Write(a)
		}
		return wire.Reply{Type: kind, Body: text}
	})
}

// understand reads what the call is about. Query and Revoke carry the
// platform's key, so the number comes from the books.
func (s *server) understand(q message.Call) (wire.Call, bool) {
	call := wire.Call{Fields: map[string]string{
		"merchant": q.Data.Get("MerchCode"), "operator.id": q.Data.Get("OperatorId"), "operator.name": q.Data.Get("OperatorName"),
	}}
	switch q.Method {
	case message.Charge:
		fee, err := platforms.ParseFen(q.Data.Get("TotalFee"))
		if err != nil {
			return call, false
		}
		call.Op, call.OrderNo, call.Amount, call.Code = bank.OpCharge, q.Data.Get("HisOrderId"), fee, q.Data.Get("AuthCode")
		call.Fields["subject"], call.Fields["memo"] = q.Data.Get("Subject"), q.Data.Get("OrderMemo")
		call.Fields["patient.card_no"] = q.Data.Get("CardNo")
	case message.Query:
		call.Op = bank.OpQuery
		delete(call.Fields, "operator.id")
		delete(call.Fields, "operator.name")
	case message.Revoke:
		call.Op = bank.OpCancel
	default:
		return call, false
	}
	if call.Op != bank.OpCharge {
		call.OrderNo = s.orderNo(q.Data.Get("OrderId"))
	}
	return call, true
}

// orderNo finds our number by either key; an unknown key stands for itself.
func (s *server) orderNo(key string) string {
	if t, found := s.bank.ByHandle(s.ctl.Now(), key); found {
		return t.OrderNo
	}
	return key
}

// find is how the server itself looks an order up.
func (s *server) find(now time.Duration, key string) (bank.Trade, bool) {
	if t, found := s.bank.ByHandle(now, key); found {
		return s.bank.Query(now, t.OrderNo)
	}
	if s.opt.FindByHisOrderID {
		return s.bank.Query(now, key)
	}
	return bank.Trade{}, false
}

func (s *server) carryOut(q message.Call, call wire.Call, t wire.Turn) message.Reply {
	for _, name := range mandatory(q.Method) {
		if strings.TrimSpace(q.Data.Get(name)) == "" {
			return message.Reply{Code: -20000, Message: "参数不能为空: " + name}
		}
	}
	if strings.TrimSpace(q.TransactionCode) == "" {
		return message.Reply{Code: -20002, Message: "交易代码不能为空"}
	}
	switch call.Op {
	case bank.OpCharge:
		if call.Amount == 0 {
			return message.Reply{Code: -400009, Message: "金额不正确"}
		}
		return s.charge(call, t)
	case bank.OpQuery:
		return s.query(q.Data.Get("OrderId"), t.Now)
	}
	return s.revoke(q.Data.Get("OrderId"), t.Now)
}

// mandatory lists what the server demands; for OrderMemo it is stricter than
// the seed and for EqptType, MerchCode and DeviceInfo laxer.
func mandatory(method string) []string {
	switch method {
	case message.Charge:
		return []string{"HisOrderId", "TotalFee", "Subject", "OrderMemo", "CardNo", "CardType", "ServiceId", "AuthCode"}
	case message.Revoke:
		return []string{"OrderId", "OperatorId", "OperatorName"}
	}
	return []string{"OrderId"}
}

func (s *server) charge(call wire.Call, t wire.Turn) message.Reply {
	trade := s.bank.Charge(t.Now, bank.Request{
		OrderNo: call.OrderNo, Merchant: call.Fields["merchant"], Amount: call.Amount,
		Channel: t.Payer.Channel, Timeout: s.opt.AutoRevoke,
	}, t.Payer)
	switch {
	case trade.State == bank.Paid:
		a := done()
		a.Data.Set("OrderId", trade.Handle)
		a.Data.Set("TotalFee", fen(trade.Amount))
		if s.opt.FullSample {
			a.Data.Set("HisOrderId", trade.OrderNo)
			a.Data.Set("PayTime", s.opt.Begin.Add(trade.PaidAt).In(time.FixedZone("UTC+8", 8*60*60)).Format(time.DateTime))
		}
		a.Data.Set("TransactionId", trade.TradeNo)
		return a
	case trade.Refusal == bank.BadCode:
		return message.Reply{Code: -400010, Message: "二维码已失效"}
	}
	a := message.Reply{Code: -400011, Message: "商户订单正在等待支付中"}
	a.Data.Set("OrderId", trade.Handle)
	return a
}

func (s *server) query(key string, now time.Duration) message.Reply {
	trade, found := s.find(now, key)
	if !found {
		return message.Reply{Code: -400002, Message: "订单不存在"}
	}
	a := done()
	a.Data.Set("OrderState", state(trade, now))
	return a
}

// state is OrderState as the public server answers it.
func state(t bank.Trade, now time.Duration) string {
	switch t.State {
	case bank.Unpaid:
		// 0 is also the server's word for channel states that it does not know,
		// so an order whose payer types a password is answered now 0, now 1.
		if t.Refusal != "" || now/time.Second%2 == 0 {
			return "0"
		}
		return "1"
	case bank.Closed:
		if t.ClosesAt > 0 && now >= t.ClosesAt {
			return "5"
		}
		return "6"
	}
	return "2" // paid, and for ever after
}

func (s *server) revoke(key string, now time.Duration) message.Reply {
	trade, found := s.find(now, key)
	switch {
	case !found && s.opt.FindByHisOrderID && s.bank.Cancel(now, key).Done:
		return done() // the books keep tombstones for numbers yet to come
	case !found:
		return message.Reply{Code: -400002, Message: "订单不存在"}
	case trade.State != bank.Unpaid && trade.State != bank.Paid:
		return message.Reply{Code: -400008, Message: "订单状态异常"}
	case !s.bank.Cancel(now, trade.OrderNo).Done:
		return message.Reply{Code: -400019, Message: "撤销失败"}
	}
	return done()
}

// spoil puts the faults into an answer that need the platform's words. Fields
// that the public server does not send are added where the fault needs them.
func (s *server) spoil(a *message.Reply, call wire.Call, f bank.Fault) {
	switch f {
	case bank.WrongAmount:
		amount := call.Amount
		if t, found := s.bank.Query(s.ctl.Now(), call.OrderNo); found {
			amount = t.Amount
		}
		a.Data.Set("TotalFee", fen(amount+1))
	case bank.WrongOrder:
		a.Data.Set("HisOrderId", "ANOTHERORDER0001")
	case bank.WrongMerchant:
		a.Data.Set("MerchCode", "another-merchant")
	case bank.OddStatus:
		if call.Op == bank.OpQuery && a.Code == message.CodeDone {
			a.Data.Set("OrderState", "77")
		} else {
			a.Code, a.Message = -498765, "其它"
		}
	case bank.Leak:
		a.Message += ": " + s.codeOf(call)
	case bank.IsSuccess2:
		a.Code, a.Message, a.Data = -10000, "系统异常", nil
		if call.Op == bank.OpCharge {
			// Elsewhere this number means that the payment code has expired.
			a.Code, a.Message = -400012, "创建订单接口异常"
		}
	}
}

// codeOf is the payment code that an order was charged with.
func (s *server) codeOf(call wire.Call) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call.Code != "" {
		s.codes[call.OrderNo] = call.Code
	}
	return s.codes[call.OrderNo]
}

func done() message.Reply { return message.Reply{Code: message.CodeDone, Message: "成功"} }

func fen(f platforms.Fen) string { return strconv.FormatInt(int64(f), 10) }
