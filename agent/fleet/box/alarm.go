package box

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/agent/order"
	"payagent/agent/words"
)

// The alarms that this package raises itself.
const (
	AlarmDevice      = "device_absent"        // lasts
	AlarmPlatform    = "platform_unreachable" // lasts
	AlarmDisk        = "disk_low"             // lasts
	AlarmKicked      = "fleet_kicked"         // lasts
	AlarmHubSilent   = "fleet_hub_silent"     // lasts
	AlarmRetained    = "command_retained"     // an occurrence
	AlarmBadCommands = "command_refused"      // an occurrence
)

// active is an alarm that lasts: a condition until it is cleared, an
// occurrence for a day.
type active struct {
	Since    time.Time `json:"since"`
	Last     time.Time `json:"last"`
	Count    int       `json:"count"`
	Subjects []string  `json:"subjects,omitempty"`
}

// The bounds of what is shown of an alarm.
const (
	// More than any box has devices: a condition whose subject was dropped here
	// would be told again at every look.
	subjectsKept  = 1024
	subjectsShown = 20 // the newest
	occurrence    = 24 * time.Hour
	absentFor     = 10 * time.Second // a device that is gone so long is an alarm
)

// readAlarms reads the events of alarms.
func (b *Box) readAlarms(after uint64, limit int) (list []item, read, first uint64, err error) {
	notes, read, first, err := b.o.Agent.Notes(agent.NoteAlarm, after, limit)
	for _, n := range notes {
		var a agent.Alarm
		if err := json.Unmarshal(n.Data, &a); err != nil {
			b.log.Error("an alarm in the log cannot be read", "record", n.Seq, "error", err)
			continue
		}
		data := fleet.AlarmData{Code: a.Code, State: fleet.Raised, Order: a.Order, Platform: a.Platform, Subject: a.Subject, Text: textOf(a.Code)}
		if c := a.Check; c != nil {
			data.Till, data.Operator, data.Orders = c.Till, c.Operator, c.Orders
		}
		if a.Cleared {
			data.State = fleet.Cleared
		}
		list = append(list, item{seq: n.Seq, at: n.At.Wall, kind: fleet.TypeAlarm, subject: a.Code, data: data})
	}
	return list, read, first, err
}

// textOf is what IT reads of an alarm.
func textOf(code string) fleet.Text {
	if e, ok := words.New().Find(words.Alarm, code); ok {
		return fleet.Text{ZH: e.Cashier.ZH + "：" + e.IT.ZH, EN: e.Cashier.EN + ": " + e.IT.EN}
	}
	return fleet.Text{ZH: code, EN: code}
}

// subjectOf is what an alarm is about.
func subjectOf(a agent.Alarm) string { return cmp.Or(a.Subject, a.Order, a.Platform) }

// beginAlarms takes up what lasted when the last start ended, and clears at the
// broker what a former life may have left there.
func (b *Box) beginAlarms() {
	b.book.read(func(v *bookData) {
		for code, a := range v.Active {
			c := *a
			c.Subjects = slices.Clone(a.Subjects)
			b.active[code] = &c
		}
	})
	for _, code := range words.New().Codes(words.Alarm) {
		if b.active[code] == nil {
			b.board.put(b.topic(fleet.LevelAlarm, code), nil)
		}
	}
	for code := range b.active {
		b.showAlarm(code)
	}
}

// lookAlarms brings what lasts up to date: first with what the log says, then
// with how things are.
func (b *Box) lookAlarms(ctx context.Context) error {
	if err := b.followAlarms(); err != nil {
		return err
	}
	want := b.conditions()
	for _, a := range want {
		if !b.lasts(a.Code, subjectOf(a)) {
			if err := b.o.Agent.TellAlarm(ctx, a); err != nil {
				return err
			}
		}
	}
	for code, a := range b.active {
		for _, s := range slices.Clone(a.Subjects) {
			if b.over(code, s, a, want) {
				if err := b.o.Agent.TellAlarm(ctx, clearing(code, s)); err != nil {
					return err
				}
			}
		}
	}
	return b.followAlarms()
}

// clearing is the end of an alarm; whether its subject is an order is told by
// the code.
func clearing(code, subject string) agent.Alarm {
	return agent.Alarm{Code: code, Subject: subject, Cleared: true}
}

func (b *Box) lasts(code, subject string) bool {
	a := b.active[code]
	return a != nil && slices.Contains(a.Subjects, subject)
}

// followAlarms reads what was raised and cleared since the last look.
func (b *Box) followAlarms() error {
	var seen uint64
	b.book.read(func(v *bookData) { seen = v.Seen })
	start := seen
	for {
		notes, read, first, err := b.o.Agent.Notes(agent.NoteAlarm, seen, readAhead)
		if err != nil {
			return err
		}
		for _, n := range notes {
			var a agent.Alarm
			if json.Unmarshal(n.Data, &a) == nil {
				b.noteAlarm(a, atWall(n.At.Wall))
			}
		}
		if read == seen && first <= seen+1 {
			break
		}
		seen = max(read, first-1)
	}
	// A start reads a few thousand records again rather than writing for each.
	if len(b.active) > 0 || seen > start+readFar {
		b.book.edit(func(v *bookData) { v.Seen = seen })
	} else {
		b.book.read(func(v *bookData) { v.Seen = seen })
	}
	return nil
}

