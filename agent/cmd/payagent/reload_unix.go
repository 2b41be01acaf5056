//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// reloads tells of each SIGHUP where a service manager has started the
// process. Elsewhere SIGHUP ends it: the terminal went away.
func reloads() (<-chan struct{}, func()) {
	asked := make(chan struct{}, 1)
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return asked, func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-ended:
				return
			case <-signals:
			}
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	}()
	return asked, func() {
		signal.Stop(signals)
		close(ended)
	}
}
