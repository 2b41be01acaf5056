package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/queue"
)

// How the agent ends at its n-th write.
const (
	notWritten   = "the write fails and nothing is on disk"
	writtenMute  = "the write is on disk and nobody is told"
	powerCut     = "the write is on disk, and the machine starts again"
	stopped      = "the write is done and the service is stopped"
	stoppedOther = "the service is stopped and its machine starts again"
	killed       = "the process is killed" // at a moment that is no write: see breaker.kill
)

var errDisk = errors.New("cannot write: the disk is gone")

// breaker is a store that ends the agent at its n-th write.
type breaker struct {
	queue.Log
	at     int64
	how    string
	writes atomic.Int64
	broken atomic.Bool
	stop   func()
}

// kill ends the agent now: nothing it still does reaches the disk.
func (b *breaker) kill() {
	b.broken.Store(true)
	b.stop()
}

func (b *breaker) Append(ctx context.Context, batch queue.Batch) (queue.Seq, error) {
	if b.broken.Load() {
		return 0, queue.ErrStopped
	}
	if n := b.writes.Add(1); b.at == 0 || n != b.at {
		return b.Log.Append(ctx, batch)
	}
	switch b.how {
	case notWritten:
		b.broken.Store(true)
		return 0, errDisk
	case writtenMute, powerCut:
		b.broken.Store(true)
		if _, err := b.Log.Append(ctx, batch); err != nil {
			return 0, err
		}
		return 0, errDisk
	}
	seq, err := b.Log.Append(ctx, batch)
	b.stop()
	return seq, err
}

// flow is one payment with everybody who takes part in it, who go on when the
// agent comes back.
type flow struct {
	name   string
	till   string
	amount platforms.Fen
	payer  *bank.Payer   // who reads the QR
	cancel time.Duration // when somebody presses 撤销
	refund platforms.Fen
	queued bool // asked for while the platform is away
	want   order.State
}

func canonical() []flow {
	return []flow{
		{name: "SmartPay, password", till: smartTill, amount: 1290, want: order.Paid},
		{name: "SmartPay, reply lost, paid", till: smartTill, amount: 1291, want: order.Paid},
		{name: "SmartPay, never pays", till: smartTill, amount: 1293, want: order.Canceled},
		{name: "FWC, at once", till: fwcTill, amount: 1200, want: order.Paid},
		{name: "FWC, reply lost, paid", till: fwcTill, amount: 1291, want: order.Paid},
		{name: "FWC, canceled early", till: fwcTill, amount: 1293, cancel: 3 * s, want: order.Canceled},
		{name: "FWC, refused for want of money", till: fwcTill, amount: 1294, want: order.Canceled},
		{name: "FWC, refund", till: fwcTill, amount: 1200, refund: 500, want: order.Paid},
		{name: "kiosk, paid", till: kioskTill, amount: 1200, payer: &bank.Payer{PayAfter: 12 * s}, want: order.Paid},
		{name: "kiosk, nobody", till: kioskTill, amount: 1200, want: order.Canceled},
		{name: "queued, then paid", till: fwcTill, amount: 1200, queued: true, want: order.Paid},
	}
}

// TestRestartEverywhere ends the agent at every write of every flow, in every
// way, and starts it again: nothing is lost, nobody pays twice, everything
// comes to its end.
func TestRestartEverywhere(t *testing.T) {
	runs := 0
	for _, f := range canonical() {
		t.Run(f.name, func(t *testing.T) {
			total := f.run(t, 0, "")
			if total < 3 {
				t.Fatalf("only %d writes", total)
			}
			for n := int64(1); n <= total; n++ {
				for _, how := range []string{notWritten, writtenMute, powerCut, stopped, stoppedOther} {
					if testing.Short() && n%3 != int64(len(how))%3 {
						continue
					}
					runs++
					f.run(t, n, how)
				}
			}
		})
	}
	t.Logf("%d runs over %d flows", runs, len(canonical()))
}

// run plays the flow once and gives the number of writes it took.
func (f flow) run(t *testing.T, at int64, how string) int64 {
	t.Helper()
	var b *breaker
	inBubble(t, func(t *testing.T, r *rig) {
		t.Helper()
		defer func() {
			if t.Failed() {
				t.Logf("ended at write %d: %s", at, how)
			}
		}()
		f.play(t, r, b)
	}, byNumber, func(r *rig) {
		b = &breaker{at: at, how: how, stop: func() { r.stop() }}
		r.wrap = func(l queue.Log) queue.Log {
			b.Log = l
			b.broken.Store(false)
			return b
		}
	})
	return b.writes.Load()
}

