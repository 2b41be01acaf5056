package his

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Manner is how the pretend HIS books what was paid.
type Manner string

// The manners.
const (
	Prompt Manner = "book"   // at once
	Late   Manner = "late"   // after LateS seconds
	Silent Manner = "silent" // never says anything
	Fails  Manner = "fail"   // says that its processing failed
	Twice  Manner = "twice"  // books, and then again under another flow number
)

// Manners lists them.
func Manners() []Manner { return []Manner{Prompt, Late, Silent, Fails, Twice} }

// Conduct is the manner with its figure.
type Conduct struct {
	Manner Manner `json:"manner"`
	LateS  int    `json:"late_s"` // late only, 1 to 3600
}

// Clerk books: it hears the agent's events, enters what was paid and given back
// into HIS's own books, and tells the agent, again and again until it is
// answered. A clerk that starts anew hears everything from the beginning, so
// nothing that was paid while it was away is missed.
type Clerk struct {
	client *Client
	books  *Books
	now    func() time.Time
	wait   func(ctx context.Context, d time.Duration) error

	mu      sync.Mutex
	conduct Conduct
	failed  map[string]bool // orders of which the agent was told that they failed
	timed   map[string]bool // orders that wait for their late booking
}

// NewClerk makes a clerk that books at once. wait is how it rests.
func NewClerk(client *Client, books *Books, now func() time.Time, wait func(ctx context.Context, d time.Duration) error) *Clerk {
	return &Clerk{client: client, books: books, now: now, wait: wait, conduct: Conduct{Manner: Prompt, LateS: 90}, failed: map[string]bool{}, timed: map[string]bool{}}
}

// Books gives HIS's own books.
func (c *Clerk) Books() *Books { return c.books }

// Conduct tells how the clerk books now.
func (c *Clerk) Conduct() Conduct {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conduct
}

