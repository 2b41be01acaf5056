package quiet_test

import (
	"strings"
	"testing"
	"time"

	"payagent/devices/internal/quiet"
)

func TestAt(t *testing.T) {
	for _, c := range []struct {
		spans       string
		quiet, loud string
	}{
		{"", "", "00:00 06:30 12:00 23:59"},
		{"21:30-06:30", "21:30 21:31 23:59 00:00 06:29", "06:30 12:00 21:29"},
		{"12:00-13:30", "12:00 13:29", "11:59 13:30 00:00"},
		{"12:00-13:30 21:00-24:00", "12:00 21:00 23:59", "13:30 00:00 20:59"},
		{"22:00-00:00", "22:00 23:59", "00:00 21:59"},
		{"00:00-24:00", "00:00 12:00 23:59", ""},
	} {
		h, err := quiet.Parse(strings.Fields(c.spans))
		if err != nil {
			t.Fatal(err)
		}
		check := func(times string, want bool) {
			for _, at := range strings.Fields(times) {
				clock, err := time.ParseInLocation("15:04", at, time.FixedZone("UTC+8", 8*3600))
				if err != nil {
					t.Fatal(err)
				}
				if h.At(clock) != want {
					t.Errorf("%q at %s: not %v", c.spans, at, want)
				}
			}
		}
		check(c.quiet, true)
		check(c.loud, false)
	}
}

func TestRefused(t *testing.T) {
	for _, text := range []string{"", "21:30", "21:30-21:30", "24:00-06:00", "21:30-24:01", "21:30-25:00", "9:00-10:00", "21:60-22:00", "21:30–06:30", " 21:30-06:30"} {
		if _, err := quiet.Parse([]string{text}); err == nil || !strings.HasPrefix(err.Error(), "cannot use") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("21:30-06:30", int64(0))
	f.Add("00:00-24:00", int64(86399))
	f.Fuzz(func(t *testing.T, text string, at int64) {
		h, err := quiet.Parse([]string{text})
		clock := time.Unix(at, 0).UTC()
		if err != nil && h.At(clock) {
			t.Error("quiet in spite of an error")
		}
		if err != nil {
			return
		}
		// Exactly the minutes between the two times are quiet.
		from, to, _ := strings.Cut(text, "-")
		now := clock.Format("15:04")
		want := from <= now && now < to
		if from > to {
			want = now >= from || now < to
		}
		if h.At(clock) != want {
			t.Errorf("%q at %s: not %v", text, now, want)
		}
	})
}
