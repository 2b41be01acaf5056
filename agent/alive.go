package agent

import (
	"context"
	"fmt"
	"time"

	"payagent/agent/counter"
)

// Alive tells that the agent works: a question goes through the loop that
// steps the counter and the one that makes facts durable, and the store is
// read. It is what a watchdog hangs on, so it asks the very loops that
// payments run through, behind whatever waits there. With commit the store is
// written too, which finds a disk that has become read-only before a patient
// does; each such write costs the flash some 20 KB.
//
// It returns when all is well, when something failed, or when ctx ends: then
// the error says which part did not answer.
func (a *Agent) Alive(ctx context.Context, commit bool) error {
	if a.failed() {
		return ErrStopped
	}
	if _, err := a.request(ctx, func(id uint64) counter.Event { return counter.Flush{Reply: id} }); err != nil {
		return fmt.Errorf("the order loop does not answer: %w", err)
	}
	// The store has no deadline of its own: a disk that hangs, hangs whoever asks.
	asked := make(chan error, 1)
	go func() {
		_, err := a.parts.Log.Open()
		if err == nil && commit {
			err = a.parts.Log.SetCursor(heartbeat, a.parts.Log.Last())
		}
		asked <- err
	}()
	select {
	case err := <-asked:
		if err != nil {
			return fmt.Errorf("the store does not answer: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the store does not answer: %w", ctx.Err())
	}
}

// heartbeat is the cursor that Alive writes. Nobody reads it.
const heartbeat = "heartbeat"

// InHand tells whether an order is at work that a stop of the machine would
// disturb: one that is not final and was made less than within ago. Older ones
// wait for people or for a network, and a restart does them no harm.
func (a *Agent) InHand(within time.Duration) bool {
	now := a.Now()
	for _, o := range a.Open() {
		if !o.State().Final() && now.Age(o.CreatedAt) < within {
			return true
		}
	}
	select {
	case <-a.money.idle():
		return false
	default:
		return true
	}
}
