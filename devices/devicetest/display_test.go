package devicetest_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/devices"
	"payagent/devices/devicetest"
)

// panel is a small right display and its own face; each field breaks one thing
// in it.
type panel struct {
	blocks    bool // Show waits for a stuck device
	forgets   bool // what came while it was stuck is lost
	first     bool // shows the first screen for ever
	openAfter bool // shows after Close

	mu      sync.Mutex
	want    *devices.Screen
	seen    *devices.Screen
	stalled bool
	closed  bool
	changed chan struct{}
}

func (p *panel) update() {
	if !p.stalled && p.want != nil && !(p.first && p.seen != nil) {
		p.seen = p.want
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *panel) Show(ctx context.Context, s devices.Screen) error {
	p.mu.Lock()
	if p.closed && !p.openAfter {
		p.mu.Unlock()
		return errors.New("closed")
	}
	for p.blocks && p.stalled {
		changed := p.changed
		p.mu.Unlock()
		<-changed
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if !(p.forgets && p.stalled) {
		p.want = &s
	}
	p.update()
	return ctx.Err()
}

func (p *panel) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

func (p *panel) stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = on
	p.update()
}

func (p *panel) Stall()  { p.stall(true) }
func (p *panel) Resume() { p.stall(false) }

func (p *panel) Shows(ctx context.Context, s devices.Screen) error {
	for {
		p.mu.Lock()
		seen, changed := p.seen, p.changed
		p.mu.Unlock()
		if seen != nil && *seen == s {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func display(tune func(*panel)) devicetest.DisplayMember {
	return devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
		p := &panel{changed: make(chan struct{})}
		tune(p)
		return p, p, nil
	}}
}

func TestRightDisplayPasses(t *testing.T) {
	devicetest.TestDisplay(t, display(func(*panel) {}))
}

func TestWrongDisplays(t *testing.T) {
	for want, tune := range map[string]func(*panel){
		"stalled": func(p *panel) { p.blocks = true },
		"latest":  func(p *panel) { p.forgets = true },
		"shows":   func(p *panel) { p.first = true },
		"closed":  func(p *panel) { p.openAfter = true },
	} {
		found := false
		for _, c := range devicetest.DisplayCases() {
			if c.Name != want {
				continue
			}
			found = true
			m := display(tune)
			m.Hang = 300 * time.Millisecond
			if err := devicetest.RunDisplay(m, c); err == nil || !strings.Contains(err.Error(), c.Rule) {
				t.Errorf("%s: %v", want, err)
			}
		}
		if !found {
			t.Errorf("no case %s", want)
		}
	}
}
