package conform

import (
	"encoding/json"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

// How payers and lines behave: see world.Scenarios.
const (
	atOnce    = 0
	types20s  = 90
	replyLost = 91
	late50s   = 92
	never     = 93
	noMoney   = 94
	otherSum  = 95
	lostAsk   = 98
	expired   = 99
)

func w(zh, en string) his.Words { return his.Words{Zh: zh, En: en} }

var once = w("收一次钱，HIS 入账一笔并告诉代理", "the money is taken once, HIS books it once and tells the agent")

// Cases are the thirty, in the order in which they are played.
func Cases() []Case {
	return append(append(taking(), doubts()...), giving()...)
}

// collect is the plain step.
func (p *play) collect() Step {
	return p.step(Collect, "对该账单按“收费”，等到结果", "press 收费 for the bill and wait for the result")
}

func (p *play) brief() Step {
	s := p.step(Collect, "对该账单按“收费”，不等结果", "press 收费 for the bill, do not wait for the result")
	s.WaitS = 0
	return s
}

func (p *play) look() Step {
	return p.step(Look, "再看该账单，等到结果", "look at the bill again and wait for the result")
}

func (p *play) cancel() Step {
	return p.step(Cancel, "按“撤销”，等到结果", "press 撤销 and wait for the result")
}

func (p *play) takeCash() Step {
	return p.step(TakeCash, "收费员想改收现金：HIS 允许才收", "the cashier wants to take cash: only if HIS lets them")
}

func (p *play) restart() Step {
	return p.step(Restart, "重新启动 HIS，处理完未完成的账单", "start HIS again and finish what is open")
}

// taking are the cases of a payment at the window.
func taking() []Case {
	return []Case{
		{"pay_at_once", w("马上支付", "pays at once"), once, func(p *play) {
			p.behave(atOnce)
			p.do(p.collect())
			p.paidOnce()
		}},
		{"pay_after_password", w("输密码，20 秒后支付", "types a password, pays after 20 s"), once, func(p *play) {
			p.behave(types20s)
			p.do(p.collect())
			p.paidOnce()
		}},
		{"double_click", w("连按两次收费", "收费 is pressed twice at once"), once, func(p *play) {
			p.behave(types20s)
			p.do(p.step(DoubleClick, "对该账单快速连按两次“收费”", "press 收费 twice, quickly"))
			p.paidOnce()
		}},
		{"two_windows", w("两个窗口同时收同一账单", "two windows take the same bill"), once, func(p *play) {
			p.behave(types20s)
			p.do(p.step(TwoWindows, "在两个窗口同时对同一账单按“收费”", "press 收费 for the same bill at two windows at once"))
			p.paidOnce()
		}},
		{"again_after_paid", w("已支付的账单再收一次", "a paid bill is taken again"), once, func(p *play) {
			p.behave(atOnce)
			p.do(p.collect())
			p.behave(atOnce)
			p.do(p.collect())
			p.paidOnce()
		}},
		{"refused_no_money", w("余额不足", "no money"), w("不入账；可以收现金", "nothing is booked; cash may be taken"), func(p *play) {
			p.behave(noMoney)
			p.do(p.collect())
			p.unpaid()
			p.cashFine(p.do(p.takeCash()))
		}},
		{"code_expired", w("付款码过期，刷新后再付", "the code is expired, the next one pays"), once, func(p *play) {
			p.behave(expired)
			p.do(p.collect())
			p.must(p.last.Believes == Unpaid, "付款码过期，而 HIS 认为 "+p.last.Believes, "the code was refused, and HIS believes "+p.last.Believes)
			p.until(p.quiet)
			p.behave(atOnce)
			p.do(p.collect())
			p.paidOnce()
		}},
		{"no_cash_while_open", w("患者还可能支付时改收现金", "cash while the payer may still pay"), w("不许收现金，撤销成功后才可以", "no cash before the cancel is done"), func(p *play) {
			p.behave(never)
			p.do(p.brief())
			p.do(p.takeCash())
			p.noCash()
			p.do(p.cancel())
			p.unpaid()
			p.cashFine(p.do(p.takeCash()))
		}},
		{"cancel_finds_it_paid", w("撤销时其实已经支付", "a cancel that finds it paid"), w("HIS 的结论与实际一致", "HIS believes what is so"), func(p *play) {
			p.behave(replyLost)
			p.do(p.brief())
			p.do(p.cancel())
			p.asItIs()
		}},
		{"late_payer", w("50 秒后才支付", "pays after 50 s"), w("HIS 的结论与实际一致", "HIS believes what is so"), func(p *play) {
			p.behave(late50s)
			p.do(p.collect())
			p.until(p.quiet)
			p.do(p.look())
			p.asItIs()
		}},
		{"amount_changed", w("未支付的账单改了金额", "the amount of an open bill changes"), w("按新金额收一次", "the new amount is taken once"), func(p *play) {
			p.behave(never)
			p.do(p.brief())
			p.amount += 55
			p.behave(atOnce)
			p.do(p.collect())
			if p.last.Believes != Paid { // it may have canceled the old one by itself
				p.do(p.cancel())
				p.must(p.money().net == 0, "旧金额未撤销", "the old amount is not canceled")
				p.behave(atOnce)
				p.do(p.collect())
			}
			p.paidOnce()
		}},
		{"rare_names", w("生僻字姓名", "rare characters in a name"), w("姓名一字不差", "the name arrives as it is"), func(p *play) {
			p.patient.Name = "乗㛃喆·测试"
			p.behave(atOnce)
			p.do(p.collect())
			p.paidOnce()
			for _, c := range p.o.Proxy.Calls() {
				var body struct{ Patient his.Patient }
				if c.Method == "POST" && c.Path == "/v1/orders" && json.Unmarshal(c.Body, &body) == nil && body.Patient.Name == p.patient.Name {
					return
				}
			}
			p.wrong("送到代理的姓名不是“"+p.patient.Name+"”，请检查编码", "the name that reached the agent is not "+p.patient.Name+": check the encoding")
		}},
	}
}

// doubts are the cases in which something is lost or dies.
func doubts() []Case {
	return []Case{
		{"answer_lost", w("代理的应答丢失", "the agent's answer is lost"), once, func(p *play) {
			p.behave(atOnce)
			p.o.Proxy.Lose(2, "POST", "/v1/orders", 0)
			p.do(p.collect())
			p.sameKey("POST", "/v1/orders")
			p.paidOnce()
		}},
		{"timeout_then_paid", w("等不到应答，其实已支付", "no answer in time, and it was paid"), once, func(p *play) {
			p.behave(atOnce)
			p.o.Proxy.Lose(1, "POST", "/v1/orders", 5*time.Second)
			s := p.brief()
			p.do(s)
			p.do(p.takeCash())
			p.noCash()
			p.do(p.look())
			p.sameKey("POST", "/v1/orders")
			p.paidOnce()
		}},
		{"platform_reply_lost", w("平台应答丢失，其实已支付", "the platform's reply is lost, and it was paid"), once, func(p *play) {
			p.behave(replyLost)
			p.do(p.collect())
			p.paidOnce()
		}},
		{"request_lost", w("付款请求没到平台", "the request never reached the platform"), w("不入账；结果出来前不收现金", "nothing is booked; no cash before it is certain"), func(p *play) {
			p.behave(lostAsk)
			p.do(p.brief())
			p.do(p.takeCash())
			p.noCash()
			p.until(p.quiet)
			p.do(p.look())
			p.unpaid()
		}},
		{"in_doubt", w("平台断线，结果未知", "the platforms fall silent, nothing is known"), w("不入账，不收现金；线路恢复后入账一次", "no booking and no cash; booked once when the line is back"), func(p *play) {
			p.behave(types20s)
			s := p.brief()
			p.do(s)
			p.until(p.exists("paying"))
			if err := p.o.Stage.Net(p.ctx, "blackhole"); err != nil {
				p.give(err)
			}
			p.until(p.charged())
			p.do(p.takeCash())
			p.noCash()
			p.must(p.last.Bookings == 0, "结果未知时入账了", "it was booked before anything was known")
			if err := p.o.Stage.Net(p.ctx, "up"); err != nil {
				p.give(err)
			}
			p.until(p.quiet)
			p.do(p.look())
			p.asItIs()
		}},
		{"offline_refusal", w("平台断线时收费", "收费 while the platforms are away"), w("不收钱不入账，恢复后收一次", "nothing is taken; taken once when the line is back"), func(p *play) {
			if err := p.o.Stage.Net(p.ctx, "refuse"); err != nil {
				p.give(err)
			}
			p.behave(atOnce)
			p.do(p.collect())
			p.must(p.last.Believes != Paid && p.last.Bookings == 0, "断线时 HIS 认为已支付", "HIS believes it paid while the line was cut")
			if err := p.o.Stage.Net(p.ctx, "up"); err != nil {
				p.give(err)
			}
			p.until(p.quiet)
			p.behave(atOnce)
			p.until(p.reachable)
			p.do(p.collect())
			p.paidOnce()
		}},
		{"wrong_amount", w("平台应答的金额不符", "the platform answers with another amount"), w("不入账，不收现金", "no booking, no cash"), func(p *play) {
			p.behave(otherSum)
			p.do(p.brief())
			p.do(p.takeCash())
			p.noCash()
			p.must(p.last.Believes != Paid && p.last.Bookings == 0, "金额不符，HIS 仍入账", "the amount is another one, and HIS booked it")
		}},
		{"plug_agent", w("付款中代理断电", "the agent's plug is pulled while paying"), once, func(p *play) {
			p.behave(types20s)
			p.beside(p.collect(), func() {
				p.until(p.exists("paying"))
				if err := p.o.Stage.Kill(p.ctx); err != nil {
					p.give(err)
				}
				if err := p.o.Stage.Start(p.ctx); err != nil {
					p.give(err)
				}
			})
			p.until(p.quiet)
			p.do(p.look())
			p.asItIs()
		}},
		{"plug_his", w("付款中 HIS 断电", "HIS's plug is pulled while paying"), once, func(p *play) {
			p.behave(types20s)
			p.killed(p.collect(), p.exists("paying"))
			p.do(p.restart())
			p.paidOnce()
		}},
		{"plug_both", w("付款中两边断电", "both plugs are pulled while paying"), w("HIS 的结论与实际一致", "HIS believes what is so"), func(p *play) {
			p.behave(types20s)
			p.killed(p.collect(), p.exists("paying"))
			if err := p.o.Stage.Kill(p.ctx); err != nil {
				p.give(err)
			}
			if err := p.o.Stage.Start(p.ctx); err != nil {
				p.give(err)
			}
			p.until(p.quiet)
			p.do(p.restart())
			p.asItIs()
		}},
		{"agent_down", w("代理没有运行时收费", "收费 while the agent does not run"), w("不收现金；代理恢复后收一次", "no cash; taken once when the agent is back"), func(p *play) {
			if err := p.o.Stage.Kill(p.ctx); err != nil {
				p.give(err)
			}
			p.behave(atOnce)
			s := p.brief()
			p.do(s)
			p.do(p.takeCash())
			p.noCash()
			if err := p.o.Stage.Start(p.ctx); err != nil {
				p.give(err)
			}
			p.behave(atOnce)
			p.until(p.reachable)
			p.do(p.collect())
			p.paidOnce()
		}},
		{"booking_lost", w("入账回执的应答丢失", "the answer to the booking is lost"), once, func(p *play) {
			p.behave(atOnce)
			p.o.Proxy.Lose(2, "POST", "/booking", 0)
			p.do(p.collect())
			p.paidOnce()
		}},
	}
}

// reachable is the moment at which the agent would take an order again.
func (p *play) reachable() bool {
	a, err := p.kit.Capabilities(p.ctx)
	var c struct {
		Platforms []struct{ Up bool }
	}
	if err != nil || json.Unmarshal(a.Body, &c) != nil || len(c.Platforms) == 0 {
		return false
	}
	for _, x := range c.Platforms {
		if !x.Up {
			return false
		}
	}
	return true
}

func (p *play) refund(do Verb, fen platforms.Fen, zh, en string) Step {
	s := p.step(do, zh, en)
	s.RefundFen, s.RefundNo = fen, "R"+alnum(p.bill)
	return s
}

func alnum(s string) string {
	out := []rune{}
	for _, r := range s {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			out = append(out, r)
		}
	}
	return string(out)
}

