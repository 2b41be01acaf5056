package docgen

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
)

// neverLeft is a transport error that proves that no byte left.
type neverLeft struct{}

func (neverLeft) Error() string { return "no connection" }
func (neverLeft) NotSent() bool { return true }

var errSilence = errors.New("no answer")

// namedReply is a row of the table of answers: a judge of package order with
// the answer it gets.
type namedReply struct {
	name, zh string
	hear     func(o *order.Order, p order.Policy, t platforms.Traits, now order.Now) order.Verdict
}

func replies() []namedReply {
	pay := func(name, zh string, a platforms.Answer, err error) namedReply {
		return namedReply{"pay: " + name, "付款应答：" + zh, func(o *order.Order, _ order.Policy, t platforms.Traits, now order.Now) order.Verdict {
			return o.HearPay(t, now, order.VerbCharge, a, err)
		}}
	}
	query := func(name, zh string, a platforms.Answer, err error) namedReply {
		return namedReply{"query: " + name, "查询应答：" + zh, func(o *order.Order, p order.Policy, t platforms.Traits, now order.Now) order.Verdict {
			return o.HearQuery(p, t, now, a, err)
		}}
	}
	cancel := func(name, zh string, c platforms.Cancellation, err error) namedReply {
		return namedReply{"cancel: " + name, "撤销应答：" + zh, func(o *order.Order, _ order.Policy, _ platforms.Traits, now order.Now) order.Verdict {
			return o.HearCancel(now, c, err)
		}}
	}
	notice := func(name, zh string, n platforms.Notice) namedReply {
		return namedReply{"notice: " + name, "平台通知：" + zh, func(o *order.Order, _ order.Policy, t platforms.Traits, now order.Now) order.Verdict {
			return o.HearNotice(t, now, n)
		}}
	}
	say := func(s platforms.Status) platforms.Answer { return platforms.Answer{Status: s, OrderNo: sampleNo} }
	full := platforms.Answer{Status: platforms.Paid, OrderNo: sampleNo, TradeNo: "T1", Amount: sampleAmount, HasAmount: true}
	other := full
	other.Amount++
	keyed := say(platforms.Failed)
	keyed.Handle = "P1"
	shut := platforms.Answer{Status: platforms.Closed, OrderNo: sampleNo, Amount: sampleAmount, HasAmount: true}
	bare, stranger := full, full
	bare.Amount, bare.HasAmount, stranger.OrderNo = 0, false, "OTHER"
	return []namedReply{
		pay("paid", "已支付", full, nil),
		pay("paid, another amount", "已支付但金额不符", other, nil),
		pay("pending", "支付中", say(platforms.Pending), nil),
		pay("refused without proof", "被拒，未证明未扣款", say(platforms.Refused), nil),
		pay("definite refusal", "明确失败", say(platforms.Failed), nil),
		pay("definite refusal, with the platform's key", "明确失败，带平台单号", keyed, nil),
		pay("nothing, or unreadable", "无应答或无法识别", platforms.Answer{}, errSilence),
		pay("never left", "未能发出", platforms.Answer{}, errors.Join(neverLeft{}, platforms.ErrNotCharged)),
		pay("token refused", "授权码被拒", platforms.Answer{}, errors.Join(platforms.ErrToken, platforms.ErrNotCharged)),
		query("paid", "已支付", full, nil),
		query("paid, another amount", "已支付但金额不符", other, nil),
		query("pending", "支付中", say(platforms.Pending), nil),
		query("not found", "查无此单", say(platforms.NotFound), nil),
		query("refused", "业务失败", say(platforms.Refused), nil),
		query("definite refusal", "明确失败", say(platforms.Failed), nil),
		query("closed", "已关闭", say(platforms.Closed), nil),
		query("another order's number", "他单应答", platforms.Answer{Status: platforms.Paid, OrderNo: "OTHER"}, nil),
		query("nothing, or unreadable", "无应答或无法识别", platforms.Answer{}, errSilence),
		cancel("done", "已撤销", platforms.Cancellation{Done: true, Action: platforms.ActionClose, OrderNo: sampleNo}, nil),
		cancel("not done", "未撤销", platforms.Cancellation{OrderNo: sampleNo}, nil),
		cancel("not done, no more tries", "未撤销，不可再试", platforms.Cancellation{OrderNo: sampleNo, Retry: platforms.RetryNo}, nil),
		cancel("nothing, or unreadable", "无应答或无法识别", platforms.Cancellation{}, errSilence),
		notice("paid", "已支付", platforms.Notice{Evidence: true, Answer: full}),
		notice("paid, another amount", "已支付但金额不符", platforms.Notice{Evidence: true, Answer: other}),
		notice("paid, without an amount", "已支付但未带金额", platforms.Notice{Evidence: true, Answer: bare}),
		notice("paid, another order's number", "他单已支付", platforms.Notice{Evidence: true, Answer: stranger}),
		notice("closed", "已关闭", platforms.Notice{Evidence: true, Answer: shut}),
		notice("pending", "支付中", platforms.Notice{Evidence: true, Answer: say(platforms.Pending)}),
		notice("paid, by the payer's browser", "浏览器带回：已支付", platforms.Notice{ByBrowser: true, Answer: full}),
		notice("closed page, by the payer's browser", "浏览器带回：用户取消", platforms.Notice{ByBrowser: true, Canceled: true, Answer: shut}),
	}
}

