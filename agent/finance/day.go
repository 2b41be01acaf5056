package finance

import (
	"context"
	"fmt"
	"time"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/agent/reconcile"
	"payagent/platforms"
)

// DayOptions say what a day is compared with.
type DayOptions struct {
	_         [0]func()       // never compared: no code is made for it
	Day       time.Time       // any instant of the day (UTC+8)
	Statement *reconcile.File // the platform's; nil: every order is asked for
	HIS       *reconcile.File // HIS's; nil: what it acknowledged
	Operator  platforms.Operator
	Token     string // name of the token under which it is asked for, for the record
}

// AlarmDiffers is raised once by a comparison that found something.
const AlarmDiffers = "reconcile_differs"

// Reconciled is the kind of the note that a comparison leaves.
const Reconciled = "reconciled"

// Reconcile compares a day, order by order, oldest first, then what only the
// files know. Rows are given as they come; at most a few wait in memory. At the
// end it leaves a note, and raises one alarm if somebody has to look.
func Reconcile(ctx context.Context, a *agent.Agent, o DayOptions, yield func(reconcile.Row) error) (reconcile.Totals, error) {
	d := &day{agent: a, o: o, noHIS: o.HIS == nil && !a.Config().Booking.Expect, ask: a.Ask}
	c := reconcile.New(reconcile.Options{Day: o.Day, Statement: o.Statement, HIS: o.HIS, NoHIS: d.noHIS})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := d.orders(ctx, a.Config().Finance.ReconcileQueries, func(x reconcile.Order) error {
		if row, ok := c.Add(x); ok {
			return yield(row)
		}
		return nil
	})
	if err != nil {
		return c.Totals(), fmt.Errorf("cannot compare the day: %w", err)
	}
	for _, row := range c.Rest() {
		if err := yield(row); err != nil {
			return c.Totals(), err
		}
	}
	t := c.Totals()
	if t.Wrong() {
		a.RaiseAlarm(AlarmDiffers)
	}
	note := struct {
		Subject  string             `json:"subject"`
		Operator platforms.Operator `json:"operator"`
		Token    string             `json:"token,omitempty"`
		Status   string             `json:"status"`
		Totals   reconcile.Totals   `json:"totals"`
	}{agent.Day(o.Day.UnixMilli()), o.Operator, o.Token, status(t), t}
	return t, a.Note(ctx, Reconciled, nil, note)
}

func status(t reconcile.Totals) string {
	switch {
	case t.Wrong():
		return "differs"
	case t.Classes[reconcile.Unknown].Count > 0:
		return "incomplete"
	}
	return "equal"
}

// day collects the words of the three about each order of a day.
type day struct {
	agent *agent.Agent
	o     DayOptions
	noHIS bool
	ask   func(context.Context, *order.Order) (platforms.Answer, error)
}

