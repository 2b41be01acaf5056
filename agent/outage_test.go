package agent_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// cut breaks the cable to FWC and lets the agent find out.
func (r *rig) cut() {
	r.t.Helper()
	r.lines["fwc"].cut.Store(true)
	r.pass(62 * s) // an idle platform is probed every minute, and again a second later
	if ok, why := r.agent.Ready(); ok || !slices.Contains(why, "platform_unreachable:fwc") {
		r.t.Fatal("the outage was not found:", why)
	}
}

// heal mends the cable; the probe finds out.
func (r *rig) heal() {
	r.lines["fwc"].cut.Store(false)
	r.pass(61 * s)
	if ok, why := r.agent.Ready(); !ok {
		r.t.Fatal("the end of the outage was not found:", why)
	}
}

// TestPlatformDown: a new code payment is refused in no time at all, with the
// reason; the other platform goes on.
func TestPlatformDown(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.cut()
		before := r.clock()
		r.collect(r.request(fwcTill, "B1", 1200), counter.CodeUnreachable)
		if took := r.clock() - before; took >= time.Second {
			t.Fatalf("refused after %v", took)
		}
		o := r.begun(smartTill, 1200, wechat)
		r.state(o.No, order.Paid)
		r.heal()
		o = r.begun(fwcTill, 1200, alipay)
		r.state(o.No, order.Paid)
		r.judge(o.No)
	})
}

// TestDownUnknown: nobody knew of the outage; the dial tells. Nothing left, so
// the order ends at once, and the next one is refused at once.
func TestDownUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lines["fwc"].cut.Store(true)
		o := r.begun(fwcTill, 1200, wechat)
		o = r.state(o.No, order.Failed)
		if o.EndReason != "not_sent" || !o.Unsent || o.SafeToTakeCash(order.DefaultPolicy(), r.Now()).Answer != order.Yes {
			t.Fatal(o.EndReason)
		}
		r.collect(r.request(fwcTill, "B2", 1200), counter.CodeUnreachable)
		r.judge(o.No)
	})
}

// TestDownInTheMiddle: the outage comes while an order is open. It stays open
// and is resolved when the platform is back, by what the payer did.
func TestDownInTheMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		amount platforms.Fen
		want   order.State
	}{"paid meanwhile": {1290, order.Paid}, "never paid": {1293, order.Canceled}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				o := r.begun(fwcTill, c.amount, wechat)
				r.at(7 * s)
				r.lines["fwc"].cut.Store(true)
				r.pass(10 * time.Minute)
				if got := r.order(o.No); got.State() != order.InDoubt || !r.alarmed(counter.AlarmDoubt) {
					t.Fatal(got.State())
				}
				r.lines["fwc"].cut.Store(false)
				r.pass(15 * s)
				r.state(o.No, c.want)
				r.judge(o.No)
			})
		})
	}
}

// TestScanWhileDown: a code that is read while the platform is away is
// dropped, never kept; the payer shows a fresh one later.
func TestScanWhileDown(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.collect(r.request(fwcTill, "B1", 1200), counter.CodeCreated)
		r.lines["fwc"].cut.Store(true)
		r.pass(62 * s)
		r.scan(fwcTill, wechat)
		if r.note(fwcTill) != counter.NoteOffline {
			t.Fatal(r.note(fwcTill))
		}
		r.lines["fwc"].cut.Store(false)
		r.pass(12 * s)
		r.state(o.No, order.Waiting)
		if r.asked("fwc", bank.OpCharge, o.No) != 0 {
			t.Fatal("a code read during the outage was sent after it")
		}
		r.scan(fwcTill, alipay)
		r.state(o.No, order.Paid)
		r.judge(o.No)
	})
}

// TestQueued: accepted while the platform is away, nothing sent; announced,
// confirmed and paid when it is back, at a counter and at a kiosk.
func TestQueued(t *testing.T) {
	for _, till := range []string{fwcTill, kioskTill} {
		t.Run(till, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.cut()
				q := r.request(till, "B1", 1200)
				q.WhenOffline = "queue"
				o := r.collect(q, counter.CodeQueued)
				r.state(o.No, order.Queued)
				v, _ := r.agent.View(till)
				if v.Online || v.Queued != 1 || v.Armed {
					t.Fatalf("the till does not say that it waits: %+v", v)
				}
				r.act(o.No, order.ActConfirm, counter.CodeUnreachable)
				r.restart()
				r.state(o.No, order.Queued)
				r.pass(5 * s)
				r.heal()
				if v, _ = r.agent.View(till); !v.Online || v.Queued != 1 || v.Order == nil || v.Order.No != o.No {
					t.Fatalf("the till does not announce it: %+v", v)
				}
				r.state(o.No, order.Queued) // a person says go
				r.act(o.No, order.ActConfirm, counter.CodeDone)
				if till == kioskTill {
					r.phone(o.No, bank.Payer{})
					r.pass(5 * s)
				} else {
					r.scan(till, wechat)
				}
				r.state(o.No, order.Paid)
				r.judge(o.No)
			})
		})
	}
}

