package wedge

import (
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"payagent/devices/internal/framing"
)

// event is the kernel's struct input_event: a time by its monotonic clock, in
// words of the machine, then what happened.
type event struct {
	sec, usec  uint
	kind, code uint16
	value      int32
}

// eventSize is 24 bytes on 64-bit machines and 16 on 32-bit ones.
const eventSize = int(unsafe.Sizeof(event{}))

// parse reads one event; p has eventSize bytes. It copies: p need not be
// aligned.
func parse(p []byte) (e event) {
	copy((*[eventSize]byte)(unsafe.Pointer(&e))[:], p)
	return e
}

// bytes is the event as the kernel writes it.
func (e event) bytes() []byte {
	b := *(*[eventSize]byte)(unsafe.Pointer(&e))
	return b[:]
}

func (e event) at() time.Duration {
	return time.Duration(e.sec)*time.Second + time.Duration(e.usec)*time.Microsecond
}

const (
	// capsForgotten is the pause after which the scanner's own Caps Lock is
	// off again.
	capsForgotten = time.Second
	// furthest is how old an event can be when it is read. A time stamp that
	// lies further off comes from another clock.
	furthest = time.Minute
	// recheck is how long the reader looks once more before a pause counts.
	recheck = time.Millisecond
	// altDigits bounds the number behind Alt.
	altDigits = 6
)

const ctrlNUL = 0x00 // stands for keys that mean no character

// decoder makes codes of key events. It is pure: times come from the events.
// It knows nothing of the host's layout, lights and input methods.
type decoder struct {
	framer *framing.Framer
	layout *layout
	tab    bool // Tab ends a code, not Enter
	none   bool // only a pause ends a code

	clock time.Time     // our time …
	stamp time.Duration // … at this time of the kernel's clock

	sides uint16         // modifier keys that are held
	held  [typing]uint32 // keys of characters that are held: the stroke that pressed them
	texts int            // how many those are
	// stroke numbers the reports that press keys of characters; fresh says
	// that the next such key begins one.
	stroke uint32
	fresh  bool

	caps bool
	dead rune
	alt  []byte // digits typed while Alt is held

	last    time.Time // when the last key moved
	skip    bool      // input was lost: skip to the next end or pause
	hostile bool      // the code being read holds a key that no code needs
	due     bool      // a pause was seen once
	stats   framing.Stats
}

// newDecoder gives a decoder; cfg was checked.
func newDecoder(l *layout, cfg framing.Config) (*decoder, error) {
	f, err := framing.New(cfg)
	if err != nil {
		return nil, err
	}
	return &decoder{framer: f, layout: l, tab: cfg.End == framing.EndTab, none: cfg.End == framing.EndNone, alt: make([]byte, 0, altDigits)}, nil
}

// Stats implements reading.Decoder. Bytes counts those of characters.
func (d *decoder) Stats() framing.Stats {
	s := d.framer.Stats()
	s.Frames -= d.stats.Frames
	s.Noise += d.stats.Noise
	s.Lost += d.stats.Lost
	return s
}

// Pending implements reading.Decoder.
func (d *decoder) Pending() bool {
	return d.framer.Pending() || d.skip || d.hostile || d.dead != 0 || len(d.alt) > 0
}

// Gap implements reading.Decoder.
func (d *decoder) Gap() time.Duration {
	if d.due {
		return recheck
	}
	return d.framer.Gap()
}

// Idle implements reading.Decoder. A reader that was held up between its read
// and its look at the clock sees a pause that was none, with keys waiting: so a
// pause counts when a second read gave nothing either.
func (d *decoder) Idle(at time.Time) []framing.Frame {
	if !d.paused(at) {
		d.due = false
		return nil
	}
	if !d.due {
		d.due = true
		return nil
	}
	d.due = false
	return d.pause(at)
}

// Feed implements reading.Decoder: p holds whole events, at is when they were
// read.
func (d *decoder) Feed(p []byte, at time.Time) []framing.Frame {
	d.due = false
	whole := len(p) / eventSize * eventSize
	if whole > 0 {
		d.align(parse(p[whole-eventSize:]).at(), at)
	}
	var out []framing.Frame
	for i := 0; i < whole; i += eventSize {
		switch e := parse(p[i:]); {
		case e.kind == evSyn && e.code == synDropped:
			t := d.time(e.at(), at)
			out = append(out, d.pause(t)...)
			d.lose(t)
		case e.kind == evSyn && e.code == synReport:
			d.fresh = true
		case e.kind == evKey && (e.value == pressed || e.value == released):
			t := d.time(e.at(), at)
			out = append(out, d.pause(t)...)
			d.last = t
			d.framer.Touch(t)
			out = append(out, d.key(e.code, e.value == pressed, t)...)
		}
	}
	if whole != len(p) {
		d.lose(at) // the kernel gives whole events only
	}
	return out
}

