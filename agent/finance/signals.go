package finance

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/agent/signals"
	"payagent/agent/words"
)

// Watch follows the log for what finance should look at (package signals). What
// it finds is written as an alarm with its orders, once; where it stands is
// derived anew from the log at each start. Nothing waits for it.
type Watch struct {
	agent   *agent.Agent
	log     *slog.Logger
	watcher *signals.Watcher
	begun   bool
	owed    int64            // what is older was looked at in a former life, Unix milliseconds
	seq     uint64           // the last record looked at
	pending []signals.Signal // found and not written yet
	recent  []string         // movements seen, since one step may write several facts of one moment
}

// NewWatch makes it; Run does the work.
func NewWatch(a *agent.Agent, log *slog.Logger) *Watch {
	c := a.Config()
	s := c.Finance.Signals
	return &Watch{agent: a, log: log, watcher: signals.New(signals.Config{Mute: s.Mute, RefundAfter: s.RefundAfter, Desk: s.Desk, Cancels: s.Cancels,
		CodeWithin: s.CodeWithin, RefundsOver: s.RefundsOverFen, Shift: max(c.Limits.OperatorShift, time.Hour), Hours: s.Opened(), Always: s.AlwaysOpen})}
}

// Run follows until ctx ends. An error is logged and met by trying again at the
// next change.
func (w *Watch) Run(ctx context.Context) error {
	for {
		news := w.agent.Changed()
		if err := w.CatchUp(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("the journal cannot be looked through for finance", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		}
		select { // what comes close together is looked at together
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// CatchUp looks at everything that is new and writes what it found. The first
// call looks at as much of the past as the state hangs on; what a former life
// wrote down is not written again.
func (w *Watch) CatchUp(ctx context.Context) error {
	if !w.begun {
		now := w.agent.Now().Wall
		seq, err := w.since(now - signals.Window.Milliseconds())
		if err != nil {
			return err
		}
		w.seq, w.begun, w.owed = seq, true, now-signals.Owed.Milliseconds()
	}
	for {
		before := w.seq
		read, first, err := w.agent.Records(before, 256, func(r agent.Record) error {
			w.see(r)
			w.seq = r.Seq
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		if first > w.seq+1 {
			w.seq = first - 1 // pruned before it was looked at
		} else if read == before {
			break
		}
	}
	for len(w.pending) > 0 {
		s := w.pending[0]
		err := w.agent.TellAlarm(ctx, agent.Alarm{Code: agent.AlarmCheck + string(s.Rule), Order: s.Orders[len(s.Orders)-1], Subject: s.Till + "/" + s.Operator, Check: &s})
		if err != nil {
			return err
		}
		w.pending = w.pending[1:]
	}
	return nil
}

// since finds the last record that is older than a moment, as far as the clock
// went forward only.
func (w *Watch) since(wall int64) (uint64, error) {
	_, first, err := w.agent.Records(0, 1, func(agent.Record) error { return nil })
	if err != nil || first == 0 {
		return 0, err
	}
	low, high := first-1, w.agent.LastEvent()
	for low < high {
		middle, at := low+(high-low)/2, int64(0)
		if _, _, err := w.agent.Records(middle, 1, func(r agent.Record) error {
			if r.Fact != nil {
				at = r.Fact.At.Wall
			} else {
				at = r.Note.At.Wall
			}
			return nil
		}); err != nil {
			return 0, err
		}
		if at < wall {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// see looks at one record.
func (w *Watch) see(r agent.Record) {
	if r.Note != nil && r.Note.Kind == agent.NoteAlarm {
		var a agent.Alarm
		if json.Unmarshal(r.Note.Data, &a) == nil && a.Check != nil && len(a.Check.Orders) > 0 {
			w.watcher.Told(*a.Check)
			w.pending = slices.DeleteFunc(w.pending, func(s signals.Signal) bool { return w.watcher.Covers(*a.Check, s) })
		}
		return
	}
	var acts []signals.Act
	switch {
	case r.Note != nil:
		acts = noted(*r.Note)
	case r.Fact.Kind == order.KindCreated && r.Fact.Created != nil:
		c := r.Fact.Created
		acts = []signals.Act{{Kind: signals.Begun, At: r.Fact.At.Wall, Order: r.Fact.Order, Till: c.Till, Counter: c.TillKind == config.Counter, Operator: c.Operator.ID}}
	default:
		acts = w.done(*r.Fact)
	}
	for _, a := range acts {
		if list := w.watcher.See(a); a.At >= w.owed {
			w.pending = append(w.pending, list...)
		}
	}
}

// noted reads the acts that are notes.
func noted(n agent.Note) []signals.Act {
	switch n.Kind {
	case agent.NoteCodeAgain:
		var c agent.CodeAgain
		if json.Unmarshal(n.Data, &c) == nil {
			return []signals.Act{{Kind: signals.CodeAgain, At: n.At.Wall, Order: c.Order, Till: c.Till, Operator: c.Operator, UsedAt: c.UsedAt}}
		}
	case ShiftOpened:
		var s opened
		if json.Unmarshal(n.Data, &s) == nil {
			return []signals.Act{{Kind: signals.Shift, At: n.At.Wall, Operator: s.Operator.ID}}
		}
	}
	return nil
}

// done reads the acts of a fact of an order that was made before. The order is
// as it is now; its own times say which of them this fact was.
func (w *Watch) done(f order.Fact) []signals.Act {
	switch f.Kind {
	case order.KindCancelAsked, order.KindRefund, order.KindAnswered, order.KindEnded, order.KindResolved:
	default:
		return nil
	}
	o, err := w.agent.Order(f.Order)
	if err != nil || o == nil {
		w.log.Warn("an order cannot be looked at for finance", "order", f.Order, "error", err)
		return nil
	}
	act := signals.Act{At: f.At.Wall, Order: o.No, Till: o.Till, Counter: o.TillKind == config.Counter}
	switch {
	case f.Kind == order.KindCancelAsked && f.Person != nil && !f.Person.Auto:
		act.Kind, act.Operator = signals.Canceled, f.Person.Operator.ID
		return []signals.Act{act}
	case f.Kind == order.KindRefund && f.Refund != nil && !f.Refund.Auto:
		act.Kind, act.Operator, act.Refund = signals.Asked, f.Refund.Operator.ID, f.Refund.Request
		act.PaidAt, act.PaidBy = o.EndedAt.Wall, o.Operator.ID
		// Who gives back what a machine took is a person, unless it is in the machine's own name.
		act.Counter = act.Counter || act.Operator != o.Operator.ID
		if o.Foreign { // taken elsewhere, nobody knows by whom
			act.PaidAt, act.PaidBy = o.PaidAt, ""
		}
		return []signals.Act{act}
	case f.Kind == order.KindCancelAsked || f.Kind == order.KindRefund:
		return nil
	}
	var acts []signals.Act
	if o.Outcome == order.Paid && !o.Foreign && o.EndedAt == f.At && w.first("paid "+o.No) {
		act.Kind, act.Operator, act.Amount = signals.Taken, o.Operator.ID, o.Amount
		acts = append(acts, act)
	}
	for _, r := range o.Refunds {
		if r.State == order.RefundDone && !r.Auto && r.EndedAt == f.At && w.first(r.Request) {
			act.Kind, act.Operator, act.Amount = signals.Given, r.Operator.ID, r.Sum
			acts = append(acts, act)
		}
	}
	return acts
}

// first tells that a movement was not seen a moment ago.
func (w *Watch) first(what string) bool {
	if slices.Contains(w.recent, what) {
		return false
	}
	w.recent = append(w.recent, what)
	w.recent = w.recent[max(0, len(w.recent)-64):]
	return true
}

// Sign is a signal as finance reads it.
type Sign struct {
	signals.Signal
	Time time.Time  `json:"time"`
	Say  words.Text `json:"say"`
	Next words.Text `json:"next_action"`
}

// Signs lists what was found on a day, oldest first.
func Signs(a *agent.Agent, on time.Time) ([]Sign, error) {
	threads, err := a.Threads(agent.CheckKey(agent.Day(on.UnixMilli())))
	if err != nil {
		return nil, err
	}
	list, texts := []Sign{}, words.New()
	for _, name := range threads {
		notes, err := a.Thread(name)
		if err != nil {
			return nil, err
		}
		for _, n := range notes {
			var x agent.Alarm
			if err := json.Unmarshal(n.Data, &x); err != nil {
				return nil, err
			}
			if x.Check == nil {
				continue
			}
			e, _ := texts.Find(words.Alarm, x.Code)
			list = append(list, Sign{Signal: *x.Check, Time: time.UnixMilli(x.Check.At).In(zone()), Say: e.Cashier, Next: e.Next})
		}
	}
	return list, nil
}

// WriteSigns writes the list as a table.
func WriteSigns(w io.Writer, f Format, list []Sign) error {
	s := newSheet(w, f)
	s.row("时间 time", "规则 rule", "说明 what", "收费点 till", "操作员 operator", "订单 orders", "退款号 refund_no", "撤销笔数 cancels", "本班收款(元) taken", "本班退款(元) given")
	for _, x := range list {
		s.row(x.Time.Format("2006-01-02 15:04:05"), x.Rule, x.Say.ZH, x.Till, x.Operator, strings.Join(x.Orders, " "), x.Refund, x.Count, yuan(x.Taken), yuan(x.Given))
	}
	return s.flush()
}
