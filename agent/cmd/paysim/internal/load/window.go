package load

import (
	"context"
	"fmt"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
)

// waitFor is how long one look at an order may wait for news, and callLimit
// how long any call may take: a stopped agent keeps its connections open.
const (
	waitFor   = 20 * time.Second
	callLimit = 40 * time.Second
	firstRest = 50 * time.Millisecond
	lastRest  = time.Second
)

// window is one order from the first click to the last answer.
type window struct {
	door Door
	opt  Options
	end  time.Time
	res  Result
}

func (w *window) serve(ctx context.Context, s Scenario) Result {
	w.end = w.opt.Now().Add(w.opt.Patience)
	w.res = Result{
		Index: s.Index, Bill: fmt.Sprintf("LOAD%s-%06d", w.opt.Run, s.Index), Key: fmt.Sprintf("load-%s-%06d", w.opt.Run, s.Index),
		Till: s.Till, Channel: s.Channel, AmountFen: s.AmountFen, Instruction: s.Instruction, Action: s.Action,
		Verdict: "unknown", Told: []string{},
	}
	code, err := freshCode(s.Channel, s.Instruction, w.opt.Chance)
	if err != nil {
		w.res.Error = err.Error()
		return w.res
	}
	o := his.Order{
		Bill: w.res.Bill, AmountFen: s.AmountFen, Mode: "charge", OrderType: "TREATMENT", Subject: "测试缴费", Memo: "测试",
		Patient:  his.Patient{Name: "测试甲", CardNo: "TEST0001", CardType: "medical_card", AdmissionNo: "TESTZY0001"},
		Operator: his.Operators()[s.Index%2], Till: s.Till, Channel: s.Channel, AuthCode: code,
	}
	if !w.create(ctx, s, o) {
		return w.res
	}
	w.act(ctx, s)
	w.follow(ctx)
	if w.res.Verdict == "paid" && s.Action != Silent {
		w.book(ctx, s)
	}
	if s.Action == Refund && w.res.Verdict == "paid" {
		w.refund(ctx, s)
	}
	return w.res
}

// try makes a call until it is answered and done does not ask for another.
func (w *window) try(ctx context.Context, call func(context.Context) (his.Answer, error), again func(his.Answer) bool) (his.Answer, bool) {
	for rest := firstRest; ; rest = min(2*rest, lastRest) {
		limited, cancel := context.WithTimeout(ctx, callLimit)
		w.res.Requests++
		a, err := call(limited)
		cancel()
		w.res.Error = ""
		switch {
		case err != nil:
			w.res.NoAnswer++
			w.res.Error = err.Error()
		case !again(a):
			return a, true
		}
		if w.opt.Now().After(w.end) || w.opt.Pause(ctx, rest) != nil {
			return a, false
		}
	}
}

// notNow tells an answer that asks for patience from one that is meant.
func notNow(a his.Answer) bool {
	return a.Status >= 500 || a.Status == 429 || a.Status == 409 && (a.RetryAfter() || a.Problem().Code == "till_busy")
}

// create presses 收费 until the agent took the order or said no.
func (w *window) create(ctx context.Context, s Scenario, o his.Order) bool {
	second := make(chan *Second, 1)
	switch s.Action {
	case TwiceSame:
		w.twice(ctx, w.res.Key, o, second)
	case TwiceNew:
		w.twice(ctx, w.res.Key+"-2", o, second)
	default:
		second <- nil
	}
	a, answered := w.try(ctx, func(ctx context.Context) (his.Answer, error) { return w.door.Create(ctx, w.res.Key, o) }, notNow)
	w.res.Second = <-second
	seen, ok := a.Order()
	switch {
	case ok:
		w.res.OrderNo = seen.OutTradeNo
		w.tell(seen)
		return true
	case answered && w.res.Second != nil && w.res.Second.OrderNo != "":
		// The other click was taken, this one refused for its sake.
		w.res.OrderNo = w.res.Second.OrderNo
		return true
	case answered:
		p := a.Problem()
		w.res.Verdict, w.res.Final, w.res.RefusedWith = "refused", true, &p
	}
	return false
}

