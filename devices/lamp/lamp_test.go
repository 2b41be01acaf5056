package lamp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/lamp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pin is an output that somebody looks at.
type pin struct {
	name string
	b    *board
}

func (p *pin) String() string                        { return p.name }
func (p *pin) Halt() error                           { return nil }
func (p *pin) Name() string                          { return p.name }
func (p *pin) Number() int                           { return -1 }
func (p *pin) Function() string                      { return "Out" }
func (p *pin) PWM(gpio.Duty, physic.Frequency) error { return errors.New("not used") }
func (p *pin) Out(l gpio.Level) error                { return p.b.out(p.name, l) }

// board is a face of four pins.
type board struct {
	mu      sync.Mutex
	low     bool // on is a low level
	on      map[string]bool
	stalled bool
	broken  error
	changed chan struct{}
}

func newBoard() *board {
	return &board{on: map[string]bool{}, changed: make(chan struct{})}
}

func (b *board) pins() lamp.Pins {
	return lamp.Pins{Red: &pin{"red", b}, Yellow: &pin{"yellow", b}, Green: &pin{"green", b}, Buzzer: &pin{"buzzer", b}}
}

func (b *board) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// until waits until ok, which is asked under the lock, and leaves it locked
// unless ctx ended.
func (b *board) until(ctx context.Context, ok func() bool) error {
	b.mu.Lock()
	for !ok() {
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		b.mu.Lock()
	}
	return nil
}

func (b *board) out(name string, l gpio.Level) error {
	_ = b.until(context.Background(), func() bool { return !b.stalled })
	defer b.mu.Unlock()
	if b.broken != nil {
		return b.broken
	}
	b.on[name] = bool(l) != b.low
	b.tell()
	return nil
}

func (b *board) stall(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stalled = on
	b.tell()
}

func (b *board) Stall()  { b.stall(true) }
func (b *board) Resume() { b.stall(false) }

// lit are the outputs that are on; mu is held.
func (b *board) lit() string {
	var list []string
	for name, on := range b.on {
		if on {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "+")
}

func (b *board) Shows(ctx context.Context, s devices.Screen) error {
	want := map[string]string{"waiting": "yellow", "paid": "green"}[s.State]
	err := b.until(ctx, func() bool { return len(b.on) == 4 && strings.TrimPrefix(b.lit(), "buzzer+") == want })
	if err == nil {
		b.mu.Unlock()
	}
	return err
}

func TestSuite(t *testing.T) {
	devicetest.TestDisplay(t, devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
		b := newBoard()
		d, err := lamp.New(b.pins(), lamp.Config{Name: devicetest.Name})
		return d, b, err
	}})
}

