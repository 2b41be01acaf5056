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
	"payagent/agent/signals"
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
	// Check is what finance should look at; nil for all other alarms.
	Check *signals.Signal `json:"check,omitempty"`
}

// AlarmCheck begins the codes of alarms with a Check; its rule follows.
const AlarmCheck = "check_"

// CheckKey finds the alarms with a Check of a day: 20060102 (UTC+8).
func CheckKey(day string) string { return "checks:" + day }

// NoteCodeAgain is the kind of the notes of codes that were used at another
// till. Their data is a CodeAgain.
const NoteCodeAgain = "code_again"

// CodeAgain says that a payment code was refused at a till because it had been
// used at another. It holds no code.
type CodeAgain struct {
	Order    string `json:"order"`   // that the code was used for
	UsedAt   int64  `json:"used_at"` // Unix milliseconds
	Till     string `json:"till"`    // where it was refused
	Operator string `json:"operator,omitempty"`
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
	var keys []string
	if x.Check != nil {
		a.stats.add("payagent_checks_total", fmt.Sprintf(`rule=%q`, x.Check.Rule), 1)
		keys = []string{CheckKey(Day(x.Check.At))}
	}
	return a.Note(ctx, NoteAlarm, keys, x)
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
	if a.lately(e) {
		return nil
	}
	return a.addNote(b, NoteAlarm, a.Now().Instant, Alarm{Code: e.Code, Order: e.Order, Platform: e.Platform})
}

// addCodeAgain does the same for a code that was used at another till.
func (a *Agent) addCodeAgain(b *queue.Batch, e counter.CodeAgain) error {
	if a.lately(counter.Alarm{Code: NoteCodeAgain, Order: e.Order, Platform: e.Till}) {
		return nil
	}
	return a.addNote(b, NoteCodeAgain, e.At, CodeAgain{Order: e.Order, UsedAt: e.UsedAt.Wall, Till: e.Till, Operator: e.Operator})
}

// lately tells whether the same was written a moment ago, and notes that it is
// written now.
func (a *Agent) lately(e counter.Alarm) bool {
	now := a.Now()
	if at, ok := a.alarmed[e]; ok && now.Age(at) < alarmAgain {
		return true
	}
	if a.alarmed == nil || len(a.alarmed) >= alarmsKnown {
		a.alarmed = map[counter.Alarm]order.Instant{}
	}
	a.alarmed[e] = now.Instant
	return false
}

// addNote puts a note into the batch that is being made.
func (a *Agent) addNote(b *queue.Batch, kind string, at order.Instant, v any) error {
	var raw [12]byte
	if _, err := io.ReadFull(a.random, raw[:]); err != nil {
		return fmt.Errorf("cannot write a note of kind %s: no random numbers: %w", kind, err)
	}
	data, err := json.Marshal(v)
	if err == nil {
		data, err = json.Marshal(Note{Kind: kind, At: at, Data: data})
	}
	if err != nil {
		return fmt.Errorf("cannot write a note of kind %s: %w", kind, err)
	}
	stream := notePrefix + hex.EncodeToString(raw[:])
	b.Records = append(b.Records, queue.Record{Stream: stream, Data: data})
	b.Close = append(b.Close, stream)
	return nil
}
