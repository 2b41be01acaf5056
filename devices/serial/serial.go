// Package serial reads scanners on serial lines: RS-232, USB CDC-ACM and
// USB-serial adapters, by go.bug.st/serial. Many of them ignore the line
// settings; that does no harm.
package serial

import (
	"errors"
	"fmt"
	"io"
	"time"

	"go.bug.st/serial"

	"payagent/devices"
	"payagent/devices/internal/framing"
	"payagent/devices/internal/reading"
)

// Framing says how the scanner marks its codes; see the fields for the
// defaults.
type Framing = framing.Config

// Stats counts bytes, codes and what was dropped; it never holds text.
type Stats = reading.Stats

// Config describes one scanner.
type Config struct {
	Name string // the device's name in the configuration
	// Path names the port. Give a stable name: /dev/serial/by-id/…,
	// /dev/serial/by-path/… or a udev symlink; /dev/ttyACM0 may be another
	// device after a re-plug. On Windows COM3 and the like.
	Path string
	Baud int    // default 9600
	Line string // data bits, parity, stop bits: "8N1" (default), "7E1", "8O2" …
	// DTR and RTS are set at opening where they are "on" or "off". Empty
	// leaves them as the operating system does, which suits most scanners.
	DTR, RTS string
	// Settle is how long after opening codes are dropped; 0 means 300 ms,
	// negative means none.
	Settle time.Duration
	// DoubleRead is the time within which the same text counts once; 0 means
	// 3 s, negative means never.
	DoubleRead time.Duration
	Framing    Framing
}

// Scanner is an open scanner.
type Scanner struct{ *reading.Reader }

var _ devices.Scanner = Scanner{}

// readTimeout is the longest wait in one read, so that Close takes no longer.
const readTimeout = 100 * time.Millisecond

// Open opens the port, for this process alone, and starts reading.
func Open(cfg Config) (Scanner, error) {
	mode, err := cfg.mode()
	if err != nil {
		return Scanner{}, err
	}
	if _, err := cfg.Framing.Check(); err != nil {
		return Scanner{}, fmt.Errorf("cannot use scanner %s: %w", cfg.Name, err)
	}
	// The lock comes first: the port itself forbids further openings.
	lock, err := lockNode(cfg.Path)
	if err != nil {
		return Scanner{}, err
	}
	port, err := serial.Open(cfg.Path, mode)
	if err != nil {
		_ = lock.Close()
		return Scanner{}, openError(cfg.Path, err)
	}
	if err := port.SetReadTimeout(readTimeout); err != nil {
		return Scanner{}, errors.Join(fmt.Errorf("cannot set the read time-out of %s: %w", cfg.Path, err), port.Close(), lock.Close())
	}
	return New(&held{port, lock}, cfg)
}

// New reads from a port that is open already. A Read that returns (0, nil)
// means that its time-out passed; the time-out should be 100 ms. New owns the
// port, also when it fails.
func New(port io.ReadCloser, cfg Config) (Scanner, error) {
	settle := cfg.Settle
	if settle == 0 {
		settle = 300 * time.Millisecond
	}
	r, err := reading.Start(port, reading.Config{
		Name: cfg.Name, Framing: cfg.Framing, Window: cfg.DoubleRead, Settle: max(settle, 0),
	})
	if err != nil {
		return Scanner{}, err
	}
	return Scanner{r}, nil
}

// held is a port with the lock on its node. Both go together: a handle that
// stays open makes the next plug another node.
type held struct {
	serial.Port
	lock io.Closer
}

func (h *held) Close() error { return errors.Join(h.Port.Close(), h.lock.Close()) }

func openError(path string, err error) error {
	var p *serial.PortError
	if errors.As(err, &p) {
		switch p.Code() {
		case serial.PortBusy:
			return fmt.Errorf("cannot open %s: another program has it; stop that one (ModemManager, a second agent): %w", path, err)
		case serial.PermissionDenied:
			return fmt.Errorf("cannot open %s: permission denied; add the agent's user to the port's group (dialout): %w", path, err)
		case serial.InvalidSerialPort:
			return fmt.Errorf("cannot open %s: it is no serial port; check the path: %w", path, err)
		}
	}
	return fmt.Errorf("cannot open %s; check the cable and the path: %w", path, err)
}

// mode turns the line settings into the library's.
func (c Config) mode() (*serial.Mode, error) {
	if c.Path == "" {
		return nil, fmt.Errorf("cannot open scanner %s: its path is missing", c.Name)
	}
	m := &serial.Mode{BaudRate: c.Baud}
	if c.Baud == 0 {
		m.BaudRate = 9600
	}
	if m.BaudRate < 300 || m.BaudRate > 4_000_000 {
		return nil, fmt.Errorf("cannot use %d baud; write 9600 or what the scanner's manual says", c.Baud)
	}
	line := c.Line
	if line == "" {
		line = "8N1"
	}
	bad := fmt.Errorf("cannot use the line setting %q; write data bits 5-8, parity N, E, O, M or S, stop bits 1 or 2, like 8N1", c.Line)
	if len(line) != 3 || line[0] < '5' || line[0] > '8' {
		return nil, bad
	}
	m.DataBits = int(line[0] - '0')
	switch line[1] {
	case 'N':
		m.Parity = serial.NoParity
	case 'E':
		m.Parity = serial.EvenParity
	case 'O':
		m.Parity = serial.OddParity
	case 'M':
		m.Parity = serial.MarkParity
	case 'S':
		m.Parity = serial.SpaceParity
	default:
		return nil, bad
	}
	switch line[2] {
	case '1':
		m.StopBits = serial.OneStopBit
	case '2':
		m.StopBits = serial.TwoStopBits
	default:
		return nil, bad
	}
	if c.DTR == "" && c.RTS == "" {
		return m, nil
	}
	// The library sets both or none; the one that is not named stays on, as
	// operating systems leave it after opening.
	bits := &serial.ModemOutputBits{DTR: true, RTS: true}
	for _, s := range []struct {
		name, value string
		bit         *bool
	}{{"dtr", c.DTR, &bits.DTR}, {"rts", c.RTS, &bits.RTS}} {
		switch s.value {
		case "", "on":
		case "off":
			*s.bit = false
		default:
			return nil, fmt.Errorf("cannot use %s %q; write on, off or nothing", s.name, s.value)
		}
	}
	m.InitialStatusBits = bits
	return m, nil
}
