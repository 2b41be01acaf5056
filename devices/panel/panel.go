// Package panel shows screens on small graphic displays through periph.io: an
// SSD1306 class monochrome display (128×64) on I²C and an ST7789 class colour
// panel (240×240) on SPI.
//
// Render makes the picture and touches no device. A Panel owns the device in
// one goroutine with a mailbox for the latest screen, so that a stuck bus holds
// up nobody. After an error the device is opened again and painted anew.
//
// Limits: the chips give no answer that a picture is seen; on SPI not even that
// a chip is there. So all is set up and painted again every Config.Refresh,
// which brings a panel back whose cable was out for a while. Buses that appear
// after the first opening (USB adapters) are found only by a restart.
package panel

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"io"
	"time"

	"payagent/devices"
	"payagent/devices/internal/latest"
)

// The kinds of panels.
const (
	KindSSD1306 = "ssd1306" // monochrome, I²C
	KindST7789  = "st7789"  // colour, SPI with a data/command line
)

// Config describes one panel. Fields that are zero take the default of the
// kind.
type Config struct {
	Name string // the device's name in the configuration
	Kind string // KindSSD1306 or KindST7789
	// Bus is periph's name of the bus: "/dev/i2c-1" or "I2C1"; "SPI0.0" or
	// "/dev/spidev0.0". Empty takes the first bus of its sort.
	Bus     string
	Address int // I²C address, default 0x3C; some boards are 0x3D
	// Width and Height in pixels as the panel is made, before Rotate; default
	// 128×64 or 240×240.
	Width, Height int
	// OffsetX and OffsetY say where the glass begins in the ST7789's memory of
	// 240×320 pixels, before Rotate. 0 for 240×240 and 240×320; 52, 40 for
	// most panels of 135×240.
	OffsetX, OffsetY int
	Rotate           int // degrees clockwise: 0, 90, 180, 270; an SSD1306 only 0 or 180
	// DC, Reset and Backlight are periph's names of GPIO lines, e.g. "GPIO25".
	// An ST7789 needs DC; Reset is active low; both others may be empty.
	DC, Reset, Backlight string
	// SpeedHz is the SPI clock; the default, 15 MHz, is the data sheet's
	// (66 ns a write cycle): 62 ms a picture of 240×240. Most panels take more.
	SpeedHz int
	// SPIMode is 0 or 3. Boards without a chip select line need 3.
	SPIMode  int
	BGR      bool          // the panel's colours are in the order blue, green, red
	Plain    bool          // do not invert colours; IPS panels, the usual ones, need the inversion
	Language string        // "zh" (default) or "en"
	Refresh  time.Duration // between two full set-ups; default 15 s, negative never
}

// The smallest panel on which state and amount can be read.
const (
	leastWidth  = 64
	leastHeight = 32
)

// Check says what is wrong with a configuration, without opening anything.
func (c Config) Check() error {
	_, err := c.filled()
	return err
}

// filled gives the configuration with its defaults.
func (c Config) filled() (Config, error) {
	wrong := func(format string, a ...any) (Config, error) {
		return c, fmt.Errorf("cannot use panel %s: %w", c.Name, fmt.Errorf(format, a...))
	}
	or := func(v *int, otherwise int) {
		if *v == 0 {
			*v = otherwise
		}
	}
	most := image.Pt(128, 64)
	switch c.Kind {
	case KindSSD1306:
		or(&c.Width, 128)
		or(&c.Height, 64)
		or(&c.Address, 0x3C)
		if c.Rotate != 0 && c.Rotate != 180 {
			return wrong("rotate %d; an ssd1306 can be turned by 0 or 180 degrees", c.Rotate)
		}
		if c.Width%8 != 0 || c.Height%8 != 0 {
			return wrong("%d×%d pixels; write multiples of 8 for an ssd1306", c.Width, c.Height)
		}
		if c.Address < 0x08 || c.Address > 0x77 {
			return wrong("I²C address %#x; write 0x3C, or 0x3D if the board says so", c.Address)
		}
	case KindST7789:
		most = image.Pt(ramWidth, ramHeight)
		or(&c.Width, 240)
		or(&c.Height, 240)
		or(&c.SpeedHz, 15_000_000)
		if c.Rotate%90 != 0 || c.Rotate < 0 || c.Rotate > 270 {
			return wrong("rotate %d; write 0, 90, 180 or 270", c.Rotate)
		}
		if c.DC == "" {
			return wrong("dc is missing; name the GPIO line that tells commands from data, like GPIO25")
		}
		if c.SPIMode != 0 && c.SPIMode != 3 {
			return wrong("SPI mode %d; write 0, or 3 for a board without chip select", c.SPIMode)
		}
		if c.SpeedHz < 100_000 || c.SpeedHz > 125_000_000 {
			return wrong("%d Hz on SPI; write 15000000, or what the panel's paper says", c.SpeedHz)
		}
		if c.OffsetX < 0 || c.OffsetY < 0 || c.OffsetX+c.Width > ramWidth || c.OffsetY+c.Height > ramHeight {
			return wrong("%d×%d pixels at %d, %d lie outside the controller's %d×%d", c.Width, c.Height, c.OffsetX, c.OffsetY, ramWidth, ramHeight)
		}
	default:
		return wrong("kind %q; write %s or %s", c.Kind, KindSSD1306, KindST7789)
	}
	if c.Width < leastWidth || c.Height < leastHeight || c.Width > most.X || c.Height > most.Y {
		return wrong("%d×%d pixels; write %d×%d to %d×%d", c.Width, c.Height, leastWidth, leastHeight, most.X, most.Y)
	}
	switch c.Language {
	case "":
		c.Language = "zh"
	case "zh", "en":
	default:
		return wrong("language %q; write zh or en", c.Language)
	}
	if c.Refresh == 0 {
		c.Refresh = 15 * time.Second
	}
	return c, nil
}

