package panel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/conntest"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/i2c/i2ctest"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/conn/v3/spi/spitest"

	"payagent/devices"
	"payagent/devices/devicetest"
)

func oledConfig() Config { return Config{Name: "window 3", Kind: KindSSD1306, Bus: "I2C1"} }
func spiConfig() Config {
	return Config{Name: "window 4", Kind: KindST7789, Bus: "SPI0.0", DC: "GPIO25", Reset: "GPIO27", Backlight: "GPIO18"}
}

func filled(t testing.TB, c Config) Config {
	t.Helper()
	c, err := c.filled()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSSD1306KeepsTheRules(t *testing.T) {
	devicetest.TestDisplay(t, devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
		glass := newOLED(0x3C, 128)
		d, err := New(func(context.Context) (Drawer, error) { return newSSD1306(glass, filled(t, oledConfig())) }, oledConfig())
		return d, glass, err
	}})
}

func TestST7789KeepsTheRules(t *testing.T) {
	devicetest.TestDisplay(t, devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
		glass := newSPIGlass()
		d, err := New(func(ctx context.Context) (Drawer, error) {
			return newST7789(ctx, glass, glass.wires(), filled(t, spiConfig()), noWait)
		}, spiConfig())
		return d, glass, err
	}})
}

// golden compares a text with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("what went over the bus is not that of %s:\n%s", path, got)
	}
}

// TestSSD1306OnTheBus records set-up and one whole picture, byte by byte, plays
// them back, and looks at the picture that arrived.
func TestSSD1306OnTheBus(t *testing.T) {
	for _, c := range []struct {
		name          string
		change        func(*Config)
		addr          uint16
		width, height int
	}{
		{"ssd1306-128x64", func(*Config) {}, 0x3C, 128, 64},
		{"ssd1306-turned", func(c *Config) { c.Rotate = 180 }, 0x3C, 128, 64},
		{"ssd1306-128x32-at-3d", func(c *Config) { c.Height, c.Address = 32, 0x3D }, 0x3D, 128, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := oledConfig()
			c.change(&cfg)
			cfg = filled(t, cfg)
			s := screens()["paid"]
			glass := newOLED(c.addr, c.width)
			record := &i2ctest.Record{Bus: glass}
			draw := func(bus recordedI2C) error {
				d, err := newSSD1306(bus, cfg)
				if err != nil {
					return err
				}
				b := d.Bounds()
				return errors.Join(d.Draw(b, Render(s, b.Size(), false, "zh"), image.Point{}), d.Close())
			}
			if err := draw(recordedI2C{record, glass}); err != nil {
				t.Fatal(err)
			}
			if len(record.Ops) != 1+2*c.height/8 || glass.closed != 1 {
				t.Errorf("%d exchanges, closed %d times", len(record.Ops), glass.closed)
			}
			var text strings.Builder
			for _, op := range record.Ops {
				fmt.Fprintf(&text, "%02x < % x\n", op.Addr, op.W)
			}
			golden(t, c.name+".txt", text.String())
			want := Render(s, image.Pt(c.width, c.height), false, "zh")
			if !glass.on || !bytes.Equal(rgba(glass.picture(c.height)).Pix, rgba(want).Pix) {
				t.Error("the picture on the glass is another")
			}

			back := &i2ctest.Playback{Ops: record.Ops, DontPanic: true}
			if err := draw(recordedI2C{&i2ctest.Record{Bus: back}, back}); err != nil {
				t.Errorf("the same is not sent twice: %v", err)
			}
		})
	}
}

// tape records what goes to an ST7789: the library's recorder the bytes, and
// beside it the level of the data line of each write, the other lines and the
// waits.
type tape struct {
	record spitest.Record
	data   bool
	levels []bool   // of the data line, per exchange
	lines  []string // what else happened, ahead of an exchange
	before []int    // the number of exchanges then
}

func (p *tape) note(s string) {
	p.lines = append(p.lines, s)
	p.before = append(p.before, len(p.record.Ops))
}

// sync gives the exchanges since the last call the level that held for them.
func (p *tape) sync() {
	for len(p.levels) < len(p.record.Ops) {
		p.levels = append(p.levels, p.data)
	}
}

func (p *tape) wires() wires {
	line := func(name string) gpio.PinOut {
		return pin{gpio.INVALID, func(l gpio.Level) error {
			p.note(name + " " + strings.ToLower(l.String()))
			return nil
		}}
	}
	return wires{reset: line("reset"), light: line("light"), dc: pin{gpio.INVALID, func(l gpio.Level) error {
		p.sync()
		p.data = bool(l)
		return nil
	}}}
}

