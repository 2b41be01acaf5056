package webhook

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// stats are the figures of /metrics.
type stats struct {
	mu      sync.Mutex
	taken   uint64
	failed  uint64
	waiting int
	aside   int
	unread  int
	oldest  time.Duration
	up      bool
}

func (s *stats) add(taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken {
		s.taken++
	} else {
		s.failed++
	}
}

func (s *stats) set(waiting, aside, unread int, oldest time.Duration, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.aside, s.unread, s.oldest, s.up = waiting, aside, unread, oldest, up
}

// help gives the kind of each figure and what it means.
func help() map[string][2]string {
	return map[string][2]string{
		"payagent_his_webhook_taken_total":    {"counter", "Events that HIS took (his.webhook)."},
		"payagent_his_webhook_failed_total":   {"counter", "Calls that HIS did not answer with 2xx."},
		"payagent_his_webhook_waiting":        {"gauge", "Events that are read and that HIS has not taken yet."},
		"payagent_his_webhook_aside":          {"gauge", "Those of them that are set aside, because HIS refuses their bills."},
		"payagent_his_webhook_unread":         {"gauge", "Records of the log that are not read yet."},
		"payagent_his_webhook_oldest_seconds": {"gauge", "Age of the oldest event that waits."},
		"payagent_his_webhook_up":             {"gauge", "1 if HIS takes what it is told."},
	}
}

// WriteMetrics writes the figures in the Prometheus text format.
func (d *Deliverer) WriteMetrics(w io.Writer) error {
	s := &d.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	up := 0
	if s.up {
		up = 1
	}
	values := map[string]any{
		"payagent_his_webhook_taken_total": s.taken, "payagent_his_webhook_failed_total": s.failed, "payagent_his_webhook_waiting": s.waiting,
		"payagent_his_webhook_aside": s.aside, "payagent_his_webhook_unread": s.unread, "payagent_his_webhook_oldest_seconds": s.oldest.Seconds(),
		"payagent_his_webhook_up": up,
	}
	texts := help()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if _, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, texts[name][1], name, texts[name][0], name, values[name]); err != nil {
			return err
		}
	}
	return nil
}