// Drawer is what a Panel paints on; periph's display.Drawer has these methods.
// A Drawer may also have Close() error, called once when it is given up, and
// Refresh() error, which sets the device up anew before it is painted again.
type Drawer interface {
	Bounds() image.Rectangle
	Draw(r image.Rectangle, src image.Image, sp image.Point) error
	Halt() error // switches the panel off
}

// Opener opens the device. It is called by one goroutine, and again after each
// error; it must end soon after its context.
type Opener func(ctx context.Context) (Drawer, error)

// Ready gives an Opener for a device that is open already.
func Ready(d Drawer) Opener { return func(context.Context) (Drawer, error) { return d, nil } }

// The pause between two tries to open a panel doubles between these.
const (
	firstPause = 200 * time.Millisecond
	mostPause  = 5 * time.Second
)

// closeLimit is how long Close waits for a write that is under way.
const closeLimit = 2 * time.Second

// Panel is a display that paints in its own time. Show returns at once; its
// error is that of the last try to paint, if that failed, and the screen is kept
// all the same and painted when the device is back. Close blanks the panel and
// switches it off; it waits no longer than 2 s, since a bus that is stuck in the
// kernel cannot be interrupted.
type Panel struct{ *latest.Display }

var _ devices.Display = Panel{}

// New paints on what open gives. The configuration must name the kind, which
// decides between colour and black and white.
func New(open Opener, cfg Config) (Panel, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return Panel{}, err
	}
	p := painter{cfg: cfg, open: open}
	return Panel{latest.Start("panel "+cfg.Name, closeLimit, p.run)}, nil
}

// painter is the goroutine that owns the device.
type painter struct {
	cfg  Config
	open Opener
}

func (p painter) run(ctx context.Context, feed *latest.Feed) error {
	pause := firstPause
	for ctx.Err() == nil {
		painted, err := p.serve(ctx, feed)
		if err == nil {
			break // closed
		}
		feed.Report(fmt.Errorf("tried again for as long as it takes; check its cable and bus %q: %w", p.cfg.Bus, err))
		if painted {
			pause = firstPause
		}
		if wait(ctx, pause) != nil {
			break
		}
		pause = min(2*pause, mostPause)
	}
	return nil
}

// serve opens the device and paints until it fails (err) or the panel is closed
// (nil). painted tells whether any picture went out.
func (p painter) serve(ctx context.Context, feed *latest.Feed) (painted bool, err error) {
	defer func() {
		// A driver that panics must cost the display, not the payment. The
		// value may hold what was to be shown, so only its type is told.
		if v := recover(); v != nil {
			err = fmt.Errorf("the driver panicked (%T)", v)
		}
	}()
	d, err := p.open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return false, nil
		}
		return false, err
	}
	if c, ok := d.(io.Closer); ok {
		defer func() { _ = c.Close() }()
	}
	var tick <-chan time.Time
	again, refreshes := d.(interface{ Refresh() error })
	if refreshes && p.cfg.Refresh > 0 {
		t := time.NewTicker(p.cfg.Refresh)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-feed.News(): // of the screen that is painted now
		default:
		}
		if s, ok := feed.Screen(); ok {
			if err := p.paint(d, s); err != nil {
				return painted, err
			}
			painted = true
		}
		feed.Report(nil)
		select {
		case <-feed.News():
		case <-tick:
			if err := again.Refresh(); err != nil {
				return painted, err
			}
		case <-ctx.Done():
			_ = d.Draw(d.Bounds(), image.NewUniform(color.Black), image.Point{})
			_ = d.Halt()
			return painted, nil
		}
	}
}

func (p painter) paint(d Drawer, s devices.Screen) error {
	b := d.Bounds()
	return d.Draw(b, Render(s, b.Size(), p.cfg.Kind == KindST7789, p.cfg.Language), image.Point{})
}

// wait sleeps for d unless ctx ends before, which it returns.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
