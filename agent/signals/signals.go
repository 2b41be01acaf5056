// Package signals finds what finance should look at: signs that somebody at a
// till may be giving money away (SEC-12). It is pure: acts go in with their
// times, in the order of the journal, and signals come out; nothing is stopped
// and nobody accused. The state is bounded and can be derived anew from the
// journal of the last [Window].
//
// What each rule takes for a sign:
//
//   - refund_absent: the payer is taken to be at the till when paying. A refund
//     that a person asks for later than RefundAfter, or in another name than
//     that of who took the payment, may be one without the payer. Whoever is
//     named in Desk gives money back for others all day and is left out. While
//     nobody is named there, refunds in another name are taken for the desk's.
//   - many_cancels: so many cancels in one operator's name within an hour.
//   - code_two_tills: a payment code that paid, or tried to, at one till was
//     shown at another within CodeWithin. The second was refused, as always.
//   - refunds_over: the refunds in one operator's name in a shift exceed what
//     they took in it, and RefundsOver. Who took nothing is taken for the desk
//     while nobody is named there.
//   - after_hours: something about money in a person's name, at a counter,
//     while by Hours the hospital is closed.
//
// A request for a refund names no till. It is taken for one of the counter at
// which the same person began an order last, within a shift; of who began none,
// for one of the till where the order was paid.
package signals

import (
	"slices"
	"time"

	"payagent/platforms"
)

// Rule names a rule.
type Rule string

// The rules.
const (
	RefundAbsent Rule = "refund_absent"
	ManyCancels  Rule = "many_cancels"
	CodeTwoTills Rule = "code_two_tills"
	RefundsOver  Rule = "refunds_over"
	AfterHours   Rule = "after_hours"
)

// Rules lists them.
func Rules() []Rule { return []Rule{RefundAbsent, ManyCancels, CodeTwoTills, RefundsOver, AfterHours} }

// Kind is what was done.
type Kind string

// The kinds of acts.
const (
	Begun     Kind = "begun"      // an order was made
	Taken     Kind = "taken"      // it was paid
	Canceled  Kind = "canceled"   // a person asked for a cancel
	Asked     Kind = "asked"      // a person asked for a refund
	Given     Kind = "given"      // that refund is done
	CodeAgain Kind = "code_again" // a code that was used at another till was refused
	Shift     Kind = "shift"      // an operator began a shift
)

// Act is one thing that somebody did.
type Act struct {
	_        [0]func() // never compared: no code is made for it
	Kind     Kind
	At       int64 // Unix milliseconds
	Order    string
	Till     string // where the order is, or the code was shown
	Counter  bool   // that till is staffed; Asked: a person asked, wherever the order was paid
	Operator string
	Amount   platforms.Fen // Taken, Given
	Refund   string        // Asked: its number
	PaidAt   int64         // Asked: when the order was paid, Unix milliseconds
	PaidBy   string        // Asked: in whose name; empty if that is not known
	UsedAt   int64         // CodeAgain: when the code was used first
}

// Signal asks somebody to look.
type Signal struct {
	Rule     Rule          `json:"rule"`
	At       int64         `json:"at"` // Unix milliseconds
	Till     string        `json:"till"`
	Operator string        `json:"operator"`
	Orders   []string      `json:"orders"` // the newest, maxOrders at most
	Refund   string        `json:"refund_no,omitempty"`
	Count    int           `json:"count,omitempty"`     // cancels within the hour
	Taken    platforms.Fen `json:"taken_fen,omitempty"` // in the shift
	Given    platforms.Fen `json:"given_fen,omitempty"` // in the shift
}

// Hours is when one day of the week is open, in minutes since midnight of
// UTC+8: From is included, To is not. A To that is not after From reaches into
// the next day. From and To equal: closed.
type Hours struct{ From, To int }

// Config says where the borders are.
type Config struct {
	Mute        []string // rules that are not looked at
	RefundAfter time.Duration
	Desk        []string // operators who give money back for others
	Cancels     int
	CodeWithin  time.Duration
	RefundsOver platforms.Fen
	Shift       time.Duration // length of a shift that nobody began
	Hours       *[7]Hours     // from Sunday on; nil: always open
	Always      []string      // tills that never close
}

