package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/smartpay"
)

// byNumber is a site whose drill has shown that SmartPay finds our number.
func byNumber(r *rig) { r.queryKey = smartpay.ByHisOrderID }

// TestCharges: what becomes of a code that was scanned, and exactly when, on
// both platforms. The last two digits of the amount choose what happens
// (package bank).
func TestCharges(t *testing.T) {
	const both = ""
	for _, c := range []struct {
		name   string
		only   string // platform, both if empty
		amount platforms.Fen
		code   string
		state  order.State
		when   time.Duration
		more   []change
	}{
		{"paid at once", both, 1200, wechat, order.Paid, 0, nil},
		{"password after 20 s", both, 1290, wechat, order.Paid, 20 * s, nil},
		{"WeChat that is never paid is canceled at 45 s", both, 1293, wechat, order.Canceled, 45 * s, nil},
		{"Alipay that is never paid is canceled at 60 s", both, 1293, alipay, order.Canceled, 60 * s, nil},
		{"paid after 50 s: Alipay is still asked", both, 1292, alipay, order.Paid, 50 * s, nil},
		{"paid after 50 s: WeChat is canceled before", both, 1292, wechat, order.Canceled, 45 * s, nil},
		{"reply lost, paid", both, 1291, wechat, order.Paid, 5 * s, []change{byNumber}},
		{"HTTP 500 after paying", both, 1296, wechat, order.Paid, 5 * s, []change{byNumber}},
		{"garbage after paying", both, 1297, alipay, order.Paid, 5 * s, []change{byNumber}},
		{"reply lost, not paid", both, 1200, wechat, order.Canceled, 45 * s, []change{byNumber, func(r *rig) {
			for _, ctl := range r.ctl {
				ctl.SetPayer(bank.Payer{PayAfter: -1})
				ctl.Inject(bank.OpCharge, bank.LoseReply)
			}
		}}},
		{"no money, said as 处理中", "smartpay", 1294, wechat, order.Canceled, 45 * s, nil},
		{"no money, said as refused: canceled as soon as allowed", "fwc", 1294, wechat, order.Canceled, 15 * s, nil},
		{"code refused", "smartpay", 1299, wechat, order.Failed, 0, nil},
		{"code refused without proof: canceled as soon as allowed", "fwc", 1299, wechat, order.Canceled, 15 * s, nil},
		{"the pay call hangs, the query tells", "fwc", 1200, wechat, order.Paid, 5 * s, []change{func(r *rig) {
			r.ctl["fwc"].Inject(bank.OpCharge, bank.Slow)
		}}},
	} {
		for till, platform := range map[string]string{smartTill: "smartpay", fwcTill: "fwc"} {
			if c.only != both && c.only != platform {
				continue
			}
			t.Run(c.name+"/"+platform, func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					o := r.begun(till, c.amount, c.code)
					if c.when > 0 {
						r.becomes(o.No, c.state, c.when)
					}
					r.state(o.No, c.state)
					r.pass(11 * time.Minute) // most of the watch for late money
					r.judge(o.No)
					if n := r.asked(platform, bank.OpCharge, o.No); n != 1 {
						t.Fatalf("%d pay requests left", n)
					}
				}, c.more...)
			})
		}
	}
}

func TestPaidBillIsNotPaidAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(smartTill, 1200, alipay)
		r.state(o.No, order.Paid)
		if list := r.agent.Open(); len(list) != 0 {
			t.Fatalf("nothing is owed, but %d orders are listed", len(list))
		}
		r.collect(r.request(smartTill, o.Bill, 1200), counter.CodeBillPaid)
		r.collect(r.request(fwcTill, o.Bill, 100), counter.CodeBillPaid)
		r.judge(o.No)
	})
}

