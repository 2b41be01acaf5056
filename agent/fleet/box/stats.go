package box

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"payagent/uplink"
)

// stats are the figures of /metrics.
type stats struct {
	mu                                sync.Mutex
	sent, acked, again, gaps          uint64
	kept, samples                     uint64
	accepted, refused, done, failures uint64
}

func (s *stats) add(n *uint64, by uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n += by
}

func help() map[string][2]string {
	return map[string][2]string{
		"payagent_fleet_up":                      {"gauge", "1 if the broker is connected."},
		"payagent_fleet_kicked":                  {"gauge", "Connections that another client of our name took over in the last ten minutes."},
		"payagent_fleet_events_sent_total":       {"counter", "Events handed to the broker, repetitions included."},
		"payagent_fleet_events_acked_total":      {"counter", "Events that the fleet acknowledged."},
		"payagent_fleet_events_waiting":          {"gauge", "Records of the log that hold events which nobody acknowledged, at most."},
		"payagent_fleet_events_repeated_total":   {"counter", "Times that the window of events was sent again."},
		"payagent_fleet_gaps_total":              {"counter", "Gaps told, because records were pruned before anybody acknowledged them."},
		"payagent_fleet_retained_total":          {"counter", "Retained messages written: status, inventory, alarms, states of commands."},
		"payagent_fleet_samples_total":           {"counter", "Samples sent."},
		"payagent_fleet_commands_accepted_total": {"counter", "Commands accepted."},
		"payagent_fleet_commands_refused_total":  {"counter", "Commands refused."},
		"payagent_fleet_commands_done_total":     {"counter", "Commands that succeeded."},
		"payagent_fleet_commands_failed_total":   {"counter", "Commands that failed or expired."},
	}
}

// WriteMetrics writes the figures in the Prometheus text format.
func (b *Box) WriteMetrics(w io.Writer) error {
	var l uplink.Link
	if b.busNow() != nil {
		l, _ = b.busNow().Link()
	}
	up := 0
	if l.Up {
		up = 1
	}
	waiting := b.waiting()
	s := &b.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	values := map[string]any{
		"payagent_fleet_up": up, "payagent_fleet_kicked": l.Kicked,
		"payagent_fleet_events_sent_total": s.sent, "payagent_fleet_events_acked_total": s.acked, "payagent_fleet_events_waiting": waiting,
		"payagent_fleet_events_repeated_total": s.again, "payagent_fleet_gaps_total": s.gaps, "payagent_fleet_retained_total": s.kept,
		"payagent_fleet_samples_total": s.samples, "payagent_fleet_commands_accepted_total": s.accepted, "payagent_fleet_commands_refused_total": s.refused,
		"payagent_fleet_commands_done_total": s.done, "payagent_fleet_commands_failed_total": s.failures,
	}
	texts := help()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, texts[name][1], name, texts[name][0], name, values[name]); err != nil {
			return err
		}
	}
	return nil
}
