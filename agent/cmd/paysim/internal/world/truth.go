package world

import (
	"path/filepath"
	"time"

	"payagent/agent/cmd/paysim/internal/ledger"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// Order is the truth about one order number. Amounts are fen, times count from
// when the world began.
type Order struct {
	OrderNo     string            `json:"order_no"`
	TradeNo     string            `json:"trade_no"`
	Merchant    string            `json:"merchant"`
	Mode        platforms.Mode    `json:"mode"`
	Channel     platforms.Channel `json:"channel"`
	State       bank.State        `json:"state"`
	Refusal     string            `json:"refusal,omitempty"`
	AmountFen   platforms.Fen     `json:"amount_fen"`
	CapturedFen platforms.Fen     `json:"captured_fen"`
	RefundedFen platforms.Fen     `json:"refunded_fen"`
	NetFen      platforms.Fen     `json:"net_fen"` // what the payer is out of pocket
	Captures    int               `json:"captures"`
	PayRequests int               `json:"pay_requests"`
	CreatedMS   int64             `json:"created_ms"`
	PaidMS      int64             `json:"paid_ms,omitempty"`
}

// Truth is the whole of it.
type Truth struct {
	Test   bool          `json:"test"` // always true: nothing here is real money
	NowMS  int64         `json:"now_ms"`
	NetFen platforms.Fen `json:"net_fen"`
	Cut    int           `json:"cut_bytes"` // damaged tail found at start, or while reading
	Orders []Order       `json:"orders"`    // by order number
}

// Truth settles what is due and gives the books.
func (w *World) Truth() (Truth, error) {
	t := truth(w.bank, w.Now())
	t.Cut = w.cut
	return t, w.Sync()
}

// ReadTruth gives the books of a world's folder as they stand at a wall time,
// without opening it for writing; the world may be running or dead.
func ReadTruth(dir string, wall time.Time) (Truth, error) {
	c, err := ledger.Read(filepath.Join(dir, LedgerName))
	if err != nil {
		return Truth{}, err
	}
	t := truth(bank.Load(bank.Options{}, c.Entries), resume(c, wall))
	t.Cut = c.Cut
	return t, nil
}

func truth(b *bank.Bank, now time.Duration) Truth {
	b.Settle(now)
	t := Truth{Test: true, NowMS: now.Milliseconds(), Orders: []Order{}}
	for _, x := range b.Trades() {
		o := Order{
			OrderNo: x.OrderNo, TradeNo: x.TradeNo, Merchant: x.Merchant, Mode: platforms.ModeCharge, Channel: x.Channel,
			State: x.State, Refusal: x.Refusal, AmountFen: x.Amount, CapturedFen: x.Captured, RefundedFen: x.Refunded,
			NetFen: x.Captured - x.Refunded, Captures: b.Captures(x.OrderNo), PayRequests: b.PayRequests(x.OrderNo),
			CreatedMS: x.CreatedAt.Milliseconds(), PaidMS: x.PaidAt.Milliseconds(),
		}
		if x.Present {
			o.Mode = platforms.ModePresent
		}
		t.NetFen += o.NetFen
		t.Orders = append(t.Orders, o)
	}
	return t
}

// Purse is what the people behind all phones are out of pocket.
type Purse struct {
	TotalFen platforms.Fen                       `json:"total_fen"`
	ByWallet map[platforms.Channel]platforms.Fen `json:"by_wallet_fen"`
}

// Purse counts the money, from the bank's truth.
func (w *World) Purse() (Purse, error) {
	w.bank.Settle(w.Now())
	p := Purse{ByWallet: map[platforms.Channel]platforms.Fen{}}
	for _, c := range Wallets() {
		p.ByWallet[c] = 0
	}
	for _, t := range w.bank.Trades() {
		p.TotalFen += t.Captured - t.Refunded
		p.ByWallet[t.Channel] += t.Captured - t.Refunded
	}
	return p, w.Sync()
}
