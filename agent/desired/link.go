package desired

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
	"payagent/uplink"
)

// The pace of telling.
const (
	lookAgain = 30 * time.Second // an edit on the box is seen by looking
	tellWait  = 30 * time.Second
	// The pause after a refused subscription, at least.
	subscribeAgain = time.Minute
)

// Link takes documents from the bus and tells what became of them, until ctx
// ends: <box>/desired/config in, <box>/reported/config out, both retained.
func (d *Files) Link(ctx context.Context, bus uplink.Bus, at fleet.Place, log *slog.Logger) error {
	docs := make(chan []byte, 1)
	take := func(m uplink.Message) {
		if len(m.Payload) == 0 {
			return // taken off the broker: nothing is desired any more
		}
		for { // the newest counts
			select {
			case docs <- m.Payload:
				return
			default:
			}
			select {
			case <-docs:
			default:
			}
		}
	}
	told := ""
	var stop func()
	var asked time.Time // when the broker refused the subscription
	for {
		// A refusal is for IT to mend at the broker; the box goes on without.
		if stop == nil && (asked.IsZero() || time.Since(asked) >= subscribeAgain) {
			end, err := bus.Subscribe(at.Topic(fleet.LevelDesired, "config"), take)
			switch {
			case err == nil:
				stop = end
				defer stop()
			case errors.Is(err, uplink.ErrClosed):
				return nil
			default:
				asked = time.Now()
				log.Error("the broker refuses the subscription to configurations; see its access list in docs/mqtt.md", "error", err)
			}
		}
		link, linked := bus.Link()
		changed := d.Changed()
		if !link.Up {
			told = ""
		} else if now, err := d.tell(ctx, bus, at, told); err != nil && ctx.Err() == nil {
			log.Warn("what counts as configuration could not be told to the fleet", "error", err)
		} else {
			told = now
		}
		timer := time.NewTimer(lookAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case doc := <-docs:
			d.take(doc, log)
		case <-linked:
			told = "" // the broker may have lost its memory
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (d *Files) take(doc []byte, log *slog.Logger) {
	err := d.Stage(doc)
	var r *trial.Refusal
	switch {
	case err == nil:
	case errors.As(err, &r):
		log.Warn("a configuration of the fleet was not taken", "code", r.Code, "error", err)
	default:
		log.Error("a configuration of the fleet could not be kept", "error", err)
	}
}

// tell publishes the report if it is another than was told.
func (d *Files) tell(ctx context.Context, bus uplink.Bus, at fleet.Place, told string) (string, error) {
	r, err := d.Reported()
	if err != nil {
		return told, err
	}
	data, err := json.Marshal(r)
	if err != nil || string(data) == told {
		return told, err
	}
	ctx, stop := context.WithTimeout(ctx, tellWait)
	defer stop()
	if err := bus.Publish(ctx, uplink.Message{Topic: at.Topic(fleet.LevelReported, "config"), Payload: data, Retain: true}); err != nil {
		return told, err
	}
	return string(data), nil
}
