package sim

import (
	"strconv"
	"time"

	"payagent/platforms"
)

// Flow is one story that every crash point is tried on.
type Flow struct {
	Name string
	Plan func() Plan
}

// race is when a payer pays who comes between the last query and the earliest
// cancel, counted from the charge's arrival.
const race = 15150 * time.Millisecond

const t0 = time.Hour

func story(bills ...Bill) Plan {
	for i := range bills {
		b := &bills[i]
		if b.No == "" {
			b.No = "B" + string(rune('1'+i))
		}
		if b.At == 0 {
			b.At = t0 + time.Second
		}
		if b.Till == "" {
			b.Till = "w1"
		}
		if b.Platform == "" {
			b.Platform = "fwc"
		}
		if b.Wallet == "" {
			b.Wallet = platforms.Alipay
		}
		if b.Amount == 0 {
			b.Amount = 12_345
		}
		if b.React == 0 {
			b.React = 2 * time.Second
		}
	}
	return Plan{Seed: 1, Heal: t0 + 30*time.Minute, Bills: bills, SPLookup: true, SPProven: true, SP2After: true}
}

// with changes a story.
func (p Plan) with(change func(*Plan)) Plan {
	change(&p)
	return p
}

func script(f map[string]Fault) func(*Plan) { return func(p *Plan) { p.Script = f } }

func swap(at time.Duration) func(*Plan) {
	return func(p *Plan) { p.Swaps = []time.Duration{t0 + at} }
}

func cut(from, to time.Duration) []Span {
	return []Span{{From: t0 + from, To: t0 + to, lag: 4 * time.Second}}
}

