package conform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms"
)

// Case is one of the thirty.
type Case struct {
	ID    string
	Title his.Words
	Must  his.Words // what must hold, for people
	play  func(p *play)
}

// play is one case being played.
type play struct {
	o       Options
	c       Case
	ctx     context.Context
	bill    string
	amount  platforms.Fen
	patient his.Patient
	code    string
	steps   int
	last    Report
	cash    bool // HIS let cash be taken at some time
	before  map[string]world.Order
	kit     *his.Client
	bad     []his.Words
	skipped bool
	err     error
}

// ErrSkip is wrapped where a step cannot be done: the case counts as not run.
var ErrSkip = errors.New("the step was not done")

type stop struct{}

func (p *play) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute+4*p.o.Settle)
	defer cancel()
	p.ctx = ctx
	p.patient = his.Patient{Name: "测试" + p.c.ID, CardNo: "TEST0001", CardType: "medical_card", AdmissionNo: "TESTZY0001"}
	door, token := p.o.Stage.Door()
	if p.kit, err = his.NewClient("http://"+door, token, nil); err != nil {
		return err
	}
	p.o.Proxy.Forget()
	if p.before, err = p.o.Stage.Truth(ctx); err != nil {
		return err
	}
	func() {
		defer func() {
			if r := recover(); r != nil {
				if _, ours := r.(stop); !ours {
					panic(r)
				}
			}
		}()
		p.c.play(p)
	}()
	// The next case finds the world in order, whatever became of this one.
	clean, end := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer end()
	err = errors.Join(p.o.Stage.Net(clean, "up"), p.o.Stage.Start(clean))
	p.ctx = clean
	p.tidy()
	if p.err != nil {
		return p.err
	}
	return err
}

// give ends the case.
func (p *play) give(err error) {
	p.err, p.skipped = err, errors.Is(err, ErrSkip)
	panic(stop{})
}

func (p *play) wrong(zh, en string) { p.bad = append(p.bad, his.Words{Zh: zh, En: en}) }

// must notes what does not hold.
func (p *play) must(ok bool, zh, en string) {
	if !ok {
		p.wrong(zh, en)
	}
}

// behave makes the payment code that the next step's payer shows.
func (p *play) behave(n int) {
	code, err := p.o.Stage.Code(p.ctx, n)
	if err != nil {
		p.give(err)
	}
	p.code = code
}

func (p *play) step(do Verb, zh, en string) Step {
	p.steps++
	_, token := p.o.Stage.Door()
	s := Step{Case: p.c.ID, Number: p.steps, Do: do, Say: his.Words{Zh: zh, En: en}, Agent: "http://" + p.o.Proxy.Address(), TokenFile: token,
		Till: p.o.Tills[0], SecondTill: p.o.Tills[1], Bill: p.bill, AmountFen: p.amount, OrderType: "TREATMENT",
		Patient: p.patient, Operator: his.Operators()[0], WaitS: int(p.o.Wait / time.Second)}
	if !p.o.Scanner && (do == Collect || do == DoubleClick || do == TwoWindows) {
		s.AuthCode = p.code
	}
	return s
}

// do lets HIS do a step to its end.
func (p *play) do(s Step) Report {
	ctx, cancel := context.WithTimeout(p.ctx, 2*p.o.Wait+time.Minute)
	defer cancel()
	if p.o.Scanner {
		go p.scan(ctx, p.code)
	}
	r, err := p.o.Program.Do(ctx, s)
	if err != nil {
		p.give(fmt.Errorf("step %d, %s: %w", s.Number, s.Do, err))
	}
	switch r.Believes {
	case Paid, Unpaid, Unknown:
	default:
		p.give(fmt.Errorf("step %d, %s: believes is %q, not paid, unpaid or unknown", s.Number, s.Do, r.Believes))
	}
	p.last, p.cash = r, p.cash || r.Cash
	return r
}