// orders gives the day's orders in the order of the journal. Platforms are
// asked ahead, so many at a time.
func (d *day) orders(ctx context.Context, atOnce int, yield func(reconcile.Order) error) error {
	waiting := make(chan chan reconcile.Order, atOnce)
	places := make(chan struct{}, atOnce)
	failed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(waiting)
		failed <- d.read(ctx, func(o *order.Order) error {
			result := make(chan reconcile.Order, 1)
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			go func() {
				result <- d.words(ctx, o)
				<-places
			}()
			select {
			case waiting <- result:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var err error
	for result := range waiting {
		x := <-result
		if err == nil {
			if err = ctx.Err(); err == nil {
				err = yield(x)
			}
			if err != nil {
				stop()
			}
		}
	}
	if readErr := <-failed; err == nil {
		err = readErr
	}
	return err
}

// read finds the orders that belong to the day: begun then, or with money that
// moved then by anybody's clock.
func (d *day) read(ctx context.Context, yield func(*order.Order) error) error {
	return d.agent.OnDay(ctx, agent.DayKey(d.o.Day), func(o *order.Order) error {
		today := func(wall int64) bool { return agent.Day(wall) == agent.Day(d.o.Day.UnixMilli()) }
		belongs := today(o.CreatedAt.Wall) || o.Booking != nil && today(o.Booking.At)
		for _, m := range moves(o) {
			belongs = belongs || today(m.At.UnixMilli())
		}
		for _, e := range o.Entries() {
			belongs = belongs || today(e.At)
		}
		if !belongs {
			return nil
		}
		return yield(o)
	})
}

// moves lists what the journal knows to have moved. A payment moved when the
// platform says so, where it said.
func moves(o *order.Order) []reconcile.Move {
	var list []reconcile.Move
	if o.Outcome == order.Paid {
		at := o.EndedAt.Wall
		if !o.PaidLocal && o.PaidAt > 0 {
			at = o.PaidAt
		}
		list = append(list, reconcile.Move{Amount: o.Amount, At: time.UnixMilli(at)})
	}
	if o.Outside > 0 {
		list = append(list, reconcile.Move{Refund: true, Amount: o.Outside, At: time.UnixMilli(o.CreatedAt.Wall)})
	}
	for _, r := range o.Refunds {
		if r.State == order.RefundDone {
			list = append(list, reconcile.Move{Refund: true, RefundNo: r.Request, Amount: r.Sum, At: time.UnixMilli(r.EndedAt.Wall)})
		}
	}
	return list
}

// words collects what the three say of an order.
func (d *day) words(ctx context.Context, o *order.Order) reconcile.Order {
	x := reconcile.Order{No: o.No, TradeNo: o.TradeNo, Channel: o.PaidVia(), Business: Business(d.agent.Config(), o), Till: o.Till,
		Operator: o.Operator.ID, At: time.UnixMilli(o.CreatedAt.Wall).In(zone()), Journal: journalWord(o), Moves: moves(o)}
	if o.Outcome == order.Paid && len(x.Moves) > 0 {
		x.At = x.Moves[0].At.In(zone())
	}
	x.HIS = hisWord(o)
	if d.o.Statement == nil {
		x.Platform = d.platformWord(ctx, o, x.Journal)
	}
	return x
}

func journalWord(o *order.Order) reconcile.Word {
	w := reconcile.Word{Known: o.State().Final(), State: string(o.State())}
	for _, m := range moves(o) {
		if m.Refund {
			w.Back += m.Amount
		} else {
			w.Paid += m.Amount
		}
	}
	for _, r := range o.Refunds {
		if !r.State.Final() && r.State != order.RefundAwaiting {
			w.Known, w.State = false, "refund_"+string(r.State)
		}
	}
	if o.LateFound { // money after an unpaid end: there, and given back or not
		w.Paid, w.State = o.Amount, "late_money"
		if o.LateDone {
			w.Back = o.Amount
		}
	}
	return w
}

func hisWord(o *order.Order) reconcile.Word {
	w := reconcile.Word{Known: true, State: string(order.BookNone)}
	if o.Booking != nil {
		w.State = string(o.Booking.State)
	}
	w.Paid, w.Back = bookedMoney(o)
	return w
}

// platformWord asks the platform. What the answer does not carry is bound by
// the number asked for (decision 4), so the journal's figure stands for it.
func (d *day) platformWord(ctx context.Context, o *order.Order, journal reconcile.Word) reconcile.Word {
	traits := d.agent.Platform(o.Platform).Traits
	switch {
	case o.SentAt == nil && !o.Foreign && o.Doubt == "":
		return reconcile.Word{Known: true, State: "not_sent"}
	case traits.NoQuery:
		return reconcile.Word{State: "no_query"}
	}
	a, err := d.ask(ctx, o)
	if err != nil {
		return reconcile.Word{State: "no_answer"}
	}
	return wordOf(o, traits, a, journal)
}

func wordOf(o *order.Order, traits platforms.Traits, a platforms.Answer, journal reconcile.Word) reconcile.Word {
	w := reconcile.Word{Known: true, State: a.Status.String()}
	claim := platforms.Answer{Status: a.Status, OrderNo: a.OrderNo, Handle: a.Handle, Merchant: a.Merchant}
	if platforms.Bind(o.Ref(), claim) != nil { // the amount is what is compared
		return reconcile.Word{State: "mixed_up"}
	}
	switch a.Status {
	case platforms.Unknown:
		w.Known = false
	case platforms.Paid:
		if traits.PaidIsSticky && (o.CancelSent != nil || journal.Back > 0) {
			return reconcile.Word{State: "paid_or_reversed"} // it says so after a cancel that worked, too
		}
		w.Paid, w.Back = o.Amount, journal.Back
		if a.HasAmount {
			w.Paid = a.Amount
		}
		if a.HasRefunded {
			w.Back = a.Refunded
		}
	case platforms.Closed:
		// Closed, or given back whole: nothing is left either way.
		if journal.Net() == 0 {
			w.Money = journal.Money
		}
	}
	return w
}
