//go:build linux

package pole_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/pole"
)

// plug makes a PTY with a terminal at its far end. The tty is given too; pull
// closes both ends, as unplugging does.
func plug(cfg pole.Config) (f *face, tty *os.File, pull func(), err error) {
	blocking, tty, err := pty.Open()
	if err != nil {
		return nil, nil, nil, err
	}
	// The library leaves a handle whose reads do not end when it is closed.
	fd, err := unix.Dup(int(blocking.Fd()))
	if err := errors.Join(err, blocking.Close(), unix.SetNonblock(fd, true)); err != nil {
		return nil, nil, nil, err
	}
	m := os.NewFile(uintptr(fd), "master")
	f = newFace(cfg.Family)
	f.ascii = cfg.Charset == pole.CharsetASCII
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.read(m)
	}()
	return f, tty, func() {
		f.Resume()
		_ = tty.Close()
		_ = m.Close()
		<-done
	}, nil
}

func TestSuiteOnPTY(t *testing.T) {
	for _, cfg := range configs() {
		t.Run(name(cfg), func(t *testing.T) {
			devicetest.TestDisplay(t, devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
				f, tty, pull, err := plug(cfg)
				if err != nil {
					return nil, nil, err
				}
				cfg.Path = tty.Name()
				d, err := pole.Open(cfg)
				return &watched{Display: d, t: t, f: f, end: pull}, f, err
			}})
		})
	}
}

// TestFullPTY: a line whose buffer is full holds up nobody, and shows the
// latest screen when it flows again.
func TestFullPTY(t *testing.T) {
	cfg := pole.Config{Name: "pole 3", Family: pole.UTC, Baud: 2400, Line: "8N2"}
	f, tty, pull, err := plug(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pull()
	cfg.Path = tty.Name()
	d, err := pole.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	first := devices.Screen{State: "waiting", Title: "请付款", Amount: "1.00"}
	if err := errors.Join(d.Show(t.Context(), first), f.Shows(t.Context(), first)); err != nil {
		t.Fatal(err)
	}
	if got := d.Place(); got.Node != cfg.Path || got.Class != devices.ClassSerial {
		t.Errorf("%+v", got)
	}
	fd := int(tty.Fd()) // Fd makes the handle block; SetNonblock below undoes that.
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if mode.Cflag&unix.CBAUD != unix.B2400 || mode.Cflag&unix.CSTOPB == 0 || mode.Lflag&(unix.ICANON|unix.ECHO) != 0 || mode.Oflag&unix.OPOST != 0 {
		t.Errorf("the line settings are %+v", mode)
	}
	f.Stall()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for full := 0; full < 2; { // The kernel makes room once behind our back.
		if _, err := unix.Write(fd, []byte(strings.Repeat(" ", 40))); errors.Is(err, unix.EAGAIN) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	last := devices.Screen{State: "paid", Title: "支付成功", Amount: "3.00"}
	for _, s := range []devices.Screen{{State: "idle"}, first, last} {
		if err := d.Show(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	f.Resume()
	if err := f.Shows(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := f.isDark(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReplugOnPTY: a display that comes back, as another node under the same
// name, shows what is to be shown now, though nothing changed since.
func TestReplugOnPTY(t *testing.T) {
	cfg := pole.Config{Name: "pole 3", Family: pole.CD5220, Path: t.TempDir() + "/pole"}
	d, err := pole.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := devices.Screen{State: "waiting", Title: "请付款", Amount: "1.00"}
	// Whether the opening has failed by now or not: the screen is taken.
	if err := d.Show(t.Context(), s); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for range 5 {
		f, tty, pull, err := plug(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(tty.Name(), cfg.Path); err != nil {
			t.Fatal(err)
		}
		if err := f.Shows(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(cfg.Path); err != nil {
			t.Fatal(err)
		}
		pull()
	}
	if err := d.Close(); err != nil && !errors.Is(err, devices.ErrGone) {
		t.Error(err)
	}
}

// TestOneAgent: a second agent is told why it has no display, and has it when
// the first one is closed.
func TestOneAgent(t *testing.T) {
	cfg := pole.Config{Name: "pole 3", Family: pole.AEDEX}
	f, tty, pull, err := plug(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pull()
	cfg.Path = tty.Name()
	s := devices.Screen{State: "waiting", Title: "请付款", Amount: "1.00"}
	var open []pole.Display
	for range 2 {
		d, err := pole.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		open = append(open, d)
		if len(open) == 1 {
			if err := errors.Join(d.Show(t.Context(), s), f.Shows(t.Context(), s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := open[1].Show(t.Context(), devices.Screen{State: "paid", Title: "支付成功", Amount: "1.00"})
		if err != nil {
			if !strings.Contains(err.Error(), "another") {
				t.Error(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("two agents on one display")
		}
	}
	if err := open[0].Close(); err != nil {
		t.Error(err)
	}
	if err := f.Shows(t.Context(), devices.Screen{State: "paid", Title: "支付成功", Amount: "1.00"}); err != nil {
		t.Error(err)
	}
}
