// Package serial reads scanners on serial lines: RS-232, USB CDC-ACM and
// USB-serial adapters, by go.bug.st/serial. Many of them ignore the line
// settings; that does no harm.
package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"go.bug.st/serial"

	"payagent/devices"
	"payagent/devices/internal/answers"
	"payagent/devices/internal/framing"
	"payagent/devices/internal/reading"
	"payagent/devices/internal/ssi"
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
	// Match finds the port by its USB place, ids or serial number instead,
	// anew at every Open. Give Path or Match.
	Match devices.Match
	Baud  int    // default 9600
	Line  string // data bits, parity, stop bits: "8N1" (default), "7E1", "8O2" …
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

	// Protocol is what the scanner speaks beside plain text: empty, "ssi"
	// (Zebra's packets; Framing then gives lengths and charset only) or
	// "newland" (text with answers to commands in it).
	Protocol string
	// Start is sent after opening, in order. Nothing waits for answers.
	Start [][]byte
	// Actions are the commands that may be sent later, by name.
	Actions map[string][]byte
	// Pause is the least time between two commands; 0 means 50 ms, negative
	// means none.
	Pause time.Duration
	Alive Alive

	// List replaces List in tests.
	List func() ([]devices.Found, error)
}

// Scanner is an open scanner. Without actions and the like it only reads.
type Scanner struct {
	*reading.Reader
	name    string
	talker  *talker // nil if nothing is ever sent
	actions map[string][]byte
}

var (
	_ devices.Scanner  = Scanner{}
	_ devices.Counting = Scanner{}
	_ devices.Placed   = Scanner{}
	_ devices.Acting   = Scanner{}
)

// readTimeout is the longest wait in one read, so that Close takes no longer.
const readTimeout = 100 * time.Millisecond

// Open opens the port, for this process alone, and starts reading.
func Open(cfg Config) (Scanner, error) {
	mode, err := cfg.mode()
	if err != nil {
		return Scanner{}, err
	}
	// Nothing is opened that cannot be used.
	if _, _, err := cfg.decoder(); err != nil {
		return Scanner{}, err
	}
	place, err := cfg.find()
	if err != nil {
		return Scanner{}, err
	}
	path := place.Node
	// The lock comes first: the port itself forbids further openings.
	lock, err := lockNode(path)
	if err != nil {
		return Scanner{}, err
	}
	port, err := serial.Open(path, mode)
	if err != nil {
		_ = lock.Close()
		return Scanner{}, openError(path, err)
	}
	if err := port.SetReadTimeout(readTimeout); err != nil {
		return Scanner{}, errors.Join(fmt.Errorf("cannot set the read time-out of %s: %w", path, err), port.Close(), lock.Close())
	}
	lock.keepLines()
	return start(&held{port, lock}, place, cfg)
}

// find gives the port to open, and the device behind it where that is known.
func (c Config) find() (devices.Found, error) {
	ports := c.List
	if ports == nil {
		ports = List
	}
	all, err := ports()
	if c.Path == "" {
		if err != nil {
			return devices.Found{}, err
		}
		return c.Match.Pick(all)
	}
	for _, f := range all {
		if same(f.Node, c.Path) {
			f.Node = c.Path
			return f, nil
		}
	}
	// A port that is not listed may work all the same.
	return devices.Found{Driver: "serial", Class: devices.ClassSerial, Node: c.Path}, nil
}

// New reads from a port that is open already. A Read that returns (0, nil)
// means that its time-out passed; the time-out should be 100 ms. The port must
// be an io.Writer where something is to be sent. New owns the port, also when
// it fails.
func New(port io.ReadCloser, cfg Config) (Scanner, error) {
	return start(port, devices.Found{Node: cfg.Path}, cfg)
}

func start(port io.ReadCloser, place devices.Found, cfg Config) (Scanner, error) {
	d, h, err := cfg.decoder()
	if err != nil {
		return Scanner{}, errors.Join(err, port.Close())
	}
	s := Scanner{name: cfg.Name, actions: cfg.Actions}
	handle := port
	if cfg.sends() {
		out, ok := port.(io.Writer)
		if !ok {
			return Scanner{}, errors.Join(fmt.Errorf("cannot use scanner %s: its port cannot send", cfg.Name), port.Close())
		}
		s.talker = &talker{ReadCloser: port, out: out, hearer: h, pause: max(orDefault(cfg.Pause, 50*time.Millisecond), 0),
			alive: cfg.Alive, patience: readTimeout}
		s.talker.replier, _ = d.(replier)
		s.talker.alive.Every = orDefault(cfg.Alive.Every, 20*time.Second)
		s.talker.alive.Within = orDefault(cfg.Alive.Within, 5*time.Second)
		for _, p := range cfg.Start {
			s.talker.jobs = append(s.talker.jobs, job{context.Background(), p, make(chan error, 1)})
		}
		handle = s.talker
	}
	s.Reader, err = reading.Start(handle, reading.Config{
		Name: cfg.Name, Decoder: d, Place: place, Window: cfg.DoubleRead, Settle: max(orDefault(cfg.Settle, 300*time.Millisecond), 0),
	})
	return s, err
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// sends tells whether anything is ever sent to the scanner.
func (c Config) sends() bool {
	return c.Protocol == "ssi" || len(c.Start)+len(c.Actions)+len(c.Alive.Ask) > 0
}

// decoder makes what reads the protocol, or says what cannot be.
func (c Config) decoder() (reading.Decoder, hearer, error) {
	fail := func(err error) (reading.Decoder, hearer, error) {
		return nil, nil, fmt.Errorf("cannot use scanner %s: %w", c.Name, err)
	}
	a := c.Alive
	switch {
	case len(a.Ask) > 0 && len(a.Answer) == 0:
		return fail(errors.New("its question for signs of life has no answer; give how the answer begins"))
	case a.Every != 0 && a.Every < time.Second, a.Within != 0 && a.Within < readTimeout:
		return fail(errors.New("it would be asked too often for signs of life; write every 1s or more, within 100ms or more"))
	}
	for _, p := range append(slices.Collect(maps.Values(c.Actions)), c.Start...) {
		if len(p) == 0 || len(p) > 1024 {
			return fail(errors.New("one of its commands is empty or longer than 1024 bytes; correct start and actions"))
		}
	}
	switch c.Protocol {
	case "ssi":
		d, err := ssi.New(c.Framing, a.Answer)
		if err != nil {
			return fail(err)
		}
		return d, d, nil
	case "", "newland":
		f, err := framing.New(c.Framing)
		if err != nil {
			return fail(err)
		}
		if c.Protocol == "" && len(a.Ask) == 0 {
			return f, nil, nil
		}
		d := answers.New(answers.Config{Newland: c.Protocol == "newland", Prefix: a.Answer}, f)
		return d, d, nil
	}
	return fail(fmt.Errorf("there is no protocol %q; write ssi, newland or nothing", c.Protocol))
}

// held is a port with the lock on its node. Both go together: a handle that
// stays open makes the next plug another node.
type held struct {
	serial.Port
	lock node
}

// Write sends without waiting for a device that takes nothing.
func (h *held) Write(p []byte) (int, error) { return h.lock.writer(h.Port).Write(p) }

func (h *held) Close() error {
	h.lock.flush()
	return errors.Join(h.Port.Close(), h.lock.Close())
}

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
	if (c.Path == "") == c.Match.Empty() {
		return nil, fmt.Errorf("cannot open scanner %s: give either the path of its port, or its USB place, ids or serial number", c.Name)
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