func (p *tape) wait(_ context.Context, d time.Duration) error {
	p.note("wait " + d.String())
	return nil
}

// chip is one that took all that was recorded.
func (p *tape) chip() *chip {
	p.sync()
	c := &chip{}
	for i, op := range p.record.Ops {
		c.bytes(p.levels[i], op.W)
	}
	return c
}

// String is the tape for people; pixels are given by number and hash.
func (p *tape) String() string {
	p.sync()
	var b strings.Builder
	var pixels []byte
	end := func() {
		if len(pixels) > 0 {
			fmt.Fprintf(&b, "  %d bytes, sha256 %.8x\n", len(pixels), sha256.Sum256(pixels))
			pixels = nil
		}
	}
	next := 0
	for i := 0; i <= len(p.record.Ops); i++ {
		for ; next < len(p.lines) && p.before[next] == i; next++ {
			end()
			b.WriteString(p.lines[next] + "\n")
		}
		if i == len(p.record.Ops) {
			break
		}
		switch w := p.record.Ops[i].W; {
		case !p.levels[i]:
			end()
			fmt.Fprintf(&b, "command % x\n", w)
		case len(w) > 16 || len(pixels) > 0:
			pixels = append(pixels, w...)
		default:
			fmt.Fprintf(&b, "  % x\n", w)
		}
	}
	end()
	return b.String()
}

