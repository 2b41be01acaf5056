// Package load is a pretend HIS under load: it makes many orders at several
// tills, each with a payment code that says how its payer behaves, and writes
// down what it was told. It tolerates an agent that is killed and started again
// at any moment: a request without an answer is made again with the same
// Idempotency-Key and the same body, for as long as its patience lasts.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

// Door is the agent as the load uses it; *his.Client is the real one.
type Door interface {
	Create(ctx context.Context, key string, o his.Order) (his.Answer, error)
	Get(ctx context.Context, no string, wait time.Duration) (his.Answer, error)
	Do(ctx context.Context, no, verb string, a his.Act) (his.Answer, error)
	Refund(ctx context.Context, key, no string, a his.Act) (his.Answer, error)
	Book(ctx context.Context, no string, b his.Booking) (his.Answer, error)
}

// Options say what load to make.
type Options struct {
	N, C         int    // orders in all, and at a time
	Seed         uint64 // the same seed gives the same scenarios
	Run          string // stands in bills and keys; must be new for the agent
	Tills        []string
	Channels     []platforms.Channel
	Instructions []int    // lines of the table; the first one counts for half
	Actions      []Action // the first one counts for half
	Patience     time.Duration
	Chance       io.Reader // digits of payment codes
	Pause        func(ctx context.Context, d time.Duration) error
	Now          func() time.Time
	Out          io.Writer // a JSON line per order, as soon as it is over
}

// Result is what one order came to, as the HIS was told. Amounts are fen.
type Result struct {
	Index       int               `json:"i"`
	Bill        string            `json:"bill"`
	Key         string            `json:"key"`
	OrderNo     string            `json:"order_no"`
	Till        string            `json:"till"`
	Channel     platforms.Channel `json:"channel"`
	AmountFen   platforms.Fen     `json:"amount_fen"`
	Instruction int               `json:"instruction"`
	Action      Action            `json:"action"`
	// Verdict is the state told last; "refused" where no order was made,
	// "unknown" where nothing was told, "not_found" where the agent denied an
	// order that it had accepted.
	Verdict string `json:"verdict"`
	Final   bool   `json:"final"`
	// Told are the different states in the order in which they were told.
	Told []string `json:"told"`
	// SafeToTakeCash is the answer told last.
	SafeToTakeCash string `json:"safe_to_take_cash,omitempty"`
	// FlowID is the number under which HIS booked a paid order, and Booking is
	// what the agent said to it, or to HIS's word that it failed: "done", or the
	// code of a problem; empty if it was not told.
	FlowID  string `json:"his_flow_id,omitempty"`
	Booking string `json:"booking,omitempty"`
	// RefundFen was asked back; RefundStatus is how that was answered (HTTP),
	// zero if never.
	RefundFen    platforms.Fen `json:"refund_fen,omitempty"`
	RefundStatus int           `json:"refund_status,omitempty"`
	// Second is the answer to the other one of two clicks.
	Second      *Second      `json:"second,omitempty"`
	RefusedWith *his.Problem `json:"refused_with,omitempty"`
	Requests    int          `json:"requests"`
	NoAnswer    int          `json:"no_answer"` // requests that got none
	Error       string       `json:"error,omitempty"`
}

// Second is the answer to a second click.
type Second struct {
	Status  int    `json:"status"`
	Code    string `json:"code,omitempty"`
	OrderNo string `json:"order_no,omitempty"`
}

// Summary counts results by verdict.
type Summary struct {
	Orders   int            `json:"orders"`
	Verdicts map[string]int `json:"verdicts"`
	NoAnswer int            `json:"no_answer"`
}

func (o Options) check() error {
	switch {
	case o.N < 1 || o.C < 1:
		return errors.New("cannot make a load of nothing: -n and -c are at least 1")
	case len(o.Tills) == 0 || len(o.Channels) == 0 || len(o.Instructions) == 0 || len(o.Actions) == 0:
		return errors.New("cannot make a load: name at least one till, channel, instruction and action")
	case o.Run == "":
		return errors.New("cannot make a load without a name of its run: bills would be old ones")
	}
	for _, a := range o.Actions {
		if !slices.Contains(Actions(), a) {
			return fmt.Errorf("cannot do %q: choose of %v", a, Actions())
		}
	}
	return nil
}

// Run makes the load. It ends early, with what it has, when the context ends.
func Run(ctx context.Context, door Door, opt Options) (Summary, error) {
	if err := opt.check(); err != nil {
		return Summary{}, err
	}
	next := make(chan int)
	results := make(chan Result)
	var wg sync.WaitGroup
	for range opt.C {
		wg.Go(func() {
			for i := range next {
				w := &window{door: door, opt: opt}
				results <- w.serve(ctx, plan(opt, i))
			}
		})
	}
	go func() {
		defer func() { close(next); wg.Wait(); close(results) }()
		for i := range opt.N {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	sum := Summary{Verdicts: map[string]int{}}
	var failed error
	enc := json.NewEncoder(opt.Out)
	for r := range results {
		sum.Orders++
		sum.Verdicts[r.Verdict]++
		sum.NoAnswer += r.NoAnswer
		if err := enc.Encode(r); err != nil && failed == nil {
			failed = fmt.Errorf("cannot write the results: %w", err)
		}
	}
	return sum, failed
}
