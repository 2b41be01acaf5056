package agent_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// TestBusinessFigures: what the alert rules and the board go by, after a
// payment, one that was canceled, one that HIS books and one in doubt.
func TestBusinessFigures(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		booked := r.begun(smartTill, 1200, wechat)
		r.state(booked.No, order.Paid)
		r.has(`payagent_orders_unbooked{adapter="smartpay",channel="wechat"} 1`)
		r.book(booked.No, agent.Booking{Booked: true, FlowID: "F1", At: time.Now()}, counter.CodeDone)
		r.pass(time.Second)
		if strings.Contains(r.figures(), "payagent_orders_unbooked{") {
			t.Error("a payment that HIS booked counts as not booked")
		}
		next := func(bill string, amount platforms.Fen) *order.Order {
			o := r.collect(r.request(smartTill, bill, amount), counter.CodeCreated)
			r.scan(smartTill, wechat[:17]+bill)
			return o
		}
		late := next("1", 1290) // paid after 20 s, and never booked
		r.pass(21 * time.Second)
		r.state(late.No, order.Paid)
		never := next("2", 1293) // canceled after 45 s
		r.pass(50 * time.Second)
		r.state(never.No, order.Canceled)
		r.has(`payagent_orders_total{adapter="smartpay",channel="wechat",outcome="paid"} 2`,
			`payagent_orders_total{adapter="smartpay",channel="wechat",outcome="canceled"} 1`,
			`payagent_order_final_seconds_bucket{adapter="smartpay",channel="wechat",le="5"} 1`,
			`payagent_order_final_seconds_bucket{adapter="smartpay",channel="wechat",le="20"} 2`,
			`payagent_order_final_seconds_bucket{adapter="smartpay",channel="wechat",le="60"} 3`,
			`payagent_order_final_seconds_bucket{adapter="smartpay",channel="wechat",le="+Inf"} 3`,
			`payagent_order_final_seconds_count{adapter="smartpay",channel="wechat"} 3`,
			`payagent_revokes_total{adapter="smartpay",channel="wechat"} 1`,
			`payagent_orders_unbooked{adapter="smartpay",channel="wechat"} 1`)
		// Past its alarm the agent lets go of it; it still counts.
		r.pass(time.Hour)
		if slices.ContainsFunc(r.agent.Open(), func(o *order.Order) bool { return o.No == late.No }) {
			t.Fatal("the order is still kept")
		}
		r.has(`payagent_orders_unbooked{adapter="smartpay",channel="wechat"} 1`)
		r.documented()
	}, expecting)
	// A restart takes an open order up, and its end counts.
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.begun(smartTill, 1290, wechat)
		r.restart()
		r.pass(2 * time.Minute)
		if s := r.order(o.No).State(); !s.Final() {
			t.Fatalf("the order is %s", s)
		}
		if !strings.Contains(r.figures(), `payagent_orders_total{adapter="smartpay"`) {
			t.Error("an order that a restart took up does not count")
		}
	})
}

func (r *rig) figures() string {
	var b bytes.Buffer
	if err := r.agent.WriteMetrics(&b, "test"); err != nil {
		r.t.Fatal(err)
	}
	return b.String()
}

func (r *rig) has(lines ...string) {
	r.t.Helper()
	text := r.figures()
	for _, want := range lines {
		if !strings.Contains(text, want+"\n") {
			r.t.Errorf("the metrics lack %s:\n%s", want, text)
		}
	}
}

// documented holds each series to what docs/metrics.md is generated from: a
// text, a type, and exactly the labels written there.
func (r *rig) documented() {
	r.t.Helper()
	source, err := os.ReadFile("stats.go")
	if err != nil {
		r.t.Fatal(err)
	}
	want := map[string]string{}
	for _, m := range regexp.MustCompile(`"(payagent_[a-z_]+)":\s*\{".*"\},(?: *// ([a-z_, ]+))?`).FindAllStringSubmatch(string(source), -1) {
		want[m[1]] = m[2]
	}
	label := regexp.MustCompile(`([a-z_]+)="`)
	n := 0
	for line := range strings.Lines(r.figures()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		n++
		name, rest, _ := strings.Cut(strings.Fields(line)[0], "{")
		var got []string
		for _, m := range label.FindAllStringSubmatch(rest, -1) {
			got = append(got, m[1])
		}
		if text, ok := want[name]; !ok || text != strings.Join(got, ", ") {
			r.t.Errorf("%s has the labels %v; stats.go says %q (known %v)", name, got, text, ok)
		}
	}
	if n < 20 || n > 400 {
		r.t.Errorf("%d series", n)
	}
}
