// Command paysim is the pretend world for development: both platforms over one
// bank, a payer's phone, a scan box and a HIS, all on loopback. Never packaged.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by .ci/build: a release, or dev and the commit.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := command(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr})
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "paysim: "+err.Error())
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

func command(ctx context.Context, args []string, c console) error {
	name, args := first(args)
	switch name {
	case "help", "-h", "--help":
		_, err := io.WriteString(c.out, usage)
		return err
	}
	err := dispatch(ctx, name, args, c)
	var asked helpAsked
	if errors.As(err, &asked) {
		_, err = fmt.Fprintln(c.out, asked.text)
	}
	return err
}

func dispatch(ctx context.Context, name string, args []string, c console) error {
	switch name {
	case "serve":
		return serveCommand(ctx, args, c)
	case "ledger":
		return ledgerCommand(ctx, args, c)
	case "scan":
		return scanCommand(ctx, args, c)
	case "net":
		return netCommand(ctx, args, c)
	case "his":
		return hisCommand(ctx, args, c)
	case "load":
		return loadCommand(ctx, args, c)
	case "demo":
		return demoCommand(ctx, args, c)
	case "fleet":
		return fleetCommand(ctx, args, c)
	case "conform":
		return conformCommand(ctx, args, c)
	}
	return usageError(name)
}
