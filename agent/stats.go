package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/devices"
	"payagent/platforms"
)

// Stats counts what happens, for the Prometheus page. Labels come from closed
// sets: never an order, a patient or a code (lessons 5.9).
type Stats struct {
	mu       sync.Mutex
	counts   map[series]float64
	states   map[string]seen   // of orders in memory, so that each thing counts once
	unbooked map[string]string // orders that HIS was to book and has not → their labels
}

// seen is what was counted of an order.
type seen struct {
	state   order.State
	revoked bool
}

type series struct{ name, labels string }

func newStats() *Stats {
	s := &Stats{counts: map[series]float64{}, states: map[string]seen{}, unbooked: map[string]string{}}
	// A counter that appears with 1 has not increased, for Prometheus: its first
	// time would alert nobody.
	for _, code := range [...]string{"late_money", "amount_differs", "refund_in_doubt", "refund_sum_differs", "reversal_refused", "store_lost"} {
		s.add("payagent_alarms_total", fmt.Sprintf(`code=%q`, code), 0)
	}
	return s
}

func (s *Stats) add(name, labels string, by float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[series{name, labels}] += by
}

func (s *Stats) set(name, labels string, to float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[series{name, labels}] = to
}

func (s *Stats) commit(took time.Duration, records int) {
	s.add("payagent_store_commits_total", "", 1)
	s.add("payagent_store_records_total", "", float64(records))
	s.add("payagent_store_fsync_seconds_sum", "", took.Seconds())
	s.add("payagent_store_fsync_seconds_count", "", 1)
}

func (s *Stats) called(platform string, v order.Verb, took time.Duration, err error) {
	outcome := "answered"
	switch {
	case errors.Is(err, platforms.ErrToken):
		outcome = "token_refused"
	case platforms.NeverLeft(err):
		outcome = "not_sent"
	case err != nil:
		outcome = "unknown"
	}
	labels := fmt.Sprintf(`adapter=%q,op=%q,outcome=%q`, platform, v, outcome)
	s.add("payagent_upstream_requests_total", labels, 1)
	s.add("payagent_upstream_request_seconds_sum", labels, took.Seconds())
}

func (s *Stats) probe(platform string, up bool) {
	v := 0.0
	if up {
		v = 1
	}
	s.set("payagent_platform_up", fmt.Sprintf(`adapter=%q`, platform), v)
}

func (s *Stats) alarm(code string) {
	s.add("payagent_alarms_total", fmt.Sprintf(`code=%q`, code), 1)
}

func (s *Stats) read(till string) {
	s.add("payagent_scan_events_total", fmt.Sprintf(`till=%q`, till), 1)
}

func (s *Stats) scanned(device string, r counter.ScanResult) {
	s.add("payagent_scans_total", fmt.Sprintf(`device=%q,result=%q`, device, r), 1)
}

func (s *Stats) present(device string, present bool) {
	v := 0.0
	if present {
		v = 1
	}
	s.set("payagent_device_present", fmt.Sprintf(`device=%q`, device), v)
}

// help says what each series is.
func help() map[string][2]string {
	return map[string][2]string{
		"payagent_store_commits_total":          {"counter", "Durable commits."},
		"payagent_store_records_total":          {"counter", "Facts written."},
		"payagent_store_fsync_seconds_sum":      {"counter", "Time spent in durable commits."},
		"payagent_store_fsync_seconds_count":    {"counter", "Durable commits timed."},
		"payagent_upstream_requests_total":      {"counter", "Calls to payment platforms by outcome."},                                                    // adapter, op, outcome
		"payagent_upstream_request_seconds_sum": {"counter", "Time spent in calls to payment platforms."},                                                 // adapter, op, outcome
		"payagent_unmapped_codes_total":         {"counter", "Answers of platforms with a code that the catalogue of errors does not know."},              // adapter, op
		"payagent_platform_up":                  {"gauge", "1 if the latest probe was answered."},                                                         // adapter
		"payagent_alarms_total":                 {"counter", "Alarms raised, by code."},                                                                   // code
		"payagent_checks_total":                 {"counter", "Signs that finance should look at, by rule (finance.signals)."},                             // rule
		"payagent_door_refused_total":           {"counter", "Requests that had to wait, by what they wanted: create, refund, or token for a wrong one."}, // what
		"payagent_door_held":                    {"gauge", "Addresses and workstations that have to wait now (door.limits)."},
		"payagent_scan_events_total":            {"counter", "Codes read, by till."},                                                                                      // till
		"payagent_scans_total":                  {"counter", "Codes read, by device and by what became of them: taken, refused, two_codes, double, identity or dropped."}, // device, result
		"payagent_device_present":               {"gauge", "1 if the scanner or display works."},                                                                          // device
		"payagent_device_reads_total":           {"counter", "What a scanner's driver counted: good, bad, cut, doubles, settled, unread, lost input, opens."},             // device, what
		"payagent_orders_total":                 {"counter", "Orders that reached a final state."},                                                                        // adapter, channel, outcome
		"payagent_orders_open":                  {"gauge", "Orders that are not final, by state."},                                                                        // state
		"payagent_orders_unknown":               {"gauge", "Orders in doubt: it is not known whether they were paid."},                                                    // adapter, channel
		"payagent_order_unknown_age_seconds":    {"gauge", "Age of the oldest order in doubt."},                                                                           // adapter, channel
		"payagent_order_final_seconds_bucket":   {"counter", "Orders by the seconds from the pay request to the final state, at most le (a histogram: 5 to 300)."},        // adapter, channel, le
		"payagent_order_final_seconds_sum":      {"counter", "Seconds of those orders together."},                                                                         // adapter, channel
		"payagent_order_final_seconds_count":    {"counter", "Those orders."},                                                                                             // adapter, channel
		"payagent_revokes_total":                {"counter", "Orders for which a cancel left for the platform."},                                                          // adapter, channel
		"payagent_orders_unbooked":              {"gauge", "Paid orders that HIS has not booked; those past booking.alarm_after as far as this start saw them."},          // adapter, channel
		"payagent_order_unbooked_age_seconds":   {"gauge", "How long ago the oldest of those that still wait was paid."},                                                  // adapter, channel
		"payagent_notices_total":                {"counter", "Messages of platforms that came by themselves."},                                                            // adapter, result
		"payagent_audit_anchor":                 {"gauge", "Number and hash of the last audit line of the last day that ended."},                                          // day, hash
		"payagent_ready":                        {"gauge", "1 if a payment can be taken now."},
		"payagent_build_info":                   {"gauge", "The program's version."}, // version
	}
}

