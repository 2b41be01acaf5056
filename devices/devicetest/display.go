package devicetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"payagent/devices"
)

// Face is what a person sees of a display, and the hand that stalls it.
type Face interface {
	// Stall makes the device take nothing more, as with a stuck cable.
	Stall()
	// Resume ends that.
	Resume()
	// Shows waits until the face shows s, or until ctx ends.
	Shows(ctx context.Context, s devices.Screen) error
}

// DisplayMember opens a display.
type DisplayMember struct {
	Open func() (devices.Display, Face, error)
	Hang time.Duration // guard for one case, default 5 min
}

// DisplayCase is one rule for displays.
type DisplayCase struct {
	Name string
	Rule string
	Run  func(ctx context.Context, d devices.Display, f Face) error
}

// RunDisplay runs one case; nil means that the rule was kept.
func RunDisplay(m DisplayMember, c DisplayCase) error {
	if m.Hang <= 0 {
		m.Hang = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.Hang)
	defer cancel()
	d, f, err := m.Open()
	if err != nil {
		return fmt.Errorf("%s: opening: %w", c.Name, err)
	}
	defer func() {
		f.Resume()
		_ = d.Close()
	}()
	if err := c.Run(ctx, d, f); err != nil {
		return fmt.Errorf("%s: %w (rule: %s)", c.Name, err, c.Rule)
	}
	return nil
}

// TestDisplay runs all cases against m.
func TestDisplay(t *testing.T, m DisplayMember) {
	for _, c := range DisplayCases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := RunDisplay(m, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// Screens of the suite.
var (
	waiting = devices.Screen{State: "waiting", Title: "等待用户扫码", Amount: "12.30", Test: true}
	paid    = devices.Screen{State: "paid", Title: "支付成功", Amount: "12.30", Test: true}
)

// DisplayCases gives the whole suite.
func DisplayCases() []DisplayCase {
	return []DisplayCase{
		{"shows", "a display shows what it was told last", func(ctx context.Context, d devices.Display, f Face) error {
			for _, s := range []devices.Screen{waiting, paid, waiting} {
				if err := d.Show(ctx, s); err != nil {
					return err
				}
				if err := f.Shows(ctx, s); err != nil {
					return fmt.Errorf("state %s is not seen: %w", s.State, err)
				}
			}
			return nil
		}},
		{"stalled", "Show does not block longer than its context when the display is stuck", func(ctx context.Context, d devices.Display, f Face) error {
			f.Stall()
			for range 50 {
				short, cancel := context.WithCancel(ctx)
				done := make(chan struct{})
				go func() {
					_ = d.Show(short, waiting)
					close(done)
				}()
				cancel()
				select {
				case <-done:
				case <-ctx.Done():
					return errHung
				}
			}
			return nil
		}},
		{"latest", "a display that was stuck shows the latest screen when it is back", func(ctx context.Context, d devices.Display, f Face) error {
			f.Stall()
			for _, s := range []devices.Screen{waiting, waiting, paid} {
				short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				_ = d.Show(short, s)
				cancel()
			}
			f.Resume()
			if err := f.Shows(ctx, paid); err != nil {
				return fmt.Errorf("the latest screen is not seen: %w", err)
			}
			return nil
		}},
		{"closed", "a closed display refuses, and may be closed twice", func(ctx context.Context, d devices.Display, _ Face) error {
			if err := d.Close(); err != nil {
				return err
			}
			if d.Show(ctx, paid) == nil {
				return errors.New("it shows after Close")
			}
			return d.Close()
		}},
	}
}
