package latest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/internal/latest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// face sees a screen when it takes it from the channel.
type face struct {
	seen          chan devices.Screen
	stall, resume chan struct{}
}

func (f *face) Stall()  { f.stall <- struct{}{} }
func (f *face) Resume() { f.resume <- struct{}{} }

func (f *face) Shows(ctx context.Context, s devices.Screen) error {
	for {
		select {
		case got := <-f.seen:
			if got == s {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestSuite(t *testing.T) {
	devicetest.TestDisplay(t, devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
		f := &face{make(chan devices.Screen, 1000), make(chan struct{}), make(chan struct{}, 1)}
		return latest.Start("test", time.Minute, func(ctx context.Context, feed *latest.Feed) error {
			for {
				select {
				case <-f.stall:
					<-f.resume
				case <-feed.News():
					if s, ok := feed.Screen(); ok {
						f.seen <- s
					}
				case <-ctx.Done():
					return nil
				}
			}
		}), f, nil
	}})
}

// TestReports: what is wrong is told by the next Show, which takes the screen
// all the same.
func TestReports(t *testing.T) {
	broken := errors.New("broken")
	seen, step := make(chan devices.Screen), make(chan error)
	d := latest.Start("lamp 3", time.Minute, func(_ context.Context, feed *latest.Feed) error {
		for err := range step {
			<-feed.News()
			s, _ := feed.Screen()
			feed.Report(err)
			seen <- s
		}
		return nil
	})
	show := func(state string, next error) error {
		err := d.Show(t.Context(), devices.Screen{State: state})
		step <- next
		if s := <-seen; s.State != state {
			t.Errorf("%q was handed over, not %q", s.State, state)
		}
		return err
	}
	if err := show("waiting", broken); err != nil {
		t.Error(err)
	}
	if err := show("paying", nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "cannot show on lamp 3") {
		t.Error(err)
	}
	if err := show("paid", nil); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Show(ended, devices.Screen{State: "idle"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	step <- nil
	if s := <-seen; s.State != "idle" {
		t.Error("a context that ended lost a screen")
	}
	close(step)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestStuck: Close gives up in time, and forgets the screen.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		left := make(chan *latest.Feed, 1)
		d := latest.Start("pole", 3*time.Second, func(_ context.Context, feed *latest.Feed) error {
			left <- feed
			<-free
			return nil
		})
		if err := d.Show(t.Context(), devices.Screen{State: "waiting", Line: "张*丰"}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Error(err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Close took %v", took)
		}
		if s, ok := (<-left).Screen(); ok || s != (devices.Screen{}) {
			t.Error("the screen stays after Close")
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		close(free)
	})
}

// TestEnd: what the work says at its end is Close's error, once.
func TestEnd(t *testing.T) {
	broken := errors.New("broken")
	d := latest.Start("pole", time.Minute, func(ctx context.Context, _ *latest.Feed) error {
		<-ctx.Done()
		return broken
	})
	if err := d.Close(); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
