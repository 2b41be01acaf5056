//go:build !windows

package service

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Run runs do until it ends. Its context ends when the process is asked to
// stop; a second request ends the process at once.
func Run(do func(ctx context.Context) error, _ func(error) int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return do(ctx)
}
