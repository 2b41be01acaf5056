package pole

import (
	"fmt"
	"strings"
)

// command is one command of a family: its first bytes and how many further
// ones it takes.
type command struct {
	_     [0]func() // never compared: no code is made for it
	first string
	args  int
	// to is the highest value of an argument, from its lowest; both 0 mean
	// any.
	from, to byte
}

// commands are what may be sent to a family at the start. What writes into a
// display's memory for good (ESC s 1 on a CD5220) is in none of them.
func commands(family string) []command {
	switch family {
	case LED8:
		return []command{{first: "\x1b@"}, {first: "\x0c"}, {first: "\x1bs", args: 1, from: '0', to: '4'}}
	case CD5220:
		return []command{{first: "\x1b@"}, {first: "\x0c"}, {first: "\x18"}, {first: "\x0b"}, {first: "\x0d"}, {first: "\x0a"},
			{first: "\x1b\x11"}, {first: "\x1b\x12"}, {first: "\x1b\x13"}, {first: "\x1b_", args: 1, from: 0, to: 1}, {first: "\x1b*", args: 1, from: 1, to: 4}, {first: "\x1bf", args: 1}}
	case DMD:
		// ESC DC3 and ESC _ are what Bixolon's displays of this family want.
		return []command{{first: "\x1b@"}, {first: "\x1b=", args: 1, from: 1, to: 3}, {first: "\x0c"}, {first: "\x18"}, {first: "\x0b"}, {first: "\x1bt", args: 1},
			{first: "\x1f\x01"}, {first: "\x1f\x02"}, {first: "\x1f\x03"}, {first: "\x1fC", args: 1, from: 0, to: 1}, {first: "\x1fX", args: 1, from: 1, to: 4}, {first: "\x1fE", args: 1},
			{first: "\x1fr", args: 1, from: 0, to: 1}, {first: "\x1b\x13"}, {first: "\x1b_", args: 1, from: 0, to: 1}}
	case UTC:
		return []command{{first: "\x1f"}, {first: "\x11"}, {first: "\x12"}, {first: "\x13"}, {first: "\x14"}, {first: "\x0f", args: 1, from: 0, to: 39}}
	case UTCEnhanced:
		return []command{{first: "\x1bd"}}
	}
	return nil
}

// permitted tells whether bytes from the configuration are commands of the
// family and nothing else.
func permitted(family, bytes string) error {
	list := commands(family)
next:
	for at := 0; at < len(bytes); {
		rest := bytes[at:]
		for _, c := range list {
			end := len(c.first) + c.args
			if !strings.HasPrefix(rest, c.first) || len(rest) < end {
				continue
			}
			fits := true
			for _, b := range []byte(rest[len(c.first):end]) {
				fits = fits && (c.to == 0 || c.from <= b && b <= c.to)
			}
			if fits {
				at += end
				continue next
			}
		}
		return fmt.Errorf("byte %d (% x …) begins no start-up command of the family %s", at+1, rest[:min(4, len(rest))], family)
	}
	return nil
}
