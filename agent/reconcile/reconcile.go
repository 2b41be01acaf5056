// Package reconcile compares, order by order, what three parties say of a
// day's money: the journal of this agent, the payment platform, and HIS (F8,
// ORD-13). It is pure: whoever calls it brings the words of the three.
//
// An order is compared as a whole, over all days: what was taken and what was
// given back so far. A file speaks of one day only; for the other days of an
// order the journal's word is taken, because those days were reconciled by
// themselves.
package reconcile

import (
	"cmp"
	"slices"
	"time"

	"payagent/platforms"
)

// Class is what the comparison of one order came to.
type Class string

// The classes. The hospital's money lies with the platform, its books with
// HIS: long is money without a booking, short is a booking without money.
const (
	Equal         Class = "equal"
	Long          Class = "long"           // 长款
	Short         Class = "short"          // 短款
	StateDiffers  Class = "state_differs"  // the sums agree, what happened does not
	AmountDiffers Class = "amount_differs" // both have money, and not the same
	Unknown       Class = "unknown"        // the platform could not be asked
)

// Classes lists them in the order of reports.
func Classes() []Class {
	return []Class{Equal, Long, Short, StateDiffers, AmountDiffers, Unknown}
}

// Money is what was taken from a payer and what was given back, in fen.
type Money struct {
	Paid platforms.Fen `json:"paid_fen"`
	Back platforms.Fen `json:"refunded_fen"`
}

// Net is what is left.
func (m Money) Net() platforms.Fen { return m.Paid - m.Back }

// Word is what one party says of an order.
type Word struct {
	Known bool   `json:"known"`           // false: it could not be asked, or is not decided
	State string `json:"state,omitempty"` // its own word, for people
	Money
}

// Move is one movement of money.
type Move struct {
	Refund   bool
	RefundNo string // where it is known
	Amount   platforms.Fen
	At       time.Time
}

// Order is what the journal says of an order, and, where they were asked, the
// platform and HIS.
type Order struct {
	No       string
	TradeNo  string
	Channel  platforms.Channel
	Business string
	Till     string
	Operator string
	At       time.Time // paid, else created
	Journal  Word
	Platform Word   // not looked at where there is a statement
	HIS      Word   // not looked at where there is a file of HIS, or HIS is not compared
	Moves    []Move // what the journal knows to have moved
}

// Row is an order and what its comparison came to. Diff is what the platform
// has beyond the books, in fen.
type Row struct {
	Order
	Class Class
	Diff  platforms.Fen
}

// Options say what is compared.
type Options struct {
	Day       time.Time // any instant of the day (UTC+8)
	Statement *File     // the platform's word; nil: it was asked order by order
	HIS       *File     // HIS's word; nil: what it acknowledged to the journal
	// NoHIS leaves HIS out: at sites where HIS acknowledges nothing the
	// journal stands for its books.
	NoHIS bool
}

// Comparer takes the orders of a day one by one. It keeps totals and the
// numbers it saw, not the orders.
type Comparer struct {
	o      Options
	seen   map[string]bool
	totals Totals
}

// New begins a comparison.
func New(o Options) *Comparer {
	return &Comparer{o: o, seen: map[string]bool{}, totals: Totals{Classes: map[Class]Sum{}, Channels: map[platforms.Channel]map[Class]Sum{}}}
}

// Add compares one order. An order that was added before is passed over: ok is
// false.
func (c *Comparer) Add(o Order) (row Row, ok bool) {
	if c.seen[o.No] {
		return Row{}, false
	}
	c.seen[o.No] = true
	if c.o.Statement != nil {
		o.Platform = c.o.Statement.word(o, c.o.Day)
	}
	if c.o.HIS != nil {
		o.HIS = c.o.HIS.word(o, c.o.Day)
	}
	row = Row{Order: o}
	row.Class, row.Diff = classify(o.Journal, o.Platform, o.HIS, c.books())
	c.totals.add(row, c.books())
	return row, true
}