// Window is how much of the journal has to be seen again after a start, and
// Owed how old what is found in it may be to be told then: whatever was told of
// the same before is in the window, so that nothing is told twice.
const (
	Window = 2*day + again
	Owed   = day
)

// How long the same thing is not told again, and how much is kept.
const (
	again     = time.Hour
	day       = 24 * time.Hour
	maxPeople = 512  // operators looked at together
	maxTold   = 4096 // things told
	maxOrders = 20   // orders of one signal
	maxShift  = 24 * time.Hour
)

// Watcher looks at acts. It is no use to several goroutines at once.
type Watcher struct {
	c      Config
	people map[string]*person
	told   map[string]int64 // what was told → when
}

// person is what is kept of one operator.
type person struct {
	last    int64
	till    string // the counter where they began an order last
	tillAt  int64
	cancels []mark
	hours   []sums
}

type mark struct {
	at    int64
	order string
}

// sums is what went through in one hour.
type sums struct {
	hour         int64
	taken, given platforms.Fen
	orders       []string // given
}

// New makes a watcher that has seen nothing.
func New(c Config) *Watcher {
	c.Shift = min(c.Shift, maxShift)
	return &Watcher{c: c, people: map[string]*person{}, told: map[string]int64{}}
}

// See looks at one act and gives what it is a sign of, if anything. The same
// sign is given once: in an hour, a shift or a day, by its rule.
func (w *Watcher) See(a Act) []Signal {
	var list []Signal
	put := func(s *Signal) {
		if s != nil && !slices.Contains(w.c.Mute, string(s.Rule)) && w.fresh(*s) {
			w.Told(*s)
			list = append(list, *s)
		}
	}
	switch a.Kind {
	case Shift:
		delete(w.people, a.Operator)
		delete(w.told, string(RefundsOver)+"|"+a.Operator)
		return nil
	case CodeAgain:
		put(w.twoTills(a))
		return list
	case Begun:
		if a.Counter {
			p := w.person(a)
			p.till, p.tillAt = a.Till, a.At
		}
	case Asked:
		if p := w.people[a.Operator]; p != nil && p.till != "" && a.At-p.tillAt < w.c.Shift.Milliseconds() {
			a.Till = p.till
		}
		put(w.absent(a))
	case Canceled:
		if a.Counter { // patients cancel at kiosks
			put(w.cancels(a))
		}
	case Taken, Given:
		put(w.over(a))
		return list
	}
	put(w.afterHours(a))
	return list
}

// Told notes that a signal was told, e.g. in a former life of the process.
func (w *Watcher) Told(s Signal) {
	if len(w.told) >= maxTold {
		for k, at := range w.told {
			if s.At-at >= day.Milliseconds() {
				delete(w.told, k)
			}
		}
		if len(w.told) >= maxTold { // all of them of today: better twice than never
			w.told = map[string]int64{}
		}
	}
	key := s.Key()
	w.told[key] = max(w.told[key], s.At)
}

// fresh tells that the same was not told lately.
func (w *Watcher) fresh(s Signal) bool {
	at, ok := w.told[s.Key()]
	return !ok || s.At-at >= quiet(s.Rule, w.c.Shift).Milliseconds()
}

// Covers tells whether a signal that was told says what another would.
func (w *Watcher) Covers(told, other Signal) bool {
	d := other.At - told.At
	return told.Key() == other.Key() && max(d, -d) < quiet(told.Rule, w.c.Shift).Milliseconds()
}

// Key is what a signal is about.
func (s Signal) Key() string {
	key := string(s.Rule) + "|"
	switch s.Rule {
	case RefundAbsent:
		return key + s.Orders[0] + "|" + s.Refund
	case CodeTwoTills:
		return key + s.Orders[0] + "|" + s.Till
	case AfterHours:
		return key + s.Till + "|" + s.Operator
	}
	return key + s.Operator
}

func quiet(r Rule, shift time.Duration) time.Duration {
	switch r {
	case ManyCancels, AfterHours:
		return again
	case RefundsOver:
		return shift
	}
	return day
}

func (a Act) signal(r Rule, orders ...string) *Signal {
	return &Signal{Rule: r, At: a.At, Till: a.Till, Operator: a.Operator, Orders: orders[max(0, len(orders)-maxOrders):]}
}