// TestQueuedExpires: one that nobody confirms ends in time and without a call.
func TestQueuedExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.cut()
		q := r.request(fwcTill, "B1", 1200)
		q.WhenOffline, q.ValidFor = "queue", 5*time.Minute
		o := r.collect(q, counter.CodeQueued)
		q = r.request(kioskTill, "B2", 1200) // a kiosk queues by itself, for its own time
		second := r.collect(q, counter.CodeQueued)
		begun := r.clock()
		o = r.becomes(o.No, order.Canceled, begun+5*time.Minute)
		if o.EndReason != "offline_expired" || !o.Unsent {
			t.Fatal(o.EndReason)
		}
		r.becomes(second.No, order.Canceled, begun+10*time.Minute)
		for _, op := range []string{bank.OpCharge, bank.OpPresent, bank.OpCancel} {
			if r.ctl["fwc"].Count(op, "") != 0 {
				t.Fatal(op, "was sent for an order that never began")
			}
		}
	})
}

// TestToken: a refused token refuses new orders with the reason and fails
// readiness; open orders stay; a new one counts without a restart.
func TestToken(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		open := r.begun(fwcTill, 1290, wechat)
		r.token.Store("another-token-that-the-platform-wants")
		r.at(6 * s)
		if ok, why := r.agent.Ready(); ok || !slices.Contains(why, "token_refused:selfservice") {
			t.Fatal(why)
		}
		if !r.alarmed(counter.AlarmTokenRefused) {
			t.Fatal("no alarm")
		}
		r.state(open.No, order.Paying)
		r.collect(r.request(kioskTill, "B2", 1200), counter.CodeTokenRefused)
		r.pass(30 * s)
		if s := r.order(open.No).State(); s.Final() {
			t.Fatalf("an open order ended %s on a refused token", s)
		}
		r.writeToken("another-token-that-the-platform-wants")
		r.pass(2 * s)
		if ok, why := r.agent.Ready(); !ok {
			t.Fatal("the new token was not taken up:", why)
		}
		o := r.collect(r.request(kioskTill, "B2", 1200), counter.CodeCreated)
		r.phone(o.No, bank.Payer{})
		r.pass(20 * s)
		r.state(open.No, order.Paid)
		r.state(o.No, order.Paid)
		r.judge(open.No)
		r.judge(o.No)
	})
}

// TestTokenRefusedAtPay: the refusal proves that nothing was charged. The file
// had been renewed while the call was under way: the new token is taken up all
// the same, since what was refused is the old one.
func TestTokenRefusedAtPay(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.token.Store("another-token-that-the-platform-wants")
		o := r.begun(fwcTill, 1200, wechat)
		r.writeToken("another-token-that-the-platform-wants") // before any look at the file
		o = r.state(o.No, order.Failed)
		if o.EndReason != "token_refused" || r.banks["fwc"].PayRequests(o.No) != 0 {
			t.Fatal(o.EndReason)
		}
		r.pass(2 * s)
		o = r.begun(fwcTill, 1200, alipay)
		r.state(o.No, order.Paid)
		r.judge(o.No)
	})
}

// TestStopWithManyCalls: an agent with many calls under way stops at once, and
// the next start brings every one of them to its end.
func TestStopWithManyCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const n = 300
		var all []*order.Order
		for i := range n {
			q := r.request(fwcTill, fmt.Sprintf("B%d", i), 1200)
			q.AuthCode = platforms.Hide(fmt.Sprintf("13456789012345%04d", i))
			r.ctl["fwc"].Inject(bank.OpCharge, bank.Slow)
			o := r.collect(q, counter.CodeCreated)
			r.act(o.No, order.ActDetach, counter.CodeDone)
			all = append(all, o)
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		r.open()
		r.pass(70 * s)
		for _, o := range all {
			r.state(o.No, order.Paid)
			r.judge(o.No)
		}
	})
}

