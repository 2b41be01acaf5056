package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/eventlog"
)

// Log adds the Event Log to a handler: warnings and errors go there too, where
// the process runs as a service.
func Log(h slog.Handler) (slog.Handler, func() error, error) {
	// Services, and what they start, run in session 0; nobody sits there.
	var session uint32
	if err := windows.ProcessIdToSessionId(windows.GetCurrentProcessId(), &session); err != nil || session != 0 {
		return h, func() error { return nil }, nil
	}
	events, err := eventlog.Open(Name)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the Event Log: %w", err)
	}
	return tee{h, events, ""}, events.Close, nil
}

// Journal gives the writer back.
func Journal(w io.Writer) io.Writer { return w }

// tee is a handler that writes warnings and errors into the Event Log too.
type tee struct {
	slog.Handler
	events *eventlog.Log
	head   string // attributes given beforehand
}

// Event numbers: the source knows 1 to 1000, each one text.
const (
	eventWarning = 2
	eventError   = 3
)

// Handle implements slog.Handler.
func (t tee) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	if t.Handler.Enabled(ctx, r.Level) {
		errs = append(errs, t.Handler.Handle(ctx, r))
	}
	if r.Level < slog.LevelWarn {
		return errors.Join(errs...)
	}
	var b strings.Builder
	b.WriteString(r.Message + t.head)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.String())
		return true
	})
	if r.Level >= slog.LevelError {
		errs = append(errs, t.events.Error(eventError, b.String()))
	} else {
		errs = append(errs, t.events.Warning(eventWarning, b.String()))
	}
	return errors.Join(errs...)
}

// WithAttrs implements slog.Handler.
func (t tee) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		t.head += " " + a.String()
	}
	t.Handler = t.Handler.WithAttrs(attrs)
	return t
}

// WithGroup implements slog.Handler.
func (t tee) WithGroup(name string) slog.Handler {
	t.Handler = t.Handler.WithGroup(name)
	return t
}