// TestNoKey: without the platform's key and without a drill nothing can be
// concluded, so a person is told at once; the drill's setting resolves it.
func TestNoKey(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.findsByNumber(false)
		o := r.begun(smartTill, 1291, wechat)
		o = r.state(o.No, order.InDoubt)
		if o.Doubt != "no_key" || !r.alarmed(counter.AlarmDoubt) {
			t.Fatal(o.Doubt)
		}
		if o.SafeToTakeCash(order.DefaultPolicy(), r.Now()).Answer != order.No {
			t.Fatal("cash may not be taken")
		}
		r.pass(time.Hour)
		r.state(o.No, order.InDoubt)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		r.findsByNumber(true)
		r.queryKey = smartpay.ByHisOrderID
		r.open()
		r.state(o.No, order.Paid)
		r.judge(o.No)
	})
}

// TestQueriesHang: an answer that does not come stops neither the schedule nor
// the cancel, and the payer gets back what was taken meanwhile.
func TestQueriesHang(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.ctl["fwc"].Always(bank.OpQuery, bank.Slow)
		o := r.begun(fwcTill, 1290, wechat)
		o = r.becomes(o.No, order.Canceled, 45*s)
		if o.Action != platforms.ActionRefund {
			t.Fatal(o.Action)
		}
		r.judge(o.No)
	})
}

// TestWatchEnds: after the watch for late money nothing is owed any more.
func TestWatchEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(fwcTill, 1293, wechat)
		r.becomes(o.No, order.Canceled, 45*s)
		if list := r.agent.Open(); len(list) != 1 {
			t.Fatalf("%d orders are watched, want 1", len(list))
		}
		r.pass(25 * time.Hour)
		r.judge(o.No)
		if list := r.agent.Open(); len(list) != 0 {
			t.Fatalf("nothing is owed, but %d orders are listed", len(list))
		}
	})
}

// TestNeverArrived: a request that was lost on its way is canceled in vain,
// is in doubt, and ends once it is certain that nobody will ever pay it.
func TestNeverArrived(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(fwcTill, 1298, wechat)
		r.becomes(o.No, order.InDoubt, 48*s)
		o = r.ends(o.No, time.Hour)
		if o.EndReason != "never_arrived" || r.clock() < 15*time.Minute || r.clock() > 30*time.Minute {
			t.Fatal(o.EndReason, r.clock())
		}
		r.judge(o.No)
	})
}

// TestLatePayer: the lost request arrives after all, once the order is closed.
// The watch finds the money and gives it back.
func TestLatePayer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(fwcTill, 1298, wechat)
		o = r.ends(o.No, time.Hour)
		r.pass(time.Minute)
		r.banks["fwc"].Charge(r.clock(), bank.Request{OrderNo: o.No, Merchant: "H0001", Amount: 1298, Channel: platforms.WeChat}, bank.Payer{})
		if r.banks["fwc"].Net(o.No) != 1298 {
			t.Fatal("the scenario needs late money")
		}
		r.pass(2 * time.Minute)
		o = r.state(o.No, order.Canceled)
		if !o.LateFound || !o.LateDone || !r.alarmed("late_money") {
			t.Fatal("late money was not found and given back", o.LateFound, o.LateDone)
		}
		r.judge(o.No)
	})
}

func TestEarlyCancel(t *testing.T) {
	for till, platform := range map[string]string{smartTill: "smartpay", fwcTill: "fwc"} {
		t.Run(platform, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				o := r.begun(till, 1293, wechat)
				r.at(3 * s)
				r.act(o.No, order.ActCancel, counter.CodeAccepted)
				r.at(15*s - time.Millisecond)
				if r.asked(platform, bank.OpCancel, o.No) != 0 {
					t.Fatal("a cancel left before 15 s")
				}
				o = r.becomes(o.No, order.Canceled, 15*s)
				if o.CancelAsked.Operator.ID != "2002" || r.asked(platform, bank.OpCancel, o.No) != 1 {
					t.Fatal(o.CancelAsked, r.asked(platform, bank.OpCancel, o.No))
				}
				r.judge(o.No)
			})
		})
	}
}