func (w *Watcher) absent(a Act) *Signal {
	late := a.At-a.PaidAt > w.c.RefundAfter.Milliseconds()
	other := a.PaidBy != a.Operator
	if slices.Contains(w.c.Desk, a.Operator) || !late && !other || other && len(w.c.Desk) == 0 {
		return nil
	}
	s := a.signal(RefundAbsent, a.Order)
	s.Refund = a.Refund
	return s
}

func (w *Watcher) twoTills(a Act) *Signal {
	if a.At-a.UsedAt > w.c.CodeWithin.Milliseconds() {
		return nil
	}
	return a.signal(CodeTwoTills, a.Order)
}

func (w *Watcher) cancels(a Act) *Signal {
	p := w.person(a)
	p.cancels = slices.DeleteFunc(p.cancels, func(m mark) bool { return a.At-m.at >= again.Milliseconds() })
	p.cancels = append(p.cancels, mark{a.At, a.Order})
	n := len(p.cancels)
	p.cancels = p.cancels[max(0, n-w.c.Cancels):]
	if n < w.c.Cancels {
		return nil
	}
	var orders []string
	for _, m := range p.cancels {
		orders = append(orders, m.order)
	}
	s := a.signal(ManyCancels, orders...)
	s.Count = min(n, w.c.Cancels)
	return s
}

func (w *Watcher) over(a Act) *Signal {
	const hour = int64(time.Hour / time.Millisecond)
	p := w.person(a)
	p.hours = slices.DeleteFunc(p.hours, func(s sums) bool { return a.At/hour-s.hour >= int64(w.c.Shift/time.Hour) })
	i := slices.IndexFunc(p.hours, func(s sums) bool { return s.hour == a.At/hour })
	if i < 0 {
		i, p.hours = len(p.hours), append(p.hours, sums{hour: a.At / hour})
	}
	if a.Kind == Taken {
		p.hours[i].taken += a.Amount
		return nil
	}
	p.hours[i].given += a.Amount
	if len(p.hours[i].orders) < maxOrders {
		p.hours[i].orders = append(p.hours[i].orders, a.Order)
	}
	var taken, given platforms.Fen
	var orders []string
	for _, s := range p.hours {
		taken, given, orders = taken+s.taken, given+s.given, append(orders, s.orders...)
	}
	if slices.Contains(w.c.Desk, a.Operator) || len(w.c.Desk) == 0 && taken == 0 || given <= taken || given < w.c.RefundsOver {
		return nil
	}
	s := a.signal(RefundsOver, orders...)
	s.Taken, s.Given = taken, given
	return s
}

func (w *Watcher) afterHours(a Act) *Signal {
	if w.c.Hours == nil || !a.Counter || slices.Contains(w.c.Always, a.Till) || w.open(a.At) {
		return nil
	}
	return a.signal(AfterHours, a.Order)
}

// open tells whether the hospital is open at a moment.
func (w *Watcher) open(at int64) bool {
	t := time.UnixMilli(at).In(time.FixedZone("UTC+8", 8*60*60))
	now := t.Hour()*60 + t.Minute()
	today, before := w.c.Hours[t.Weekday()], w.c.Hours[(t.Weekday()+6)%7]
	if today.From < today.To {
		if now >= today.From && now < today.To {
			return true
		}
	} else if today.From > today.To && now >= today.From {
		return true
	}
	return before.From > before.To && now < before.To // reached into today
}

// person finds what is kept of an operator.
func (w *Watcher) person(a Act) *person {
	p := w.people[a.Operator]
	if p == nil {
		if len(w.people) >= maxPeople {
			w.forget()
		}
		p = &person{}
		w.people[a.Operator] = p
	}
	p.last = a.At
	return p
}

// forget lets go of the operator who did nothing for the longest time.
func (w *Watcher) forget() {
	oldest := ""
	for name, p := range w.people {
		if oldest == "" || p.last < w.people[oldest].last {
			oldest = name
		}
	}
	delete(w.people, oldest)
}

// Size tells how much is kept.
func (w *Watcher) Size() (people, told int) { return len(w.people), len(w.told) }