// align keeps the two clocks together: no event lies in the future, and none is
// older than the queue can hold.
func (d *decoder) align(stamp time.Duration, at time.Time) {
	if t := d.clock.Add(stamp - d.stamp); d.clock.IsZero() || t.After(at) || at.Sub(t) > furthest {
		d.clock, d.stamp = at, stamp
	}
}

// time turns a time of the kernel's clock into ours, which never goes back.
func (d *decoder) time(stamp time.Duration, at time.Time) time.Time {
	t := d.clock.Add(stamp - d.stamp)
	switch {
	case t.After(at):
		t = at
	case at.Sub(t) > furthest:
		t = at.Add(-furthest)
	}
	if t.Before(d.last) {
		return d.last
	}
	return t
}

// lose drops what is unfinished and all up to the next end or pause: a digit
// may be missing in it, and it must not become another code.
func (d *decoder) lose(t time.Time) {
	d.framer.Drop()
	d.stats.Lost++
	d.skip, d.hostile, d.dead, d.alt, d.caps = true, false, 0, d.alt[:0], false
	// Which keys are held is not known any more. Whatever is, is released.
	d.sides, d.held, d.texts = 0, [typing]uint32{}, 0
	d.last = t
}

// paused tells whether the pause before t ends what is unfinished.
func (d *decoder) paused(t time.Time) bool {
	return d.Pending() && t.Sub(d.last) >= d.framer.Gap()
}

// pause ends or gives up what a pause before t ended.
func (d *decoder) pause(t time.Time) []framing.Frame {
	if t.Sub(d.last) >= capsForgotten {
		d.caps = false
	}
	if !d.paused(t) {
		return nil
	}
	d.skip, d.alt = false, d.alt[:0]
	before := d.framer.Stats()
	var out []framing.Frame
	if d.dead != 0 && d.none {
		out = d.write(string(spacing(d.dead)), d.last)
	}
	d.dead = 0
	return d.judge(before, append(out, d.framer.Idle(t)...))
}

// judge drops the code that ended just now if a hostile key stood in it.
func (d *decoder) judge(before framing.Stats, frames []framing.Frame) []framing.Frame {
	if !d.hostile {
		return frames
	}
	d.hostile = false
	after := d.framer.Stats()
	if before.Noise+before.Short+before.Long+before.Cut == after.Noise+after.Short+after.Long+after.Cut {
		d.stats.Noise++
	}
	d.stats.Frames += uint64(len(frames))
	return nil
}

// write hands characters on.
func (d *decoder) write(s string, t time.Time) []framing.Frame { return d.framer.Feed([]byte(s), t) }

// end ends a code.
func (d *decoder) end(b byte, t time.Time) []framing.Frame {
	if d.skip {
		d.skip = false
		return nil
	}
	before := d.framer.Stats()
	var out []framing.Frame
	if d.dead != 0 {
		out = d.write(string(spacing(d.dead)), t)
		d.dead = 0
	}
	return d.judge(before, append(out, d.framer.Feed([]byte{b}, t)...))
}

// mods are the modifiers that are held.
func (d *decoder) mods() (m uint16) {
	for _, code := range [...]uint16{keyLeftShift, keyRightShft, keyLeftCtrl, keyRightCtrl, keyLeftAlt, keyRightAlt, keyLeftMeta, keyRightMeta} {
		if mod, side := modifier(code); d.sides&side != 0 {
			m |= mod
		}
	}
	switch {
	case m&modAltGr == 0:
	case d.layout.altGr:
		m &^= modCtrl // Windows itself holds Ctrl with AltGr
	default:
		m = m&^modAltGr | modAlt
	}
	return m
}