// timeline shows screens, one every 10 s, and writes down when the outputs
// change in the first span after each.
func timeline(t *testing.T, cfg lamp.Config, span time.Duration, screens ...devices.Screen) string {
	b := newBoard()
	b.low = cfg.ActiveLow
	d, err := lamp.New(b.pins(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, s := range screens {
		if err := d.Show(t.Context(), s); err != nil {
			t.Error(err)
		}
		shown := "nothing yet"
		for at := time.Duration(0); at < 10*time.Second; at += 50 * time.Millisecond {
			synctest.Wait()
			b.mu.Lock()
			now := b.lit()
			b.mu.Unlock()
			if at < span && i == len(screens)-1 && now != shown {
				fmt.Fprintf(&out, "%d:%s ", at.Milliseconds(), now)
				shown = now
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.on) != 4 || b.lit() != "" {
		t.Errorf("after Close there is still %s", b.lit())
	}
	return strings.TrimSpace(out.String())
}

// TestTimelines: what people see and hear, in ms after each change.
func TestTimelines(t *testing.T) {
	state := func(s string) devices.Screen { return devices.Screen{State: s} }
	for _, c := range []struct {
		screens []devices.Screen
		want    string
	}{
		{[]devices.Screen{state("idle")}, "0:"},
		{[]devices.Screen{state("nobody knows this one")}, "0:"},
		{[]devices.Screen{state("waiting")}, "0:yellow 1000: 2000:yellow 3000:"},
		{[]devices.Screen{state("waiting"), state("queued")}, "0:buzzer+yellow 100:yellow"},
		{[]devices.Screen{state("queued")}, "0:yellow"},
		{[]devices.Screen{state("waiting"), state("paying")}, "0:buzzer+yellow 100:yellow 350: 600:yellow 850: 1100:yellow 1350: 1600:yellow 1850: 2100:yellow 2350: 2600:yellow 2850: 3100:yellow 3350: 3600:yellow 3850:"},
		{[]devices.Screen{state("queued"), state("paying")}, "0:yellow 250: 500:yellow 750: 1000:yellow 1250: 1500:yellow 1750: 2000:yellow 2250: 2500:yellow 2750: 3000:yellow 3250: 3500:yellow 3750:"},
		{[]devices.Screen{state("paying"), state("paid")}, "0:buzzer+green 600:green"},
		{[]devices.Screen{state("paying"), state("failed")}, "0:buzzer+red 100:red 200:buzzer+red 300:red 400:buzzer+red 500:red"},
		{[]devices.Screen{state("canceled")}, "0:buzzer+red 100:red 200:buzzer+red 300:red 400:buzzer+red 500:red"},
		{[]devices.Screen{state("paying"), state("in_doubt")}, "0:buzzer+red 100:red 200:buzzer+red 300:red 900:yellow 1400:red 1900:yellow 2400:red 2900:yellow 3400:red 3900:yellow"},
		{[]devices.Screen{state("offline")}, "0:red 100: 3000:red 3100:"},
		// The same state again changes nothing, other texts neither.
		{[]devices.Screen{state("paid"), {State: "paid", Title: "支付成功", Amount: "1.00"}}, "0:green"},
		// A refused scan, and then the lamps as before; the same note is silent.
		{[]devices.Screen{state("queued"), {State: "queued", Note: "scan.not_a_code"}}, "0:buzzer+red 100:red 200:buzzer+red 300:red 400:yellow"},
		{[]devices.Screen{{State: "queued", Note: "a"}, {State: "queued", Note: "a"}}, "0:yellow"},
		{[]devices.Screen{{State: "queued", Note: "a"}, {State: "queued"}}, "0:yellow"},
		{[]devices.Screen{{State: "idle", Note: "a"}, {State: "idle", Note: "b"}}, "0:buzzer+red 100:red 200:buzzer+red 300:red 400:"},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := timeline(t, lamp.Config{Name: "lamp"}, 4*time.Second, c.screens...); got != c.want {
				t.Errorf("%+v:\n got %s\nwant %s", c.screens, got, c.want)
			}
		})
	}
}

// TestQuiet: at night the lamps go on and the buzzer is silent.
func TestQuiet(t *testing.T) {
	for hour, want := range map[int]string{22: "0:green", 12: "0:buzzer+green 600:green"} {
		synctest.Test(t, func(t *testing.T) {
			cfg := lamp.Config{Name: "lamp", ActiveLow: true, Quiet: []string{"21:30-06:30"},
				Now: func() time.Time { return time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC) }}
			if got := timeline(t, cfg, time.Second, devices.Screen{State: "paid"}); got != want {
				t.Errorf("at %d h: %s", hour, got)
			}
		})
	}
}

// TestPatterns: what may be confused differs without sound and without
// colour, and nothing flashes more often than three times a second.
func TestPatterns(t *testing.T) {
	states := []string{"idle", "waiting", "queued", "paying", "canceling", "in_doubt", "paid", "failed", "canceled", "offline"}
	same := map[string]string{"canceling": "paying", "canceled": "failed"}
	for _, a := range states {
		p := lamp.PatternOf(a)
		if len(p.Loop) == 0 {
			t.Fatalf("%s has no pattern", a)
		}
		for i, s := range p.Loop {
			if s.On&lamp.Buzzer != 0 {
				t.Errorf("%s beeps for ever", a)
			}
			if (s.For == 0) != (len(p.Loop) == 1) || s.For < 0 {
				t.Errorf("%s: step %d of the loop is %+v", a, i, s)
			}
		}
		var period time.Duration
		for _, s := range p.Loop {
			period += s.For
		}
		if period != 0 && period < 334*time.Millisecond {
			t.Errorf("%s flashes every %v", a, period)
		}
		for _, s := range p.Once {
			if s.For < 50*time.Millisecond {
				t.Errorf("%s: nobody hears %v", a, s.For)
			}
		}
		for _, b := range states {
			if equal := slices.Equal(p.Loop, lamp.PatternOf(b).Loop); equal != (a == b || same[a] == b || same[b] == a) {
				t.Errorf("%s and %s: the same lamps %v", a, b, equal)
			}
		}
	}
}

// TestBrokenPin: a pin that fails is told at the next Show, works again when it
// can, and the others work all the while.
func TestBrokenPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		broken := errors.New("no such line")
		b.broken = broken
		d, err := lamp.New(lamp.Pins{Green: &pin{"GPIO17", b}}, lamp.Config{Name: "lamp 3"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		err = d.Show(t.Context(), devices.Screen{State: "waiting"})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "cannot switch green on pin GPIO17") || !strings.Contains(err.Error(), "lamp 3") {
			t.Error(err)
		}
		b.mu.Lock()
		b.broken = nil
		b.mu.Unlock()
		if err := d.Show(t.Context(), devices.Screen{State: "paid"}); !errors.Is(err, broken) {
			t.Error(err)
		}
		synctest.Wait()
		if err := d.Show(t.Context(), devices.Screen{State: "paid"}); err != nil {
			t.Error(err)
		}
		if b.lit() != "GPIO17" {
			t.Error(b.lit())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestStuckPin: neither Show nor Close waits for a pin for long.
func TestStuckPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		b.Stall()
		d, err := lamp.New(b.pins(), lamp.Config{Name: "lamp 3"})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 100 {
			if err := d.Show(t.Context(), devices.Screen{State: "waiting"}); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Show took %v", took)
		}
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		b.Resume()
		synctest.Wait()
		if b.lit() != "" {
			t.Errorf("%s is on after Close", b.lit())
		}
	})
}

func TestRefused(t *testing.T) {
	if _, err := lamp.New(lamp.Pins{}, lamp.Config{Name: "lamp 3"}); err == nil || !strings.Contains(err.Error(), "lamp 3: it has no pins") {
		t.Error(err)
	}
	for _, cfg := range []lamp.Config{
		{Name: "lamp 3", Red: "NO_SUCH_PIN"},
		{Name: "lamp 3", Quiet: []string{"night"}},
		{Name: "lamp 3"},
	} {
		if here := cfg.Red != ""; (cfg.Check() == nil) != here {
			t.Errorf("%+v: Check says %v", cfg, cfg.Check())
		}
		if _, err := lamp.Open(cfg); err == nil || !strings.HasPrefix(err.Error(), "cannot ") || !strings.Contains(err.Error(), "lamp 3") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	b := newBoard()
	if _, err := lamp.New(b.pins(), lamp.Config{Name: "lamp 3", Quiet: []string{"24:00-01:00"}}); err == nil {
		t.Error("24:00-01:00 is taken")
	}
}
