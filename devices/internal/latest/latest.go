// Package latest gives a display or a signal a goroutine of its own, with room
// for one screen: the latest. Show only puts a screen there, so that a device
// that is slow, stuck or absent delays nobody (DSP-01, DEV-16).
package latest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"payagent/devices"
)

// errClosed is what Show gives after Close.
var errClosed = errors.New("it was closed; open it again")

// Work is what the goroutine does: it shows whatever the feed has, until ctx
// ends, and then leaves the device dark.
type Work func(ctx context.Context, feed *Feed) error

// Display is the side of whoever shows. Safe for concurrent use.
type Display struct {
	name     string
	patience time.Duration
	feed     *Feed
	stop     context.CancelFunc
	done     chan struct{}
	once     sync.Once
	ended    error // what work gave; set before done is closed
}

// Feed is the side of the goroutine. Safe for concurrent use.
type Feed struct {
	news chan struct{}

	mu     sync.Mutex
	screen devices.Screen
	has    bool
	err    error
	closed bool
}

// Start runs work until Close. Close waits for it no longer than patience.
func Start(name string, patience time.Duration, work Work) *Display {
	ctx, stop := context.WithCancel(context.Background())
	d := &Display{name: name, patience: patience, feed: &Feed{news: make(chan struct{}, 1)}, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.ended = work(ctx, d.feed)
	}()
	return d
}

// Show hands over the screen and returns at once. The error is about the
// device as far as is known, or ctx's; either way the screen will be shown as
// soon as the device can, if no newer one comes.
func (d *Display) Show(ctx context.Context, s devices.Screen) error {
	err := d.feed.put(s)
	if err != nil {
		return fmt.Errorf("cannot show on %s: %w", d.name, err)
	}
	return ctx.Err()
}

// Close ends the goroutine; the second time it does nothing. Its error says
// that the device is stuck; the goroutine then ends when the device lets go.
func (d *Display) Close() error {
	var err error
	d.once.Do(func() { err = d.close() })
	return err
}

func (d *Display) close() error {
	d.feed.shut()
	d.stop()
	t := time.NewTimer(d.patience)
	defer t.Stop()
	select {
	case <-d.done:
		if d.ended != nil {
			return fmt.Errorf("cannot close %s: %w", d.name, d.ended)
		}
		return nil
	case <-t.C:
		return fmt.Errorf("cannot close %s: it has been stuck for %v; check its cable", d.name, d.patience)
	}
}

func (f *Feed) put(s devices.Screen) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed
	}
	f.screen, f.has = s, true
	select {
	case f.news <- struct{}{}:
	default: // the goroutine has not yet taken the one before
	}
	return f.err
}

// shut forgets the screen: nothing of a patient stays in memory.
func (f *Feed) shut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed, f.screen, f.has = true, devices.Screen{}, false
}

// News gets a value when there may be a newer screen.
func (f *Feed) News() <-chan struct{} { return f.news }

// Screen is the latest screen; false if there was none yet, or after Close.
func (f *Feed) Screen() (devices.Screen, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.screen, f.has
}

// Report keeps what is wrong with the device for the next Show; nil if it
// works again.
func (f *Feed) Report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}
