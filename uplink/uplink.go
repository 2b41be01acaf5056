// Package uplink is the contract for the ways out of the box: how bytes for a
// payment platform leave the till. A member gives an http.RoundTripper; the
// platform adapters use it and cannot tell one way from another.
//
// What every member promises, and uplinktest checks: a request is written at
// most once (no retry, no redirect, no replay on a second connection); an
// error that proves that no byte of the request left says so (see [NotSent]);
// an answer comes whole or as an error; nothing is read from the process's
// environment; Close stops everything.
package uplink

import (
	"context"
	"net/http"
)

// Route is one way to one platform.
type Route interface {
	// RoundTrip sends one request. With Request.Close set the request gets a
	// connection of its own, never one that was idle: pay requests ask for
	// that, because a stale connection turns into an unknown outcome.
	http.RoundTripper
	// Reach tries to open the way without sending a request: nil means that
	// the other side's address accepted us (TLS included).
	Reach(ctx context.Context) error
	// Close drops idle connections and fails later calls.
	Close() error
}

// askingKey is the context key of Asking.
type askingKey struct{}

// Asking marks the requests made under a context as questions that change
// nothing at the platform. A way with several paths may ask such a one again by
// another path when no answer came; what is not marked it never repeats.
func Asking(ctx context.Context) context.Context {
	return context.WithValue(ctx, askingKey{}, true)
}

// IsAsking tells whether a context is of [Asking].
func IsAsking(ctx context.Context) bool { return ctx.Value(askingKey{}) != nil }

// NotSent wraps an error that proves that the request never reached the
// other side: no connection, no TLS, a proxy that refused. Its NotSent method
// is how package platforms recognises it without importing this one.
type NotSent struct{ Err error }

// Error says what failed.
func (e *NotSent) Error() string {
	return "cannot reach the platform, nothing was sent: " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *NotSent) Unwrap() error { return e.Err }

// NotSent is always true.
func (e *NotSent) NotSent() bool { return true }

// WrongClock wraps an error that this machine's clock is to blame for: the
// other side is there, and its certificate does not count at the time that it
// is here. Its ClockWrong method is how package platforms recognises it.
type WrongClock struct{ Err error }

// Error says what to do.
func (e *WrongClock) Error() string { return "clock_wrong: set this machine's clock: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *WrongClock) Unwrap() error { return e.Err }

// ClockWrong is always true.
func (e *WrongClock) ClockWrong() bool { return true }
