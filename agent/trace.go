package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"payagent/agent/order"
)

// This file carries one number through all systems that an order passes: HIS
// sends it as a W3C traceparent or is told the one that was made for its
// request, and calls to platforms, events, logs and slips have it (OBS-08).

// TraceID is an order's number in the form of W3C Trace Context: 32 hexadecimal
// digits. It is that of the request that made the order, else one made of the
// order's number, which is the same wherever it is asked for.
func TraceID(o *order.Order) string {
	if o.Trace != "" {
		return o.Trace
	}
	return digits("trace "+o.No, 16)
}

// Traceparent writes a trace as a header of version 00; what is the span that it
// belongs to, and gives its number.
func Traceparent(trace, what string) string {
	return "00-" + trace + "-" + digits("span "+what, 8) + "-01"
}

// digits makes a number of n bytes of a text. That it were all zero, which the
// form forbids, is as likely as a found SHA-256.
func digits(text string, n int) string {
	sum := sha256.Sum256([]byte("payagent " + text))
	return hex.EncodeToString(sum[:n])
}

type traceKey struct{}

// Trace gives the trace of the order that a call to a platform is about; empty
// for calls about none.
func Trace(ctx context.Context) string {
	s, _ := ctx.Value(traceKey{}).(string)
	return s
}

// withTrace puts an order's trace into the context of a call.
func (a *Agent) withTrace(ctx context.Context, no string) context.Context {
	o, err := a.Order(no)
	if err != nil || o == nil {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, TraceID(o))
}
