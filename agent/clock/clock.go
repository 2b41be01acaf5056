// Package clock gives a time that is never before one that is known to have
// passed, for what must be judged by the date on a machine that may start in
// 1970: certificates, commands, configurations, updates (OFF-10, T-C2). It is
// the one place that remembers such a time.
//
// Only others show that a time has passed: documents that the fleet signed, and
// platforms whose answers agree with this machine's clock. The clock alone
// never moves it, because one that was far ahead once would make every
// certificate and command too old for ever.
//
// How long things take and when they are due is not decided here: that goes by
// the time since boot (agent.SystemClock).
package clock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"payagent/agent/seal"
)

// made is the day of the source, as 2006-01-02: .ci/build has the linker write
// it here. It is empty in a program that was built otherwise.
var made string

// Made gives a moment before which no copy of this program was built. Of a
// release it is the day on which its source was committed: not that of the
// building, since equal sources give equal bytes, and not the file's, which is
// only as good as the clock of whoever copied it. It is never before the newest
// release in CHANGELOG.md.
func Made() time.Time { return madeOn(made) }

func madeOn(day string) time.Time {
	least := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	at, err := time.Parse(time.DateOnly, day)
	if err != nil || at.Before(least) {
		return least
	}
	return at
}

// The bounds of belief.
const (
	// slack is how far a clock may be behind what is known without being called
	// wrong.
	slack = 24 * time.Hour
	// ahead is how far a clock may be ahead of what was last seen while a
	// certificate that has ended is the certificate's own fault.
	ahead = 7 * 24 * time.Hour
	// step is how closely the time is remembered on disk.
	step = time.Hour
	// fresh is how long a doubt stands.
	fresh = 10 * time.Minute
	// lastYear: no machine's clock is right behind it.
	lastYear = 2090
)

// Disk is where the time is remembered; package trial's fits.
type Disk interface {
	ReadFile(path string) ([]byte, error)
	// WriteFile leaves the old content or the new, durably.
	WriteFile(path string, data []byte) error
}

// files is the real disk.
type files struct{}

func (files) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

func (files) WriteFile(path string, data []byte) error {
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), seal.WriteFile(path, data))
}

// Options are the parts.
type Options struct {
	// Dir is the data folder; empty: nothing is remembered.
	Dir  string
	Disk Disk // nil for the real one
	// Made is a time that has passed for sure; zero for none.
	Made time.Time
	// Wall is the machine's clock; nil for time.Now.
	Wall func() time.Time
	// RTC is the machine's clock with a battery, zero where there is none; nil
	// for none. It is asked where the wall clock is wrong.
	RTC func() time.Time
}

// Keeper knows the time. Its methods may be called from any goroutine; a nil
// Keeper goes by the machine's clock.
type Keeper struct {
	o    Options
	path string

	mu      sync.Mutex
	seen    time.Time // the latest time that others showed
	saved   time.Time // what of it is on disk
	doubted time.Time // when the clock was last doubted, by itself
	due     chan struct{}
}

// Open reads what was remembered. A file that is missing or cannot be
// understood is as none.
func Open(o Options) *Keeper {
	if o.Wall == nil {
		o.Wall = time.Now
	}
	k := &Keeper{o: o, path: filepath.Join(o.Dir, "last-seen"), due: make(chan struct{}, 1)}
	if o.Dir == "" {
		return k
	}
	if o.Disk == nil {
		k.o.Disk = files{}
	}
	if data, err := k.o.Disk.ReadFile(k.path); err == nil {
		if at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(data))); err == nil && at.Year() <= lastYear {
			k.seen, k.saved = at, at
		}
	}
	return k
}

// floor is what is known to have passed. The lock is held.
func (k *Keeper) floor() time.Time { return later(k.o.Made, k.seen) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Now is the time: the machine's clock where it can be right, else the latest
// of what is known to have passed and the clock with a battery.
func (k *Keeper) Now() time.Time {
	if k == nil {
		return time.Now()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.Wall()
	if least := k.floor(); now.Before(least) {
		now = least
		if k.o.RTC != nil {
			now = later(now, k.o.RTC())
		}
	}
	return now
}

// Behind tells whether the machine's clock shows a time that has passed for
// sure, by more than a day.
func (k *Keeper) Behind() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.behind()
}

func (k *Keeper) behind() bool { return k.o.Wall().Before(k.floor().Add(-slack)) }

// Wrong tells whether the machine's clock must be set: it is behind, in a year
// that cannot be, or a certificate was refused that only the clock is against.
func (k *Keeper) Wrong() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.Wall()
	since := now.Sub(k.doubted)
	return k.behind() || now.Year() > lastYear || !k.doubted.IsZero() && since >= 0 && since < fresh
}

// Signed takes the time at which a document was signed by a key of the fleet's:
// it is later than that. Durable when it returns, as far as the disk lets it.
// Where the signer's clock is far ahead of a good one here, it shows nothing:
// nothing later would ever count as fresh.
func (k *Keeper) Signed(at time.Time) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.behind() && at.Sub(k.o.Wall()) > slack {
		return nil
	}
	k.seen = later(k.seen, at.Truncate(time.Second))
	return k.save()
}

// Heard takes the time that a platform told over TLS. Where the machine's clock
// says the same day, it is that late; a platform that is alone with its time
// shows nothing. Run writes it down.
func (k *Keeper) Heard(at time.Time) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.Wall()
	if now.Sub(at).Abs() > slack {
		return
	}
	k.doubted = time.Time{}
	if now.Before(at) {
		at = now
	}
	k.seen = later(k.seen, at.Truncate(time.Second))
	if k.seen.Sub(k.saved) >= step {
		select {
		case k.due <- struct{}{}:
		default:
		}
	}
}

// Doubt says of a certificate that is good in all but its dates whether the
// machine's clock is what is wrong. Where the clock is behind, all that is known
// is that it is at least so late, so a certificate that begins to count after
// that may be verified at that moment; one that has ended is never taken.
func (k *Keeper) Doubt(from, to time.Time) (at time.Time, wrong bool) {
	if k == nil {
		return at, false
	}
	now := k.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case now.Before(from):
		wrong = true
		if k.behind() {
			at = from
		}
	case now.After(to):
		wrong = k.behind() || now.Year() > lastYear || now.Sub(k.floor()) > ahead
	}
	if wrong {
		k.doubted = k.o.Wall()
	}
	return at, wrong
}

// save writes the time down where it is worth it. The lock is held.
func (k *Keeper) save() error {
	if k.o.Dir == "" || !k.seen.After(k.saved) {
		return nil
	}
	if err := k.o.Disk.WriteFile(k.path, []byte(k.seen.UTC().Format(time.RFC3339)+"\n")); err != nil {
		return err
	}
	k.saved = k.seen
	return nil
}

// Run writes down what platforms showed, at most every hour, until ctx ends.
// failed is told when the disk refuses.
func (k *Keeper) Run(ctx context.Context, failed func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.due:
		}
		k.mu.Lock()
		err := k.save()
		k.mu.Unlock()
		if err != nil {
			failed(err)
		}
	}
}
