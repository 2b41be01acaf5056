package panel

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// Commands of the ST7789V (Sitronix data sheet, chapter 9.1).
const (
	cmdReset     = 0x01 // SWRESET
	cmdSleepIn   = 0x10 // SLPIN
	cmdSleepOut  = 0x11 // SLPOUT
	cmdNormal    = 0x13 // NORON
	cmdInvertOff = 0x20 // INVOFF
	cmdInvertOn  = 0x21 // INVON
	cmdOff       = 0x28 // DISPOFF
	cmdOn        = 0x29 // DISPON
	cmdColumns   = 0x2A // CASET
	cmdRows      = 0x2B // RASET
	cmdWrite     = 0x2C // RAMWR
	cmdAccess    = 0x36 // MADCTL
	cmdPixel     = 0x3A // COLMOD

	pixel16 = 0x55 // 16 bits: 5 red, 6 green, 5 blue

	accessMY  = 0x80 // rows from the bottom
	accessMX  = 0x40 // columns from the right
	accessMV  = 0x20 // rows and columns exchanged
	accessBGR = 0x08
)

// The controller's memory, in pixels.
const (
	ramWidth  = 240
	ramHeight = 320
)

// settle is what the data sheet asks for between a reset and SLPOUT (120 ms),
// taken after SLPOUT, too, while the supply settles.
const settle = 120 * time.Millisecond

// chunk is the most bytes in one write where the port names no limit: the
// kernel's default for spidev.
const chunk = 4096

// wires are the lines beside the bus; reset and light may be nil.
type wires struct{ dc, reset, light gpio.PinOut }

// st7789 is a colour panel on SPI with a data/command line ("4-line serial",
// data sheet 8.4).
type st7789 struct {
	port   spi.PortCloser
	conn   conn.Conn
	wires  wires
	wait   func(context.Context, time.Duration) error
	rect   image.Rectangle
	origin image.Point // of the glass in the memory, as rotated
	access byte
	invert byte
	buf    []byte
}

// newST7789 resets and sets up the panel, blackens it and only then switches it
// on, so that what was left in its memory is never seen. It owns the port, also
// when it fails.
func newST7789(ctx context.Context, port spi.PortCloser, w wires, cfg Config, wait func(context.Context, time.Duration) error) (*st7789, error) {
	d := &st7789{port: port, wires: w, wait: wait}
	if err := d.connect(cfg); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set up the ST7789: %w", err), port.Close())
	}
	return d, nil
}

func (d *st7789) connect(cfg Config) error {
	c, err := d.port.Connect(physic.Frequency(cfg.SpeedHz)*physic.Hertz, spi.Mode(cfg.SPIMode), 8)
	if err != nil {
		return fmt.Errorf("cannot use the SPI port: %w", err)
	}
	d.conn = c
	size := chunk
	if l, ok := c.(conn.Limits); ok && l.MaxTxSize() > 0 {
		size = min(size, l.MaxTxSize())
	}
	if size < 4 {
		return fmt.Errorf("cannot use an SPI port that takes %d bytes at once", size)
	}
	d.buf = make([]byte, size&^1) // whole pixels
	d.place(cfg)
	return nil
}

// place works out how rotation moves the glass in the controller's memory: a
// mirrored side counts from its other end.
func (d *st7789) place(cfg Config) {
	w, h := cfg.Width, cfg.Height
	left, top := cfg.OffsetX, cfg.OffsetY
	right, bottom := ramWidth-w-left, ramHeight-h-top
	switch cfg.Rotate {
	case 90:
		d.access, d.origin = accessMX|accessMV, image.Pt(top, right)
		w, h = h, w
	case 180:
		d.access, d.origin = accessMX|accessMY, image.Pt(right, bottom)
	case 270:
		d.access, d.origin = accessMY|accessMV, image.Pt(bottom, left)
		w, h = h, w
	default:
		d.origin = image.Pt(left, top)
	}
	d.rect = image.Rect(0, 0, w, h)
	if cfg.BGR {
		d.access |= accessBGR
	}
	d.invert = cmdInvertOn
	if cfg.Plain {
		d.invert = cmdInvertOff
	}
}

