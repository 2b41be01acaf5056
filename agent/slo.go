package agent

import (
	"fmt"
	"time"

	"payagent/agent/order"
)

// finalBounds are the histogram's bounds in seconds: short enough for the p50 of
// a code that is scanned, long enough for the p95 of one that is asked about.
func finalBounds() []int { return []int{5, 10, 20, 40, 60, 120, 300} }

// keptUnbooked bounds how many orders are remembered that HIS did not book.
const keptUnbooked = 4096

// adapterOf is what the business figures are told apart by.
func adapterOf(o *order.Order) string {
	return fmt.Sprintf(`adapter=%q,channel=%q`, o.Platform, o.PaidVia())
}

// waitsForHIS tells that an order is paid and not in HIS's books.
func waitsForHIS(o *order.Order) bool {
	stage := BookStage(o)
	return stage == "pending" || stage == "pending_long"
}

// count adds one to a gauge and keeps the oldest age beside it.
func count(lines map[series]float64, number, oldest, labels string, age time.Duration) {
	lines[series{number, labels}]++
	k := series{oldest, labels}
	lines[k] = max(lines[k], age.Seconds())
}

// changed counts what became of an order. Its final state and its first cancel
// count once; what was final before this start does not count.
func (s *Stats) changed(o *order.Order) {
	st, labels, revoked := o.State(), adapterOf(o), o.CancelSent != nil
	s.mu.Lock()
	was := s.states[o.No]
	if st.Final() {
		delete(s.states, o.No)
	} else {
		s.states[o.No] = seen{st, revoked}
	}
	switch {
	case !waitsForHIS(o):
		delete(s.unbooked, o.No)
	case len(s.unbooked) < keptUnbooked:
		s.unbooked[o.No] = labels
	}
	s.mu.Unlock()
	if was.state == "" {
		return
	}
	if revoked && !was.revoked {
		s.add("payagent_revokes_total", labels, 1)
	}
	if !st.Final() {
		return
	}
	s.add("payagent_orders_total", fmt.Sprintf(`%s,outcome=%q`, labels, st), 1)
	if o.SentAt == nil || o.SentAt.Boot != o.EndedAt.Boot {
		return // never sent, or nobody knows how long the machine was off
	}
	took := (o.EndedAt.Mono - o.SentAt.Mono).Seconds()
	for _, bound := range finalBounds() {
		if took <= float64(bound) {
			s.add("payagent_order_final_seconds_bucket", fmt.Sprintf(`%s,le="%d"`, labels, bound), 1)
		} else {
			s.add("payagent_order_final_seconds_bucket", fmt.Sprintf(`%s,le="%d"`, labels, bound), 0)
		}
	}
	s.add("payagent_order_final_seconds_bucket", labels+`,le="+Inf"`, 1)
	s.add("payagent_order_final_seconds_sum", labels, took)
	s.add("payagent_order_final_seconds_count", labels, 1)
}
