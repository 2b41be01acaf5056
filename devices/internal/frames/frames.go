// Package frames knows the arithmetic of makers' command frames: hexadecimal
// text, Newland's CRC, the check sum of Zebra's Simple Serial Interface. It
// sends nothing.
package frames

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Longest is the longest command in bytes that a profile may hold.
const Longest = 255

// Hex reads bytes written in hexadecimal, with or without blanks between them:
// "FD 03 16 54 0D", "fd0316540d".
func Hex(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read %q as bytes; write pairs of hexadecimal digits such as FD 03", text)
	case len(b) == 0:
		return nil, errors.New("cannot use an empty command; write pairs of hexadecimal digits such as FD 03")
	case len(b) > Longest:
		return nil, fmt.Errorf("cannot use a command of %d bytes; %d is the limit", len(b), Longest)
	}
	return b, nil
}

// CRC is CRC-16/XMODEM (polynomial 0x1021, start 0), Newland's.
func CRC(p []byte) uint16 {
	var crc uint16
	for _, b := range p {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// Sum is the check sum of an SSI packet: the two's complement of the sum of
// all bytes before it.
func Sum(p []byte) uint16 {
	var sum uint16
	for _, b := range p {
		sum += uint16(b)
	}
	return -sum
}

// SSI adds the check sum to a packet whose first byte already counts the bytes
// before the check sum.
func SSI(p ...byte) []byte {
	sum := Sum(p)
	return append(bytes.Clone(p), byte(sum>>8), byte(sum))
}

// CheckSSI tells whether p is one whole SSI packet.
func CheckSSI(p []byte) error {
	switch n := len(p); {
	case n < 6 || int(p[0]) != n-2:
		return fmt.Errorf("cannot use an SSI packet of %d bytes whose first byte does not count the %d before the check sum", n, max(n-2, 0))
	case Sum(p[:n-2]) != uint16(p[n-2])<<8|uint16(p[n-1]):
		return fmt.Errorf("cannot use an SSI packet with a wrong check sum; it must end with %04X", Sum(p[:n-2]))
	}
	return nil
}

// Check looks at a command of which the beginning tells its family, and finds
// those that a device could not accept: a wrong length, a wrong CRC, no end.
// Others are right as they are.
func Check(p []byte) error {
	// In a HID output report the same frame stands behind 04 and its length.
	if len(p) > 2 && p[0] == 0x04 && int(p[1]) == len(p)-2 {
		p = p[2:]
	}
	switch {
	case bytes.HasPrefix(p, []byte{0x7e, 0x00}):
		// type, number of data bytes, address (2), data, CRC (2)
		if len(p) < 8 || len(p) != 8+int(p[3]) {
			return errors.New("cannot use a Newland frame whose length byte does not fit; write 7E 00, type, length, address (2), data, CRC (2)")
		}
		return crc(p)
	case bytes.HasPrefix(p, []byte{0x7e, 0x01}):
		if len(p) < 9 || !bytes.HasSuffix(p, []byte{0x3b, 0x03}) {
			return errors.New("cannot use a Newland text command without its end; write 7E 01 30 30 30 30, @ or #, the command, 3B 03")
		}
	case len(p) > 0 && p[0] == 0x16:
		// Honeywell's: SYN, a letter, CR; behind SYN M CR a menu command that
		// ends with . (kept) or ! (until power-off).
		if len(p) < 3 || p[2] != 0x0d || p[1] == 'M' && !bytes.HasSuffix(p, []byte(".")) && !bytes.HasSuffix(p, []byte("!")) {
			return errors.New("cannot use a Honeywell command that is not 16, a letter, 0D (behind 16 4D 0D a menu command that ends with 2E or 21)")
		}
	}
	return nil
}

func crc(p []byte) error {
	n := len(p)
	if want := CRC(p[2 : n-2]); want != uint16(p[n-2])<<8|uint16(p[n-1]) {
		return fmt.Errorf("cannot use a Newland frame with a wrong CRC; it must end with %04X", want)
	}
	return nil
}
