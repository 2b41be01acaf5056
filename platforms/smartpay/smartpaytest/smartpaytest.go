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
// One handler serves all three transports: a path that ends in /ServiceGateWay
// is SOAP, one that ends in /call.do is the form gateway, any other takes a
// bare Req.
package smartpaytest

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
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
	var p port
	switch {
	case r.Method != http.MethodPost:
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	case strings.HasSuffix(r.URL.Path, "/ServiceGateWay"):
		p = soapPort{s.opt}
	case strings.HasSuffix(r.URL.Path, "/call.do"):
		p = formPort{s.opt}
	default:
		p = rawPort{s.opt}
	}
	q, refusal := p.read(r)
	if refusal != nil {
		send(w, p.refuse(refusal.code, refusal.words))
		return
	}
	call, ok := s.understand(q)
	if !ok {
		send(w, p.reply(resp{code: -20001, words: "解析参数异常"}))
		return
	}
	s.codeOf(call)
	s.ctl.Answer(w, r, call, func(t wire.Turn) wire.Reply {
		if t.Fault == bank.Token {
			return p.refuse(40013, "token 无效或已过期")
		}
		a := s.carryOut(q, call, t)
		a.transactionCode = q.transactionCode
		s.spoil(&a, call, t.Fault)
		return p.reply(a)
	})
}

// understand reads what the call is about. Query and Revoke carry the
// platform's key, so the number comes from the books.
func (s *server) understand(q request) (wire.Call, bool) {
	call := wire.Call{Fields: map[string]string{
		"merchant": q.data["MerchCode"], "operator.id": q.data["OperatorId"], "operator.name": q.data["OperatorName"],
	}}
	switch q.method {
	case "SweepCodePay":
		fee, err := platforms.ParseFen(q.data["TotalFee"])
		if err != nil {
			return call, false
		}
		call.Op, call.OrderNo, call.Amount, call.Code = bank.OpCharge, q.data["HisOrderId"], fee, q.data["AuthCode"]
		call.Fields["subject"], call.Fields["memo"] = q.data["Subject"], q.data["OrderMemo"]
		call.Fields["patient.card_no"] = q.data["CardNo"]
	case "QueryOrderState":
		call.Op = bank.OpQuery
		delete(call.Fields, "operator.id")
		delete(call.Fields, "operator.name")
	case "Revoke":
		call.Op = bank.OpCancel
	default:
		return call, false
	}
	if call.Op != bank.OpCharge {
		call.OrderNo = s.orderNo(q.data["OrderId"])
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

func (s *server) carryOut(q request, call wire.Call, t wire.Turn) resp {
	for _, name := range mandatory(q.method) {
		if strings.TrimSpace(q.data[name]) == "" {
			return resp{code: -20000, words: "参数不能为空: " + name}
		}
	}
	if strings.TrimSpace(q.transactionCode) == "" {
		return resp{code: -20002, words: "交易代码不能为空"}
	}
	switch call.Op {
	case bank.OpCharge:
		if call.Amount == 0 {
			return resp{code: -400009, words: "金额不正确"}
		}
		return s.charge(call, t)
	case bank.OpQuery:
		return s.query(q.data["OrderId"], t.Now)
	}
	return s.revoke(q.data["OrderId"], t.Now)
}

// mandatory lists what the server demands; for OrderMemo it is stricter than
// the seed and for EqptType, MerchCode and DeviceInfo laxer.
func mandatory(method string) []string {
	switch method {
	case "SweepCodePay":
		return []string{"HisOrderId", "TotalFee", "Subject", "OrderMemo", "CardNo", "CardType", "ServiceId", "AuthCode"}
	case "Revoke":
		return []string{"OrderId", "OperatorId", "OperatorName"}
	}
	return []string{"OrderId"}
}

func (s *server) charge(call wire.Call, t wire.Turn) resp {
	trade := s.bank.Charge(t.Now, bank.Request{
		OrderNo: call.OrderNo, Merchant: call.Fields["merchant"], Amount: call.Amount,
		Channel: t.Payer.Channel, Timeout: s.opt.AutoRevoke,
	}, t.Payer)
	switch {
	case trade.State == bank.Paid:
		a := done()
		a.add("OrderId", trade.Handle)
		a.add("TotalFee", fen(trade.Amount))
		if s.opt.FullSample {
			a.add("HisOrderId", trade.OrderNo)
			a.add("PayTime", s.opt.Begin.Add(trade.PaidAt).In(time.FixedZone("UTC+8", 8*60*60)).Format(time.DateTime))
		}
		a.add("TransactionId", trade.TradeNo)
		return a
	case trade.Refusal == bank.BadCode:
		return resp{code: -400010, words: "二维码已失效"}
	}
	a := resp{code: -400011, words: "商户订单正在等待支付中"}
	a.add("OrderId", trade.Handle)
	return a
}

func (s *server) query(key string, now time.Duration) resp {
	trade, found := s.find(now, key)
	if !found {
		return resp{code: -400002, words: "订单不存在"}
	}
	a := done()
	a.add("OrderState", state(trade, now))
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

func (s *server) revoke(key string, now time.Duration) resp {
	trade, found := s.find(now, key)
	switch {
	case !found && s.opt.FindByHisOrderID && s.bank.Cancel(now, key).Done:
		return done() // the books keep tombstones for numbers yet to come
	case !found:
		return resp{code: -400002, words: "订单不存在"}
	case trade.State != bank.Unpaid && trade.State != bank.Paid:
		return resp{code: -400008, words: "订单状态异常"}
	case !s.bank.Cancel(now, trade.OrderNo).Done:
		return resp{code: -400019, words: "撤销失败"}
	}
	return done()
}

// spoil puts the faults into an answer that need the platform's words. Fields
// that the public server does not send are added where the fault needs them.
func (s *server) spoil(a *resp, call wire.Call, f bank.Fault) {
	switch f {
	case bank.WrongAmount:
		amount := call.Amount
		if t, found := s.bank.Query(s.ctl.Now(), call.OrderNo); found {
			amount = t.Amount
		}
		a.set("TotalFee", fen(amount+1))
	case bank.WrongOrder:
		a.set("HisOrderId", "ANOTHERORDER0001")
	case bank.WrongMerchant:
		a.set("MerchCode", "another-merchant")
	case bank.OddStatus:
		if call.Op == bank.OpQuery && a.code == codeDone {
			a.set("OrderState", "77")
		} else {
			a.code, a.words = -498765, "其它"
		}
	case bank.Leak:
		a.words += ": " + s.codeOf(call)
	case bank.IsSuccess2:
		a.code, a.words, a.data = -10000, "系统异常", nil
		if call.Op == bank.OpCharge {
			// Elsewhere this number means that the payment code has expired.
			a.code, a.words = -400012, "创建订单接口异常"
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
