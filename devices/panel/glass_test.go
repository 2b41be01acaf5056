package panel

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"io"
	"sync"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/i2c/i2ctest"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/conn/v3/spi/spitest"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"payagent/devices"
)

// gate is what a stuck bus waits at.
type gate struct {
	mu      sync.Mutex
	shut    chan struct{} // nil while open
	changed chan struct{}
	fail    error // what the bus answers instead of taking bytes
}

func newGate() *gate { return &gate{changed: make(chan struct{})} }

func (g *gate) Stall() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) breakWith(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = err
}

// take runs f, which changes the glass, once the bus moves.
func (g *gate) take(f func()) error {
	g.mu.Lock()
	for g.shut != nil {
		shut := g.shut
		g.mu.Unlock()
		<-shut
		g.mu.Lock()
	}
	defer g.mu.Unlock()
	if g.fail != nil {
		return g.fail
	}
	f()
	close(g.changed)
	g.changed = make(chan struct{})
	return nil
}

// until waits until seen, which is called with the glass at rest, is true.
func (g *gate) until(ctx context.Context, seen func() bool) error {
	for {
		g.mu.Lock()
		ok, changed := seen(), g.changed
		g.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// oledGlass is an SSD1306 as its data sheet (chapter 9, 10) has it, as far as
// the commands go that the driver sends: I²C control bytes, page addressing,
// power.
type oledGlass struct {
	*gate
	addr      uint16
	width     int
	ram       [8][128]byte
	page, col int
	on        bool
	closed    int
}

func newOLED(addr uint16, width int) *oledGlass {
	return &oledGlass{gate: newGate(), addr: addr, width: width}
}

func (o *oledGlass) String() string                  { return "oled" }
func (o *oledGlass) SetSpeed(physic.Frequency) error { return errors.New("fixed") }
func (o *oledGlass) Close() error                    { o.closed++; return nil }

func (o *oledGlass) Tx(addr uint16, w, _ []byte) error {
	if addr != o.addr {
		return errors.New("no acknowledge")
	}
	return o.take(func() {
		switch w[0] {
		case 0x00:
			o.commands(w[1:])
		case 0x40:
			for _, b := range w[1:] {
				o.ram[o.page][o.col] = b
				o.col = (o.col + 1) % o.width
			}
		}
	})
}

func (o *oledGlass) commands(w []byte) {
	for i := 0; i < len(w); i++ {
		switch c := w[i]; {
		case c == 0x21 || c == 0x22:
			i += 2
		case c == 0x20 || c == 0x81 || c == 0xA8 || c == 0xD3 || c == 0xD5 || c == 0xD9 || c == 0xDA || c == 0xDB || c == 0x8D:
			i++
		case c == 0xAE:
			o.on = false
		case c == 0xAF:
			o.on = true
		case c >= 0xB0 && c <= 0xB7:
			o.page = int(c & 7)
		case c <= 0x0F:
			o.col = o.col&^0x0F | int(c)
		case c >= 0x10 && c <= 0x1F:
			o.col = o.col&0x0F | int(c&0x0F)<<4
		}
	}
}

// picture is what the glass holds.
func (o *oledGlass) picture(height int) *image1bit.VerticalLSB {
	m := image1bit.NewVerticalLSB(image.Rect(0, 0, o.width, height))
	for y := range height {
		for x := range o.width {
			m.SetBit(x, y, o.ram[y/8][x]>>(y%8)&1 != 0)
		}
	}
	return m
}

func (o *oledGlass) Shows(ctx context.Context, s devices.Screen) error {
	want := rgba(Render(s, small, false, "zh"))
	return o.until(ctx, func() bool { return o.on && bytes.Equal(rgba(o.picture(64)).Pix, want.Pix) })
}

// chip is an ST7789 as its data sheet has it (8.4, 9.1), as far as the commands
// go that the driver sends.
type chip struct {
	ram            [ramHeight][ramWidth]uint16
	command        byte
	params         []byte
	access, colmod byte
	x0, x1, y0, y1 int
	x, y           int
	half           []byte // of a pixel
	awake, on      bool
	inverted       bool
}

// bytes takes what came in one write, with the level of the data line.
func (c *chip) bytes(data bool, w []byte) {
	if !data {
		for _, b := range w {
			c.begin(b)
		}
		return
	}
	for _, b := range w {
		c.param(b)
	}
}

func (c *chip) begin(b byte) {
	c.command, c.params, c.half = b, nil, nil
	switch b {
	case 0x01:
		ram := c.ram // a reset leaves the memory alone
		*c = chip{ram: ram, command: b}
	case 0x10:
		c.awake = false
	case 0x11:
		c.awake = true
	case 0x20, 0x21:
		c.inverted = b == 0x21
	case 0x28, 0x29:
		c.on = b == 0x29
	case 0x2C:
		c.x, c.y = c.x0, c.y0
	}
}

func (c *chip) param(b byte) {
	if c.command == 0x2C {
		if c.half = append(c.half, b); len(c.half) == 2 {
			c.pixel(uint16(c.half[0])<<8 | uint16(c.half[1]))
			c.half = nil
		}
		return
	}
	c.params = append(c.params, b)
	p := c.params
	switch {
	case c.command == 0x3A:
		c.colmod = b
	case c.command == 0x36:
		c.access = b
	case c.command == 0x2A && len(p) == 4:
		c.x0, c.x1 = int(p[0])<<8|int(p[1]), int(p[2])<<8|int(p[3])
	case c.command == 0x2B && len(p) == 4:
		c.y0, c.y1 = int(p[0])<<8|int(p[1]), int(p[2])<<8|int(p[3])
	}
}

func (c *chip) pixel(v uint16) {
	x, y := c.x, c.y
	if c.access&0x20 != 0 {
		x, y = y, x
	}
	if c.access&0x40 != 0 {
		x = ramWidth - 1 - x
	}
	if c.access&0x80 != 0 {
		y = ramHeight - 1 - y
	}
	if x >= 0 && x < ramWidth && y >= 0 && y < ramHeight {
		c.ram[y][x] = v
	}
	if c.x++; c.x > c.x1 {
		c.x = c.x0
		if c.y++; c.y > c.y1 {
			c.y = c.y0
		}
	}
}

// picture is what the glass over the memory shows, as the panel is made.
func (c *chip) picture(glass image.Rectangle) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, glass.Dx(), glass.Dy()))
	for y := range glass.Dy() {
		for x := range glass.Dx() {
			v := c.ram[glass.Min.Y+y][glass.Min.X+x]
			m.SetRGBA(x, y, color.RGBA{uint8(v >> 8 & 0xF8), uint8(v >> 3 & 0xFC), uint8(v << 3), 0xFF})
		}
	}
	return m
}

