package pole_test

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// terminal is a display as its manual describes it, written from the tables of
// commands and without a look at the encoders. It takes the commands of its
// family and is broken by any other byte.
type terminal struct {
	family  string
	pending []byte // an unfinished command
	cells   [40]byte
	at      int
	lamp    byte
	strings bool // CD5220: string mode hears only texts and clearing
	resets  int
	dim     byte
	printer bool // DM-D: the line is the printer's
}

func newTerminal(family string) *terminal {
	t := &terminal{family: family, lamp: '0'}
	t.clear()
	return t
}

func (t *terminal) clear() {
	for i := range t.cells {
		t.cells[i] = ' '
	}
	t.at = 0
}

// feed takes bytes as they come and fails at the first that is no command of
// the family.
func (t *terminal) feed(b []byte) error {
	t.pending = append(t.pending, b...)
	for len(t.pending) > 0 {
		n, err := t.step(t.pending)
		if err != nil {
			return fmt.Errorf("%s at % x: %w", t.family, t.pending, err)
		}
		if n == 0 {
			return nil
		}
		t.pending = t.pending[n:]
	}
	return nil
}

// whole fails if a command is unfinished or a Chinese character is cut.
func (t *terminal) whole() error {
	if len(t.pending) > 0 {
		return fmt.Errorf("%s: unfinished % x", t.family, t.pending)
	}
	for _, row := range [][]byte{t.cells[:20], t.cells[20:]} {
		if err := fine(row); err != nil {
			return err
		}
	}
	return nil
}

// step does one command and gives its length, 0 if more bytes are needed.
func (t *terminal) step(b []byte) (int, error) {
	switch t.family {
	case "led8":
		return t.led8(b)
	case "cd5220":
		return t.cd5220(b)
	case "dm-d":
		return t.dmd(b)
	case "utc":
		return t.utc(b)
	case "utc-enhanced":
		return t.enhanced(b)
	case "aedex":
		return t.aedex(b)
	}
	return 0, fmt.Errorf("no family %q", t.family)
}

var errStranger = fmt.Errorf("not a command of this family")

// prefix compares the start of b with a command: 1 is it, 0 needs more bytes,
// -1 is another.
func prefix(b []byte, command string) int {
	n := min(len(b), len(command))
	switch {
	case string(b[:n]) != command[:n]:
		return -1
	case n < len(command):
		return 0
	}
	return 1
}

// text finds a text that ends with CR behind a command of n bytes.
func text(b []byte, n, least, most int) (string, int, error) {
	end := bytes.IndexByte(b[n:], '\r')
	if end < 0 {
		if len(b)-n > most {
			return "", 0, fmt.Errorf("text without an end")
		}
		return "", 0, nil
	}
	s := b[n : n+end]
	if len(s) < least || len(s) > most {
		return "", 0, fmt.Errorf("text of %d bytes", len(s))
	}
	return string(s), n + end + 1, fine(s)
}

// fine checks that bytes are printable and in whole double bytes.
func fine(s []byte) error {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0x20 && c < 0x7f:
		case c >= 0x81 && c <= 0xfe:
			if i++; i == len(s) || s[i] < 0x40 || s[i] == 0x7f || s[i] == 0xff {
				return fmt.Errorf("half of a Chinese character in % x", s)
			}
		default:
			return fmt.Errorf("control byte %#x in a text", c)
		}
	}
	return nil
}

func (t *terminal) set(row int, s string) {
	copy(t.cells[20*row:20*row+20], fmt.Sprintf("%-20s", s))
}

func (t *terminal) led8(b []byte) (int, error) {
	if prefix(b, "\x0c") == 1 {
		t.clear()
		return 1, nil
	}
	switch p := prefix(b, "\x1b@"); {
	case p == 1:
		t.resets++
		t.lamp = '0'
		t.clear()
		return 2, nil
	case len(b) == 1 && p == 0:
		return 0, nil
	}
	if p := prefix(b, "\x1bs"); p == 1 {
		if len(b) < 3 {
			return 0, nil
		}
		if b[2] < '0' || b[2] > '4' {
			return 0, fmt.Errorf("no such lamp")
		}
		t.lamp = b[2]
		return 3, nil
	}
	if p := prefix(b, "\x1bQA"); p == 1 {
		s, n, err := text(b, 3, 4, 9)
		if n == 0 || err != nil {
			return 0, err
		}
		digits := strings.Count(s, ".") == 1 && s[len(s)-3] == '.' && strings.Trim(s, "0123456789.") == ""
		if !digits || len(s)-1 > 8 {
			return 0, fmt.Errorf("%q is no amount of eight digits", s)
		}
		t.clear()
		copy(t.cells[:], s)
		return n, nil
	} else if p == 0 {
		return 0, nil
	}
	return 0, errStranger
}

