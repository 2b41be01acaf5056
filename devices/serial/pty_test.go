//go:build linux

package serial_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/serial"
)

// master is the device's end of a PTY; closing it is like pulling the cable.
type master struct {
	*os.File
	once sync.Once
}

func (m *master) Unplug() (err error) {
	m.once.Do(func() { err = m.Close() })
	return err
}

// openPTY opens the scanner on a real tty, through a symlink as udev makes it.
func openPTY(dir string, cfg serial.Config) (serial.Scanner, *master, error) {
	m, tty, err := pty.Open()
	if err != nil {
		return serial.Scanner{}, nil, err
	}
	defer func() { _ = tty.Close() }()
	cfg.Path = tty.Name()
	if dir != "" {
		cfg.Path = dir + "/scanner"
		_ = os.Remove(cfg.Path)
		if err := os.Symlink(tty.Name(), cfg.Path); err != nil {
			return serial.Scanner{}, nil, err
		}
	}
	if m, err = pollable(m); err != nil {
		return serial.Scanner{}, nil, err
	}
	s, err := serial.Open(cfg)
	return s, &master{File: m}, err
}

// pollable gives the same file in a form whose Read ends when it is closed.
func pollable(f *os.File) (*os.File, error) {
	fd, err := unix.Dup(int(f.Fd()))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	err = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), f.Name()), err
}

func TestSuiteOnPTY(t *testing.T) {
	dir := t.TempDir()
	devicetest.TestScanner(t, devicetest.ScannerMember{
		Cycles: 10_000,
		Open: func() (devices.Scanner, devicetest.Wire, error) {
			s, m, err := openPTY(dir, serial.Config{Name: devicetest.Name, Settle: -1})
			return s, m, err
		},
	})
}

// TestLineSettings: what was asked for is what the tty has.
func TestLineSettings(t *testing.T) {
	for _, c := range []struct {
		line         string
		baud         int
		flags, speed uint32
	}{
		{"", 0, 0, unix.B9600},
		{"8N1", 115200, 0, unix.B115200},
		{"7E1", 9600, 0, unix.B9600},
		{"7O2", 19200, unix.CSTOPB, unix.B19200},
		{"8E1", 38400, 0, unix.B38400},
	} {
		s, m, err := openPTY("", serial.Config{Line: c.line, Baud: c.baud})
		if err != nil {
			t.Fatal(err)
		}
		got, err := unix.IoctlGetTermios(int(m.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		// A PTY keeps the speed and the stop bits; its driver forces 8 bits
		// without parity, so those are checked only where they survive.
		if speed := got.Cflag & unix.CBAUD; speed != c.speed {
			t.Errorf("%q: speed %#x, not %#x", c.line, speed, c.speed)
		}
		if stop := c.flags & unix.CSTOPB; got.Cflag&unix.CSTOPB != stop {
			t.Errorf("%q: stop bits %#x", c.line, got.Cflag)
		}
		if got.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || got.Iflag&(unix.ICRNL|unix.IXON) != 0 {
			t.Errorf("%q: the tty is not raw", c.line)
		}
		_ = s.Close()
		_ = m.Unplug()
	}
}

// TestOneAgent: a second opening is refused with a reason, and works when the
// first one is closed.
func TestOneAgent(t *testing.T) {
	m, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(); _ = tty.Close() }()
	cfg := serial.Config{Path: tty.Name(), Settle: -1}
	first, err := serial.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := serial.Open(cfg); err == nil {
		_ = second.Close()
		t.Fatal("two scanners on one port")
	} else if !strings.Contains(err.Error(), "another") {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := serial.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
