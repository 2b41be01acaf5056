package finance

import (
	"testing"

	"payagent/agent/order"
	"payagent/agent/reconcile"
	"payagent/platforms"
)

func word(known bool, paid, back platforms.Fen, state string) reconcile.Word {
	return reconcile.Word{Known: known, State: state, Money: reconcile.Money{Paid: paid, Back: back}}
}

// What each answer of a platform says of the money.
func TestPlatformWord(t *testing.T) {
	sent := order.Instant{}
	paid := &order.Order{No: "MZ1", Created: order.Created{Amount: 100}, Outcome: order.Paid, SentAt: &sent}
	canceled := paid.Clone()
	canceled.Outcome, canceled.CancelSent = order.Canceled, &sent
	for name, tc := range map[string]struct {
		o       *order.Order
		sticky  bool
		a       platforms.Answer
		journal reconcile.Word
		want    reconcile.Word
	}{
		"paid":                             {paid, false, platforms.Answer{Status: platforms.Paid, Amount: 100, HasAmount: true}, word(true, 100, 0, ""), word(true, 100, 0, "paid")},
		"paid without an amount":           {paid, false, platforms.Answer{Status: platforms.Paid}, word(true, 100, 0, ""), word(true, 100, 0, "paid")},
		"another amount":                   {paid, false, platforms.Answer{Status: platforms.Paid, Amount: 90, HasAmount: true}, word(true, 100, 0, ""), word(true, 90, 0, "paid")},
		"given back, told":                 {paid, false, platforms.Answer{Status: platforms.Paid, Refunded: 30, HasRefunded: true}, word(true, 100, 0, ""), word(true, 100, 30, "paid")},
		"given back, not told":             {paid, false, platforms.Answer{Status: platforms.Paid}, word(true, 100, 30, ""), word(true, 100, 30, "paid")},
		"closed after all was given back":  {paid, false, platforms.Answer{Status: platforms.Closed}, word(true, 100, 100, ""), word(true, 100, 100, "closed")},
		"closed though the journal has it": {paid, false, platforms.Answer{Status: platforms.Closed}, word(true, 100, 0, ""), word(true, 0, 0, "closed")},
		"not found":                        {paid, false, platforms.Answer{Status: platforms.NotFound}, word(true, 100, 0, ""), word(true, 0, 0, "not_found")},
		"nothing said":                     {paid, false, platforms.Answer{}, word(true, 100, 0, ""), word(false, 0, 0, "unknown")},
		"another order":                    {paid, false, platforms.Answer{Status: platforms.Paid, OrderNo: "MZ2"}, word(true, 100, 0, ""), word(false, 0, 0, "mixed_up")},
		"paid for ever, after a cancel":    {canceled, true, platforms.Answer{Status: platforms.Paid}, word(true, 0, 0, ""), word(false, 0, 0, "paid_or_reversed")},
		"paid for ever, given back":        {paid, true, platforms.Answer{Status: platforms.Paid}, word(true, 100, 100, ""), word(false, 0, 0, "paid_or_reversed")},
		"paid for ever, and never touched": {paid, true, platforms.Answer{Status: platforms.Paid}, word(true, 100, 0, ""), word(true, 100, 0, "paid")},
		"paid after a cancel elsewhere":    {canceled, false, platforms.Answer{Status: platforms.Paid}, word(true, 0, 0, ""), word(true, 100, 0, "paid")},
	} {
		if got := wordOf(tc.o, platforms.Traits{PaidIsSticky: tc.sticky}, tc.a, tc.journal); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// What the journal itself says.
func TestJournalWord(t *testing.T) {
	base := order.Order{No: "MZ1", Created: order.Created{Amount: 100}, Outcome: order.Paid}
	with := func(change func(*order.Order)) *order.Order {
		o := base.Clone()
		change(o)
		return o
	}
	for name, tc := range map[string]struct {
		o    *order.Order
		want reconcile.Word
	}{
		"paid":            {&base, word(true, 100, 0, "paid")},
		"failed":          {with(func(o *order.Order) { o.Outcome = order.Failed }), word(true, 0, 0, "failed")},
		"in doubt":        {with(func(o *order.Order) { o.Outcome, o.Doubt = "", "x" }), word(false, 0, 0, "in_doubt")},
		"late money":      {with(func(o *order.Order) { o.Outcome, o.LateFound = order.Canceled, true }), word(true, 100, 0, "late_money")},
		"late money back": {with(func(o *order.Order) { o.Outcome, o.LateFound, o.LateDone = order.Canceled, true, true }), word(true, 100, 100, "late_money")},
		"refund under way": {with(func(o *order.Order) {
			o.Refunds = []order.RefundLine{{Refund: order.Refund{Sum: 10}, State: order.RefundDone}, {Refund: order.Refund{Sum: 20}, State: order.RefundSent}}
		}), word(false, 100, 10, "refund_sent")},
		"refund waits for a person": {with(func(o *order.Order) {
			o.Refunds = []order.RefundLine{{Refund: order.Refund{Sum: 20}, State: order.RefundAwaiting}}
		}), word(true, 100, 0, "paid")},
		"given back elsewhere": {with(func(o *order.Order) { o.Outside = 40 }), word(true, 100, 40, "paid")},
	} {
		if got := journalWord(tc.o); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}
