package agent_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// expecting lets the rig's site expect HIS's word.
func expecting(r *rig) { r.cfg.Booking.Expect = true }

func yes(b bool) *bool { return &b }

// book is HIS's word about an order, and demands the reply.
func (r *rig) book(no string, b agent.Booking, want string) {
	r.t.Helper()
	got, err := r.agent.Book(context.Background(), no, b)
	if err != nil || got.Code != want {
		r.t.Fatalf("booking %+v: %q %v, want %q", b, got.Code, err, want)
	}
	synctest.Wait()
}

// paid takes a payment at a till whose payer pays at once.
func (r *rig) paid(till string) *order.Order {
	r.t.Helper()
	code := wechat
	if till == fwcTill {
		code = alipay
	}
	o := r.begun(till, 12_345, code)
	return r.ends(o.No, time.Minute)
}

func TestBookedByHIS(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		if o.State() != order.Paid || o.Booking == nil || o.Booking.State != order.BookPending {
			t.Fatalf("%s %+v", o.State(), o.Booking)
		}
		at := time.Now().Add(-time.Second)
		word := agent.Booking{Booked: true, FlowID: "F1", CostType: "门诊", MedicalCard: platforms.Hide("6217000011112222"), At: at,
			Operator: platforms.Operator{ID: "1001"}}
		r.book(o.No, word, counter.CodeDone)
		r.book(o.No, word, counter.CodeReplayed)
		other := word
		other.FlowID = "F2"
		r.book(o.No, other, counter.CodeDiffers)
		r.book(o.No, agent.Booking{Reason: "no"}, counter.CodeDiffers)
		r.pass(time.Hour)
		o = r.order(o.No)
		if b := o.Booking; b.State != order.BookBooked || b.FlowID != "F1" || b.CostType != "门诊" || b.At != at.UnixMilli() {
			t.Errorf("%+v", b)
		}
		if got := r.agent.MedicalCard(o).Reveal(); got != "6217000011112222" {
			t.Errorf("medical card %q", got)
		}
		if len(r.agent.Open()) > 0 {
			t.Errorf("%d orders are still open", len(r.agent.Open()))
		}
		r.judge(o.No)
		second := r.paid(smartTill)
		r.book(second.No, word, counter.CodeFlowUsed)
		r.restart()
		r.book(second.No, word, counter.CodeFlowUsed)
		r.book("NOSUCH", word, counter.CodeNotFound)
	}, expecting)
}

func TestHISSaysItFailed(t *testing.T) {
	for _, till := range []string{fwcTill, smartTill} {
		t.Run(till, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				o := r.paid(till)
				r.book(o.No, agent.Booking{Reason: "库存不足"}, counter.CodeDone)
				if s := r.order(o.No).SafeToTakeCash(r.agent.Platform(o.Platform).Policy, r.agent.Now()); s.Answer == order.Yes {
					t.Error("cash although nothing is back")
				}
				r.book(o.No, agent.Booking{Booked: true, FlowID: "F9"}, counter.CodeBookFailed)
				r.pass(time.Minute)
				o = r.state(o.No, order.Paid)
				if !o.FullyReversed() || !o.Refunds[0].Auto || o.Refunds[0].Via != order.ViaCancel || !r.alarmed(counter.AlarmReversing) {
					t.Fatalf("%+v", o.Refunds)
				}
				if s := o.SafeToTakeCash(r.agent.Platform(o.Platform).Policy, r.agent.Now()); s.Answer != order.Yes {
					t.Error("no cash although all is back")
				}
				r.judge(o.No)
				r.pass(time.Hour)
				if len(r.agent.Open()) > 0 {
					t.Error("it is still open")
				}
			}, expecting)
		})
	}
}