// CancelSettled is [order.Canceling] after an answer that the cancel did not
// work: no cancel is under way that could still give the money back.
const CancelSettled order.State = "canceling, not done"

// judged are the states in which an answer can arrive.
func judged() []order.State {
	return []order.State{order.Paying, order.Canceling, CancelSettled, order.InDoubt, order.Paid, order.Failed, order.Canceled}
}

// Heard is one cell of the table of answers.
type Heard struct {
	From  order.State
	Reply string
	To    order.State
	Facts []string // kinds of the facts written
	Alarm string   // stable code, empty for none
	Asks  bool     // a query follows at once
}

// Hear gives every answer to an order in every state in which it can arrive,
// 5 s after the pay request left, under the default policy.
func Hear(t platforms.Traits) ([]Heard, error) {
	var list []Heard
	now := when(sampleSent + 5*time.Second)
	p := order.DefaultPolicy()
	for _, from := range judged() {
		for _, r := range replies() {
			o, err := hearing(from)
			if err != nil {
				return nil, err
			}
			v := r.hear(o, p, t, now)
			h := Heard{From: from, Reply: r.name, Alarm: v.Alarm}
			for _, f := range v.Facts {
				if err := o.Apply(f); err != nil {
					return nil, fmt.Errorf("%q in state %s gives a fact that the state refuses: %w", r.name, from, err)
				}
				h.Facts = append(h.Facts, string(f.Kind))
			}
			h.To, h.Asks = o.State(), o.Loop.AskNow || o.Loop.WatchNow || o.Loop.Woken
			if from == CancelSettled && h.To == order.Canceling {
				h.To = CancelSettled
			}
			list = append(list, h)
		}
	}
	return list, nil
}

// hearing gives an order in one of the states of [judged].
func hearing(s order.State) (*order.Order, error) {
	if s != CancelSettled {
		return In(s)
	}
	o, err := In(order.Canceling)
	if err != nil {
		return nil, err
	}
	return o, o.Apply(answered(order.Reply{Verb: order.VerbCancel}))
}

// Played is one line of a schedule: what the loop did, and when.
type Played struct {
	At    time.Duration // since the pay request left, or since the QR was shown
	Do    string
	State order.State // afterwards
}

// platform answers in a played schedule.
type platform struct {
	query  func() (platforms.Answer, error)
	cancel func() (platforms.Cancellation, error)
}

// play runs an order's loop, as the counter does, until it closes the order,
// or until a time.
func play(o *order.Order, start, until time.Duration, p order.Policy, t platforms.Traits, w platform) ([]Played, error) {
	var list []Played
	at := start
	for range 200 {
		s := o.Next(p, t, when(at))
		if s.At > at {
			at = s.At
		}
		if at > until || s.Do == order.DoClose {
			return list, nil
		}
		now := when(at)
		var v order.Verdict
		word := string(s.Do)
		switch s.Do {
		case order.DoNothing:
			continue
		case order.DoQuery:
			l := &o.Loop
			l.Calling, l.Asked, l.AskNow, l.LastAsk = order.VerbQuery, true, false, now.Instant
			l.Woken, l.Asks = false, l.Asks+1
			a, err := w.query()
			v = o.HearQuery(p, t, now, a, err)
		case order.DoCancel:
			if o.CancelAsked == nil && !o.State().Final() {
				v.Facts = append(v.Facts, order.Fact{Kind: order.KindCancelAsked, Order: o.No, At: now.Instant, Person: &order.Person{Auto: true}})
			}
			if !o.CancelOpen {
				v.Facts = append(v.Facts, order.Fact{Kind: order.KindSent, Order: o.No, At: now.Instant, Sent: &order.Sent{Verb: order.VerbCancel}})
			}
			if err := apply(o, v.Facts); err != nil {
				return nil, err
			}
			o.Loop.CancelMine, o.Loop.Calling = true, order.VerbCancel
			c, err := w.cancel()
			v = o.HearCancel(now, c, err)
		case order.DoEnd:
			v.Facts = []order.Fact{{Kind: order.KindEnded, Order: o.No, At: now.Instant,
				Ended: &order.Ended{State: s.State, Reason: s.Reason, Unsent: s.Unsent}}}
			word += " (" + s.Reason + ")"
		case order.DoBelieve:
			v = o.Believe(now)
		case order.DoDoubt:
			v.Facts = []order.Fact{{Kind: order.KindDoubt, Order: o.No, At: now.Instant, Reason: s.Reason}}
			word += " (" + s.Reason + ")"
		default:
			return nil, fmt.Errorf("cannot play step %s of order %s; teach it to this function", s.Do, o.No)
		}
		if err := apply(o, v.Facts); err != nil {
			return nil, err
		}
		list = append(list, Played{At: at - start, Do: word, State: o.State()})
	}
	return nil, errors.New("cannot play the schedule to its end; it repeats itself")
}