func (t *terminal) cd5220(b []byte) (int, error) {
	if b[0] == 0x0c {
		t.clear()
		t.strings = false
		return 1, nil
	}
	for row, c := range []string{"\x1bQA", "\x1bQB"} {
		if prefix(b, c) != 1 {
			continue
		}
		s, n, err := text(b, 3, 1, 20)
		if n == 0 || err != nil {
			return 0, err
		}
		t.set(row, s)
		t.strings = true
		return n, nil
	}
	if prefix(b, "\x1bQA") == 0 {
		return 0, nil
	}
	if t.strings {
		return 0, fmt.Errorf("not heard in string mode")
	}
	switch {
	case b[0] != 0x1b:
		return 0, errStranger
	case b[1] == '@':
		t.resets++
		t.clear()
		return 2, nil
	case b[1] == '_' || b[1] == '*':
		if len(b) < 3 {
			return 0, nil
		}
		if b[1] == '_' && b[2] > 1 || b[1] == '*' && (b[2] < 1 || b[2] > 4) {
			return 0, fmt.Errorf("argument %d", b[2])
		}
		if b[1] == '*' {
			t.dim = b[2]
		}
		return 3, nil
	}
	return 0, errStranger // ESC s 1 would write into the EEPROM.
}

func (t *terminal) dmd(b []byte) (int, error) {
	if prefix(b, "\x1b=") == 1 {
		if len(b) < 3 {
			return 0, nil
		}
		if b[2] != 1 && b[2] != 2 {
			return 0, fmt.Errorf("no device %d", b[2])
		}
		t.printer = b[2] == 1
		return 3, nil
	}
	if len(b) == 1 && (b[0] == 0x1b || b[0] == 0x1f) {
		return 0, nil
	}
	if t.printer {
		return 0, fmt.Errorf("meant for the display, done by the printer")
	}
	if prefix(b, "\x1b@") == 1 {
		t.resets++
		t.clear()
		return 2, nil
	}
	switch {
	case b[0] == 0x0c:
		t.clear()
		return 1, nil
	case b[0] == 0x1f && b[1] == 0x01:
		return 2, nil
	case b[0] == 0x1f && (b[1] == 'C' || b[1] == 'X'):
		if len(b) < 3 {
			return 0, nil
		}
		if b[1] == 'C' && b[2] > 1 || b[1] == 'X' && (b[2] < 1 || b[2] > 4) {
			return 0, fmt.Errorf("argument %d", b[2])
		}
		if b[1] == 'X' {
			t.dim = b[2]
		}
		return 3, nil
	case b[0] == 0x1f && b[1] == '$':
		if len(b) < 4 {
			return 0, nil
		}
		if b[2] < 1 || b[2] > 20 || b[3] < 1 || b[3] > 2 {
			return 0, fmt.Errorf("cursor to %d, %d", b[2], b[3])
		}
		t.at = int(b[3]-1)*20 + int(b[2]-1)
		return 4, nil
	}
	return t.write(b)
}

// write puts one character where the cursor stands and moves it on.
func (t *terminal) write(b []byte) (int, error) {
	n := 1
	if b[0] >= 0x80 {
		if n = 2; len(b) < 2 {
			return 0, nil
		}
	}
	if b[0] < 0x20 || b[0] == 0x7f {
		return 0, errStranger
	}
	if err := fine(b[:n]); err != nil {
		return 0, err
	}
	if n == 2 && t.at%20 == 19 {
		return 0, fmt.Errorf("a Chinese character over the end of a line")
	}
	copy(t.cells[t.at:], b[:n])
	t.at = (t.at + n) % 40
	return n, nil
}

func (t *terminal) utc(b []byte) (int, error) {
	switch b[0] {
	case 0x1f:
		t.clear()
		return 1, nil
	case 0x11, 0x14:
		t.resets++
		return 1, nil
	}
	return t.write(b)
}

func (t *terminal) enhanced(b []byte) (int, error) {
	for row, c := range []string{"\x1buA", "\x1buB"} {
		if prefix(b, c) == 1 {
			s, n, err := text(b, 3, 20, 20)
			if n > 0 && err == nil {
				t.set(row, s)
			}
			return n, err
		}
	}
	if prefix(b, "\x1bd") == 1 {
		t.resets++
		return 2, nil
	}
	if prefix(b, "\x1bu") >= 0 && len(b) < 3 {
		return 0, nil
	}
	return 0, errStranger
}

func (t *terminal) aedex(b []byte) (int, error) {
	for row, c := range []string{"!#1", "!#2"} {
		if prefix(b, c) == 1 {
			s, n, err := text(b, 3, 20, 20)
			if n > 0 && err == nil {
				t.set(row, s)
			}
			return n, err
		}
	}
	if prefix(b, "!#") >= 0 && len(b) < 3 {
		return 0, nil
	}
	return 0, errStranger
}

// lines are the two lines as people read them.
func (t *terminal) lines() (upper, lower string) {
	read := func(b []byte) string {
		s, err := simplifiedchinese.GBK.NewDecoder().Bytes(b)
		if err != nil {
			return err.Error()
		}
		return string(s)
	}
	return read(t.cells[:20]), read(t.cells[20:])
}
