// Package lamp signals with lamps and a buzzer on GPIO pins, by periph.io
// (DEV-16). Lamps have no room for a test mark.
package lamp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/host/v3"

	"payagent/devices"
	"payagent/devices/internal/latest"
	"payagent/devices/internal/quiet"
)

// Config describes one set of lamps.
type Config struct {
	Name string // the lamp's name in the configuration
	// Red, Yellow, Green and Buzzer name pins as periph.io does: "GPIO17" or
	// "P1_11". What there is not stays empty; a buzzer must sound by
	// itself when its pin is on.
	Red, Yellow, Green, Buzzer string
	// ActiveLow is for relay boards that switch on with a low level.
	ActiveLow bool
	// Quiet are hours without the buzzer, in local time: "21:30-06:30".
	Quiet []string
	// Now is the clock for them, by default time.Now.
	Now func() time.Time
}

// Pins are open outputs; nil where there is none.
type Pins struct{ Red, Yellow, Green, Buzzer gpio.PinOut }

// Lamp is one set of lamps. Show never waits for a pin. Safe for concurrent
// use.
type Lamp struct{ *latest.Display }

var _ devices.Display = Lamp{}

// patience is how long Close waits for pins to go off.
const patience = time.Second

// Check says what cannot be in a configuration, without looking for the pins.
func (c Config) Check() error {
	if _, err := quiet.Parse(c.Quiet); err != nil {
		return fmt.Errorf("cannot use lamp %s: %w", c.Name, err)
	}
	if c.Red+c.Yellow+c.Green+c.Buzzer == "" {
		return noPins(c)
	}
	return nil
}

func noPins(c Config) error {
	return fmt.Errorf("cannot use lamp %s: it has no pins; name at least one of red, yellow, green and buzzer", c.Name)
}

// Open finds the pins on this computer.
func Open(cfg Config) (Lamp, error) {
	if err := cfg.Check(); err != nil {
		return Lamp{}, err
	}
	// Only whoever has lamps looks for them; a second time costs nothing.
	if _, err := host.Init(); err != nil {
		return Lamp{}, fmt.Errorf("cannot use the pins for lamp %s; check that this computer has GPIO: %w", cfg.Name, err)
	}
	var pins Pins
	used := map[int]string{}
	for _, p := range []struct {
		role, name string
		pin        *gpio.PinOut
	}{{"red", cfg.Red, &pins.Red}, {"yellow", cfg.Yellow, &pins.Yellow}, {"green", cfg.Green, &pins.Green}, {"buzzer", cfg.Buzzer, &pins.Buzzer}} {
		if p.name == "" {
			continue
		}
		found := gpioreg.ByName(p.name)
		if found == nil {
			return Lamp{}, fmt.Errorf("cannot find pin %s (%s) of lamp %s on this computer; %s", p.name, p.role, cfg.Name, known())
		}
		if other, twice := used[found.Number()]; twice && found.Number() >= 0 {
			return Lamp{}, fmt.Errorf("cannot use pin %s of lamp %s for both %s and %s; give each its own", p.name, cfg.Name, other, p.role)
		}
		used[found.Number()] = p.role
		*p.pin = found
	}
	return New(pins, cfg)
}

// known says which pins there are.
func known() string {
	all := gpioreg.All()
	if len(all) == 0 {
		return "it has none that the agent may use; check that the agent's user is in the group gpio"
	}
	return fmt.Sprintf("it has %d, from %s to %s", len(all), all[0].Name(), all[len(all)-1].Name())
}

// New signals on pins that are open; the names in cfg are not looked at.
func New(pins Pins, cfg Config) (Lamp, error) {
	hours, err := quiet.Parse(cfg.Quiet)
	if err != nil {
		return Lamp{}, fmt.Errorf("cannot use lamp %s: %w", cfg.Name, err)
	}
	p := player{hours: hours, now: cfg.Now, low: cfg.ActiveLow}
	if p.now == nil {
		p.now = time.Now
	}
	for _, o := range []output{{"red", Red, pins.Red}, {"yellow", Yellow, pins.Yellow}, {"green", Green, pins.Green}, {"buzzer", Buzzer, pins.Buzzer}} {
		if o.pin != nil {
			p.outputs = append(p.outputs, o)
		}
	}
	if len(p.outputs) == 0 {
		return Lamp{}, noPins(cfg)
	}
	return Lamp{latest.Start(cfg.Name, patience, p.work)}, nil
}

// output is one pin.
type output struct {
	role string
	bit  Output
	pin  gpio.PinOut
}

// player plays patterns on pins.
type player struct {
	outputs []output
	low     bool
	hours   quiet.Hours
	now     func() time.Time
}

// set switches every pin, also those that are as they should be: one that
// failed before may work now.
func (p player) set(on Output) error {
	if p.hours.At(p.now()) {
		on &^= Buzzer
	}
	var errs []error
	for _, o := range p.outputs {
		level := gpio.Level((on&o.bit != 0) != p.low)
		if err := o.pin.Out(level); err != nil {
			errs = append(errs, fmt.Errorf("cannot switch %s on pin %s; check that no other program has the pin: %w", o.role, o.pin.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// work plays what the latest screen asks for until ctx ends, and leaves
// everything off.
func (p player) work(ctx context.Context, feed *latest.Feed) error {
	var before devices.Screen
	current := PatternOf(before.State)
	for at := 0; ; {
		step, last := current.step(at)
		feed.Report(p.set(step.On))
		var next <-chan time.Time
		if !last {
			next = time.After(step.For)
		}
	wait:
		select {
		case <-next:
			at++
		case <-feed.News():
			s, ok := feed.Screen()
			if !ok {
				goto wait // Close has begun.
			}
			begun, changed := Next(before, s)
			before = s
			if !changed {
				goto wait
			}
			current, at = begun, 0
		case <-ctx.Done():
			return p.set(0)
		}
	}
}

// step is the step at a place; last if nothing follows it.
func (p Pattern) step(at int) (s Step, last bool) {
	if at < len(p.Once) {
		return p.Once[at], false
	}
	s = p.Loop[(at-len(p.Once))%len(p.Loop)]
	return s, s.For == 0
}
