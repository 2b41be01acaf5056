package pole_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/pole"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// face is a terminal at the other end of a line, and whoever looks at it.
type face struct {
	mu      sync.Mutex
	term    *terminal
	err     error
	stalled bool
	ascii   bool
	changed chan struct{}
}

func newFace(family string) *face {
	return &face{term: newTerminal(family), changed: make(chan struct{})}
}

// tell wakes everybody who waits; mu is held.
func (f *face) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// read takes what comes over the line until it ends.
func (f *face) read(r io.Reader) {
	buf := make([]byte, 7) // Commands come in pieces.
	for {
		f.waitFor(context.Background(), func() bool { return !f.stalled })
		n, err := r.Read(buf)
		f.waitFor(context.Background(), func() bool { return !f.stalled })
		f.mu.Lock()
		if e := f.term.feed(buf[:n]); e != nil && f.err == nil {
			f.err = e
		}
		f.tell()
		f.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// waitFor waits until ok, which is asked under the lock.
func (f *face) waitFor(ctx context.Context, ok func() bool) error {
	f.mu.Lock()
	for !ok() {
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	return f.err
}

func (f *face) stall(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalled = on
	f.tell()
}

func (f *face) Stall()  { f.stall(true) }
func (f *face) Resume() { f.stall(false) }

// lit tells whether the terminal shows s; mu is held.
func (f *face) lit(s devices.Screen) bool {
	if len(f.term.pending) > 0 {
		return false
	}
	upper, lower := f.term.lines()
	upper, lower = strings.TrimSpace(upper), strings.TrimSpace(lower)
	if f.term.family == pole.LED8 {
		lamp := map[string]byte{"waiting": '2', "paid": '3'}[s.State]
		return upper == s.Amount && f.term.lamp == lamp
	}
	title, amount, mark := s.Title, "￥"+s.Amount, "测试"
	if f.ascii {
		title, amount, mark = map[string]string{"waiting": "PLEASE SHOW CODE", "paid": "PAID"}[s.State], "RMB "+s.Amount, "TEST"
	}
	return upper == title && strings.HasSuffix(lower, amount) && strings.HasPrefix(lower, mark) == s.Test
}

func (f *face) Shows(ctx context.Context, s devices.Screen) error {
	return f.waitFor(ctx, func() bool { return f.err != nil || f.lit(s) })
}

// isDark waits until nothing is shown.
func (f *face) isDark(ctx context.Context) error {
	return f.waitFor(ctx, func() bool {
		upper, lower := f.term.lines()
		return f.err != nil || len(f.term.pending) == 0 && strings.TrimSpace(upper+lower) == "" && f.term.lamp == '0'
	})
}

// watched closes the line's other end with the display and then asks whether
// the terminal was content to the end.
type watched struct {
	pole.Display
	t    *testing.T
	f    *face
	once sync.Once
	end  func()
}

func (w *watched) Close() error {
	err := w.Display.Close()
	w.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if !w.stuck() {
			if err := w.f.isDark(ctx); err != nil {
				w.t.Errorf("after Close it is not dark: %v", err)
			}
		}
		w.end()
	})
	return err
}

func (w *watched) stuck() bool {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	return w.f.stalled
}

func configs() []pole.Config {
	var list []pole.Config
	for _, family := range families() {
		list = append(list, pole.Config{Name: devicetest.Name, Family: family})
	}
	return append(list, pole.Config{Name: devicetest.Name, Family: pole.CD5220, Charset: pole.CharsetASCII, Columns: 20},
		pole.Config{Name: devicetest.Name, Family: pole.DMD, Shared: true, Brightness: 2})
}

func name(cfg pole.Config) string {
	return fmt.Sprintf("%s %s shared %v", cfg.Family, cfg.Charset, cfg.Shared)
}

// TestSuite runs on a line without any buffer, which blocks at once.
func TestSuite(t *testing.T) {
	for _, cfg := range configs() {
		t.Run(name(cfg), func(t *testing.T) {
			devicetest.TestDisplay(t, devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
				r, w := io.Pipe()
				f := newFace(cfg.Family)
				f.ascii = cfg.Charset == pole.CharsetASCII
				done := make(chan struct{})
				go func() {
					defer close(done)
					f.read(r)
				}()
				d, err := pole.New(w, cfg)
				return &watched{Display: d, t: t, f: f, end: func() {
					_ = w.Close()
					<-done
				}}, f, err
			}})
		})
	}
}