// TestReversalMeetsTrouble lets every kind of trouble meet every step of a
// reversal, and a restart or a reboot come at any moment: the money is given
// back once, whole.
func TestReversalMeetsTrouble(t *testing.T) {
	faults := []bank.Fault{bank.LoseRequest, bank.LoseReply, bank.HTTP500, bank.HTTP500After, bank.Garbage, bank.Slow, bank.WrongOrder, bank.Empty}
	moments := []time.Duration{0, time.Second, 14 * time.Second, 15 * time.Second, 16 * time.Second, 31 * time.Second}
	n := 0
	for _, till := range []string{fwcTill, smartTill} {
		for _, op := range []string{bank.OpQuery, bank.OpCancel, ""} {
			for _, f := range faults {
				n++
				when, reboot := moments[n%len(moments)], n%2 == 0
				t.Run(fmt.Sprint(till, op, f, when, reboot), func(t *testing.T) {
					inBubble(t, func(t *testing.T, r *rig) {
						o := r.paid(till)
						if op != "" {
							r.ctl[o.Platform].Inject(op, f)
						}
						r.book(o.No, agent.Booking{Reason: "no bed"}, counter.CodeDone)
						if when > 0 {
							r.pass(when)
						}
						if reboot {
							r.reboot()
						} else {
							r.restart()
						}
						r.pass(time.Hour)
						if o = r.order(o.No); o.Reversal().State == order.RefundInDoubt && till == smartTill && op == bank.OpCancel {
							// A second Revoke proves nothing there, and paid goes on being
							// said: only people can find out (wire.md §1.5).
							if !r.alarmed(counter.AlarmRefundDoubt) {
								t.Error("in doubt, and nobody was told")
							}
							if c := o.SafeToTakeCash(r.agent.Platform(o.Platform).Policy, r.agent.Now()); c.Answer != order.No {
								t.Errorf("cash: %+v", c)
							}
							r.resolve(o.No, order.RefundWas, o.Reversal().Request)
							o = r.order(o.No)
						}
						if !o.FullyReversed() || len(o.Refunds) != 1 {
							t.Fatalf("%+v", o.Refunds)
						}
						r.judge(o.No)
						if len(r.agent.Open()) > 0 {
							t.Error("it is still open")
						}
					}, expecting)
				})
			}
		}
	}
}

// TestReversalByRefund: where a cancel would be wrong, a refund with one number
// gives back what is left.
func TestReversalByRefund(t *testing.T) {
	check := func(t *testing.T, r *rig, no string, sum platforms.Fen, cancels int) {
		t.Helper()
		o := r.order(no)
		line := o.Reversal()
		if line == nil || line.Sum != sum || line.State != order.RefundDone || line.Via != order.ViaRefund || !o.FullyReversed() {
			t.Fatalf("%+v", o.Refunds)
		}
		if got := r.asked("fwc", bank.OpCancel, no); got != cancels {
			t.Errorf("%d cancels", got)
		}
		r.judge(no)
	}
	t.Run("a part was refunded", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			o := r.paid(fwcTill)
			r.refund(o.No, "R1", 345, counter.CodeAccepted)
			r.pass(10 * s)
			r.book(o.No, agent.Booking{}, counter.CodeDone)
			r.pass(2 * time.Minute)
			check(t, r, o.No, 12_000, 0)
		}, expecting)
	})
	t.Run("a refund is under way", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			o := r.paid(fwcTill)
			r.ctl["fwc"].Inject(bank.OpRefund, bank.LoseReply)
			r.refund(o.No, "R1", 345, counter.CodeAccepted)
			r.book(o.No, agent.Booking{}, counter.CodeDone)
			r.pass(3 * time.Minute)
			check(t, r, o.No, 12_000, 0)
		}, expecting)
	})
	t.Run("the cancel window is over", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			o := r.paid(fwcTill)
			r.pass(2 * time.Minute)
			r.book(o.No, agent.Booking{}, counter.CodeDone)
			r.restart()
			r.pass(2 * time.Minute)
			check(t, r, o.No, 12_345, 0)
		}, expecting, func(r *rig) {
			for i := range r.cfg.Platforms {
				r.cfg.Platforms[i].Policy.CancelWindow = time.Minute
			}
		})
	})
	t.Run("configured", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			o := r.paid(fwcTill)
			r.ctl["fwc"].Inject(bank.OpRefund, bank.LoseReply)
			r.book(o.No, agent.Booking{}, counter.CodeDone)
			r.pass(2 * time.Minute)
			check(t, r, o.No, 12_345, 0)
			// Its reply was lost; the query before the next try says that all is back.
			if n := r.asked("fwc", bank.OpRefund, o.No); n != 1 {
				t.Errorf("%d refund requests", n)
			}
		}, expecting, func(r *rig) { r.cfg.Booking.ReverseWith = config.ReverseRefund })
	})
}

// TestEveryRefundAsksFirst: always query, then refund (seed 004 §2.3).
func TestEveryRefundAsksFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		r.pass(time.Minute)
		asked := r.asked("fwc", bank.OpQuery, o.No)
		r.ctl["fwc"].Always(bank.OpQuery, bank.Garbage)
		r.refund(o.No, "R1", 345, counter.CodeAccepted)
		r.pass(time.Minute)
		if r.asked("fwc", bank.OpRefund, o.No) != 0 || !r.alarmed("refund_held") {
			t.Fatalf("%d refunds left although no query was answered; alarms %v", r.asked("fwc", bank.OpRefund, o.No), r.agent.Alarms())
		}
		r.ctl["fwc"].Always(bank.OpQuery, bank.NoFault)
		r.pass(2 * time.Minute)
		if r.asked("fwc", bank.OpQuery, o.No) <= asked || r.order(o.No).RefundedSum() != 345 {
			t.Fatalf("%+v", r.order(o.No).Refunds)
		}
		r.judge(o.No)
	})
}

func TestHISIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		begin := time.Now()
		paid := func(d time.Duration) { r.pass(d - time.Since(begin)) }
		paid(59 * s)
		if r.note(fwcTill) != "" {
			t.Errorf("note %q", r.note(fwcTill))
		}
		paid(61 * s)
		if r.note(fwcTill) != counter.NoteUnbooked || r.alarmed(counter.AlarmUnbooked) {
			t.Errorf("note %q", r.note(fwcTill))
		}
		if e := r.agent.SayNote(mustView(r, fwcTill)); e.Cashier.Empty() || e.Next.Empty() {
			t.Error("the cashier reads nothing")
		}
		paid(9 * time.Minute)
		r.reboot() // ages count from the start: nothing is done too early
		paid(15 * time.Minute)
		if !r.order(o.No).Booking.Prompted || r.alarmed(counter.AlarmUnbooked) {
			t.Errorf("%+v, alarms %v", r.order(o.No).Booking, r.agent.Alarms())
		}
		paid(19*time.Minute + 30*s)
		if !r.alarmed(counter.AlarmUnbooked) || len(r.agent.Open()) != 1 {
			t.Errorf("alarms %v, open %d", r.agent.Alarms(), len(r.agent.Open()))
		}
		paid(22 * time.Minute)
		if len(r.agent.Open()) != 0 {
			t.Error("memory keeps an order that nobody books")
		}
		paid(24 * time.Hour)
		if r.order(o.No).RefundClaims() != 0 || r.asked("fwc", bank.OpCancel, o.No) != 0 {
			t.Error("silence gave the money back")
		}
		r.book(o.No, agent.Booking{Booked: true, FlowID: "F1"}, counter.CodeDone)
		if r.order(o.No).Booking.State != order.BookBooked {
			t.Errorf("%+v", r.order(o.No).Booking)
		}
		r.judge(o.No)
	}, expecting)
}

func mustView(r *rig, till string) counter.View {
	v, _ := r.agent.View(till)
	return v
}

// TestSilenceAtAKiosk: decision 11 holds to the letter.
func TestSilenceAtAKiosk(t *testing.T) {
	kiosk := func(r *rig) {
		r.cfg.Booking.Expect = true
		for i := range r.cfg.Tills {
			r.cfg.Tills[i].ReverseOnSilence = r.cfg.Tills[i].Name == kioskTill
		}
	}
	up := func(r *rig, up bool) {
		r.agent.SetHisLink(context.Background(), up)
		synctest.Wait()
	}
	// known makes this HIS one that books.
	known := func(r *rig) {
		o := r.paid(fwcTill)
		r.book(o.No, agent.Booking{Booked: true, FlowID: "known"}, counter.CodeDone)
	}
	kind := func(r *rig, no string) []order.Kind {
		facts, err := r.agent.Facts(no)
		if err != nil {
			r.t.Fatal(err)
		}
		var list []order.Kind
		for _, f := range facts {
			list = append(list, f.Kind)
		}
		return list
	}
	pay := func(r *rig) *order.Order {
		o := r.collect(r.request(kioskTill, "BK", 5_000), counter.CodeCreated)
		r.pass(s)
		r.phone(o.No, bank.Payer{Channel: platforms.WeChat})
		return r.ends(o.No, time.Minute)
	}
	t.Run("all holds", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			known(r)
			r.restart() // it is known from the log
			up(r, true)
			r.pass(time.Minute)
			o := pay(r)
			r.pass(104 * s)
			if slices.Contains(kind(r, o.No), order.KindReversing) {
				t.Fatal("told too early")
			}
			r.pass(2 * s)
			if !slices.Contains(kind(r, o.No), order.KindReversing) || r.order(o.No).Reversal() != nil {
				t.Fatalf("not told first: %v", kind(r, o.No))
			}
			r.pass(20 * s)
			r.book(o.No, agent.Booking{Booked: true, FlowID: "late"}, counter.CodeBookLate)
			r.pass(time.Minute)
			if !r.order(o.No).FullyReversed() {
				t.Fatalf("%+v", r.order(o.No).Refunds)
			}
			r.book(o.No, agent.Booking{Booked: true, FlowID: "late"}, counter.CodeBookLate)
			r.judge(o.No)
		}, kiosk)
	})
	for name, c := range map[string]struct {
		known bool
		link  func(r *rig)
	}{
		"HIS never booked anything": {false, func(r *rig) { up(r, true) }},
		"the link is down":          {true, func(r *rig) {}},
		"the link went down":        {true, func(r *rig) { up(r, true); r.pass(30 * s); up(r, false) }},
		"it comes and goes": {true, func(r *rig) {
			for range 8 {
				up(r, true)
				r.pass(100 * s)
				up(r, false)
				r.pass(s)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				if c.known {
					known(r)
				}
				o := pay(r)
				c.link(r)
				r.pass(time.Hour)
				if r.order(o.No).Reversal() != nil {
					t.Error("the money went back on silence")
				}
				if !r.alarmed(counter.AlarmUnbooked) {
					t.Error("no alarm")
				}
			}, kiosk)
		})
	}
	t.Run("a counter never", func(t *testing.T) {
		inBubble(t, func(t *testing.T, r *rig) {
			known(r)
			up(r, true)
			o := r.paid(smartTill)
			r.pass(time.Hour)
			if r.order(o.No).Reversal() != nil {
				t.Error("a counter's money went back on silence")
			}
		}, kiosk)
	})
}

