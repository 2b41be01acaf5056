package relay

import (
	"fmt"
	"io"
	"sort"
	"sync"
	"time"
)

// stats counts what went through. Labels come from closed sets: reasons and
// outcomes of this package, names of configured platforms.
type stats struct {
	mu       sync.Mutex
	granted  int
	repeats  int
	woken    int
	refused  map[string]int
	calls    map[[2]string]int
	duration map[string]time.Duration
}

func (s *stats) grant()  { s.mu.Lock(); s.granted++; s.mu.Unlock() }
func (s *stats) repeat() { s.mu.Lock(); s.repeats++; s.mu.Unlock() }
func (s *stats) wake()   { s.mu.Lock(); s.woken++; s.mu.Unlock() }

func (s *stats) refuse(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = map[string]int{}
	}
	s.refused[why]++
}

func (s *stats) called(p *platform, outcome string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls, s.duration = map[[2]string]int{}, map[string]time.Duration{}
	}
	s.calls[[2]string{p.name, outcome}]++
	s.duration[p.name] += took
}

// Metrics writes what happened since the start, in Prometheus' text format.
func (r *Relay) Metrics(w io.Writer) error {
	r.mu.Lock()
	boxes, memory, held := len(r.boxes), len(r.memory), r.held
	r.mu.Unlock()
	up := 0
	if l, _ := r.cfg.Bus.Link(); l.Up {
		up = 1
	}
	s := &r.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := []string{
		fmt.Sprintf("# TYPE payagent_relay_broker_connected gauge\npayagent_relay_broker_connected %d\n", up),
		fmt.Sprintf("# TYPE payagent_relay_boxes gauge\npayagent_relay_boxes %d\n", boxes),
		fmt.Sprintf("# TYPE payagent_relay_exchanges_in_memory gauge\npayagent_relay_exchanges_in_memory %d\n", memory),
		fmt.Sprintf("# TYPE payagent_relay_answers_in_memory_bytes gauge\npayagent_relay_answers_in_memory_bytes %d\n", held),
		fmt.Sprintf("# TYPE payagent_relay_tickets_total counter\npayagent_relay_tickets_total %d\n", s.granted),
		fmt.Sprintf("# TYPE payagent_relay_repeats_total counter\npayagent_relay_repeats_total %d\n", s.repeats),
		fmt.Sprintf("# TYPE payagent_relay_wakes_total counter\npayagent_relay_wakes_total %d\n", s.woken),
	}
	var refused, calls, took []string
	for why, n := range s.refused {
		refused = append(refused, fmt.Sprintf("payagent_relay_refused_total{reason=%q} %d\n", why, n))
	}
	for k, n := range s.calls {
		calls = append(calls, fmt.Sprintf("payagent_relay_calls_total{platform=%q,outcome=%q} %d\n", k[0], k[1], n))
	}
	for name, d := range s.duration {
		took = append(took, fmt.Sprintf("payagent_relay_call_seconds_total{platform=%q} %g\n", name, d.Seconds()))
	}
	for _, part := range []struct {
		name  string
		lines []string
	}{{"refused_total", refused}, {"calls_total", calls}, {"call_seconds_total", took}} {
		sort.Strings(part.lines)
		if len(part.lines) > 0 {
			lines = append(lines, "# TYPE payagent_relay_"+part.name+" counter\n")
			lines = append(lines, part.lines...)
		}
	}
	for _, l := range lines {
		if _, err := io.WriteString(w, l); err != nil {
			return err
		}
	}
	return nil
}
