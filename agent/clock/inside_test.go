package clock

import (
	"testing"
	"time"
)

// TestMadeOn: the linker's word counts, and an ill one makes nothing older.
func TestMadeOn(t *testing.T) {
	for day, want := range map[string]string{"2027-03-04": "2027-03-04", "": "2026-01-01", "2027-13-04": "2026-01-01", "1999-01-01": "2026-01-01", "2027-03-04T": "2026-01-01"} {
		if got := madeOn(day).Format(time.DateOnly); got != want {
			t.Errorf("%q: %s, want %s", day, got, want)
		}
	}
}
