package panel

import (
	"context"
	"errors"
	"image"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
)

func TestCheck(t *testing.T) {
	good := []Config{
		oledConfig(), spiConfig(),
		{Kind: KindSSD1306, Height: 32, Rotate: 180, Language: "en"},
		{Kind: KindST7789, DC: "25", Width: 135, OffsetX: 52, OffsetY: 40, Rotate: 270, SPIMode: 3},
	}
	for _, c := range good {
		if err := c.Check(); err != nil {
			t.Error(err)
		}
	}
	bad := map[string]func(*Config){
		"kind":         func(c *Config) { c.Kind = "lcd" },
		"dc is":        func(c *Config) { c.DC = "" },
		"rotate":       func(c *Config) { c.Rotate = 45 },
		"rotate 90":    func(c *Config) { *c = oledConfig(); c.Rotate = 90 },
		"multiples":    func(c *Config) { *c = oledConfig(); c.Height = 60 },
		"address":      func(c *Config) { *c = oledConfig(); c.Address = 0x80 },
		"SPI mode":     func(c *Config) { c.SPIMode = 1 },
		"Hz":           func(c *Config) { c.SpeedHz = -5 },
		"lie outside":  func(c *Config) { c.OffsetX = 1 },
		"16×16 pixels": func(c *Config) { c.Width, c.Height = 16, 16 },
		"136×64":       func(c *Config) { *c = oledConfig(); c.Width = 136 },
		"language":     func(c *Config) { c.Language = "fr" },
	}
	for want, change := range bad {
		c := spiConfig()
		change(&c)
		err := c.Check()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot use panel window") {
			t.Errorf("%s: %v", want, err)
		}
		if _, err := Open(c); err == nil {
			t.Errorf("%s: it opens", want)
		}
		if _, err := New(Ready(&sheet{}), c); err == nil {
			t.Errorf("%s: it begins", want)
		}
	}
}

// sheet is a drawer that notes what is done with it.
type sheet struct {
	mu                              sync.Mutex
	draws, refreshes, halts, closes int
	last                            image.Image
	fail                            error
	panics                          bool
}

func (s *sheet) Bounds() image.Rectangle { return image.Rectangle{Max: small} }

func (s *sheet) Draw(_ image.Rectangle, m image.Image, _ image.Point) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics {
		panic("a driver's mistake: ￥128.50")
	}
	s.draws++
	if s.fail == nil {
		s.last = m
	}
	return s.fail
}
func (s *sheet) Halt() error    { s.halts++; return nil }
func (s *sheet) Close() error   { s.closes++; return nil }
func (s *sheet) Refresh() error { s.refreshes++; return nil }

// set changes a sheet that is in use.
func (s *sheet) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *sheet) shows(want devices.Screen) bool {
	return s.last != nil && string(rgba(s.last).Pix) == string(rgba(Render(want, small, false, "zh")).Pix)
}

var (
	waitingScreen = devices.Screen{State: "waiting", Amount: "128.50"}
	paidScreen    = devices.Screen{State: "paid", Amount: "128.50"}
)