// key takes one key that went down or up.
func (d *decoder) key(code uint16, down bool, t time.Time) []framing.Frame {
	if mod, side := modifier(code); mod != 0 {
		return d.modifier(mod, side, down, t)
	}
	text := code < typing && (d.layout.keys[code] != levels{} || keypad(code) != 0)
	if text && d.hold(code, down) && !d.skip {
		d.hostile = true
	}
	if !down {
		return nil
	}
	switch code {
	case keyCaps:
		d.caps = !d.caps
		return nil
	case keyNum, keyScroll:
		return nil // lights of the host
	}
	var m uint16
	if d.sides != 0 {
		m = d.mods()
	}
	switch r := rune(0); {
	case m&modMeta != 0:
	case m&modAlt != 0 && m&(modCtrl|modShift) == 0 && digit(keypad(code)):
		if len(d.alt) < altDigits {
			d.alt = append(d.alt, byte(keypad(code)))
		}
		return nil
	case m&(modCtrl|modAlt) == modCtrl|modAlt && d.layout.altGr && code < typing:
		r = d.layout.char(code, m&modShift != 0, true, false) // AltGr as some keyboards send it
		if r != 0 {
			return d.char(r, t)
		}
	case m&(modCtrl|modAlt) != 0:
	case code == keyEnter || code == keyKPEnter:
		return d.end('\r', t)
	case code == keyTab:
		if d.tab {
			return d.end('\t', t)
		}
		return d.char('\t', t)
	case text:
		if r = keypad(code); r == 0 {
			r = d.layout.char(code, m&modShift != 0, m&modAltGr != 0, d.caps)
		}
		if r != 0 {
			return d.char(r, t)
		}
	case !hostileKey(code):
		return d.char(ctrlNUL, t)
	}
	d.hostile = !d.skip
	if d.hostile && (code == keyEnter || code == keyKPEnter) {
		return d.end('\r', t)
	}
	return nil
}

// hold notes which keys of characters are down. stuck tells that one has been
// for too long: while it is held it cannot be pressed, so characters are
// missing. Scanners let a key go before or with the next report; at the front of
// a code none is held.
func (d *decoder) hold(code uint16, down bool) (stuck bool) {
	if d.held[code] != 0 {
		d.texts--
		d.held[code] = 0
	}
	if !down {
		return false
	}
	if d.fresh || d.stroke == 0 {
		d.stroke++
		d.fresh = false
	}
	if d.texts > 0 {
		oldest := d.stroke
		if d.framer.Pending() || d.dead != 0 {
			oldest--
		}
		for _, s := range d.held {
			stuck = stuck || s != 0 && s < oldest
		}
	}
	d.held[code] = d.stroke
	d.texts++
	return stuck
}

// modifier takes a modifier key.
func (d *decoder) modifier(mod, side uint16, down bool, t time.Time) []framing.Frame {
	if down {
		d.sides |= side
		if mod == modMeta {
			d.hostile = !d.skip // opens a menu even alone
		}
		return nil
	}
	d.sides &^= side
	if mod != modAlt && mod != modAltGr || len(d.alt) == 0 {
		return nil
	}
	return d.numbered(t)
}

// numbered takes the character whose number was typed with Alt held: ASCII
// as Alt+NNN or Alt+0NNN, and ISO 8859-1 as Alt+0NNN. Higher ones depend on the
// host's code page, which the scanner does not know either.
func (d *decoder) numbered(t time.Time) []framing.Frame {
	n, err := strconv.Atoi(string(d.alt))
	ansi := d.alt[0] == '0'
	d.alt = d.alt[:0]
	switch {
	case err != nil:
	case n == '\r' || n == '\n':
		return d.end(byte(n), t)
	case n == '\t' && d.tab:
		return d.end('\t', t)
	case n < 0x7f, ansi && n >= 0xa0 && n <= 0xff:
		return d.char(rune(n), t)
	}
	d.hostile = !d.skip
	return nil
}

// char takes a character or a dead key.
func (d *decoder) char(r rune, t time.Time) []framing.Frame {
	if d.skip {
		return nil
	}
	if d.dead != 0 {
		s := compose(d.dead, r)
		d.dead = 0
		return d.write(s, t)
	}
	if spacing(r) != 0 && r >= 0x300 {
		d.dead = r
		return nil
	}
	if r < utf8.RuneSelf {
		return d.framer.Feed([]byte{byte(r)}, t)
	}
	return d.write(string(r), t)
}

func digit(r rune) bool { return r >= '0' && r <= '9' }