// TestInsuranceSplit: HIS took one part only. People decide (PAY-17).
func TestInsuranceSplit(t *testing.T) {
	for name, way := range map[string]func(r *rig, no string){
		"booked after all": func(r *rig, no string) {
			r.book(no, agent.Booking{Booked: true, FlowID: "F1", InsuranceTaken: yes(true), CashTaken: yes(true)}, counter.CodeDone)
		},
		"HIS undid both": func(r *rig, no string) {
			r.book(no, agent.Booking{InsuranceTaken: yes(false), CashTaken: yes(false)}, counter.CodeDone)
		},
		"refunded":                 func(r *rig, no string) { r.refund(no, "R1", 12_345, counter.CodeAccepted) },
		"two people: it counts":    func(r *rig, no string) { r.resolve(no, order.Paid, "") },
		"two people: it goes back": func(r *rig, no string) { r.resolve(no, order.Canceled, "") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				o := r.paid(fwcTill)
				word := agent.Booking{Reason: "cash failed", InsuranceTaken: yes(true), CashTaken: yes(false)}
				r.book(o.No, word, counter.CodeDone)
				r.book(o.No, word, counter.CodeReplayed)
				r.pass(time.Hour)
				r.restart()
				if r.order(o.No).RefundClaims() != 0 || !r.alarmed(counter.AlarmSplit) || r.note(fwcTill) == counter.NoteUnbooked {
					t.Fatalf("alarms %v", r.agent.Alarms())
				}
				way(r, o.No)
				r.pass(time.Hour)
				r.judge(o.No)
				o = r.order(o.No)
				if gone := name != "booked after all" && name != "two people: it counts"; o.FullyReversed() != gone || !o.Settled() {
					t.Errorf("%+v %+v", o.Booking, o.Refunds)
				}
				if len(r.agent.Open()) > 0 {
					t.Error("it is still open")
				}
			}, expecting)
		})
	}
}

// resolve lets two people say how something in doubt ended.
func (r *rig) resolve(no string, outcome order.State, refund string) {
	r.t.Helper()
	ctx := context.Background()
	one, two := platforms.Operator{ID: "3001"}, platforms.Operator{ID: "3002"}
	got, err := r.agent.ProposeResolution(ctx, no, agent.Resolution{Outcome: outcome, Refund: refund, TradeNo: "T-seen", Evidence: "statement line 7",
		Reason: "looked it up", Operator: one})
	if err != nil || got.Code != counter.CodeAccepted {
		r.t.Fatal(got.Code, err)
	}
	// What waits for the second person is not exchanged under their eyes.
	if got, err := r.agent.ProposeResolution(ctx, no, agent.Resolution{Outcome: outcome, Refund: refund, Evidence: "another line", Reason: "no", Operator: one}); err != nil || got.Code != counter.CodeProposed {
		r.t.Fatal(got.Code, err)
	}
	if got, err := r.agent.ConfirmResolution(ctx, no, one, true, ""); err != nil || got.Code != counter.CodeSamePerson {
		r.t.Fatal(got.Code, err)
	}
	if got, err := r.agent.ConfirmResolution(ctx, no, two, true, "seen"); err != nil || got.Code != counter.CodeDone {
		r.t.Fatal(got.Code, err)
	}
	synctest.Wait()
}
