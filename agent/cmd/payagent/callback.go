package main

import (
	"context"

	"payagent/agent/callback"
	"payagent/agent/config"
)

// openCallback puts the listener for platforms and patients' browsers beside
// the door, where the configuration has one.
func (b *assembly) openCallback(c config.Config) {
	if c.Callback.On() {
		b.beside = append(b.beside, func(ctx context.Context) error { return callback.Serve(ctx, b.agent, b.log, nil) })
	}
}