// Rest gives the orders that only the files know, by number.
func (c *Comparer) Rest() []Row {
	var names []string
	for _, f := range []*File{c.o.Statement, c.o.HIS} {
		if f == nil {
			continue
		}
		for no := range f.orders {
			if !c.seen[no] && !slices.Contains(names, no) {
				names = append(names, no)
			}
		}
	}
	slices.Sort(names)
	var rows []Row
	for _, no := range names {
		o := Order{No: no, Journal: Word{Known: true, State: "absent"}, Platform: Word{}, HIS: Word{Known: true, State: "absent"}}
		for _, f := range []*File{c.o.HIS, c.o.Statement} {
			if f == nil {
				continue
			}
			if lines := f.orders[no]; len(lines) > 0 {
				o.At, o.TradeNo = lines[0].At, cmp.Or(lines[0].TradeNo, o.TradeNo)
				o.Channel = cmp.Or(lines[0].Channel, o.Channel)
			}
		}
		if row, ok := c.Add(o); ok {
			rows = append(rows, row)
		}
	}
	return rows
}

// Totals is what the comparison came to so far.
func (c *Comparer) Totals() Totals { return c.totals }

func (c *Comparer) books() bool { return !c.o.NoHIS || c.o.HIS != nil }

// classify compares three words. With his the books are HIS's, else the
// journal's.
func classify(journal, platform, his Word, withHIS bool) (Class, platforms.Fen) {
	if !platform.Known {
		return Unknown, 0
	}
	books := journal
	if withHIS {
		books = his
	}
	diff := platform.Net() - books.Net()
	// Books that say nothing are right about what was taken and given back
	// whole: HIS said that it failed, and the agent reversed.
	booked := platform.Money == books.Money || books.Money == (Money{}) && platform.Net() == 0
	switch {
	case diff == 0 && journal.Known && booked && platform.Money == journal.Money:
		return Equal, 0
	case diff == 0:
		return StateDiffers, 0
	case books.Net() == 0 && diff > 0, platform.Net() == 0 && diff > 0:
		return Long, diff
	case books.Net() == 0, platform.Net() == 0:
		return Short, diff
	}
	return AmountDiffers, diff
}

// Sum counts rows and adds their difference.
type Sum struct {
	Count int           `json:"count"`
	Diff  platforms.Fen `json:"diff_fen"`
}

func (s Sum) plus(d platforms.Fen) Sum { return Sum{s.Count + 1, s.Diff + d} }

// Totals of a comparison. The nets are of the rows that the platform was known
// for, so that Platform less Books is the sum of all differences.
type Totals struct {
	Orders   int                                 `json:"orders"`
	Journal  platforms.Fen                       `json:"journal_net_fen"`
	Platform platforms.Fen                       `json:"platform_net_fen"`
	Books    platforms.Fen                       `json:"books_net_fen"`
	Classes  map[Class]Sum                       `json:"classes"`
	Channels map[platforms.Channel]map[Class]Sum `json:"channels"`
}

func (t *Totals) add(r Row, withHIS bool) {
	t.Orders++
	t.Classes[r.Class] = t.Classes[r.Class].plus(r.Diff)
	ch := t.Channels[r.Channel]
	if ch == nil {
		ch = map[Class]Sum{}
		t.Channels[r.Channel] = ch
	}
	ch[r.Class] = ch[r.Class].plus(r.Diff)
	if r.Class == Unknown {
		return
	}
	t.Journal += r.Journal.Net()
	t.Platform += r.Platform.Net()
	if withHIS {
		t.Books += r.HIS.Net()
	} else {
		t.Books += r.Journal.Net()
	}
}

// Wrong tells that somebody has to look: something differs.
func (t Totals) Wrong() bool {
	return t.Classes[Long].Count+t.Classes[Short].Count+t.Classes[StateDiffers].Count+t.Classes[AmountDiffers].Count > 0
}