// twice is the other click, at the same time. It is made once: what it does
// after the agent was killed is what the first one is there to find out.
func (w *window) twice(ctx context.Context, key string, o his.Order, out chan<- *Second) {
	go func() {
		limited, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		a, err := w.door.Create(limited, key, o)
		if err != nil {
			out <- &Second{}
			return
		}
		seen, _ := a.Order()
		out <- &Second{Status: a.Status, Code: a.Problem().Code, OrderNo: seen.OutTradeNo}
	}()
}

// act does what the scenario wants to be done at once. A no is an answer too.
func (w *window) act(ctx context.Context, s Scenario) {
	verb, body := "", his.Act{}
	switch s.Action {
	case Cancel:
		who := his.Operators()[s.Index%2]
		verb, body = "cancel", his.Act{Operator: &who, Reason: "测试撤销"}
	case Detach:
		verb = "detach"
	case Check:
		verb = "check"
	default:
		return
	}
	a, _ := w.try(ctx, func(ctx context.Context) (his.Answer, error) { return w.door.Do(ctx, w.res.OrderNo, verb, body) }, notNow)
	if seen, ok := a.Order(); ok {
		w.tell(seen)
	}
}

// follow looks at the order until its end.
func (w *window) follow(ctx context.Context) {
	for !w.res.Final {
		from := w.opt.Now()
		before := w.res.Verdict
		a, answered := w.try(ctx, func(ctx context.Context) (his.Answer, error) { return w.door.Get(ctx, w.res.OrderNo, waitFor) }, notNow)
		seen, ok := a.Order()
		switch {
		case ok:
			w.tell(seen)
		case answered && a.Status == 404:
			w.res.Verdict, w.res.Final = "not_found", true
		case answered:
			p := a.Problem()
			w.res.RefusedWith = &p
			return
		}
		if w.res.Final || w.opt.Now().After(w.end) {
			return
		}
		// An answer that came at once and says nothing new must not become a storm.
		if before == w.res.Verdict && w.opt.Now().Sub(from) < firstRest && w.opt.Pause(ctx, 4*firstRest) != nil {
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (w *window) tell(s his.Seen) {
	if n := len(w.res.Told); n == 0 || w.res.Told[n-1] != s.State {
		w.res.Told = append(w.res.Told, s.State)
	}
	w.res.Verdict, w.res.Final, w.res.SafeToTakeCash = s.State, his.Final(s.State), s.SafeToTakeCash.Answer
}

// book tells the agent what HIS made of the payment.
func (w *window) book(ctx context.Context, s Scenario) {
	who := his.Operators()[s.Index%2]
	b := his.Booking{Result: his.Booked, FlowID: "HF" + w.res.OrderNo, CostType: "TREATMENT", Operator: &who}
	if s.Action == Fails {
		b = his.Booking{Result: his.Failed, Reason: "测试：HIS 业务处理失败", Operator: &who}
	}
	w.res.FlowID = b.FlowID
	a, answered := w.try(ctx, func(ctx context.Context) (his.Answer, error) { return w.door.Book(ctx, w.res.OrderNo, b) }, notNow)
	switch {
	case answered && a.OK():
		w.res.Booking = "done"
	case answered:
		w.res.Booking = a.Problem().Code
	}
}

func (w *window) refund(ctx context.Context, s Scenario) {
	who := his.Operators()[s.Index%2]
	a, answered := w.try(ctx, func(ctx context.Context) (his.Answer, error) {
		return w.door.Refund(ctx, w.res.Key+"-refund", w.res.OrderNo, his.Act{Operator: &who, Reason: "测试退款", AmountFen: s.RefundFen})
	}, notNow)
	w.res.RefundFen = s.RefundFen
	if answered {
		w.res.RefundStatus = a.Status
	}
}