func (p *tape) open(t testing.TB, cfg Config) *st7789 {
	t.Helper()
	d, err := newST7789(t.Context(), &p.record, p.wires(), filled(t, cfg), p.wait)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestST7789OnTheBus records set-up, one picture, a refresh and the end, and
// looks at the picture that arrived.
func TestST7789OnTheBus(t *testing.T) {
	p := &tape{}
	d := p.open(t, spiConfig())
	if c := p.chip(); !c.on || !c.awake || c.ram != [ramHeight][ramWidth]uint16{} {
		t.Error("what was in the memory is seen at the start")
	}
	s := screens()["paid"]
	if err := d.Draw(d.Bounds(), Render(s, large, true, "zh"), image.Point{}); err != nil {
		t.Fatal(err)
	}
	if got, want := p.chip().picture(d.rect), quantised(Render(s, large, true, "zh")); !bytes.Equal(got.Pix, want.Pix) {
		t.Error("the picture on the glass is another")
	}
	if err := errors.Join(d.Refresh(), d.Halt(), d.Close()); err != nil {
		t.Fatal(err)
	}
	if c := p.chip(); c.on || c.awake {
		t.Error("it is on after the end")
	}
	golden(t, "st7789.txt", p.String())

	// The same once more against the library's playback.
	back := &tape{}
	back.record.Port = &spitest.Playback{Playback: conntest.Playback{Ops: p.record.Ops, DontPanic: true}}
	d = back.open(t, spiConfig())
	if err := errors.Join(d.Draw(d.Bounds(), Render(s, large, true, "zh"), image.Point{}), d.Refresh(), d.Halt(), d.Close()); err != nil {
		t.Error(err)
	}
}

// TestQRFromTheBus reads the code from the bytes that went over the bus.
func TestQRFromTheBus(t *testing.T) {
	for _, text := range []string{payURL, unionURL} {
		p := &tape{}
		d := p.open(t, spiConfig())
		s := devices.Screen{State: "paying", Amount: "128.50", QR: text, Test: true}
		if err := d.Draw(d.Bounds(), Render(s, large, true, "zh"), image.Point{}); err != nil {
			t.Fatal(err)
		}
		if got, err := decode(p.chip().picture(d.rect)); err != nil || got != text {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

// TestST7789Rotations: for panels of several sizes the picture stands on the
// glass as it was asked for, turned clockwise.
func TestST7789Rotations(t *testing.T) {
	for _, size := range []struct{ w, h, x, y int }{{240, 240, 0, 0}, {240, 240, 0, 80}, {240, 320, 0, 0}, {135, 240, 52, 40}, {170, 320, 35, 0}} {
		for _, turn := range []int{0, 90, 180, 270} {
			cfg := spiConfig()
			cfg.Width, cfg.Height, cfg.OffsetX, cfg.OffsetY, cfg.Rotate = size.w, size.h, size.x, size.y, turn
			p := &tape{}
			d := p.open(t, cfg)
			b := d.Bounds()
			if upright := turn%180 == 0; upright && b.Size() != image.Pt(size.w, size.h) || !upright && b.Size() != image.Pt(size.h, size.w) {
				t.Fatalf("%+v turned %d: %v", size, turn, b)
			}
			want := quantised(Render(screens()["present"], b.Size(), true, "zh"))
			if err := d.Draw(b, want, image.Point{}); err != nil {
				t.Fatal(err)
			}
			got := p.chip().picture(image.Rect(size.x, size.y, size.x+size.w, size.y+size.h))
			for y := range b.Dy() {
				for x := range b.Dx() {
					gx, gy := x, y
					switch turn {
					case 90:
						gx, gy = size.w-1-y, x
					case 180:
						gx, gy = size.w-1-x, size.h-1-y
					case 270:
						gx, gy = y, size.h-1-x
					}
					if got.RGBAAt(gx, gy) != want.RGBAAt(x, y) {
						t.Fatalf("%+v turned %d: %d, %d is wrong", size, turn, x, y)
					}
				}
			}
		}
	}
}

// TestST7789DrawsAPart: a part goes where it should and nowhere else.
func TestST7789DrawsAPart(t *testing.T) {
	p := &tape{}
	d := p.open(t, spiConfig())
	src := image.NewRGBA(image.Rect(0, 0, 50, 50))
	for i := range src.Pix {
		src.Pix[i] = 0xFF
	}
	for _, r := range []image.Rectangle{image.Rect(10, 20, 40, 30), image.Rect(230, 230, 300, 300), image.Rect(500, 0, 510, 10)} {
		if err := d.Draw(r, src, image.Pt(5, 5)); err != nil {
			t.Fatal(err)
		}
	}
	c := p.chip()
	for y := range 240 {
		for x := range 240 {
			white := x >= 10 && x < 40 && y >= 20 && y < 30 || x >= 230 && y >= 230
			if got := c.ram[y][x] == 0xFFFF; got != white {
				t.Fatalf("%d, %d", x, y)
			}
		}
	}
}

func TestST7789Settings(t *testing.T) {
	cfg := spiConfig()
	cfg.BGR, cfg.Plain, cfg.SPIMode, cfg.SpeedHz = true, true, 3, 40_000_000
	glass := newSPIGlass()
	if _, err := newST7789(t.Context(), glass, glass.wires(), filled(t, cfg), noWait); err != nil {
		t.Fatal(err)
	}
	if glass.access != 0x08 || glass.inverted || glass.mode != spi.Mode3 || glass.speed != 40*physic.MegaHertz {
		t.Errorf("access %#x, inverted %v, mode %v, speed %v", glass.access, glass.inverted, glass.mode, glass.speed)
	}
}

// TestFailuresLetGoOfTheBus: whatever fails while a panel is set up, the bus is
// closed, so that the next try can have it.
func TestFailuresLetGoOfTheBus(t *testing.T) {
	broken := errors.New("broken")
	oled := newOLED(0x3D, 128) // not where it is looked for
	if d, err := newSSD1306(oled, filled(t, oledConfig())); err == nil || d != nil || oled.closed != 1 {
		t.Errorf("%v, %v, closed %d times", d, err, oled.closed)
	}
	glass := newSPIGlass()
	glass.breakWith(broken)
	if _, err := newST7789(t.Context(), glass, glass.wires(), filled(t, spiConfig()), noWait); !errors.Is(err, broken) || glass.closed != 1 {
		t.Errorf("%v, closed %d times", err, glass.closed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	glass = newSPIGlass()
	if _, err := newST7789(ctx, glass, glass.wires(), filled(t, spiConfig()), wait); !errors.Is(err, context.Canceled) || glass.closed != 1 {
		t.Errorf("%v, closed %d times", err, glass.closed)
	}
}

// BenchmarkST7789Draw is the conversion of a picture, without the bus.
func BenchmarkST7789Draw(b *testing.B) {
	glass := newSPIGlass()
	d, err := newST7789(b.Context(), &deaf{glass}, wires{dc: pin{gpio.INVALID, func(gpio.Level) error { return nil }}}, filled(b, spiConfig()), noWait)
	if err != nil {
		b.Fatal(err)
	}
	m := Render(screens()["present"], large, true, "zh")
	for b.Loop() {
		if err := d.Draw(d.Bounds(), m, image.Point{}); err != nil {
			b.Fatal(err)
		}
	}
}

// deaf takes bytes and does nothing with them.
type deaf struct{ *spiGlass }

func (d *deaf) Connect(physic.Frequency, spi.Mode, int) (spi.Conn, error) { return d, nil }
func (d *deaf) Tx([]byte, []byte) error                                   { return nil }
