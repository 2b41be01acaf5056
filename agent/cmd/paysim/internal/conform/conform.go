// Package conform is the conformance kit for HIS vendors (HIS-12): thirty
// cases that a HIS lives through beside a real agent in the pretend world. What
// must hold is read from the platforms' own ledger, from the agent and from
// what went over the wire; only what a HIS alone can know (what it believes,
// whether it let the cashier take cash, how often it booked) it says itself.
//
// The kit knows the HIS as a [Program]: a command that is started for each
// step, a person who works at the vendor's own screen, or the reference HIS of
// this package, which passes.
package conform

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms"
)

// Verb is what the tester, or the vendor's program, does in one step.
type Verb string

// The verbs.
const (
	Collect     Verb = "collect"      // press 收费 and follow for at most wait_s seconds
	DoubleClick Verb = "double_click" // press 收费 twice at once
	TwoWindows  Verb = "two_windows"  // press 收费 for the same bill at both tills at once
	Look        Verb = "look"         // look again at the bill, follow for at most wait_s
	Restart     Verb = "restart"      // HIS starts again after it was killed, and finishes what it owes
	Cancel      Verb = "cancel"       // press 撤销 and follow for at most wait_s
	TakeCash    Verb = "take_cash"    // the cashier wants to take cash for the bill
	Refund      Verb = "refund"       // give refund_fen back under refund_no
	RefundTwice Verb = "refund_twice" // the same, pressed twice at once
)

// Step is one thing to do; it is the JSON that a program gets on stdin.
type Step struct {
	Case       string        `json:"case"`
	Number     int           `json:"step"`
	Do         Verb          `json:"do"`
	Say        his.Words     `json:"say"` // what to do, for people
	Agent      string        `json:"agent"`
	TokenFile  string        `json:"token_file"`
	Till       string        `json:"till"`
	SecondTill string        `json:"second_till"`
	Bill       string        `json:"bill"`
	AmountFen  platforms.Fen `json:"amount_fen"`
	OrderType  string        `json:"order_type"`
	Patient    his.Patient   `json:"patient"`
	Operator   his.Person    `json:"operator"`
	AuthCode   string        `json:"auth_code,omitempty"` // what HIS's own scanner would read; empty: the till's scanner reads it
	WaitS      int           `json:"wait_s"`
	RefundFen  platforms.Fen `json:"refund_fen,omitempty"`
	RefundNo   string        `json:"refund_no,omitempty"`
	// Fails tells that HIS's own processing of the bill fails once it is paid
	// (号源已满): HIS must tell the agent, which gives the money back.
	Fails bool `json:"fails,omitempty"`
}

// Report is what HIS says of the bill after a step: JSON on stdout.
type Report struct {
	Believes    string        `json:"believes"` // paid, unpaid or unknown
	Cash        bool          `json:"cash"`     // it let the cashier take cash for the bill
	Bookings    int           `json:"bookings"` // lines of income for the bill in HIS's own books
	RefundedFen platforms.Fen `json:"refunded_fen"`
}

// What HIS may believe.
const (
	Paid    = "paid"
	Unpaid  = "unpaid"
	Unknown = "unknown"
)

// Program is the HIS under test. Do ends early when the context does: that is
// HIS killed in the middle of a step.
type Program interface {
	Do(ctx context.Context, s Step) (Report, error)
}

// Stage is the world around HIS: pretend platforms and a real agent. Its
// methods are for one caller at a time.
type Stage interface {
	Door() (address, tokenFile string)                         // of the agent itself, for the kit
	Kill(ctx context.Context) error                            // the agent's plug is pulled
	Start(ctx context.Context) error                           // the agent starts and serves
	Net(ctx context.Context, mode string) error                // up, refuse or blackhole: the platforms' line
	Code(ctx context.Context, behave int) (string, error)      // a fresh payment code whose owner behaves so
	Scan(ctx context.Context, till, code string) error         // the till's scanner reads a code; an error where it has none
	Truth(ctx context.Context) (map[string]world.Order, error) // the platforms' own books, by order number
	Versions() map[string]string
}

// Outcome of a case.
type Outcome string

// The outcomes.
const (
	Pass   Outcome = "pass"
	Fail   Outcome = "fail"
	NotRun Outcome = "not_run"
)

// Result is what came of one case.
type Result struct {
	ID      string      `json:"id"`
	Title   his.Words   `json:"title"`
	Must    his.Words   `json:"must"`
	Outcome Outcome     `json:"outcome"`
	Wrong   []his.Words `json:"wrong,omitempty"` // what did not hold
	Note    string      `json:"note,omitempty"`  // why it was not run
	TookMS  int64       `json:"took_ms"`
}

// Options of a run.
type Options struct {
	Stage   Stage
	Program Program
	Cases   []string // ids; empty: all
	Tills   [2]string
	Proxy   *Proxy
	Tag     string        // makes this run's bills new for the agent
	Wait    time.Duration // that HIS may follow an order at most
	Settle  time.Duration // that the agent may need to finish what it owes
	Scanner bool          // codes are read by the till's scanner, not by HIS's
	Tell    func(Result)  // after each case; nil for nobody
	Case    func(c Case)  // before each case; nil for nobody
}

// Run plays the cases one after another.
func Run(ctx context.Context, o Options) ([]Result, error) {
	unknown := map[string]bool{}
	for _, id := range o.Cases {
		unknown[id] = true
	}
	for _, c := range Cases() {
		delete(unknown, c.ID)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("cannot run %v: paysim conform list names the cases", slices.Collect(maps.Keys(unknown)))
	}
	var list []Result
	for i, c := range Cases() {
		r := Result{ID: c.ID, Title: c.Title, Must: c.Must, Outcome: NotRun}
		if len(o.Cases) > 0 && !slices.Contains(o.Cases, c.ID) {
			r.Note = "not asked for"
			list = append(list, r)
			continue
		}
		if o.Case != nil {
			o.Case(c)
		}
		begin := time.Now()
		p := &play{o: o, c: c, bill: fmt.Sprintf("%s-%02d", o.Tag, i+1), amount: platforms.Fen(1000 + 100*i)}
		err := p.run(ctx)
		switch {
		case ctx.Err() != nil:
			return list, ctx.Err()
		case err != nil && p.skipped:
			r.Note = err.Error()
		case err != nil:
			p.wrong("测试无法继续："+err.Error(), "the case could not go on: "+err.Error())
			fallthrough
		default:
			r.Outcome, r.Wrong = Pass, p.bad
			if len(p.bad) > 0 {
				r.Outcome = Fail
			}
		}
		r.TookMS = time.Since(begin).Milliseconds()
		list = append(list, r)
		if o.Tell != nil {
			o.Tell(r)
		}
	}
	return list, nil
}
