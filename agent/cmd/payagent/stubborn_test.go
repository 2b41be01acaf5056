package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
)

// glass is a display in memory that has an action.
type glass struct {
	mu     sync.Mutex
	shown  []string
	closed int
}

func (g *glass) Show(_ context.Context, s devices.Screen) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown = append(g.shown, s.Title)
	return nil
}

func (g *glass) Close() error {
	g.closed++
	return nil
}

func (g *glass) Place() devices.Found { return devices.Found{Port: "1-1"} }
func (g *glass) Actions() []string    { return []string{"beep"} }
func (g *glass) Do(_ context.Context, a string) error {
	if a != "beep" {
		return devices.ErrNoAction
	}
	return nil
}

// TestStubbornDisplay: what cannot be opened is tried again, says why, and
// shows the latest screen when it is there.
func TestStubbornDisplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("no such pin")
		g := &glass{}
		opened := 0
		s := openStubborn("lights", func() (devices.Display, error) {
			if opened++; opened < 3 {
				return nil, no
			}
			return g, nil
		})
		for _, title := range []string{"one", "two"} {
			if err := s.Show(t.Context(), devices.Screen{Title: title}); !errors.Is(err, no) {
				t.Error(err)
			}
		}
		if err := s.Do(t.Context(), "beep"); !errors.Is(err, devices.ErrGone) || s.Actions() != nil || s.Place() != (devices.Found{}) {
			t.Error("an absent display does things:", err)
		}
		<-time.After(2*openAgain + time.Second)
		synctest.Wait()
		if err := s.Show(t.Context(), devices.Screen{Title: "three"}); err != nil {
			t.Error(err)
		}
		if !slices.Equal(g.shown, []string{"two", "three"}) || s.Place().Port != "1-1" || !slices.Equal(s.Actions(), []string{"beep"}) {
			t.Errorf("%q", g.shown)
		}
		if err := errors.Join(s.Do(t.Context(), "beep"), s.Close(), s.Close()); err != nil || g.closed == 0 {
			t.Error(err)
		}
	})
}

// slow is a glass on which a newer screen comes while an older one is being
// shown.
type slow struct {
	glass
	while func()
}

func (g *slow) Show(ctx context.Context, s devices.Screen) error {
	if do := g.while; do != nil {
		g.while = nil
		do()
	}
	return g.glass.Show(ctx, s)
}

// TestStubbornOrder: what was missed is never shown over what came after it.
func TestStubbornOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := errors.New("no such pin")
		g, opened := &slow{}, 0
		s := openStubborn("lights", func() (devices.Display, error) {
			if opened++; opened == 1 {
				return nil, no
			}
			return g, nil
		})
		g.while = func() { _ = s.Show(t.Context(), devices.Screen{Title: "new"}) }
		if err := s.Show(t.Context(), devices.Screen{Title: "old"}); !errors.Is(err, no) {
			t.Error(err)
		}
		<-time.After(openAgain + time.Second)
		synctest.Wait()
		if !slices.Equal(g.shown, []string{"old", "new"}) {
			t.Errorf("%q", g.shown)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestStubbornOpeningSlowly: a display that takes long to open blocks Show no
// longer than its context, and Close waits for it.
func TestStubbornOpeningSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &glass{}
		s := openStubborn("voice", func() (devices.Display, error) {
			<-time.After(time.Minute)
			return g, nil
		})
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		began := time.Now()
		if err := s.Show(ctx, devices.Screen{Title: "x"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Second {
			t.Error(err)
		}
		if err := s.Close(); err != nil || time.Since(began) != time.Minute || g.closed != 1 {
			t.Error("closed after", time.Since(began), err)
		}
	})
}
