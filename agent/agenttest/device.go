package agenttest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"payagent/devices"
)

// Pad is a scanner that reads what a test shows it. It counts, knows its place,
// and can beep.
type Pad struct {
	name  string
	shown chan string

	mu     sync.Mutex
	counts devices.Counts
	fault  error
	did    []string
}

// NewPad makes a scanner.
func NewPad(name string) *Pad { return &Pad{name: name, shown: make(chan string, 4)} }

// Show puts a code in front of the scanner.
func (p *Pad) Show(text string) { p.shown <- text }

// Spoil makes the scanner count so many bad reads.
func (p *Pad) Spoil(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Bad += uint64(n)
}

// Fail makes every action end with this error; nil heals it.
func (p *Pad) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = err
}

// Did lists the actions that were done.
func (p *Pad) Did() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.did)
}

// Scan implements devices.Scanner.
func (p *Pad) Scan(ctx context.Context) (devices.Scan, error) {
	select {
	case text := <-p.shown:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.counts.Good++
		p.counts.Last = time.Now()
		return devices.Scan{Text: devices.NewText(text), Device: p.name, At: time.Now()}, nil
	case <-ctx.Done():
		return devices.Scan{}, ctx.Err()
	}
}

// Close implements devices.Scanner.
func (p *Pad) Close() error { return nil }

// Counts implements devices.Counting.
func (p *Pad) Counts() devices.Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// Place implements devices.Placed.
func (p *Pad) Place() devices.Found {
	return devices.Found{Driver: "test", Port: "1-1:1.0", Class: devices.ClassOther, Vendor: 0x1234, Product: 0x5678, Model: "Pad"}
}

// Actions implements devices.Acting.
func (p *Pad) Actions() []string { return []string{"beep"} }

// Do implements devices.Acting.
func (p *Pad) Do(_ context.Context, action string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if action != "beep" {
		return fmt.Errorf("cannot do %q: %w", action, devices.ErrNoAction)
	}
	p.did = append(p.did, action)
	return p.fault
}

// Face is a display that remembers what it was shown.
type Face struct {
	mu    sync.Mutex
	shown []devices.Screen
	fault error
	stall bool
}

// Show implements devices.Display.
func (f *Face) Show(ctx context.Context, s devices.Screen) error {
	f.mu.Lock()
	fault, stall := f.fault, f.stall
	if fault == nil && !stall {
		f.shown = append(f.shown, s)
	}
	f.mu.Unlock()
	if stall {
		<-ctx.Done()
		return ctx.Err()
	}
	return fault
}

// Close implements devices.Display.
func (f *Face) Close() error { return nil }

// Fail makes the display give an error, or with stall take no screen at all.
func (f *Face) Fail(err error, stall bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.stall = err, stall
}

// Shown lists the screens so far, oldest first.
func (f *Face) Shown() []devices.Screen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.shown)
}

// Last is the screen that stands.
func (f *Face) Last() devices.Screen {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.shown) == 0 {
		return devices.Screen{}
	}
	return f.shown[len(f.shown)-1]
}