// goesBack waits for the money of a bill that HIS could not process.
func (p *play) goesBack() {
	if !p.comes(func() bool { return p.quiet() && p.money().net == 0 }) {
		p.wrong("HIS 没有告诉代理处理失败，款项没有退回", "HIS did not tell the agent that it failed: the money did not go back")
		panic(stop{})
	}
}

// givenBack compares three books after a refund.
func (p *play) givenBack(sum platforms.Fen) {
	p.until(p.quiet)
	m := p.money()
	p.must(m.refunded == sum, "应退 "+sum.Yuan()+" 元，实际退 "+m.refunded.Yuan()+" 元", sum.Yuan()+" yuan should go back; "+m.refunded.Yuan()+" did")
	p.must(p.last.RefundedFen == sum, "HIS 账上退费 "+p.last.RefundedFen.Yuan()+" 元，应为 "+sum.Yuan()+" 元", "HIS's books show "+p.last.RefundedFen.Yuan()+" given back, not "+sum.Yuan())
	p.must(m.captures == 1 && p.last.Bookings == 1, "收费应仍为一笔", "the payment itself should stay one")
}

// giving are the cases in which money goes back.
func giving() []Case {
	back := w("只退一次，HIS 账上一致", "given back once, and so in HIS's books")
	paid := func(p *play) {
		p.behave(atOnce)
		p.do(p.collect())
		if p.last.Believes != Paid {
			p.wrong("收费未成功，无法退费", "the payment itself did not succeed")
			panic(stop{})
		}
	}
	return []Case{
		{"refund_full", w("全额退费", "all is given back"), back, func(p *play) {
			paid(p)
			p.do(p.refund(Refund, p.amount, "全额退费", "give all of it back"))
			p.givenBack(p.amount)
		}},
		{"refund_twice", w("退费连按两次", "退费 is pressed twice at once"), back, func(p *play) {
			paid(p)
			p.do(p.refund(RefundTwice, 100, "退 1.00 元，快速连按两次“退费”", "give 1.00 back, press 退费 twice, quickly"))
			p.givenBack(100)
		}},
		{"refund_over", w("退费超过可退金额", "more is given back than there is"), w("不退，HIS 账上也不记", "nothing goes back, nor in HIS's books"), func(p *play) {
			paid(p)
			p.do(p.refund(Refund, p.amount+1, "退费金额比收费多 0.01 元", "give back 0.01 more than was taken"))
			p.givenBack(0)
		}},
		{"refund_answer_lost", w("退费应答丢失", "the answer to the refund is lost"), back, func(p *play) {
			paid(p)
			p.o.Proxy.Lose(2, "POST", "/refunds", 0)
			p.do(p.refund(Refund, 100, "退 1.00 元", "give 1.00 back"))
			p.sameKey("POST", "/refunds")
			p.givenBack(100)
		}},
		{"his_fails", w("已支付，HIS 处理失败", "paid, and HIS cannot process it"), w("款项原路退回，不入账", "the money goes back, nothing is booked"), func(p *play) {
			p.behave(atOnce)
			s := p.collect()
			s.Fails, s.Say = true, w("收费，并使 HIS 自己的处理失败（如号源已满）", "take the payment and let HIS's own processing fail")
			p.do(s)
			p.goesBack()
			p.unpaid()
		}},
		{"pay_again_after_failure", w("处理失败退款后重新收费", "taken again after a failure was given back"), w("第二次收一次，入账一笔", "taken once the second time, booked once"), func(p *play) {
			p.behave(atOnce)
			s := p.collect()
			s.Fails, s.Say = true, w("收费，并使 HIS 自己的处理失败", "take the payment and let HIS's own processing fail")
			p.do(s)
			p.goesBack()
			p.behave(atOnce)
			p.do(p.collect())
			p.until(p.quiet)
			m := p.money()
			p.must(m.net == p.amount && m.captures == 2, "第二次收费后净额应为账单金额", "after the second payment the bill's amount should be kept")
			p.must(p.last.Believes == Paid && p.last.Bookings == 1, "第二次收费后 HIS 应入账一笔", "HIS should have booked the second payment once")
		}},
	}
}
