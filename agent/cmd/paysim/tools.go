package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/outage"
	"payagent/agent/cmd/paysim/internal/pages"
	"payagent/agent/cmd/paysim/internal/world"
)

// ledgerCommand prints the truth, of a running world or of a folder.
func ledgerCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("ledger", flag.ContinueOnError)
	base := f.String("world", defaultWorld, "`address` of a running pretend world")
	data := f.String("data", "", "`folder` to read instead, also of a world that is dead")
	asJSON := f.Bool("json", false, "as one JSON document")
	compare := f.Bool("compare", false, "the platforms' truth, the agent and HIS's own books side by side; of a running world")
	if err := parse(f, args); err != nil {
		return err
	}
	if *compare {
		if *data != "" {
			return fmt.Errorf("%w: -compare asks a running world, take away -data", errUsage)
		}
		return compareCommand(ctx, *base, *asJSON, c)
	}
	var t world.Truth
	var err error
	if *data != "" {
		t, err = world.ReadTruth(*data, time.Now())
	} else {
		err = callWorld(ctx, *base, http.MethodGet, "/ledger", nil, &t)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(c.out, t)
	}
	return printTruth(c.out, t)
}

// compareCommand prints the three books of a running world side by side. It
// fails, after printing, where they do not agree.
func compareCommand(ctx context.Context, base string, asJSON bool, c console) error {
	var got pages.Comparison
	if err := callWorld(ctx, base, http.MethodGet, "/compare", nil, &got); err != nil {
		return err
	}
	if asJSON {
		if err := printJSON(c.out, got); err != nil {
			return err
		}
	} else {
		tab := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tab, "order\tplatform\tagent\tHIS\tstate\tbooking\tclass\t")
		for _, r := range got.Rows {
			fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.OrderNo, r.PlatformFen.Yuan(), r.AgentFen.Yuan(), r.HisFen.Yuan(), r.AgentState, r.Booking, r.Class)
		}
		if err := tab.Flush(); err != nil {
			return fmt.Errorf("cannot print the comparison: %w", err)
		}
	}
	if n := len(got.Rows) - got.Counts[his.Equal]; n > 0 {
		return fmt.Errorf("%d of %d orders differ between the platforms, the agent and HIS", n, len(got.Rows))
	}
	return nil
}

func printTruth(out io.Writer, t world.Truth) error {
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "order\tstate\tamount\tnet\tcaptures\tpay requests\twallet\t")
	for _, o := range t.Orders {
		note := ""
		if o.Captures > 1 || o.PayRequests > 1 {
			note = "!"
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", o.OrderNo, o.State, o.AmountFen.Yuan(), o.NetFen.Yuan(), o.Captures, o.PayRequests, o.Channel, note)
	}
	if err := tab.Flush(); err != nil {
		return fmt.Errorf("cannot print the truth: %w", err)
	}
	_, err := fmt.Fprintf(out, "测试 TEST: %d orders, the payers are out of %s yuan\n", len(t.Orders), t.NetFen.Yuan())
	if err == nil && t.Cut > 0 {
		_, err = fmt.Fprintf(out, "the ledger has or had a damaged tail of %d bytes\n", t.Cut)
	}
	if err != nil {
		return fmt.Errorf("cannot print the truth: %w", err)
	}
	return nil
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("cannot print the answer: %w", err)
	}
	return nil
}

// scanCommand writes a text to a scan box.
func scanCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("scan", flag.ContinueOnError)
	base := f.String("world", defaultWorld, "`address` of the pretend world")
	box := f.String("box", "", "`name` of the scan box; the first by default")
	suffix := f.String("suffix", "cr", "cr, lf, crlf, tab, none or stxetx")
	style := f.String("style", "whole", "whole, halves, singly, doubled or noise")
	if err := parse(f, args); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return fmt.Errorf("%w: give one text, or - to read it from the input", errUsage)
	}
	text, err := textOr(f.Arg(0), c.in)
	if err != nil {
		return err
	}
	var done map[string]any
	return callWorld(ctx, *base, http.MethodPost, "/scanbox", map[string]string{"text": text, "box": *box, "suffix": *suffix, "style": *style}, &done)
}

// textOr gives the argument, or a line of the input in place of "-".
func textOr(arg string, in io.Reader) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, 8<<10))
	if err != nil {
		return "", fmt.Errorf("cannot read the code from the input: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// netCommand shows or sets the platforms' network.
func netCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("net", flag.ContinueOnError)
	base := f.String("world", defaultWorld, "`address` of the pretend world")
	if err := parse(f, args); err != nil {
		return err
	}
	var n pages.Net
	var err error
	switch mode := outage.Mode(f.Arg(0)); {
	case f.NArg() > 1:
		return fmt.Errorf("%w: give one of up, refuse, reset, blackhole", errUsage)
	case mode == "":
		err = callWorld(ctx, *base, http.MethodGet, "/net", nil, &n)
	default:
		err = callWorld(ctx, *base, http.MethodPost, "/net", pages.Net{Down: mode != outage.Up, Mode: mode}, &n)
	}
	if err != nil {
		return err
	}
	return printJSON(c.out, n)
}
