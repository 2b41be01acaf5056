// Package quiet tells quiet hours, in which signals make no sound (DEV-16).
package quiet

import (
	"fmt"
	"regexp"
	"time"
)

// Hours are quiet hours; the zero value has none. It is a value and safe for
// concurrent use.
type Hours struct{ spans []span }

// span is a part of the day in minutes since midnight: from is in it, to is
// not. With to <= from it goes over midnight.
type span struct{ from, to int }

var form = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])$`)

// Parse reads spans such as "21:30-06:30", in the local time of the window.
// "00:00-24:00" is always.
func Parse(spans []string) (Hours, error) {
	var h Hours
	for _, text := range spans {
		m := form.FindStringSubmatch(text)
		if m == nil {
			return Hours{}, bad(text)
		}
		s := span{minutes(m[1], m[2]), minutes(m[3], m[4])}
		if s.from == s.to || s.to > day {
			return Hours{}, bad(text)
		}
		h.spans = append(h.spans, s)
	}
	return h, nil
}

const day = 24 * 60

// minutes takes what the expression found: two digits each.
func minutes(h, m string) int {
	two := func(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }
	return two(h)*60 + two(m)
}

func bad(text string) error {
	return fmt.Errorf("cannot use the quiet hours %q; write from-to in 24 hours, like 21:30-06:30, or 00:00-24:00 for always", text)
}

// At tells whether t, by its own wall clock, is in the quiet hours.
func (h Hours) At(t time.Time) bool {
	now := t.Hour()*60 + t.Minute()
	for _, s := range h.spans {
		if s.from < s.to {
			if s.from <= now && now < s.to {
				return true
			}
		} else if now >= s.from || now < s.to {
			return true
		}
	}
	return false
}