// TestCancelMeetsPayer: the payer was faster; paid wins and refunds are the way.
func TestCancelMeetsPayer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(fwcTill, 1290, wechat) // pays at 20 s
		r.at(18 * s)
		r.ctl["fwc"].Inject(bank.OpCancel, bank.LoseRequest) // the cancel does not arrive
		r.act(o.No, order.ActCancel, counter.CodeAccepted)
		o = r.ends(o.No, time.Hour)
		r.judge(o.No)
		if o.State() != order.Paid && o.State() != order.Canceled {
			t.Fatal(o.State())
		}
	})
}

func TestKiosk(t *testing.T) {
	for _, c := range []struct {
		name  string
		play  func(r *rig, no string)
		state order.State
		when  time.Duration
	}{
		{"paid", func(r *rig, no string) { r.at(7 * s); r.phone(no, bank.Payer{}) }, order.Paid, 10 * s},
		{"password", func(r *rig, no string) { r.at(7 * s); r.phone(no, bank.Payer{PayAfter: 20 * s}) }, order.Paid, 30 * s},
		{"expired", func(*rig, string) {}, order.Canceled, 180 * s},
		{"abandoned", func(r *rig, no string) { r.at(7 * s); r.phone(no, bank.Payer{PayAfter: -1}) }, order.Canceled, 180 * s},
		{"paid in the last second", func(r *rig, no string) { r.at(7 * s); r.phone(no, bank.Payer{PayAfter: 172 * s}) }, order.Paid, 180 * s},
		{"canceled", func(r *rig, no string) { r.at(30*s + 1); r.act(no, order.ActCancel, counter.CodeAccepted) }, order.Canceled, 0},
		{"paid, then cancel pressed: the last query tells", func(r *rig, no string) {
			r.at(33 * s)
			r.phone(no, bank.Payer{})
			r.act(no, order.ActCancel, counter.CodeAccepted)
		}, order.Paid, 0},
		{"paid in the second of the cancel: the money goes back", func(r *rig, no string) {
			r.at(31 * s)
			r.phone(no, bank.Payer{})
			r.act(no, order.ActCancel, counter.CodeAccepted)
		}, order.Canceled, 0},
		{"QR reply lost: nobody saw it", func(*rig, string) {}, order.Canceled, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				lost := c.name == "QR reply lost: nobody saw it"
				if lost {
					r.ctl["fwc"].Inject(bank.OpPresent, bank.LoseReply)
				}
				o := r.collect(r.request(kioskTill, "B1", 1200), counter.CodeCreated)
				v, _ := r.agent.View(kioskTill)
				if !lost && (v.Order == nil || v.Order.QR == "") {
					t.Fatal("no QR is shown")
				}
				c.play(r, o.No)
				if c.when > 0 {
					r.becomes(o.No, c.state, c.when)
				}
				r.state(o.No, c.state)
				if v, _ = r.agent.View(kioskTill); v.Order == nil || v.Order.QR != "" {
					t.Fatal("the QR of a final order is still shown")
				}
				if c.state == order.Canceled && r.asked("fwc", bank.OpCancel, o.No) == 0 {
					t.Fatal("closed without the platform")
				}
				r.phone(o.No, bank.Payer{}) // somebody made a picture of the QR
				r.pass(11 * time.Minute)
				r.judge(o.No)
			})
		})
	}
}

// TestKioskEnd: the end of the loop is a last query, the cancel, and a query.
func TestKioskEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.collect(r.request(kioskTill, "B1", 1200), counter.CodeCreated)
		r.at(180*s - time.Millisecond)
		if n := r.asked("fwc", bank.OpQuery, o.No); n != 35 {
			t.Fatalf("%d queries before the end, want 35", n)
		}
		r.becomes(o.No, order.Canceled, 180*s)
		if n := r.asked("fwc", bank.OpQuery, o.No); n != 37 || r.asked("fwc", bank.OpCancel, o.No) != 1 {
			t.Fatalf("%d queries after the end, want 37", n)
		}
	})
}