// start is the whole set-up after power came, in the order of the data sheet.
func (d *st7789) start(ctx context.Context) error {
	w := d.wires
	const shortReset = time.Millisecond // at least 10 µs (data sheet 7.4.5)
	return inTurn(
		func() error { return set(w.light, gpio.Low) },
		func() error {
			if w.reset == nil {
				return nil
			}
			return inTurn(
				func() error { return set(w.reset, gpio.Low) },
				func() error { return d.wait(ctx, shortReset) },
				func() error { return set(w.reset, gpio.High) },
				func() error { return d.wait(ctx, settle) },
			)
		},
		func() error { return d.command(cmdReset) },
		func() error { return d.wait(ctx, settle) },
		func() error { return d.command(cmdSleepOut) },
		func() error { return d.wait(ctx, settle) },
		d.configure,
		func() error { return d.Draw(d.rect, image.Black, image.Point{}) },
		d.on,
	)
}

func (d *st7789) configure() error {
	return inTurn(
		func() error { return d.command(cmdPixel, pixel16) },
		func() error { return d.command(cmdAccess, d.access) },
		func() error { return d.command(d.invert) },
		func() error { return d.command(cmdNormal) },
	)
}

func (d *st7789) on() error {
	return inTurn(
		func() error { return d.command(cmdOn) },
		func() error { return set(d.wires.light, gpio.High) },
	)
}

// Refresh sets up again without a reset, so that nothing flickers where all is
// well, and a panel that was without power wakes.
func (d *st7789) Refresh() error {
	return inTurn(
		func() error { return set(d.wires.reset, gpio.High) },
		func() error { return d.command(cmdSleepOut) },
		// 5 ms before the next command (data sheet 9.1.12).
		func() error { return d.wait(context.Background(), 5*time.Millisecond) },
		d.configure,
		d.on,
	)
}

// Halt switches light and panel off.
func (d *st7789) Halt() error {
	return errors.Join(set(d.wires.light, gpio.Low), d.command(cmdOff), d.command(cmdSleepIn))
}

// Close lets go of the port.
func (d *st7789) Close() error { return d.port.Close() }

// Bounds gives the size as rotated.
func (d *st7789) Bounds() image.Rectangle { return d.rect }

// Draw paints src, its point sp at the corner of r; see image/draw.
func (d *st7789) Draw(r image.Rectangle, src image.Image, sp image.Point) error {
	shift := sp.Sub(r.Min)
	r = r.Intersect(d.rect).Intersect(src.Bounds().Sub(shift))
	if r.Empty() {
		return nil
	}
	from := r.Min.Add(d.origin)
	to := r.Max.Add(d.origin).Sub(image.Pt(1, 1)) // the chip's ends are inclusive
	span := func(a, b int) []byte { return []byte{byte(a >> 8), byte(a), byte(b >> 8), byte(b)} }
	if err := inTurn(
		func() error { return d.command(cmdColumns, span(from.X, to.X)...) },
		func() error { return d.command(cmdRows, span(from.Y, to.Y)...) },
		func() error { return d.command(cmdWrite) },
		func() error { return d.wires.dc.Out(gpio.High) },
	); err != nil {
		return err
	}
	// Our own pictures are RGBA; asking those by At costs an allocation a pixel.
	colour := func(x, y int) (red, green, blue uint32) {
		red, green, blue, _ = src.At(x, y).RGBA()
		return red, green, blue
	}
	if m, ok := src.(*image.RGBA); ok {
		colour = func(x, y int) (red, green, blue uint32) {
			c := m.RGBAAt(x, y)
			return uint32(c.R) << 8, uint32(c.G) << 8, uint32(c.B) << 8
		}
	}
	n := 0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			red, green, blue := colour(x+shift.X, y+shift.Y)
			v := red&0xF800 | green&0xFC00>>5 | blue>>11
			d.buf[n], d.buf[n+1] = byte(v>>8), byte(v)
			if n += 2; n == len(d.buf) {
				if err := d.conn.Tx(d.buf, nil); err != nil {
					return err
				}
				n = 0
			}
		}
	}
	if n == 0 {
		return nil
	}
	return d.conn.Tx(d.buf[:n], nil)
}

// command sends one command and its parameters.
func (d *st7789) command(c byte, params ...byte) error {
	if err := d.wires.dc.Out(gpio.Low); err != nil {
		return err
	}
	if err := d.conn.Tx([]byte{c}, nil); err != nil || len(params) == 0 {
		return err
	}
	if err := d.wires.dc.Out(gpio.High); err != nil {
		return err
	}
	return d.conn.Tx(params, nil)
}

// set drives a line that may not be there.
func set(line gpio.PinOut, l gpio.Level) error {
	if line == nil {
		return nil
	}
	return line.Out(l)
}

// inTurn does one step after the other up to the first error.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
