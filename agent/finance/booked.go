package finance

import (
	"payagent/agent/config"
	"payagent/agent/order"
)

// unbooked tells whether HIS owes a booking of a paid order.
func unbooked(c config.Config, o *order.Order) bool { return false }

// automatic tells whether the agent gave the money back by itself.
func automatic(r order.RefundLine) bool { return false }
