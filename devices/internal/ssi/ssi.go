// Package ssi reads Zebra's Simple Serial Interface: packets of length,
// opcode, source, status, data and a check sum (programmer's guide
// 72E-40451). It is pure: time comes in with the bytes, and what has to be
// sent back is handed to whoever owns the port.
package ssi

import (
	"bytes"
	"time"

	"payagent/devices/internal/frames"
	"payagent/devices/internal/framing"
)

// Gap is the pause inside a packet after which it is given up. It is long,
// because a busy computer delivers late, and shorter than the 2 s after which
// scanners send again what was not acknowledged.
const Gap = time.Second

const (
	fromDecoder = 0x00
	host        = 0x04

	decodeData = 0xf3
	ack        = 0xd0
	nak        = 0xd1

	resend = 0x01 // cause of a NAK: the check sum was wrong

	again = 0x01 // status: sent before
	more  = 0x02 // status: another packet of this code follows

	shortest = 4 // length byte of a packet without data
	mostNAKs = 3 // in a row; a line that is only noise is not answered
)

// Decoder makes codes of packets. It is not safe for concurrent use.
type Decoder struct {
	cfg     framing.Config
	prefix  []byte // of packets that count as an answer, from the opcode on
	buf     []byte
	begun   time.Time // when the first byte of buf came
	last    time.Time // when the last byte came
	code    []byte    // of a code in several packets
	start   time.Time
	kind    byte
	parts   bool // code is unfinished
	over    bool // and too long
	naks    int
	heard   uint64
	replies [][]byte
	stats   framing.Stats
}

// New gives a decoder, or says what cannot be in the configuration. Answer
// tells which packets count as answers: its bytes, from the opcode on.
func New(cfg framing.Config, answer []byte) (*Decoder, error) {
	cfg, err := cfg.Check()
	if err != nil {
		return nil, err
	}
	return &Decoder{cfg: cfg, prefix: answer, buf: make([]byte, 0, 257), code: make([]byte, 0, cfg.Max+256)}, nil
}

// Replies gives what has to be sent now, in order, and forgets it.
func (d *Decoder) Replies() [][]byte {
	out := d.replies
	d.replies = nil
	return out
}

// Heard counts the packets that count as answers.
func (d *Decoder) Heard() uint64 { return d.heard }

// Expect does nothing: an answer is known by itself.
func (d *Decoder) Expect(bool) {}

// Stats gives the counters.
func (d *Decoder) Stats() framing.Stats { return d.stats }

// Pending tells whether Idle has something to end.
func (d *Decoder) Pending() bool { return len(d.buf) > 0 || d.parts }

// Gap is the pause after which Idle does it.
func (d *Decoder) Gap() time.Duration {
	if len(d.buf) > 0 {
		return Gap
	}
	return d.cfg.Stale
}

// Feed takes bytes that came at a time.
func (d *Decoder) Feed(p []byte, at time.Time) []framing.Frame {
	out := d.Idle(at)
	d.last = at
	for _, b := range p {
		d.stats.Bytes++
		if len(d.buf) == 0 {
			d.begun = at
		}
		d.buf = append(d.buf, b)
		out = append(out, d.packets(at)...)
	}
	return out
}

// Idle says that nothing came until at: a packet that stopped is none, and a
// code of which the rest does not come is given up.
func (d *Decoder) Idle(at time.Time) []framing.Frame {
	var out []framing.Frame
	if len(d.buf) > 0 && at.Sub(d.last) >= Gap {
		d.stats.Cut++
		for len(d.buf) > 0 {
			d.slide()
			out = append(out, d.packets(d.last)...)
		}
	}
	if d.parts && d.cfg.Stale > 0 && at.Sub(d.last) >= d.cfg.Stale {
		d.stats.Cut++
		d.forget()
	}
	return out
}

// slide takes one byte off that begins no packet.
func (d *Decoder) slide() {
	d.stats.Trimmed++
	d.drop(1)
}

func (d *Decoder) drop(n int) {
	kept := copy(d.buf, d.buf[n:])
	clear(d.buf[kept:]) // a code stays nowhere longer than needed
	d.buf = d.buf[:kept]
}

