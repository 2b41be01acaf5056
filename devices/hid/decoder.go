package hid

import (
	"bytes"
	"sync/atomic"
	"time"

	"payagent/devices/internal/framing"
	"payagent/devices/internal/usb"
)

// replyTime is how long after a command reports that look like an answer are
// one. Menu commands answer at once, queries take a moment.
const replyTime = time.Second

// decoder makes codes of input reports. It is pure: time comes in with the
// reports. Only wrote and which may be called beside the others.
type decoder struct {
	fixed    layout
	guessing bool            // no layout is known: each report is looked at
	declared map[byte]string // what else the device may send
	rules    rules
	pause    time.Duration

	buf    []byte // data of the reports so far
	aim    string
	open   bool // more reports of this code must come
	over   bool // it is too long and skipped to its end
	bad    bool // a report of it was broken: skipped to its end
	reply  bool // it is an answer to a command
	start  time.Time
	prev   time.Time
	asked  time.Time // when a command was sent last
	stats  framing.Stats
	other  uint64 // reports that are no scanned data, such as a status
	answer uint64 // answers to commands
	layout atomic.Pointer[string]
}

// newDecoder picks the layout: the one asked for, else the descriptor's, else
// the maker's, else each report is looked at.
func newDecoder(cfg Config, d descriptor, vendor uint16) *decoder {
	k := &decoder{rules: rules{cfg.Charset, cfg.Min, cfg.Max}, pause: cfg.Pause, buf: make([]byte, 0, longest+64), declared: map[byte]string{}}
	for _, r := range d.reports {
		if r.kind == input {
			k.declared[r.id] = ""
		}
	}
	named := map[string]layout{LayoutUSBIF: usbIFLayout(), LayoutNewland: newlandLayout()}
	found, described := layoutOf(d)
	switch l, asked := named[cfg.Layout]; {
	case asked:
		// The descriptor still knows whether and how reports are numbered.
		if described && found.id == 0 {
			l = l.unnumbered()
		} else if described {
			l.id = found.id
		}
		k.fixed = l
	case described:
		k.fixed = found
	case vendor == usb.Newland:
		k.fixed = newlandLayout()
	default:
		// The first family, too, is looked at, since some of its devices have a
		// byte more.
		k.guessing = true
	}
	return k
}

// which notes the layout that a report had.
func (k *decoder) which(l layout) {
	if old := k.layout.Load(); old == nil || *old != l.name {
		name := l.name
		k.layout.Store(&name)
	}
}

// wrote notes that a command was sent, so that its answer is no code.
func (k *decoder) wrote(at time.Time) { k.asked = at }

// Stats implements reading.Decoder.
func (k *decoder) Stats() framing.Stats { return k.stats }

// Gap implements reading.Decoder.
func (k *decoder) Gap() time.Duration { return k.pause }

// Pending implements reading.Decoder.
func (k *decoder) Pending() bool { return k.open }

// Idle gives up a code whose next report does not come.
func (k *decoder) Idle(at time.Time) []framing.Frame {
	if k.open && k.pause > 0 && at.Sub(k.prev) >= k.pause {
		k.giveUp()
	}
	return nil
}

func (k *decoder) giveUp() {
	if k.open && !k.reply {
		k.stats.Cut++
	}
	k.reset()
}

func (k *decoder) reset() {
	clear(k.buf[:cap(k.buf)]) // a code stays nowhere longer than needed
	k.buf, k.aim = k.buf[:0], ""
	k.open, k.over, k.bad, k.reply = false, false, false, false
}

