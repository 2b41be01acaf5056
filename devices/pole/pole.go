// Package pole shows screens on the character displays that stand on a pole
// towards the customer (客显): LED8, CD5220, Epson DM-D, UTC and AEDEX, over
// serial lines and USB-serial adapters (DSP-03).
//
// Such a display answers nothing, so nothing can be asked of it: what was
// written is taken for shown, and only a port that is gone is noticed.
package pole

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"payagent/devices"
	"payagent/devices/internal/latest"
)

// Display is one display. Show never waits for it. Safe for concurrent use.
type Display struct {
	*latest.Display
	w *writer
}

var (
	_ devices.Display = Display{}
	_ devices.Placed  = Display{}
)

// Place is the port that is open, or was last; empty before that.
func (d Display) Place() devices.Found { return d.w.where() }

const (
	// stuck is how long one screen may take to be written. At 2400 baud the
	// longest takes 0.3 s.
	stuck = 5 * time.Second
	// farewell is how long Close waits for the display to take its last
	// bytes, which make it dark.
	farewell = time.Second
	// firstWait and mostWait bound the pauses between attempts to open a port.
	firstWait = 100 * time.Millisecond
	mostWait  = 2 * time.Second
)

// Open starts showing on the configured port. A display that is absent is no
// error: it is opened when it comes, also again after it went, and then shows
// the latest screen. Until then Show says why it does not show.
func Open(cfg Config) (Display, error) {
	if cfg.Path == "" && cfg.Match.Empty() {
		return Display{}, fmt.Errorf("cannot open display %s: its path is missing; write the port, or match with what payagent devices list shows", cfg.Name)
	}
	return run(cfg, func() (link, error) { return plug(cfg) }, stuck)
}

// New shows on a port that is open already, and owns it, also when it fails.
// Its Close must end a Write. A port that is gone is not opened again.
func New(port io.WriteCloser, cfg Config) (Display, error) {
	ports := make(chan io.WriteCloser, 1)
	ports <- port
	d, err := run(cfg, func() (link, error) {
		select {
		case p := <-ports:
			return link{port: p}, nil
		default:
			return link{}, errSpent
		}
	}, 0)
	if err != nil {
		_ = port.Close()
	}
	return d, err
}

// errSpent says that there is no port to open again.
var errSpent = fmt.Errorf("its only port: %w", devices.ErrGone)

// link is an open port.
type link struct {
	port  io.WriteCloser
	place devices.Found
	// gone is closed when the device is seen to be unplugged; nil if that
	// shows only in writing.
	gone <-chan struct{}
}

// flusher is a port that can throw away what its line has not taken; without
// that the kernel waits for a stuck line when the port is closed.
type flusher interface{ ResetOutputBuffer() error }

// writer is what the display's goroutine knows.
type writer struct {
	name    string
	encoder Encoder
	open    func() (link, error)
	limit   time.Duration // longest write; 0 means none
	refresh time.Duration

	mu    sync.Mutex
	place devices.Found
}

func run(cfg Config, open func() (link, error), limit time.Duration) (Display, error) {
	e, err := cfg.Encoder()
	if err != nil {
		return Display{}, err
	}
	w := &writer{name: cfg.Name, encoder: e, open: open, limit: limit, refresh: cfg.Refresh}
	return Display{latest.Start(cfg.Name, 2*farewell, w.work), w}, nil
}

func (w *writer) where() devices.Found {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.place
}

// work opens the port, again and again where need be, and serves it.
func (w *writer) work(ctx context.Context, feed *latest.Feed) error {
	for wait := firstWait; ; {
		l, err := w.open()
		if err == nil {
			w.mu.Lock()
			w.place = l.place
			w.mu.Unlock()
			if err = w.serve(ctx, feed, l); ctx.Err() != nil {
				return err
			}
			// What was open is tried again soon.
			wait = firstWait
		}
		feed.Report(err)
		var pause <-chan time.Time
		if !errors.Is(err, errSpent) {
			pause = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return nil // There is nothing to make dark.
		case <-pause:
		}
		wait = min(2*wait, mostWait)
	}
}

// serve shows screens on one open port until it is gone or ctx ends.
func (w *writer) serve(ctx context.Context, feed *latest.Feed, l link) error {
	var refresh <-chan time.Time
	if w.refresh > 0 {
		t := time.NewTicker(w.refresh)
		defer t.Stop()
		refresh = t.C
	}
	fresh := true // the display knows nothing of us
	var shown []byte
	for {
		out, complaint := w.encoder.Clear(), error(nil)
		if s, ok := feed.Screen(); ok {
			out, complaint = w.encoder.Paint(s)
		}
		// A screen that looks the same here is not written again: it would
		// flicker.
		if fresh || !bytes.Equal(out, shown) {
			shown = out
			if fresh {
				out = append(w.encoder.Start(), out...)
			}
			if err := w.write(ctx, l, out); err != nil {
				return err
			}
		}
		feed.Report(complaint)
		fresh = false
		select {
		case <-feed.News():
		case <-refresh:
			fresh = true
		case <-l.gone:
			_ = l.port.Close()
			return fmt.Errorf("cannot show on display %s: %w", w.name, devices.ErrGone)
		case <-ctx.Done():
			// Nothing of the last patient stays on the display.
			if err := w.write(ctx, l, w.encoder.Clear()); err != nil {
				return err
			}
			return l.port.Close()
		}
	}
}

// write sends bytes. A display that takes too long is closed, which ends the
// write; so is one that is in the way of Close.
func (w *writer) write(ctx context.Context, l link, b []byte) error {
	done := make(chan error, 1)
	go func() {
		n, err := l.port.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		done <- err
	}()
	var late <-chan time.Time
	if w.limit > 0 {
		t := time.NewTimer(w.limit)
		defer t.Stop()
		late = t.C
	}
	ended := ctx.Done()
	for {
		select {
		case err := <-done:
			if err != nil {
				_ = l.port.Close()
				return fmt.Errorf("cannot write to display %s: %w: %w", w.name, devices.ErrGone, err)
			}
			return nil
		case <-ended:
			t := time.NewTimer(farewell)
			defer t.Stop()
			ended, late = nil, t.C
		case <-late:
			if f, ok := l.port.(flusher); ok {
				_ = f.ResetOutputBuffer()
			}
			_ = l.port.Close()
			<-done
			return fmt.Errorf("cannot write to display %s: it takes nothing, check its cable and flow control: %w", w.name, devices.ErrGone)
		}
	}
}
