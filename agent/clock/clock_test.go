package clock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"payagent/agent/clock"
)

var made = time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// box is a machine that is switched off and on.
type box struct {
	dir  string
	wall time.Time
	rtc  time.Time
}

func (b *box) start() *clock.Keeper {
	return clock.Open(clock.Options{Dir: b.dir, Made: made, Wall: func() time.Time { return b.wall }, RTC: func() time.Time { return b.rtc }})
}

func is(t *testing.T, k *clock.Keeper, now time.Time, wrong bool) {
	t.Helper()
	if got := k.Now(); !got.Equal(now) {
		t.Errorf("it is %s, want %s", got, now)
	}
	if k.Wrong() != wrong {
		t.Errorf("wrong is %v", !wrong)
	}
}

// TestStartsIn1970: the latest of the program, what others showed, and the
// clock with a battery.
func TestStartsIn1970(t *testing.T) {
	b := &box{dir: t.TempDir(), wall: time.Unix(100, 0)}
	k := b.start()
	is(t, k, made, true)
	// A platform alone with its time shows nothing; a signed document does.
	k.Heard(made.Add(100 * day))
	is(t, k, made, true)
	signed := made.Add(50 * day)
	if err := k.Signed(signed); err != nil {
		t.Fatal(err)
	}
	if err := k.Signed(made.Add(20 * day)); err != nil { // an older one moves nothing back
		t.Fatal(err)
	}
	is(t, k, signed, true)
	is(t, b.start(), signed, true) // durable
	b.rtc = made.Add(60 * day)
	is(t, b.start(), b.rtc, true)
	b.rtc = made.Add(40 * day)
	is(t, b.start(), signed, true)
	// Set, it counts again.
	b.wall = made.Add(90 * day)
	is(t, b.start(), b.wall, false)
	// A little behind is nothing to speak of, and time still does not go back.
	b.wall = signed.Add(-time.Hour)
	is(t, b.start(), signed, false)
}