// Feed takes one report, as one read gives it.
func (k *decoder) Feed(p []byte, at time.Time) []framing.Frame {
	k.Idle(at)
	k.stats.Bytes += uint64(len(p))
	l := k.fixed
	if k.guessing {
		l = guess(p)
	}
	// Some systems put a 0 in front of reports that have no number.
	if l.id == 0 && len(p) == l.size+1 && p[0] == 0 {
		p = p[1:]
	}
	if l.id != 0 && (len(p) == 0 || p[0] != l.id) {
		if _, known := k.declared[first(p)]; known && len(p) > 0 {
			k.other++
		} else {
			k.stats.Noise++
		}
		return nil
	}
	if len(p) < l.size {
		// Whatever it was part of, a part of that is missing now.
		return k.broken(at, false)
	}
	if l.shifts(p) {
		l = l.shifted()
	}
	k.which(l)
	more := l.more >= 0 && p[l.more/8]>>(l.more%8)&1 == 1
	data := p[l.data : l.data+l.room]
	if l.length >= 0 {
		n := int(p[l.length])
		if n > l.room {
			return k.broken(at, more)
		}
		data = data[:n]
	} else {
		data = bytes.TrimRight(data, "\x00")
	}
	aim := ""
	if l.aim >= 0 {
		switch id := p[l.aim : l.aim+3]; {
		case identifier(id):
			aim = string(id[1:])
		case id[0] != 0 || id[1] != 0 || id[2] != 0:
			// Something else stands where the identifier should: the layout is
			// another one, and what follows would be a part of a code.
			return k.broken(at, more)
		}
	}
	return k.join(data, aim, more, at)
}

func first(p []byte) byte {
	if len(p) == 0 {
		return 0
	}
	return p[0]
}

// broken drops a report together with the code that it is part of.
func (k *decoder) broken(at time.Time, more bool) []framing.Frame {
	k.stats.Noise++
	k.reset()
	if more {
		k.open, k.bad, k.start, k.prev = true, true, at, at
	}
	return nil
}

// join adds a report's data to the code and ends the code with its last one.
func (k *decoder) join(data []byte, aim string, more bool, at time.Time) []framing.Frame {
	answer := k.answers(data, aim, at)
	if k.open && aim != k.aim && !k.bad && !answer {
		// Another symbology: another code, whose forerunner lost its end.
		k.giveUp()
	}
	if !k.open {
		k.start, k.aim = at, aim
	}
	k.prev, k.open = at, more
	k.reply = k.reply || answer
	if room := longest + 2 - len(k.buf); len(data) > room {
		k.over = true
	}
	if !k.over && !k.bad && !k.reply {
		k.buf = append(k.buf, data...)
	}
	if more {
		return nil
	}
	defer k.reset()
	switch {
	case k.reply:
		k.answer++
		return nil
	case k.bad:
		return nil // counted when it broke
	case k.over:
		k.stats.Long++
		return nil
	}
	text, why := k.rules.text(k.buf)
	switch why {
	case dropNone:
	case dropEmpty:
		return nil
	case dropShort:
		k.stats.Short++
		return nil
	case dropLong:
		k.stats.Long++
		return nil
	default:
		k.stats.Noise++
		return nil
	}
	k.stats.Frames++
	return []framing.Frame{{Text: text, Symbology: k.aim, Start: k.start, At: at}}
}

// answers tells whether a report is (part of) an answer to a command, which
// comes in the same report as codes do (wire.md §7.4): Honeywell's have the
// identifier ]X0 and, the last one, ]Z6; Newland's begin with STX and an
// address, in binary or in text.
func (k *decoder) answers(data []byte, aim string, at time.Time) bool {
	if k.open && k.reply {
		return true
	}
	begins := len(k.buf) == 0
	switch {
	case aim != "" && aim[0] == 'Z': // "no bar code": nothing printed has it
		return true
	case aim == "X0":
		if !k.asked.IsZero() && at.Sub(k.asked) < replyTime {
			return true
		}
		text := bytes.TrimRight(data, "\r\n.!;")
		return len(text) > 0 && (text[len(text)-1] == 0x06 || text[len(text)-1] == 0x15 || text[len(text)-1] == 0x05)
	case aim == "" && begins && len(data) >= 4 && data[0] == 0x02:
		return data[1] == 0x00 || data[1] == 0x01 && bytes.HasPrefix(data[2:], []byte("0000"))
	}
	return false
}