func apply(o *order.Order, facts []order.Fact) error {
	for _, f := range facts {
		if err := o.Apply(f); err != nil {
			return err
		}
	}
	return nil
}

// schedule is one played course.
type schedule struct {
	name, zh string
	steps    []Played
}

func pending() (platforms.Answer, error) {
	return platforms.Answer{Status: platforms.Pending, OrderNo: sampleNo}, nil
}

// Schedules plays what the default policy does with a patient who never pays,
// and with a platform that falls silent.
func Schedules() ([]schedule, error) {
	p := order.DefaultPolicy()
	t := platforms.Traits{FindsByNumber: true}
	closes := func() (platforms.Cancellation, error) {
		return platforms.Cancellation{Done: true, Action: platforms.ActionClose, OrderNo: sampleNo}, nil
	}
	silent := platform{query: func() (platforms.Answer, error) { return platforms.Answer{}, errSilence },
		cancel: func() (platforms.Cancellation, error) { return platforms.Cancellation{}, errSilence }}
	never := platform{query: pending, cancel: closes}
	var list []schedule
	add := func(name, zh string, facts []order.Fact, w platform, until time.Duration) error {
		o, err := order.Fold(facts)
		if err != nil {
			return err
		}
		has := t
		has.NoQuery = w.query == nil
		steps, err := play(o, sampleSent, sampleSent+until, p, has, w)
		list = append(list, schedule{name, zh, steps})
		return err
	}
	charge := func(channel platforms.Channel) []order.Fact {
		f := sent(order.VerbCharge)
		f.Sent.Channel = channel
		return []order.Fact{created(false, platforms.ModeCharge), f}
	}
	asked := fact(order.KindCancelAsked, func(f *order.Fact) { f.Person = &order.Person{} })
	qr := answered(order.Reply{Verb: order.VerbPresent, QR: "qr"})
	err := errors.Join(
		add("A code payment that the patient never confirms (Alipay)", "支付宝付款码，患者一直未确认", charge(platforms.Alipay), never, time.Hour/2),
		add("The same with WeChat", "微信付款码，患者一直未确认", charge(platforms.WeChat), never, time.Hour/2),
		add("Cancel pressed at once", "付款发出后立即按撤销", append(charge(platforms.Alipay), asked), never, time.Hour/2),
		add("A QR code that nobody pays", "二维码无人支付", []order.Fact{created(false, platforms.ModePresent), sent(order.VerbPresent), qr}, never, 10*time.Minute),
		add("A page that nobody pays on (h5)", "H5 页面无人支付", []order.Fact{created(false, platforms.ModeH5), sent(order.VerbPresent), qr}, never, time.Hour),
		add("The same where the platform has no query", "同上，平台没有查询接口", []order.Fact{created(false, platforms.ModeH5), sent(order.VerbPresent), qr},
			platform{cancel: closes}, time.Hour),
		add("A cancel without an answer where the platform has no query", "没有查询接口的平台，撤销无应答", []order.Fact{created(false, platforms.ModeH5), sent(order.VerbPresent), qr},
			platform{cancel: silent.cancel}, time.Hour),
		add("A platform that falls silent after the pay request", "付款发出后平台无应答", charge(platforms.Alipay), silent, 10*time.Minute),
	)
	return list, err
}

// short writes a duration as people say it: 45s, 2m5s.
func short(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}
