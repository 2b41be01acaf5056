package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/logfile"
	"payagent/agent/service"
	"payagent/queue/bolt"
)

// run serves until the context ends, the store fails, or a new start is asked
// for. x, which may be nil, exchanges program and configuration.
func run(ctx context.Context, c config.Config, out io.Writer, x *exchange) error {
	log, closeLog, err := openLog(c)
	if err != nil {
		return err
	}
	defer func() { _ = closeLog() }()
	b, err := assembleWith(c, log, whole, x)
	if err != nil {
		if hopeless(err) && !x.trying() {
			return refuseAll(ctx, c, log, err)
		}
		return err
	}
	outer := ctx
	ctx, end := context.WithCancelCause(ctx)
	stop := func() { end(nil) }
	defer stop()
	if x != nil {
		x.end = end
	}
	parts := append([]func(context.Context) error{b.agent.Run, b.serveDoor}, b.beside...)
	parts = append(parts, b.tend, func(ctx context.Context) error { return b.awaitReload(ctx, x) })
	defer context.AfterFunc(outer, func() { notify(log, service.Stopping) })()
	var group, last sync.WaitGroup
	errs := make([]error, len(parts))
	// The audit ends last, so that it has what the agent wrote in stopping.
	auditing, stopAudit := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAudit()
	last.Go(func() { b.keepAudit(auditing) })
	for i, part := range parts {
		group.Go(func() {
			defer stop() // the first part to end stops the others
			errs[i] = part(ctx)
		})
	}
	log.Info("serving", "version", buildVersion(), "listen", c.Door.Listen, "tills", len(c.Tills))
	if _, err := fmt.Fprintf(out, "payagent %s: %v\n", buildVersion(), c.Door.Listen); err != nil {
		stop()
	}
	group.Wait()
	stopAudit()
	last.Wait()
	log.Info("stopped")
	if errors.Is(context.Cause(ctx), errAgain) && outer.Err() == nil {
		log.Info("starting anew", "why", context.Cause(ctx))
		if err := errors.Join(errors.Join(errs...), b.Close()); err != nil {
			log.Error("the end was not in order", "error", err)
		}
		return exitRestart
	}
	if err := errors.Join(errors.Join(errs...), b.Close()); !hopeless(err) || x.trying() {
		return err
	}
	return refuseAll(outer, c, log, errs[0])
}

// hopeless tells that the store cannot be opened or read, and that starting
// again at once would end the same way: the process stays up, refuses and says
// what to do, so that the service manager does not loop. Another agent on the
// store, and a store that a new process can open, are worth a new start.
func hopeless(err error) bool {
	return (errors.Is(err, errStore) || errors.Is(err, agent.ErrUnreadable)) && !errors.Is(err, bolt.ErrInUse) && !errors.Is(err, bolt.ErrRestart)
}

// refuseAll answers every request with what is wrong until it is stopped.
func refuseAll(ctx context.Context, c config.Config, log *slog.Logger, why error) error {
	log.Error("the store cannot be opened; no order is taken until this is mended", "error", why)
	ctx, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		idle(ctx, log, "存储打不开，不收任何订单 the store cannot be opened, no order is taken; 看日志 see the log")
	}()
	err := errors.Join(door.Refuse(ctx, c, why), why)
	stop()
	<-told
	return err
}

func openLog(c config.Config) (*slog.Logger, func() error, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, nil, err
	}
	w := service.Journal(os.Stderr)
	end := func() error { return nil }
	if c.Log.File != "" {
		f, err := logfile.Open(c.Log.File, int64(c.Log.MaxBytes), c.Log.Keep)
		if err != nil {
			return nil, nil, err
		}
		w, end = f, f.Close
	}
	zone := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(a.Value.Time().In(time.FixedZone("UTC+8", 8*3600)))
		}
		return a
	}
	h, endEvents, err := service.Log(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: zone}))
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return slog.New(h), func() error { return errors.Join(endEvents(), end()) }, nil
}
