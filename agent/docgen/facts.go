package docgen

import (
	"fmt"
	"reflect"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// None is where an order stands before its first fact.
const None order.State = "—"

// Refused is where a fact leads that the state forbids.
const Refused order.State = "refused"

// States lists all states in the order in which an order meets them.
func States() []order.State {
	return []order.State{order.Queued, order.Waiting, order.Paying, order.Canceling, order.InDoubt, order.Paid, order.Failed, order.Canceled}
}

// The order that stands for all: 1.00 yuan by a WeChat code, sent a second
// after the machine's clock began.
const (
	sampleNo     = "MZ2601010123456789ABCDEF"
	sampleAmount = platforms.Fen(100)
	sampleSent   = time.Second
)

func when(at time.Duration) order.Now {
	return order.Now{Instant: order.Instant{Boot: "boot", Mono: at}}
}

func fact(k order.Kind, change func(*order.Fact)) order.Fact {
	f := order.Fact{Kind: k, Order: sampleNo, At: when(sampleSent).Instant}
	if change != nil {
		change(&f)
	}
	return f
}

func created(queued bool, mode platforms.Mode) order.Fact {
	return fact(order.KindCreated, func(f *order.Fact) {
		f.Created = &order.Created{Bill: "B1", Amount: sampleAmount, Mode: mode, Till: "counter1", Platform: "p",
			Operator: platforms.Operator{ID: "1001"}, Queued: queued, ScanWait: 2 * time.Minute, ValidFor: 10 * time.Minute}
	})
}

func sent(v order.Verb) order.Fact {
	return fact(order.KindSent, func(f *order.Fact) {
		f.Sent = &order.Sent{Verb: v}
		switch v {
		case order.VerbCharge:
			f.Sent.CodeKind, f.Sent.Channel, f.Sent.CodeHash = platforms.KindWeChat, platforms.WeChat, "hash"
		case order.VerbRefund:
			f.Sent.Request = "RF1"
		}
	})
}

func answered(r order.Reply) order.Fact {
	return fact(order.KindAnswered, func(f *order.Fact) { f.Answer = &r })
}

func paid(v order.Verb) order.Fact {
	amount := sampleAmount
	return answered(order.Reply{Verb: v, Status: platforms.Paid.String(), Handle: "P1", TradeNo: "T1", Amount: &amount})
}

func ended(s order.State, reason string) order.Fact {
	return fact(order.KindEnded, func(f *order.Fact) { f.Ended = &order.Ended{State: s, Reason: reason} })
}

func refund(sum platforms.Fen) order.Fact {
	return fact(order.KindRefund, func(f *order.Fact) {
		f.Refund = &order.Refund{Request: "RF2", Sum: sum, Operator: platforms.Operator{ID: "1001"}}
	})
}

func doubt() order.Fact {
	return fact(order.KindDoubt, func(f *order.Fact) { f.Reason = "not_confirmed" })
}

func late() order.Fact {
	return fact(order.KindLate, func(f *order.Fact) { f.Reason = "paid_after_end" })
}

// history gives facts that bring an order into a state, as they come at a till.
func history(s order.State) []order.Fact {
	open := []order.Fact{created(false, platforms.ModeCharge), sent(order.VerbCharge)}
	switch s {
	case order.Queued:
		return []order.Fact{created(true, platforms.ModeCharge)}
	case order.Waiting:
		return open[:1]
	case order.Paying:
		return open
	case order.Canceling:
		return append(open, sent(order.VerbCancel))
	case order.InDoubt:
		return append(open, doubt())
	case order.Paid:
		return append(open, paid(order.VerbQuery))
	case order.Failed:
		return append(open, ended(order.Failed, "refused"))
	case order.Canceled:
		return append(open, sent(order.VerbCancel), answered(order.Reply{Verb: order.VerbCancel, Done: true, Action: platforms.ActionClose}))
	}
	return nil
}

// In gives an order in a state, made of facts. None gives an empty one.
func In(s order.State) (*order.Order, error) {
	o, err := order.Fold(history(s))
	if err != nil {
		return nil, fmt.Errorf("cannot bring an order into state %s; its sample history is out of date: %w", s, err)
	}
	if len(history(s)) > 0 && o.State() != s {
		return nil, fmt.Errorf("cannot bring an order into state %s; its sample history leads to %s", s, o.State())
	}
	return o, nil
}

// namedFact is a row of the transition table.
type namedFact struct {
	name, zh string
	fact     order.Fact
}

// facts lists every kind of fact with the variants that lead elsewhere.
func facts() []namedFact {
	lost := order.Reply{Verb: order.VerbCharge, Status: platforms.Pending.String(), Handle: "P1"}
	say := func(v order.Verb, s platforms.Status) order.Fact {
		return answered(order.Reply{Verb: v, Status: s.String()})
	}
	return []namedFact{
		{"created", "建立订单", created(false, platforms.ModeCharge)},
		{"created, queued", "断网时排队", created(true, platforms.ModeCharge)},
		{"confirmed", "恢复后确认收款", fact(order.KindConfirmed, nil)},
		{"sent: charge", "付款请求即将发出", sent(order.VerbCharge)},
		{"sent: present", "二维码请求即将发出", sent(order.VerbPresent)},
		{"sent: cancel", "撤销即将发出", sent(order.VerbCancel)},
		{"sent: refund", "退款即将发出", sent(order.VerbRefund)},
		{"answered: pending, with the platform's key", "支付中，带平台单号", answered(lost)},
		{"answered: paid", "已支付", paid(order.VerbQuery)},
		{"answered: refused without proof", "被拒，未证明未扣款", say(order.VerbCharge, platforms.Refused)},
		{"answered: definite refusal", "明确失败", say(order.VerbCharge, platforms.Failed)},
		{"answered: closed", "已关闭", say(order.VerbQuery, platforms.Closed)},
		{"answered: not found", "查无此单", say(order.VerbQuery, platforms.NotFound)},
		{"answered: cancel done", "撤销成功", answered(order.Reply{Verb: order.VerbCancel, Done: true, Action: platforms.ActionClose})},
		{"answered: cancel not done", "撤销未成功", answered(order.Reply{Verb: order.VerbCancel})},
		{"answered: refund done", "退款成功", answered(order.Reply{Verb: order.VerbRefund, Request: "RF1", Outcome: order.RefundDone})},
		{"cancel_asked", "要求撤销", fact(order.KindCancelAsked, func(f *order.Fact) { f.Person = &order.Person{} })},
		{"ended: canceled", "本机结束：已撤销", ended(order.Canceled, "no_scan")},
		{"ended: failed", "本机结束：失败", ended(order.Failed, "refused")},
		{"doubt", "转待核实", doubt()},
		{"detached", "转后台处理", fact(order.KindDetached, nil)},
		{"refund, within the amount", "退款登记", refund(sampleAmount)},
		{"refund, above the amount", "退款超额", refund(sampleAmount + 1)},
		{"late", "结束后发现已付款", late()},
		{"watched", "另一次开机后核实无迟到款项", fact(order.KindWatched, nil)},
		{"key", "另一个 Idempotency-Key", fact(order.KindKey, func(f *order.Fact) { f.Key = &order.IdemKey{Key: "k"} })},
		{"a kind of a newer program", "新版本的事实", fact("something_new", nil)},
	}
}

// Move is one cell of the transition table: what a fact does in a state.
type Move struct {
	From order.State
	Fact string
	To   order.State // Refused, or the state afterwards
}

// Moves applies every fact to an order in every state, None first. An error
// means that a refused fact changed the order, which no fact may do.
func Moves() ([]Move, error) {
	var list []Move
	for _, from := range append([]order.State{None}, States()...) {
		for _, f := range facts() {
			o, err := In(from)
			if err != nil {
				return nil, err
			}
			before := o.Clone()
			m := Move{From: from, Fact: f.name, To: Refused}
			switch err := o.Apply(f.fact); {
			case err == nil && o.No == "":
				m.To = None // carried along, still no order
			case err == nil:
				m.To = o.State()
			case !reflect.DeepEqual(before, o):
				return nil, fmt.Errorf("%s in state %s was refused and changed the order all the same", f.name, from)
			}
			list = append(list, m)
		}
	}
	return list, nil
}