// pin is a GPIO line that tells of each level.
type pin struct {
	gpio.PinIO
	out func(gpio.Level) error
}

func (p pin) Out(l gpio.Level) error { return p.out(l) }

// spiGlass is a chip on a bus with its lines.
type spiGlass struct {
	*gate
	chip
	data   bool // level of the data line
	light  bool
	closed int
	speed  physic.Frequency
	mode   spi.Mode
}

func newSPIGlass() *spiGlass { return &spiGlass{gate: newGate()} }

func (g *spiGlass) String() string                    { return "glass" }
func (g *spiGlass) Close() error                      { g.closed++; return nil }
func (g *spiGlass) LimitSpeed(physic.Frequency) error { return nil }
func (g *spiGlass) Duplex() conn.Duplex               { return conn.Half }
func (g *spiGlass) TxPackets([]spi.Packet) error      { return errors.New("not used") }

func (g *spiGlass) Connect(f physic.Frequency, mode spi.Mode, _ int) (spi.Conn, error) {
	g.speed, g.mode = f, mode
	return g, nil
}

func (g *spiGlass) Tx(w, _ []byte) error {
	if len(w) > 4096 {
		return errors.New("more than the kernel takes at once")
	}
	return g.take(func() { g.bytes(g.data, w) })
}

func (g *spiGlass) wires() wires {
	return wires{
		dc:    pin{gpio.INVALID, func(l gpio.Level) error { return g.take(func() { g.data = bool(l) }) }},
		light: pin{gpio.INVALID, func(l gpio.Level) error { return g.take(func() { g.light = bool(l) }) }},
	}
}

func (g *spiGlass) Shows(ctx context.Context, s devices.Screen) error {
	want := quantised(Render(s, large, true, "zh"))
	return g.until(ctx, func() bool {
		return g.on && g.awake && g.light && g.inverted && g.colmod == 0x55 && bytes.Equal(g.picture(want.Rect).Pix, want.Pix)
	})
}

// quantised is a picture in the colours of 16 bits.
func quantised(m image.Image) *image.RGBA {
	out := rgba(m)
	for i := range out.Pix {
		switch i % 4 {
		case 1:
			out.Pix[i] &= 0xFC
		case 0, 2:
			out.Pix[i] &= 0xF8
		}
	}
	return out
}

// noWait passes time at once.
func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// The recorders of the library stand between driver and glass.
type recordedI2C struct {
	*i2ctest.Record
	io.Closer
}

var (
	_ spi.PortCloser = (*spiGlass)(nil)
	_ spi.PortCloser = (*spitest.Record)(nil)
)