// WriteMetrics writes the Prometheus text format.
func (a *Agent) WriteMetrics(w io.Writer, version string) error {
	lines := map[series]float64{{"payagent_build_info", fmt.Sprintf(`version=%q`, version)}: 1}
	a.stats.mu.Lock()
	for k, v := range a.stats.counts {
		lines[k] = v
	}
	for no, labels := range a.stats.unbooked {
		if a.memory.order(no) == nil { // those in memory are counted there
			lines[series{"payagent_orders_unbooked", labels}]++
		}
	}
	a.stats.mu.Unlock()
	now := a.Now()
	for _, o := range a.memory.open() {
		s := o.State()
		if s.Final() {
			if waitsForHIS(o) {
				count(lines, "payagent_orders_unbooked", "payagent_order_unbooked_age_seconds", adapterOf(o), now.Age(o.EndedAt))
			}
			continue
		}
		lines[series{"payagent_orders_open", fmt.Sprintf(`state=%q`, s)}]++
		if s == order.InDoubt {
			count(lines, "payagent_orders_unknown", "payagent_order_unknown_age_seconds", adapterOf(o), now.Age(o.CreatedAt))
		}
	}
	for _, d := range a.Devices() {
		for what, n := range countsOf(d.Counts) {
			lines[series{"payagent_device_reads_total", fmt.Sprintf(`device=%q,what=%q`, d.Name, what)}] = float64(n)
		}
	}
	lines[series{"payagent_door_held", ""}] = float64(len(a.limits.List()))
	lines[series{"payagent_ready", ""}] = 0
	if ok, _ := a.Ready(); ok {
		lines[series{"payagent_ready", ""}] = 1
	}
	keys := make([]series, 0, len(lines))
	for k := range lines {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		x, y := keys[i], keys[j]
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.labels, y.labels)) < 0
	})
	texts, last := help(), ""
	for _, k := range keys {
		if k.name != last {
			last = k.name
			if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", k.name, texts[k.name][1], k.name, texts[k.name][0]); err != nil {
				return err
			}
		}
		labels := k.labels
		if labels != "" {
			labels = "{" + labels + "}"
		}
		if _, err := fmt.Fprintf(w, "%s%s %g\n", k.name, labels, lines[k]); err != nil {
			return err
		}
	}
	return nil
}

func countsOf(c *devices.Counts) map[string]uint64 {
	if c == nil {
		return nil
	}
	return map[string]uint64{"good": c.Good, "bad": c.Bad, "cut": c.Cut, "doubles": c.Doubles, "settled": c.Settled,
		"unread": c.Unread, "lost": c.Lost, "opens": c.Opens}
}

// Ready tells whether a payment can be taken now, and if not, why: stable
// codes, one per reason.
func (a *Agent) Ready() (bool, []string) {
	h := a.Health()
	var why []string
	if h.Stopped {
		why = append(why, "store_stopped")
	}
	if h.Replaced {
		why = append(why, counter.CodeReplaced)
	}
	if h.DiskLow {
		why = append(why, "disk_low")
	}
	for _, p := range h.Down {
		code := counter.CodeUnreachable
		if slices.Contains(h.Clock, p) {
			code = counter.CodeClock
		}
		why = append(why, code+":"+p)
	}
	for _, p := range h.BadTokens {
		why = append(why, "token_refused:"+p)
	}
	select {
	case <-a.dead:
		why = append(why, "store_stopped")
	default:
	}
	return len(why) == 0, why
}

// noticed counts messages that came by themselves.
func (s *Stats) noticed(platform, result string) {
	s.add("payagent_notices_total", fmt.Sprintf(`adapter=%q,result=%q`, platform, result), 1)
}
