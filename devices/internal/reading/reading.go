// Package reading is the loop that members with a stream of bytes share: one
// goroutine that owns the handle, cuts codes out of what it reads, keeps a few
// for whoever asks, and closes the handle.
package reading

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"payagent/devices"
	"payagent/devices/internal/framing"
)

// Decoder makes codes of what is read. A framing.Framer is one; members whose
// devices send reports or keys have their own. Like a framer it is pure.
type Decoder interface {
	// Feed takes what one read gave.
	Feed(p []byte, at time.Time) []framing.Frame
	// Idle says that nothing came until at.
	Idle(at time.Time) []framing.Frame
	// Pending tells whether Idle has something to end.
	Pending() bool
	// Gap is the pause after which Idle does it; negative if none does.
	Gap() time.Duration
	Stats() framing.Stats
}

// Config says what to do with the bytes.
type Config struct {
	_       [0]func() // never compared: no code is made for it
	Name    string    // the device's name in the configuration
	Framing framing.Config
	// Decoder replaces the framer that Framing makes.
	Decoder Decoder
	// Place is the physical device that was opened.
	Place devices.Found
	// Window is the time within which the same text counts as read twice:
	// 0 means 3 s, negative means never.
	Window time.Duration
	// Settle is how long after the start codes are dropped: what was scanned
	// while nobody had the device open comes first.
	Settle time.Duration
	// Blocking says that Read may wait for ever. Close then closes the handle
	// under it and does not wait for the goroutine.
	Blocking bool
}

// Stats counts what happened; it never holds text.
type Stats struct {
	framing.Stats
	Doubles uint64 // codes suppressed as read twice
	Settled uint64 // codes dropped right after the start
	Unread  uint64 // codes dropped because nobody asked for them in time
}

// keep is how many codes wait for a caller; older ones are dropped, since an
// old code is worth nothing.
const keep = 8

// errClosed is what Scan gives after Close.
var errClosed = errors.New("cannot scan any more: the scanner was closed; open it again")

// Reader is a running loop.
type Reader struct {
	_       [0]func() // never compared: no code is made for it
	cfg     Config
	handle  io.ReadCloser
	decoder Decoder
	doubles *framing.Doubles
	out     chan devices.Scan
	stop    chan struct{}
	done    chan struct{}

	stopOnce  sync.Once
	closeOnce sync.Once
	mu        sync.Mutex
	stats     Stats
	last      time.Time // of the last code handed out
	err       error     // why the loop ended; set before done is closed
}

// timed is a handle whose read time-out can be changed.
type timed interface {
	SetReadTimeout(time.Duration) error
}

// pulse is the longest read, so that a stop is seen soon.
const pulse = 100 * time.Millisecond

