// Package answers keeps what a scanner answers to commands apart from the
// codes it reads. It is pure: time comes in with the bytes.
package answers

import (
	"bytes"
	"time"

	"payagent/devices/internal/frames"
	"payagent/devices/internal/framing"
)

// The pauses after which an answer is over or given up.
const (
	// Gap is for answers that have an end of their own: long, because a busy
	// computer delivers late.
	Gap = time.Second
	// LineGap is for those that may have none, so that they take no code with
	// them.
	LineGap = 100 * time.Millisecond
)

const (
	longestText   = 1024 // of a text answer; longer ones are given up
	longestBinary = 64   // data bytes of a binary answer; more is no answer
	stx           = 0x02
	etx           = 0x03
)

// Config says what answers look like.
type Config struct {
	// Newland takes out both of Newland's forms wherever they stand, also in
	// the middle of a code: 02 01 … 03 (text) and 02 00 type length data CRC.
	Newland bool
	// Prefix begins the answer to a question. With Newland it tells which of
	// the answers counts; otherwise it is looked for at the beginning of what
	// comes after a question, and the answer lasts to a CR, LF or ETX or to
	// a pause.
	Prefix []byte
}

// state is where in an answer the filter stands.
type state int

const (
	none    state = iota // between answers
	holding              // the first bytes could begin one
	text                 // in a Newland text answer
	binary               // in a Newland binary answer
	line                 // behind the prefix, up to the end of the answer
)

// Filter takes answers out of what a framer gets. It is not safe for
// concurrent use.
type Filter struct {
	cfg      Config
	framer   *framing.Framer
	state    state
	held     []byte
	since    time.Time // when the first byte of held came
	last     time.Time // when the last byte of an answer came
	expected bool
	heard    uint64
	bytes    uint64 // of answers
}

// New filters what the framer gets.
func New(cfg Config, f *framing.Framer) *Filter { return &Filter{cfg: cfg, framer: f} }

// Expect says that a question was asked, or that its answer is not waited for
// any more.
func (f *Filter) Expect(yes bool) { f.expected = yes }

// Heard counts the answers that began with the prefix.
func (f *Filter) Heard() uint64 { return f.heard }

// Stats gives the framer's counters, with the bytes of answers.
func (f *Filter) Stats() framing.Stats {
	s := f.framer.Stats()
	s.Bytes += f.bytes
	return s
}

// Pending tells whether Idle has something to end.
func (f *Filter) Pending() bool { return f.state != none || f.framer.Pending() }

// Gap is the pause after which Idle does it.
func (f *Filter) Gap() time.Duration {
	if f.state != none {
		return f.gap()
	}
	return f.framer.Gap()
}

func (f *Filter) gap() time.Duration {
	if f.state == line || !f.cfg.Newland {
		return LineGap
	}
	return Gap
}

// Feed takes bytes that came at a time.
func (f *Filter) Feed(p []byte, at time.Time) []framing.Frame {
	out := f.Idle(at)
	for len(p) > 0 {
		if f.state == none {
			// What cannot begin an answer goes on in one piece.
			if n := f.plain(p); n > 0 {
				out = append(out, f.framer.Feed(p[:n], at)...)
				p = p[n:]
				continue
			}
		}
		out = append(out, f.one(p[0], at)...)
		p = p[1:]
	}
	return out
}

// plain is how many bytes in front cannot begin an answer.
func (f *Filter) plain(p []byte) int {
	if f.cfg.Newland {
		if i := bytes.IndexByte(p, stx); i >= 0 {
			return i
		}
		return len(p)
	}
	if f.expected && len(f.cfg.Prefix) > 0 {
		return 0
	}
	return len(p)
}

// Idle says that nothing came until at.
func (f *Filter) Idle(at time.Time) []framing.Frame {
	var out []framing.Frame
	if f.state != none && at.Sub(f.last) >= f.gap() {
		held := f.held
		was := f.state
		f.reset()
		if was == holding || was == binary {
			// It was no answer after all.
			out = f.framer.Feed(held, f.since)
		} else {
			f.bytes += uint64(len(held))
		}
	}
	if f.state == none {
		out = append(out, f.framer.Idle(at)...)
	}
	return out
}

func (f *Filter) reset() { f.state, f.held = none, nil }

// one takes one byte.
func (f *Filter) one(b byte, at time.Time) []framing.Frame {
	switch f.state {
	case none:
		if !f.begins(b) {
			return f.framer.Feed([]byte{b}, at)
		}
		f.state, f.since = holding, at
	case line:
		f.last = at
		f.bytes++
		if b == '\r' || b == '\n' || b == etx {
			f.reset()
		}
		return nil
	}
	f.last = at
	f.held = append(f.held, b)
	// An answer in the middle of a code is no pause in it.
	f.framer.Touch(at)
	switch f.state {
	case holding:
		return f.decide()
	case text:
		if b == etx || len(f.held) >= longestText {
			f.done()
		}
	case binary:
		return f.count()
	}
	return nil
}

func (f *Filter) begins(b byte) bool {
	if f.cfg.Newland {
		return b == stx
	}
	return f.expected && len(f.cfg.Prefix) > 0 && b == f.cfg.Prefix[0] && !f.framer.Pending()
}

// decide looks at the first bytes.
func (f *Filter) decide() []framing.Frame {
	switch {
	case f.cfg.Newland && len(f.held) == 1:
	case f.cfg.Newland && f.held[1] == 0x01:
		f.state = text
	case f.cfg.Newland && f.held[1] == 0x00:
		f.state = binary
	case f.cfg.Newland || !bytes.HasPrefix(f.cfg.Prefix, f.held):
		return f.release()
	}
	if f.state == holding && !f.cfg.Newland && len(f.held) == len(f.cfg.Prefix) {
		f.heard++
		f.expected = false
		f.bytes += uint64(len(f.held))
		f.state, f.held = line, nil
	}
	return nil
}

// count sees whether a binary answer is whole: 02 00, type, number of data
// bytes, data, CRC over all from type on.
func (f *Filter) count() []framing.Frame {
	if len(f.held) < 4 {
		return nil
	}
	n := int(f.held[3])
	if n > longestBinary {
		return f.release()
	}
	end := 4 + n
	if len(f.held) < end+2 {
		return nil
	}
	if frames.CRC(f.held[2:end]) != uint16(f.held[end])<<8|uint16(f.held[end+1]) {
		return f.release()
	}
	f.done()
	return nil
}

func (f *Filter) done() {
	if bytes.HasPrefix(f.held, f.cfg.Prefix) {
		f.heard++
		f.expected = false
	}
	f.bytes += uint64(len(f.held))
	f.reset()
}

// release gives what was held to the framer: it begins no answer. What stands
// behind its first byte may.
func (f *Filter) release() []framing.Frame {
	held, at := f.held, f.since
	f.reset()
	out := f.framer.Feed(held[:1], at)
	for _, b := range held[1:] {
		out = append(out, f.one(b, at)...)
	}
	return out
}
