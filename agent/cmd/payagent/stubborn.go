package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"payagent/devices"
)

// stubborn is a display that is opened in the background, and again until it
// works: a lamp without its pins or a voice without its program must neither
// keep the agent from starting nor hold anything up.
type stubborn struct {
	name string
	open func() (devices.Display, error)

	ctx   context.Context
	stop  context.CancelFunc
	tried chan struct{} // closed after the first try
	done  chan struct{}

	mu     sync.Mutex
	now    devices.Display // nil until it is open
	screen *devices.Screen // the latest that was asked for meanwhile
	err    error
}

var (
	_ devices.Display = (*stubborn)(nil)
	_ devices.Placed  = (*stubborn)(nil)
	_ devices.Acting  = (*stubborn)(nil)
)

// openAgain is the pause between two tries.
const openAgain = 10 * time.Second

func openStubborn(name string, open func() (devices.Display, error)) *stubborn {
	s := &stubborn{name: name, open: open, tried: make(chan struct{}), done: make(chan struct{})}
	s.ctx, s.stop = context.WithCancel(context.Background())
	go s.loop()
	return s
}

func (s *stubborn) loop() {
	defer close(s.done)
	first := sync.OnceFunc(func() { close(s.tried) })
	for {
		d, err := s.open()
		if err == nil {
			s.take(d)
			first()
			return
		}
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		first()
		t := time.NewTimer(openAgain)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
			return
		}
	}
}

// take shows what was missed and then makes d the display: until that is shown,
// newer screens wait behind it, so that the last word is the newest.
func (s *stubborn) take(d devices.Display) {
	for {
		s.mu.Lock()
		missed := s.screen
		s.screen = nil
		if missed == nil {
			s.now = d
		}
		s.mu.Unlock()
		if missed == nil {
			return
		}
		// What the display says about it, it says at the next screen too.
		_ = d.Show(s.ctx, *missed)
	}
}

func (s *stubborn) held() devices.Display {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Show shows now, or when the display is open. It waits for the first try to
// open it, but not longer than its context.
func (s *stubborn) Show(ctx context.Context, screen devices.Screen) error {
	select {
	case <-s.tried:
	case <-ctx.Done():
	}
	s.mu.Lock()
	d, err := s.now, s.err
	if d == nil {
		s.screen = &screen
	}
	s.mu.Unlock()
	switch {
	case d != nil:
		return d.Show(ctx, screen)
	case err != nil:
		return err
	}
	return ctx.Err() // still being opened
}

// Place is where the display is, if it knows.
func (s *stubborn) Place() devices.Found {
	if p, ok := s.held().(devices.Placed); ok {
		return p.Place()
	}
	return devices.Found{}
}

// Actions lists what the display can do.
func (s *stubborn) Actions() []string {
	if a, ok := s.held().(devices.Acting); ok {
		return a.Actions()
	}
	return nil
}

// Do performs an action of the display.
func (s *stubborn) Do(ctx context.Context, action string) error {
	switch d := s.held().(type) {
	case nil:
		return fmt.Errorf("cannot do %s with %s: %w", action, s.name, devices.ErrGone)
	case devices.Acting:
		return d.Do(ctx, action)
	}
	return fmt.Errorf("cannot do %s with %s: %w", action, s.name, devices.ErrNoAction)
}

// Close closes the display.
func (s *stubborn) Close() error {
	s.stop()
	<-s.done
	if d := s.held(); d != nil {
		return d.Close()
	}
	return nil
}