// scan lets the till's scanner read the code once an order of the bill waits.
func (p *play) scan(ctx context.Context, code string) {
	for ctx.Err() == nil && code != "" {
		if list, err := p.orders(ctx); err == nil && len(list) > 0 && list[0].State == "waiting" {
			// A scanner that is just being opened loses what it reads; the payer
			// shows the code again, as people do.
			_ = p.o.Stage.Scan(ctx, list[0].Till, code)
			rest(ctx, 500*time.Millisecond)
		}
		rest(ctx, 100*time.Millisecond)
	}
}

// killed lets HIS begin a step, and kills it when the moment has come.
func (p *play) killed(s Step, moment func() bool) {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	s.Say = w(s.Say.Zh+"；患者一开始付款就强行结束 HIS（拔电源），然后随便回答", s.Say.En+"; as soon as the payer is paying, kill HIS (pull its plug), then answer anything")
	if p.o.Scanner {
		go p.scan(ctx, p.code)
	}
	done := make(chan Report, 1)
	go func() {
		r, err := p.o.Program.Do(ctx, s)
		if err != nil {
			r = Report{}
		}
		done <- r
	}()
	p.until(moment)
	cancel()
	r := <-done
	p.cash = p.cash || r.Cash
}

// beside lets HIS do a step while something happens.
func (p *play) beside(s Step, what func()) Report {
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() {
			if r := recover(); r != nil {
				if _, ours := r.(stop); !ours {
					panic(r)
				}
			}
		}()
		what()
	}()
	defer func() { <-over }()
	r := p.do(s)
	<-over
	if p.err != nil {
		panic(stop{})
	}
	return r
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// comes waits for a moment, and tells whether it came.
func (p *play) comes(moment func() bool) bool {
	for end := time.Now().Add(p.o.Settle); !moment(); rest(p.ctx, 30*time.Millisecond) {
		if time.Now().After(end) || p.ctx.Err() != nil {
			return false
		}
	}
	return true
}

// until waits for a moment; it gives the case up when it never comes.
func (p *play) until(moment func() bool) {
	if !p.comes(moment) {
		p.give(errors.New("what should have happened did not; did HIS press 收费?"))
	}
}

// seen is an order as the kit sees it.
type seen struct {
	his.Seen
	Final bool
}

// orders are those of the bill, newest first.
func (p *play) orders(ctx context.Context) ([]seen, error) {
	a, err := p.kit.Bill(ctx, p.bill)
	if err != nil || a.Status != http.StatusOK {
		return nil, errors.Join(err, fmt.Errorf("the agent answers %d", a.Status))
	}
	var list struct{ Orders []seen }
	return list.Orders, json.Unmarshal(a.Body, &list)
}

// exists is the moment at which the bill has an order in one of these states.
func (p *play) exists(states ...string) func() bool {
	return func() bool {
		list, err := p.orders(p.ctx)
		if err != nil || len(list) == 0 {
			return false
		}
		for _, s := range states {
			if list[0].State == s {
				return true
			}
		}
		return len(states) == 0
	}
}

// money is what the case did at the platforms.
type money struct {
	net, captured, refunded platforms.Fen
	captures                int
}

func (p *play) money() money {
	now, err := p.o.Stage.Truth(p.ctx)
	if err != nil {
		p.give(err)
	}
	var m money
	for no, o := range now {
		if _, old := p.before[no]; old {
			continue
		}
		m.net, m.captured, m.refunded, m.captures = m.net+o.NetFen, m.captured+o.CapturedFen, m.refunded+o.RefundedFen, m.captures+o.Captures
	}
	return m
}

// charged is the moment at which the platforms have taken the money.
func (p *play) charged() func() bool { return func() bool { return p.money().net > 0 } }

// quiet is the moment at which the agent owes nothing for the bill any more.
func (p *play) quiet() bool {
	list, err := p.orders(p.ctx)
	for _, o := range list {
		for _, r := range o.Refunds {
			if r.State != "done" && r.State != "refused" {
				return false
			}
		}
		if !o.Final {
			return false
		}
	}
	return err == nil
}

