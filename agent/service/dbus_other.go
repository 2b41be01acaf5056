//go:build !linux

package service

import (
	"context"
	"io"
)

// HoldMachine does nothing where there is no logind. Windows asks nobody: the
// service is told before the shutdown begins and finishes what is in hand.
func HoldMachine(context.Context, string) (io.Closer, error) { return nothing{}, nil }

type nothing struct{}

// Close does nothing.
func (nothing) Close() error { return nil }
