// Package framing turns the bytes of a scanner into codes. It is pure: time
// comes in with the bytes, so the same bytes at the same times give the same
// codes however the operating system cut them into reads.
package framing

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The ends that a scanner may put behind a code (wire.md §7.1).
const (
	EndLine = "line"    // CR, LF or both; the default
	EndCR   = "cr"      // CR; an LF beside it is dropped
	EndLF   = "lf"      // LF; a CR beside it is dropped
	EndCRLF = "crlf"    // CR LF; a lone CR or LF is noise
	EndTab  = "tab"     // TAB
	EndNone = "none"    // nothing: a code ends with a pause
	EndETX  = "stx-etx" // a code stands between STX and ETX
)

// The bounds within which a pause that ends a code is learned, and where
// learning begins (decision 27).
const (
	FirstGap    = 60 * time.Millisecond
	ShortestGap = 30 * time.Millisecond
	LongestGap  = 100 * time.Millisecond
)

const (
	stx = 0x02
	etx = 0x03
)

// Config says how a scanner is set up. The zero value is usable.
type Config struct {
	_      [0]func() // never compared: no code is made for it
	End    string    // one of the End constants; empty means EndLine
	Prefix string    // taken off the front where it stands there
	Suffix string    // taken off the back where it stands there
	AIM    bool      // the scanner sends an AIM identifier ("]Q1") in front
	Min    int       // shortest code in bytes, default 1
	Max    int       // longest code in bytes, default and limit 512
	// Charset is in what text above ASCII is sent, see the Charset constants.
	// Codes come out as UTF-8.
	Charset string
	// Gap is the pause that ends a code with EndNone. 0 means learned between
	// 30 and 100 ms, beginning at 60 ms.
	Gap time.Duration
	// Stale is the pause after which an unfinished code is given up with all
	// other ends, so that its rest cannot stick to the next code. Default 1 s,
	// negative means never.
	Stale time.Duration
}

// Check fills in the defaults and says what cannot be.
func (c Config) Check() (Config, error) {
	switch c.End {
	case "":
		c.End = EndLine
	case EndLine, EndCR, EndLF, EndCRLF, EndTab, EndNone, EndETX:
	default:
		return c, fmt.Errorf("cannot use end %q; write line, cr, lf, crlf, tab, none or stx-etx", c.End)
	}
	if err := checkCharset(c.Charset); err != nil {
		return c, err
	}
	if c.Max == 0 {
		c.Max = 512
	}
	if c.Min == 0 {
		c.Min = 1
	}
	switch {
	case c.Max < 1 || c.Max > 512:
		return c, fmt.Errorf("cannot use a longest code of %d bytes; write 1 to 512", c.Max)
	case c.Min < 1 || c.Min > c.Max:
		return c, fmt.Errorf("cannot use a shortest code of %d bytes; write 1 to %d", c.Min, c.Max)
	case len(c.Prefix) > 64 || len(c.Suffix) > 64:
		return c, fmt.Errorf("cannot use a prefix or suffix of more than 64 bytes")
	case c.Gap < 0 || c.Gap > time.Second:
		return c, fmt.Errorf("cannot use a gap of %v; write 0 (learned) to 1s", c.Gap)
	}
	if c.Stale == 0 {
		c.Stale = time.Second
	}
	return c, nil
}

// Frame is one code.
type Frame struct {
	_         [0]func() // never compared: no code is made for it
	Text      string
	Symbology string    // AIM identifier without the bracket, e.g. "Q1"
	Start     time.Time // when its first byte came
	At        time.Time // when its last byte came
}

// Stats counts what was dropped. It never holds text.
type Stats struct {
	Bytes   uint64 // all bytes seen
	Frames  uint64 // codes given
	Trimmed uint64 // noise bytes taken off the ends of codes
	Noise   uint64 // frames dropped for control characters or broken text inside
	Short   uint64 // frames dropped for being too short
	Long    uint64 // frames dropped for being too long
	Cut     uint64 // frames given up unfinished
	Lost    uint64 // times that input was lost on its way here
}

// Framer holds an unfinished code. It is not safe for concurrent use.
type Framer struct {
	cfg     Config
	buf     []byte
	over    bool // the frame is too long and is skipped to its end
	open    bool // EndETX: an STX was seen
	last    byte // the byte before, for CRLF
	start   time.Time
	prev    time.Time // when the last byte came
	slowest time.Duration
	stats   Stats
}

// New gives a framer, or says what cannot be in the configuration.
func New(cfg Config) (*Framer, error) {
	cfg, err := cfg.Check()
	if err != nil {
		return nil, err
	}
	// One byte more than the longest frame, so that nothing grows later.
	return &Framer{cfg: cfg, buf: make([]byte, 0, cfg.Max+len(cfg.Prefix)+len(cfg.Suffix)+8)}, nil
}

// Stats gives the counters.
func (f *Framer) Stats() Stats { return f.stats }

// Gap is the pause after which Idle ends or gives up what is unfinished; it is
// negative where no pause does.
func (f *Framer) Gap() time.Duration {
	if f.cfg.End != EndNone {
		return f.cfg.Stale
	}
	if f.cfg.Gap > 0 {
		return f.cfg.Gap
	}
	if f.slowest == 0 {
		return FirstGap
	}
	// Three times the slowest pause inside a code, within the bounds.
	return min(max(3*f.slowest, ShortestGap), LongestGap)
}