// TestEightHoursAway: hundreds of orders, cancels, refunds and events wait for
// a platform that is away for 8 hours. Each ends exactly once, refunds of one
// order in the order in which they were asked for, and a reader of the events
// sees every one, in order, without a gap.
func TestEightHoursAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const each = 170
		var paid, asked, queued []*order.Order
		begin := func(i int, kind string, amount platforms.Fen) *order.Order {
			q := r.request(fwcTill, fmt.Sprintf("%s-%d", kind, i), amount)
			q.AuthCode = platforms.Hide(fmt.Sprintf("13%c567890123456%03d", kind[0]%10+'0', i))
			o := r.collect(q, counter.CodeCreated)
			r.act(o.No, order.ActDetach, counter.CodeDone)
			return o
		}
		for i := range each {
			paid = append(paid, begin(i, "refund", 1000))
			r.state(paid[i].No, order.Paid)
		}
		for i := range each { // half of them will have been paid behind our back
			amount := platforms.Fen(1290)
			if i%2 == 0 {
				amount = 1293
			}
			asked = append(asked, begin(i, "open", amount))
		}
		r.lines["fwc"].cut.Store(true)
		for i := range each {
			r.act(asked[i].No, order.ActCancel, counter.CodeAccepted)
			for _, part := range []string{"A", "B"} {
				got, err := r.agent.Refund(t.Context(), paid[i].No, agent.RefundRequest{Request: fmt.Sprintf("R%03d%s", i, part), Sum: 400,
					Operator: platforms.Operator{ID: "3003"}})
				if err != nil || got.Code != counter.CodeAccepted {
					t.Fatal(got.Code, err)
				}
			}
		}
		r.pass(62 * s)
		for i := range each {
			q := r.request(kioskTill, fmt.Sprintf("queued-%d", i), 1200)
			q.ValidFor = 20 * time.Hour
			queued = append(queued, r.collect(q, counter.CodeQueued))
		}
		left := r.lines["fwc"].sent.Load()
		r.pass(4 * time.Hour)
		r.restart()
		r.pass(4 * time.Hour)
		if r.lines["fwc"].sent.Load() != left {
			t.Fatal("something left through a cut cable")
		}
		r.lines["fwc"].cut.Store(false)
		r.pass(5 * time.Minute)
		for i := range each {
			r.judge(asked[i].No)
			r.judge(paid[i].No)
			o := r.order(paid[i].No)
			if o.RefundedSum() != 800 || o.Refunds[0].EndedAt.Mono >= o.Refunds[1].EndedAt.Mono {
				t.Fatalf("refunds of order %d: %v", i, o.RefundedSum())
			}
			r.state(queued[i].No, order.Queued)
			r.act(queued[i].No, order.ActConfirm, counter.CodeDone)
			r.phone(queued[i].No, bank.Payer{})
			r.pass(5 * s)
			r.state(queued[i].No, order.Paid)
			r.judge(queued[i].No)
		}
		r.oneEndEach()
	})
}

// oneEndEach reads the whole event log as a client would: numbers that grow,
// where only notes are passed over, and every order ends once.
func (r *rig) oneEndEach() {
	r.t.Helper()
	ends, seq := map[string]int{}, uint64(0)
	was := map[string]bool{}
	for seq < r.agent.LastEvent() {
		list, _, err := r.agent.Events(seq, 256)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(list) == 0 { // what is left is notes
			list = append(list, agent.Event{Seq: r.agent.LastEvent() + 1})
		}
		for _, e := range list {
			if notes, _, _, err := r.agent.Notes(agent.NoteAlarm, seq, int(e.Seq-seq-1)); err != nil || len(notes) != int(e.Seq-seq-1) {
				r.t.Fatalf("event %d follows %d with %d notes between: %v", e.Seq, seq, len(notes), err)
			}
			if seq = e.Seq; e.Order == nil {
				break
			}
			if final := e.Order.State().Final(); final && !was[e.Order.No] {
				was[e.Order.No] = true
				ends[e.Order.No]++
			} else if was[e.Order.No] && !final {
				r.t.Fatalf("order %s came back from its end", e.Order.No)
			}
		}
	}
	for no, n := range ends {
		if n != 1 {
			r.t.Fatalf("order %s ended %d times", no, n)
		}
	}
}
