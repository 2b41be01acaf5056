package sim

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// TestEightHourCut cuts both platforms for eight hours while five hundred
// orders are open, being canceled or refunded: each ends exactly once, and what
// waited leaves oldest first on each platform.
func TestEightHourCut(t *testing.T) {
	const orders = 500
	from, to := t0+2*time.Hour, t0+10*time.Hour
	p := Plan{Seed: 8, Heal: to + time.Second, SPLookup: true, SPProven: true, SP2After: true}
	p.FWCCuts = []Span{{From: from, To: to, lag: 5 * time.Second}}
	p.SPCuts = []Span{{From: from, To: to, lag: 6 * time.Second}}
	for i := range orders {
		b := Bill{No: "B" + strconv.Itoa(1000+i), Till: []string{"w1", "w2"}[i%2], Platform: []string{"fwc", "sp"}[i/2%2],
			Wallet: platforms.Alipay, Amount: platforms.Fen(1000 + i), React: time.Second, At: t0 + time.Second + time.Duration(i/2)*28*time.Second}
		switch {
		case b.At > from-3*time.Minute: // open when the cut begins
			b.At = from - 3*time.Second
		case i%5 == 0: // paid before, and a refund is asked for during the cut
			b.Platform = "fwc"
			b.Returns = []Return{{After: from - b.At + time.Duration(i)*10*time.Second, Sum: 100}, {After: from - b.At + time.Duration(i)*10*time.Second + time.Hour, Sum: 200}}
		}
		p.Bills = append(p.Bills, b)
	}
	w := newWorld(p)
	// What is open during the cut: orders that were sent just before it. They are
	// handed over as the log of a process that died would hold them.
	openAt := map[string][]string{}
	w.at(from-2*time.Second, func() { w.openMany(260, openAt) })
	asked := map[string][]string{}
	// Orders whose refund waited in the cut, as they were taken up after it: by
	// the query that every refund has before it. Refunds leave as those are answered.
	var returned []string
	w.check.spy = func(e counter.Call) {
		waits := func() bool {
			o := w.journal.at(e.Order)
			return o != nil && slices.ContainsFunc(o.Refunds, func(r order.RefundLine) bool { return !r.State.Final() })
		}
		if w.g > to && (e.Verb == order.VerbRefund || e.Verb == order.VerbQuery && waits()) && !slices.Contains(returned, e.Order) {
			returned = append(returned, e.Order)
		}
		if w.g > to && e.Verb == order.VerbQuery && slices.Contains(openAt[e.Platform], e.Order) && !slices.Contains(asked[e.Platform], e.Order) {
			asked[e.Platform] = append(asked[e.Platform], e.Order)
		}
	}
	for _, v := range w.run() {
		t.Error(v)
	}
	refunds, ended, canceled := 0, 0, 0
	for _, no := range w.journal.order {
		o := w.journal.at(no)
		finals := 0
		for _, s := range w.his.orders[no].verdicts {
			if s.Final() {
				finals++
			}
		}
		if finals != 1 {
			t.Errorf("%s was told final %d times: %v", no, finals, w.his.orders[no].verdicts)
		}
		if o.State() == order.Canceled {
			canceled++
		}
		ended++
		for _, r := range o.Refunds {
			if r.State != order.RefundDone {
				t.Errorf("refund %s of %s is %s", r.Request, no, r.State)
			}
			if r.At.Mono+w.bootG > from && r.At.Mono+w.bootG < to {
				refunds++
			}
		}
	}
	for _, name := range []string{"fwc", "sp"} {
		if !slices.Equal(asked[name], openAt[name]) {
			t.Errorf("%s: what waited was not taken oldest first: %v, want %v", name, head(asked[name]), head(openAt[name]))
		}
	}
	waited := func(no string) time.Duration { return w.journal.at(no).Refunds[0].At.Mono }
	if !slices.IsSortedFunc(returned, func(a, b string) int { return int(waited(a) - waited(b)) }) {
		t.Errorf("the refunds were not taken up oldest first: %v", head(returned))
	}
	t.Logf("%d orders ended, %d of them canceled; %d and %d open in the cut; %d refunds waited in it; %d steps", ended, canceled,
		len(openAt["fwc"]), len(openAt["sp"]), refunds, w.steps)
	if ended < orders || refunds < 50 || canceled < 50 || len(openAt["fwc"]) < 100 {
		t.Error("the cut met too little")
	}
}

func head(list []string) []string { return list[:min(12, len(list))] }

// openMany makes orders that were sent and are detached, as many windows leave
// them over a bad hour, and restarts the agent on them. Half of the payers paid
// before the cut, half never do; of the latter every third is to be canceled.
func (w *World) openMany(n int, open map[string][]string) {
	for i := range n {
		name := []string{"fwc", "sp"}[i%2]
		pl := w.plats[name]
		no := "M" + strconv.Itoa(1000+i)
		b := &Bill{No: "BM" + strconv.Itoa(i), Amount: 777, Platform: name, Wallet: platforms.Alipay}
		if i%4 < 2 {
			b.PayAfter = -1
		}
		w.his.bills[b.No] = b
		at := w.now().Instant
		m := platforms.Merchant{Profile: "m-" + name, Code: "M-" + name}
		facts := []order.Fact{
			{Kind: order.KindCreated, Created: &order.Created{Bill: b.No, Amount: b.Amount, Mode: platforms.ModeCharge, Till: "w1", Platform: name,
				Merchant: m, OrderType: "TREATMENT", Key: order.IdemKey{Key: "kM" + no, Body: "b"}}},
			{Kind: order.KindSent, Sent: &order.Sent{Verb: order.VerbCharge, Channel: platforms.Alipay, CodeHash: "hM" + no}},
			{Kind: order.KindDetached},
		}
		if i%12 == 0 {
			facts = append(facts, order.Fact{Kind: order.KindCancelAsked, Person: &order.Person{Operator: platforms.Operator{ID: "op1"}}})
		}
		var batch []counter.Write
		for _, f := range facts {
			f.Order, f.At = no, at
			batch = append(batch, counter.Write{Order: no, Fact: &f, Keys: []string{"bill:" + b.No}})
		}
		w.journal.commit(batch)
		call := counter.Call{Order: no, Platform: name, Verb: order.VerbCharge, Charge: platforms.Charge{Ref: w.journal.at(no).Ref(), Channel: platforms.Alipay}}
		pl.charge(call)
		open[name] = append(open[name], no)
	}
	w.kill(false, time.Second, "time")
}