// TestRepaintsAfterAnError: the device is given up, opened again after a pause
// that grows, and shows the latest screen; Show says what is wrong meanwhile.
func TestRepaintsAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("remote I/O error")
		var sheets []*sheet
		var mu sync.Mutex
		var opened []time.Duration
		var away atomic.Bool
		begin := time.Now()
		p, err := New(func(context.Context) (Drawer, error) {
			mu.Lock()
			defer mu.Unlock()
			opened = append(opened, time.Since(begin))
			if away.Load() {
				return nil, broken
			}
			s := &sheet{}
			sheets = append(sheets, s)
			return s, nil
		}, oledConfig())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Show(t.Context(), waitingScreen); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !sheets[0].shows(waitingScreen) {
			t.Fatal("the first screen is not seen")
		}
		away.Store(true)
		sheets[0].set(func() { sheets[0].fail = broken })
		_ = p.Show(t.Context(), paidScreen)
		synctest.Wait()
		err = p.Show(t.Context(), paidScreen)
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "cannot show on panel window 3") || !strings.Contains(err.Error(), "I2C1") {
			t.Errorf("what is said: %v", err)
		}
		if sheets[0].closes != 1 {
			t.Error("the broken device was not let go of")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		pauses := []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 3200 * time.Millisecond, 5 * time.Second, 5 * time.Second}
		for i, want := range pauses {
			if got := opened[i+1] - opened[i]; got != want {
				t.Errorf("pause %d is %v, not %v", i, got, want)
			}
		}
		mu.Unlock()
		away.Store(false)
		time.Sleep(mostPause)
		synctest.Wait()
		if len(sheets) != 2 || !sheets[1].shows(paidScreen) {
			t.Fatal("the latest screen is not painted on the device that came back")
		}
		if err := p.Show(t.Context(), paidScreen); err != nil {
			t.Errorf("all is well again, yet: %v", err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		// Nothing of the patient stays on the glass.
		if u, ok := sheets[1].last.(*image.Uniform); !ok || u.C != image.Black.C || sheets[1].halts != 1 || sheets[1].closes != 1 {
			t.Errorf("after Close: %T, %d halts, %d closes", sheets[1].last, sheets[1].halts, sheets[1].closes)
		}
	})
}

// TestRefresh: a panel that was without power is set up and painted again.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sheet{}
		cfg := oledConfig()
		cfg.Refresh = 10 * time.Second
		p, err := New(Ready(s), cfg)
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Show(t.Context(), paidScreen)
		synctest.Wait()
		s.set(func() { s.last = nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s.refreshes != 1 || s.draws != 2 || !s.shows(paidScreen) {
			t.Errorf("%d refreshes, %d pictures", s.refreshes, s.draws)
		}
		_ = p.Close()

		never := &sheet{}
		cfg.Refresh = -1
		if p, err = New(Ready(never), cfg); err != nil {
			t.Fatal(err)
		}
		_ = p.Show(t.Context(), paidScreen)
		time.Sleep(time.Hour)
		synctest.Wait()
		if never.refreshes != 0 || never.draws != 1 {
			t.Errorf("%d refreshes, %d pictures", never.refreshes, never.draws)
		}
		_ = p.Close()
	})
}

// TestPanicOfADriver costs the display, not the process, and tells nothing of
// what was shown.
func TestPanicOfADriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sheet{panics: true}
		p, err := New(Ready(s), oledConfig())
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Show(t.Context(), paidScreen)
		synctest.Wait()
		if err := p.Show(t.Context(), paidScreen); err == nil || !strings.Contains(err.Error(), "panicked") || strings.Contains(err.Error(), "128") {
			t.Errorf("what is said: %v", err)
		}
		s.set(func() { s.panics = false })
		time.Sleep(mostPause)
		synctest.Wait()
		if !s.shows(paidScreen) {
			t.Error("it does not come back")
		}
		_ = p.Close()
	})
}

// TestCloseOfAStuckBus takes no longer than promised, and the goroutine ends
// when the bus lets go.
func TestCloseOfAStuckBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p, err := New(func(context.Context) (Drawer, error) {
			<-release
			return &sheet{}, nil
		}, oledConfig())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begin := time.Now()
		if err := p.Close(); err == nil || time.Since(begin) != closeLimit {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		close(release)
	})
}

// TestOpenWithoutHardware: an absent bus is no reason to fail, is said in words
// that help, and ends with Close.
func TestOpenWithoutHardware(t *testing.T) {
	oled := oledConfig()
	oled.Bus = "/dev/i2c-none"
	line := spiConfig()
	line.DC = "NO-SUCH-LINE"
	for cfg, want := range map[Config]string{oled: "I²C", line: "NO-SUCH-LINE"} {
		d, err := opener(filled(t, cfg))(t.Context())
		if err == nil || d != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v", d, err)
		}
		p, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if p.Show(t.Context(), paidScreen) == nil {
			t.Error("it shows after Close")
		}
	}
}