// Pending tells whether a code is unfinished, so that Idle has something to
// end.
func (f *Framer) Pending() bool { return len(f.buf) > 0 || f.over || f.open }

// Feed takes bytes that came at a time and gives the codes that they finish.
func (f *Framer) Feed(p []byte, at time.Time) []Frame {
	out := f.Idle(at)
	for _, b := range p {
		f.stats.Bytes++
		if !f.prev.IsZero() && len(f.buf) > 0 {
			f.learn(at.Sub(f.prev))
		}
		f.prev = at
		if fr, ok := f.one(b, at); ok {
			out = append(out, fr)
		}
		f.last = b
	}
	return out
}

// learn notes a pause inside a code. One that lies above the bounds says
// nothing: it was the end.
func (f *Framer) learn(d time.Duration) {
	if d > f.slowest && d <= LongestGap {
		f.slowest = d
	}
}

// Idle says that nothing came until at. With EndNone a long enough pause ends
// a code; otherwise it gives up an unfinished one.
func (f *Framer) Idle(at time.Time) []Frame {
	gap := f.Gap()
	if gap < 0 || !f.Pending() || at.Sub(f.prev) < gap {
		return nil
	}
	if f.cfg.End == EndNone {
		if fr, ok := f.finish(); ok {
			return []Frame{fr}
		}
		return nil
	}
	f.giveUp()
	return nil
}

func (f *Framer) giveUp() {
	if len(f.buf) > 0 || f.over {
		f.stats.Cut++
	}
	clear(f.buf[:cap(f.buf)]) // half a payment code is none the less a part of one
	f.buf, f.over, f.open = f.buf[:0], false, false
}

// one takes one byte.
func (f *Framer) one(b byte, at time.Time) (Frame, bool) {
	switch f.cfg.End {
	case EndETX:
		switch {
		case b == stx:
			f.giveUp() // a code that never ended
			f.open = true
			return Frame{}, false
		case !f.open:
			// Between two codes: a CR behind ETX is usual, anything else noise.
			if b != '\r' && b != '\n' {
				f.stats.Trimmed++
			}
			return Frame{}, false
		case b == etx:
			f.open = false
			return f.finish()
		}
	case EndCRLF:
		if b == '\n' && f.last == '\r' {
			if n := len(f.buf); n > 0 && f.buf[n-1] == '\r' {
				f.buf = f.buf[:n-1]
			}
			return f.finish()
		}
	case EndLine:
		if b == '\r' || b == '\n' {
			return f.finish()
		}
	case EndCR:
		if b == '\r' {
			return f.finish()
		}
	case EndLF:
		if b == '\n' {
			return f.finish()
		}
	case EndTab:
		if b == '\t' {
			return f.finish()
		}
	}
	if f.over {
		return Frame{}, false
	}
	if b == stx {
		// Where no STX is expected it still begins a code: what stood before
		// it belongs to another one.
		f.giveUp()
		return Frame{}, false
	}
	if len(f.buf) == cap(f.buf) {
		clear(f.buf)
		f.buf, f.over = f.buf[:0], true
		return Frame{}, false
	}
	if len(f.buf) == 0 {
		f.start = at
	}
	f.buf = append(f.buf, b)
	return Frame{}, false
}

// finish ends the frame and judges it.
func (f *Framer) finish() (Frame, bool) {
	raw, over := f.buf, f.over
	f.buf, f.over = f.buf[:0], false
	if over {
		f.stats.Long++
		return Frame{}, false
	}
	text, symbology, ok := f.cfg.Judge(raw, &f.stats)
	clear(raw[:cap(raw)]) // a code stays nowhere longer than needed
	return Frame{Text: text, Symbology: symbology, Start: f.start, At: f.prev}, ok
}

// Judge tells what the bytes of one code say and whether they are one, and
// counts it. The configuration must have passed Check.
func (c Config) Judge(raw []byte, s *Stats) (text, symbology string, ok bool) {
	text, trimmed, whole := Text(raw, c.Charset)
	s.Trimmed += uint64(trimmed)
	if text == "" {
		return "", "", false // the LF behind a CR, an empty line, or only noise
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, c.Prefix), c.Suffix)
	if c.AIM {
		symbology, text = aim(text)
	}
	switch {
	case len(text) < c.Min:
		s.Short++
	case len(text) > c.Max:
		s.Long++
	case !whole:
		// To leave such bytes out would make another code of it.
		s.Noise++
	default:
		s.Frames++
		return text, symbology, true
	}
	return "", "", false
}

// noise tells what cannot stand in a code: C0 and C1 control characters, DEL,
// and bytes that are not UTF-8.
func noise(r rune, size int) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError && size <= 1
}

func clean(s string) bool {
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		if noise(r, n) {
			return false
		}
	}
	return true
}

// aim splits an AIM identifier off: a bracket, a letter, a letter or digit
// (ISO/IEC 15424).
func aim(s string) (symbology, rest string) {
	if len(s) < 3 || s[0] != ']' || !letter(s[1]) || !letter(s[2]) && (s[2] < '0' || s[2] > '9') {
		return "", s
	}
	return s[1:3], s[3:]
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
