package door

import (
	"log/slog"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/agent/words"
)

// Show gives what makes of an order the object that GET /v1/orders/{id}
// answers with, for whoever tells HIS of orders by another way than this door.
// Nothing of a patient is in it.
func Show(a *agent.Agent) func(*order.Order) any {
	d := &door{agent: a, log: slog.New(slog.DiscardHandler), words: words.New()}
	return func(o *order.Order) any { return d.order(o) }
}
