package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

// hisFlags are the flags of all commands of the pretend HIS.
type hisFlags struct {
	agent, tokenFile string
	wait             time.Duration
	key              string
	order            his.Order
	code             string
	reason, refundNo string
	sum              int64
	operator         int
}

func (h *hisFlags) set(verb string) *flag.FlagSet {
	f := flag.NewFlagSet("his "+verb, flag.ContinueOnError)
	f.StringVar(&h.agent, "agent", "http://127.0.0.1:8780", "the agent's `address`")
	f.StringVar(&h.tokenFile, "agent-token-file", "", "`file` with the agent's token")
	f.DurationVar(&h.wait, "wait", 0, "how long to wait for the order's end, with create and wait")
	f.StringVar(&h.key, "key", "", "Idempotency-Key; a new one by default")
	f.IntVar(&h.operator, "workstation", 0, "pretend workstation, 0 or 1: whose cashier acts")
	f.StringVar(&h.reason, "reason", "测试", "reason of a cancel or refund")
	f.StringVar(&h.refundNo, "refund-no", "", "HIS's own `number` of the refund")
	f.Int64Var(&h.sum, "amount", 0, "amount in `fen`")
	o := &h.order
	f.StringVar(&o.Bill, "bill", "", "HIS's own reference")
	f.StringVar((*string)(&o.Mode), "mode", "charge", "charge or present")
	f.StringVar(&o.OrderType, "order-type", "TREATMENT", "the API's word")
	f.StringVar(&o.Subject, "subject", "测试缴费", "what is paid for")
	f.StringVar(&o.Till, "till", "counter1", "name of the till")
	f.StringVar((*string)(&o.Channel), "channel", "", "wechat, alipay or unionpay")
	f.BoolVar(&o.Aggregated, "aggregated", false, "one QR code for all wallets")
	f.StringVar(&h.code, "code", "", "pretend payment code that HIS scanned; - reads it from the input")
	f.StringVar(&o.OutTradeNo, "out-trade-no", "", "HIS's own order number")
	f.StringVar(&o.Expires, "expires", "", "such as 20m")
	f.StringVar(&o.WhenOffline, "when-offline", "", "refuse or queue")
	return f
}

// hisCommand does one thing of the pretend HIS and prints the agent's answer.
// It fails, after printing, where the agent did not agree.
func hisCommand(ctx context.Context, args []string, c console) error {
	verb, args := first(args)
	known := append([]string{"create", "show", "wait", "bill", "refund"}, his.Verbs()...)
	if !slices.Contains(known, verb) {
		return fmt.Errorf("%w: paysim his does one of %v", errUsage, known)
	}
	var h hisFlags
	f := h.set(verb)
	if err := parse(f, args); err != nil {
		return err
	}
	no := f.Arg(0)
	if needs := verb != "create" && verb != "bill"; needs && f.NArg() != 1 || !needs && f.NArg() != 0 {
		return fmt.Errorf("%w: paysim his %s takes the flags first and then, but for create and bill, one order number", errUsage, verb)
	}
	if err := localURL("agent", h.agent); err != nil {
		return err
	}
	if h.operator < 0 || h.operator >= len(his.Operators()) {
		return fmt.Errorf("%w: -workstation is 0 or 1", errUsage)
	}
	client, err := his.NewClient(h.agent, h.tokenFile, nil)
	if err != nil {
		return err
	}
	a, err := h.do(ctx, client, verb, no, c)
	if err != nil {
		return err
	}
	if err := printJSON(c.out, a); err != nil {
		return err
	}
	if !a.OK() {
		return fmt.Errorf("the agent answered %d", a.Status)
	}
	return nil
}

func (h *hisFlags) do(ctx context.Context, client *his.Client, verb, no string, c console) (his.Answer, error) {
	who := his.Operators()[h.operator]
	if h.key == "" {
		h.key = his.NewKey()
	}
	switch verb {
	case "create":
		return h.create(ctx, client, who, c)
	case "show":
		return client.Get(ctx, no, 0)
	case "wait":
		if h.wait == 0 {
			h.wait = 2 * time.Minute
		}
		return h.follow(ctx, client, no)
	case "bill":
		return client.Bill(ctx, h.order.Bill)
	case "refund":
		return client.Refund(ctx, h.key, no, his.Act{Operator: &who, Reason: h.reason, RefundNo: h.refundNo, AmountFen: platforms.Fen(h.sum)})
	case "cancel":
		return client.Do(ctx, no, verb, his.Act{Operator: &who, Reason: h.reason})
	}
	return client.Do(ctx, no, verb, his.Act{})
}

func (h *hisFlags) create(ctx context.Context, client *his.Client, who his.Person, c console) (his.Answer, error) {
	code, err := textOr(h.code, c.in)
	if err != nil {
		return his.Answer{}, err
	}
	h.order.AmountFen, h.order.Operator, h.order.AuthCode, h.order.Memo = platforms.Fen(h.sum), who, code, "测试"
	h.order.Patient = his.Patient{Name: "测试甲", CardNo: "TEST0001", CardType: "medical_card", AdmissionNo: "TESTZY0001"}
	a, err := client.Create(ctx, h.key, h.order)
	if err != nil {
		return a, err
	}
	if seen, ok := a.Order(); ok && h.wait > 0 {
		return h.follow(ctx, client, seen.OutTradeNo)
	}
	return a, nil
}

// follow looks at an order until its end or until the wait is over.
func (h *hisFlags) follow(ctx context.Context, client *his.Client, no string) (his.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, h.wait)
	defer cancel()
	var last his.Answer
	for {
		a, err := client.Get(ctx, no, min(h.wait, 20*time.Second))
		switch seen, ok := a.Order(); {
		case err != nil && ctx.Err() != nil && last.Status != 0:
			return last, nil // told once, and the wait is over
		case err != nil && !errors.Is(err, his.ErrUnreachable):
			return a, err
		case err == nil && (!ok || his.Final(seen.State)):
			return a, nil
		case err == nil:
			last = a
		}
		if e := pause(ctx, 200*time.Millisecond); e != nil {
			if last.Status != 0 {
				return last, nil
			}
			return a, errors.Join(err, fmt.Errorf("cannot tell how the order is: %w", e))
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