// packets takes what is whole off the buffer.
func (d *Decoder) packets(at time.Time) []framing.Frame {
	var out []framing.Frame
	for len(d.buf) > 0 {
		n := int(d.buf[0]) + 2
		switch {
		case !d.plausible():
			d.slide()
		case len(d.buf) < n:
			return out
		case frames.CheckSSI(d.buf[:n]) != nil:
			if d.buf[1] == decodeData {
				d.stats.Noise++
				d.refuse()
			}
			d.slide()
		default:
			d.naks = 0
			if fr, ok := d.packet(d.buf[:n], at); ok {
				out = append(out, fr)
			}
			d.drop(n)
			d.begun = at
		}
	}
	return out
}

// plausible tells whether what is there could begin a packet of a scanner.
func (d *Decoder) plausible() bool {
	switch b := d.buf; {
	case b[0] < shortest:
		return false
	case len(b) > 1 && b[1] < 0x80 && b[1] != 0x12:
		return false // no opcode: they lie above, but for one
	case len(b) > 2 && b[2] != fromDecoder:
		return false
	case len(b) > 3 && b[3] > 0x0f:
		return false // bits that no status has
	}
	return true
}

func (d *Decoder) refuse() {
	if d.naks < mostNAKs {
		d.naks++
		d.replies = append(d.replies, frames.SSI(5, nak, host, 0, resend))
	}
}

// packet takes one whole packet.
func (d *Decoder) packet(p []byte, at time.Time) (framing.Frame, bool) {
	if p[1] == ack || p[1] == nak {
		// An ACK answers a command; answering it would never end.
		d.count(p)
		return framing.Frame{}, false
	}
	d.replies = append(d.replies, frames.SSI(4, ack, host, 0))
	d.count(p)
	if p[1] != decodeData || len(p) < 7 {
		return framing.Frame{}, false
	}
	return d.part(p[3], p[4], p[5:len(p)-2], at)
}

func (d *Decoder) count(p []byte) {
	if bytes.HasPrefix(p[1:len(p)-2], d.prefix) {
		d.heard++
	}
}

// part takes the data of one packet of a code.
func (d *Decoder) part(status, kind byte, data []byte, at time.Time) (framing.Frame, bool) {
	switch {
	case !d.parts:
		d.kind, d.start, d.over = kind, d.begun, false
		d.code = append(d.code[:0], data...)
	case status&again != 0 && bytes.HasSuffix(d.code, data):
		// The packet before once more: its ACK was lost.
	case kind == d.kind:
		d.join(data)
	default:
		// Without the kind in front of each part.
		d.join([]byte{kind})
		d.join(data)
	}
	d.parts = status&more != 0
	if len(d.code) > d.cfg.Max+len(d.cfg.Prefix)+len(d.cfg.Suffix)+8 {
		d.over = true
		clear(d.code)
		d.code = d.code[:0]
	}
	if d.parts {
		return framing.Frame{}, false
	}
	if d.over {
		d.stats.Long++
		d.forget()
		return framing.Frame{}, false
	}
	text, symbology, ok := d.cfg.Judge(d.code, &d.stats)
	if symbology == "" {
		symbology = aim(d.kind)
	}
	fr := framing.Frame{Text: text, Symbology: symbology, Start: d.start, At: at}
	d.forget()
	return fr, ok
}

func (d *Decoder) join(data []byte) {
	if !d.over {
		d.code = append(d.code, data...)
	}
}

func (d *Decoder) forget() {
	clear(d.code[:cap(d.code)])
	d.code, d.parts, d.over = d.code[:0], false, false
}

// aim turns SSI's code types into AIM identifiers.
func aim(kind byte) string {
	switch kind {
	case 0x01, 0x13: // Code 39, Full ASCII
		return "A0"
	case 0x02: // Codabar
		return "F0"
	case 0x03:
		return "C0" // Code 128
	case 0x06:
		return "I0" // Interleaved 2 of 5
	case 0x07:
		return "G0" // Code 93
	case 0x08, 0x09, 0x0b: // UPC-A, UPC-E, EAN-13
		return "E0"
	case 0x0a:
		return "E4" // EAN-8
	case 0x0f:
		return "C1" // GS1-128
	case 0x11:
		return "L0" // PDF417
	case 0x1b:
		return "d1" // Data Matrix
	case 0x1c:
		return "Q1" // QR
	}
	return "X0"
}
