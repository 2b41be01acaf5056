package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// States for Notify.
const (
	Ready     = "READY=1"     // serving; also ends Reloading
	Reloading = "RELOADING=1" // taking up a new configuration
	Stopping  = "STOPPING=1"
	alive     = "WATCHDOG=1"
)

// Say is a state for Notify that shows text in the manager's status.
func Say(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", " ") }

// Notify tells the service manager, where one listens (NOTIFY_SOCKET), and does
// nothing elsewhere. The environment is left as it is: a program that takes
// this process over goes on notifying.
func Notify(states ...string) error { return notify(os.Getenv("NOTIFY_SOCKET"), room, states...) }

// room is how long a manager may take to have room for a message: one that does
// not read holds up neither the work nor its end.
const room = 5 * time.Second

func notify(socket string, within time.Duration, states ...string) (err error) {
	if socket == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err == nil {
		defer func() { err = errors.Join(err, c.Close()) }()
		_ = c.SetWriteDeadline(time.Now().Add(within))
		_, err = c.Write([]byte(strings.Join(states, "\n")))
	}
	if err != nil {
		return fmt.Errorf("cannot tell the service manager; look at NotifyAccess of the unit: %w", err)
	}
	return nil
}

// Interval is how often the service manager wants to hear that the process is
// alive, 0 where it does not ask (WATCHDOG_USEC, WATCHDOG_PID).
func Interval() time.Duration { return interval(os.Getenv, os.Getpid()) }

func interval(env func(string) string, pid int) time.Duration {
	if who := env("WATCHDOG_PID"); who != "" && who != strconv.Itoa(pid) {
		return 0
	}
	us, err := strconv.ParseUint(env("WATCHDOG_USEC"), 10, 53)
	if err != nil {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// Watch keeps the service manager informed.
type Watch struct {
	// Interval within which the manager wants to hear; 0 never, and then Alive is not asked.
	Interval time.Duration
	// Alive says that the process does its work, or what does not answer. It
	// must go through the very loops that the work goes through.
	Alive func(ctx context.Context, commit bool) error
	// Commit is how often Alive is asked to write; 0 never.
	Commit time.Duration
	// Text is what people see in the manager's status; "" for nothing new.
	Text func() string
	// Notify is the way to the manager.
	Notify func(states ...string) error
	// Logger is told when the process does not answer.
	Logger *slog.Logger
}

// Run feeds the watchdog until ctx ends: three times in each interval, and
// only after Alive said yes. A process whose loops hang goes hungry, and the
// manager ends it and starts it anew.
func (w Watch) Run(ctx context.Context) {
	every := w.Interval / 3
	if every <= 0 {
		every = 10 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	said, written := "", time.Now()
	for {
		var states []string
		if text := w.Text(); text != said {
			said, states = text, append(states, Say(text))
		}
		if w.Interval > 0 {
			commit := w.Commit > 0 && time.Since(written) >= w.Commit
			if commit {
				written = time.Now()
			}
			if w.ask(ctx, every, commit) {
				states = append(states, alive)
			}
		}
		if len(states) > 0 && ctx.Err() == nil {
			if err := w.Notify(states...); err != nil {
				w.Logger.Warn("service", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w Watch) ask(ctx context.Context, within time.Duration, commit bool) bool {
	inner, stop := context.WithTimeout(ctx, within)
	defer stop()
	err := w.Alive(inner, commit)
	if err != nil && ctx.Err() == nil {
		w.Logger.Error("the watchdog is not fed", "error", err)
	}
	return err == nil
}
