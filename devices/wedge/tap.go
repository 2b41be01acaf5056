package wedge

import (
	"strings"
	"time"

	"payagent/devices/internal/framing"
)

// Key is one key that went down or up, by the number that the kernel gives it
// (input-event-codes.h). Repeats are none.
type Key struct {
	At   time.Duration // by the kernel's monotonic clock
	Code uint16
	Down bool
}

// Keys reads the keys out of whole input_event structures, as a tap gives them.
func Keys(p []byte) []Key {
	var keys []Key
	for ; len(p) >= eventSize; p = p[eventSize:] {
		if e := parse(p); e.kind == evKey && (e.value == pressed || e.value == released) {
			keys = append(keys, Key{e.at(), e.code, e.value == pressed})
		}
	}
	return keys
}

// Text is what keys mean for a scanner that is set up for a layout, with "\r"
// behind it for Enter and "\t" for Tab where the last key is one. It is the
// decoder's own reading: text that the decoder would drop is empty.
func Text(layout string, keys []Key) string {
	l, ok := layoutOf(layout)
	if !ok || len(keys) == 0 {
		return ""
	}
	d, err := newDecoder(l, framing.Config{End: framing.EndNone, Gap: time.Second})
	if err != nil {
		return ""
	}
	end := ""
	start := time.Unix(1_000_000, 0)
	at := start
	for _, k := range keys {
		value := int32(released)
		if k.Down {
			value = pressed
			switch k.Code {
			case keyEnter, keyKPEnter:
				end = "\r"
			case keyTab:
				end = "\t"
			default:
				if m, _ := modifier(k.Code); m == 0 {
					end = ""
				}
			}
		}
		// All at one moment: pauses between keys are not the question here.
		d.Feed(event{kind: evKey, code: k.Code, value: value}.bytes(), at)
	}
	var b strings.Builder
	for range 2 {
		at = at.Add(2 * time.Second)
		for _, f := range d.Idle(at) {
			b.WriteString(f.Text)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return b.String() + end
}