// Flows lists the stories.
func Flows() []Flow {
	qr := Bill{Till: "k1", Present: true, React: 7 * time.Second}
	sp := Bill{Platform: "sp", Wallet: platforms.WeChat}
	never := func(b Bill) Bill { b.PayAfter = -1; return b }
	after := func(b Bill, d time.Duration) Bill { b.PayAfter = d; return b }
	cancel := func(b Bill, d time.Duration) Bill { b.Cancel = d; return b }
	return append(onlineFlows(), []Flow{
		{"paid at once", func() Plan { return story(Bill{}) }},
		{"user paying", func() Plan { return story(after(Bill{}, 20*time.Second)) }},
		{"never pays", func() Plan { return story(never(Bill{})) }},
		{"no scan", func() Plan { return story(Bill{NoScan: true}) }},
		{"lost answer, paid", func() Plan { return story(Bill{}).with(script(map[string]Fault{"N0001/charge/0": LostAfter})) }},
		{"lost answer, unpaid, tombstones", func() Plan {
			return story(Bill{}).with(script(map[string]Fault{"N0001/charge/0": LostBefore})).with(func(p *Plan) { p.Tombstones = true })
		}},
		{"lost answer, unpaid, no tombstones", func() Plan { return story(Bill{}).with(script(map[string]Fault{"N0001/charge/0": LostBefore})) }},
		{"late on the wire", func() Plan { return story(Bill{}).with(script(map[string]Fault{"N0001/charge/0": LateExec})) }},
		{"cancel race", func() Plan { return story(cancel(after(Bill{}, race), 4*time.Second)) }},
		{"pays as the schedule cancels", func() Plan { return story(after(Bill{}, 60*time.Second+150*time.Millisecond)) }},
		{"early cancel", func() Plan { return story(cancel(never(Bill{}), 3*time.Second)) }},
		{"cancel before the scan", func() Plan { return story(cancel(Bill{}, time.Second)) }},
		{"cancel reply lost, paid", func() Plan {
			return story(cancel(after(Bill{}, race), 3*time.Second)).with(script(map[string]Fault{"N0001/cancel/0": LostAfter, "N0001/cancel/1": LostBefore}))
		}},
		{"QR paid", func() Plan { return story(qr) }},
		{"QR expired", func() Plan { return story(never(qr)) }},
		{"QR canceled by the patient", func() Plan { return story(cancel(never(qr), 30*time.Second)) }},
		{"QR paid while canceling", func() Plan { return story(cancel(after(qr, 23*time.Second), 30*time.Second)) }},
		{"QR answer lost", func() Plan { return story(qr).with(script(map[string]Fault{"N0001/present/0": LostAfter})) }},
		{"partial refund", func() Plan { return story(Bill{Returns: []Return{{After: 20 * time.Second, Sum: 345}}}) }},
		{"two refunds, each asked twice", func() Plan {
			return story(Bill{Returns: []Return{{After: 20 * time.Second, Sum: 345, Twice: true}, {After: 20 * time.Second, Sum: 12_000, Twice: true}}})
		}},
		{"refund reply lost, then too much", func() Plan {
			return story(Bill{Returns: []Return{{After: 20 * time.Second, Sum: 5_000}, {After: 25 * time.Second, Sum: 12_000}}}).
				with(script(map[string]Fault{"N0001/refund/0": LostAfter, "N0001/refund/1": RefundLater}))
		}},
		{"HIS repeats itself", func() Plan {
			return story(Bill{Double: 200 * time.Millisecond, Replay: 5 * time.Minute, Other: 10 * time.Second})
		}},
		{"two tills, one bill", func() Plan { return story(Bill{Second: "w2"}) }},
		{"paid anew after a failure", func() Plan { return story(Bill{NoMoney: true, Again: 1}) }},
		{"reboot while paying", func() Plan {
			return story(after(Bill{}, 20*time.Second)).with(func(p *Plan) {
				p.Kills = []Kill{{At: t0 + 9*time.Second, Down: 40 * time.Second, Reboot: true}}
			})
		}},
		{"queued offline, confirmed", func() Plan {
			return story(Bill{Queue: true, At: t0 + 30*time.Second}).with(func(p *Plan) { p.FWCCuts = cut(time.Second, 4*time.Minute) })
		}},
		{"queued offline, expired", func() Plan {
			return story(Bill{Queue: true, At: t0 + 30*time.Second}).with(func(p *Plan) { p.FWCCuts = cut(time.Second, 25*time.Minute) })
		}},
		{"queued offline, storage error before the confirmation", func() Plan {
			return story(Bill{Queue: true, At: t0 + 30*time.Second}, Bill{At: t0 + 245*time.Second, Till: "w2"}).with(func(p *Plan) {
				p.FWCCuts, p.Points = cut(time.Second, 4*time.Minute), map[int]Point{1: {Kind: PointErrorLost}}
			})
		}},
		{"cut while paying", func() Plan {
			return story(after(Bill{}, 5*time.Second)).with(func(p *Plan) { p.FWCCuts = cut(4*time.Second, 10*time.Minute) })
		}},
		{"handed code", func() Plan { return story(Bill{Handed: true}) }},
		{"refused, not found", func() Plan { return story(Bill{NoMoney: true}) }},
		{"wrong wallet first", func() Plan { return story(Bill{Channel: platforms.Alipay, Mishap: []Fault{WrongWallet, DoubleRead}}) }},
		{"token refused", func() Plan {
			return story(Bill{}, Bill{At: t0 + 20*time.Second, Till: "w2"}).with(func(p *Plan) {
				p.FWCToken = []Span{{From: t0, To: t0 + time.Minute}}
			})
		}},
		{"detached while paying", func() Plan {
			b := never(Bill{})
			b.Detach = 6 * time.Second
			return story(b, Bill{At: t0 + 15*time.Second})
		}},
		{"wrong amount answered", func() Plan {
			return story(Bill{}).with(script(map[string]Fault{"N0001/query/0": WrongAmount, "N0001/query/1": WrongOrder}))
		}},
		{"cancel refused for good", func() Plan { return story(never(Bill{})).with(func(p *Plan) { p.P8All = true }) }},
		{"smartpay paid at once", func() Plan { return story(sp) }},
		{"smartpay refused", func() Plan { b := sp; b.BadCode = true; return story(b) }},
		{"smartpay, lost reply, key unknown", func() Plan {
			return story(sp).with(script(map[string]Fault{"N0001/charge/0": LostAfter})).with(func(p *Plan) { p.SPLookup, p.SPProven = false, false })
		}},
		{"smartpay, lost reply, found by number", func() Plan { return story(sp).with(script(map[string]Fault{"N0001/charge/0": LostAfter})) }},
		{"smartpay, revoke reply lost, still says paid", func() Plan {
			return story(after(cancel(sp, 3*time.Second), race)).
				with(script(map[string]Fault{"N0001/cancel/0": LostAfter, "N0001/cancel/1": SystemError}))
		}},
		{"smartpay, late money", func() Plan { return story(sp).with(func(p *Plan) { p.LieAfter = 3 * time.Minute }) }},
		{"smartpay, money after an hour", func() Plan { return story(sp).with(func(p *Plan) { p.LieAfter = 2 * time.Hour }) }},
		{"smartpay, money after a failed end with a cancel", func() Plan {
			return story(sp).with(func(p *Plan) { p.LieAfter, p.P8All = 30*time.Minute, true }).with(script(map[string]Fault{
				"N0001/query/0": RefusedLike, "N0001/query/1": RefusedLike, "N0001/query/2": RefusedLike, "N0001/query/3": RefusedLike}))
		}},
		{"a flat no behind queries that were not answered, and the charge comes late", func() Plan {
			lost := map[string]Fault{"N0001/charge/0": LateExec, "N0001/cancel/0": Unresolved}
			for n := range 16 {
				lost["N0001/query/"+strconv.Itoa(n)] = LostBefore
			}
			return story(never(Bill{})).with(script(lost))
		}},
		{"smartpay, canceled in vain, then failed, money after an hour", func() Plan {
			unclear := map[string]Fault{"N0001/charge/0": LostAfter}
			for n := range 16 {
				unclear["N0001/query/"+strconv.Itoa(n)] = RefusedLike
			}
			return story(sp).with(script(unclear)).with(func(p *Plan) { p.LieAfter, p.P8All = 50*time.Minute, true })
		}},
		{"smartpay, late money after unclear looks", func() Plan {
			return story(sp).with(func(p *Plan) { p.LieAfter = 5 * time.Minute }).with(script(map[string]Fault{
				"N0001/query/1": ErrAfter, "N0001/query/2": ErrAfter, "N0001/query/3": ErrAfter, "N0001/query/4": ErrAfter}))
		}},
		{"smartpay, revoke answered without proof", func() Plan {
			return story(after(cancel(sp, 3*time.Second), race)).with(script(map[string]Fault{"N0001/cancel/0": SystemError}))
		}},
		{"smartpay, many revokes without proof", func() Plan {
			faults := map[string]Fault{}
			for _, n := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"} {
				faults["N0001/cancel/"+n] = SystemError
			}
			return story(after(cancel(sp, 3*time.Second), race)).with(script(faults))
		}},
		{"smartpay, revoke lost with the process, then refused", func() Plan {
			return story(after(cancel(sp, 3*time.Second), race)).
				with(script(map[string]Fault{"N0001/cancel/0": SlowReply, "N0001/cancel/1": Unresolved})).
				with(func(p *Plan) { p.Kills = []Kill{{At: t0 + 18*time.Second + 900*time.Millisecond, Down: time.Second}} })
		}},
		{"one code at two windows", func() Plan {
			code := payCode(platforms.Alipay, 1)
			return story(Bill{NoScan: true}, Bill{NoScan: true, Till: "w2"}).with(func(p *Plan) {
				p.Stray = []Stray{{At: t0 + 10*time.Second, Till: "w2", Text: code}, {At: t0 + 10*time.Second + 299900*time.Microsecond, Till: "w1", Text: code}}
			})
		}},
		{"claimed, asked for, armed, cards", func() Plan {
			return story(Bill{At: t0 + 5*time.Second, React: 8 * time.Second, PayAfter: 20 * time.Second}).with(func(p *Plan) {
				p.Grips = []Grip{{At: t0 + time.Second, Till: "w1", Session: "s1", Lease: 8 * time.Second},
					{At: t0 + 2*time.Second, Till: "w1", Session: "s1", Lease: time.Minute}, {At: t0 + 3*time.Second, Till: "w1", Session: "s2"},
					{At: t0 + 7*time.Second, Till: "w1", Session: "s3"}, {At: t0 + 50*time.Second, Till: "w1", Session: "s2"},
					{At: t0 + 52*time.Second, Till: "w1", Session: "s1", What: "retain"}, {At: t0 + 53*time.Second, Till: "w1", Session: "s2", Lease: time.Minute},
					{At: t0 + 60*time.Second, Till: "w1", Session: "s2", What: "release"}, {At: t0 + 61*time.Second, Till: "w1", Session: "s3", Lease: 20 * time.Second}}
				for i, at := range []time.Duration{2, 9, 20, 30, 59, 70, 100} {
					p.Stray = append(p.Stray, Stray{At: t0 + at*time.Second, Till: "w1", Text: card(i), Device: gun})
				}
				p.Stray = append(p.Stray, Stray{At: t0 + 4*time.Second, Till: "w1", Text: payCode(platforms.WeChat, 7), Device: gun},
					Stray{At: t0 + 4500*time.Millisecond, Till: "w1", Text: card(8)})
			})
		}},
		{"two phones at two scanners", func() Plan {
			return story(Bill{NoScan: true, Till: "w2"}, Bill{NoScan: true, Till: "w2", At: t0 + 3*time.Minute}).with(func(p *Plan) {
				for i, from := range []string{pad, gun, gun, pad} {
					p.Stray = append(p.Stray, Stray{At: t0 + time.Duration(5+170*(i/2))*time.Second + time.Duration(i%2)*150*time.Millisecond,
						Till: "w2", Text: payCode(platforms.Alipay, 60+i), Device: from})
				}
			})
		}},
		{"the scanner that takes no payments, then the other", func() Plan {
			return story(Bill{NoScan: true, Till: "w2"}).with(func(p *Plan) {
				code := payCode(platforms.Alipay, 70)
				p.Stray = []Stray{{At: t0 + 5*time.Second, Till: "w2", Text: code, Device: gun}, {At: t0 + 6*time.Second, Till: "w2", Text: code, Device: pad}}
			})
		}},
		{"handed code behind a slow disk", func() Plan {
			return story(Bill{Till: "w2"}, Bill{At: t0 + 1100*time.Millisecond, Handed: true}).with(func(p *Plan) {
				p.Stalls = map[int]time.Duration{0: 58 * time.Second}
			})
		}},
		{"log lost while paying", func() Plan {
			return story(after(Bill{}, 20*time.Second)).with(func(p *Plan) { p.Losses = []time.Duration{t0 + 10*time.Second} })
		}},
		{"QR, log lost while canceling", func() Plan {
			return story(after(cancel(qr, 20*time.Second), 70*time.Second)).with(script(map[string]Fault{"N0001/cancel/0": LostBefore})).
				with(func(p *Plan) { p.Losses = []time.Duration{t0 + 21*time.Second + 400*time.Millisecond} })
		}},
		{"smartpay, log lost after the revoke", func() Plan {
			return story(after(cancel(sp, 3*time.Second), race)).with(func(p *Plan) { p.Losses = []time.Duration{t0 + 40*time.Second} })
		}},
		{"box replaced while paying, the bill asked for again", func() Plan {
			return story(after(Bill{Replay: 50 * time.Second, Other: 55 * time.Second}, 80*time.Second)).with(swap(10 * time.Second))
		}},
		{"box replaced while canceling", func() Plan {
			return story(after(cancel(sp, 3*time.Second), race)).with(swap(19 * time.Second)).with(script(map[string]Fault{"N0001/cancel/0": LostAfter}))
		}},
		{"box replaced while a refund is under way", func() Plan {
			return story(Bill{Returns: []Return{{After: 20 * time.Second, Sum: 345}, {After: 20 * time.Second, Sum: 5_000}}}).
				with(swap(100 * time.Second)).with(script(map[string]Fault{"N0001/refund/1": LostAfter, "N0001/refund/2": LostAfter}))
		}},
		{"box replaced while HIS's failure goes back", func() Plan {
			return story(Bill{Word: wordFailed, WordAfter: 20 * time.Second}).with(swap(24500 * time.Millisecond)).with(script(map[string]Fault{"N0001/cancel/0": LostAfter}))
		}},
		{"box replaced, then late money", func() Plan {
			return story(sp).with(func(p *Plan) { p.LieAfter = 3 * time.Minute }).with(swap(time.Minute))
		}},
		{"box replaced while late money goes back", func() Plan {
			return story(sp).with(func(p *Plan) { p.LieAfter = 90 * time.Second }).with(swap(2*time.Minute + 12*time.Second)).
				with(script(map[string]Fault{"N0001/cancel/0": LostBefore, "N0001/cancel/1": LostAfter}))
		}},
		{"HIS fails", func() Plan { return story(Bill{Word: wordFailed, WordAfter: 3 * time.Second, Again: 1}) }},
		{"HIS fails, the cancel's reply is lost", func() Plan {
			return story(Bill{Word: wordFailed, WordAfter: 20 * time.Second}).with(script(map[string]Fault{"N0001/cancel/0": LostAfter}))
		}},
		{"HIS fails, the cancel is refused for good", func() Plan {
			return story(Bill{Word: wordFailed, WordAfter: 20 * time.Second}).with(func(p *Plan) { p.P8All = true })
		}},
		{"HIS fails after a part was refunded", func() Plan {
			return story(Bill{Word: wordFailed, WordAfter: 40 * time.Second, Returns: []Return{{After: 20 * time.Second, Sum: 345}}})
		}},
		{"HIS fails while a refund waits for a second person", func() Plan {
			return story(Bill{Word: wordFailed, WordAfter: 25 * time.Second, Returns: []Return{{After: 20 * time.Second, Sum: 5_000}}}).
				with(func(p *Plan) { p.RefundAlone = 1_000 })
		}},
		{"two persons for a refund", func() Plan {
			return story(Bill{Returns: []Return{{After: 20 * time.Second, Sum: 5_000}, {After: 30 * time.Second, Sum: 700}}}).
				with(func(p *Plan) { p.RefundAlone = 1_000 })
		}},
		{"smartpay, HIS fails", func() Plan { b := sp; b.Word, b.WordAfter = wordFailed, 2*time.Second; return story(b) }},
		{"HIS is silent", func() Plan {
			return story(Bill{Word: wordNone}, Bill{Till: "w2", Word: wordLate, WordAfter: time.Second})
		}},
		{"HIS took the insurance's part only", func() Plan {
			return story(Bill{Word: wordSplit, WordAfter: time.Second}, Bill{Till: "w2", Word: wordSplit, WordAfter: time.Second, Amount: 12_346})
		}},
		{"HIS contradicts itself", func() Plan {
			return story(Bill{Word: wordFailed, WordAfter: time.Second, Contradict: true}, Bill{Till: "w2", WordAfter: 2 * time.Second, Contradict: true})
		}},
		{"one number of HIS for two payments", func() Plan {
			return story(Bill{FlowTwice: true, WordAfter: time.Second}, Bill{Till: "w2", FlowTwice: true, WordAfter: 4 * time.Second})
		}},
		{"a kiosk, HIS silent and there", func() Plan {
			b := qr
			b.At, b.Word = t0+time.Minute, wordNone
			return story(Bill{}, b, Bill{At: t0 + 90*time.Second, Till: "w2", Word: wordNone}).with(func(p *Plan) {
				p.Silence, p.Links = true, []Span{{From: t0, To: t0 + 20*time.Minute}}
			})
		}},
		{"a kiosk, HIS silent and away", func() Plan {
			b := qr
			b.At, b.Word = t0+time.Minute, wordNone
			return story(Bill{}, b).with(func(p *Plan) {
				p.Silence, p.Links = true, []Span{{From: t0 + 2*time.Minute, To: t0 + 200*time.Second}, {From: t0 + 5*time.Minute, To: t0 + 6*time.Minute}}
			})
		}},
		{"people resolve, and it is paid hours later", func() Plan {
			return story(after(Bill{}, 3*time.Hour)).with(func(p *Plan) { p.P8All, p.Meetings = true, []time.Duration{t0 + 90*time.Minute} })
		}},
		{"people misread the statement", func() Plan {
			return story(never(Bill{})).with(func(p *Plan) { p.P8All, p.Misread, p.Meetings = true, true, []time.Duration{t0 + 90*time.Minute} })
		}},
		{"disk full in the middle", func() Plan {
			return story(after(Bill{}, 20*time.Second), Bill{At: t0 + 15*time.Second, Till: "w2"}).with(func(p *Plan) {
				p.DiskLow = []Span{{From: t0 + 10*time.Second, To: t0 + 20*time.Hour}}
			})
		}},
	}...)
}