func TestRefunds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(fwcTill, 10000, wechat)
		no := o.No
		var bad *platforms.FieldError
		over := agent.RefundRequest{Request: "RF1", Sum: 10001, Operator: platforms.Operator{ID: "3003"}}
		if _, err := r.agent.Refund(context.Background(), no, over); !errors.As(err, &bad) || bad.Field != "amount_fen" {
			t.Fatal(err)
		}
		r.ctl["fwc"].Inject(bank.OpRefund, bank.LoseReply)
		r.refund(no, "RF1", 3000, counter.CodeAccepted)
		r.refund(no, "RF1", 3000, counter.CodeReplayed)
		r.refund(no, "RF1", 2000, counter.CodeRefundUsed)
		r.pass(5 * s)
		if line := r.order(no).Refunds[0]; line.State != order.RefundDone || r.asked("fwc", bank.OpRefund, no) != 2 {
			t.Fatal("a lost reply is met by asking again with the same number:", line.State, r.asked("fwc", bank.OpRefund, no))
		}
		r.judge(no)
		done := r.clock()
		r.refund(no, "RF2", 7001, counter.CodeRefundOver)
		r.refund(no, "RF2", 7000, counter.CodeAccepted)
		r.refund(no, "RF3", 1, counter.CodeRefundOver) // what is in flight counts
		r.at(done + 54*s)
		if r.asked("fwc", bank.OpRefund, no) != 2 {
			t.Fatal("two refunds of one order need a minute between them")
		}
		r.pass(60 * s)
		o = r.order(no)
		if !o.FullyReversed() || r.banks["fwc"].Net(no) != 0 {
			t.Fatal(o.RefundedSum(), r.banks["fwc"].Net(no))
		}
		r.act(no, order.ActCancel, counter.CodeUseRefunds)
		r.judge(no)
		r.collect(r.request(fwcTill, o.Bill, 10000), counter.CodeCreated) // reversed whole: may be paid anew
	})
}

func TestSmartPayHasNoRefunds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(smartTill, 1200, wechat)
		r.refund(o.No, "RF1", 100, counter.CodeNoRefunds)
		r.judge(o.No)
	})
}

// TestWrongAmount: a platform that says paid with another amount decides
// nothing; a person must look.
func TestWrongAmount(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(fwcTill, 1295, wechat)
		o = r.becomes(o.No, order.InDoubt, 5*s) // the pay answer speaks of another amount too: dropped
		if o.Doubt != "amount_differs" || !r.alarmed("amount_differs") {
			t.Fatal(o.Doubt)
		}
		r.pass(2 * time.Hour)
		r.state(o.No, order.InDoubt)
		if r.asked("fwc", bank.OpCancel, o.No) != 0 {
			t.Fatal("an order that the platform says is paid is not canceled by itself")
		}
	})
}

func TestHandedCode(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		q := r.request(smartTill, "B1", 1200)
		q.AuthCode = platforms.Hide(wechat)
		o := r.collect(q, counter.CodeCreated)
		r.state(o.No, order.Paid)
		r.judge(o.No)
		q = r.request(smartTill, "B2", 1200)
		q.AuthCode = platforms.Hide(wechat)
		r.collect(q, counter.CodeUsed) // a code serves once
		q = r.request(smartTill, "B3", 1200)
		q.AuthCode = platforms.Hide("11010519491231002X") // 身份证
		r.collect(q, counter.CodeNotPayable)
		if r.ctl["smartpay"].Count(bank.OpCharge, "") != 1 {
			t.Fatal("a refused code was sent")
		}
	})
}

