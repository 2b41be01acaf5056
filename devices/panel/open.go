package panel

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2creg"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi/spireg"
	"periph.io/x/devices/v3/ssd1306"
	"periph.io/x/host/v3"
)

// Open gives the panel that cfg describes. It fails only for a configuration
// that cannot be right; a device that is absent or does not answer is tried
// again for as long as the panel is open, and Show tells about it.
func Open(cfg Config) (Panel, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return Panel{}, err
	}
	return New(opener(cfg), cfg)
}

// opener finds the device by the names in cfg.
func opener(cfg Config) Opener {
	return func(ctx context.Context) (Drawer, error) {
		// Here and not earlier: a site without a panel touches no bus. The
		// library does it once, however often it is asked.
		if _, err := host.Init(); err != nil {
			return nil, fmt.Errorf("cannot look for buses: %w", err)
		}
		if cfg.Kind == KindSSD1306 {
			return findSSD1306(cfg)
		}
		return findST7789(ctx, cfg)
	}
}

func findSSD1306(cfg Config) (Drawer, error) {
	bus, err := i2creg.Open(cfg.Bus)
	if err != nil {
		return nil, fmt.Errorf("cannot open the I²C bus; is it enabled, and may the agent's user read and write it (group i2c)?: %w", err)
	}
	return newSSD1306(bus, cfg)
}

func findST7789(ctx context.Context, cfg Config) (Drawer, error) {
	lines := make([]gpio.PinOut, 3)
	for i, name := range []string{cfg.DC, cfg.Reset, cfg.Backlight} {
		if name == "" {
			continue
		}
		pin := gpioreg.ByName(name)
		if pin == nil {
			return nil, fmt.Errorf("cannot find the GPIO line %s; see gpioinfo for the names, and the rights on /dev/gpiochip*", name)
		}
		lines[i] = pin
	}
	port, err := spireg.Open(cfg.Bus)
	if err != nil {
		return nil, fmt.Errorf("cannot open the SPI port; is it enabled, and may the agent's user read and write it (group spi)?: %w", err)
	}
	return newST7789(ctx, port, wires{dc: lines[0], reset: lines[1], light: lines[2]}, cfg, wait)
}

// oled is an SSD1306 with its bus.
type oled struct {
	_ [0]func() // never compared: no code is made for it
	*ssd1306.Dev
	bus  i2c.Bus
	opts ssd1306.Opts
}

// newSSD1306 sets the display up. It owns the bus, also when it fails.
func newSSD1306(bus i2c.Bus, cfg Config) (*oled, error) {
	o := &oled{bus: bus, opts: ssd1306.DefaultOpts}
	o.opts.W, o.opts.H, o.opts.Rotated = cfg.Width, cfg.Height, cfg.Rotate == 180
	// 128×32 glass wires its rows one after the other (data sheet, 10.1.18).
	o.opts.Sequential = cfg.Height <= 32
	if cfg.Address != 0x3C {
		// The library's driver knows one address.
		o.bus = readdressed{bus, uint16(cfg.Address)}
	}
	// Many kernels fix the bus speed; then this fails and does not matter.
	_ = bus.SetSpeed(400 * physic.KiloHertz)
	if err := o.Refresh(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Refresh sets the chip up again, since it may have been without power. A new
// driver value also forgets what it believes to be on the glass: the old one
// would send only what changed, even after an error.
func (o *oled) Refresh() error {
	dev, err := ssd1306.NewI2C(o.bus, &o.opts)
	if err != nil {
		return fmt.Errorf("cannot set up the SSD1306: %w", err)
	}
	o.Dev = dev
	return nil
}

// Draw paints; see Drawer.
func (o *oled) Draw(r image.Rectangle, src image.Image, sp image.Point) error {
	return o.Dev.Draw(r, src, sp)
}

// Close lets go of the bus.
func (o *oled) Close() error {
	bus := o.bus
	if r, ok := bus.(readdressed); ok {
		bus = r.Bus
	}
	if c, ok := bus.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// readdressed talks to one address, whatever it is asked for.
type readdressed struct {
	i2c.Bus
	addr uint16
}

// Tx does one exchange.
func (r readdressed) Tx(_ uint16, w, read []byte) error { return r.Bus.Tx(r.addr, w, read) }
