package his

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"payagent/platforms"
)

// Bill is a pretend bill of a pretend patient.
type Bill struct {
	No        string        `json:"bill"`
	Patient   Patient       `json:"patient"`
	Subject   string        `json:"subject"`
	OrderType string        `json:"order_type"`
	AmountFen platforms.Fen `json:"amount_fen"`
	Orders    []string      `json:"orders"` // numbers that the agent gave for it, oldest first
}

// Desk is the memory of the pretend HIS: bills, and the orders made for them.
// It is safe for use by several goroutines.
type Desk struct {
	client *Client
	now    func() time.Time

	mu    sync.Mutex
	bills []Bill
	made  int
}

// NewDesk makes a HIS with a bill for every line of the table of magic amounts.
func NewDesk(client *Client, now func() time.Time) *Desk {
	d := &Desk{client: client, now: now}
	for i, ends := range []platforms.Fen{0, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99} {
		_, _ = d.AddBill(platforms.Fen(i+1)*1000+ends, "") // these amounts and the type are good
	}
	return d
}

// ErrBill is wrapped when a bill cannot be made or found.
var ErrBill = errors.New("there is no such bill; choose one of the list")

// AddBill makes one more bill of an amount in fen, 1 to 99,999,999. An empty
// order type is TREATMENT.
func (d *Desk) AddBill(amount platforms.Fen, orderType string) (Bill, error) {
	if amount < 1 || amount > 99_999_999 {
		return Bill{}, errors.New("cannot make the bill: the amount is 1 to 99999999 fen")
	}
	if orderType == "" {
		orderType = "TREATMENT"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	names := []rune("甲乙丙丁戊己庚辛壬癸")
	n := d.made
	d.made++
	b := Bill{
		// A time makes it new for an agent that has seen an earlier HIS.
		No: fmt.Sprintf("SIM%s%04d", d.now().UTC().Format("060102150405"), n+1),
		Patient: Patient{
			Name: "测试" + string(names[n%len(names)]), CardNo: fmt.Sprintf("TEST%04d", n+1), CardType: "medical_card",
			AdmissionNo: fmt.Sprintf("TESTZY%04d", n+1),
		},
		Subject: "测试缴费", OrderType: orderType, AmountFen: amount, Orders: []string{},
	}
	d.bills = append(d.bills, b)
	return b, nil
}

// Bills lists the bills, oldest first.
func (d *Desk) Bills() []Bill {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := slices.Clone(d.bills)
	for i := range all {
		all[i].Orders = slices.Clone(all[i].Orders)
	}
	return all
}

// Forget is a HIS that crashed: it knows its bills and not what it asked for.
// [Client.Bill] tells it again.
func (d *Desk) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.bills {
		d.bills[i].Orders = []string{}
	}
}

// Click is how the cashier presses 收费.
type Click string

// The clicks. A careful HIS sends both clicks with one key, a careless one
// makes a key for each.
const (
	Once      Click = "once"
	TwiceSame Click = "twice_same_key"
	TwiceNew  Click = "twice_new_key"
)

// Press is what the cashier chose when pressing 收费.
type Press struct {
	Bill       string            `json:"bill"`
	AmountFen  platforms.Fen     `json:"amount_fen"` // zero: the bill's
	Mode       platforms.Mode    `json:"mode"`
	Till       string            `json:"till"`
	Channel    platforms.Channel `json:"channel"`
	Aggregated bool              `json:"aggregated"`
	AuthCode   string            `json:"auth_code"`
	OrderType  string            `json:"order_type"` // empty: the bill's
	Expires    string            `json:"expires"`
	Offline    string            `json:"when_offline"`
	Click      Click             `json:"click"`
	Key        string            `json:"key"` // to repeat a press that got no answer; empty makes one
}

// Pressed is what came of one click.
type Pressed struct {
	Key    string  `json:"key"`
	Answer *Answer `json:"answer,omitempty"`
	Error  string  `json:"error,omitempty"` // no answer: press again with the same key
}

// Operators are the two pretend cashiers; a window keeps its own.
func Operators() []Person {
	return []Person{{"T1001", "测试收费员一"}, {"T1002", "测试收费员二"}}
}

// Collect presses 收费. Two clicks go out at the same time.
func (d *Desk) Collect(ctx context.Context, p Press, operator Person) ([]Pressed, error) {
	bill, err := d.find(p.Bill)
	if err != nil {
		return nil, err
	}
	o := Order{
		Bill: bill.No, AmountFen: bill.AmountFen, Mode: p.Mode, OrderType: bill.OrderType, Subject: bill.Subject, Memo: "测试",
		Patient: bill.Patient, Operator: operator, Till: p.Till, Channel: p.Channel, Aggregated: p.Aggregated,
		AuthCode: p.AuthCode, Expires: p.Expires, WhenOffline: p.Offline,
	}
	if p.AmountFen != 0 {
		o.AmountFen = p.AmountFen
	}
	if p.OrderType != "" {
		o.OrderType = p.OrderType
	}
	first := p.Key
	if first == "" {
		first = NewKey()
	}
	keys := []string{first}
	switch p.Click {
	case Once, "":
	case TwiceSame:
		keys = append(keys, first)
	case TwiceNew:
		keys = append(keys, NewKey())
	default:
		return nil, fmt.Errorf("cannot click %q: choose once, twice_same_key or twice_new_key", p.Click)
	}
	pressed := make([]Pressed, len(keys))
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() { pressed[i] = d.click(ctx, key, o) })
	}
	wg.Wait()
	return pressed, nil
}

func (d *Desk) click(ctx context.Context, key string, o Order) Pressed {
	a, err := d.client.Create(ctx, key, o)
	if err != nil {
		return Pressed{Key: key, Error: err.Error()}
	}
	if seen, ok := a.Order(); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		i := slices.IndexFunc(d.bills, func(b Bill) bool { return b.No == o.Bill })
		if !slices.Contains(d.bills[i].Orders, seen.OutTradeNo) {
			d.bills[i].Orders = append(d.bills[i].Orders, seen.OutTradeNo)
		}
	}
	return Pressed{Key: key, Answer: &a}
}

func (d *Desk) find(no string) (Bill, error) {
	for _, b := range d.Bills() {
		if b.No == no {
			return b, nil
		}
	}
	return Bill{}, fmt.Errorf("cannot collect %.40q: %w", no, ErrBill)
}

// Client is the way to the agent.
func (d *Desk) Client() *Client { return d.client }