func TestTwoTillsOneBill(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.collect(r.request(smartTill, "B1", 1293), counter.CodeCreated)
		same := r.collect(r.request(fwcTill, "B1", 1293), counter.CodeExists)
		if same.No != o.No {
			t.Fatal("another order was made for an open bill")
		}
		r.collect(r.request(fwcTill, "B1", 1200), counter.CodeBillOpen)
		r.scan(fwcTill, wechat) // this till has nothing to be paid
		if r.note(fwcTill) != counter.NoteNotWaiting {
			t.Fatal(r.note(fwcTill))
		}
		r.collect(r.request(smartTill, "B2", 100), counter.CodeTillBusy)
		r.scan(smartTill, alipay)
		r.state(o.No, order.Paying)
		r.act(o.No, order.ActDetach, counter.CodeDone)
		r.collect(r.request(smartTill, "B2", 100), counter.CodeCreated) // the till is free
		r.becomes(o.No, order.Canceled, 60*s)                           // and the loop went on
		r.collect(r.request(fwcTill, "B1", 1200), counter.CodeCreated)
		r.judge(o.No)
	})
}

func TestWaitingEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.collect(r.request(smartTill, "B1", 1200), counter.CodeCreated)
		o = r.becomes(o.No, order.Canceled, 120*s)
		if o.EndReason != "no_scan" || !o.Unsent {
			t.Fatal(o.EndReason)
		}
		o = r.collect(r.request(smartTill, "B1", 1200), counter.CodeCreated)
		r.act(o.No, order.ActCancel, counter.CodeDone)
		r.state(o.No, order.Canceled)
		if r.ctl["smartpay"].Count(bank.OpCharge, "") != 0 || r.asked("smartpay", bank.OpQuery, o.No) != 0 {
			t.Fatal("nothing may be sent for an order that was never scanned")
		}
	})
}

// TestCodesThatCannotPay: refused with a word and without a call; the till
// goes on waiting for the right one.
func TestCodesThatCannotPay(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		q := r.request(smartTill, "B1", 1200)
		q.Channel = platforms.WeChat
		o := r.collect(q, counter.CodeCreated)
		for code, want := range map[string]string{alipay: counter.CodeWrongWallet, "11010519491231002X": "code_id_card",
			"https://pay.example/q": "code_merchant_qr", "6901234567892": "code_product", "1234": "code_digits"} {
			r.scan(smartTill, code)
			if r.note(smartTill) != want {
				t.Errorf("%s: %q", want, r.note(smartTill))
			}
			r.pass(4 * s)
		}
		r.state(o.No, order.Waiting)
		if r.ctl["smartpay"].Count(bank.OpCharge, "") != 0 {
			t.Fatal("sent")
		}
		r.scan(smartTill, wechat)
		r.state(o.No, order.Paid)
		r.judge(o.No)
		o = r.collect(r.request(smartTill, "B2", 1200), counter.CodeCreated)
		r.pass(4 * s)
		r.scan(smartTill, wechat)
		if r.note(smartTill) != counter.CodeUsed {
			t.Fatal(r.note(smartTill))
		}
		r.state(o.No, order.Waiting)
	})
}

// TestSameRequestTwice: HIS that repeats a request gets the same order.
func TestSameRequestTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		q := r.request(smartTill, "B1", 1200)
		o := r.collect(q, counter.CodeCreated)
		if again := r.collect(q, counter.CodeReplayed); again.No != o.No {
			t.Fatal("another order")
		}
		r.scan(smartTill, wechat)
		r.restart()
		if again := r.collect(q, counter.CodeReplayed); again.No != o.No || again.State() != order.Paid {
			t.Fatal(again.State())
		}
		other := q
		other.Body = platforms.Hide("other")
		r.collect(other, counter.CodeKeyMismatch)
		got, err := r.agent.Find("bill", "B1")
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		if _, err := r.agent.Collect(context.Background(), r.request("nowhere", "B1", 1)); err == nil {
			t.Fatal("a till that does not exist")
		}
	})
}
