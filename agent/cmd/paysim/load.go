package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/load"
	"payagent/platforms"
)

// loadCommand makes a load; results are JSON lines on the output, the summary
// goes to the error output.
func loadCommand(ctx context.Context, args []string, c console) error {
	o := load.Options{Chance: rand.Reader, Pause: pause, Now: time.Now, Out: c.out}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	agent := f.String("agent", "http://127.0.0.1:8780", "the agent's `address`")
	token := f.String("agent-token-file", "", "`file` with the agent's token; read for every request")
	f.IntVar(&o.N, "n", 100, "orders in all")
	f.IntVar(&o.C, "c", 4, "orders at a time; a till takes one at a time")
	f.Uint64Var(&o.Seed, "seed", 1, "the same seed gives the same scenarios")
	f.StringVar(&o.Run, "run", "", "`name` that makes bills and keys new; by default a random one")
	f.DurationVar(&o.Patience, "patience", 5*time.Minute, "how long to ask for one order's end")
	tills := f.String("tills", "counter1,counter2", "`names` of the agent's tills")
	channels := f.String("channels", "wechat,alipay", "`wallets` of the payers")
	instructions := f.String("instructions", "0,90,91,93,94,96,97,98,99", "`lines` of the table of magic codes; the first counts for half")
	actions := f.String("actions", "plain,twice_same_key,twice_new_key,cancel,check", "what HIS does besides; the first counts for half; also detach, refund, his_fails, his_silent")
	if err := parse(f, args); err != nil {
		return err
	}
	if err := localURL("agent", *agent); err != nil {
		return err
	}
	o.Tills = list(*tills)
	for _, ch := range list(*channels) {
		o.Channels = append(o.Channels, platforms.Channel(ch))
	}
	for _, text := range list(*instructions) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 99 {
			return fmt.Errorf("%w: an instruction is 0 to 99, not %q", errUsage, text)
		}
		o.Instructions = append(o.Instructions, n)
	}
	for _, text := range list(*actions) {
		o.Actions = append(o.Actions, load.Action(text))
	}
	if o.Run == "" {
		o.Run = strings.ToLower(rand.Text()[:10])
	}
	client, err := his.NewClient(*agent, *token, nil)
	if err != nil {
		return err
	}
	sum, err := load.Run(ctx, client, o)
	if err != nil {
		return err
	}
	return printJSON(c.err, sum)
}
