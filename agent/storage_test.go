package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/queue"
)

// TestStoreFails: after a storage error the agent ends with the reason, says
// so to whoever asks, and sends nothing more.
func TestStoreFails(t *testing.T) {
	var b *breaker
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.collect(r.request(fwcTill, "B1", 1293), counter.CodeCreated)
		waiting := r.begun(smartTill, 1293, alipay)
		b.at, b.how = b.writes.Load()+1, notWritten
		r.scan(fwcTill, wechat)
		before := r.sent()
		if len(r.ended) != 1 {
			t.Fatal("the agent goes on after a storage error")
		}
		if _, err := r.agent.Collect(context.Background(), r.request(kioskTill, "B2", 1)); !errors.Is(err, agent.ErrStopped) {
			t.Fatal(err)
		}
		if ok, why := r.agent.Ready(); ok || why[0] != "store_stopped" {
			t.Fatal(why)
		}
		r.pass(90 * s)
		if r.sent() != before {
			t.Fatal("something left after the storage error")
		}
		if err := r.close(); !errors.Is(err, errDisk) || !strings.HasPrefix(err.Error(), "cannot go on") {
			t.Fatal(err)
		}
		r.open()
		r.state(o.No, order.Waiting) // its code was never sent
		r.scan(fwcTill, alipay)
		r.pass(20 * time.Minute)
		r.judge(o.No)
		r.judge(waiting.No)
	}, func(r *rig) {
		b = &breaker{}
		r.wrap = func(l queue.Log) queue.Log { b.Log = l; b.broken.Store(false); return b }
	})
}

// TestStoreLost: the log is destroyed, the second file is not. Every order
// that something had been sent for is in doubt, with an alarm, and resolved by
// asking the platform; refunds under way included.
func TestStoreLost(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		paid := r.begun(fwcTill, 1000, wechat)
		r.ctl["fwc"].Always(bank.OpRefund, bank.LoseRequest)
		r.refund(paid.No, "RF1", 400, counter.CodeAccepted)
		pending := r.begun(smartTill, 1290, alipay)
		qr := r.collect(r.request(kioskTill, "B3", 1200), counter.CodeCreated)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		db := filepath.Join(r.dir, "store", "orders.db")
		if err := os.WriteFile(db, []byte("this is not a store"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.ctl["fwc"].Always(bank.OpRefund, bank.NoFault)
		r.open()
		if !r.report.Damaged || len(r.report.SetAside) == 0 || !r.alarmed(counter.AlarmStoreLost) {
			t.Fatalf("%+v", r.report)
		}
		r.pass(25 * s)
		for _, no := range []string{pending.No, paid.No} {
			o := r.state(no, order.Paid)
			if o.Amount == 0 || o.Doubt != "store_lost" {
				t.Fatal(o.Amount, o.Doubt)
			}
		}
		o := r.order(paid.No)
		if o.RefundedSum() != 400 || r.banks["fwc"].Net(paid.No) != 600 {
			t.Fatal("the refund under way was lost:", o.RefundedSum(), r.banks["fwc"].Net(paid.No))
		}
		r.pass(20 * time.Minute) // nobody can see that QR: it is closed
		r.state(qr.No, order.Canceled)
		for _, no := range []string{pending.No, paid.No, qr.No} {
			r.judge(no)
		}
	}, byNumber)
}

// TestDiskLow: new orders are refused with the reason, open ones finish.
func TestDiskLow(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(smartTill, 1290, wechat)
		r.diskLow.Store(true)
		r.pass(2 * s)
		r.collect(r.request(fwcTill, "B2", 1200), counter.CodeDiskLow)
		q := r.request(kioskTill, "B3", 1200)
		q.WhenOffline = "queue"
		r.collect(q, counter.CodeDiskLow)
		if ok, why := r.agent.Ready(); ok || why[0] != "disk_low" {
			t.Fatal(why)
		}
		if r.ctl["fwc"].Count(bank.OpCharge, "")+r.ctl["fwc"].Count(bank.OpPresent, "") != 0 {
			t.Fatal("something was sent for a refused order")
		}
		r.becomes(o.No, order.Paid, 20*s)
		r.diskLow.Store(false)
		r.pass(2 * s)
		o = r.begun(fwcTill, 1200, alipay)
		r.state(o.No, order.Paid)
		r.judge(o.No)
	})
}

