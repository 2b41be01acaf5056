package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"payagent/agent"
	"payagent/agent/service"
)

// How the service is tended.
const (
	// inHand is the age up to which an open order holds a shutdown back. Older
	// ones wait for people or for a network; a restart does them no harm.
	inHand = 15 * time.Minute
	// heartbeat is how often the store is written though nothing happens.
	heartbeat = 10 * time.Minute
	// settled is how long after the start memory is given back: by then what
	// runs once has run.
	settled = 5 * time.Second
)

// tend tells the service manager that the agent is ready and alive, and keeps
// the machine up while an order is in hand.
func (b *assembly) tend(ctx context.Context) error {
	select {
	case <-b.opened:
	case <-ctx.Done():
		return nil
	}
	if err := b.agent.Alive(ctx, false); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("cannot begin to serve: %w", err)
	}
	notify(b.log, service.Ready)
	watch := service.Watch{Interval: service.Interval(), Alive: b.agent.Alive, Commit: heartbeat,
		Text: func() string { return serviceText(b.agent) }, Notify: service.Notify, Logger: b.log}
	lock := service.Inhibitor{
		Hold: func(ctx context.Context) (io.Closer, error) {
			return service.HoldMachine(ctx, "有订单正在付款 an order is being paid")
		},
		InHand: func() bool { return b.agent.InHand(inHand) }, Changed: b.agent.Changed, Again: 5 * time.Second, Logger: b.log}
	held := make(chan struct{})
	go func() {
		defer close(held)
		lock.Run(ctx)
	}()
	go b.trim(ctx)
	watch.Run(ctx)
	<-held
	return nil
}

// trim gives pages of the program and of the store back after the start, and again in quiet
// times, never while an order is in hand: a box has little memory, and what is
// needed comes back from the kernel's cache.
func (b *assembly) trim(ctx context.Context) {
	for wait := settled; ; wait = heartbeat {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if b.agent.InHand(inHand) {
			continue
		}
		if err := errors.Join(b.giveBack(), service.GiveBack()); err != nil {
			if ctx.Err() == nil {
				b.log.Warn("service", "error", err)
			}
			return
		}
	}
}

// serviceText is what systemctl status shows: whether a payment can be taken
// now, what is in the way, how much is open.
func serviceText(a *agent.Agent) string {
	n := 0
	for _, o := range a.Open() {
		if !o.State().Final() {
			n++
		}
	}
	if ok, why := a.Ready(); !ok {
		return fmt.Sprintf("不能收款 cannot take payments: %s; 未结订单 open orders: %d", strings.Join(why, " "), n)
	}
	return fmt.Sprintf("就绪 ready; 未结订单 open orders: %d", n)
}

// idle feeds the watchdog for a process that only refuses: it has no loop that
// could hang, and starting anew would not help.
func idle(ctx context.Context, log *slog.Logger, text string) {
	notify(log, service.Ready)
	service.Watch{Interval: service.Interval(), Alive: func(context.Context, bool) error { return nil },
		Text: func() string { return text }, Notify: service.Notify, Logger: log}.Run(ctx)
}

func notify(log *slog.Logger, states ...string) {
	if err := service.Notify(states...); err != nil {
		log.Warn("service", "error", err)
	}
}