// revived starts the agent again if it ended, and says whether it had.
func (r *rig) revived(b *breaker) bool {
	r.t.Helper()
	synctest.Wait()
	if len(r.ended) == 0 {
		return false
	}
	err := r.close()
	if failed := b.how != stopped && b.how != stoppedOther; b.how != killed && failed != errors.Is(err, errDisk) {
		r.t.Fatalf("Run gave %v", err)
	}
	if b.how == powerCut || b.how == stoppedOther {
		r.newBoot()
	}
	r.intentsFirst()
	r.open()
	return true
}

// intentsFirst demands of the disk, with no agent running, that whatever the
// platforms were asked to do had been written before (invariant I3).
func (r *rig) intentsFirst() {
	r.t.Helper()
	store, _, err := openStore(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	defer store.Close()
	for name, b := range r.banks {
		for _, trade := range b.Trades() {
			facts, err := agent.ReadFacts(store, trade.OrderNo)
			if err != nil {
				r.t.Fatal(err)
			}
			sent := map[order.Verb]bool{}
			for _, f := range facts {
				if f.Sent != nil {
					sent[f.Sent.Verb] = true
				}
			}
			for verb, op := range map[order.Verb]string{order.VerbCharge: bank.OpCharge, order.VerbPresent: bank.OpPresent,
				order.VerbCancel: bank.OpCancel, order.VerbRefund: bank.OpRefund} {
				if r.asked(name, op, trade.OrderNo) > 0 && !sent[verb] {
					r.t.Fatalf("a %s of order %s left before it was on disk", op, trade.OrderNo)
				}
			}
		}
	}
}

func (f flow) play(t *testing.T, r *rig, b *breaker) {
	t.Helper()
	q := r.request(f.till, "B1", f.amount)
	if f.queued {
		q.WhenOffline = "queue"
		r.lines["fwc"].cut.Store(true)
		r.pass(62 * s)
	}
	no := ""
	for no == "" {
		got, err := r.agent.Collect(context.Background(), q)
		if !r.revived(b) && err != nil {
			t.Fatal(err)
		}
		if f.queued {
			r.pass(2 * s) // a new process needs a moment to find the outage again
		}
		if err == nil && got.Order != nil {
			no = got.Order.No
		}
	}
	begun, codes, phoned, refunding := r.clock(), 0, false, f.refund > 0
	for r.clock() < begun+time.Hour {
		r.revived(b)
		o := r.order(no)
		if o.State() == order.Failed && o.EndReason == "nothing_sent" {
			break // the code or the QR was gone with the process: HIS asks again
		}
		if o.State().Final() && !refunding {
			break
		}
		v, _ := r.agent.View(f.till)
		switch {
		case o.State() == order.Queued:
			r.lines["fwc"].cut.Store(false)
			if v.Online {
				_, _ = r.agent.Act(context.Background(), no, order.ActConfirm, platforms.Operator{}, "")
			}
		case v.Armed:
			codes++
			r.scan(f.till, fmt.Sprintf("13456789012345%04d", codes))
		case o.QR != "" && f.payer != nil && !phoned:
			phoned = true
			r.phone(no, *f.payer)
		case f.cancel > 0 && r.clock() >= begun+f.cancel && o.CancelAsked == nil && !o.State().Final():
			_, _ = r.agent.Act(context.Background(), no, order.ActCancel, platforms.Operator{}, "")
		case o.State() == order.Paid && len(o.Refunds) == 0:
			_, _ = r.agent.Refund(context.Background(), no, agent.RefundRequest{Request: "RF1", Sum: f.refund, Operator: platforms.Operator{ID: "1"}})
		case o.State() == order.Paid && o.Refunds[0].State.Final():
			refunding = false
		}
		r.revived(b)
		r.pass(s)
	}
	r.pass(11 * time.Minute)
	r.revived(b)
	r.judge(no)
	o := r.order(no)
	if b.at == 0 && o.State() != f.want {
		t.Fatalf("undisturbed it is %s (%s), want %s", o.State(), o.EndReason, f.want)
	}
	if f.refund > 0 && o.State() == order.Paid && o.RefundedSum() != f.refund {
		t.Fatalf("given back %v, want %v", o.RefundedSum(), f.refund)
	}
	for name, bk := range r.banks {
		for _, trade := range bk.Trades() {
			if trade.OrderNo != no {
				t.Fatalf("%s knows of another order %s", name, trade.OrderNo)
			}
		}
	}
	if _, err := r.agent.Find(agent.ByBill, "B1"); err != nil {
		t.Fatal(err)
	}
	if b.at == 0 && strings.Contains(r.logged(), "level=ERROR") {
		t.Fatal("an undisturbed run logs an error")
	}
	if got, err := r.agent.Collect(context.Background(), q); b.at == 0 && (err != nil || got.Code != counter.CodeReplayed) {
		t.Fatal(got.Code, err)
	}
}
