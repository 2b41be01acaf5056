package pole

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"go.bug.st/serial"

	"payagent/devices"
)

// Config describes one display.
type Config struct {
	_    [0]func() // never compared: no code is made for it
	Name string    // the display's name in the configuration
	// Path names the port: /dev/serial/by-path/…, /dev/ttyS0, COM3. Without
	// it, Match picks a USB port among those that are there.
	Path  string
	Match devices.Match
	// Family is one of the families above. It is never found out by trying.
	Family string
	// Baud is 9600 by default; many LED8 displays have 2400.
	Baud int
	Line string // data bits, parity, stop bits: "8N1" (default), "7E1" …
	// Columns of one of the two lines: 16 to 20, default 20; UTC and AEDEX
	// have 20. An LED8 has one line of 8 digits.
	Columns int
	// Rows is 2, and 1 for an LED8; 0 means that.
	Rows int
	// Charset is CharsetGBK, the default, or CharsetASCII.
	Charset string
	// Init is sent after opening instead of the family's own start, in hex:
	// "1B 40 1B 3D 01 1F 03 1F 43 00". Only start-up commands of the family
	// are taken. "none" sends nothing.
	Init string
	// Brightness is 1 to 4, for CD5220 and DM-D; 0 leaves it as it is.
	Brightness int
	// Shared says that a DM-D display is on a printer's line: the printer is
	// given the line back after every screen.
	Shared bool
	// Refresh sends the start and the whole screen again each time that it
	// passes, for a display on RS-232 that may lose its power unseen. 0 never
	// does; otherwise at least 1 s. The screen flickers for a moment.
	Refresh time.Duration
}

// Check fills in the defaults and says what cannot be.
func (c Config) Check() (Config, error) {
	fail := func(format string, args ...any) (Config, error) {
		return Config{}, fmt.Errorf("cannot use display %s: %s", c.Name, fmt.Sprintf(format, args...))
	}
	rows, columns, least, most := 2, 20, 16, 20
	switch c.Family {
	case LED8:
		rows, columns, least, most = 1, 8, 8, 8
	case CD5220, DMD:
	case UTC, UTCEnhanced, AEDEX:
		least = 20 // Their lines are of fixed length.
	case "":
		return fail("its family is missing; write %s as its manual says", families)
	default:
		return fail("there is no family %q; write %s as its manual says", c.Family, families)
	}
	if c.Columns == 0 {
		c.Columns = columns
	}
	if c.Rows == 0 {
		c.Rows = rows
	}
	if c.Columns < least || c.Columns > most {
		return fail("%d columns do not fit the family %s; write %d to %d, or leave it out", c.Columns, c.Family, least, most)
	}
	if c.Rows != rows {
		return fail("the family %s has %d lines, not %d; leave rows out", c.Family, rows, c.Rows)
	}
	switch c.Charset {
	case "":
		c.Charset = CharsetGBK
	case CharsetGBK, CharsetASCII:
	default:
		return fail("there is no character set %q; write gbk, or ascii for a display without Chinese characters", c.Charset)
	}
	if c.Brightness != 0 && (c.Family != CD5220 && c.Family != DMD || c.Brightness < 1 || c.Brightness > 4) {
		return fail("brightness %d; write 1 to 4 with the family cd5220 or dm-d, or leave it out", c.Brightness)
	}
	if c.Brightness != 0 && c.Init != "" {
		return fail("it has brightness and init; put the brightness into init")
	}
	if c.Shared && c.Family != DMD {
		return fail("only a dm-d display can share a printer's line; leave shared out")
	}
	if c.Refresh != 0 && c.Refresh < time.Second {
		return fail("refresh %v; write 1s or more, or leave it out", c.Refresh)
	}
	if _, err := c.init(); err != nil {
		return Config{}, err
	}
	_, err := c.mode()
	return c, err
}

const families = LED8 + ", " + CD5220 + ", " + DMD + ", " + UTC + ", " + UTCEnhanced + " or " + AEDEX

// Encoder gives the pure part of a display.
func (c Config) Encoder() (Encoder, error) {
	c, err := c.Check()
	if err != nil {
		return Encoder{}, err
	}
	first, err := c.init()
	return Encoder{c, first}, err
}

// init is what is sent after opening.
func (c Config) init() (string, error) {
	switch c.Init {
	case "":
		return start(c), nil
	case "none":
		return "", nil
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(c.Init), ""))
	if err != nil {
		return "", fmt.Errorf("cannot use init of display %s: %w; write bytes in hex, like 1B 40", c.Name, err)
	}
	if err := permitted(c.Family, string(b)); err != nil {
		return "", fmt.Errorf("cannot use init of display %s: %w; another family's command can spoil a display", c.Name, err)
	}
	return string(b), nil
}

// mode turns the line settings into the library's.
func (c Config) mode() (*serial.Mode, error) {
	m := &serial.Mode{BaudRate: c.Baud}
	if c.Baud == 0 {
		m.BaudRate = 9600
	}
	if m.BaudRate < 300 || m.BaudRate > 115200 {
		return nil, fmt.Errorf("cannot use %d baud for display %s; write 9600, 2400 or what its manual says", c.Baud, c.Name)
	}
	line := c.Line
	if line == "" {
		line = "8N1"
	}
	parity, known := map[byte]serial.Parity{'N': serial.NoParity, 'E': serial.EvenParity, 'O': serial.OddParity}, false
	if len(line) == 3 {
		m.Parity, known = parity[line[1]]
	}
	if !known || line[0] != '7' && line[0] != '8' || line[2] != '1' && line[2] != '2' {
		return nil, fmt.Errorf("cannot use the line setting %q of display %s; write data bits 7 or 8, parity N, E or O, stop bits 1 or 2, like 8N1", c.Line, c.Name)
	}
	if line[0] == '7' && c.Family != LED8 && c.Charset == CharsetGBK {
		return nil, fmt.Errorf("cannot send Chinese characters to display %s over 7 data bits; write 8, or charset ascii", c.Name)
	}
	m.DataBits = int(line[0] - '0')
	if line[2] == '2' {
		m.StopBits = serial.TwoStopBits
	}
	return m, nil
}