// TestFarAhead: a clock that was far ahead once poisons nothing, and one that is
// out of all years is called wrong.
func TestFarAhead(t *testing.T) {
	b := &box{dir: t.TempDir(), wall: made.Add(4000 * day)}
	k := b.start()
	is(t, k, b.wall, false)
	k.Heard(made.Add(10 * day)) // the platform knows better
	b.wall = made.Add(10 * day)
	is(t, b.start(), b.wall, false)
	b.wall = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	is(t, b.start(), b.wall, true)
	// A signer whose clock is far ahead of a good one here shows nothing.
	b.wall = made.Add(10 * day)
	k = b.start()
	if err := k.Signed(made.Add(400 * day)); err != nil {
		t.Fatal(err)
	}
	is(t, k, b.wall, false)
	// Nor does a file that says so.
	if err := os.WriteFile(filepath.Join(b.dir, "last-seen"), []byte("9999-01-01T00:00:00Z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	is(t, b.start(), b.wall, false)
}

// TestDoubt says when the clock is to blame for a certificate.
func TestDoubt(t *testing.T) {
	start := made.Add(30 * day) // of the certificate
	end := made.Add(120 * day)
	for name, c := range map[string]struct {
		wall, seen time.Time
		wrong      bool
		at         time.Time
	}{
		"1970, begins after what is known": {time.Unix(0, 0), made, true, start},
		"1970, ended before":               {time.Unix(0, 0), end.Add(day), true, time.Time{}},
		"a day behind":                     {start.Add(-time.Hour), start.Add(-2 * time.Hour), true, time.Time{}},
		"2038":                             {time.Date(2038, 1, 20, 0, 0, 0, 0, time.UTC), made.Add(60 * day), true, time.Time{}},
		"ended, and the clock is right":    {end.Add(day), end.Add(day - time.Hour), false, time.Time{}},
		"ended in a year that cannot be":   {time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 12, 31, 23, 0, 0, 0, time.UTC), true, time.Time{}},
		"in time":                          {start.Add(day), start, false, time.Time{}},
	} {
		b := &box{dir: t.TempDir(), wall: c.seen}
		k := b.start()
		k.Heard(c.seen)
		b.wall = c.wall
		if at, wrong := k.Doubt(start, end); wrong != c.wrong || !at.Equal(c.at) {
			t.Errorf("%s: %s %v", name, at, wrong)
		}
		if k.Wrong() != c.wrong {
			t.Errorf("%s: the clock is called wrong: %v", name, k.Wrong())
		}
	}
	// It stands for a while, and a platform that agrees ends it.
	b := &box{dir: t.TempDir(), wall: start.Add(-day)}
	k := b.start()
	k.Doubt(start, end)
	b.wall = start
	if k.Heard(start); k.Wrong() {
		t.Error("the clock was set, and is still called wrong")
	}
}

// TestRemembered: what platforms show is written down when it is worth it.
func TestRemembered(t *testing.T) {
	b := &box{dir: filepath.Join(t.TempDir(), "not", "there"), wall: made.Add(10 * day)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	disk := &slowDisk{wrote: make(chan string, 10)}
	k := clock.Open(clock.Options{Dir: b.dir, Disk: disk, Made: made, Wall: func() time.Time { return b.wall }})
	go func() {
		k.Run(ctx, func(err error) { disk.wrote <- "failed: " + err.Error() })
		close(ended)
	}()
	k.Heard(b.wall.Add(3 * time.Second))
	if got := <-disk.wrote; got != "2026-06-11T00:00:00Z\n" {
		t.Errorf("%q", got)
	}
	k.Heard(b.wall.Add(time.Minute)) // the wall clock is the smaller
	disk.full = true
	b.wall = b.wall.Add(2 * time.Hour)
	k.Heard(b.wall)
	if got := <-disk.wrote; got != "failed: full" {
		t.Errorf("%q", got)
	}
	stop()
	<-ended
}

type slowDisk struct {
	wrote chan string
	full  bool
}

func (*slowDisk) ReadFile(string) ([]byte, error) { return nil, errors.New("nothing there") }

func (d *slowDisk) WriteFile(_ string, data []byte) error {
	if d.full {
		return errors.New("full")
	}
	d.wrote <- string(data)
	return nil
}

// TestNil: without a keeper the machine's clock counts.
func TestNil(t *testing.T) {
	var k *clock.Keeper
	k.Heard(made)
	if err := k.Signed(made); err != nil || k.Wrong() || k.Behind() || time.Since(k.Now()).Abs() > time.Hour {
		t.Error(err, k.Now())
	}
	if at, wrong := k.Doubt(made, made); wrong || !at.IsZero() {
		t.Error(at, wrong)
	}
}

// TestMade: no program, however it was built, thinks that a time before the
// newest release is possible.
func TestMade(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if day, behind := newer(string(text), clock.Made()); behind {
		t.Errorf("CHANGELOG.md has a release of %s: set the least of clock.Made to that", day)
	}
	for day, want := range map[string]bool{clock.Made().Format(time.DateOnly): false, clock.Made().Add(2 * day).Format(time.DateOnly): true} {
		if _, got := newer("# x\n\n## 0.2.0 — 未发布 unreleased\n\n## 0.1.0 — "+day+"\n\n- 2099-01-01\n", clock.Made()); got != want {
			t.Errorf("the check itself: a release of %s, and it says %v", day, got)
		}
	}
}

// newer gives the day of a release in a list of changes that is after a moment.
func newer(changes string, than time.Time) (string, bool) {
	for _, found := range regexp.MustCompile(`(?m)^## .*(\d{4}-\d{2}-\d{2})`).FindAllStringSubmatch(changes, -1) {
		if at, err := time.Parse(time.DateOnly, found[1]); err != nil || at.After(than.Add(day)) {
			return found[1], true
		}
	}
	return "", false
}