// tidy cancels what a case left open, so that the till is free for the next.
func (p *play) tidy() {
	who := his.Operators()[0]
	list, err := p.orders(p.ctx)
	for _, o := range list {
		if err == nil && !o.Final {
			_, _ = p.kit.Do(p.ctx, o.OutTradeNo, "cancel", his.Act{Operator: &who, Reason: "conformance"})
			_, _ = p.kit.Do(p.ctx, o.OutTradeNo, "detach", his.Act{Operator: &who})
		}
	}
}

// paidOnce is the end of most cases: the money was taken once, HIS knows it,
// booked it once, told the agent, and took no cash.
func (p *play) paidOnce() {
	p.until(p.quiet)
	m := p.money()
	p.must(m.net == p.amount && m.captures == 1, fmt.Sprintf("账单应收一次 %s 元，实际扣款 %d 次、净额 %s 元", p.amount.Yuan(), m.captures, m.net.Yuan()),
		fmt.Sprintf("%s yuan should be taken once; %d times were, %s yuan in all", p.amount.Yuan(), m.captures, m.net.Yuan()))
	p.must(p.last.Believes == Paid, "已支付，而 HIS 认为 "+p.last.Believes, "it is paid, and HIS believes "+p.last.Believes)
	p.must(p.last.Bookings == 1, fmt.Sprintf("HIS 应入账一笔，实际 %d 笔", p.last.Bookings), fmt.Sprintf("HIS should have booked it once, and has %d lines", p.last.Bookings))
	p.must(!p.cash, "已支付又收了现金", "cash was taken besides")
	booked := 0
	if list, err := p.orders(p.ctx); err == nil {
		for _, o := range list {
			if o.Booking.State == "booked" {
				booked++
			}
		}
	}
	p.must(booked == 1, "HIS 没有把入账结果告诉代理（booking）", "HIS did not tell the agent that it booked")
}

// unpaid is the end where no money is kept.
func (p *play) unpaid() {
	p.until(p.quiet)
	m := p.money()
	p.must(m.net == 0, "应没有收到钱，实际净额 "+m.net.Yuan()+" 元", "no money should be kept; "+m.net.Yuan()+" yuan are")
	p.must(p.last.Believes == Unpaid, "没有支付，而 HIS 认为 "+p.last.Believes, "nothing is paid, and HIS believes "+p.last.Believes)
	p.must(p.last.Bookings == 0, fmt.Sprintf("没有支付，HIS 却入账 %d 笔", p.last.Bookings), fmt.Sprintf("nothing is paid, and HIS booked %d lines", p.last.Bookings))
}

// asItIs is the end where both are right, if HIS knows which.
func (p *play) asItIs() {
	p.until(p.quiet)
	if p.money().net > 0 {
		p.paidOnce()
		return
	}
	p.unpaid()
}

// noCash: cash must not be taken now.
func (p *play) noCash() {
	p.must(!p.cash, "结果未定时收了现金", "cash was taken before it was certain that nothing was paid")
}

// cashFine: cash may be taken now, and HIS should let it.
func (p *play) cashFine(r Report) {
	p.must(r.Cash, "确证未扣款，HIS 仍不许收现金", "it is certain that nothing was taken, and HIS lets no cash be taken")
}

// sameKey: every repetition of a lost request carried its key.
func (p *play) sameKey(method, suffix string) {
	var lost []Call
	for _, c := range p.o.Proxy.Calls() {
		if c.Method != method || len(c.Path) < len(suffix) || c.Path[len(c.Path)-len(suffix):] != suffix {
			continue
		}
		if len(lost) > 0 && lost[len(lost)-1].Key != c.Key {
			p.wrong("无应答后重发时换了 Idempotency-Key", "a request without an answer was repeated with another Idempotency-Key")
		}
		if c.Lost {
			lost = append(lost, c)
		} else {
			lost = nil
		}
	}
}