// TestLongNames: the longest names and numbers that are accepted anywhere fit
// into the few bytes of a slot, and are whole again after the log is lost.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("p", 32)
	inBubble(t, func(t *testing.T, r *rig) {
		q := r.request(smartTill, "B1", 99999993)
		q.OrderNo = strings.Repeat("N", 32)
		o := r.collect(q, counter.CodeCreated)
		r.scan(smartTill, wechat)
		r.pass(20 * s)
		r.ctl["smartpay"].Always(bank.OpCancel, bank.LoseRequest)
		r.act(o.No, order.ActCancel, counter.CodeAccepted)
		q = r.request(fwcTill, "B2", 99999900)
		q.OrderNo = strings.Repeat("M", 32)
		paid := r.collect(q, counter.CodeCreated)
		r.scan(fwcTill, alipay)
		r.state(paid.No, order.Paid)
		r.ctl["fwc"].Always(bank.OpRefund, bank.LoseRequest)
		r.refund(paid.No, strings.Repeat("R", 32), 99999900, counter.CodeAccepted)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, "store", "orders.db"), []byte("no"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.ctl["smartpay"].Always(bank.OpCancel, bank.NoFault)
		r.ctl["fwc"].Always(bank.OpRefund, bank.NoFault)
		r.open()
		r.pass(10 * time.Minute)
		if got := r.state(paid.No, order.Paid); got.Platform != "fwc" || got.Merchant.Profile != long[:31]+"2" || got.RefundedSum() != 99999900 {
			t.Fatalf("%+v", got)
		}
		r.judge(paid.No)
		if got := r.ends(o.No, time.Hour); got.Platform != "smartpay" || got.Merchant.Code != "M0001" {
			t.Fatalf("%+v", got.Merchant)
		}
		r.judge(o.No)
	}, func(r *rig) {
		for i := range r.cfg.Merchants {
			name := long[:31] + fmt.Sprint(i+1)
			for j := range r.cfg.Routes {
				if r.cfg.Routes[j].Merchant == r.cfg.Merchants[i].Profile {
					r.cfg.Routes[j].Merchant = name
				}
			}
			r.cfg.Merchants[i].Profile = name
		}
	})
}

// TestManyDetails: a request that is too big for one record is refused with
// the field; it does not take the store down.
func TestManyDetails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		q := r.request(fwcTill, "B1", 1200)
		for range 400 {
			q.Details = append(q.Details, platforms.Detail{GoodsID: "1", GoodsName: strings.Repeat("药", 40), PriceFen: 3, Quantity: "1"})
		}
		var bad *platforms.FieldError
		if _, err := r.agent.Collect(context.Background(), q); !errors.As(err, &bad) || bad.Field != "details" {
			t.Fatal(err)
		}
		q.Details = q.Details[:100]
		o := r.collect(q, counter.CodeCreated)
		if got := r.agent.Private(r.order(o.No)); len(got.Details) != 100 {
			t.Fatal(len(got.Details))
		}
	})
}

// TestStartWithMany: hundreds of open orders are taken up in one step, which
// must not be too much for the store.
func TestStartWithMany(t *testing.T) {
	const n = 300
	inBubble(t, func(t *testing.T, r *rig) {
		var all []*order.Order
		for i := range n {
			q := r.request(fwcTill, fmt.Sprintf("B%d", i), 1290)
			q.AuthCode = platforms.Hide(fmt.Sprintf("13456789012345%04d", i))
			o := r.collect(q, counter.CodeCreated)
			r.act(o.No, order.ActCancel, counter.CodeAccepted)
			r.act(o.No, order.ActDetach, counter.CodeDone)
			all = append(all, o)
		}
		r.pass(14 * s)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Hour)
		r.open()
		r.pass(11 * time.Minute)
		for _, o := range all {
			r.judge(o.No)
		}
	})
}
