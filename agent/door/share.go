package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// Show gives what makes of an order the object that GET /v1/orders/{id}
// answers with, for whoever tells HIS of orders by another way than this door.
// Nothing of a patient is in it.
func Show(a *agent.Agent) func(*order.Order) any {
	d := &door{agent: a, log: slog.New(slog.DiscardHandler), words: words.New()}
	return func(o *order.Order) any { return d.order(o) }
}

// TakeAnswer makes what takes the booking out of HIS's answer to an event, if
// there is one (see [ReadBooking]). A booking that is refused or cannot be read
// is logged and not asked for again: HIS would answer the same, and what is not
// booked raises its own alarm. An error means that the agent is stopping, and
// the event is to be told again.
func TakeAnswer(a *agent.Agent, log *slog.Logger) func(context.Context, *order.Order, []byte) error {
	return func(ctx context.Context, o *order.Order, body []byte) error {
		word, err := ReadBooking(body)
		if errors.Is(err, ErrNoBooking) {
			return nil
		}
		if err == nil && reversesForeign(o, word) {
			err = errors.New("the payment was taken elsewhere; the refund desk gives it back")
		}
		if err == nil {
			// HIS has answered: that counts also while the calls are being ended.
			ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
			defer stop()
			var reply counter.Reply
			reply, err = a.Book(ctx, o.No, word)
			var field *platforms.FieldError
			switch {
			case err == nil && (reply.Code == counter.CodeDone || reply.Code == counter.CodeReplayed):
				return nil
			case err == nil:
				err = fmt.Errorf("the booking was refused: %s", reply.Code)
			case !errors.As(err, &field):
				return err
			}
		}
		log.Warn("HIS answered an event with something that is no booking of it", "order", o.No, "error", err)
		return nil
	}
}