// TestClears: what was shown goes with the idle screen, and with Close.
func TestClears(t *testing.T) {
	for _, cfg := range configs() {
		r, w := io.Pipe()
		f := newFace(cfg.Family)
		f.ascii = cfg.Charset == pole.CharsetASCII
		go f.read(r)
		d, err := pole.New(w, cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := devices.Screen{State: "paid", Title: "支付成功", Amount: "12.30"}
		for _, idle := range []func() error{
			func() error {
				return d.Show(t.Context(), devices.Screen{State: "idle", Line: "张*丰", Amount: "12.30"})
			},
			d.Close,
		} {
			if err := d.Show(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if err := f.Shows(t.Context(), s); err != nil {
				t.Fatal(name(cfg), err)
			}
			if err := idle(); err != nil {
				t.Fatal(err)
			}
			if err := f.isDark(t.Context()); err != nil {
				t.Fatal(name(cfg), err)
			}
		}
	}
}

// block is a port that takes nothing until it is closed.
type block struct {
	once   sync.Once
	closed chan struct{}
}

func (b *block) Write([]byte) (int, error) {
	<-b.closed
	return 0, io.ErrClosedPipe
}

func (b *block) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// TestStuckClose: Show takes no time on a display that takes nothing, and Close
// takes a second.
func TestStuckClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := pole.New(&block{closed: make(chan struct{})}, pole.Config{Name: "pole 3", Family: pole.CD5220})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 100 {
			if err := d.Show(t.Context(), devices.Screen{State: "waiting", Title: "请付款"}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Show took %v", took)
		}
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "cannot close pole 3") {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// TestGone: a port that fails is told at the next Show, and not used again.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		d, err := pole.New(w, pole.Config{Name: "pole 3", Family: pole.AEDEX})
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		synctest.Wait()
		for range 3 {
			if err := d.Show(t.Context(), devices.Screen{}); !errors.Is(err, devices.ErrGone) || !strings.Contains(err.Error(), "cannot show on pole 3") {
				t.Error(err)
			}
			synctest.Wait()
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestAmountRefused: that an amount is not shown is told.
func TestAmountRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() { _, _ = io.Copy(io.Discard, r) }()
		d, err := pole.New(w, pole.Config{Name: "pole 3", Family: pole.LED8})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			amount string
			before bool // the screen before was refused
		}{{"1000000.00", false}, {"1.00", true}, {"2.00", false}} {
			err := d.Show(t.Context(), devices.Screen{State: "waiting", Amount: c.amount})
			if (err != nil) != c.before || err != nil && !strings.Contains(err.Error(), "blank rather than cut") {
				t.Errorf("%s: %v", c.amount, err)
			}
			synctest.Wait()
		}
		_ = d.Close()
	})
}

// TestRefresh: a display that lost its power unseen shows the screen again.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		f := newFace(pole.CD5220)
		go f.read(r)
		d, err := pole.New(w, pole.Config{Name: "pole 3", Family: pole.CD5220, Refresh: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s := devices.Screen{State: "waiting", Title: "请付款", Amount: "1.00"}
		if err := d.Show(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.mu.Lock()
		f.term.clear()
		f.term.resets = 0
		f.mu.Unlock()
		began := time.Now()
		if err := f.Shows(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if f.term.resets != 1 || time.Since(began) > time.Minute {
			t.Errorf("%d starts after %v", f.term.resets, time.Since(began))
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenRefused(t *testing.T) {
	if _, err := pole.Open(pole.Config{Name: "pole 3", Family: pole.LED8}); err == nil || !strings.Contains(err.Error(), "path is missing") {
		t.Error(err)
	}
	b := &block{closed: make(chan struct{})}
	if _, err := pole.New(b, pole.Config{Name: "pole 3"}); err == nil {
		t.Error("no family is needed")
	}
	<-b.closed // New owns the port, also when it fails.
}