// Start owns handle from here on; (0, nil) from its Read means that a time-out
// passed without bytes. On an error the handle is closed too.
func Start(handle io.ReadCloser, cfg Config) (*Reader, error) {
	if cfg.Decoder == nil {
		f, err := framing.New(cfg.Framing)
		if err != nil {
			_ = handle.Close()
			return nil, fmt.Errorf("cannot start scanner %s: %w", cfg.Name, err)
		}
		cfg.Decoder = f
	}
	if cfg.Window == 0 {
		cfg.Window = 3 * time.Second
	}
	r := &Reader{
		cfg: cfg, handle: handle, decoder: cfg.Decoder, doubles: framing.NewDoubles(cfg.Window),
		out: make(chan devices.Scan, keep), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go r.loop()
	return r, nil
}

func (r *Reader) loop() {
	err := r.read()
	r.closeHandle()
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	close(r.done)
}

func (r *Reader) closeHandle() {
	// What Close says about a device that is gone helps nobody.
	r.closeOnce.Do(func() { _ = r.handle.Close() })
}

// read runs until Close or until the device is gone.
func (r *Reader) read() error {
	since := time.Now()
	buf := make([]byte, 4096)
	setter, canSet := r.handle.(timed)
	current := time.Duration(-1)
	for {
		select {
		case <-r.stop:
			return errClosed
		default:
		}
		if want := r.patience(); canSet && want != current {
			if err := setter.SetReadTimeout(want); err != nil {
				return fmt.Errorf("cannot read scanner %s: %w: %w", r.cfg.Name, devices.ErrGone, err)
			}
			current = want
		}
		n, err := r.handle.Read(buf)
		at := time.Now()
		var frames []framing.Frame
		switch {
		case n > 0:
			frames = r.decoder.Feed(buf[:n], at)
			clear(buf[:n])
		case err == nil:
			// The pause before an error ends nothing: half a code must not become
			// one because its cable was pulled.
			frames = r.decoder.Idle(at)
		}
		r.take(frames, since)
		if err != nil {
			select {
			case <-r.stop:
				return errClosed
			default:
			}
			return fmt.Errorf("cannot read scanner %s: %w: %w", r.cfg.Name, devices.ErrGone, err)
		}
	}
}

// patience is how long a read may last: short where a pause ends a code.
func (r *Reader) patience() time.Duration {
	if gap := r.decoder.Gap(); r.decoder.Pending() && gap > 0 && gap < pulse {
		return gap
	}
	return pulse
}

// take hands codes out. They are counted first: who has a code finds it in
// the counts.
func (r *Reader) take(frames []framing.Frame, since time.Time) {
	var scans []devices.Scan
	var settled uint64
	for _, f := range frames {
		if r.cfg.Settle > 0 && f.Start.Sub(since) < r.cfg.Settle {
			settled++
			continue
		}
		if r.doubles.Again(f.Text, f.At) {
			continue
		}
		scans = append(scans, devices.Scan{Text: devices.NewText(f.Text), Symbology: f.Symbology, Device: r.cfg.Name, At: f.At})
	}
	r.mu.Lock()
	r.stats.Stats = r.decoder.Stats()
	r.stats.Doubles = r.doubles.Count()
	r.stats.Settled += settled
	if n := len(scans); n > 0 {
		r.last = scans[n-1].At
	}
	r.mu.Unlock()
	for _, scan := range scans {
		r.hand(scan)
	}
}

// hand puts one code where callers find it; the oldest gives way.
func (r *Reader) hand(scan devices.Scan) {
	for {
		select {
		case r.out <- scan:
			return
		default:
		}
		select {
		case <-r.out:
			r.mu.Lock()
			r.stats.Unread++
			r.mu.Unlock()
		default:
		}
	}
}

// Place implements devices.Placed.
func (r *Reader) Place() devices.Found { return r.cfg.Place }

// Counts implements devices.Counting.
func (r *Reader) Counts() devices.Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	return devices.Counts{Good: s.Frames - s.Doubles - s.Settled, Bad: s.Noise + s.Short + s.Long, Cut: s.Cut,
		Doubles: s.Doubles, Settled: s.Settled, Unread: s.Unread, Lost: s.Lost, Opens: 1, Last: r.last}
}

// Stats gives the counters.
func (r *Reader) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Scan implements devices.Scanner.
func (r *Reader) Scan(ctx context.Context) (devices.Scan, error) {
	if err := ctx.Err(); err != nil {
		return devices.Scan{}, err
	}
	select {
	case <-r.stop:
		return devices.Scan{}, errClosed
	default:
	}
	select {
	case s := <-r.out:
		return s, nil
	default:
	}
	select {
	case s := <-r.out:
		return s, nil
	case <-ctx.Done():
		return devices.Scan{}, ctx.Err()
	case <-r.stop:
		return devices.Scan{}, errClosed
	case <-r.done:
	}
	// The loop may have handed out a last code before it ended.
	select {
	case s := <-r.out:
		return s, nil
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return devices.Scan{}, r.err
}

// Close ends the loop and, unless reads may block for ever, waits for it: up to
// one read time-out. It may be called again.
func (r *Reader) Close() error {
	r.stopOnce.Do(func() { close(r.stop) })
	if r.cfg.Blocking {
		r.closeHandle()
		return nil
	}
	<-r.done
	return nil
}
