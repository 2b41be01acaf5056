package pole

import (
	"errors"
	"strings"

	"payagent/devices"
)

// The families of displays. A display cannot be asked what it is, and what is
// harmless to one spoils another (ESC s 1 lights a lamp of an LED8 and writes
// into the EEPROM of a CD5220), so the family is always configured, never
// tried out.
const (
	// LED8 shows an amount of up to eight digits and four lamps, 单价 总计 收款
	// 找零. It has no room for a test mark: say at the window that it is a
	// test.
	LED8 = "led8"
	// CD5220 is the usual set of commands of 2×20 vacuum fluorescent displays.
	CD5220 = "cd5220"
	// DMD is Epson's DM-D family and what copies it (ESC/POS displays).
	DMD = "dm-d"
	// UTC and UTCEnhanced are the two modes of UTC displays.
	UTC = "utc"
	// UTCEnhanced switches the display to its enhanced mode at the start.
	UTCEnhanced = "utc-enhanced"
	// AEDEX displays know commands with the attention code "!#".
	AEDEX = "aedex"
)

// errAmount says that an amount is not shown because it cannot be shown whole.
var errAmount = errors.New("cannot show the amount: it does not fit, or is not yuan with two decimals; it is left blank rather than cut, so tell it to the patient")

// Encoder turns screens into the bytes of one display. It is a value, pure and
// safe for concurrent use. Sources of the bytes: wire.md §8, the families'
// command sets as open-source tills send them.
type Encoder struct {
	cfg   Config
	start string // sent after opening
}

// Start is sent once after opening: it resets the display, sets it up and
// clears it.
func (e Encoder) Start() []byte { return []byte(e.start) }

// Clear makes the display dark.
func (e Encoder) Clear() []byte {
	b, _ := e.Paint(devices.Screen{State: devices.StateIdle}) // There is no amount that would not fit.
	return b
}

// Paint is the whole screen, whatever was shown before. On an error the bytes
// are good all the same and leave out the amount.
func (e Encoder) Paint(s devices.Screen) ([]byte, error) {
	if e.cfg.Family == LED8 {
		return led8(s)
	}
	upper, lower, ok := layout(s, e.cfg.Charset, e.cfg.Columns)
	upper = centre(upper, e.cfg.Columns)
	var err error
	if !ok {
		err = errAmount
	}
	var out string
	switch e.cfg.Family {
	case CD5220:
		out = "\x0c" // It also ends the string mode of the texts before.
		if upper != "" {
			out += "\x1bQA" + upper + "\r"
		}
		if lower != "" {
			out += "\x1bQB" + lower + "\r"
		}
	case DMD:
		out = "\x0c" + upper
		if lower != "" {
			out += "\x1f$\x01\x02" + lower
		}
		if e.cfg.Shared {
			out = "\x1b=\x02" + out + "\x1b=\x01"
		}
	case UTC:
		// Lines follow each other without a command between them.
		out = "\x1f" + strings.TrimRight(pad(upper, e.cfg.Columns)+lower, " ")
	case UTCEnhanced:
		out = "\x1buA" + pad(upper, e.cfg.Columns) + "\r\x1buB" + pad(lower, e.cfg.Columns) + "\r"
	case AEDEX:
		out = "!#1" + pad(upper, e.cfg.Columns) + "\r!#2" + pad(lower, e.cfg.Columns) + "\r"
	}
	return []byte(out), err
}

// led8 shows the amount with 总计 while it is owed and with 收款 when it is
// paid, and nothing otherwise.
func led8(s devices.Screen) ([]byte, error) {
	const (
		blank = "\x0c\x1bs0"
		total = "2"
		taken = "3"
		most  = len("999999.99")
	)
	var lamp string
	switch s.State {
	case "waiting", "queued", "paying", "canceling", "in_doubt":
		lamp = total
	case "paid":
		lamp = taken
	}
	if lamp == "" || s.Amount == "" {
		return []byte(blank), nil
	}
	if !money.MatchString(s.Amount) || len(s.Amount) > most {
		return []byte(blank), errAmount
	}
	return []byte("\x1bQA" + s.Amount + "\r\x1bs" + lamp), nil
}

// start is the default of what is sent after opening.
func start(c Config) string {
	switch c.Family {
	case LED8:
		return "\x1b@"
	case CD5220:
		// A display that kept its power while the agent did not is in string
		// mode and hears nothing but clearing.
		s := "\x0c\x1b@"
		if c.Brightness != 0 {
			s += "\x1b*" + string(rune(c.Brightness))
		}
		return s + "\x1b_\x00"
	case DMD:
		s := "\x1b@\x1b=\x02\x1f\x01\x1fC\x00"
		if c.Shared {
			s = "\x1b=\x02" + s // Or the printer would be reset.
		}
		if c.Brightness != 0 {
			s += "\x1fX" + string(rune(c.Brightness))
		}
		return s
	case UTC:
		return "\x1f\x11\x14"
	case UTCEnhanced:
		return "\x1bd"
	}
	return "" // AEDEX needs none.
}