// noteAlarm takes one raising or clearing in.
func (b *Box) noteAlarm(a agent.Alarm, at time.Time) {
	x, subject := b.active[a.Code], subjectOf(a)
	switch {
	case a.Cleared && x == nil, !a.Cleared && b.now().Sub(at) > occurrence && !b.isCondition(a.Code):
		return
	case a.Cleared:
		x.Subjects = slices.DeleteFunc(x.Subjects, func(s string) bool { return s == subject })
		if len(x.Subjects) == 0 {
			delete(b.active, a.Code)
		}
	default:
		if x == nil {
			x = &active{Since: at}
			b.active[a.Code] = x
		}
		x.Last = at
		x.Count++
		x.Subjects = append(slices.DeleteFunc(x.Subjects, func(s string) bool { return s == subject }), subject)
		if over := len(x.Subjects) - subjectsKept; over > 0 {
			x.Subjects = slices.Delete(x.Subjects, 0, over)
		}
	}
	b.book.edit(func(v *bookData) {
		if v.Active == nil {
			v.Active = map[string]*active{}
		}
		if x := b.active[a.Code]; x != nil {
			c := *x
			c.Subjects = slices.Clone(x.Subjects)
			v.Active[a.Code] = &c
		} else {
			delete(v.Active, a.Code)
		}
	})
	b.showAlarm(a.Code)
}

// showAlarm writes a/<code>, or clears it.
func (b *Box) showAlarm(code string) {
	x := b.active[code]
	if x == nil {
		b.board.put(b.topic(fleet.LevelAlarm, code), nil)
		return
	}
	subjects := slices.DeleteFunc(slices.Clone(x.Subjects), func(s string) bool { return s == "" })
	subjects = subjects[max(0, len(subjects)-subjectsShown):]
	data, err := json.Marshal(fleet.Alarm{Code: code, Since: x.Since, Last: x.Last, Count: x.Count, Subjects: subjects, Text: textOf(code)})
	if err == nil {
		b.board.put(b.topic(fleet.LevelAlarm, code), data)
	}
}

// conditions are the alarms that last as long as things are as they are.
func (b *Box) conditions() []agent.Alarm {
	var list []agent.Alarm
	a := b.o.Agent
	now := a.Now()
	for _, d := range a.Devices() {
		if !d.Present && d.Since > 0 && now.Wall-d.Since >= absentFor.Milliseconds() {
			list = append(list, agent.Alarm{Code: AlarmDevice, Subject: d.Till + "." + d.Name})
		}
	}
	h := a.Health()
	for _, p := range h.Down {
		list = append(list, agent.Alarm{Code: AlarmPlatform, Subject: p, Platform: p})
	}
	if h.DiskLow {
		list = append(list, agent.Alarm{Code: AlarmDisk})
	}
	l, _ := b.bus.Link()
	if l.Kicked >= 4 { // fewer may be a broker that was started anew
		list = append(list, agent.Alarm{Code: AlarmKicked})
	}
	if b.silent() {
		list = append(list, agent.Alarm{Code: AlarmHubSilent})
	}
	if b.o.Conditions != nil {
		list = append(list, b.o.Conditions()...)
	}
	return list
}

// isCondition tells whether an alarm lasts until it is cleared.
func (b *Box) isCondition(code string) bool {
	switch code {
	case AlarmDevice, AlarmPlatform, AlarmDisk, AlarmKicked, AlarmHubSilent,
		"order_in_doubt", "refund_in_doubt", "booking_overdue", "insurance_split", "token_refused":
		return true
	}
	return slices.Contains(b.o.Lasting, code)
}

// over tells whether an alarm that lasts has ended.
func (b *Box) over(code, subject string, a *active, want []agent.Alarm) bool {
	still := func(good func(o *order.Order) bool) bool {
		o, err := b.o.Agent.Order(subject)
		return err != nil || o != nil && good(o)
	}
	switch code {
	case "order_in_doubt":
		return !still(func(o *order.Order) bool { return o.State() == order.InDoubt })
	case "refund_in_doubt":
		return !still(func(o *order.Order) bool {
			return slices.ContainsFunc(o.Refunds, func(r order.RefundLine) bool { return r.State == order.RefundInDoubt })
		})
	case "booking_overdue":
		return !still(func(o *order.Order) bool { return agent.BookStage(o) == "pending_long" })
	case "insurance_split":
		return !still(func(o *order.Order) bool { return agent.BookStage(o) == "insurance_split" })
	case "token_refused":
		return len(b.o.Agent.Health().BadTokens) == 0
	}
	if b.isCondition(code) {
		return !slices.ContainsFunc(want, func(w agent.Alarm) bool { return w.Code == code && subjectOf(w) == subject })
	}
	return b.now().Sub(a.Last) >= occurrence
}
