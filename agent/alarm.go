package agent

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/queue"
)

// NoteAlarm is the kind of the notes that alarms leave in the log, so that none
// is lost on its way to whoever looks after many boxes. Their data is an Alarm.
const NoteAlarm = "alarm"

// Alarm is the raising or clearing of one alarm. It holds codes and names of
// the configuration, and an order's number at most.
type Alarm struct {
	Code     string `json:"code"`
	Cleared  bool   `json:"cleared,omitempty"`
	Order    string `json:"order,omitempty"`
	Platform string `json:"platform,omitempty"`
	Subject  string `json:"subject,omitempty"` // what it is about, e.g. a device
}

// RaiseAlarm raises an alarm that is about no single order.
func (a *Agent) RaiseAlarm(code string) {
	if err := a.TellAlarm(context.Background(), Alarm{Code: code}); err != nil {
		a.log.Error("an alarm could not be written down", "code", code, "error", err)
	}
}

// TellAlarm raises or clears an alarm; it is on disk when nil is returned.
func (a *Agent) TellAlarm(ctx context.Context, x Alarm) error {
	if x.Cleared {
		a.log.Info("alarm cleared", "code", x.Code, "subject", x.Subject)
	} else {
		a.stats.alarm(x.Code)
		a.memory.alarm(counter.Alarm{Code: x.Code, Order: x.Order, Platform: x.Platform})
		a.log.Warn("alarm", "code", x.Code, "subject", x.Subject)
	}
	return a.Note(ctx, NoteAlarm, nil, x)
}

// alarmAgain is how long an alarm about the same thing is not written anew: a
// platform that keeps mixing up its answers would fill the log with it, and the
// fleet's side with events.
const alarmAgain = 10 * time.Minute

// alarmsKnown bounds how many alarms are remembered for that.
const alarmsKnown = 1024

// addAlarm puts an alarm of the counter into the batch of the facts that led to
// it. Only the goroutine that writes calls it.
func (a *Agent) addAlarm(b *queue.Batch, e counter.Alarm) error {
	now := a.Now()
	if at, ok := a.alarmed[e]; ok && now.Age(at) < alarmAgain {
		return nil
	}
	if a.alarmed == nil || len(a.alarmed) >= alarmsKnown {
		a.alarmed = map[counter.Alarm]order.Instant{}
	}
	a.alarmed[e] = now.Instant
	var raw [12]byte
	if _, err := io.ReadFull(a.random, raw[:]); err != nil {
		return fmt.Errorf("cannot write an alarm: no random numbers: %w", err)
	}
	data, err := json.Marshal(Alarm{Code: e.Code, Order: e.Order, Platform: e.Platform})
	if err == nil {
		data, err = json.Marshal(Note{Kind: NoteAlarm, At: now.Instant, Data: data})
	}
	if err != nil {
		return fmt.Errorf("cannot write an alarm: %w", err)
	}
	stream := notePrefix + hex.EncodeToString(raw[:])
	b.Records = append(b.Records, queue.Record{Stream: stream, Data: data})
	b.Close = append(b.Close, stream)
	return nil
}
