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
			Operator: platforms.Operator{ID: "1001"}, Queued: queued, ScanWait: 2 * time.Minute, ValidFor: 10 * time.Minute,
			Books: &order.BookTerms{Prompt: time.Minute, Alarm: 10 * time.Minute}}
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

func booked(ok bool) order.Fact {
	return fact(order.KindBooked, func(f *order.Fact) { f.Booked = &order.Booked{OK: ok, FlowID: "F1"} })
}

func decided(k order.Kind, refund string, ok bool) order.Fact {
	return fact(k, func(f *order.Fact) { f.Decided = &order.Decided{Refund: refund, OK: ok} })
}

func proposed(s order.State) order.Fact {
	return fact(order.KindProposed, func(f *order.Fact) { f.Proposed = &order.Proposal{Outcome: s, Evidence: "E1"} })
}

// namedFact is a row of the transition table. What must have happened before
// stands in after; where it is refused, so is the fact.
type namedFact struct {
	name, zh string
	fact     order.Fact
	after    []order.Fact
}

// facts lists every kind of fact with the variants that lead elsewhere.
func facts() []namedFact {
	lost := order.Reply{Verb: order.VerbCharge, Status: platforms.Pending.String(), Handle: "P1"}
	waiting := refund(sampleAmount)
	waiting.Refund.NeedsSecond = true
	say := func(v order.Verb, s platforms.Status) order.Fact {
		return answered(order.Reply{Verb: v, Status: s.String()})
	}
	return []namedFact{
		{"created", "建立订单", created(false, platforms.ModeCharge), nil},
		{"created, queued", "断网时排队", created(true, platforms.ModeCharge), nil},
		{"confirmed", "恢复后确认收款", fact(order.KindConfirmed, nil), nil},
		{"sent: charge", "付款请求即将发出", sent(order.VerbCharge), nil},
		{"sent: present", "二维码请求即将发出", sent(order.VerbPresent), nil},
		{"sent: cancel", "撤销即将发出", sent(order.VerbCancel), nil},
		{"sent: refund", "退款即将发出", sent(order.VerbRefund), nil},
		{"answered: pending, with the platform's key", "支付中，带平台单号", answered(lost), nil},
		{"answered: paid", "已支付", paid(order.VerbQuery), nil},
		{"answered: refused without proof", "被拒，未证明未扣款", say(order.VerbCharge, platforms.Refused), nil},
		{"answered: definite refusal", "明确失败", say(order.VerbCharge, platforms.Failed), nil},
		{"answered: closed", "已关闭", say(order.VerbQuery, platforms.Closed), nil},
		{"answered: not found", "查无此单", say(order.VerbQuery, platforms.NotFound), nil},
		{"answered: cancel done", "撤销成功", answered(order.Reply{Verb: order.VerbCancel, Done: true, Action: platforms.ActionClose}), nil},
		{"answered: cancel not done", "撤销未成功", answered(order.Reply{Verb: order.VerbCancel}), nil},
		{"answered: refund done", "退款成功", answered(order.Reply{Verb: order.VerbRefund, Request: "RF1", Outcome: order.RefundDone}), nil},
		{"cancel_asked", "要求撤销", fact(order.KindCancelAsked, func(f *order.Fact) { f.Person = &order.Person{} }), nil},
		{"ended: canceled", "本机结束：已撤销", ended(order.Canceled, "no_scan"), nil},
		{"ended: failed", "本机结束：失败", ended(order.Failed, "refused"), nil},
		{"doubt", "转待核实", doubt(), nil},
		{"detached", "转后台处理", fact(order.KindDetached, nil), nil},
		{"refund, within the amount", "退款登记", refund(sampleAmount), nil},
		{"refund, above the amount", "退款超额", refund(sampleAmount + 1), nil},
		{"late", "结束后发现已付款", late(), nil},
		{"watched", "另一次开机后核实无迟到款项", fact(order.KindWatched, nil), nil},
		{"key", "另一个 Idempotency-Key", fact(order.KindKey, func(f *order.Fact) { f.Key = &order.IdemKey{Key: "k"} }), nil},
		{"booked", "HIS 已入账", booked(true), nil},
		{"booked: failed", "HIS 处理失败", booked(false), nil},
		{"booked, after a failure", "HIS 先失败后入账", booked(true), []order.Fact{booked(false)}},
		{"unbooked", "HIS 久未确认，已提示", fact(order.KindUnbooked, nil), nil},
		{"told", "经平台格式接口答复 HIS 已支付", fact(order.KindTold, nil), nil},
		{"booked: failed, after it counted as booked", "视为已入账后 HIS 撤销", booked(false), []order.Fact{fact(order.KindTold, nil),
			fact(order.KindBooked, func(f *order.Fact) { f.Booked = &order.Booked{OK: true, Assumed: true, FlowID: "MZ1"} })}},
		{"reversing", "已告知 HIS 即将退回", fact(order.KindReversing, nil), nil},
		{"decided, of a refund that waits for a second person", "第二人复核退款", decided(order.KindDecided, "RF2", true), []order.Fact{waiting}},
		{"decided, of no such refund", "复核不存在的退款", decided(order.KindDecided, "RF2", true), nil},
		{"proposed: paid", "提出人工结论：已支付", proposed(order.Paid), nil},
		{"resolved: paid", "第二人确认：已支付", decided(order.KindResolved, "", true), []order.Fact{proposed(order.Paid)}},
		{"resolved: canceled", "第二人确认：已撤销", decided(order.KindResolved, "", true), []order.Fact{proposed(order.Canceled)}},
		{"resolved: failed", "第二人确认：失败", decided(order.KindResolved, "", true), []order.Fact{proposed(order.Failed)}},
		{"resolved: declined", "第二人不同意", decided(order.KindResolved, "", false), []order.Fact{proposed(order.Paid)}},
		{"resolved, of nothing proposed", "确认未提出的结论", decided(order.KindResolved, "", true), nil},
		{"reopened, after a resolution", "平台与人工结论相反", fact(order.KindReopened, func(f *order.Fact) { f.Reason = "resolution_contradicted" }),
			[]order.Fact{proposed(order.Paid), decided(order.KindResolved, "", true)}},
		{"reopened, of what the platform said", "平台结论不可重开", fact(order.KindReopened, nil), nil},
		{"insured: token", "医保授权返回", fact(order.KindInsured, func(f *order.Fact) { f.Insured = &order.InsuredStep{Stop: order.StopToken} }), nil},
		{"left", "患者在支付页面点了取消", fact(order.KindLeft, nil), nil},
		{"a kind of a newer program", "新版本的事实", fact("something_new", nil), nil},
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
			for _, b := range f.after {
				_ = o.Apply(b) // refused where it cannot have happened
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
