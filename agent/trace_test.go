package agent

import (
	"regexp"
	"testing"

	"payagent/agent/order"
)

// TestTrace: an order keeps the trace that it came with; without one it has one
// of its own, the same wherever it is asked for. Both fit into the header.
func TestTrace(t *testing.T) {
	const came = "4bf92f3577b34da6a3ce929d0e0e4736"
	with, without, other := &order.Order{No: "A1"}, &order.Order{No: "A1"}, &order.Order{No: "A2"}
	with.Trace = came
	if got := TraceID(with); got != came {
		t.Error(got)
	}
	if TraceID(without) != TraceID(without) || TraceID(without) == TraceID(other) {
		t.Error(TraceID(without), TraceID(other))
	}
	header := regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-01$`)
	for _, o := range []*order.Order{with, without} {
		a, b := Traceparent(TraceID(o), "one"), Traceparent(TraceID(o), "two")
		if m := header.FindStringSubmatch(a); m == nil || m[1] != TraceID(o) || a == b || a != Traceparent(TraceID(o), "one") {
			t.Error(a, b)
		}
	}
}