// Behave changes it, for what is paid from now on.
func (c *Clerk) Behave(x Conduct) error {
	if x.LateS == 0 {
		x.LateS = 90
	}
	known := false
	for _, m := range Manners() {
		known = known || m == x.Manner
	}
	if !known || x.LateS < 1 || x.LateS > 3600 {
		return fmt.Errorf("cannot book so: the manner is one of %v, late_s 1 to 3600", Manners())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conduct = x
	return nil
}

// rest is between two attempts to reach an agent that is away.
const rest = time.Second

// Run books until the context ends.
func (c *Clerk) Run(ctx context.Context) {
	var late sync.WaitGroup
	defer late.Wait()
	since := "0"
	for {
		_ = c.client.Events(ctx, since, func(id, name string, data []byte) error { // it ends with an error always
			var seen Seen
			if name == "order" && json.Unmarshal(data, &seen) == nil {
				if err := c.see(ctx, seen, &late); err != nil {
					return err // the agent went away: this event is heard again
				}
			}
			if id != "" {
				since = id
			}
			return nil
		})
		if c.wait(ctx, rest) != nil {
			return
		}
	}
}

// see does what an order asks for, in the clerk's manner.
func (c *Clerk) see(ctx context.Context, o Seen, late *sync.WaitGroup) error {
	if o.State != "paid" {
		return nil
	}
	e, booked := c.books.Find(o.OutTradeNo, "")
	if !booked {
		// An event tells how the order was then. Before money is booked HIS asks
		// how it is now: another window may have booked it meanwhile.
		a, err := c.client.Get(ctx, o.OutTradeNo, 0)
		if err != nil {
			return err
		}
		now, ok := a.Order()
		if !ok || now.State != "paid" {
			return nil
		}
		o = now
	}
	switch {
	case !booked && (o.Booking.State == "" || o.Booking.State == "pending") && o.RefundedFen == 0:
		return c.first(ctx, o, late)
	case booked && e.Told == "":
		return c.tell(ctx, e)
	case !booked || e.Struck:
		return nil
	}
	for _, r := range o.Refunds {
		if r.State != "done" {
			continue
		}
		back, known := c.books.Find(o.OutTradeNo, r.RefundNo)
		if known && back.Told != "" {
			continue
		}
		if !known {
			back = c.entry(o)
			back.FlowID, back.RefundNo, back.AmountFen = "TF"+r.RefundNo, r.RefundNo, -r.AmountFen
			if err := c.books.Put(back); err != nil {
				return err
			}
		}
		if err := c.tell(ctx, back); err != nil {
			return err
		}
	}
	return nil
}

func (c *Clerk) entry(o Seen) Entry {
	return Entry{FlowID: "HF" + o.OutTradeNo, OrderNo: o.OutTradeNo, Bill: o.Bill, AmountFen: o.AmountFen,
		Channel: o.ReportChannel, CostType: o.OrderType, AtMS: c.now().UnixMilli()}
}

// first meets a payment that is in no books yet.
func (c *Clerk) first(ctx context.Context, o Seen, late *sync.WaitGroup) error {
	c.mu.Lock()
	how, busy := c.conduct, c.failed[o.OutTradeNo] || c.timed[o.OutTradeNo]
	if how.Manner == Late && !busy {
		c.timed[o.OutTradeNo] = true
	}
	c.mu.Unlock()
	if busy {
		return nil
	}
	switch how.Manner {
	case Silent:
		return nil
	case Fails:
		return c.Fail(ctx, o.OutTradeNo, "测试：HIS 业务处理失败")
	case Late:
		late.Go(func() {
			if c.wait(ctx, time.Duration(how.LateS)*time.Second) == nil {
				// Without an answer the entry stays untold; the next start tells it.
				_ = c.Book(ctx, o)
			}
		})
		return nil
	}
	if err := c.Book(ctx, o); err != nil || how.Manner != Twice {
		return err
	}
	_, err := c.client.Book(ctx, o.OutTradeNo, Booking{Result: Booked, FlowID: "HF" + o.OutTradeNo + "AGAIN", CostType: o.OrderType})
	return err
}

// Book enters a payment into the books and tells the agent.
func (c *Clerk) Book(ctx context.Context, o Seen) error {
	e, known := c.books.Find(o.OutTradeNo, "")
	if !known {
		e = c.entry(o)
		if err := c.books.Put(e); err != nil {
			return err
		}
	}
	return c.tell(ctx, e)
}

// Fail tells the agent that HIS's processing failed; the agent then gives the
// money back.
func (c *Clerk) Fail(ctx context.Context, no, reason string) error {
	who := Operators()[0]
	a, err := c.client.Book(ctx, no, Booking{Result: Failed, Operator: &who, Reason: reason})
	if err == nil && a.Status >= 500 {
		err = errors.Join(ErrUnreachable, fmt.Errorf("it answered %d", a.Status))
	}
	if err == nil {
		c.mu.Lock()
		c.failed[no] = true
		c.mu.Unlock()
	}
	return err
}

// tell tells the agent of an entry and keeps what it said. An error means that
// it gave no answer: the entry is told again later.
func (c *Clerk) tell(ctx context.Context, e Entry) error {
	who := Operators()[0]
	a, err := c.client.Book(ctx, e.OrderNo, Booking{Result: Booked, FlowID: e.FlowID, RefundNo: e.RefundNo, CostType: e.CostType, Operator: &who})
	switch {
	case err != nil:
		return err
	case a.OK():
		e.Told = "done"
	case a.Status >= 500 || a.Status == 429:
		return errors.Join(ErrUnreachable, fmt.Errorf("it answered %d", a.Status))
	default:
		e.Told = a.Problem().Code
		// The money went back before HIS was ready, or was booked under another
		// number: what was entered is void.
		e.Struck = e.Told == "booking_late" || e.Told == "booking_differs"
	}
	return c.books.Put(e)
}
